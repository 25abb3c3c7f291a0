"""The timeline of a contact: all that is written down with a time, over all campaigns, the latest first."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import msgspec

from core import database
from core.errors import NotFoundError
from core.pagination import read_cursor, write_cursor

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Kind = Literal[
    "created",
    "imported",
    "blocked",
    "unblocked",
    "opted_out",
    "merged",
    "wrote",
    "sent",
    "delivered",
    "readed",
    "replied",
    "failed",
    "skipped",
    "unknown",
]
Source = Literal["", "manual", "api", "import", "sync", "hand", "word"]


class TimelineEntry(msgspec.Struct, kw_only=True):
    """One thing that happened; what belongs to a message alone is null elsewhere."""

    at: datetime
    kind: Annotated[Kind, msgspec.Meta(examples=["delivered"])]
    reason: Annotated[str, msgspec.Meta(examples=["no_whatsapp"])]
    """Why a message failed, was skipped or stayed in doubt, why the contact was blocked, the word that it wrote to opt
    out, the number of one that was merged into it, or the file of an import; else empty."""
    source: Annotated[Source, msgspec.Meta(examples=[""])]
    """Where the contact came from, which is what its consent goes back to; ``word`` or ``hand`` of an opt-out or block.
    """
    number_id: int | None
    """One's own number that sent, or was written to."""
    campaign_id: int | None
    campaign_name: str | None
    message_id: int | None
    position: int | None
    recipient_id: int | None


class _Place(msgspec.Struct, frozen=True, array_like=True):
    """Where a part ended: no two entries share both."""

    microseconds: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    """Since 1970."""
    key: Annotated[str, msgspec.Meta(max_length=30, pattern="^[a-z][0-9]*$")]


# By each of the tenant's messages: a row is found by message and contact, and no other index leads to it.
# A block or opt-out that nobody wrote down, as those from before such things were kept, is told by what holds now.
TIMELINE = """
WITH contact AS (
    SELECT id, number, created_at, blocked_at, source FROM contacts
    WHERE id = $2 AND user_id = $1 AND deleted_at IS NULL
), own AS MATERIALIZED (
    SELECT r.*, k.name FROM campaigns k JOIN messages g ON g.campaign_id = k.id CROSS JOIN LATERAL (
        SELECT * FROM message_by_contacts m WHERE m.message_id = g.id AND m.contact_id = ANY(ARRAY(
            SELECT id FROM contact UNION ALL SELECT id FROM contacts WHERE user_id = $1 AND merged_into = $2))) r
    WHERE k.user_id = $1
), decided AS MATERIALIZED (
    SELECT * FROM contact_events WHERE user_id = $1 AND contact_id = $2
), told AS (
    SELECT coalesce((SELECT kind <> 'unblocked' FROM decided WHERE kind IN ('opted_out', 'blocked', 'unblocked')
        ORDER BY id DESC LIMIT 1), false) AS standing
), entry AS (
    SELECT e.at, e.kind, CASE WHEN e.kind IN ('failed', 'skipped', 'unknown') THEN o.reason ELSE '' END AS reason,
        '' AS source, o.number_id, o.campaign_id, o.name AS campaign_name, o.message_id, o.position,
        o.id AS recipient_id, 'm' || lpad(o.id::text, 19, '0') || e.rank AS key
    FROM own o CROSS JOIN LATERAL (VALUES
        (1, 'sent', coalesce(o.accepted_at, o.sent_at)), (2, 'delivered', o.delivered_at), (3, 'readed', o.read_at),
        (4, 'replied', o.replied_at), (5, o.state, CASE WHEN o.state IN ('failed', 'skipped', 'unknown')
            THEN o.updated_at END)) AS e(rank, kind, at)
    WHERE e.at IS NOT NULL
    UNION ALL SELECT created_at, 'created', coalesce((SELECT i.filename FROM imports i JOIN import_steps s
            ON s.import_id = i.id AND s.created_at = contact.created_at AND contact.id = ANY(s.made)
            WHERE i.user_id = $1 LIMIT 1), ''),
        source, NULL, NULL, NULL, NULL, NULL, NULL, 'c' FROM contact
    UNION ALL SELECT h.written_at, 'imported', i.filename, 'import', NULL, NULL, NULL, NULL, NULL, NULL,
        'i' || lpad(h.id::text, 19, '0') FROM import_changes h JOIN imports i ON i.id = h.import_id
        WHERE h.contact_id = $2 AND i.user_id = $1
    UNION ALL SELECT d.created_at, d.kind, d.reason, d.source, d.number_id, d.campaign_id, k.name, NULL, NULL, NULL,
        'e' || lpad(d.id::text, 19, '0') FROM decided d
        LEFT JOIN campaigns k ON k.id = d.campaign_id AND k.user_id = $1
    UNION ALL SELECT blocked_at, 'opted_out', '', '', NULL, NULL, NULL, NULL, NULL, NULL, 'o' FROM contact
        WHERE blocked_at IS NOT NULL AND NOT (SELECT standing FROM told)
    UNION ALL SELECT b.created_at, 'blocked', b.reason, '', NULL, NULL, NULL, NULL, NULL, NULL, 'b'
        FROM contact JOIN block_contacts b ON b.user_id = $1 AND b.number = contact.number
        WHERE NOT (SELECT standing FROM told)
    UNION ALL SELECT v.last_inbound_at, 'wrote', '', '', v.number_id, NULL, NULL, NULL, NULL, NULL,
        'w' || lpad(v.number_id::text, 19, '0') FROM contact JOIN conversations v ON v.contact_id = contact.id
)
SELECT * FROM entry WHERE $3::timestamptz IS NULL OR (at, key COLLATE "C") < ($3, $4::text)
ORDER BY at DESC, key COLLATE "C" DESC LIMIT $5
"""


async def read_timeline(
    user_id: int, contact_id: int, *, limit: int, cursor: str = ""
) -> tuple[list[TimelineEntry], str | None]:
    """Return up to ``limit`` entries of a contact's timeline after ``cursor``, and the cursor of those that follow.

    Raises:
        NotFoundError: The tenant has no such contact.
        InvalidInputError: The cursor is none of this list.
    """
    place = read_cursor(cursor, _Place)
    found = await database.fetch_value(
        "SELECT true FROM contacts WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL", contact_id, user_id
    )
    if found is None:
        raise NotFoundError("contact", contact_id)
    before = EPOCH + timedelta(microseconds=place.microseconds) if place is not None else None
    rows = await database.fetch(TIMELINE, user_id, contact_id, before, place.key if place else "", limit + 1)
    shown = rows[:limit]
    entries = [TimelineEntry(**{name: row[name] for name in TimelineEntry.__struct_fields__}) for row in shown]
    if len(rows) <= limit:
        return entries, None
    last = shown[-1]
    return entries, write_cursor(_Place((last["at"] - EPOCH) // timedelta(microseconds=1), last["key"]))
