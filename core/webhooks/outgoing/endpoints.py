"""A tenant's endpoints: added up to a limit, changed, listed, given new secrets, switched on and off, deleted."""

from collections.abc import Mapping
from typing import Any

import asyncpg
import msgspec
from msgspec import UNSET

from core import database, outbound
from core.audit import services as audit
from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.listing import Listing
from core.texts import text
from core.webhooks.outgoing import signing, subscriptions
from core.webhooks.outgoing.disabling import disable
from core.webhooks.outgoing.schemas import EndpointCreate, EndpointRead, EndpointSecret, EndpointUpdate

MOST = 20
"""Endpoints of one user, forward addresses of numbers not counted."""
OVERLAP = "24 hours"
"""How long deliveries are signed with the old secret too."""
PREVIOUS = 3
"""How many old secrets may sign at a time."""

_COLUMNS = (
    "e.id, e.user_id, e.name, coalesce(e.url, n.webhook_url, '') AS url, e.events, e.number_id, e.status,"
    " e.failing_since, e.disabled_at, e.disabled_reason, e.created_at, e.updated_at,"
    " (SELECT max((p ->> 'until')::timestamptz) FROM jsonb_array_elements(e.previous_secrets) p"
    " WHERE (p ->> 'until')::timestamptz > now()) AS previous_secret_until"
)
_SOURCE = "webhook_endpoints e LEFT JOIN numbers n ON n.id = e.number_id"
# Where too many would sign, the one that is known longest and the newest ones stay: the first answer may have been
# lost, and then the old secret is the only one that the tenant's server has.
_ROLL = f"""
UPDATE webhook_endpoints e SET secret = $2, updated_at = now(), previous_secrets = (
    SELECT jsonb_agg(k.one ORDER BY k.until) FROM (
        SELECT p.one, p.until, row_number() OVER (ORDER BY p.until) AS oldest,
            row_number() OVER (ORDER BY p.until DESC) AS newest
        FROM (
            SELECT a.one, (a.one ->> 'until')::timestamptz AS until FROM jsonb_array_elements(e.previous_secrets
                || jsonb_build_object('secret', e.secret, 'until', now() + interval '{OVERLAP}')) AS a(one)
        ) p WHERE p.until > now()
    ) k WHERE k.oldest = 1 OR k.newest < {PREVIOUS}
) WHERE e.id = $1
"""


def read_endpoint(row: Mapping[str, Any]) -> EndpointRead:
    """Turn a row into what the API shows."""
    return msgspec.convert({**row, "events": msgspec.json.decode(row["events"])}, EndpointRead)


ENDPOINTS = Listing(
    kind=EndpointRead,
    read=read_endpoint,
    columns=_COLUMNS,
    source=_SOURCE,
    counted=_SOURCE,
    conditions={
        "user_id": "e.user_id = {}",
        "status": "e.status = {}",
        "search": "strpos(lower(e.name || ' ' || coalesce(e.url, n.webhook_url, '')), lower({})) > 0",
    },
    sorts={"id": "e.id", "name": "lower(e.name)", "created_at": "e.created_at"},
    key="e.id",
)
"""A tenant's endpoints."""


async def create_endpoint(user_id: int, wanted: EndpointCreate) -> EndpointSecret:
    """Add an endpoint; its secret is told here and never again.

    Raises:
        InvalidInputError: The address may not be called.
        ConflictError: The user has as many endpoints as anybody may have.
    """
    await outbound.check_url(wanted.url, "url")
    secret = signing.new_secret()
    async with database.unit_of_work():
        await database.fetch_row("SELECT 1 FROM users WHERE id = $1 FOR UPDATE", user_id)
        present = await database.fetch_value(
            "SELECT count(*) FROM webhook_endpoints WHERE user_id = $1 AND number_id IS NULL", user_id
        )
        if int(str(present)) >= MOST:
            raise ConflictError(
                f"There are {MOST} webhook endpoints already: delete one first.",
                code="too_many_webhook_endpoints",
                allowed=MOST,
            )
        endpoint_id = await database.fetch_value(
            "INSERT INTO webhook_endpoints (user_id, name, url, events, secret, status, created_at, updated_at)"
            " VALUES ($1, $2, $3, $4, $5, 'active', now(), now()) RETURNING id",
            user_id,
            wanted.name.strip(),
            wanted.url,
            database.encode_json(sorted(set(wanted.events))),
            signing.conceal(secret),
        )
        made = await get_endpoint(user_id, int(str(endpoint_id)))
        facts = {"name": made.name, "url": made.url, "events": list(made.events)}
        await audit.record("webhook_endpoint.created", user_id=user_id, entity_id=made.id, facts=facts)
    subscriptions.forget()
    return _with_secret(made, secret)


async def get_endpoint(user_id: int, endpoint_id: int) -> EndpointRead:
    """Return one endpoint of the tenant, or raise ``NotFoundError``."""
    return read_endpoint(await _row(user_id, endpoint_id))


