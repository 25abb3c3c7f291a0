"""Files of tenants: keeping, showing, opening and deleting them."""

import secrets
from collections.abc import Collection, Mapping
from pathlib import PurePosixPath
from typing import IO, Any
from urllib.parse import unquote

import msgspec
from yarl import URL

from core import database, outbound
from core.audit.services import record
from core.errors import ConflictError, NotFoundError
from core.jobs.services import create_job
from core.media import links, store
from core.media.receiving import NAME_LENGTH, Received, clean_name
from core.media.schemas import MediaFetch, MediaRead
from core.media.tables import MediaKind, MediaState
from core.pagination import PageQuery
from core.plans.services import ensure_feature

FETCHES_AT_ONCE = 20
"""Addresses of one tenant that wait for their download."""
FETCH = "media.fetch"
PURGE = "media.purge"

_COLUMNS = "id, kind, filename, content_type, size, sha256, source_url, state, reason, created_at, updated_at"
_SORTABLE = {"id": "id", "filename": "filename", "size": "size", "created_at": "created_at"}

_TWIN = """
SELECT id, filename, path FROM media WHERE user_id = $1 AND sha256 = $2 AND state = 'ready' AND deleted_at IS NULL
ORDER BY filename = $3 DESC, id LIMIT 1 FOR SHARE
"""
"""A file of the same content; locked, so that it is not deleted before another row shares its ``path``."""

_USED = """
SELECT k.id FROM messages m JOIN campaigns k ON k.id = m.campaign_id
WHERE m.media_id = $1 AND m.deleted_at IS NULL AND k.deleted_at IS NULL
    AND (k.status IN (2, 3) OR (k.status = 1 AND k.status_reason <> 'draft'))
ORDER BY k.id LIMIT 1
"""


class OpenFile(msgspec.Struct, frozen=True):
    """A file about to be sent to somebody."""

    filename: str
    content_type: str
    content: store.StoredFile


async def list_media(
    user_id: int, query: PageQuery, kind: MediaKind | None, state: MediaState | None
) -> tuple[list[MediaRead], int]:
    """Return one page of a tenant's files and how many there are; ``search`` looks into names."""
    where = (
        "user_id = $1 AND deleted_at IS NULL AND ($2::smallint IS NULL OR kind = $2)"
        " AND ($3::text IS NULL OR state = $3) AND ($4::text IS NULL OR strpos(lower(filename), lower($4)) > 0)"
    )
    args = (user_id, kind, state, query.search)
    rows = await database.fetch(
        f"SELECT {_COLUMNS} FROM media WHERE {where} ORDER BY {query.order_by(_SORTABLE, '-id')} LIMIT $5 OFFSET $6",
        *args,
        query.limit,
        query.offset,
    )
    total = await database.fetch_value(f"SELECT count(*) FROM media WHERE {where}", *args)
    return [_read(row) for row in rows], total if isinstance(total, int) else 0


async def get_media(user_id: int, media_id: int) -> MediaRead:
    """Return one file's row."""
    row = await database.fetch_row(
        f"SELECT {_COLUMNS} FROM media WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL", media_id, user_id
    )
    if row is None:
        raise NotFoundError("file", media_id)
    return _read(row)


async def find_media(user_id: int, media_ids: Collection[int], *, lock: bool = False) -> dict[int, MediaRead]:
    """Return those of a tenant's files that are there, by id; with ``lock`` none is deleted in this unit of work."""
    if not media_ids:
        return {}
    rows = await database.fetch(
        f"SELECT {_COLUMNS} FROM media WHERE id = ANY($1::bigint[]) AND user_id = $2 AND deleted_at IS NULL"
        f" ORDER BY id{' FOR SHARE' if lock else ''}",
        sorted(set(media_ids)),
        user_id,
    )
    return {row["id"]: _read(row) for row in rows}


async def keep(user_id: int, file: IO[bytes], received: Received, given_name: str) -> MediaRead:
    """Store an uploaded file; the same content under the same name is the same file.

    Raises:
        StoreDownError: It could not be kept.
    """
    filename = clean_name(given_name, received.type.extension)
    async with database.unit_of_work():
        twin = await database.fetch_row(_TWIN, user_id, received.sha256, filename)
        if twin is not None:
            if twin["filename"] == filename:
                return await get_media(user_id, twin["id"])
            return await _insert(user_id, received, filename, twin["path"])
    path = new_path(user_id)
    await store.put(path, file)
    async with database.unit_of_work():
        return await _insert(user_id, received, filename, path)


async def fetch_media(user_id: int, wanted: MediaFetch) -> MediaRead:
    """Have the file behind an address downloaded by a job.

    Raises:
        InvalidInputError: The address may not be called.
        PlanLimitError: The plan includes no media.
    """
    await ensure_feature(user_id, "medias")
    await outbound.check_url(wanted.url, "url")
    async with database.unit_of_work():
        return await get_media(user_id, await begin_fetch(user_id, wanted.url, wanted.filename))


