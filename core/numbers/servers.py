"""Servers of messaging services: added by administrators or seeded from settings, probed for what they can do."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import asyncpg
import msgspec
import structlog

from core import database
from core.audit import services as audit
from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.notifications.alarms import SERVER_ALARMS, clear_alarms
from core.numbers import senders
from core.numbers.calls import calling, reason_of
from core.numbers.credentials import decode_credentials, mask, seal, unseal_readable
from core.numbers.schemas import ServerCreate, ServerRead, ServerSummary, ServerUpdate
from core.pagination import PageQuery
from core.plugin import Capabilities, MessagingProvider, ServerReport
from core.plugin.registry import NoSuchProviderError
from core.runtime import providers
from core.texts import text

PROBE_SECONDS = 25.0

_SORTS = {"id": "s.id", "name": "lower(s.name)", "created_at": "s.created_at"}
_SELECT = """
SELECT s.*, n.* FROM servers s CROSS JOIN LATERAL (
    SELECT count(*) AS numbers, count(*) FILTER (WHERE connection = 'connected') AS numbers_connected,
        coalesce(sum(recent_sends), 0) AS sends, coalesce(sum(recent_acknowledged), 0) AS acknowledged,
        max(last_event_at) AS last_event_at
    FROM numbers WHERE server_id = s.id AND deleted_at IS NULL) n
