"""The naive engine: one Dramatiq message per recipient, which reads its row, sends and writes its row.

python bench/naive.py aiohttp|httpx URL REDIS_URL DATABASE_URL COUNT prints messages per second.
"""

import asyncio
import sys
import threading
import time

import asyncpg
import dramatiq
import httpx
import uvloop
from dramatiq.asyncio import get_event_loop_thread
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AsyncIO, Middleware

from bench.bare import HEADERS, bodies
from core.plugin import build_client

THREADS = 64


class Connections(Middleware):
    """The pool and the client of the process, opened on the worker's event loop."""

    pool: asyncpg.Pool
    client: httpx.AsyncClient

    def __init__(self, transport: str, database_url: str) -> None:
        self._transport = transport
        self._database_url = database_url

    def before_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Open both."""
        del broker, worker
        loop = get_event_loop_thread()
        if loop is None:
            raise RuntimeError("Dramatiq started no event loop")
        loop.run_coroutine(self._open())

    async def _open(self) -> None:
        self.pool = await asyncpg.create_pool(self._database_url, max_size=12)
        limits = httpx.Limits(max_connections=THREADS, max_keepalive_connections=THREADS)
        plain = self._transport == "httpx"
        self.client = httpx.AsyncClient(limits=limits, trust_env=False) if plain else build_client()


async def fill(database_url: str, count: int) -> None:
    """Write the rows that are sent."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS naive (id bigint PRIMARY KEY, body bytea, sent_at timestamptz)"
    )
    await connection.execute("TRUNCATE naive")
    await connection.executemany("INSERT INTO naive VALUES ($1, $2)", list(enumerate(bodies(count))))
    await connection.close()


def main() -> None:
    """Measure and print."""
    transport, url, redis_url, database_url, count = *sys.argv[1:5], int(sys.argv[5])
    uvloop.install()
    asyncio.run(fill(database_url, count))
    connections = Connections(transport, database_url)
    broker = RedisBroker(url=redis_url, namespace="bench", middleware=[AsyncIO(), connections])  # type: ignore[no-untyped-call] # untyped library
    broker.flush_all()
    dramatiq.set_broker(broker)
    done = threading.Event()
    left = [count]

    @dramatiq.actor(queue_name="bench")
    async def send_one(recipient_id: int) -> None:
        body = await connections.pool.fetchval("SELECT body FROM naive WHERE id = $1 AND sent_at IS NULL", recipient_id)
        response = await connections.client.post(url, content=body, headers=HEADERS)
        if response.status_code == httpx.codes.CREATED:
            await connections.pool.execute("UPDATE naive SET sent_at = now() WHERE id = $1", recipient_id)
        left[0] -= 1
        if not left[0]:
            done.set()

    for number in range(count):
        send_one.send(number)
    worker = dramatiq.Worker(broker, worker_threads=THREADS)
    begun = time.perf_counter()
    worker.start()
    done.wait()
    print(count / (time.perf_counter() - begun))
    worker.stop()


if __name__ == "__main__":
    main()
