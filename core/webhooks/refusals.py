"""Slow down who has deliveries refused: guesses tokens, or signs with a wrong secret.

Deliveries do not count as requests, since messaging servers come at their own pace. Refused ones count for the client's
address, in Redis for all processes together; an accepted one costs no look at Redis. An address with too many of them
in a minute is blocked by each process for the rest of that minute, and what it delivers is answered 429 before the
database is asked or written.

Genuine deliveries of a blocked address pass all the same: behind a proxy that is not named in ``trusted_proxies``, or a
shared exit, a stranger's guesses would otherwise cost all acknowledgements of an installation. So the tokens of all
live numbers are kept in memory while some address is blocked, read at most every ``REFRESH_SECONDS``; a delivery to one
of those goes on to have its signature judged, and a number that is newer waits that long for its server's next try.

While Redis is away nothing is counted, and nobody is blocked.
"""

import asyncio
import time

import structlog
from redis.exceptions import RedisError

from core import database
from core.errors import TooManyRequestsError
from core.rate_limit import LIMIT_SECONDS, LOG_EVERY_SECONDS, count_one
from core.runtime import config

REFRESH_SECONDS = 10.0
MOST_ADDRESSES = 10_000

_log = structlog.get_logger(__name__)


class TooManyRefusedError(TooManyRequestsError):
    """The client's address had as many deliveries refused as it may in a minute."""

    code = "too_many_refused_deliveries"

    def __init__(self, retry_after: float) -> None:
        seconds = max(1, round(retry_after))
        super().__init__(
            f"Too many deliveries from this address were refused: go on in {seconds} seconds.", seconds=seconds
        )
        self.retry_after = retry_after


class Refusals:
    """What one process knows of addresses whose deliveries are refused."""

    def __init__(self) -> None:
        self._blocked: dict[str, float] = {}
        self._logged_at = -LOG_EVERY_SECONDS
        self._tokens: frozenset[str] = frozenset()
        self._read_at: float | None = None
        self._reading = asyncio.Lock()

    def is_blocked(self, address: str) -> bool:
        """Whether an address is blocked at this moment; nothing but memory is asked."""
        return bool(self._blocked) and self._left(address) > 0

    async def is_live(self, token: str) -> bool:
        """Whether a token is a live number's, as of the last ``REFRESH_SECONDS``."""
        async with self._reading:
            if self._read_at is None or time.monotonic() - self._read_at > REFRESH_SECONDS:
                rows = await database.fetch("SELECT webhook_token FROM numbers WHERE deleted_at IS NULL")
                self._tokens = frozenset(row["webhook_token"] for row in rows)
                self._read_at = time.monotonic()
        return token in self._tokens

    async def count(self, address: str) -> None:
        """Count a refusal; one of a blocked address counts no more.

        Raises:
            TooManyRefusedError: The address is blocked, maybe since now.
        """
        if self.is_blocked(address):
            raise TooManyRefusedError(self._left(address))
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                allowed, left = await count_one(
                    f"refused-webhook:{address}", config().limits.refused_webhooks_per_minute
                )
        except (RedisError, OSError, TimeoutError) as error:
            self._note_away(error)
            return
        if not allowed:
            self._block(address, left)
            raise TooManyRefusedError(left)

    def forget_tokens(self) -> None:
        """Read the tokens anew when they are next asked for."""
        self._read_at = None

    def _left(self, address: str) -> float:
        return self._blocked.get(address, 0.0) - time.monotonic()

    def _block(self, address: str, seconds: float) -> None:
        now = time.monotonic()
        if len(self._blocked) >= MOST_ADDRESSES:
            self._blocked = {one: until for one, until in self._blocked.items() if until > now}
        if len(self._blocked) >= MOST_ADDRESSES:
            self._blocked.clear()
        self._blocked[address] = now + seconds
        _log.warning("webhook_address_blocked", address=address, seconds=round(seconds))

    def _note_away(self, error: BaseException) -> None:
        """Say, now and then, that nothing is counted."""
        if time.monotonic() - self._logged_at >= LOG_EVERY_SECONDS:
            self._logged_at = time.monotonic()
            _log.error("refused_webhooks_not_counted", error=type(error).__name__)
