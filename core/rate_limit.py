"""How many requests a client may make: counted in Redis, for all processes together, before anything else is done.

A client is the session or key its credential is known to stand for, else its address; a credential that was not
verified yet counts on the address, so that guessing tokens wins nothing. A ticket that is good once counts for itself,
since whoever it was made for was counted then. The count slides: of the minute before, the
part that is not over yet counts too (Cloudflare's approximation of a sliding window).

One script asks for the credential's cache entry and counts, in one round trip; the entry is handed on to whoever
verifies the credential. That is why no library does it. When Redis is away, sign-ins are closed, since nobody slows
guessing down, and everything else is open.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Protocol

import structlog
from litestar.types import HTTPScope
from redis.exceptions import NoScriptError, RedisError

from core.client_address import client_address
from core.config import PlatformConfig
from core.errors import NotReadyError, TooManyRequestsError, TooManySignInsError
from core.runtime import runtime
from core.security import credential_of

LIMIT_SECONDS: Final = 0.25
SIGN_IN_LIMIT_SECONDS: Final = 3.0
"""A sign-in is closed where the count does not come, so a busy moment must not be taken for an outage."""
WINDOW_SECONDS: Final = 60
LOG_EVERY_SECONDS: Final = 60.0
MOST_SIGN_INS: Final = 32
"""Sign-ins that one process serves at a time."""

SIGN_IN_PATHS: Final = (
    "/api/auth/login",
    "/api/auth/register",
    "/api/auth/forgot-password",
    "/api/auth/reset-password",
    "/api/auth/confirm-email",
    "/api/auth/two-factor/verify",
    "/api/setup",
)
FREE_PATHS: Final = ("/api/webhooks/", "/api/media/files/", "/api/schema")
"""Messaging servers deliver and fetch at their own pace; of deliveries those that are refused count, see
``core.webhooks.refusals``."""

# KEYS: the credential's cache entry, what counts the address. ARGV: the time in seconds, the window, the limits of an
# address, of a token and of a cookie, how the credential came, and the start of the keys that count credentials.
_SCRIPT: Final = """
local now, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local known = KEYS[1] ~= '' and redis.call('GET', KEYS[1]) or false
local counter, limit = KEYS[2], tonumber(ARGV[3])
if known and #known > 0 then
    counter = ARGV[7] .. KEYS[1]
    limit = tonumber(ARGV[6] == 'cookie' and ARGV[5] or ARGV[4])
end
local minute = math.floor(now / window)
local part = (now % window) / window
local present = counter .. ':' .. minute
local before = tonumber(redis.call('GET', counter .. ':' .. (minute - 1)) or '0')
local used = before * (1 - part) + tonumber(redis.call('GET', present) or '0')
local allowed = used + 1 <= limit
if allowed then
    redis.call('INCR', present)
    redis.call('EXPIRE', present, 2 * window)
    used = used + 1
