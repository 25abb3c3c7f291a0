"""Who opted out, remembered for ever as hashes: of every form in which the person is known, and of nothing else.

The hashes outlive the contact. A contact that is made again, imported again or turns out to have a suppressed address
is blocked at once. They are HMACs under a key of their own that never changes, kept in the settings and encrypted like
every other secret: phone numbers are few enough to be guessed from plain hashes.
"""

import hmac
import secrets
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache

import msgspec

from core import database
from core.contacts.identities import number_forms
from core.crypto import decrypt, encrypt
from core.settings.services import get_setting, put_setting_once

KEY_SETTING = "suppression_key"
_PURPOSE = "settings.suppression_key"
_DESCRIPTION = "Hashes the people who opted out; must never change."


class Person(msgspec.Struct, frozen=True):
    """Somebody as they are known now: the tenant's contacts they are, and all their numbers and addresses."""

    contact_ids: tuple[int, ...]
    forms: frozenset[str]


_FIND = """
WITH given AS (
    SELECT DISTINCT form FROM unnest($2::text[]) AS form
), number AS (
    SELECT form AS number FROM given
    UNION SELECT a.number FROM number_checks a JOIN given g ON a.address = g.form WHERE a.found
    UNION SELECT i.phone FROM number_identities i JOIN given g ON i.address = g.form
        JOIN numbers n ON n.id = i.number_id AND n.user_id = $1
), person AS (
    SELECT c.id, c.number FROM contacts c JOIN number ON number.number = c.number
        WHERE c.user_id = $1 AND c.deleted_at IS NULL
    UNION SELECT c.id, c.number FROM contacts c JOIN contact_addresses a ON a.contact_id = c.id
        JOIN given g ON g.form = a.address WHERE c.user_id = $1 AND c.deleted_at IS NULL AND c.type = 1
), form AS (
    SELECT number AS form FROM number UNION SELECT number FROM person WHERE number IS NOT NULL
    UNION SELECT a.address FROM contact_addresses a JOIN person p ON p.id = a.contact_id WHERE a.address <> ''
    UNION SELECT a.address FROM number_checks a JOIN number ON number.number = a.number WHERE a.found
    UNION SELECT i.address FROM number_identities i JOIN number ON number.number = i.phone
        JOIN numbers n ON n.id = i.number_id AND n.user_id = $1
)
SELECT coalesce((SELECT array_agg(DISTINCT id ORDER BY id) FROM person), '{}') AS contact_ids,
    coalesce((SELECT array_agg(DISTINCT form) FROM form), '{}') AS forms
"""


async def find_person(user_id: int, forms: Iterable[str]) -> Person:
    """Return who of this tenant's people goes by any of ``forms`` (E.164 digits or addresses); perhaps no contact."""
    row = await database.fetch_row(_FIND, user_id, sorted(_widened(forms)))
    if row is None:
        raise TypeError("SELECT gave no row")
    return Person(tuple(row["contact_ids"]), _widened(row["forms"]))


async def suppress(user_id: int, person: Person) -> bool:
    """Block the person's contacts and remember every form; return whether anything of it was new."""
    async with database.unit_of_work():
        blocked = await database.execute(
            "UPDATE contacts SET blocked_at = clock_timestamp(), updated_at = clock_timestamp()"
            " WHERE user_id = $1 AND id = ANY($2::bigint[]) AND blocked_at IS NULL",
            user_id,
            person.contact_ids,
        )
        fresh = await remember(user_id, person.forms)
        return blocked + fresh > 0


async def remember(user_id: int, forms: Iterable[str]) -> int:
    """Remember that whoever goes by these forms opted out; returns how many hashes were new."""
    return await database.execute(
        "INSERT INTO suppressions (user_id, digest, created_at)"
        " SELECT $1, digest, now() FROM unnest($2::bytea[]) AS digest ON CONFLICT (user_id, digest) DO NOTHING",
        user_id,
        sorted((await _digests(user_id, _widened(forms))).values()),
    )


