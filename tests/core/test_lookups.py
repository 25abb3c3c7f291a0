import asyncio
import socket
import threading

import pytest

from core.lookups import Resolver, look_up


async def test_a_name_has_addresses() -> None:
    (found,) = await Resolver().resolve("localhost", 8000, socket.AF_INET)
    assert (found["host"], found["port"], found["hostname"]) == ("127.0.0.1", 8000, "localhost")


async def test_a_name_that_nobody_has() -> None:
    with pytest.raises(socket.gaierror):
        await look_up("nobody.invalid", 80)


async def test_busy_threads_of_the_process_do_not_matter() -> None:
    gate = threading.Event()
    loop = asyncio.get_running_loop()
    busy = [loop.run_in_executor(None, gate.wait) for _ in range(64)]
    try:
        async with asyncio.timeout(10):
            assert await look_up("localhost", 80, socket.AF_INET)
    finally:
        gate.set()
        await asyncio.gather(*busy)
