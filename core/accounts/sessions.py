"""Signed-in devices: opened, used, rotated, listed and ended."""

from datetime import datetime
from functools import partial
from typing import Annotated

import msgspec

from core import database
from core.accounts import answers
from core.accounts.answers import Answer
from core.accounts.tables import SessionKind
from core.accounts.tokens import SESSION_PREFIX, digest, new_token
from core.audit import services as audit
from core.errors import NotSignedInError
from core.runtime import config
from core.security import CurrentUser

TOUCH_SECONDS = 60
"""Use of a session is written at most this often."""
ACTING_SECONDS = 3600
"""An administrator acts for a user for so long, and not longer by being busy."""
KEPT_FOR = "30 days"

_LOOK_UP = """
SELECT s.id AS session_id, s.kind, s.actor_id, u.id, u.email, u.name, u.profile, u.plan_id, u.locale, u.timezone,
    EXISTS (SELECT FROM user_two_factors t WHERE t.user_id = u.id AND t.confirmed_at IS NOT NULL) AS two_factor,
    u.status, extract(epoch FROM s.expires_at - now())::float8 AS remaining,
    s.actor_id IS NULL AND (s.last_used_at IS NULL OR s.last_used_at < now() - make_interval(secs => $2)) AS stale
FROM user_sessions s JOIN users u ON u.id = s.user_id
WHERE s.token_hash = $1 AND s.revoked_at IS NULL AND s.expires_at > now() AND u.deleted_at IS NULL
"""


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A session as its owner sees it."""

    id: int
    kind: SessionKind
    user_agent: Annotated[str, msgspec.Meta(examples=["Mozilla/5.0 (X11; Linux x86_64)"])]
    address: Annotated[str, msgspec.Meta(examples=["203.0.113.7"])]
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime
    current: bool
    by_administrator: bool
    """An administrator opened it to act for this user."""


def session_seconds() -> int:
    """Return how long a session lasts after its last use."""
    return config().accounts.session_days * 86_400


def kept(address: str, user_agent: str) -> tuple[str, str]:
    """Return where a sign-in comes from as its session keeps it."""
    return address[:64], user_agent.replace("\0", "")[:255]


async def open_session(
    user_id: int,
    *,
    address: str,
    user_agent: str,
    kind: SessionKind = SessionKind.BEARER,
    actor_id: int | None = None,
) -> str:
    """Start a session and return its token, which is stored nowhere; one with an actor ends after an hour."""
    token = new_token(SESSION_PREFIX)
    address, user_agent = kept(address, user_agent)
    await database.execute(
        "INSERT INTO user_sessions"
        " (user_id, token_hash, kind, actor_id, user_agent, address, created_at, last_used_at, expires_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, now(), now(), now() + make_interval(secs => $7))",
        user_id,
        digest(token),
        kind,
        actor_id,
        user_agent,
        address,
        float(session_seconds() if actor_id is None else ACTING_SECONDS),
    )
    return token


async def look_up(token_hash: bytes) -> Answer:
    """Return whose session a token opens, and slide its end.

    Raises:
        NotSignedInError: It opens none. A token that was replaced ends the session it once belonged to.
    """
    row = await database.fetch_row(_LOOK_UP, token_hash, float(TOUCH_SECONDS))
    if row is None:
        await _end_if_replaced(token_hash)
        raise NotSignedInError
    fields = dict(row)
    status, remaining, stale = fields.pop("status"), fields.pop("remaining"), fields.pop("stale")
    answer = Answer(CurrentUser(**fields), status)
    if stale:
        await _touch(answer.user.session_id)
        remaining = session_seconds()
    await answers.remember(token_hash, answer, remaining)
    return answer


async def refresh(user: CurrentUser, token: str) -> str:
    """Replace the token of a session by a new one; the old one works no longer, and ends the device if it comes again.

    Raises:
        NotSignedInError: Somebody else replaced it at the same moment.
    """
    replacement = new_token(SESSION_PREFIX)
    async with database.unit_of_work():
        changed = await database.execute(
            "UPDATE user_sessions SET token_hash = $3, last_used_at = now(),"
            " expires_at = CASE WHEN actor_id IS NULL THEN now() + make_interval(secs => $4) ELSE expires_at END"
            " WHERE id = $1 AND token_hash = $2 AND revoked_at IS NULL AND expires_at > now()",
            user.session_id,
            digest(token),
            digest(replacement),
            float(session_seconds()),
        )
        if not changed:
            raise NotSignedInError
        await database.execute(
            "INSERT INTO replaced_tokens (session_id, token_hash, replaced_at) VALUES ($1, $2, now())",
            user.session_id,
            digest(token),
        )
        database.after_commit(partial(answers.revoke, [digest(token)]))
    return replacement


async def list_devices(user: CurrentUser) -> list[Device]:
    """Return the user's sessions, the latest used first."""
    rows = await database.fetch(
        "SELECT id, kind, user_agent, address, created_at, last_used_at, expires_at, id = $2 AS current,"
        " actor_id IS NOT NULL AS by_administrator"
        " FROM user_sessions WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > now()"
        " ORDER BY last_used_at DESC NULLS LAST, id DESC",
        user.id,
        user.session_id,
    )
    return [Device(**{**row, "kind": SessionKind(row["kind"])}) for row in rows]


