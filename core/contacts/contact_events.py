"""What was decided of contacts, kept with its time and source: the timeline shows it."""

from collections.abc import Collection
from typing import Literal

from core import database

EventKind = Literal["blocked", "unblocked", "opted_out", "merged"]
EventSource = Literal["hand", "word"]
MAXIMUM_REASON = 120

# The campaign that wrote last is what an opt-out answers, as far as anybody can tell.
_RECORD = """
INSERT INTO contact_events (user_id, contact_id, kind, source, reason, number_id, campaign_id, created_at)
SELECT $1, c.id, $3, $4, $5, $6::bigint, CASE WHEN $6::bigint IS NOT NULL THEN
    (SELECT a.campaign_id FROM contact_activity a WHERE a.contact_id = c.id AND a.last_at IS NOT NULL) END,
    clock_timestamp()
FROM contacts c WHERE c.user_id = $1 AND c.id = ANY($2::bigint[])
"""


async def record_events(
    user_id: int,
    contact_ids: Collection[int],
    kind: EventKind,
    *,
    source: EventSource = "hand",
    reason: str = "",
    number_id: int | None = None,
) -> None:
    """Write down what happened with contacts, in the present unit of work.

    ``number_id`` is the number that somebody wrote to; the campaign that wrote to them last is noted with it.
    """
    if contact_ids:
        await database.execute(
            _RECORD, user_id, list(contact_ids), kind, source, reason[:MAXIMUM_REASON].strip(), number_id
        )
