"""Storing listed contacts: found again by number, address or number check, and filled where they are empty."""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from core import database
from core.contacts.addresses import CURRENT, block_listed_groups
from core.contacts.identities import number_forms
from core.contacts.labels import hold_labels
from core.contacts.numbers import UnusableNumberError, normalize_number
from core.contacts.room import room_of
from core.contacts.suppressions import find_person, suppress, suppressed_forms
from core.numbers.events import phones_behind

# With limits and offsets, so that every look-up goes by its index, however little is known of the tables' sizes.
_FIND = f"""
WITH found AS (
    SELECT f.place, f.rank, c.id FROM unnest($6::int[], $7::text[], $8::int[]) AS f(place, number, rank)
    CROSS JOIN LATERAL (
        SELECT id FROM contacts c WHERE c.user_id = $1 AND c.number = f.number AND c.deleted_at IS NULL AND c.type = 1
        LIMIT 1) c
    UNION ALL
    SELECT e.place, 3, c.id FROM unnest($3::int[], $4::text[], $5::smallint[]) AS e(place, address, type)
    CROSS JOIN LATERAL (
        -- With its ending an address is the same at every server; bare digits are each service's own.
        SELECT contact_id, address, number FROM contact_addresses a
        WHERE a.address = e.address AND (a.provider = $2 OR e.address LIKE '%@%') OFFSET 0) a
    CROSS JOIN LATERAL (
        SELECT id FROM contacts c WHERE c.id = a.contact_id AND c.user_id = $1 AND c.deleted_at IS NULL
            AND c.type = e.type AND {CURRENT} LIMIT 1) c
    UNION ALL
    SELECT e.place, 4, c.id FROM unnest($3::int[], $4::text[], $5::smallint[]) AS e(place, address, type)
    CROSS JOIN LATERAL (
        SELECT number FROM number_checks n WHERE n.address = e.address AND n.provider = $2 AND n.found OFFSET 0) n
    CROSS JOIN LATERAL (
        SELECT id FROM contacts c WHERE c.user_id = $1 AND c.number = n.number AND c.deleted_at IS NULL
            AND c.type = e.type LIMIT 1) c
)
SELECT DISTINCT ON (place) place, id FROM found ORDER BY place, rank, id
"""
_INSERT = """
INSERT INTO contacts (id, user_id, number, name, variables, labels, type, status, source, created_at, updated_at)
SELECT id, $1, number, name, '{}', $2::jsonb, type, 1, 'sync', now(), now()
FROM unnest($3::bigint[], $4::text[], $5::text[], $6::smallint[]) AS i(id, number, name, type)
"""
_FILL = """
UPDATE contacts c SET updated_at = now(), number = coalesce(c.number, i.number),
    name = CASE WHEN c.name = '' THEN i.name ELSE c.name END,
    labels = c.labels || (SELECT coalesce(jsonb_agg(e), '[]') FROM jsonb_array_elements($2::jsonb) AS e
        WHERE NOT c.labels @> e)
FROM unnest($3::bigint[], $4::text[], $5::text[]) AS i(id, number, name)
WHERE c.user_id = $1 AND c.id = i.id AND ((c.name = '' AND i.name <> '') OR NOT c.labels @> $2::jsonb
    OR (c.number IS NULL AND i.number IS NOT NULL))
RETURNING c.id
"""
_PUT_ADDRESSES = """
INSERT INTO contact_addresses AS a (contact_id, provider, number, address, checked_at)
SELECT c.id, $2, coalesce(c.number, ''), i.address, now()
FROM unnest($3::bigint[], $4::text[]) AS i(id, address) JOIN contacts c ON c.id = i.id AND c.user_id = $1
ON CONFLICT (contact_id, provider) DO UPDATE
    SET number = excluded.number, address = excluded.address, checked_at = excluded.checked_at
    WHERE a.address = '' OR a.number NOT IN ('', excluded.number)
RETURNING contact_id
"""


class SyncEntry(msgspec.Struct):
    """A person or a group as a number listed it; ``phone`` is empty where the service does not tell it."""

    address: str
    phone: str
    name: str
    is_group: bool
    id: int = 0


class SyncPlan(msgspec.Struct, frozen=True):
    """Whose contacts are stored, from where, and with which label."""

    user_id: int
    number_id: int
    provider: str
    label_id: int | None


class Tally(msgspec.Struct):
    """What became of the entries of one batch; the counts add up to them."""

    limit: int
    """The plan's, of contacts."""
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: dict[str, int] = {}


class _Listed(msgspec.Struct):
    """One contact of a batch: what all its entries say together."""

    contact_id: int | None
    number: str | None
    address: str
    name: str
    kind: int


