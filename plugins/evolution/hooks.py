"""A number's webhook on its server: what it has to be, how it is set, silenced and repaired.

Version 2 nests it and sends headers of ours with each delivery (src/api/integrations/event/webhook of the server's
source, from 2.1.2 on); version 1 is flat and has none (src/api/services/webhook.service.ts of 1.8).
"""

from collections.abc import Collection, Mapping
from urllib.parse import quote

import msgspec

from core.plugin import Capabilities, Sender, WebhookTarget, decode
from plugins.evolution.connection import ABSENT, Change, Connection, is_first, number_of, path_of

EVENTS = ("CONNECTION_UPDATE", "QRCODE_UPDATED", "MESSAGES_UPSERT", "MESSAGES_UPDATE", "SEND_MESSAGE")
"""Known to every version: one that a server does not know makes it refuse the whole webhook."""
SECRET_HEADER = "X-Recado-Secret"  # noqa: S105 - its name
SECRET_PARAMETER = "secret"  # noqa: S105 - its name
"""Where a server sends no headers of ours, the secret stands in the address."""

_HEADERS_SINCE = (2, 1, 2)
_LOOKING = "looking for the instance's webhook"


class _Present(msgspec.Struct):
    """A webhook as a server shows it, version 2 first; each part may be anything."""

    url: object = ""
    enabled: object = True
    events: object = ()
    headers: object = None
    by_events: object = msgspec.field(name="webhookByEvents", default=None)
    base64: object = msgspec.field(name="webhookBase64", default=None)
    first_by_events: object = msgspec.field(name="webhook_by_events", default=None)
    first_base64: object = msgspec.field(name="webhook_base64", default=None)


class Hooks:
    """The webhooks of a server's instances."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def set(self, sender: Sender, webhook: WebhookTarget) -> None:
        """Set the webhook, whatever is there."""
        await self._set(sender, build_webhook(sender, webhook))

    async def silence(self, sender: Sender) -> None:
        """Switch the webhook off, where there is one."""
        present = await self._find(sender)
        if present is None or not present.enabled or not isinstance(present.url, str) or not present.url:
            return
        silent = _first(present.url, ()) if is_first(sender.capabilities) else _second(present.url, (), {})
        await self._set(sender, silent)

    async def differs(self, sender: Sender, webhook: WebhookTarget) -> bool:
        """Whether the webhook that is set is another one than ours, or there is none."""
        present = await self._find(sender)
        return present is None or not self._fits(present, sender, webhook)

    def _fits(self, present: _Present, sender: Sender, webhook: WebhookTarget) -> bool:
        events = present.events if isinstance(present.events, list) else ()
        return (
            present.enabled is True
            and present.url == address_of(sender, webhook)
            and {event for event in events if isinstance(event, str)} == set(EVENTS)
            and (is_first(sender.capabilities) or (present.headers or {}) == headers_of(sender))
            and not any((present.by_events, present.base64, present.first_by_events, present.first_base64))
        )

    async def _find(self, sender: Sender) -> _Present | None:
        """Return what is set; nothing where there is no webhook, or no such instance."""
        answer = await self._connection.get(
            sender.server, path_of("/webhook/find", sender), {}, doing=_LOOKING, accept=(ABSENT,)
        )
        if answer.status_code == ABSENT or answer.content in {b"", b"null"}:
            return None
        return decode(answer, _Present, _LOOKING)

    async def _set(self, sender: Sender, body: object) -> None:
        call = Change("POST", path_of("/webhook/set", sender), body)
        await self._connection.change(sender.server, call, doing="setting the webhook")


def build_webhook(sender: Sender, webhook: WebhookTarget) -> dict[str, object]:
    """Build the body of ``/webhook/set``; version 2 takes the same object in a creation."""
    address = address_of(sender, webhook)
    if is_first(sender.capabilities):
        return _first(address, EVENTS)
    return _second(address, EVENTS, headers_of(sender))


def address_of(sender: Sender, webhook: WebhookTarget) -> str:
    """Return the address that the server has to call, with the secret where no header can carry it."""
    if _sends_headers(sender.capabilities):
        return webhook.url
    mark = "&" if "?" in webhook.url else "?"
    return f"{webhook.url}{mark}{SECRET_PARAMETER}={quote(sender.webhook_secret.reveal(), safe='')}"


def headers_of(sender: Sender) -> Mapping[str, str]:
    """Return the headers that the server has to send with each delivery."""
    return {SECRET_HEADER: sender.webhook_secret.reveal()} if _sends_headers(sender.capabilities) else {}


def _sends_headers(capabilities: Capabilities) -> bool:
    """Whether the server keeps headers for its deliveries; one that was never probed is taken for the present one."""
    version = number_of(capabilities.version)
    return not version or version >= _HEADERS_SINCE


def _first(url: str, events: Collection[str]) -> dict[str, object]:
    return {
        "enabled": bool(events),
        "url": url,
        "webhook_by_events": False,
        "webhook_base64": False,
        "events": list(events),
    }


def _second(url: str, events: Collection[str], headers: Mapping[str, str]) -> dict[str, object]:
    hook = {
        "enabled": bool(events),
        "url": url,
        "byEvents": False,
        "base64": False,
        "headers": dict(headers),
        "events": list(events),
    }
    return {"webhook": hook}
