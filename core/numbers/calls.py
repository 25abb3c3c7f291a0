"""Calls to providers from requests: bounded in time, and every failure a 502 that names the provider alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from core.errors import PlatformError, ProviderFailedError
from core.plugin import ProviderError, UnavailableError

LIMIT_SECONDS = 90.0
"""Longer than any single call of a provider; a plugin that never returns must not hold a request for ever."""

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def calling(provider: str, doing: str, *, limit_seconds: float = LIMIT_SECONDS) -> AsyncIterator[None]:
    """Turn whatever a provider raises inside into ``ProviderFailedError``; the reason goes to the log."""
    try:
        async with asyncio.timeout(limit_seconds):
            yield
    except PlatformError:
        raise
    except Exception as error:
        expected = isinstance(error, ProviderError | TimeoutError)
        _log.warning("provider_failed", provider=provider, doing=doing, reason=reason_of(error), exc_info=not expected)
        code = error.code if isinstance(error, ProviderError) else None
        wait = error.retry_after if isinstance(error, UnavailableError) else None
        raise ProviderFailedError(provider, code=code, retry_after=wait) from error


def reason_of(error: BaseException) -> str:
    """Say why a provider failed: its own words where they are safe to show, else the kind of the exception."""
    if isinstance(error, ProviderError):
        return str(error)
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return f"the plugin failed ({type(error).__name__}), see the log"
