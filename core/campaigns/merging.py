"""Merging contacts that are one person: one stays, with what the others had; nobody gets a message of them twice.

Rows of the others that were sent, or may have been, stay as they are, and the timeline of the contact shows them.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import asyncpg
import msgspec

from core import database
from core.audit import services as audit
from core.campaigns.claims import Ineligible
from core.campaigns.skipping import skip
from core.campaigns.tables import RecipientState
from core.clock import synced_clock
from core.contacts.contact_blocks import block_listed
from core.contacts.contact_events import record_events
from core.contacts.filters import Id
from core.contacts.merged_fields import Prefer, merge_fields
from core.contacts.queries import DECIDED, get_contact, lock_contact
from core.contacts.schemas import ContactRead
from core.contacts.suppressions import find_person, is_suppressed, suppress
from core.contacts.tables import ContactType
from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.plans import services as plans
from core.texts import text

MAXIMUM_OTHERS = 20
GONE_OUT = frozenset({RecipientState.LEASED, RecipientState.ACCEPTED, RecipientState.SENT, RecipientState.UNKNOWN})

# A claim that has read who may be written to is refused by the new number, and one that comes later sees what is left.
_HOLD = """
INSERT INTO contact_activity AS a (contact_id, user_id, claims, day_start, day_used, unanswered, campaign_id)
SELECT id, $1, 1, $3, 0, 0, 0 FROM unnest($2::bigint[]) AS id ORDER BY id
ON CONFLICT (contact_id) DO UPDATE SET claims = a.claims + 1
"""
# The day and the campaign are those of whoever was written to last.
_ACTIVITY = """
UPDATE contact_activity a SET unanswered = o.unanswered, last_at = o.last_at, other_at = o.other_at,
    day_start = l.day_start, campaign_id = l.campaign_id, before_campaign_id = NULL, before_at = NULL,
    before_other_at = NULL, day_used = (SELECT coalesce(sum(day_used), 0) FROM contact_activity d
        WHERE d.contact_id = ANY($2::bigint[]) AND d.day_start = l.day_start)
FROM (SELECT max(unanswered) AS unanswered, max(last_at) AS last_at,
        greatest(max(other_at), (array_agg(last_at ORDER BY last_at DESC NULLS LAST))[2]) AS other_at
    FROM contact_activity WHERE contact_id = ANY($2::bigint[])) o,
    (SELECT day_start, campaign_id FROM contact_activity WHERE contact_id = ANY($2::bigint[])
        ORDER BY last_at DESC NULLS LAST, contact_id LIMIT 1) l
WHERE a.contact_id = $1 AND o.last_at IS NOT NULL
"""
_ROWS = """
SELECT m.id, m.contact_id, m.campaign_id, m.message_id, m.state FROM campaigns k
JOIN messages g ON g.campaign_id = k.id
JOIN message_by_contacts m ON m.message_id = g.id AND m.contact_id = ANY($2::bigint[])
WHERE k.user_id = $1 ORDER BY m.id FOR UPDATE OF m NOWAIT
"""
_FREEZING = """
SELECT EXISTS (SELECT FROM campaigns k WHERE k.user_id = $1 AND k.status IN (2, 3) AND k.started_at IS NOT NULL
    AND k.frozen_at IS NULL AND EXISTS (SELECT FROM messages g JOIN message_by_contacts m ON m.message_id = g.id
        AND m.contact_id = ANY($2::bigint[]) WHERE g.campaign_id = k.id))
"""

Rows = Sequence[Mapping[str, Any]]


class ContactMerge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Contacts to merge into one, and whose fields stay where both have some."""

    others: Annotated[list[Id], msgspec.Meta(min_length=1, max_length=MAXIMUM_OTHERS, examples=[[2]])]
    prefer: Annotated[
        Prefer, msgspec.Meta(description="Whose name, variables and addresses stay where both have some.")
    ] = "contact"


async def merge_contacts(user_id: int, contact_id: int, wanted: ContactMerge) -> ContactRead:
    """Merge others into a contact: they go, and it has what they had. Who opted out or is blocked stays so.

    Raises:
        NotFoundError: The tenant has no such contact.
        InvalidInputError: One of the others is not there, or is the contact itself.
        ConflictError: One is a group, a message to one of the others is being sent, or a campaign with one of them is
            being written down.
    """
    other_ids = list(dict.fromkeys(wanted.others))
    if contact_id in other_ids:
        raise InvalidInputError({"others": [text("merge_itself")]})
    async with database.unit_of_work():
        # Nobody changes a number meanwhile; contacts are locked in the order of bulk changes.
        await plans.limits_of(user_id, lock=True)
        found = await _lock(user_id, contact_id, other_ids)
        contact, others = found[contact_id], [found[one] for one in other_ids]
        if any(one.type == ContactType.GROUP for one in found.values()):
            raise ConflictError(
                f"Contact {contact_id} is a group, or the others are: only people can be merged with people.",
                code="merge_mixed",
                id=contact_id,
            )
        await _settle(user_id, contact_id, other_ids)
        await _stay_out(user_id, contact, others)
        await merge_fields(contact, others, wanted.prefer)
        for other in others:
            reason = other.number or other.name or next(iter(other.addresses.values()), "")
            await record_events(user_id, [contact_id], "merged", reason=reason)
        changed = await get_contact(user_id, contact_id)
        await audit.record(
            "contact.merged",
            user_id=user_id,
            entity_id=contact_id,
            facts={"others": other_ids},
            changes=audit.differences(contact, changed, *DECIDED),
        )
        return changed


