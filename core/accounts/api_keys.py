"""API keys: for programs that act for a user, each with a name, scopes and an end."""

from datetime import datetime
from functools import partial

import asyncpg
import msgspec

from core import database
from core.accounts import answers
from core.accounts.answers import Answer
from core.accounts.schemas import ApiKeyCreate, ApiKeyCreated, ApiKeyRead
from core.accounts.tokens import KEY_PREFIX, digest, new_token
from core.audit import services as audit
from core.errors import ConflictError, InvalidInputError, NotFoundError, NotSignedInError
from core.pagination import PageQuery
from core.security import CurrentUser
from core.texts import text

MOST = 50
"""Keys of one user at a time."""
PREFIX_LENGTH = 12
TOUCH_SECONDS = 60

_SORTS = {"id": "id", "name": "lower(name)", "created_at": "created_at", "last_used_at": "last_used_at"}
_COLUMNS = "id, name, prefix, scopes, last_used_at, expires_at, created_at"
_LIVE = "user_id = $1 AND revoked_at IS NULL"
_LOOK_UP = """
SELECT k.id AS key_id, k.scopes, u.id, u.email, u.name, u.profile, u.plan_id, u.locale, u.timezone, u.status,
    coalesce(extract(epoch FROM k.expires_at - now())::float8, 'infinity') AS remaining,
    k.last_used_at IS NULL OR k.last_used_at < now() - make_interval(secs => $2) AS stale
FROM api_keys k JOIN users u ON u.id = k.user_id
WHERE k.key_hash = $1 AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
    AND u.deleted_at IS NULL
"""


async def create_key(user: CurrentUser, wanted: ApiKeyCreate) -> ApiKeyCreated:
    """Make a key; it is told here and never again.

    Raises:
        InvalidInputError: Its end is not in the future.
        ConflictError: The user has as many keys as anybody may have.
    """
    token = new_token(KEY_PREFIX)
    async with database.unit_of_work():
        await database.fetch_row("SELECT 1 FROM users WHERE id = $1 FOR UPDATE", user.id)
        present = await database.fetch_value(f"SELECT count(*) FROM api_keys WHERE {_LIVE}", user.id)
        if int(str(present)) >= MOST:
            raise ConflictError(f"There are {MOST} keys already: delete one first.", code="too_many_keys", allowed=MOST)
        row = await database.fetch_row(
            "INSERT INTO api_keys (user_id, name, key_hash, prefix, scopes, expires_at, created_at)"
            " SELECT $1, $2, $3, $4, $5, $6, now() WHERE $6::timestamptz IS NULL OR $6 > now()"
            f" RETURNING {_COLUMNS}",
            user.id,
            wanted.name.strip(),
            digest(token),
            token[:PREFIX_LENGTH],
            database.encode_json(sorted(set(wanted.scopes))),
            wanted.expires_at,
        )
        if row is None:
            raise InvalidInputError({"expires_at": [text("in_the_future")]})
        await audit.record("api_key.created", user_id=user.id, facts={"api_key_id": row["id"], "name": row["name"]})
    return ApiKeyCreated(key=token, **msgspec.structs.asdict(_read(row)))


async def list_keys(user: CurrentUser, query: PageQuery) -> tuple[list[ApiKeyRead], int]:
    """Return one page of the user's keys, the newest first, and how many there are."""
    found = f"{_LIVE} AND ($2::text IS NULL OR strpos(lower(name), lower($2)) > 0)"
    rows = await database.fetch(
        f"SELECT {_COLUMNS} FROM api_keys WHERE {found} ORDER BY {query.order_by(_SORTS, '-id')} LIMIT $3 OFFSET $4",
        user.id,
        query.search,
        query.limit,
        query.offset,
    )
    total = await database.fetch_value(f"SELECT count(*) FROM api_keys WHERE {found}", user.id, query.search)
    return [_read(row) for row in rows], int(str(total))


async def revoke_key(user: CurrentUser, key_id: int) -> None:
    """End a key at once, everywhere, or raise ``NotFoundError``."""
    async with database.unit_of_work():
        row = await database.fetch_row(
            f"UPDATE api_keys SET revoked_at = now() WHERE {_LIVE} AND id = $2 RETURNING key_hash, name",
            user.id,
            key_id,
        )
        if row is None:
            raise NotFoundError("api_key", key_id)
        await audit.record("api_key.revoked", user_id=user.id, facts={"api_key_id": key_id, "name": row["name"]})
        database.after_commit(partial(answers.revoke, [row["key_hash"]]))


async def look_up(key_hash: bytes) -> Answer:
    """Return whose key it is; raises ``NotSignedInError`` for one that is unknown, ended or expired."""
    row = await database.fetch_row(_LOOK_UP, key_hash, float(TOUCH_SECONDS))
    if row is None:
        raise NotSignedInError
    fields = dict(row)
    status, remaining, stale = fields.pop("status"), fields.pop("remaining"), fields.pop("stale")
    scopes = tuple(msgspec.json.decode(fields.pop("scopes"), type=list[str]))
    answer = Answer(CurrentUser(**fields, session_id=0, kind="api_key", scopes=scopes), status)
    if stale:
        await database.execute("UPDATE api_keys SET last_used_at = now() WHERE id = $1", answer.user.key_id)
    await answers.remember(key_hash, answer, min(remaining, answers.CACHE_SECONDS))
    return answer


def _read(row: asyncpg.Record) -> ApiKeyRead:
    expires_at: datetime | None = row["expires_at"]
    return ApiKeyRead(
        id=row["id"],
        name=row["name"],
        prefix=row["prefix"],
        scopes=tuple(msgspec.json.decode(row["scopes"])),
        last_used_at=row["last_used_at"],
        expires_at=expires_at,
        created_at=row["created_at"],
    )
