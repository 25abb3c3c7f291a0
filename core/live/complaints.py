"""Saying that something is away, without saying it for every event."""

import time

import structlog

EVERY_SECONDS = 60.0

_log = structlog.get_logger(__name__)


class Complaints:
    """Logs one kind of trouble at most once a minute for each thing it concerns."""

    def __init__(self, event: str) -> None:
        self._event = event
        self._said_at: dict[str, float] = {}

    def say(self, error: BaseException, about: str = "", **facts: object) -> None:
        """Log an error by its kind; its text may hold an address or a secret."""
        now = time.monotonic()
        if now - self._said_at.get(about, -EVERY_SECONDS) >= EVERY_SECONDS:
            self._said_at[about] = now
            _log.warning(self._event, error=type(error).__name__, **({"about": about} if about else {}), **facts)
