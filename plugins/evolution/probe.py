"""What an Evolution API server can do, derived from its version, and what it holds."""

import msgspec

from core.plugin import Capabilities, MessageKind, RefusedError, Server, ServerReport, UncertainError, decode
from plugins.evolution.connection import ABSENT, SLOW_SECONDS, Connection, number_of

_DOING = "asking for Evolution API's version"
_MEDIA = (MessageKind.IMAGE, MessageKind.AUDIO, MessageKind.DOCUMENT, MessageKind.VIDEO)
_FIRST_KNOWN = (1, 7)
_LICENSED_SINCE = (2, 4)
_SUPPORTED = {1, 2}


class _Welcome(msgspec.Struct):
    version: str


class _Inner(msgspec.Struct):
    status: object = None


class _Listed(msgspec.Struct, rename="camel"):
    """An instance as far as it is counted: flat in version 2, inside ``instance`` in version 1; tokens are not read."""

    connection_status: object = None
    instance: _Inner | None = None

    @property
    def is_open(self) -> bool:
        return "open" in (self.connection_status, self.instance.status if self.instance else None)


async def probe(connection: Connection, server: Server) -> Capabilities:
    """Ask ``GET /`` for the version, then something that needs the key: the first is open to everybody.

    Raises:
        MisconfiguredError: The key is wrong, or the server (2.4 and newer) waits for its licence to be activated.
        RefusedError: Something answers there that is no Evolution API, or another one than 1 and 2.
        ProviderError: As ``Connection.change``.
    """
    found = derive(await _version(connection, server))
    # Of an instance that nobody has: fetching all of them would answer with the tokens of all.
    await connection.get(
        server,
        "/instance/fetchInstances",
        {"instanceName": "recado-probe"},
        doing="checking the key",
        accept=(ABSENT,),
    )
    return found


async def report(connection: Connection, server: Server) -> ServerReport:
    """Count the instances; a server tells nothing of its memory or its start.

    Raises:
        ProviderError: As ``probe``.
    """
    doing = "counting the instances"
    version = derive(await _version(connection, server)).version
    answer = await connection.get(server, "/instance/fetchInstances", {}, doing=doing, limit_seconds=SLOW_SECONDS)
    listed = decode(answer, list[_Listed], doing)
    return ServerReport(version=version, sessions=len(listed), connected=sum(one.is_open for one in listed))


async def _version(connection: Connection, server: Server) -> str:
    try:
        return decode(await connection.get(server, "/", {}, doing=_DOING), _Welcome, _DOING).version
    except (RefusedError, UncertainError) as error:
        text = f"{error}. Is there an Evolution API server at this address?"
        raise RefusedError(text, http_status=error.http_status) from None


def derive(version: str) -> Capabilities:
    """Turn a version into capabilities.

    Raises:
        RefusedError: Neither version 1 nor 2.
    """
    numbers = number_of(version)
    if numbers[:1] not in {(major,) for major in _SUPPORTED}:
        raise RefusedError("The server is no Evolution API of version 1 or 2: only these are supported.")
    return Capabilities(
        version=version,
        receipts="read",
        media=_MEDIA,
        number_check="bulk",
        sign_in=("qr", "pairing_code"),
        typing=True,
        seen=True,
        link_preview=True,
        contacts=True,
        groups=True,
        warnings=tuple(_warnings(numbers)),
    )


def _warnings(version: tuple[int, ...]) -> list[str]:
    found = ["Evolution API takes no message ids: a send that gets no answer may need a person's decision."]
    if version < _FIRST_KNOWN:
        found.append("Evolution API before 1.7 was never tried: update it.")
    elif version[0] == 1:
        found.append("Evolution API 1 is no longer developed: update it to 2.3 when you can.")
    elif version >= _LICENSED_SINCE:
        found.append("Evolution API 2.4 and newer stops all sending whenever its licence is not active.")
    return found
