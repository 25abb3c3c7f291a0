"""How a WAHA server is: since when it runs, and how many sessions it holds."""

import re
from datetime import datetime

import msgspec

from core.plugin import Server, ServerReport, decode
from plugins.waha.connection import Connection
from plugins.waha.probe import ask_version
from plugins.waha.restrictions import moment

_NOT_FOUND = 404
_RESIDENT = re.compile(rb"^\w*process_resident_memory_bytes(?:\{[^}]*\})? ([0-9.eE+]+)", re.MULTILINE)
_NO_METRICS = (401, 403, _NOT_FOUND)
"""They are switched on by ``WAHA_PROMETHEUS_ENABLED`` and may have a password of their own."""


class _Status(msgspec.Struct, rename="camel"):
    start_timestamp: float | None = None
    """Unix time in milliseconds."""


class _Listed(msgspec.Struct):
    status: str = ""


async def report(connection: Connection, server: Server) -> ServerReport:
    """Ask ``GET /api/server/version``, ``/api/server/status``, ``/api/sessions?all=true`` and ``/metrics``."""
    found = await ask_version(connection, server)
    doing = "listing the server's sessions"
    answer = await connection.get(server, "/api/sessions", {"all": "true"}, doing=doing)
    sessions = decode(answer, list[_Listed], doing)
    return ServerReport(
        version=found.version,
        engine=found.engine.upper(),
        started_at=await _started_at(connection, server),
        memory_bytes=await _memory(connection, server, found.engine),
        sessions=len(sessions),
        connected=sum(one.status == "WORKING" for one in sessions),
    )


async def _started_at(connection: Connection, server: Server) -> datetime | None:
    doing = "asking for the server's status"
    answer = await connection.get(server, "/api/server/status", {}, doing=doing, accept=(_NOT_FOUND,))
    if answer.is_error:
        return None
    started = decode(answer, _Status, doing).start_timestamp
    return moment(started / 1000) if started else None


async def _memory(connection: Connection, server: Server, engine: str) -> int | None:
    """Return the memory of the Node process, which is all there is with NOWEB alone.

    GOWS works in a process beside it and the browser engines in Chromium, of which no metric tells.
    """
    if engine.upper() != "NOWEB":
        return None
    doing = "asking for the server's metrics"
    answer = await connection.get(server, "/metrics", {}, doing=doing, accept=_NO_METRICS)
    told = None if answer.is_error else _RESIDENT.search(answer.content)
    return int(float(told[1])) if told else None
