"""A number's instance on an Evolution server: create, sign in, ask, silence, sign out, delete."""

from collections.abc import Collection
from urllib.parse import quote

import httpx
import msgspec

from core.plugin import (
    Challenge,
    MisconfiguredError,
    ProviderError,
    RefusedError,
    Sender,
    SenderReport,
    SenderState,
    WebhookTarget,
    decode,
)
from plugins.evolution.connection import ABSENT, Change, Connection, is_first, jid_of, path_of
from plugins.evolution.failures import read_failure, read_part

EVENTS = ("CONNECTION_UPDATE", "QRCODE_UPDATED", "MESSAGES_UPSERT", "MESSAGES_UPDATE", "SEND_MESSAGE")
"""Known to every version: one that a server does not know makes it refuse the whole webhook."""
SECRET_HEADER = "X-Recado-Secret"  # noqa: S105 - its name
SECRET_PARAMETER = "secret"  # noqa: S105 - its name
"""Version 1 sends no headers of ours, so the secret stands in the address."""
SIGNED_OUT = frozenset({401, 402, 403, 406})
"""Reasons after which the server does not connect again by itself."""

_SIGNING_OUT = "signing the number out"
_BAD_REQUEST = 400
_FORBIDDEN = 403


class _Instance(msgspec.Struct, rename="camel"):
    """An instance as listed: flat in version 2, inside ``instance`` in version 1; its tokens are never read."""

    name: str | None = None
    instance_name: str | None = None
    owner_jid: str | None = None
    owner: str | None = None
    profile_name: str | None = None
    disconnection_reason_code: int | None = None
    instance: "_Instance | None" = None


class _State(msgspec.Struct):
    state: str = ""


class _Connected(msgspec.Struct):
    instance: _State


class _Code(msgspec.Struct, rename="camel"):
    code: str | None = None
    pairing_code: str | None = None


class _Webhook(msgspec.Struct):
    url: str = ""
    enabled: bool = True