async def _lock(user_id: int, contact_id: int, other_ids: Sequence[int]) -> dict[int, ContactRead]:
    found: dict[int, ContactRead] = {}
    for one in sorted([contact_id, *other_ids]):
        try:
            found[one] = await lock_contact(user_id, one)
        except NotFoundError:
            if one == contact_id:
                raise
    missing = [one for one in other_ids if one not in found]
    if missing:
        raise InvalidInputError({"others": [text("no_such_contact", id=missing[0])]})
    return found


async def _stay_out(user_id: int, contact: ContactRead, others: Sequence[ContactRead]) -> None:
    """Block all of them where one is blocked: by the list if one's number is on it, by all forms if one opted out."""
    everybody = [contact, *others]
    numbers = [one.number for one in everybody if one.number]
    forms = {*numbers, *(address for one in everybody for address in one.addresses.values())}
    opted_out = await database.fetch_value(
        "SELECT EXISTS (SELECT FROM contacts WHERE id = ANY($1::bigint[]) AND blocked_at IS NOT NULL)",
        [one.id for one in everybody],
    )
    if opted_out or await is_suppressed(user_id, forms):
        await suppress(user_id, await find_person(user_id, forms))
    reason = await database.fetch_value(
        "SELECT reason FROM block_contacts WHERE user_id = $1 AND number = ANY($2::text[]) ORDER BY id LIMIT 1",
        user_id,
        numbers,
    )
    if isinstance(reason, str) and not contact.blocked:
        await block_listed(user_id, [contact.id], reason)


async def _settle(user_id: int, contact_id: int, other_ids: Sequence[int]) -> None:
    """Leave at most one row of each message that can still be sent, and none of one that went out to any of them."""
    ids = [contact_id, *other_ids]
    now = (await synced_clock()).now()
    await database.execute(_HOLD, user_id, ids, now)
    if await database.fetch_value(_FREEZING, user_id, ids):
        raise ConflictError(
            "The campaign's audience is being written down; ask again in a moment.", code="campaign_freezing"
        )
    try:
        rows = await database.fetch(_ROWS, user_id, ids)
    except asyncpg.LockNotAvailableError:
        # Whoever claims or settles rows holds them before the activity; waiting here would wait for ever.
        raise _busy() from None
    if any(row["state"] == RecipientState.LEASED and row["contact_id"] != contact_id for row in rows):
        raise _busy()
    moved = _moving(rows, contact_id, other_ids)
    await database.execute(
        "UPDATE message_by_contacts SET contact_id = $1, updated_at = $3 WHERE id = ANY($2::bigint[])",
        contact_id,
        [row["id"] for row in moved],
        now,
    )
    kept = {row["id"] for row in moved} | {row["id"] for row in rows if row["contact_id"] == contact_id}
    await _skip_rest(rows, kept, now)
    await database.execute(_ACTIVITY, contact_id, ids)


def _busy() -> ConflictError:
    return ConflictError(
        "A message to this contact is being sent at this moment: try again in a minute.", code="contact_busy"
    )


def _moving(rows: Rows, contact_id: int, other_ids: Sequence[int]) -> list[Mapping[str, Any]]:
    """Return the rows that become the contact's: in campaigns that do not have it, those of the first who is there."""
    ranks = {one: rank for rank, one in enumerate([contact_id, *other_ids])}
    first: dict[int, int] = {}
    for row in rows:
        rank = ranks[row["contact_id"]]
        first[row["campaign_id"]] = min(rank, first.get(row["campaign_id"], rank))
    return [row for row in rows if ranks[row["contact_id"]] == first[row["campaign_id"]] > 0]


async def _skip_rest(rows: Rows, kept: Collection[int], now: datetime) -> None:
    gone_out = {row["message_id"] for row in rows if row["state"] in GONE_OUT}
    skipped = [
        Ineligible(row["id"], "contact_merged")
        for row in rows
        if row["state"] == RecipientState.PENDING and (row["id"] not in kept or row["message_id"] in gone_out)
    ]
    if skipped:
        await skip(now, skipped)