async def lift(user_id: int, forms: Iterable[str]) -> int:
    """Forget that whoever goes by one of ``forms`` opted out, in every form; returns how many rows that were."""
    person = await find_person(user_id, forms)
    async with database.unit_of_work():
        freed = await database.execute(
            "UPDATE contacts SET blocked_at = NULL, updated_at = now()"
            " WHERE user_id = $1 AND id = ANY($2::bigint[]) AND blocked_at IS NOT NULL",
            user_id,
            person.contact_ids,
        )
        digests = await _digests(user_id, person.forms)
        return freed + await database.execute(
            "DELETE FROM suppressions WHERE user_id = $1 AND digest = ANY($2::bytea[])", user_id, list(digests.values())
        )


async def is_suppressed(user_id: int, forms: Iterable[str]) -> bool:
    """Whether somebody who goes by one of ``forms`` opted out."""
    return bool(await _known(user_id, _widened(forms)))


async def suppressed_forms(user_id: int, forms: Collection[str]) -> frozenset[str]:
    """Return those of ``forms`` (E.164 digits or addresses) whose person opted out, also by what a check has given."""
    if not forms or not await _has_any(user_id):
        return frozenset()
    rows = await database.fetch(
        "SELECT number, address FROM number_checks WHERE number = ANY($1::text[]) AND found", list(forms)
    )
    wider: dict[str, set[str]] = {form: set(number_forms(form)) for form in forms}
    for row in rows:
        wider[row["number"]].add(row["address"])
    known = await _known(user_id, {form for own in wider.values() for form in own})
    return frozenset(form for form, own in wider.items() if own & known)


async def block_suppressed(user_id: int, forms: Iterable[str]) -> None:
    """Block whoever goes by ``forms`` and is a contact now, or got another form, when any of the forms opted out."""
    given = [form for form in forms if form]
    if await suppressed_forms(user_id, given):
        await suppress(user_id, await find_person(user_id, given))


async def remember_blocked(user_id: int, contact_ids: Collection[int]) -> None:
    """Those of the contacts who opted out stay so when the contacts go away or get another number or address."""
    rows = await database.fetch(
        "SELECT c.number, a.address FROM contacts c LEFT JOIN contact_addresses a ON a.contact_id = c.id"
        " WHERE c.user_id = $1 AND c.id = ANY($2::bigint[]) AND c.blocked_at IS NOT NULL AND c.type = 1",
        user_id,
        list(contact_ids),
    )
    if rows:
        await remember(user_id, {form for row in rows for form in (row["number"], row["address"]) if form})


async def _has_any(user_id: int) -> bool:
    return bool(await database.fetch_value("SELECT EXISTS (SELECT FROM suppressions WHERE user_id = $1)", user_id))


async def _known(user_id: int, forms: Collection[str]) -> set[str]:
    digests = await _digests(user_id, forms)
    rows = await database.fetch(
        "SELECT digest FROM suppressions WHERE user_id = $1 AND digest = ANY($2::bytea[])",
        user_id,
        list(digests.values()),
    )
    found = {row["digest"] for row in rows}
    return {form for form, digest in digests.items() if digest in found}


def _widened(forms: Iterable[str]) -> frozenset[str]:
    return frozenset(wider for form in forms if form for wider in number_forms(form))


async def _digests(user_id: int, forms: Iterable[str]) -> Mapping[str, bytes]:
    key = await _key()
    # The tenant is part of it: equal numbers of two tenants must not be seen to be equal.
    return {form: hmac.digest(key, f"{user_id}:{form}".encode(), "sha256") for form in forms}


async def _key() -> bytes:
    sealed = await get_setting(KEY_SETTING)
    if sealed is None:
        made = encrypt(secrets.token_hex(32), purpose=_PURPOSE)
        sealed = await put_setting_once(KEY_SETTING, made, _DESCRIPTION)
    return _unsealed(sealed)


@lru_cache(maxsize=4)
def _unsealed(sealed: str) -> bytes:
    return bytes.fromhex(decrypt(sealed, purpose=_PURPOSE))
