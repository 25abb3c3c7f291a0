"""What a WAHA server can do, derived from its version, engine and tier; nobody is asked."""

import msgspec

from core.plugin import Capabilities, MessageKind, RefusedError, Server, UncertainError, decode
from plugins.waha.connection import BROWSER_ENGINES, Connection

_DOING = "asking for WAHA's version"
_CLIENT_IDS_SINCE = (2026, 4, 3)
_FREE_SINCE = (2026, 6, 1)
_ENGINES_WITH_IDS = {"NOWEB", "GOWS"}
_ENGINES = _ENGINES_WITH_IDS | BROWSER_ENGINES
"""Those whose lists of contacts and groups ``contacts`` reads."""
_MEDIA = (MessageKind.IMAGE, MessageKind.AUDIO, MessageKind.DOCUMENT, MessageKind.VIDEO)


class Version(msgspec.Struct):
    """What ``GET /api/server/version`` answers."""

    version: str
    engine: str
    tier: str = "CORE"


async def probe(connection: Connection, server: Server) -> Capabilities:
    """Ask for the version and say what follows from it; raises as ``ask_version``."""
    return derive(await ask_version(connection, server))


async def ask_version(connection: Connection, server: Server) -> Version:
    """Ask ``GET /api/server/version``.

    Raises:
        RefusedError: Something answers there that is no WAHA.
        ProviderError: As ``Client.call``.
    """
    try:
        response = await connection.get(server, "/api/server/version", {}, doing=_DOING)
        return decode(response, Version, _DOING)
    except (RefusedError, UncertainError) as error:
        text = f"{error}. Is there a WAHA server at this address?"
        raise RefusedError(text, http_status=error.http_status) from None


def derive(found: Version) -> Capabilities:
    """Turn version, engine and tier into capabilities (WAHA's change log; source of 2026.2.1 and 2026.7.1)."""
    version = _parse(found.version)
    engine = found.engine.upper()
    free = version >= _FREE_SINCE or found.tier.upper() == "PLUS"
    client_ids = version >= _CLIENT_IDS_SINCE and engine in _ENGINES_WITH_IDS
    return Capabilities(
        version=found.version,
        engine=engine,
        client_message_id=client_ids,
        lookup_by_id=client_ids,
        receipts="read",
        media=_MEDIA if free else (),
        number_check="single",
        sign_in=("qr", "pairing_code"),
        typing=True,
        seen=True,
        # WPP's sendText passes no such option on (session.wpp.core.ts).
        link_preview=engine != "WPP",
        contacts=engine in _ENGINES,
        groups=engine in _ENGINES,
        screenshots=engine in BROWSER_ENGINES,
        multi_session=free,
        warnings=tuple(_warnings(version, engine, free=free)),
    )


def _warnings(version: tuple[int, ...], engine: str, *, free: bool) -> list[str]:
    found: list[str] = []
    if not version:
        found.append("The version of this WAHA cannot be read, so only what every version can do is used.")
    if not free:
        found.append("WAHA Core before 2026.6.1 connects one number and sends no files: update WAHA for both.")
    if engine not in _ENGINES_WITH_IDS:
        found.append(
            f"The engine {engine or '(none)'} takes no message ids: a send that gets no answer may need a person's"
            " decision. The engines NOWEB and GOWS take them from 2026.4.3 on."
        )
    elif version < _CLIENT_IDS_SINCE:
        found.append(
            "WAHA before 2026.4.3 takes no message ids: a send that gets no answer may need a person's decision."
        )
    if engine == "NOWEB":
        found.append("WAHA keeps about three months of the connected number's chats, which are personal data.")
    return found


def _parse(version: str) -> tuple[int, ...]:
    parts = version.partition("-")[0].split(".")
    return tuple(int(part) for part in parts) if all(part.isdecimal() for part in parts) else ()
