"""``recado check``: whether the webhooks of the payment gateways arrive and can be verified."""

from collections.abc import AsyncIterator

import asyncpg

from core.checks import Check, Checkup, Result, describe
from core.crypto import decrypt
from core.payments.setup import present_webhook, webhook_url
from core.plugin import WebhookRegistration
from core.startup import running_process
from core.webhooks.gateways import SEAL


async def check_gateway_webhooks(checkup: Checkup) -> AsyncIterator[Result]:
    """Ask every gateway that registers addresses by itself about ours; of the others their own line tells."""
    config = checkup.config
    if not checkup.providers.gateways_by_name or config.database.url is None or config.redis.url is None:
        return
    async with running_process(config):
        for name, gateway in checkup.providers.gateways_by_name.items():
            if isinstance(gateway, WebhookRegistration):
                yield await check_webhook(name, gateway, by_hand=_has_secrets(checkup, name))


async def check_webhook(name: str, gateway: WebhookRegistration, *, by_hand: bool) -> Result:
    """Say whether one gateway's webhooks come here and can be verified, in a process that is started."""
    line = f"payments {name} webhooks"
    try:
        wrong, text = await _look(name, gateway, by_hand=by_hand)
    except asyncpg.UndefinedTableError:
        return Result("warning", line, "the database is empty: `recado up` or `recado migrate` fills it")
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        return Result("problem", line, describe(error))
    return Result("warning", line, f"{wrong}: run `recado {name} setup`") if wrong else Result("ok", line, text)


async def _look(name: str, gateway: WebhookRegistration, *, by_hand: bool) -> tuple[str, str]:
    """Return what is wrong, or nothing and what is right."""
    row = await present_webhook(name)
    if row is None:
        wrong = "" if by_hand else "cannot be verified, so payments are seen late"
        return wrong, "can be verified with the secrets of the plugin's settings"
    decrypt(row["secret"], purpose=SEAL)
    url, ours = row["url"], webhook_url(name)
    if url != ours:
        return f"go to {url} and not to {ours}", ""
    if not await gateway.is_webhook_current(row["gateway_id"], url):
        return f"{url} is not registered any more, or disabled, or for another version", ""
    return "", f"come to {url} and can be verified"


def _has_secrets(checkup: Checkup, gateway: str) -> bool:
    """Whether secrets of addresses that were entered by hand stand in the settings of the gateway's plugin."""
    owners = [plugin.name for plugin in checkup.providers.plugins if gateway in plugin.payments]
    return any(checkup.config.plugins.get(owner, {}).get("webhook_secrets") for owner in owners)


CHECKS: tuple[tuple[str, Check], ...] = (("payments", check_gateway_webhooks),)
