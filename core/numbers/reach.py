"""``recado check``: whether every messaging server answers us, and whether it reaches our webhook."""

import ipaddress
import secrets
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import asyncpg

from core import database
from core.checks import Check, Checkup, Result, ask, describe
from core.numbers import upkeep
from core.numbers.connecting import webhook_url
from core.numbers.senders import build_server
from core.plugin import Capabilities, EventPolling, MessagingProvider, Secret, Sender, Server, SignIn, WebhookTarget
from core.plugin.registry import NoSuchProviderError
from core.startup import running_process
from core.webhooks import probe
from core.webhooks.receiver import receiving

CALLBACK_SECONDS = 20.0


async def check_messaging_servers(checkup: Checkup) -> AsyncIterator[Result]:
    """Ask every server, and have it call our webhook back: the running API's, or one that lives as long as this."""
    if checkup.config.database.url is None or checkup.config.redis.url is None:
        return  # Told by the checks of both.
    listening = checkup.config.server
    async with running_process(checkup.config), receiving(listening.host, listening.port):
        async for result in check_rows(checkup):
            yield result


async def check_rows(checkup: Checkup) -> AsyncIterator[Result]:
    """Check the servers of the ``servers`` table, in a process that is started and receives webhooks."""
    try:
        rows = await database.fetch(
            "SELECT id, name, provider, url, credentials, capabilities ->> 'inbound' = 'poll' AS asked"
            " FROM servers WHERE deleted_at IS NULL ORDER BY id"
        )
    except asyncpg.UndefinedTableError:
        yield Result("warning", "messaging servers", "the database is empty: `recado up` or `recado migrate` fills it")
        return
    if not rows:
        yield Result("warning", "messaging servers", "there is none: add one under POST /api/admin/servers")
    for row in rows:
        async for result in _check_server(checkup, row):
            yield result


async def _check_server(checkup: Checkup, row: asyncpg.Record) -> AsyncIterator[Result]:
    name = f"{row['provider']} server {row['name']}"
    try:
        provider = checkup.providers.messaging(row["provider"])
        server = build_server(provider, row["id"], row["url"], row["credentials"])
    except NoSuchProviderError as error:
        yield Result("problem", name, str(error))
        return
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a row is a line of the check
        yield Result("problem", name, describe(error))
        return
    answered = await ask(name, lambda: provider.check(server))
    yield answered
    if answered.level == "ok" and row["asked"] and isinstance(provider, EventPolling):
        yield Result("ok", f"{name} events", "are asked for: nothing has to reach this platform")
    elif answered.level == "ok":
        yield await check_callback(f"{name} calls back", provider, server, checkup.config.server.base_url)
        yield await _check_webhooks(f"{name} webhooks", row["id"])


async def _check_webhooks(name: str, server_id: int) -> Result:
    """Compare the webhooks of the server's connected numbers with ours, and set again what differs."""
    repairs = [one async for one in upkeep.repair_server(server_id)]
    failed = [one for one in repairs if one.failure]
    if failed:
        listed = ", ".join(str(one.number_id) for one in failed)
        return Result("problem", name, f"could not be compared for number {listed}: {failed[0].failure}")
    differed = [str(one.number_id) for one in repairs if one.differed]
    if differed:
        return Result("warning", name, f"had been changed and were set again for number {', '.join(differed)}")
    return Result("ok", name, f"{len(repairs)} connected number(s), as the platform set them")


async def check_callback(
    name: str, provider: MessagingProvider, server: Server, base_url: str, *, limit_seconds: float = CALLBACK_SECONDS
) -> Result:
    """Open a number for trial on ``server``, wait until the server calls our webhook, and remove the number."""
    if is_loopback(base_url) and not is_loopback(server.url):
        text = f"{_host(server.url)} cannot call {base_url}, which is this machine's own: set [server] public_url"
        return Result("problem", name, f"{text} to an address that it reaches")
    try:
        capabilities = await provider.capabilities(server)
        if not isinstance(provider, SignIn) or not capabilities.multi_session:
            return Result("warning", name, "not tried: the server has no room for a number on trial")
        called, address = await _try_callback(provider, provider, server, capabilities, limit_seconds)
    except Exception as error:  # noqa: BLE001 - a provider may raise anything
        return Result("problem", name, describe(error))

    if called:
        return Result("ok", name, f"the server reaches {address}")
    text = f"the server did not call {address} within {limit_seconds:g} s: set [server] public_url to an address that"
    return Result("problem", name, f"{text} it reaches (inside a container, 127.0.0.1 is the container itself)")


async def _try_callback(
    provider: MessagingProvider, sign_in: SignIn, server: Server, capabilities: Capabilities, limit_seconds: float
) -> tuple[bool, str]:
    """Return whether the server called, and the address without its token."""
    sender = Sender(
        number_id=probe.NO_NUMBER,
        instance=f"recado-check-{secrets.token_hex(4)}",
        server=server,
        capabilities=capabilities,
        webhook_secret=Secret(secrets.token_urlsafe(32)),
    )
    token = await probe.expect(provider.name, sender.webhook_secret)
    url = webhook_url(provider.name, token)
    try:
        await sign_in.open(sender, WebhookTarget(url))
        return await probe.wait_for_call(token, limit_seconds), url.removesuffix(token)
    finally:
        await sign_in.remove(sender)
        await probe.close(token)


def is_loopback(url: str) -> bool:
    """Whether an address names the machine that uses it."""
    host = _host(url)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


CHECKS: tuple[tuple[str, Check], ...] = (("messaging servers", check_messaging_servers),)
