"""A tenant's sending numbers: added within the plan's limit and the server's room, changed, listed, deleted."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import structlog
from msgspec import UNSET

from core import database
from core.audit import services as audit
from core.crypto import encrypt
from core.errors import InvalidInputError, NotFoundError, ProviderFailedError
from core.notifications.alarms import NUMBER_ALARMS, clear_alarms
from core.numbers import removing
from core.numbers.changes import announce
from core.numbers.placing import place_number
from core.numbers.schemas import NumberCreate, NumberGrant, NumberLimits, NumberRead, NumberUpdate, NumberUpdated
from core.numbers.tokens import needs_no_sign_in
from core.outbound import check_url
from core.pagination import PageQuery
from core.plans.services import ensure_within
from core.plugin import Capabilities
from core.runtime import providers
from core.texts import text
from core.webhooks.outgoing.forwards import put_forward
from core.webhooks.targets import WEBHOOK_SEAL

_SORTS = {"id": "n.id", "name": "lower(n.name)", "created_at": "n.created_at"}
_SELECT = """
SELECT n.*, s.provider, s.capabilities AS server_capabilities
FROM numbers n JOIN servers s ON s.id = n.server_id WHERE n.deleted_at IS NULL AND n.user_id = $1
"""
_FILTERS = """
AND ($2::text IS NULL OR strpos(lower(n.name || ' ' || n.number || ' ' || n.instance), lower($2)) > 0)
AND ($3::bool IS NULL OR n.status_connection = $3) AND ($4::bigint IS NULL OR n.server_id = $4)
"""
_capabilities = msgspec.json.Decoder(Capabilities)
_log = structlog.get_logger(__name__)


class NumberFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which numbers a list should hold."""

    status_connection: bool | None = None
    server_id: int | None = None


class Identity(msgspec.Struct, frozen=True):
    """How a number is known on a server, and by what its webhooks are found and proven."""

    instance: str
    webhook_token: str
    webhook_secret: str
    """Encrypted."""


def new_identity(number_id: int) -> Identity:
    """Make names that no server has seen."""
    return Identity(
        f"recado-{number_id}-{secrets.token_hex(4)}",
        secrets.token_urlsafe(32),
        encrypt(secrets.token_urlsafe(32), purpose=WEBHOOK_SEAL),
    )


async def create_number(user_id: int, wanted: NumberCreate, *, extra: bool = False) -> NumberRead:
    """Add a number; it is connected in a second step. An ``extra`` one does not count against the plan.

    One that signs in with its server's token is asked for its state by the next sweep, and connected by that.

    Raises:
        PlanLimitError: The plan's ``numbers_limit`` is reached.
        InvalidInputError: There is no such server.
        ConflictError: The server has never answered or has no room, or none has any.
    """
    async with database.unit_of_work():
        if not extra:
            await ensure_within(user_id, "numbers")
        server_id = await place_number(wanted.server_id, wanted.provider)
        number_id = await database.fetch_value("SELECT nextval('numbers_id_seq')")
        identity = new_identity(int(str(number_id)))
        provider = await database.fetch_value("SELECT provider FROM servers WHERE id = $1", server_id)
        await database.execute(
            "INSERT INTO numbers (id, user_id, server_id, instance, name, extra, webhook_token, webhook_secret,"
            " poll_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, CASE WHEN $9::boolean THEN now() END)",
            number_id,
            user_id,
            server_id,
            identity.instance,
            wanted.name.strip(),
            extra,
            identity.webhook_token,
            identity.webhook_secret,
            needs_no_sign_in(providers().messaging_by_name.get(str(provider))),
        )
        number = await get_number(user_id, int(str(number_id)))
        facts = {"name": number.name, "server_id": number.server_id, "extra": extra}
        who = UNSET if extra else user_id
        await audit.record("number.created", user_id=who, account_id=user_id, entity_id=number.id, facts=facts)
    return number


async def grant_number(wanted: NumberGrant) -> NumberRead:
    """Add a number beyond a user's plan; raises as ``create_number``, and ``InvalidInputError`` for an unknown user."""
    user = await database.fetch_value("SELECT id FROM users WHERE id = $1 AND deleted_at IS NULL", wanted.user_id)
    if user is None:
        raise InvalidInputError({"user_id": [text("no_such_user")]})
    return await create_number(wanted.user_id, wanted, extra=True)


