"""The bare client: POST the same bodies with the same transport and concurrency, and nothing else.

python bench/bare.py aiohttp|httpx URL COUNT CONCURRENCY prints requests per second.
"""

import asyncio
import sys
import time
from collections.abc import Iterator

import httpx
import uvloop

from core.plugin import Capabilities, MessageKind, OutgoingMessage, Secret, Sender, Server, build_client
from plugins.waha.connection import WahaCredentials
from plugins.waha.messages import new_client_id, prepare_message

HEADERS = {"Content-Type": "application/json"}
TEXT = "Olá Contato {number}, temos uma novidade para você em nossa loja esta semana."


def bodies(count: int) -> list[bytes]:
    """Build what the platform's campaign sends."""
    sender = Sender(
        number_id=1,
        instance="bench",
        server=Server(id=1, url="http://127.0.0.1", credentials=WahaCredentials()),
        capabilities=Capabilities(client_message_id=True),
        webhook_secret=Secret("bench"),
    )
    return [
        prepare_message(
            OutgoingMessage(str(5511900000000 + number), MessageKind.TEXT, TEXT.format(number=number)),
            sender,
            new_client_id(),
        ).body
        for number in range(count)
    ]


async def post_all(client: httpx.AsyncClient, url: str, waiting: Iterator[bytes], concurrency: int) -> None:
    """Keep ``concurrency`` requests in the air until nothing waits."""

    async def one_slot() -> None:
        for body in waiting:
            response = await client.post(url, content=body, headers=HEADERS)
            if response.status_code != httpx.codes.CREATED:
                raise RuntimeError(f"the sink answered {response.status_code}")

    await asyncio.gather(*(one_slot() for _ in range(concurrency)))


async def main() -> None:
    """Measure and print."""
    transport, url, count, concurrency = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    client = build_client() if transport == "aiohttp" else httpx.AsyncClient(limits=limits, trust_env=False)
    waiting = bodies(count)
    async with client:
        begun = time.perf_counter()
        await post_all(client, url, iter(waiting), concurrency)
        print(count / (time.perf_counter() - begun))


if __name__ == "__main__":
    uvloop.run(main())
