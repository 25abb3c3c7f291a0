"""``recado <gateway> setup``: plans and the webhook address are made known to a gateway, as often as it is run.

What is there already is left alone. A webhook address is registered anew where ours has changed, or where the gateway
does not deliver to it any more as we need it: disabled, removed, of another API version or of another account.
"""

import hashlib
import ipaddress
from collections.abc import AsyncIterator
from typing import Literal
from urllib.parse import urlsplit

import asyncpg
import msgspec

from core import database
from core.crypto import encrypt
from core.payments import catalog, references
from core.plugin import (
    Interval,
    Money,
    PaymentGateway,
    ProviderError,
    RefusedError,
    RegisteredWebhook,
    WebhookRegistration,
)
from core.runtime import config
from core.webhooks.gateways import SEAL

_PRICES = """
SELECT p.id, p.name, p.amount, p.currency, p.interval FROM (
    SELECT id, name, value AS amount, currency, 'month' AS interval, 0 AS place FROM plans
    UNION ALL SELECT p.id, p.name, s.amount, s.currency, s.interval, s.id
        FROM plan_prices s JOIN plans p ON p.id = s.plan_id
) p WHERE p.amount > 0 ORDER BY p.id, p.place
"""
_REMEMBER = "30 days"


class Line(msgspec.Struct, frozen=True):
    """One thing that was set up, or was not: printed as a line."""

    outcome: Literal["account", "made", "was there", "removed", "not needed", "by hand", "left out", "FAILED"]
    text: str


async def set_up(gateway: PaymentGateway, *, renew_webhook: bool = False) -> AsyncIterator[Line]:
    """Make plans and the webhook address known to ``gateway``; yield a line for each thing.

    ``renew_webhook`` registers the address anew even where it is as it should be, for another secret. A plan that the
    gateway refuses is a line that failed, and the next one follows.

    Raises:
        ProviderError: The gateway does not answer, or refuses the credentials.
    """
    yield Line("account", await gateway.check())
    async for line in _publish_plans(gateway):
        yield line
    async for line in _register(gateway, renew=renew_webhook):
        yield line


def webhook_url(gateway: str) -> str:
    """Return the address at which the platform receives a gateway's webhooks."""
    return f"{config().server.base_url}/api/webhooks/{gateway}"


def is_public(url: str) -> bool:
    """Whether others may reach an address: https, and no address of this machine or of a private network."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        reachable = ipaddress.ip_address(host).is_global
    except ValueError:
        reachable = "." in host and not host.endswith((".localhost", ".local"))
    return parts.scheme == "https" and reachable


async def present_webhook(gateway: str) -> asyncpg.Record | None:
    """Return the row of the webhook address that is registered at a gateway, if one is."""
    return await database.fetch_row(
        "SELECT id, url, gateway_id, secret, version FROM gateway_webhooks WHERE gateway = $1 AND retired_at IS NULL"
        " ORDER BY id DESC LIMIT 1",
        gateway,
    )


async def _publish_plans(gateway: PaymentGateway) -> AsyncIterator[Line]:
    rows = await database.fetch(_PRICES)
    if not rows:
        yield Line("not needed", "plans: none costs anything; POST /api/admin/plans makes one")
    for row in rows:
        interval: Interval = "year" if row["interval"] == "year" else "month"
        named = f"plan {row['name']}, {row['amount']} {row['currency']} a {interval}"
        able = gateway.capabilities
        if row["currency"] not in able.currencies or interval not in able.intervals:
            unable = f"charges no {row['currency']}" if row["currency"] not in able.currencies else "charges otherwise"
            yield Line("not needed", f"{named}: {gateway.name} {unable}")
            continue
        try:
            published = await catalog.publish(
                gateway, row["id"], row["name"], Money(row["amount"], row["currency"]), interval
            )
        except RefusedError as error:
            yield Line("FAILED", f"{named}: {error}")
            continue
        if published is None:
            yield Line("not needed", f"{named}: {gateway.name} is told with each checkout")
        else:
            reference, is_new = published
            yield Line("made" if is_new else "was there", f"{named}: {reference}")


async def _register(gateway: PaymentGateway, *, renew: bool) -> AsyncIterator[Line]:
    url = webhook_url(gateway.name)
    if not isinstance(gateway, WebhookRegistration):
        text = f"webhook address {url}: enter it at {gateway.name}, and its secret in the plugin's settings"
        yield Line("by hand", text)
        return
    if not is_public(url):
        text = f"webhook address {url}: {gateway.name} cannot reach it; set [server] public_url to a public https"
        yield Line("left out", f"{text} address and run this again")
        return
    present = await present_webhook(gateway.name)
    if (
        present is not None
        and not renew
        and present["url"] == url
        and await gateway.is_webhook_current(present["gateway_id"], url)
    ):
        yield Line("was there", f"webhook address {url}: {present['gateway_id']}")
    else:
        made = await gateway.register_webhook(url, idempotency_key=await _key(gateway.name, url, present))
        await _keep(gateway.name, url, made)
        version = f", version {made.version}" if made.version else ""
        yield Line("made", f"webhook address {url}: {made.gateway_id}{version}")
    async for line in _remove_old(gateway, gateway.name):
        yield line


async def _keep(gateway: str, url: str, made: RegisteredWebhook) -> None:
    """Store the address with its secret, and let those before it count no more, in one transaction."""
    async with database.unit_of_work():
        await database.execute(
            "UPDATE gateway_webhooks SET retired_at = now() WHERE gateway = $1 AND gateway_id <> $2"
            " AND retired_at IS NULL",
            gateway,
            made.gateway_id,
        )
        # Run twice at once, both got the same address under the same key.
        await database.execute(
            "INSERT INTO gateway_webhooks (gateway, url, gateway_id, secret, version, created_at)"
            " VALUES ($1, $2, $3, $4, $5, now()) ON CONFLICT (gateway, gateway_id) DO NOTHING",
            gateway,
            url,
            made.gateway_id,
            encrypt(made.secret.reveal(), purpose=SEAL),
            made.version,
        )


async def _remove_old(gateway: WebhookRegistration, name: str) -> AsyncIterator[Line]:
    """Remove retired addresses at the gateway; those of earlier runs too, since one may have ended before this."""
    rows = await database.fetch(
        "SELECT url, gateway_id, retired_at > now() - interval '1 minute' AS just_now FROM gateway_webhooks"
        f" WHERE gateway = $1 AND retired_at > now() - interval '{_REMEMBER}' ORDER BY id",
        name,
    )
    for row in rows:
        named = f"webhook address {row['url']}: {row['gateway_id']}"
        try:
            await gateway.remove_webhook(row["gateway_id"])
        except ProviderError as error:
            yield Line("FAILED", f"{named} is still registered ({error}); run this again")
        else:
            if row["just_now"]:
                yield Line("removed", named)


async def _key(gateway: str, url: str, present: asyncpg.Record | None) -> str:
    """Return the key of registering: a run that died before it stored the address gets the same one again."""
    named = f"{await references.prefix()}:{gateway}:{url}:{0 if present is None else present['id']}"
    return f"webhook-{hashlib.sha256(named.encode()).hexdigest()[:40]}"
