"""How servers are, from what they say and from what their numbers effect; a line of history at each look."""

from collections.abc import Sequence

import asyncpg
import msgspec

from core import database
from core.errors import NotFoundError
from core.notifications.alarms import SERVER_ALARMS, clear_alarms, raise_alarm
from core.numbers import senders
from core.numbers.calls import calling
from core.numbers.schemas import ServerHealthRead, ServerRead
from core.numbers.servers import PROBE_SECONDS, get_server, probe_server
from core.pagination import PageQuery
from core.plugin import ServerReport, ServerReporting
from core.plugin.registry import NoSuchProviderError
from core.runtime import providers

KEPT_FOR = "14 days"

_SORTS = {"checked_at": "h.checked_at"}
_WRITE = """
INSERT INTO server_health (server_id, checked_at, status, reason, version, engine, memory_bytes, sessions, connected,
    numbers, numbers_connected, sends, acknowledged, last_event_at)
SELECT s.id, now(), s.status, s.status_reason, left(coalesce(nullif($2, ''), s.capabilities->>'version', ''), 60),
    left(coalesce(nullif($3, ''), s.capabilities->>'engine', ''), 60), $4, $5, $6, n.numbers, n.connected, n.sends,
    n.acknowledged, n.last_event_at
FROM servers s CROSS JOIN LATERAL (
    SELECT count(*) AS numbers, count(*) FILTER (WHERE connection = 'connected') AS connected,
        coalesce(sum(recent_sends), 0) AS sends, coalesce(sum(recent_acknowledged), 0) AS acknowledged,
        max(last_event_at) AS last_event_at
    FROM numbers WHERE server_id = s.id AND deleted_at IS NULL) n
WHERE s.id = $1 AND s.deleted_at IS NULL
"""


async def examine_server(server_id: int) -> ServerRead:
    """Probe a server, ask how it is, and write a line of its history; raise an alarm when it fails twice in a row.

    Raises:
        NotFoundError: It is gone.
    """
    answered = await database.fetch_value("SELECT status FROM servers WHERE id = $1", server_id)
    server = await probe_server(server_id)
    if not server.status and not answered:
        await raise_alarm("server_down", "server", server_id, name=server.name, reason=server.status_reason)
    return await note_server(server)


async def note_server(server: ServerRead) -> ServerRead:
    """Ask a server that was probed just now how it is, and write a line of its history; return it with what it told."""
    server_id = server.id
    report = await _ask(server_id) if server.status else ServerReport()
    await database.execute(
        "UPDATE servers SET report = $2 WHERE id = $1",
        server_id,
        database.encode_json(report) if server.status else "{}",
    )
    await database.execute(
        _WRITE, server_id, report.version, report.engine, report.memory_bytes, report.sessions, report.connected
    )
    if server.status:
        await clear_alarms("server", [server_id], SERVER_ALARMS)
    return await get_server(server_id)


async def list_health(server_id: int, query: PageQuery) -> tuple[Sequence[ServerHealthRead], int]:
    """Return one page of a server's history, the newest first, and how long it is.

    Raises:
        NotFoundError: There is no such server.
    """
    if await database.fetch_value("SELECT id FROM servers WHERE id = $1 AND deleted_at IS NULL", server_id) is None:
        raise NotFoundError("server", server_id)
    rows = await database.fetch(
        f"SELECT h.* FROM server_health h WHERE h.server_id = $1 ORDER BY {query.order_by(_SORTS, '-checked_at')}"
        " LIMIT $2 OFFSET $3",
        server_id,
        query.limit,
        query.offset,
    )
    total = await database.fetch_value("SELECT count(*) FROM server_health WHERE server_id = $1", server_id)
    return [_read(row) for row in rows], int(str(total))


async def forget_old() -> int:
    """Delete history that is too old; return how many lines."""
    return await database.execute(f"DELETE FROM server_health WHERE checked_at < now() - interval '{KEPT_FOR}'")


async def _ask(server_id: int) -> ServerReport:
    """Return what the server tells of itself; nothing where it fails, since it answered the probe."""
    row = await database.fetch_row("SELECT id, provider, url, credentials FROM servers WHERE id = $1", server_id)
    if row is None:
        raise NotFoundError("server", server_id)
    try:
        provider = providers().messaging(row["provider"])
    except NoSuchProviderError:
        return ServerReport()
    if not isinstance(provider, ServerReporting):
        return ServerReport()
    server = senders.build_server(provider, row["id"], row["url"], row["credentials"])
    async with calling(provider.name, "asking how a server is", limit_seconds=PROBE_SECONDS):
        return await provider.server_report(server)


def _read(row: asyncpg.Record) -> ServerHealthRead:
    names = ServerHealthRead.__struct_fields__
    return msgspec.convert({name: row[name] for name in names}, ServerHealthRead)