async def sign_out(user_id: int, session_id: int) -> None:
    """End a session by itself: its device is one that the user was seen with, see ``core.accounts.devices``."""
    async with database.unit_of_work():
        rows = await database.fetch(
            "UPDATE user_sessions SET expires_at = now() WHERE user_id = $1 AND id = $2 AND revoked_at IS NULL"
            " AND expires_at > now() RETURNING token_hash",
            user_id,
            session_id,
        )
        database.after_commit(partial(answers.revoke, [row["token_hash"] for row in rows]))


async def revoke(user_id: int, session_id: int) -> bool:
    """End one session of the user everywhere, and say whether there was one."""
    return bool(await _revoke("id = $2 AND expires_at > now()", user_id, session_id))


async def revoke_others(user_id: int, session_id: int) -> None:
    """End every session of the user but one; those that had ended by themselves are taken away as well."""
    await _revoke("id <> $2", user_id, session_id)


async def revoke_all(user_id: int) -> None:
    """End every session of the user; those that had ended by themselves are taken away as well."""
    await _revoke("$2", user_id, True)


async def forget_user(user_id: int) -> None:
    """Have every process read this user again; call it in the unit of work that changes the user's row."""
    rows = await database.fetch(
        "SELECT token_hash FROM user_sessions WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > now()"
        " UNION ALL SELECT key_hash FROM api_keys WHERE user_id = $1 AND revoked_at IS NULL",
        user_id,
    )
    database.after_commit(partial(answers.revoke, [row["token_hash"] for row in rows]))


async def clean_up() -> int:
    """Delete sessions that ended long ago, with the tokens they had; return how many."""
    over = f"expires_at < now() - interval '{KEPT_FOR}' OR revoked_at < now() - interval '{KEPT_FOR}'"
    async with database.unit_of_work():
        await database.execute(
            f"DELETE FROM replaced_tokens WHERE session_id IN (SELECT id FROM user_sessions WHERE {over})"
        )
        return await database.execute(f"DELETE FROM user_sessions WHERE {over}")


async def _revoke(which: str, user_id: int, value: object) -> int:
    async with database.unit_of_work():
        rows = await database.fetch(
            f"UPDATE user_sessions SET revoked_at = now() WHERE user_id = $1 AND {which} AND revoked_at IS NULL"
            " RETURNING token_hash",
            user_id,
            value,
        )
        database.after_commit(partial(answers.revoke, [row["token_hash"] for row in rows]))
    return len(rows)


async def _end_if_replaced(token_hash: bytes) -> None:
    """A token that was replaced and is shown again is in two hands: neither keeps the device."""
    row = await database.fetch_row(
        "SELECT s.id, s.user_id FROM replaced_tokens r JOIN user_sessions s ON s.id = r.session_id"
        " WHERE r.token_hash = $1 AND s.revoked_at IS NULL AND s.expires_at > now()",
        token_hash,
    )
    if row is not None:
        async with database.unit_of_work():
            if await revoke(row["user_id"], row["id"]):
                await audit.record("session.token_reused", user_id=row["user_id"], facts={"session_id": row["id"]})


async def _touch(session_id: int) -> None:
    """Slide the session's end; of parallel requests one writes."""
    await database.execute(
        "UPDATE user_sessions SET last_used_at = now(), expires_at = now() + make_interval(secs => $2)"
        " WHERE id = $1 AND revoked_at IS NULL AND expires_at > now()"
        " AND (last_used_at IS NULL OR last_used_at < now() - make_interval(secs => $3))",
        session_id,
        float(session_seconds()),
        float(TOUCH_SECONDS),
    )
