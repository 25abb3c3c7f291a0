"""What a gateway's webhook says is a hint, no more: the subscription it is about is worth fetching."""

from collections.abc import Collection, Sequence

from core.payments import fetches
from core.plugin import GatewayHint
from core.webhooks.handlers import StoredEvent, event_handler


@event_handler("gateway_hint")
async def want_fetches(events: Sequence[StoredEvent]) -> Collection[int]:
    """Have fetched what stored hints name."""
    for stored in events:
        if isinstance(stored.event, GatewayHint):
            await fetches.want(stored.plugin, stored.event.refs)
    return [stored.id for stored in events]
