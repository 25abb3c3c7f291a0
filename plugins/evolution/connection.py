"""How an Evolution API server is called: its key, its instances' names, its two dialects and its addresses."""

from collections.abc import Collection, Mapping
from urllib.parse import quote

import httpx
import msgspec

from core.plugin import (
    Capabilities,
    Client,
    MisconfiguredError,
    Secret,
    Sender,
    Server,
    UnavailableError,
    UncertainError,
)
from plugins.evolution.failures import LICENSE_REQUIRED, hides_error, needs_license

QUICK_SECONDS = 20.0
"""Limit of reads; connecting waits 2 s for its QR code."""
SLOW_SECONDS = 40.0
"""Limit of what changes an instance; creating one waits 5 s for its QR code."""
ABSENT = 404
_UNAVAILABLE = 503
_PHONE_HOST = "s.whatsapp.net"
_GROUP = "@g.us"
_DIGITS = 9


class EvolutionCredentials(msgspec.Struct, frozen=True, kw_only=True):
    """What an Evolution server row needs beside its url."""

    api_key: Secret


class Change(msgspec.Struct, frozen=True):
    """A call that changes something, with a JSON body, or a POST that asks for something."""

    method: str
    path: str
    body: object = None
    limit_seconds: float = SLOW_SECONDS


class Connection:
    """Calls Evolution API servers over one connection pool."""

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
        """GET ``path``; raises as ``change``."""
        request = self.http.build_request("GET", url_of(server, path), headers=headers_of(server), params=params)
        return await self._call(request, doing, limit_seconds, accept)

    async def change(self, server: Server, call: Change, *, doing: str, accept: Collection[int] = ()) -> httpx.Response:
        """Do a call once.

        Raises:
            MisconfiguredError: The server waits for its licence to be activated, or as ``Client.call``.
            UncertainError: It answered 200 with an error inside, or as ``Client.call``.
            ProviderError: As ``Client.call``.
        """
        content = b"" if call.body is None else msgspec.json.encode(call.body)
        request = self.http.build_request(
            call.method, url_of(server, call.path), headers=headers_of(server), content=content
        )
        return await self._call(request, doing, call.limit_seconds, accept)

    async def _call(
        self, request: httpx.Request, doing: str, limit_seconds: float, accept: Collection[int]
    ) -> httpx.Response:
        answer = await self.http.call(request, doing=doing, limit_seconds=limit_seconds, accept=(*accept, _UNAVAILABLE))
        origin = f"{request.url.scheme}://{request.url.netloc.decode('ascii')}"
        if needs_license(answer):
            text = f"{origin} refuses everything until its licence is activated: open its own page and activate it"
            raise MisconfiguredError(text, http_status=answer.status_code, provider_code=LICENSE_REQUIRED)
        if answer.status_code == _UNAVAILABLE:
            raise UnavailableError(f"{origin} answered 503 while {doing}: try again later", http_status=_UNAVAILABLE)
        if answer.is_success and hides_error(answer):
            text = f"{origin} answered {answer.status_code} with an error inside while {doing}; it may have been done"
            raise UncertainError(text, http_status=answer.status_code)
        return answer


def url_of(server: Server, path: str) -> str:
    """Join a server's address and a path that starts with a slash."""
    return server.url.rstrip("/") + path


def headers_of(server: Server) -> dict[str, str]:
    """Return the headers of every request: JSON, and the global key."""
    headers = {"Content-Type": "application/json"}
    if isinstance(server.credentials, EvolutionCredentials):
        headers["apikey"] = server.credentials.api_key.reveal()
    return headers


def is_first(capabilities: Capabilities) -> bool:
    """Whether the server speaks the dialect of version 1; one that was never probed is taken for the present one."""
    return capabilities.version.startswith("1.")


def number_of(version: str) -> tuple[int, ...]:
    """Read a version such as ``2.4.0-rc1`` as numbers; nothing where it is none."""
    parts = version.strip().removeprefix("v").partition("-")[0].split(".")
    are_numbers = all(part.isascii() and part.isdecimal() and len(part) <= _DIGITS for part in parts)
    return tuple(int(part) for part in parts) if are_numbers else ()


def path_of(call: str, sender: Sender) -> str:
    """Return the path of a call of the sender's instance, for example ``/message/sendText/snd_17``."""
    return f"{call}/{quote(sender.instance, safe='')}"


def jid_of(address: str) -> str:
    """Return the address in the server's form: digits become ``<digits>@s.whatsapp.net``, without a device number."""
    user, _, host = address.partition("@")
    return f"{user.partition(':')[0]}@{_PHONE_HOST if host in {'', 'c.us'} else host}"


def recipient_of(address: str) -> str:
    """Return what ``number`` takes: plain digits stay, so that the server finds the account behind them."""
    return jid_of(address) if "@" in address else address


def phone_of(address: str) -> str:
    """Return the digits of a person's address, or nothing for lids, groups and channels."""
    user, _, host = jid_of(address).partition("@")
    return user if host == _PHONE_HOST and user.isascii() and user.isdecimal() else ""


def is_group(address: str) -> bool:
    """Whether a message to the address reaches a group."""
    return address.endswith(_GROUP)
