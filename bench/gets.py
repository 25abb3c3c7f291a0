"""The same GET again and again: python -m bench.gets URL TOKEN COUNT CONCURRENCY prints requests per second."""

import asyncio
import itertools
import sys
import time
from functools import partial
from urllib.parse import urlsplit

import uvloop

from bench.acks import Slot


async def main() -> None:
    """Measure and print."""
    url, token, count, concurrency = urlsplit(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    request = (
        f"GET {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\nAuthorization: Bearer {token}\r\n"
        "Accept: application/json\r\n\r\n"
    ).encode()
    waiting = itertools.repeat(request, count)
    loop = asyncio.get_running_loop()
    slots = [loop.create_future() for _ in range(concurrency)]
    begun = time.perf_counter()
    for done in slots:
        await loop.create_connection(partial(Slot, waiting, done), "127.0.0.1", url.port or 80)
    await asyncio.gather(*slots)
    print(count / (time.perf_counter() - begun))


if __name__ == "__main__":
    uvloop.run(main())
