"""What this process holds: its configuration, providers, key and Redis client; set once at the start."""

import asyncio

import msgspec
from redis.asyncio import Redis

from core.config import PlatformConfig
from core.plugin.registry import Providers


class Runtime(msgspec.Struct, kw_only=True):
    """The process's own objects; rows hold the truth."""

    config: PlatformConfig
    providers: Providers
    secret_key: bytes
    redis: Redis
    stopping: asyncio.Event
    """Set when the process was asked to end: take no new work."""


_runtime: Runtime | None = None


def set_runtime(runtime: Runtime | None) -> None:
    """Install the process's runtime, or remove it at the end."""
    global _runtime  # noqa: PLW0603 - one process, one runtime
    _runtime = runtime


def runtime() -> Runtime:
    """Return the process's runtime; a ``RuntimeError`` means the process was not started through its entry point."""
    if _runtime is None:
        raise RuntimeError("the process has not been started: see core.startup")
    return _runtime


def providers() -> Providers:
    """Return the process's providers."""
    return runtime().providers


def config() -> PlatformConfig:
    """Return the process's configuration."""
    return runtime().config
