"""What ``recado check`` looks at: one line each, and what to do where something is wrong."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Literal
from urllib.parse import urlsplit

import asyncpg
import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.config import PlatformConfig
from core.database import MINIMUM_VERSION, DatabaseNotConfiguredError, DatabaseTooOldError
from core.errors import OperatorError
from core.logging import redact
from core.media.store import try_out
from core.plugin.registry import Providers
from core.queue import QueueNotConfiguredError

LIMIT_SECONDS = 20.0


class Result(msgspec.Struct, frozen=True):
    """One line of the check."""

    level: Literal["ok", "warning", "problem"]
    name: str
    text: str


class Checkup(msgspec.Struct, frozen=True):
    """What is checked."""

    config: PlatformConfig
    providers: Providers


Check = Callable[[Checkup], AsyncIterator[Result]]
"""A check yields a line for each thing it looked at; what it raises becomes a problem."""


async def run_checks(checkup: Checkup, checks: Sequence[tuple[str, Check]]) -> AsyncIterator[Result]:
    """Run ``checks``, each with its name, one after the other; none keeps the next from running."""
    for name, check in checks:
        try:
            async for result in check(checkup):
                yield result
        except Exception as error:  # noqa: BLE001 - whatever fails is a line of the check
            yield Result("problem", name, describe(error))


async def ask(name: str, call: Callable[[], Awaitable[str]]) -> Result:
    """Turn one call, its answer, its error or its silence into a line."""
    try:
        return Result("ok", name, await asyncio.wait_for(call(), LIMIT_SECONDS))
    except TimeoutError:
        return Result("problem", name, f"no answer within {LIMIT_SECONDS:g} s")
    except Exception as error:  # noqa: BLE001 - a provider may raise anything
        return Result("problem", name, describe(error))


def describe(error: Exception) -> str:
    """Say in one line what an error means, with no password in it."""
    first = next(iter(str(error).strip().splitlines()), "")
    text = str(redact(None, "", {"text": first})["text"])
    return text if isinstance(error, OperatorError) else f"{type(error).__name__}: {text}".rstrip(": ")


async def check_plugins(checkup: Checkup) -> AsyncIterator[Result]:
    """Name every plugin and what it adds."""
    for plugin in checkup.providers.plugins:
        added = [*plugin.messaging, *plugin.payments, *plugin.notifiers]
        state = f"adds {', '.join(added) or 'nothing'}" if plugin.enabled else "switched off (enabled = false)"
        yield Result("ok", f"plugin {plugin.name}", state)
    if not checkup.providers.messaging_by_name:
        yield Result("warning", "plugins", "nothing can send messages: add [plugins.waha] to platform.toml")


async def check_servers(checkup: Checkup) -> AsyncIterator[Result]:
    """Reach PostgreSQL and Redis."""
    yield await ask("database", lambda: reach_database(checkup.config))
    yield await ask("redis", lambda: reach_redis(checkup.config))


async def check_media(checkup: Checkup) -> AsyncIterator[Result]:
    """Keep, read and remove a file where media files are kept."""
    yield await ask("media files", lambda: try_out(checkup.config.media, checkup.config.data_folder))


async def check_public_url(checkup: Checkup) -> AsyncIterator[Result]:
    """Warn of an address that only this machine can reach."""
    address = checkup.config.server.base_url
    host = urlsplit(address).hostname or ""
    if host in {"localhost", "::1"} or host.startswith("127."):
        text = (
            f"a messaging server in a container or on another machine cannot reach {address}: set [server] public_url"
        )
        yield Result("warning", "public address", text)
    else:
        yield Result("ok", "public address", address)


async def check_services(checkup: Checkup) -> AsyncIterator[Result]:
    """Have every payment gateway and notifier say who answers."""
    if not checkup.providers.gateways_by_name:
        yield Result("ok", "payments", "no gateway is enabled, so administrators assign the plans")
    for name, gateway in checkup.providers.gateways_by_name.items():
        yield await ask(f"payments {name}", gateway.check)
    notifiers = checkup.providers.notifiers_by_name
    for name, notifier in notifiers.items():
        yield await ask(f"notifications {name}", notifier.check)
    if all(notifier.channel != "email" for notifier in notifiers.values()):
        text = "nothing can send e-mails, so nobody gets password links: add [plugins.smtp] to platform.toml"
        yield Result("warning", "e-mail", text)


async def reach_database(config: PlatformConfig) -> str:
    """Return PostgreSQL's version.

    Raises:
        OperatorError: It is not configured, does not answer, refuses us or is too old.
    """
    if config.database.url is None:
        raise DatabaseNotConfiguredError
    try:
        connection = await asyncpg.connect(config.database.url.reveal(), timeout=LIMIT_SECONDS)
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise OperatorError(f"PostgreSQL cannot be used ({describe(error)}): check [database] url") from None
    try:
        number = int(await connection.fetchval("SHOW server_version_num"))
        version = await connection.fetchval("SHOW server_version")
    finally:
        await connection.close()
    if number < MINIMUM_VERSION:
        raise DatabaseTooOldError(version)
    return f"PostgreSQL {version}"


async def reach_redis(config: PlatformConfig) -> str:
    """Return the name and version of the Redis or Valkey.

    Raises:
        OperatorError: It is not configured, does not answer or refuses us.
    """
    if config.redis.url is None:
        raise QueueNotConfiguredError
    try:
        client = Redis.from_url(config.redis.url.reveal(), socket_connect_timeout=5, socket_timeout=5)
        try:
            found = await client.info("server")
        finally:
            await client.aclose()
    except (OSError, ValueError, RedisError) as error:
        raise OperatorError(f"Redis cannot be used ({describe(error)}): check [redis] url") from None
    if "valkey_version" in found:
        return f"Valkey {found['valkey_version']}"
    return f"Redis {found['redis_version']}"


CHECKS: tuple[tuple[str, Check], ...] = (
    ("plugins", check_plugins),
    ("servers", check_servers),
    ("public address", check_public_url),
    ("services", check_services),
    ("media files", check_media),
)
"""In the order they are printed; a domain's checks are appended here."""
