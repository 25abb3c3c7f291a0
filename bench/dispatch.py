"""Dispatch without delays through one worker process, beside the bare client and two naive engines.

Each round measures all four sides one after the other against the same sink; the ratios are medians over the rounds.
"""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import statistics
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence

import msgspec

from core import database
from core.campaigns import lanes
from core.clock import DatabaseClock
from core.config import PlatformConfig
from core.crypto import encrypt
from core.plugin import Capabilities
from core.queue import DISPATCH, send
from core.webhooks.targets import WEBHOOK_SEAL

ROUNDS = 5
PLATFORM_MESSAGES = 20_000
BARE_MESSAGES = 20_000
NAIVE_MESSAGES = 3_000
CONCURRENCY = 64
CAPABILITIES = Capabilities(version="bench", engine="NOWEB", client_message_id=True, receipts="read")


class Tenant(msgspec.Struct, frozen=True):
    """The rows every round uses."""

    user_id: int
    server_id: int
    number_id: int


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def measure(*command: str) -> float:
    """Run one side in a process of its own and return its messages per second."""
    done = subprocess.run(  # noqa: S603 - the bench's own scripts
        [sys.executable, "-m", *command], check=True, stdout=subprocess.PIPE, text=True
    )
    return float(done.stdout.split()[-1])


