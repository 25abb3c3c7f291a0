"""The application for an ASGI server: ``uvicorn --factory core.asgi:create``."""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar

from core.app import create_app
from core.config import load_config
from core.live.controllers import hub_of
from core.signals import also_on
from core.startup import running_process


def create() -> Litestar:
    """Build the application of platform.toml; the process starts and ends with the server."""
    config = load_config()

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        hub = hub_of(app)
        # The server waits for open connections before it ends, and these would stay open.
        with also_on(signal.SIGTERM, signal.SIGINT, call=hub.end):
            async with running_process(config):
                yield

    return create_app(config, lifespan=[lifespan])