class Instances:
    """The ``SignIn`` group of the provider."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def open(self, sender: Sender, webhook: WebhookTarget) -> SenderReport:
        """Create the instance with its webhook, or give an existing one the webhook, and connect it."""
        doing = "creating the instance"
        create = Change("POST", "/instance/create", _creation(sender, webhook))
        answer = await self._connection.change(sender.server, create, doing=doing, accept=(_FORBIDDEN,))
        if answer.status_code != _FORBIDDEN:
            return SenderReport(state=SenderState.SIGN_IN, raw="created")
        if not read_failure(answer.content).says("already in use"):
            text = "The server refused to create an instance: check that its key is the global one."
            raise MisconfiguredError(text, http_status=_FORBIDDEN)
        await self._set_webhook(sender, _webhook(sender, webhook))
        report = await self.state(sender)
        if report.state is SenderState.FAILED:
            await self._connect(sender, "")
            report = await self.state(sender)
        return report

    async def challenge(self, sender: Sender, phone: str = "") -> Challenge:
        """Return the QR text, or a pairing code for ``phone``."""
        answer = await self._connect(sender, phone)
        if phone and not answer.pairing_code:
            answer = await self._connect_anew(sender, phone)
        value = answer.pairing_code if phone else answer.code
        if not value:
            raise RefusedError("The server has no code for this number now: it is connected, or try again in a moment.")
        return Challenge(kind="pairing_code" if phone else "qr", value=value)

    async def state(self, sender: Sender) -> SenderReport:
        """Ask for the state, and for the account behind it."""
        doing = "asking for the instance's state"
        answer = await self._connection.get(
            sender.server, path_of("/instance/connectionState", sender), {}, doing=doing, accept=(ABSENT,)
        )
        if answer.status_code == ABSENT:
            if read_failure(answer.content).says("instance does not exist"):
                return SenderReport(state=SenderState.STOPPED)
            raise RefusedError("Something answered that is no Evolution API: check the server's address.")
        found = decode(answer, _Connected, doing).instance
        listed = await self._listed(sender)
        owner = listed.owner_jid or listed.owner or ""
        raw = read_reason(found.state, listed.disconnection_reason_code)
        if found.state == "connecting":
            state = SenderState.STARTING if owner else SenderState.SIGN_IN
            return SenderReport(state=state, raw=raw)
        if found.state != "open":
            known = found.state in {"close", "refused"}
            return SenderReport(state=SenderState.FAILED if known else SenderState.NEEDS_PERSON, raw=raw)
        return SenderReport(
            state=SenderState.CONNECTED,
            raw=raw,
            address=jid_of(owner) if owner else "",
            name=listed.profile_name or "",
        )

    async def stop(self, sender: Sender) -> None:
        """Switch the webhook off: there is no way to disconnect an instance and keep its sign-in."""
        doing = "looking for the instance's webhook"
        answer = await self._connection.get(
            sender.server, path_of("/webhook/find", sender), {}, doing=doing, accept=(ABSENT,)
        )
        present = read_part(answer.content, _Webhook)
        if answer.status_code == ABSENT or present is None or not present.enabled or not present.url:
            return
        await self._set_webhook(sender, _silence(sender, present.url))

    async def sign_out(self, sender: Sender) -> None:
        """Log the instance out and delete it.

        One that is not connected (400) may hold its sign-in all the same, and one that was logged out goes on to name
        its last account, so that nobody could tell whether it waits for a scan.
        """
        answer = await self._log_out(sender)
        # Older servers need a moment before they take one that they have logged out for disconnected.
        accept = (ABSENT,) if answer.status_code == _BAD_REQUEST else (_BAD_REQUEST, ABSENT)
        await self._delete("/instance/delete", sender, _SIGNING_OUT, accept)

    async def remove(self, sender: Sender) -> None:
        """Delete the instance; servers refuse it (400) while it is connected, so it is logged out then."""
        doing = "deleting the instance"
        answer = await self._delete("/instance/delete", sender, doing, (_BAD_REQUEST, ABSENT))
        if answer.status_code == _BAD_REQUEST:
            await self._log_out(sender)
            await self._delete("/instance/delete", sender, doing, (ABSENT,))

    async def _log_out(self, sender: Sender) -> httpx.Response:
        return await self._delete("/instance/logout", sender, _SIGNING_OUT, (_BAD_REQUEST, ABSENT))

    async def _delete(self, path: str, sender: Sender, doing: str, accept: Collection[int]) -> httpx.Response:
        call = Change("DELETE", path_of(path, sender))
        return await self._connection.change(sender.server, call, doing=doing, accept=accept)

    async def _set_webhook(self, sender: Sender, body: object) -> None:
        call = Change("POST", path_of("/webhook/set", sender), body)
        await self._connection.change(sender.server, call, doing="setting the webhook")

    async def _connect(self, sender: Sender, phone: str) -> _Code:
        doing = "connecting the instance"
        params = {"number": phone} if phone else {}
        answer = await self._connection.get(sender.server, path_of("/instance/connect", sender), params, doing=doing)
        return decode(answer, _Code, doing)

    async def _connect_anew(self, sender: Sender, phone: str) -> _Code:
        """Ask for a pairing code again: it is made only while an instance begins to connect.

        An instance that shows its QR code is logged out for that, unless it has been signed in: that would be lost.
        """
        if (await self.state(sender)).state is not SenderState.SIGN_IN:
            raise RefusedError("The number cannot be paired now: it is connected, or sign it out first.")
        await self._log_out(sender)
        return await self._connect(sender, phone)

    async def _listed(self, sender: Sender) -> _Instance:
        """Return what the server lists of the instance; nothing where it lists none, which changes no state."""
        try:
            answer = await self._connection.get(
                sender.server,
                "/instance/fetchInstances",
                {"instanceName": sender.instance},
                doing="asking who the instance is",
            )
        except ProviderError:
            return _Instance()
        one = read_part(answer.content, _Instance)
        listed = [one] if one is not None else read_part(answer.content, list[_Instance]) or []
        inner = [each.instance or each for each in listed]
        return next((each for each in inner if sender.instance in {each.name, each.instance_name}), _Instance())


def read_reason(state: str, code: int | None) -> str:
    """Name a state with the reason of a disconnection, for example ``close 401``."""
    return f"{state} {code}" if state == "close" and code is not None else state


def _creation(sender: Sender, webhook: WebhookTarget) -> dict[str, object]:
    body: dict[str, object] = {
        "instanceName": sender.instance,
        "integration": "WHATSAPP-BAILEYS",
        "qrcode": True,
    }
    if is_first(sender.capabilities):
        settings = {
            "reject_call": False,
            "groups_ignore": True,
            "always_online": False,
            "read_messages": False,
            "read_status": False,
        }
        hook = _webhook(sender, webhook)
        flat = {"webhook": hook["url"], **{name: hook[name] for name in hook if name not in {"url", "enabled"}}}
        return {**body, **settings, **flat}
    settings = {
        "rejectCall": False,
        "groupsIgnore": True,
        "alwaysOnline": False,
        "readMessages": False,
        "syncFullHistory": False,
    }
    return {**body, **settings, **_webhook(sender, webhook)}


def _webhook(sender: Sender, webhook: WebhookTarget) -> dict[str, object]:
    """Build the body of ``/webhook/set``: nested and with a header in version 2, flat in version 1."""
    if is_first(sender.capabilities):
        mark = "&" if "?" in webhook.url else "?"
        secret = quote(sender.webhook_secret.reveal(), safe="")
        return _first_webhook(f"{webhook.url}{mark}{SECRET_PARAMETER}={secret}", EVENTS)
    headers = {SECRET_HEADER: sender.webhook_secret.reveal()}
    return _second_webhook(webhook.url, EVENTS, headers)


def _silence(sender: Sender, url: str) -> dict[str, object]:
    return _first_webhook(url, ()) if is_first(sender.capabilities) else _second_webhook(url, (), {})


def _first_webhook(url: str, events: Collection[str]) -> dict[str, object]:
    return {
        "enabled": bool(events),
        "url": url,
        "webhook_by_events": False,
        "webhook_base64": False,
        "events": list(events),
    }


def _second_webhook(url: str, events: Collection[str], headers: dict[str, str]) -> dict[str, object]:
    hook = {
        "enabled": bool(events),
        "url": url,
        "byEvents": False,
        "base64": False,
        "headers": headers,
        "events": list(events),
    }
    return {"webhook": hook}
