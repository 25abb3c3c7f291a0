"""A webhook address for one trial: whether a messaging server can call us back.

The address lives in Redis for a minute and selects no number: a delivery to it is judged, ticked off and forgotten.
"""

import secrets
import time

import msgspec

from core.plugin import Secret
from core.runtime import runtime
from core.webhooks.targets import Target

PREFIX = "probe-"
LIFETIME_SECONDS = 120
NO_NUMBER = 0

_KEY = "recado:webhook-probe:"
_CALLED = "recado:webhook-probe-called:"
_WAIT_SECONDS = 1.0
"""One blocking read of Redis; below its client's own time limit."""


class _Expected(msgspec.Struct, frozen=True):
    plugin: str
    secret: str


async def expect(plugin: str, secret: Secret) -> str:
    """Open an address for a delivery of ``plugin`` proved with ``secret``; return its token."""
    token = PREFIX + secrets.token_urlsafe(24)
    expected = msgspec.json.encode(_Expected(plugin, secret.reveal()))
    await runtime().redis.set(_KEY + token, expected, ex=LIFETIME_SECONDS)
    return token


async def find(plugin: str, token: str) -> Target | None:
    """Return what an open trial address expects, with ``NO_NUMBER`` as its number."""
    if not token.startswith(PREFIX):
        return None
    kept = await runtime().redis.get(_KEY + token)
    if kept is None:
        return None
    expected = msgspec.json.decode(kept, type=_Expected)
    return Target(NO_NUMBER, plugin, Secret(expected.secret)) if expected.plugin == plugin else None


async def tick_off(token: str) -> None:
    """Tell whoever waits that a genuine delivery came."""
    redis = runtime().redis
    await redis.rpush(_CALLED + token, 1)
    await redis.expire(_CALLED + token, LIFETIME_SECONDS)


async def wait_for_call(token: str, seconds: float) -> bool:
    """Wait for a genuine delivery to the address and say whether it came in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if await runtime().redis.blpop([_CALLED + token], timeout=_WAIT_SECONDS):
            return True
    return False


async def close(token: str) -> None:
    """Close the address."""
    await runtime().redis.delete(_KEY + token, _CALLED + token)
