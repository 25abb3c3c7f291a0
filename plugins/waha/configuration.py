"""The configuration of a number's session on a WAHA server."""

from collections.abc import Mapping

from core.plugin import Sender, WebhookTarget

EVENTS = ("session.status", "message.any", "message.ack", "message.ack.group")
"""``message.any`` without ``message``: an incoming message would fire both."""
_WATCHED = ("metadata", "ignore", "webhooks")
"""What decides whether events of the number reach core as core's own."""


def configuration(sender: Sender, webhook: WebhookTarget) -> dict[str, object]:
    """Build what core wants of a session."""
    return {
        "metadata": {"number_id": str(sender.number_id)},
        # WAHA drops the acknowledgements of an ignored chat with its messages (`this.jids.include` before the events
        # in session.gows.core.ts and session.noweb.core.ts), so groups that are written to are not ignored. What
        # people write in groups comes with them, and `receive` passes over it.
        "ignore": {"status": True, "groups": False, "channels": True, "broadcast": True},
        # The store answers lookups; fullSync would copy years of chats to the server.
        "noweb": {"markOnline": False, "store": {"enabled": True, "fullSync": False}},
        # Without it WEBJS leaves acknowledgements out (github.com/devlikeapro/waha/issues/1311).
        "webjs": {"tagsEventsOn": True},
        "webhooks": [
            {
                "url": webhook.url,
                "events": list(EVENTS),
                "hmac": {"key": sender.webhook_secret.reveal()},
                "retries": {"policy": "exponential", "delaySeconds": 2, "attempts": 10},
            }
        ],
    }


def holds(present: object, wanted: object, *, trust_masked: bool = False) -> bool:
    """Whether a configuration is as we want it; what it says beyond that is WAHA's own, or its administrator's.

    Lists are compared whole: one webhook more would be somebody else's. With ``trust_masked`` a value that is shown
    as asterisks counts as equal.
    """
    if isinstance(wanted, Mapping):
        return isinstance(present, Mapping) and all(
            holds(present.get(key), value, trust_masked=trust_masked) for key, value in wanted.items()
        )
    if isinstance(wanted, list) and isinstance(present, list):
        return len(present) == len(wanted) and all(
            holds(one, other, trust_masked=trust_masked) for one, other in zip(present, wanted, strict=True)
        )
    masked = isinstance(present, str) and bool(present) and not present.strip("*")
    return present == wanted or (trust_masked and masked)


def delivers(present: object, wanted: Mapping[str, object]) -> bool:
    """Whether the events of a session still reach core under its name and its secret.

    A secret that WAHA masks cannot be compared: to set it anew each time would restart the session for ever.
    """
    return holds(present, {name: wanted[name] for name in _WATCHED}, trust_masked=True)


def merged(present: object, wanted: Mapping[str, object]) -> dict[str, object]:
    """Return the configuration for a PUT, which replaces all of it: ours, and what others set beside it."""
    if not isinstance(present, Mapping):
        return dict(wanted)
    both = {
        key: merged(present.get(key), value) if isinstance(value, Mapping) else value for key, value in wanted.items()
    }
    return {**present, **both}
