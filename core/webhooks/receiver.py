"""A short-lived server of the webhook route alone, for ``recado check`` while the API does not run."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from litestar import Litestar

from core.problems import EXCEPTION_HANDLERS
from core.request import PlatformRequest
from core.webhooks.controllers import WebhookController


@asynccontextmanager
async def receiving(host: str, port: int) -> AsyncIterator[bool]:
    """Receive webhooks at ``host`` and ``port`` while the block runs; yields ``False`` where somebody does already."""
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError:
        yield False
        return
    app = Litestar(
        route_handlers=[WebhookController],
        request_class=PlatformRequest,
        exception_handlers=EXCEPTION_HANDLERS,
        openapi_config=None,
        logging_config=None,
    )
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield True
    finally:
        server.should_exit = True
        await serving
        listener.close()
