"""How a WAHA server is called: its key, its sessions' names, its addresses and its message ids."""

from collections.abc import Collection, Mapping
from typing import Final, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from core.plugin import Client, Secret, Sender, Server

QUICK_SECONDS = 20.0
"""Limit of reads: WAHA waits 10 to 15 s before it says that a session has the wrong status."""
SLOW_SECONDS = 30.0
"""Limit of start, stop, logout and delete, which take 3 to 5 s."""
BROWSER_ENGINES: Final = frozenset({"WEBJS", "WPP"})
"""Engines that drive a Chromium; the others speak WhatsApp's protocol themselves."""
NOTHING: Final = msgspec.Raw(b"{}")
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a JSON decoder may raise."""

_T = TypeVar("_T")


class WahaCredentials(msgspec.Struct, frozen=True, kw_only=True):
    """What a WAHA server row needs beside its url."""

    api_key: Secret | None = None


class Connection:
    """Calls WAHA servers over one connection pool."""

    def __init__(self, http: Client) -> None:
        self.http = http

    async def get(
        self,
        server: Server,
        path: str,
        params: Mapping[str, str],
        *,
        doing: str,
        accept: Collection[int] = (),
        limit_seconds: float = QUICK_SECONDS,
    ) -> httpx.Response:
        """GET ``path``; raises as ``Client.call``."""
        request = self.http.build_request("GET", url_of(server, path), headers=headers_of(server), params=params)
        return await self.http.call(request, doing=doing, limit_seconds=limit_seconds, accept=accept)

    async def change(
        self, server: Server, call: "Change", *, doing: str, accept: Collection[int] = ()
    ) -> httpx.Response:
        """Do a call that changes something, once; raises as ``Client.call``."""
        content = b"" if call.body is None else msgspec.json.encode(call.body)
        request = self.http.build_request(
            call.method, url_of(server, call.path), headers=headers_of(server), content=content
        )
        return await self.http.call(request, doing=doing, limit_seconds=call.limit_seconds, accept=accept)


class Change(msgspec.Struct, frozen=True):
    """A POST, PUT or DELETE with a JSON body."""

    method: str
    path: str
    body: object = None
    limit_seconds: float = SLOW_SECONDS


def url_of(server: Server, path: str) -> str:
    """Join a server's address and a path that starts with a slash."""
    return server.url.rstrip("/") + path


def headers_of(server: Server) -> dict[str, str]:
    """Return the headers of every request: JSON, and the key where the server has one."""
    key = server.credentials.api_key if isinstance(server.credentials, WahaCredentials) else None
    if key is None:
        return {"Content-Type": "application/json"}
    return {"Content-Type": "application/json", "X-Api-Key": key.reveal()}


def session_of(sender: Sender) -> str:
    """Return the session's name: WAHA Core before 2026.6.1 knows ``default`` alone."""
    return sender.instance if sender.capabilities.multi_session else "default"


def session_path(sender: Sender) -> str:
    """Return the session's name as a part of a path."""
    return quote(session_of(sender), safe="")


def chat_id(address: str) -> str:
    """Return the address WAHA sends to: plain digits become ``<digits>@c.us``, other addresses stay.

    ``@s.whatsapp.net``, the engines' inner form of ``@c.us``, is never sent to.
    """
    if "@" not in address:
        return f"{address}@c.us"
    return plain_address(address)


def plain_address(address: str) -> str:
    """Turn an engine's inner form into WAHA's: no device number, ``@c.us`` for ``@s.whatsapp.net``."""
    user, at, host = address.partition("@")
    return f"{user.partition(':')[0]}{at}{'c.us' if host == 's.whatsapp.net' else host}"


def is_group(address: str) -> bool:
    """Whether an address is a group's."""
    return address.endswith("@g.us")


def phone_of(address: str) -> str:
    """Return the digits of a person's address, or nothing for lids, groups and channels."""
    user, _, host = plain_address(address).partition("@")
    return user if host == "c.us" and user.isdecimal() else ""


def split_id(message_id: str) -> tuple[str, str]:
    """Split a serialized id ``true_<chat>_<raw>[_<participant>]`` into raw id and chat; a raw id has no chat.

    The participant, who is in the ids of groups alone, is the number itself in those of its own messages.
    """
    parts = message_id.split("_")
    return (parts[2], plain_address(parts[1])) if len(parts) > 2 else (message_id, "")  # noqa: PLR2004 - see above


def part(raw: msgspec.Raw, kind: type[_T]) -> _T | None:
    """Decode what differs between engines and versions; nothing, where it has another shape."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except UNREADABLE:
        return None