async def update_endpoint(user_id: int, endpoint_id: int, wanted: EndpointUpdate) -> EndpointRead:
    """Rename an endpoint, or change its address or its events; what is on its way goes to the new address.

    What failed at the old address does not count at the new one. One that is disabled stays so.

    Raises:
        NotFoundError: The tenant has no such endpoint.
        InvalidInputError: The address may not be called, or it and the events are those of a number's forward.
    """
    if wanted.url is not UNSET:
        await get_endpoint(user_id, endpoint_id)
        await outbound.check_url(wanted.url, "url")
    async with database.unit_of_work():
        before = await lock_endpoint(user_id, endpoint_id)
        if before.number_id is not None:
            _refuse_forward(wanted)
        await database.execute(
            "UPDATE webhook_endpoints SET name = $2, url = $3::text, events = $4, updated_at = now(),"
            " failing_since = CASE WHEN url IS NOT DISTINCT FROM $3::text THEN failing_since END WHERE id = $1",
            endpoint_id,
            before.name if wanted.name is UNSET else wanted.name.strip(),
            None if before.number_id is not None else before.url if wanted.url is UNSET else wanted.url,
            database.encode_json(sorted(set(before.events if wanted.events is UNSET else wanted.events))),
        )
        endpoint = await get_endpoint(user_id, endpoint_id)
        changes = audit.differences(before, endpoint, "name", "url", "events")
        await audit.record("webhook_endpoint.updated", user_id=user_id, entity_id=endpoint_id, changes=changes)
    subscriptions.forget()
    return endpoint


async def delete_endpoint(user_id: int, endpoint_id: int) -> None:
    """Delete an endpoint with its deliveries, and a number's forward address with it; raises ``NotFoundError``."""
    async with database.unit_of_work():
        endpoint = await lock_endpoint(user_id, endpoint_id)
        await database.execute("DELETE FROM webhook_endpoints WHERE id = $1", endpoint_id)
        await database.execute(
            "UPDATE numbers SET webhook_url = NULL, updated_at = now() WHERE id = $1 AND user_id = $2",
            endpoint.number_id,
            user_id,
        )
        facts = {"name": endpoint.name, "url": endpoint.url}
        await audit.record("webhook_endpoint.deleted", user_id=user_id, entity_id=endpoint_id, facts=facts)
    subscriptions.forget()


async def roll_secret(user_id: int, endpoint_id: int) -> EndpointSecret:
    """Give an endpoint a new secret, told here and never again; for a day deliveries are signed with the old one too.

    One that was replaced before signs until its own day is over, of more than ``PREVIOUS`` the oldest and the newest.

    Raises:
        NotFoundError: The tenant has no such endpoint.
    """
    secret = signing.new_secret()
    async with database.unit_of_work():
        await lock_endpoint(user_id, endpoint_id)
        await database.execute(_ROLL, endpoint_id, signing.conceal(secret))
        await audit.record("webhook_endpoint.secret_rolled", user_id=user_id, entity_id=endpoint_id)
        return _with_secret(await get_endpoint(user_id, endpoint_id), secret)


async def enable_endpoint(user_id: int, endpoint_id: int) -> EndpointRead:
    """Deliver to an endpoint again; raises ``NotFoundError``."""
    async with database.unit_of_work():
        if (await lock_endpoint(user_id, endpoint_id)).status == "disabled":
            await database.execute(
                "UPDATE webhook_endpoints SET status = 'active', failing_since = NULL, disabled_at = NULL,"
                " disabled_reason = '', updated_at = now() WHERE id = $1",
                endpoint_id,
            )
            await audit.record("webhook_endpoint.enabled", user_id=user_id, entity_id=endpoint_id)
        endpoint = await get_endpoint(user_id, endpoint_id)
    subscriptions.forget()
    return endpoint


async def disable_endpoint(user_id: int, endpoint_id: int) -> EndpointRead:
    """Deliver nothing more to an endpoint until it is switched on again; raises ``NotFoundError``."""
    async with database.unit_of_work():
        await lock_endpoint(user_id, endpoint_id)
        if await disable(endpoint_id, "by_hand"):
            facts = {"reason": "by_hand"}
            await audit.record("webhook_endpoint.disabled", user_id=user_id, entity_id=endpoint_id, facts=facts)
        endpoint = await get_endpoint(user_id, endpoint_id)
    subscriptions.forget()
    return endpoint


async def lock_endpoint(user_id: int, endpoint_id: int) -> EndpointRead:
    """As ``get_endpoint``, and keep others from changing it until the unit of work ends."""
    return read_endpoint(await _row(user_id, endpoint_id, "FOR NO KEY UPDATE OF e"))


async def _row(user_id: int, endpoint_id: int, lock: str = "") -> asyncpg.Record:
    row = await database.fetch_row(
        f"SELECT {_COLUMNS} FROM {_SOURCE} WHERE e.id = $1 AND e.user_id = $2 {lock}", endpoint_id, user_id
    )
    if row is None:
        raise NotFoundError("endpoint", endpoint_id)
    return row


def _refuse_forward(wanted: EndpointUpdate) -> None:
    fixed = [name for name in ("url", "events") if getattr(wanted, name) is not UNSET]
    if fixed:
        raise InvalidInputError({name: [text("forward_is_fixed")] for name in fixed})


def _with_secret(endpoint: EndpointRead, secret: str) -> EndpointSecret:
    return EndpointSecret(secret=secret, **msgspec.structs.asdict(endpoint))
