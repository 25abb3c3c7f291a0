"""A number's instance on an Evolution server: create, sign in, ask, restart, silence, sign out, delete."""

from collections.abc import Collection, Mapping

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
    UncertainError,
    WebhookTarget,
    decode,
)
from plugins.evolution.connection import ABSENT, Change, Connection, is_first, jid_of, path_of
from plugins.evolution.failures import LICENSE_REQUIRED, read_failure, read_part
from plugins.evolution.hooks import Hooks, build_webhook

SIGNED_OUT = frozenset({401, 402, 403, 406})
"""Reasons after which the server does not connect again by itself."""

_SIGNING_OUT = "signing the number out"
_RESTARTING = "restarting the instance"
_FORGOTTEN = frozenset(f"close {code}" for code in SIGNED_OUT)
_FIRST_SETTINGS: Mapping[str, object] = {
    "reject_call": False,
    "msg_call": "",
    "groups_ignore": False,
    "always_online": False,
    "read_messages": False,
    "read_status": False,
    "sync_full_history": False,
}
_SECOND_SETTINGS: Mapping[str, object] = {
    "rejectCall": False,
    "msgCall": "",
    "groupsIgnore": False,
    "alwaysOnline": False,
    "readMessages": False,
    "readStatus": False,
    "syncFullHistory": False,
    "wavoipToken": "",
}
"""Of the ``settingsSchema`` of each version; all are required by one or another."""
_CREATED_WITH = ("rejectCall", "groupsIgnore", "alwaysOnline", "readMessages", "syncFullHistory")
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


class _Settings(msgspec.Struct, rename="camel"):
    """An instance's settings: in version 1 ``groups_ignore`` and the like, in version 2 in camel case."""

    groups_ignore: object = False
    first_groups_ignore: object = msgspec.field(name="groups_ignore", default=False)


