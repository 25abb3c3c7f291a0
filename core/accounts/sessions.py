"""Signed-in devices: opaque tokens, of which PostgreSQL knows the hash and Redis, for seconds, the answer.

PostgreSQL is the truth. Losing Redis signs nobody in or out; a revocation puts a mark into the cache that is
stronger than any answer read before it.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Annotated

import msgspec
import structlog
from redis.exceptions import RedisError

from core import database
from core.accounts.tables import UserStatus
from core.errors import ForbiddenError, NotSignedInError
from core.runtime import runtime
from core.security import CurrentUser

SESSION_SECONDS = 7 * 24 * 3600
"""How long a session lasts after its last use."""
TOUCH_SECONDS = 60
"""Use of a session is written at most this often."""
CACHE_SECONDS = 10
"""How long an answer may be reused; also the longest a revocation can go unnoticed while Redis is away."""
MARK_SECONDS = 60
CACHE_LIMIT_SECONDS = 0.25
TOKEN_PREFIX = "rcd_"  # noqa: S105 - marks our tokens for secret scanners
TOKEN_LENGTH = len(TOKEN_PREFIX) + 43

_REVOKED = b""

_log = structlog.get_logger(__name__)


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A session as its owner sees it."""

    id: int
    user_agent: Annotated[str, msgspec.Meta(examples=["Mozilla/5.0 (X11; Linux x86_64)"])]
    address: Annotated[str, msgspec.Meta(examples=["203.0.113.7"])]
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime
    current: bool


class _Answer(msgspec.Struct, frozen=True, array_like=True):
    """What the cache holds for a valid token."""

    user: CurrentUser
    status: str


async def open_session(user_id: int, *, address: str, user_agent: str) -> str:
    """Start a session and return its token, which is stored nowhere."""
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    await database.execute(
        "INSERT INTO user_sessions (user_id, token_hash, user_agent, address, created_at, last_used_at, expires_at)"
        " VALUES ($1, $2, $3, $4, now(), now(), now() + make_interval(secs => $5))",
        user_id,
        _digest(token),
        user_agent.replace("\0", "")[:255],
        address[:64],
        float(SESSION_SECONDS),
    )
    return token


async def authenticate(token: str) -> CurrentUser:
    """Return the user of a bearer token; see ``core.security.Authenticator``."""
    if len(token) != TOKEN_LENGTH or not token.startswith(TOKEN_PREFIX):
        raise NotSignedInError
    digest = _digest(token)
    answer = await _cached(digest) or await _look_up(digest)
    if answer.status != UserStatus.ACTIVE:
        raise ForbiddenError("This account is suspended.", code="account_suspended")
    return answer.user


async def list_devices(user: CurrentUser) -> list[Device]:
    """Return the user's sessions, the latest used first."""
    rows = await database.fetch(
        "SELECT id, user_agent, address, created_at, last_used_at, expires_at, id = $2 AS current"
        " FROM user_sessions WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > now()"
        " ORDER BY last_used_at DESC NULLS LAST, id DESC",
        user.id,
        user.session_id,
    )
    return [Device(**row) for row in rows]


async def revoke(user_id: int, session_id: int) -> bool:
    """End one session of the user everywhere, and say whether there was one."""
    return bool(await _revoke("id = $2", user_id, session_id))


async def revoke_others(user_id: int, session_id: int) -> None:
    """End every session of the user but one."""
    await _revoke("id <> $2", user_id, session_id)


async def revoke_all(user_id: int) -> None:
    """End every session of the user."""
    await _revoke("$2", user_id, True)


async def forget_user(user_id: int) -> None:
    """Have every process read this user again; call it in the unit of work that changes the user's row."""
    rows = await database.fetch(
        "SELECT token_hash FROM user_sessions WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > now()",
        user_id,
    )
    database.after_commit(partial(_mark, [row["token_hash"] for row in rows]))


async def _revoke(which: str, user_id: int, value: object) -> int:
    async with database.unit_of_work():
        rows = await database.fetch(
            f"UPDATE user_sessions SET revoked_at = now() WHERE user_id = $1 AND {which} AND revoked_at IS NULL"
            " AND expires_at > now() RETURNING token_hash",
            user_id,
            value,
        )
        database.after_commit(partial(_mark, [row["token_hash"] for row in rows]))
    return len(rows)


async def _look_up(digest: bytes) -> _Answer:
    row = await database.fetch_row(
        "SELECT s.id AS session_id, u.id, u.email, u.name, u.profile, u.plan_id, u.locale, u.timezone, u.status,"
        " extract(epoch FROM s.expires_at - now())::float8 AS remaining,"
        " s.last_used_at IS NULL OR s.last_used_at < now() - make_interval(secs => $2) AS stale"
        " FROM user_sessions s JOIN users u ON u.id = s.user_id WHERE s.token_hash = $1"
        " AND s.revoked_at IS NULL AND s.expires_at > now() AND u.deleted_at IS NULL",
        digest,
        float(TOUCH_SECONDS),
    )
    if row is None:
        raise NotSignedInError
    fields = dict(row)
    status, remaining, stale = fields.pop("status"), fields.pop("remaining"), fields.pop("stale")
    answer = _Answer(CurrentUser(**fields), status)
    if stale:
        await _touch(answer.user.session_id)
        remaining = SESSION_SECONDS
    await _remember(digest, answer, min(CACHE_SECONDS, remaining))
    return answer


async def _touch(session_id: int) -> None:
    """Slide the session's end; of parallel requests one writes."""
    await database.execute(
        "UPDATE user_sessions SET last_used_at = now(), expires_at = now() + make_interval(secs => $2)"
        " WHERE id = $1 AND revoked_at IS NULL AND expires_at > now()"
        " AND (last_used_at IS NULL OR last_used_at < now() - make_interval(secs => $3))",
        session_id,
        float(SESSION_SECONDS),
        float(TOUCH_SECONDS),
    )


async def _cached(digest: bytes) -> _Answer | None:
    try:
        async with asyncio.timeout(CACHE_LIMIT_SECONDS):
            found = await runtime().redis.get(_key(digest))
        return msgspec.msgpack.decode(found, type=_Answer) if isinstance(found, bytes) and found else None
    except (RedisError, OSError, TimeoutError, msgspec.DecodeError):
        return None


async def _remember(digest: bytes, answer: _Answer, seconds: float) -> None:
    """Keep an answer unless a mark stands there: the answer may have been read before the revocation."""
    try:
        async with asyncio.timeout(CACHE_LIMIT_SECONDS):
            milliseconds = max(1, int(seconds * 1000))
            await runtime().redis.set(_key(digest), msgspec.msgpack.encode(answer), px=milliseconds, nx=True)
    except (RedisError, OSError, TimeoutError):
        _log.warning("session_cache_unavailable")


async def _mark(digests: Iterable[bytes]) -> None:
    try:
        async with asyncio.timeout(CACHE_LIMIT_SECONDS):
            for digest in digests:
                await runtime().redis.set(_key(digest), _REVOKED, ex=MARK_SECONDS)
    except (RedisError, OSError, TimeoutError):
        _log.warning("session_cache_unavailable", consequence=f"revoked within {CACHE_SECONDS} s")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _key(digest: bytes) -> str:
    return f"recado:session:{digest.hex()}"