end
return {known or '', allowed and 1 or 0, limit, math.max(0, math.floor(limit - used)), tostring(window * (1 - part))}
"""

_SCRIPT_HASH: Final = hashlib.sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()
"""The name by which Redis keeps a script."""

Headers = list[tuple[bytes, bytes]]

_log = structlog.get_logger(__name__)


def is_counted(path: str) -> bool:
    """Whether requests to ``path`` count."""
    return path.startswith("/api/") and not path.startswith(FREE_PATHS)


class RateLimitedError(TooManyRequestsError):
    """The client has made as many requests as it may in a minute."""

    code = "rate_limited"

    def __init__(self, limit: int, retry_after: float) -> None:
        seconds = max(1, round(retry_after))
        super().__init__(
            f"The limit of requests in a minute ({limit}) is reached: go on in {seconds} seconds.",
            limit=limit,
            seconds=seconds,
        )
        self.retry_after = retry_after
        self.headers = _headers(limit, 0, retry_after)


class CacheKey(Protocol):
    """Says where the cache keeps what it knows of a token, ``None`` for what cannot be one."""

    def __call__(self, token: str) -> str | None:
        """Return the key."""
        ...


class TicketKey(Protocol):
    """Says where Redis keeps the ticket that a request brings for a credential, ``None`` where it brings none."""

    def __call__(self, scope: HTTPScope) -> str | None:
        """Return the key."""
        ...


class RateLimiter:
    """Counts the requests of one application by its ``limits``."""

    def __init__(self, config: PlatformConfig, cache_key: CacheKey, ticket_key: TicketKey) -> None:
        self.limits = config.limits
        self._proxies = config.server.trusted_proxies
        self._cache_key = cache_key
        self._ticket_key = ticket_key
        self._logged_at = -LOG_EVERY_SECONDS
        self._signing_in = 0

    @asynccontextmanager
    async def serving(self, scope: HTTPScope) -> AsyncIterator[Headers]:
        """Count a request and give the block the headers that tell what is left; raises as ``count``.

        Of sign-ins, one process serves a few at a time: a flood of them must not keep connections from others.

        Raises:
            TooManySignInsError: It is a sign-in, and as many are being served.
        """
        if not scope["path"].startswith(SIGN_IN_PATHS):
            yield await self.count(scope)
            return
        if self._signing_in >= MOST_SIGN_INS:
            raise TooManySignInsError
        self._signing_in += 1
        try:
            yield await self.count(scope)
        finally:
            self._signing_in -= 1

    async def count(self, scope: HTTPScope) -> Headers:
        """Count a request and return the headers that tell what is left.

        What the cache knows of its credential is put into ``scope["state"]["known_credential"]``.

        Raises:
            RateLimitedError: It is one too many.
            NotReadyError: It is a sign-in, and Redis does not answer.
        """
        path = scope["path"]
        if not is_counted(path):
            return []
        signs_in = path.startswith(SIGN_IN_PATHS)
        try:
            async with asyncio.timeout(SIGN_IN_LIMIT_SECONDS if signs_in else LIMIT_SECONDS):
                known, allowed, limit, left, reset = await self._ask(scope, signs_in=signs_in)
        except (RedisError, OSError, TimeoutError) as error:
            self._note_away(error)
            if signs_in:
                raise NotReadyError(
                    "Nobody can sign in at this moment: Redis does not answer.", code="sign_in_closed"
                ) from None
            return []
        scope["state"]["known_credential"] = known
        if not allowed:
            raise RateLimitedError(limit, float(reset))
        return _headers(limit, left, float(reset))

    async def _ask(self, scope: HTTPScope, *, signs_in: bool) -> tuple[bytes, int, int, int, bytes]:
        credential = None if signs_in else credential_of(scope)
        ticket = self._ticket_key(scope)
        entry = ticket or (self._cache_key(credential.token) if credential is not None else None)
        limits = self.limits
        values = (
            entry or "",
            f"recado:rate:{'sign-in' if signs_in else 'address'}:{client_address(scope, self._proxies)}",
            time.time(),
            WINDOW_SECONDS,
            limits.sign_in_per_minute if signs_in else limits.per_minute,
            limits.per_minute,
            limits.dashboard_per_minute,
            "cookie" if credential is not None and credential.by_cookie else "bearer",
            "recado:rate:",
        )
        known, allowed, limit, left, reset = await _run(*values)
        # What a ticket stands for is for whoever redeems it, and says nothing of a credential.
        return b"" if ticket else known, allowed, limit, left, reset

    def _note_away(self, error: BaseException) -> None:
        """Say, now and then, that nothing is counted."""
        if time.monotonic() - self._logged_at >= LOG_EVERY_SECONDS:
            self._logged_at = time.monotonic()
            _log.error(
                "rate_limit_off",
                error=type(error).__name__,
                consequence="requests are not limited, and sign-in is closed",
            )


async def count_one(counter: str, limit: int) -> tuple[bool, float]:
    """Count one event of ``counter``; say whether it is within ``limit`` a minute, and in how many seconds that ends.

    One beyond the limit is not counted. Raises what Redis raises when it is away.
    """
    key = f"recado:rate:{counter}"
    _, allowed, _, _, reset = await _run("", key, time.time(), WINDOW_SECONDS, limit, limit, limit, "", "")
    return bool(allowed), float(reset)


async def _run(*values: str | float) -> tuple[bytes, int, int, int, bytes]:
    redis = runtime().redis
    try:
        found = await redis.evalsha(_SCRIPT_HASH, 2, *values)
    except NoScriptError:
        found = await redis.eval(_SCRIPT, 2, *values)
    known, allowed, limit, left, reset = found
    return known, allowed, limit, left, reset


def _headers(limit: int, left: int, reset: float) -> Headers:
    return [
        (b"ratelimit-limit", str(limit).encode()),
        (b"ratelimit-remaining", str(left).encode()),
        (b"ratelimit-reset", str(max(1, round(reset))).encode()),
    ]
