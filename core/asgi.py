"""The application for an ASGI server: ``uvicorn --factory core.asgi:create``."""

from contextlib import AbstractAsyncContextManager

from litestar import Litestar

from core.app import create_app
from core.config import load_config
from core.runtime import Runtime
from core.startup import running_process


def create() -> Litestar:
    """Build the application of platform.toml; the process starts and ends with the server."""
    config = load_config()

    def lifespan(_app: Litestar) -> AbstractAsyncContextManager[Runtime]:
        return running_process(config)

    return create_app(config, lifespan=[lifespan])