async def update_number(user_id: int, number_id: int, wanted: NumberUpdate) -> NumberUpdated:
    """Rename a number, set its own caps or its forward address, or take it out of and back into use.

    Raises:
        NotFoundError: The tenant has no such number.
        InvalidInputError: The forward address may not be called.
    """
    if isinstance(wanted.webhook_url, str):
        await get_number(user_id, number_id)
        await check_url(wanted.webhook_url, "webhook_url")
    async with database.unit_of_work():
        row = await database.fetch_row(f"{_SELECT} AND n.id = $2 FOR UPDATE OF n", user_id, number_id)
        if row is None:
            raise NotFoundError("number", number_id)
        status = row["status"] if wanted.status is msgspec.UNSET else wanted.status
        settings = row["settings"] if wanted.settings is msgspec.UNSET else database.encode_json(wanted.settings)
        await database.execute(
            "UPDATE numbers SET name = $2, status = $3, settings = $4, updated_at = now() WHERE id = $1",
            number_id,
            row["name"] if wanted.name is msgspec.UNSET else wanted.name.strip(),
            status,
            settings,
        )
        if status != row["status"] or settings != row["settings"]:
            await announce([number_id])
        secret = None
        if wanted.webhook_url is not msgspec.UNSET:
            secret = await put_forward(user_id, number_id, wanted.webhook_url)
        number = await get_number(user_id, number_id)
        fields = audit.differences(read_number(row), number, "name", "status", "settings", "webhook_url")
        await audit.record("number.updated", user_id=user_id, entity_id=number_id, changes=fields)
    return NumberUpdated(webhook_secret=secret, **msgspec.structs.asdict(number))


async def delete_number(user_id: int, number_id: int) -> None:
    """Delete a number here at once and on its server if that answers; else the sweep keeps trying.

    Raises:
        NotFoundError: No such number.
    """
    async with database.unit_of_work():
        changed = await database.execute(
            "UPDATE numbers SET deleted_at = now(), status = false, status_connection = false, connection = 'stopped',"
            " connection_reason = '', poll_at = now() + interval '2 minutes', updated_at = now()"
            " WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL",
            number_id,
            user_id,
        )
        if not changed:
            raise NotFoundError("number", number_id)
        await audit.record("number.deleted", user_id=user_id, entity_id=number_id)
        await clear_alarms("number", [number_id], NUMBER_ALARMS)
        await put_forward(user_id, number_id, None)
        await announce([number_id])
    try:
        await removing.remove(number_id)
    except ProviderFailedError:
        _log.info("number_not_removed_yet", number_id=number_id)


async def get_number(user_id: int, number_id: int) -> NumberRead:
    """Return one number of the tenant, or raise ``NotFoundError``."""
    row = await database.fetch_row(f"{_SELECT} AND n.id = $2", user_id, number_id)
    if row is None:
        raise NotFoundError("number", number_id)
    return read_number(row)


async def list_numbers(user_id: int, query: PageQuery, wanted: NumberFilter) -> tuple[Sequence[NumberRead], int]:
    """Return one page of the tenant's numbers and how many fit; ``search`` looks into name, number and instance."""
    order = query.order_by(_SORTS, "id")
    filters = (user_id, query.search, wanted.status_connection, wanted.server_id)
    rows = await database.fetch(
        f"{_SELECT} {_FILTERS} ORDER BY {order} LIMIT $5 OFFSET $6", *filters, query.limit, query.offset
    )
    total = await database.fetch_value(f"SELECT count(*) FROM ({_SELECT} {_FILTERS}) AS fitting", *filters)
    return [read_number(row) for row in rows], int(str(total))


def read_number(row: Mapping[str, Any]) -> NumberRead:
    """Turn a row with its server's provider and capabilities into what the API shows."""
    capabilities = _capabilities.decode(row["server_capabilities"])
    return NumberRead(
        id=row["id"],
        server_id=row["server_id"],
        provider=row["provider"],
        instance=row["instance"],
        name=row["name"],
        number=row["number"],
        status=row["status"],
        status_connection=row["status_connection"],
        connection=row["connection"],
        connection_reason=row["connection_reason"],
        connection_at=row["connection_at"],
        restricted_until=row["restricted_until"],
        first_connected_at=row["first_connected_at"],
        silent_until=row["silent_until"],
        last_event_at=row["last_event_at"],
        recent_sends=row["recent_sends"],
        recent_acknowledged=row["recent_acknowledged"],
        webhook_url=row["webhook_url"],
        settings=msgspec.json.decode(row["settings"], type=NumberLimits),
        sign_in=capabilities.sign_in,
        extra=row["extra"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
