"""Take away what the process stands on, for a while."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from core.config import RedisConfig
from core.piccolo_conf import DB
from core.plugin.secret import Secret
from core.runtime import Runtime, set_runtime
from core.startup import connect_redis


def free_port() -> int:
    """A port of loopback where nothing answers."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


@asynccontextmanager
async def without_redis(runtime: Runtime) -> AsyncIterator[None]:
    """Point the process at a port where nothing answers."""
    url = Secret(f"redis://127.0.0.1:{free_port()}")
    client = connect_redis(msgspec.structs.replace(runtime.config, redis=RedisConfig(url=url)))
    set_runtime(msgspec.structs.replace(runtime, redis=client))
    try:
        yield
    finally:
        set_runtime(runtime)
        await client.aclose()


@asynccontextmanager
async def without_database() -> AsyncIterator[None]:
    """Leave the process without its pool."""
    pool, DB.pool = DB.pool, None
    try:
        yield
    finally:
        DB.pool = pool