@contextlib.contextmanager
def sink(latency_seconds: float = 0.0) -> Iterator[str]:
    """Run the sink in its own process."""
    port = free_port()
    with subprocess.Popen(  # noqa: S603 - the bench's own script
        [sys.executable, "-m", "bench.sink", str(port), str(latency_seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        if process.stdout is not None:
            process.stdout.readline()
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def worker_process() -> Iterator[subprocess.Popen[bytes]]:
    """Run one worker process of the platform."""
    with subprocess.Popen(
        [sys.executable, "-m", "core.cli", "worker"], env=os.environ | {"RECADO_LOG_LEVEL": "warning"}
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)


async def make_tenant(sink_url: str) -> Tenant:
    """Write a tenant with one connected number on a server that is the sink."""
    user_id = await _new(
        "INSERT INTO users (email, name, password, status, profile) VALUES ($1, 'Bench', 'x', 'active',"
        " 'administrator') RETURNING id",
        f"{secrets.token_hex(6)}@example.org",
    )
    server_id = await _new(
        "INSERT INTO servers (name, provider, url, credentials, capabilities) VALUES ($4, 'waha', $1, $2, $3)"
        " RETURNING id",
        sink_url,
        "",
        database.encode_json(CAPABILITIES),
        secrets.token_hex(6),
    )
    await database.execute(
        "INSERT INTO contacts (user_id, number, name) SELECT $1, (5511900000000 + n)::text, 'Contato ' || n"
        " FROM generate_series(1, $2::int) n",
        user_id,
        PLATFORM_MESSAGES,
    )
    return Tenant(user_id, server_id, await make_number(user_id, server_id))


async def make_number(user_id: int, server_id: int) -> int:
    """Write a connected number."""
    token = secrets.token_hex(16)
    return await _new(
        "INSERT INTO numbers (user_id, server_id, instance, status_connection, connection, webhook_token,"
        " webhook_secret) VALUES ($1, $2, $3, true, 'connected', $3, $4) RETURNING id",
        user_id,
        server_id,
        token,
        encrypt("bench", purpose=WEBHOOK_SEAL),
    )


async def _new(statement: str, *args: object) -> int:
    created = await database.fetch_value(statement, *args)
    if not isinstance(created, int):
        raise TypeError("the statement returned no id")
    return created


async def run_platform(
    tenant: Tenant, number_ids: Sequence[int] = (), *, messages: int = PLATFORM_MESSAGES, settle_seconds: float = 0.0
) -> float:
    """Send one frozen campaign; messages per second from the first claim to the last record, by the database.

    What is recorded within ``settle_seconds`` of the first claim does not count, nor does that time.
    """
    campaign_id = await _new(
        "INSERT INTO campaigns (user_id, name, type, status, started_at, frozen_at, total) VALUES"
        " ($1, 'Bench', 3, 2, now(), now(), $2) RETURNING id",
        tenant.user_id,
        messages,
    )
    await database.execute(
        "INSERT INTO campaign_numbers (campaign_id, number_id) SELECT $1, unnest($2::bigint[])",
        campaign_id,
        list(number_ids) or [tenant.number_id],
    )
    message_id = await _new(
        "INSERT INTO messages (campaign_id, position, content) VALUES"
        " ($1, 1, 'Olá {{ nome }}, temos uma novidade para você em nossa loja esta semana.') RETURNING id",
        campaign_id,
    )
    await database.execute(
        "INSERT INTO message_by_contacts (user_id, campaign_id, message_id, contact_id, address, provider_address,"
        " variables, due_at) SELECT $1, $2, $3, id, number, number, jsonb_build_object('nome', name), now()"
        " FROM contacts WHERE user_id = $1 ORDER BY id LIMIT $4",
        tenant.user_id,
        campaign_id,
        message_id,
        messages,
    )
    await database.execute("ANALYZE message_by_contacts")
    clock = DatabaseClock()
    await clock.sync()
    await lanes.wake(campaign_id, clock.now())
    await send("campaigns.dispatch", queue=DISPATCH)
    while await database.fetch_value(  # noqa: ASYNC110 - another process works
        "SELECT EXISTS (SELECT FROM message_by_contacts WHERE campaign_id = $1 AND state IN ('pending', 'leased'))",
        campaign_id,
    ):
        await asyncio.sleep(0.5)
    begun = await database.fetch_value(
        "SELECT min(claimed_at) + make_interval(secs => $2) FROM message_by_contacts WHERE campaign_id = $1",
        campaign_id,
        settle_seconds,
    )
    rate = await database.fetch_value(
        "SELECT count(*) FILTER (WHERE updated_at > $2) / extract(epoch FROM max(updated_at) - $2)"
        " FROM message_by_contacts WHERE campaign_id = $1 AND state = 'accepted'",
        campaign_id,
        begun,
    )
    await database.execute("UPDATE campaigns SET status = 4 WHERE id = $1", campaign_id)
    await database.execute(
        "UPDATE message_by_contacts SET state = 'sent', lease_until = NULL WHERE campaign_id = $1", campaign_id
    )
    await database.execute("VACUUM ANALYZE message_by_contacts, message_attempts, send_counters, lanes")
    return float(str(rate))


async def measure_rounds(config: PlatformConfig) -> AsyncIterator[dict[str, float]]:
    """Yield the messages per second of every side, a round at a time."""
    if config.database.url is None or config.redis.url is None:
        raise RuntimeError("the bench needs its servers")
    urls = (config.redis.url.reveal(), config.database.url.reveal())
    with sink() as sink_url:
        tenant = await make_tenant(sink_url)
        target = f"{sink_url}/api/sendText"
        with worker_process():
            await run_platform(tenant)
            for _ in range(ROUNDS):
                yield {
                    "platform": await run_platform(tenant),
                    "bare": await _measure("bench.bare", "aiohttp", target, str(BARE_MESSAGES), str(CONCURRENCY)),
                    "naive": await _measure("bench.naive", "aiohttp", target, *urls, str(NAIVE_MESSAGES)),
                    "httpx": await _measure("bench.naive", "httpx", target, *urls, str(NAIVE_MESSAGES)),
                    "sink": await _measure("bench.flood", target, str(BARE_MESSAGES), str(CONCURRENCY)),
                }


async def _measure(*command: str) -> float:
    return await asyncio.to_thread(measure, *command)


def ratio(rounds: list[dict[str, float]], other: str, *, of: str = "platform") -> float:
    """Return the median advantage of one side over ``other``, round by round."""
    return statistics.median(found[of] / found[other] for found in rounds)