class Instances:
    """The ``SignIn`` group of the provider."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._hooks = Hooks(connection)

    async def open(self, sender: Sender, webhook: WebhookTarget) -> SenderReport:
        """Create the instance with its webhook, or give an existing one the webhook, and connect it.

        Version 1 creates every instance with groups ignored, whatever it is asked for (``groups_ignore || true`` in
        src/api/controllers/instance.controller.ts of 1.8), so that is set right before it connects.
        """
        doing = "creating the instance"
        create = Change("POST", "/instance/create", _creation(sender, webhook))
        answer = await self._connection.change(sender.server, create, doing=doing, accept=(_FORBIDDEN,))
        if answer.status_code != _FORBIDDEN:
            if is_first(sender.capabilities):
                await self._set_settings(sender, {})
                await self._connect(sender, "")
            return SenderReport(state=SenderState.SIGN_IN, raw="created")
        if not read_failure(answer.content).says("already in use"):
            text = "The server refused to create an instance: check that its key is the global one."
            raise MisconfiguredError(text, http_status=_FORBIDDEN)
        await self._hooks.set(sender, webhook)
        await self._hear_groups(sender)
        return await self._connected(sender, await self.state(sender))

    async def restart(self, sender: Sender) -> SenderReport:
        """Restart the instance, and connect it where it is closed but signed in.

        A closed one is refused by version 2, with an error inside a success, and left as it is by version 1.
        """
        method = "PUT" if is_first(sender.capabilities) else "POST"
        call = Change(method, path_of("/instance/restart", sender))
        refusal: UncertainError | None = None
        try:
            answer = await self._connection.change(sender.server, call, doing=_RESTARTING, accept=(ABSENT,))
            if answer.status_code == ABSENT:
                raise RefusedError("The server does not know this number: connect it again.", http_status=ABSENT)
        except UncertainError as error:
            if error.http_status != httpx.codes.OK:
                raise
            refusal = error
        report = await self.state(sender)
        if refusal is not None and report.state is not SenderState.FAILED:
            raise refusal
        return report if report.raw in _FORGOTTEN else await self._connected(sender, report)

    async def repair_webhook(self, sender: Sender, webhook: WebhookTarget) -> bool:
        """Set the webhook where it is not ours, but of a number that is closed or that nobody knows."""
        if not await self._hooks.differs(sender, webhook):
            return False
        if (await self.state(sender)).state in {SenderState.STOPPED, SenderState.FAILED}:
            return False
        await self._hooks.set(sender, webhook)
        return True

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

    async def find_owner(self, sender: Sender) -> str:
        """Return the address of the account behind the instance, or nothing where the server does not tell."""
        listed = await self._listed(sender)
        owner = listed.owner_jid or listed.owner or ""
        return jid_of(owner) if owner else ""

    async def stop(self, sender: Sender) -> None:
        """Switch the webhook off: there is no way to disconnect an instance and keep its sign-in."""
        await self._hooks.silence(sender)

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

    async def _hear_groups(self, sender: Sender) -> None:
        """See to it that the instance does not ignore groups; its other settings stay.

        One that ignores them drops the receipts of what it sent to a group, and the wish of a member's phone to get a
        message again (``shouldIgnoreJid`` of the engine), so that some never can read it; version 1 also neither lists
        groups nor sends to them. What people write in groups comes in then, and is passed over.
        """
        doing = "asking for the instance's settings"
        answer = await self._connection.get(
            sender.server, path_of("/settings/find", sender), {}, doing=doing, accept=(ABSENT,)
        )
        present = read_part(answer.content, _Settings)
        if present is not None and (present.groups_ignore is True or present.first_groups_ignore is True):
            await self._set_settings(sender, read_part(answer.content, dict[str, object]) or {})

    async def _set_settings(self, sender: Sender, present: Mapping[str, object]) -> None:
        """Write the settings whole, as the server wants them, with what is ``present`` kept."""
        defaults = _FIRST_SETTINGS if is_first(sender.capabilities) else _SECOND_SETTINGS
        ignore = "groups_ignore" if is_first(sender.capabilities) else "groupsIgnore"
        body = {name: _kept(present.get(name), default) for name, default in defaults.items()}
        call = Change("POST", path_of("/settings/set", sender), {**body, ignore: False})
        await self._connection.change(sender.server, call, doing="setting the instance's settings")

    async def _connected(self, sender: Sender, report: SenderReport) -> SenderReport:
        """Connect the instance where ``report`` says that it is closed; return its state."""
        if report.state is not SenderState.FAILED:
            return report
        await self._connect(sender, "")
        return await self.state(sender)

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
        """Return what the server lists of the instance; nothing where it lists none, which changes no state.

        Raises:
            MisconfiguredError: The server waits for its licence.
        """
        try:
            answer = await self._connection.get(
                sender.server,
                "/instance/fetchInstances",
                {"instanceName": sender.instance},
                doing="asking who the instance is",
            )
        except ProviderError as error:
            if error.provider_code == LICENSE_REQUIRED:
                raise
            return _Instance()
        one = read_part(answer.content, _Instance)
        listed = [one] if one is not None else read_part(answer.content, list[_Instance]) or []
        inner = [each.instance or each for each in listed]
        return next((each for each in inner if sender.instance in {each.name, each.instance_name}), _Instance())


def read_reason(state: str, code: int | None) -> str:
    """Name a state with the reason of a disconnection, for example ``close 401``."""
    return f"{state} {code}" if state == "close" and code is not None else state


def _creation(sender: Sender, webhook: WebhookTarget) -> dict[str, object]:
    """Build the body of ``/instance/create``; version 2 shows its QR code at once, version 1 is set right before."""
    body: dict[str, object] = {"instanceName": sender.instance, "integration": "WHATSAPP-BAILEYS"}
    hook = build_webhook(sender, webhook)
    if is_first(sender.capabilities):
        flat = {"webhook": hook["url"], **{name: hook[name] for name in hook if name not in {"url", "enabled"}}}
        return {**body, "qrcode": False, **flat}
    settings = {name: _SECOND_SETTINGS[name] for name in _CREATED_WITH}
    return {**body, "qrcode": True, **settings, **hook}


def _kept(value: object, default: object) -> object:
    return value if type(value) is type(default) else default