async def store_batch(plan: SyncPlan, entries: Sequence[SyncEntry]) -> Tally:
    """Store entries in the present unit of work; nobody else adds contacts of the tenant until it ends.

    Raises:
        JobFailedError: The account's access has ended.
    """
    limit, room = await room_of(plan.user_id)
    listed = await _merge(plan, entries)
    fresh = [one for one in listed if one.contact_id is None]
    added, refused = fresh[:room], fresh[room:]
    present = [one for one in listed if one.contact_id is not None]
    labels = await hold_labels(plan.user_id, [] if plan.label_id is None else [plan.label_id])
    await _insert(plan.user_id, added, labels)
    changed = await _fill(plan.user_id, present, labels)
    changed |= await _put_addresses(plan, [*added, *present])
    await _keep_out(plan.user_id, [*added, *present])
    updated = sum(one.contact_id in changed for one in present)
    skipped = {"over_plan": len(refused), "repeated": len(entries) - len(listed)}
    return Tally(
        limit=limit,
        created=len(added),
        updated=updated,
        unchanged=len(present) - updated,
        skipped={reason: count for reason, count in skipped.items() if count},
    )


async def _merge(plan: SyncPlan, entries: Sequence[SyncEntry]) -> list[_Listed]:
    """Return each contact of the entries once, with the id it has already."""
    hidden = [(plan.number_id, entry.address) for entry in entries if not entry.phone and not entry.is_group]
    phones = await phones_behind(hidden)
    told = [entry.phone or phones.get((plan.number_id, entry.address), "") for entry in entries]
    # In a thread: five hundred take as long as many messages of the process.
    numbers = await asyncio.to_thread(lambda: [_usable(phone) for phone in told])
    found = await _find(plan, entries, numbers)
    known: dict[object, _Listed] = {}
    for place, (entry, number) in enumerate(zip(entries, numbers, strict=True)):
        contact_id = found.get(place)
        names = [("contact", contact_id), ("number", min(number_forms(number or ""))), ("address", entry.address)]
        keys = [key for key in names if key[1]]
        one = next((known[key] for key in keys if key in known), None)
        if one is None:
            one = _Listed(contact_id, number, entry.address, entry.name, 2 if entry.is_group else 1)
        one.contact_id = one.contact_id or contact_id
        one.number, one.name = one.number or number, one.name or entry.name
        known.update(dict.fromkeys(keys, one))
    return list({id(one): one for one in known.values()}.values())


async def _find(plan: SyncPlan, entries: Sequence[SyncEntry], numbers: Sequence[str | None]) -> Mapping[int, int]:
    """Return the contacts that entries are already, by the place of the entry."""
    forms = [
        (place, form, 1 if form == number else 2)
        for place, number in enumerate(numbers)
        if number is not None
        for form in number_forms(number)
    ]
    rows = await database.fetch(
        _FIND,
        plan.user_id,
        plan.provider,
        list(range(len(entries))),
        [entry.address for entry in entries],
        [2 if entry.is_group else 1 for entry in entries],
        *([form[part] for form in forms] for part in range(3)),
    )
    return {row["place"]: row["id"] for row in rows}


def _usable(phone: str) -> str | None:
    """Return the E.164 digits of a listed phone, in the form that numbers are stored in; ``None`` where it is none."""
    digits = phone.removeprefix("+")
    for form in (digits, *sorted(number_forms(digits) - {digits})):
        try:
            return normalize_number(f"+{form}")
        except UnusableNumberError:
            continue
    return None


async def _insert(user_id: int, added: Sequence[_Listed], labels: Sequence[int]) -> None:
    rows = await database.fetch(
        "SELECT nextval(pg_get_serial_sequence('contacts', 'id')) AS id FROM generate_series(1, $1::int)", len(added)
    )
    for one, row in zip(added, rows, strict=True):
        one.contact_id = row["id"]
    await database.execute(
        _INSERT,
        user_id,
        database.encode_json(labels),
        [one.contact_id for one in added],
        [one.number for one in added],
        [one.name for one in added],
        [one.kind for one in added],
    )


async def _fill(user_id: int, present: Sequence[_Listed], labels: Sequence[int]) -> set[Any]:
    rows = await database.fetch(
        _FILL,
        user_id,
        database.encode_json(labels),
        [one.contact_id for one in present],
        [one.number for one in present],
        [one.name for one in present],
    )
    return {row["id"] for row in rows}


async def _put_addresses(plan: SyncPlan, stored: Sequence[_Listed]) -> set[Any]:
    rows = await database.fetch(
        _PUT_ADDRESSES,
        plan.user_id,
        plan.provider,
        [one.contact_id for one in stored],
        [one.address for one in stored],
    )
    return {row["contact_id"] for row in rows}


async def _keep_out(user_id: int, stored: Iterable[_Listed]) -> None:
    """Block who opted out under any form that is known now, and groups that are on the block list."""
    people: list[_Listed] = []
    groups: list[int] = []
    for one in stored:
        if one.kind == 1:
            people.append(one)
        elif one.contact_id is not None:
            groups.append(one.contact_id)
    out = await suppressed_forms(user_id, {form for one in people for form in _forms(one)})
    for one in people:
        if out.intersection(_forms(one)):
            await suppress(user_id, await find_person(user_id, _forms(one)))
    if groups:
        await block_listed_groups(user_id, groups)


def _forms(one: _Listed) -> Collection[str]:
    return (one.address, one.number) if one.number else (one.address,)