WHERE s.deleted_at IS NULL
"""
_log = structlog.get_logger(__name__)


async def create_server(wanted: ServerCreate) -> ServerRead:
    """Add a server and probe it; one that does not answer is added all the same, with ``status`` false and why.

    Raises:
        InvalidInputError: The provider is not registered, or url, credentials or name cannot be used.
    """
    try:
        provider = providers().messaging(wanted.provider)
    except NoSuchProviderError:
        allowed = ", ".join(providers().messaging_by_name) or "none"
        raise InvalidInputError({"provider": [text("choice", allowed=allowed)]}) from None
    url, credentials = _check_input(provider, wanted.url, wanted.credentials, {})
    async with database.unit_of_work():
        row = await _write(
            "INSERT INTO servers (name, provider, url, credentials, capacity, status)"
            " VALUES ($1, $2, $3, $4, $5, false) RETURNING id",
            wanted.name.strip(),
            provider.name,
            url,
            seal(credentials),
            wanted.capacity,
        )
        facts = {"name": wanted.name.strip(), "provider": provider.name, "url": url}
        await audit.record("server.created", entity_id=row["id"], facts=facts)
    return await probe_server(row["id"])


async def update_server(server_id: int, wanted: ServerUpdate) -> ServerRead:
    """Change a server; a new url or new credentials are probed at once.

    Raises:
        NotFoundError: There is no such server.
        InvalidInputError: As ``create_server``.
    """
    row = await _row(server_id)
    plain = unseal_readable(row["credentials"])
    url, sealed = row["url"], row["credentials"]
    if wanted.url is not msgspec.UNSET or wanted.credentials is not msgspec.UNSET:
        provider = providers().messaging(row["provider"])
        given_url = row["url"] if wanted.url is msgspec.UNSET else wanted.url
        given = {} if wanted.credentials is msgspec.UNSET else wanted.credentials
        url, credentials = _check_input(provider, given_url, given, plain)
        sealed = seal(credentials)
    async with database.unit_of_work():
        written = await _write(
            "UPDATE servers SET name = $2, url = $3, credentials = $4, capacity = $5, updated_at = now()"
            " WHERE id = $1 AND deleted_at IS NULL RETURNING name, url, credentials, capacity",
            server_id,
            row["name"] if wanted.name is msgspec.UNSET else wanted.name.strip(),
            url,
            sealed,
            row["capacity"] if wanted.capacity is msgspec.UNSET else wanted.capacity,
        )
        names = ["name", "url", "capacity", *([] if wanted.credentials is msgspec.UNSET else ["credentials"])]
        await audit.record("server.updated", entity_id=server_id, changes=audit.differences(row, written, *names))
    senders.forget()
    changed = wanted.url is not msgspec.UNSET or wanted.credentials is not msgspec.UNSET
    return await probe_server(server_id) if changed else await get_server(server_id)


async def delete_server(server_id: int) -> None:
    """Delete a server that holds no live number; its credentials are forgotten.

    Raises:
        NotFoundError: There is no such server.
        ConflictError: It still holds numbers.
    """
    async with database.unit_of_work():
        row = await database.fetch_row(f"{_SELECT} AND s.id = $1 FOR UPDATE OF s", server_id)
        if row is None:
            raise NotFoundError("server", server_id)
        if row["numbers"]:
            count = row["numbers"]
            raise ConflictError(
                f"The server still holds {count} numbers: delete those first.", code="server_in_use", numbers=count
            )
        await database.execute(
            "UPDATE servers SET deleted_at = now(), credentials = '', status = false, updated_at = now() WHERE id = $1",
            server_id,
        )
        await audit.record("server.deleted", entity_id=server_id, facts={"name": row["name"]})
        await clear_alarms("server", [server_id], SERVER_ALARMS)
        # What is left of deleted numbers over there can no longer be reached.
        await database.execute(
            "UPDATE numbers SET removed_at = now(), poll_at = NULL WHERE server_id = $1 AND removed_at IS NULL",
            server_id,
        )


async def get_server(server_id: int) -> ServerRead:
    """Return one server, or raise ``NotFoundError``."""
    return _read(await _row(server_id))


async def list_servers(query: PageQuery) -> tuple[Sequence[ServerRead], int]:
    """Return one page of servers and how many there are; ``search`` looks into name and url."""
    rows, total = await _page(query, "s.name || ' ' || s.url")
    return [_read(row) for row in rows], total


async def list_summaries(query: PageQuery) -> tuple[Sequence[ServerSummary], int]:
    """Return one page of servers as users see them: no address, no credentials, and none to be found by search."""
    rows, total = await _page(query, "s.name")
    return [
        ServerSummary(id=row["id"], name=row["name"], provider=row["provider"], status=row["status"]) for row in rows
    ], total


async def probe_server(server_id: int) -> ServerRead:
    """Ask a server what it can do and keep the answer, or why there was none; never raises for a failed probe."""
    row = await _row(server_id)
    found: Capabilities | None = None
    reason = ""
    try:
        provider = providers().messaging(row["provider"])
        server = senders.build_server(provider, row["id"], row["url"], row["credentials"])
        async with calling(provider.name, "probing a server", limit_seconds=PROBE_SECONDS):
            found = await provider.capabilities(server)
    except Exception as error:  # noqa: BLE001 - whatever a probe runs into is its result
        reason = reason_of(error.__cause__ or error)
    await database.execute(
        "UPDATE servers SET status = $2, status_reason = $3, capabilities = coalesce($4::jsonb, capabilities),"
        " checked_at = now() WHERE id = $1 AND deleted_at IS NULL",
        server_id,
        found is not None,
        reason[:500],
        None if found is None else database.encode_json(found),
    )
    senders.forget()
    return await get_server(server_id)


async def _row(server_id: int) -> asyncpg.Record:
    row = await database.fetch_row(f"{_SELECT} AND s.id = $1", server_id)
    if row is None:
        raise NotFoundError("server", server_id)
    return row


async def _page(query: PageQuery, searched: str) -> tuple[Sequence[asyncpg.Record], int]:
    condition = f"($1::text IS NULL OR strpos(lower({searched}), lower($1)) > 0)"
    order = query.order_by(_SORTS, "id")
    rows = await database.fetch(
        f"{_SELECT} AND {condition} ORDER BY {order} LIMIT $2 OFFSET $3", query.search, query.limit, query.offset
    )
    total = await database.fetch_value(
        f"SELECT count(*) FROM servers s WHERE s.deleted_at IS NULL AND {condition}", query.search
    )
    return rows, int(str(total))


async def _write(statement: str, *values: object) -> asyncpg.Record:
    try:
        row = await database.fetch_row(statement, *values)
    except asyncpg.UniqueViolationError:
        raise InvalidInputError({"name": [text("taken")]}) from None
    if row is None:
        raise NotFoundError("server")
    return row


def _check_input(
    provider: MessagingProvider, url: str, given: Mapping[str, object], kept: Mapping[str, object]
) -> tuple[str, msgspec.Struct]:
    """Check url and credentials together, so that all of their problems are told at once."""
    errors: dict[str, list[str]] = {}
    usable = _usable_url(url)
    if usable is None:
        errors["url"] = [text("web_address")]
    try:
        credentials = decode_credentials(provider.Credentials, given, kept)
    except InvalidInputError as error:
        raise InvalidInputError({**errors, **error.errors}) from None
    if usable is None:
        raise InvalidInputError(errors)
    return usable, credentials


def _usable_url(url: str) -> str | None:
    """Return the address without its last slash; private addresses are welcome, it is the administrator's server."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        return None
    fits = (
        parts.scheme in {"http", "https"}
        and parts.hostname
        and "@" not in parts.netloc
        and not (parts.query or parts.fragment)
        and port != 0
        and url.strip().isascii()
        and not any(sign.isspace() or sign in '\\"<>' for sign in url.strip())
    )
    return parts.geturl().rstrip("/") if fits else None


def _read(row: asyncpg.Record) -> ServerRead:
    provider = providers().messaging_by_name.get(row["provider"])
    found = row["capabilities"]
    report = msgspec.json.decode(row["report"], type=ServerReport)
    return ServerRead(
        id=row["id"],
        name=row["name"],
        provider=row["provider"],
        url=row["url"],
        credentials=mask(None if provider is None else provider.Credentials, row["credentials"]),
        status=row["status"],
        status_reason=row["status_reason"],
        capacity=row["capacity"],
        capabilities=None if found == "{}" else msgspec.json.decode(found, type=Capabilities),
        numbers=row["numbers"],
        numbers_connected=row["numbers_connected"],
        started_at=report.started_at,
        memory_bytes=report.memory_bytes,
        sessions=report.sessions,
        sessions_connected=report.connected,
        sends=row["sends"],
        acknowledged=row["acknowledged"],
        last_event_at=row["last_event_at"],
        checked_at=row["checked_at"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
