"""What the engine needs to send from a number: its provider and its ``Sender``, remembered for some seconds."""

import time
from collections.abc import Collection, Sequence
from datetime import datetime

import asyncpg
import msgspec
import structlog

from core import database
from core.crypto import DecryptionError, decrypt
from core.errors import NotReadyError, ProviderFailedError
from core.notifications.alarms import raise_alarm
from core.numbers.changes import announce
from core.numbers.credentials import load_credentials
from core.numbers.telling import tell_restricted
from core.plugin import Capabilities, MessagingProvider, MisconfiguredError, Scope, Secret, Sender, Server
from core.plugin.registry import NoSuchProviderError
from core.runtime import providers
from core.webhooks.targets import WEBHOOK_SEAL

CACHE_SECONDS = 5.0
CACHE_SIZE = 20_000
RESTRICTED_FOR = "24 hours"
"""How long people never written to are spared when a service refuses them without saying until when."""

_COLUMNS = """
n.id, n.instance, n.webhook_secret, s.id AS server_id, s.provider, s.url, s.credentials, s.capabilities
"""
_RESTRICT = f"""
WITH old AS MATERIALIZED (SELECT id, restricted_until FROM numbers WHERE id = $1 FOR UPDATE)
UPDATE numbers n SET updated_at = now(),
    restricted_until = coalesce($2::timestamptz, now() + interval '{RESTRICTED_FOR}')
FROM old WHERE n.id = old.id AND n.deleted_at IS NULL
RETURNING n.restricted_until > now() AND NOT coalesce(old.restricted_until > now(), false) AS begins
"""
_capabilities = msgspec.json.Decoder(Capabilities)
_log = structlog.get_logger(__name__)


class SenderRoute(msgspec.Struct, frozen=True):
    """The way out for one number."""

    provider: MessagingProvider
    sender: Sender


_routes: dict[int, tuple[float, SenderRoute | None]] = {}


async def senders(number_ids: Collection[int]) -> dict[int, SenderRoute]:
    """Return the routes of live numbers; one whose plugin is missing or whose credentials do not fit is left out."""
    now = time.monotonic()
    stale = [number_id for number_id in number_ids if _routes.get(number_id, (0.0, None))[0] <= now]
    if stale:
        if len(_routes) > CACHE_SIZE:
            _routes.clear()
        loaded = await _load(stale)
        _routes.update({number_id: (now + CACHE_SECONDS, loaded.get(number_id)) for number_id in stale})
    kept = {number_id: _routes[number_id][1] for number_id in number_ids}
    return {number_id: route for number_id, route in kept.items() if route is not None}


async def load_route(number_id: int, *, deleted: bool = False) -> SenderRoute:
    """Return the present route of one number, a deleted one's when asked for.

    Raises:
        ProviderFailedError: Its plugin is not enabled, or the server's credentials must be entered again.
        NotReadyError: Its stored secrets cannot be read.
    """
    row = await database.fetch_row(
        f"SELECT {_COLUMNS} FROM numbers n JOIN servers s ON s.id = n.server_id"
        " WHERE n.id = $1 AND (n.deleted_at IS NOT NULL) = $2",
        number_id,
        deleted,
    )
    if row is None:
        raise LookupError(f"number {number_id} was there a moment ago")
    try:
        return build_route(row)
    except NoSuchProviderError:
        raise ProviderFailedError(row["provider"], code="no_such_provider") from None
    except MisconfiguredError as error:
        raise ProviderFailedError(row["provider"], code=error.code) from error
    except DecryptionError as error:
        raise NotReadyError(
            "A stored secret cannot be read with the present key: restore [server] secret_key, or the file secret_key"
            " in the data folder, from before, or enter the secret again.",
            code="secrets_unreadable",
        ) from error


async def mark_stopped(number_id: int, code: str, *, until: datetime | None, scope: Scope) -> None:
    """Write down that a number, its whole server, or its messages to new people are refused.

    The state is asked for again a minute later, or at ``until``; what the server says then counts. A refusal of
    one recipient says nothing about the number and changes nothing.
    """
    if scope == "new_contacts":
        async with database.unit_of_work():
            if await database.fetch_value(_RESTRICT, number_id, until):
                await tell_restricted([number_id])
    elif scope in {"sender", "server"}:
        await _stop(number_id, code, until, whole_server=scope == "server")


async def _stop(number_id: int, code: str, until: datetime | None, *, whole_server: bool) -> None:
    async with database.unit_of_work():
        rows = await database.fetch(
            "UPDATE numbers SET connection = 'failed', status_connection = false, connection_reason = $2,"
            " connection_since = CASE WHEN connection = 'failed' THEN connection_since ELSE now() END,"
            " poll_at = coalesce($3, now() + interval '1 minute'), updated_at = now()"
            " WHERE id IN (SELECT n.id FROM numbers n JOIN numbers said ON said.id = $1"
            " WHERE (n.id = $1 OR ($4 AND n.server_id = said.server_id))"
            " AND n.status_connection AND n.deleted_at IS NULL ORDER BY n.id FOR UPDATE OF n) RETURNING id",
            number_id,
            code[:255],
            until,
            whole_server,
        )
        if rows:
            stopped = [row["id"] for row in rows]
            await announce(stopped)
        if whole_server:
            named = await database.fetch_row(
                "SELECT s.id, s.name FROM servers s JOIN numbers n ON n.server_id = s.id WHERE n.id = $1", number_id
            )
            if named is not None:
                await raise_alarm("server_refuses", "server", named["id"], name=named["name"], reason=code[:255])


def forget(number_ids: Collection[int] | None = None) -> None:
    """Drop remembered routes, all of them by default."""
    for number_id in list(_routes) if number_ids is None else number_ids:
        _routes.pop(number_id, None)


async def _load(number_ids: Sequence[int]) -> dict[int, SenderRoute]:
    rows = await database.fetch(
        f"SELECT {_COLUMNS} FROM numbers n JOIN servers s ON s.id = n.server_id"
        " WHERE n.id = ANY($1::bigint[]) AND n.deleted_at IS NULL",
        number_ids,
    )
    found: dict[int, SenderRoute] = {}
    for row in rows:
        try:
            found[row["id"]] = build_route(row)
        except (NoSuchProviderError, MisconfiguredError, DecryptionError) as error:
            _log.warning("number_without_route", number_id=row["id"], reason=str(error))
    return found


def build_route(row: asyncpg.Record) -> SenderRoute:
    """Make a route from a row with the columns of a number and its server; raises what it lacks."""
    provider = providers().messaging(row["provider"])
    server = build_server(provider, row["server_id"], row["url"], row["credentials"])
    sender = Sender(
        number_id=row["id"],
        instance=row["instance"],
        server=server,
        capabilities=_capabilities.decode(row["capabilities"]),
        webhook_secret=Secret(decrypt(row["webhook_secret"], purpose=WEBHOOK_SEAL)),
    )
    return SenderRoute(provider, sender)


def build_server(provider: MessagingProvider, server_id: int, url: str, credentials: str) -> Server:
    """Make the provider's view of a ``servers`` row; raises ``MisconfiguredError`` as ``load_credentials``."""
    return Server(id=server_id, url=url, credentials=load_credentials(provider.Credentials, credentials))
