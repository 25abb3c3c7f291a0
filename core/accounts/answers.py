"""What Redis knows, for seconds, of a credential; PostgreSQL is the truth.

Losing Redis signs nobody in or out; a revocation puts a mark into the cache that is stronger than any answer that was
read before it.
"""

import asyncio
from collections.abc import Iterable

import msgspec
import structlog
from redis.exceptions import RedisError

from core.runtime import runtime
from core.security import CurrentUser

CACHE_SECONDS = 10
"""How long an answer may be reused; also the longest a revocation can go unnoticed while Redis is away."""
MARK_SECONDS = 60
LIMIT_SECONDS = 0.25

_REVOKED = b""

_log = structlog.get_logger(__name__)


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """What the cache holds for a valid credential."""

    user: CurrentUser
    status: str


async def recall(digest: bytes) -> Answer | None:
    """Return what is known of a credential; nothing where Redis is away, or a mark stands."""
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            return decode(await runtime().redis.get(key_of(digest)))
    except (RedisError, OSError, TimeoutError):
        return None


def decode(found: object) -> Answer | None:
    """Read what the cache held."""
    try:
        return msgspec.msgpack.decode(found, type=Answer) if isinstance(found, bytes) and found else None
    except msgspec.DecodeError:
        return None


async def remember(digest: bytes, answer: Answer, seconds: float) -> None:
    """Keep an answer unless a mark stands there: the answer may have been read before the revocation."""
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            milliseconds = max(1, int(min(CACHE_SECONDS, seconds) * 1000))
            await runtime().redis.set(key_of(digest), msgspec.msgpack.encode(answer), px=milliseconds, nx=True)
    except (RedisError, OSError, TimeoutError):
        _log.warning("session_cache_unavailable")


async def revoke(digests: Iterable[bytes]) -> None:
    """Mark credentials, so that every process asks PostgreSQL for them."""
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            for digest in digests:
                await runtime().redis.set(key_of(digest), _REVOKED, ex=MARK_SECONDS)
    except (RedisError, OSError, TimeoutError):
        _log.warning("session_cache_unavailable", consequence=f"revoked within {CACHE_SECONDS} s")


def key_of(digest: bytes) -> str:
    """Return the cache's key for a credential."""
    return f"recado:session:{digest.hex()}"