async def begin_fetch(user_id: int, url: str, filename: str = "") -> int:
    """Note a checked address inside the caller's unit of work, and have it downloaded; return the file's id.

    Raises:
        ConflictError: Too many of the tenant's addresses are being downloaded already.
    """
    out = await database.fetch_value(
        "SELECT count(*) FROM media WHERE user_id = $1 AND state = 'fetching' AND deleted_at IS NULL", user_id
    )
    if isinstance(out, int) and out >= FETCHES_AT_ONCE:
        raise ConflictError(
            f"{FETCHES_AT_ONCE} files are being fetched already: wait until some of them are here.",
            code="too_many_fetches",
            allowed=FETCHES_AT_ONCE,
        )
    last = PurePosixPath(unquote(URL(url).raw_path)).name
    media_id = await database.fetch_value(
        "INSERT INTO media (user_id, kind, filename, content_type, size, sha256, path, source_url, state, reason,"
        " created_at, updated_at) VALUES ($1, NULL, $2, '', 0, '', '', $3, 'fetching', '', now(), now()) RETURNING id",
        user_id,
        # Its extension is known once it is here.
        clean_name(filename or last, "bin").removesuffix(".bin")[:NAME_LENGTH],
        url,
    )
    assert isinstance(media_id, int)  # noqa: S101 - RETURNING of a bigint column
    await create_job(FETCH, user_id=user_id, subject_id=media_id, cancelable=False)
    await record("media.fetch_asked", user_id=user_id, entity_id=media_id)
    return media_id


async def complete_fetch(media_id: int, file: IO[bytes], received: Received) -> None:
    """Store what was downloaded for a row that still waits for it; a row deleted meanwhile stays as it is."""
    row = await database.fetch_row("SELECT user_id, filename FROM media WHERE id = $1", media_id)
    if row is None:
        return
    filename = clean_name(row["filename"], received.type.extension)
    path = new_path(row["user_id"])
    await store.put(path, file)
    async with database.unit_of_work():
        changed = await database.execute(
            "UPDATE media SET kind = $2, filename = $3, content_type = $4, size = $5, sha256 = $6, path = $7,"
            " state = 'ready', reason = '', updated_at = now()"
            " WHERE id = $1 AND state = 'fetching' AND deleted_at IS NULL",
            media_id,
            received.type.kind,
            filename,
            received.type.content_type,
            received.size,
            received.sha256,
            path,
        )
        await database.execute("UPDATE messages SET media_path = $2 WHERE media_id = $1", media_id, path)
    if not changed:
        await store.remove(path)


async def fail_fetch(media_id: int, reason: str) -> None:
    """Write down that nothing was downloaded, and why."""
    await database.execute(
        "UPDATE media SET state = 'failed', reason = $2, updated_at = now() WHERE id = $1 AND state = 'fetching'",
        media_id,
        reason,
    )


async def delete_media(user_id: int, media_id: int) -> None:
    """Delete a file that no campaign is going to send; its content goes when no other row shares it.

    Raises:
        ConflictError: A campaign that is scheduled, running or paused carries it.
    """
    async with database.unit_of_work():
        row = await database.fetch_row(
            "SELECT path, filename FROM media WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL FOR UPDATE",
            media_id,
            user_id,
        )
        if row is None:
            raise NotFoundError("file", media_id)
        campaign_id = await database.fetch_value(_USED, media_id)
        if campaign_id is not None:
            raise ConflictError(
                f"Campaign {campaign_id} is going to send this file: cancel it first, or give its message another one.",
                code="media_in_use",
                id=campaign_id,
            )
        await database.execute("UPDATE media SET deleted_at = now(), updated_at = now() WHERE id = $1", media_id)
        await record("media.deleted", user_id=user_id, facts={"media_id": media_id, "filename": row["filename"]})
        if row["path"]:
            await create_job(PURGE, user_id=None, params={"path": row["path"]}, cancelable=False)


async def is_shared(path: str) -> bool:
    """Whether a file that is still there has its content under ``path``."""
    found = await database.fetch_value("SELECT EXISTS (SELECT FROM media WHERE path = $1 AND deleted_at IS NULL)", path)
    return bool(found)


async def open_media(user_id: int, media_id: int) -> OpenFile:
    """Open a tenant's own file; ``NotFoundError`` also while it is not here yet."""
    return await _open("id = $1 AND user_id = $2", media_id, user_id)


async def open_link(token: str) -> OpenFile:
    """Open the file of a signed address; ``NotFoundError`` when the signature is wrong or has expired."""
    media_id = links.verify(token)
    if media_id is None:
        raise NotFoundError("file")
    return await _open("id = $1", media_id)


async def _open(condition: str, *args: int) -> OpenFile:
    row = await database.fetch_row(
        f"SELECT filename, content_type, path FROM media WHERE {condition} AND state = 'ready' AND deleted_at IS NULL",
        *args,
    )
    if row is None:
        raise NotFoundError("file")
    try:
        return OpenFile(row["filename"], row["content_type"], await store.open_file(row["path"]))
    except store.MissingFileError:
        raise NotFoundError("file") from None


def new_path(user_id: int) -> str:
    """Make a key that was never used before and that nobody can guess."""
    return f"{user_id}/{secrets.token_hex(16)}"


async def _insert(user_id: int, received: Received, filename: str, path: str) -> MediaRead:
    row = await database.fetch_row(
        "INSERT INTO media (user_id, kind, filename, content_type, size, sha256, path, state, reason, created_at,"
        f" updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 'ready', '', now(), now()) RETURNING {_COLUMNS}",
        user_id,
        received.type.kind,
        filename,
        received.type.content_type,
        received.size,
        received.sha256,
        path,
    )
    assert row is not None  # noqa: S101 - RETURNING
    await record("media.added", user_id=user_id, facts={"media_id": row["id"], "filename": filename})
    return _read(row)


def _read(row: Mapping[str, Any]) -> MediaRead:
    kind = None if row["kind"] is None else MediaKind(row["kind"])
    return MediaRead(**{**dict(row), "kind": kind, "state": MediaState(row["state"])})
