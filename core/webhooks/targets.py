"""From the token in a webhook's URL to the one number it may speak of, and the secret that proves it."""

import re
import time

import msgspec
import structlog

from core import database
from core.crypto import DecryptionError, decrypt
from core.errors import NotReadyError
from core.plugin import Secret
from core.texts import text

WEBHOOK_SEAL = "numbers.webhook_secret"
CACHE_SECONDS = 5.0
CACHE_SIZE = 10_000

_log = structlog.get_logger(__name__)
_TOKEN = re.compile(r"[A-Za-z0-9_-]{20,64}")


class Target(msgspec.Struct, frozen=True):
    """Whose webhook a token opens."""

    number_id: int
    plugin: str
    secret: Secret


class Targets:
    """Targets by token, remembered for some seconds; unknown tokens are not remembered, so they fill no memory."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, Target]] = {}

    async def find(self, plugin: str, token: str) -> Target | None:
        """Return the live number behind ``token`` on a server of ``plugin``, or ``None``.

        Raises:
            NotReadyError: Its secret cannot be read, so nothing can be verified.
        """
        if not _TOKEN.fullmatch(token):
            return None
        kept = self._known.get(token)
        if kept is not None and kept[0] > time.monotonic():
            target = kept[1]
        else:
            found = await _load(token)
            if found is None:
                self._known.pop(token, None)
                return None
            target = found
            if len(self._known) >= CACHE_SIZE:
                self._known.clear()
            self._known[token] = (time.monotonic() + CACHE_SECONDS, target)
        return target if target.plugin == plugin else None

    def forget(self) -> None:
        """Drop everything remembered."""
        self._known.clear()


async def _load(token: str) -> Target | None:
    # Read here and not through core.numbers, which stands above the inbox and registers its handlers with it.
    row = await database.fetch_row(
        "SELECT n.id, s.provider, n.webhook_secret FROM numbers n JOIN servers s ON s.id = n.server_id"
        " WHERE n.webhook_token = $1 AND n.deleted_at IS NULL",
        token,
    )
    if row is None:
        return None
    try:
        secret = decrypt(row["webhook_secret"], purpose=WEBHOOK_SEAL)
    except DecryptionError as error:
        _log.error("webhook_secret_unreadable", number_id=row["id"], reason=str(error))
        raise NotReadyError(text("webhook_not_verified"), code="secrets_unreadable") from None
    return Target(row["id"], row["provider"], Secret(secret))
