"""Telling webhooks of changed recipients: only where somebody wants that, in the unit of work of the change."""

from collections.abc import Sequence

from core import database
from core.announcing import emit_all
from core.campaigns.tables import RecipientState
from core.events.catalogue import MessageUpdated

TOLD = frozenset(
    {
        RecipientState.ACCEPTED,
        RecipientState.SENT,
        RecipientState.FAILED,
        RecipientState.UNKNOWN,
        RecipientState.SKIPPED,
    }
)
"""What waits, or is being sent, is the engine's own business."""

_ROWS = """
SELECT c.user_id, m.id, m.campaign_id, m.contact_id, m.number_id, m.state, m.reason, m.delivered_at, m.read_at
FROM message_by_contacts m JOIN campaigns c ON c.id = m.campaign_id
WHERE m.id = ANY($1::bigint[]) AND c.user_id = ANY($2::bigint[]) AND m.state = ANY($3::text[]) ORDER BY m.id
"""


async def tell_changed(recipient_ids: Sequence[int], subscribers: Sequence[int]) -> None:
    """Emit ``message.updated`` for those of the rows whose tenant is one of ``subscribers``."""
    rows = await database.fetch(_ROWS, list(recipient_ids), list(subscribers), sorted(TOLD))
    await emit_all(
        [
            (
                row["user_id"],
                MessageUpdated(
                    recipient_id=row["id"],
                    campaign_id=row["campaign_id"],
                    contact_id=row["contact_id"],
                    number_id=row["number_id"],
                    state=row["state"],
                    reason=row["reason"],
                    delivered_at=row["delivered_at"],
                    read_at=row["read_at"],
                ),
            )
            for row in rows
        ]
    )
