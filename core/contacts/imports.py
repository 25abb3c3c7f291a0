"""Uploaded files of contacts: taking them in, starting their import, and telling what became of their rows."""

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec

from core import database
from core.audit import services as audit
from core.contacts.country_settings import DEFAULT_COUNTRY, in_own_country
from core.contacts.import_options import ColumnRead, FileRead, ImportOptions, ImportRead
from core.contacts.importer import KIND
from core.contacts.labels import ensure_labels
from core.contacts.mapping import REASON_HEADER, FileMap, UnknownMappingError, map_columns
from core.contacts.numbers import is_country
from core.contacts.publics import ensure_open
from core.contacts.reader import FileForm, UnreadableFileError, detect_form, read_records
from core.contacts.tables import PublicType
from core.contacts.upload_files import FOLDER
from core.errors import ConflictError, InvalidInputError, NotFoundError, TooLargeError
from core.jobs.services import create_job
from core.jobs.tables import JobStatus
from core.pagination import PageQuery
from core.runtime import config
from core.spreadsheets import write_row
from core.texts import text

MAXIMUM_BYTES = 64 * 2**20
ERRORS_PAGE = 1000

_COLUMNS = (
    "i.id, i.filename, i.job_id, i.public_id, i.default_country, i.options, i.mapping, i.rows_total, i.rows_created,"
    " i.rows_updated, i.rows_skipped, i.rows_failed, i.created_at, CASE WHEN i.file_removed_at IS NOT NULL AND"
    " j.status IS DISTINCT FROM 'done' THEN 'expired' ELSE coalesce(j.status, 'uploaded') END AS status,"
    " coalesce(j.error, '') AS error, j.started_at, j.finished_at"
)
_FROM = "imports i LEFT JOIN jobs j ON j.id = i.job_id"
_SORTS = {"created_at": "i.id", "filename": "i.filename", "rows_total": "i.rows_total"}


async def upload_import(user_id: int, file: IO[bytes], filename: str, options: ImportOptions) -> ImportRead:
    """Keep a file, find out how it is written and what its columns are, and start its import if that is wanted.

    Raises:
        InvalidInputError: The file holds no contacts, or an option does not fit; nothing is kept.
        TooLargeError: It has more than ``MAXIMUM_BYTES``.
    """
    options = await in_own_country(user_id, options, "default_country")
    await _check(user_id, options)
    name = f"{FOLDER}/{secrets.token_hex(16)}.csv"
    path = config().data_folder / name
    try:
        await asyncio.to_thread(_keep, file, path)
        found, total = await asyncio.to_thread(_inspect, path, options)
        async with database.unit_of_work():
            import_id = await _insert(user_id, name, filename, options, found, total)
            await audit.record("import.uploaded", user_id=user_id, entity_id=import_id, facts={"rows": total})
            if options.start:
                await start_import(user_id, import_id)
            return await get_import(user_id, import_id)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


async def start_import(user_id: int, import_id: int) -> ImportRead:
    """Start an import, or go on with one that failed or was canceled from where it stopped.

    Raises:
        ConflictError: It is running, or done; or its file was removed after a day.
    """
    async with database.unit_of_work():
        row = await database.fetch_row(
            "SELECT i.options, i.public_id, i.file_removed_at, j.status, j.checkpoint FROM imports i"
            " LEFT JOIN jobs j ON j.id = i.job_id WHERE i.id = $1 AND i.user_id = $2 FOR UPDATE OF i",
            import_id,
            user_id,
        )
        if row is None:
            raise NotFoundError("import", import_id)
        if row["status"] not in {None, JobStatus.FAILED, JobStatus.CANCELED}:
            raise ConflictError(f"Import {import_id} has begun already.", code="import_started", id=import_id)
        if row["file_removed_at"] is not None:
            raise ConflictError(
                f"The file of import {import_id} was removed: upload it again.", code="import_expired", id=import_id
            )
        options = msgspec.json.decode(row["options"], type=ImportOptions)
        public_id = row["public_id"]
        if public_id is None and options.public_name is not None:
            public_id = await _make_public(user_id, options.public_name)
        resume = msgspec.json.decode(row["checkpoint"]) if row["checkpoint"] else {}
        job_id = await create_job(KIND, user_id=user_id, subject_id=import_id, params={"resume": resume})
        await database.execute(
            "UPDATE imports SET job_id = $2, public_id = $3, updated_at = now() WHERE id = $1",
            import_id,
            job_id,
            public_id,
        )
        await audit.record("import.started", user_id=user_id, entity_id=import_id, facts={"public_id": public_id})
        return await get_import(user_id, import_id)


async def get_import(user_id: int, import_id: int) -> ImportRead:
    """Return an import of this tenant, or raise ``NotFoundError``."""
    row = await database.fetch_row(
        f"SELECT {_COLUMNS} FROM {_FROM} WHERE i.id = $1 AND i.user_id = $2", import_id, user_id
    )
    if row is None:
        raise NotFoundError("import", import_id)
    return _read(row)


async def list_imports(user_id: int, query: PageQuery) -> tuple[Sequence[ImportRead], int]:
    """Return one page of the tenant's imports and how many there are."""
    order = query.order_by(_SORTS, "-created_at").replace(", id ", ", i.id ")
    where = "i.user_id = $1 AND ($2::text IS NULL OR strpos(lower(i.filename), lower($2)) > 0)"
    rows = await database.fetch(
        f"SELECT {_COLUMNS} FROM {_FROM} WHERE {where} ORDER BY {order} LIMIT $3 OFFSET $4",
        user_id,
        query.search,
        query.limit,
        query.offset,
    )
    total = await database.fetch_value(f"SELECT count(*) FROM imports i WHERE {where}", user_id, query.search)
    return [_read(row) for row in rows], total if isinstance(total, int) else 0


async def error_file(user_id: int, import_id: int) -> AsyncIterator[bytes]:
    """Return the rows that did not go in, in the layout of the upload with a column for the reason, piece by piece.

    It is UTF-8 with a byte order mark, for spreadsheets, and can be corrected and uploaded again.
    """
    row = await database.fetch_row("SELECT mapping FROM imports WHERE id = $1 AND user_id = $2", import_id, user_id)
    if row is None:
        raise NotFoundError("import", import_id)
    found = msgspec.json.decode(row["mapping"], type=FileRead)
    return _error_lines(import_id, found)


async def _error_lines(import_id: int, found: FileRead) -> AsyncIterator[bytes]:
    headers = [column.header for column in found.map.columns]
    delimiter = found.form.delimiter
    yield write_row([*headers, REASON_HEADER], delimiter).encode("utf-8-sig")
    last = (0, 0)
    while True:
        rows = await database.fetch(
            "SELECT id, line, row, reason FROM import_errors WHERE import_id = $1 AND (line, id) > ($2, $3)"
            " ORDER BY line, id LIMIT $4",
            import_id,
            *last,
            ERRORS_PAGE,
        )
        if not rows:
            return
        last = (rows[-1]["line"], rows[-1]["id"])
        yield "".join(_error_line(row, len(headers), delimiter) for row in rows).encode()


def _error_line(row: Mapping[str, Any], width: int, delimiter: str) -> str:
    cells: list[str] = msgspec.json.decode(row["row"])
    padded = cells + [""] * (width - len(cells))
    return write_row([*padded, row["reason"]], delimiter)


async def _check(user_id: int, options: ImportOptions) -> None:
    """Refuse options that do not fit, naming all of them."""
    errors: dict[str, list[str]] = {}
    if not is_country(options.default_country or DEFAULT_COUNTRY):
        errors["default_country"] = [text("no_such_country")]
    if options.public_id is not None and options.public_name is not None:
        errors["public_name"] = [text("public_twice")]
    elif options.public_name is not None and not options.public_name.strip():
        errors["public_name"] = [text("required")]
    async with database.unit_of_work():
        try:
            await ensure_labels(user_id, options.labels, "labels")
        except InvalidInputError as error:
            errors.update(error.errors)
        if options.public_id is not None:
            try:
                await ensure_open(user_id, options.public_id)
            except NotFoundError:
                errors["public_id"] = [text("no_such_audience", id=options.public_id)]
            except ConflictError:
                errors["public_id"] = [text("audience_is_dynamic")]
    if errors:
        raise InvalidInputError(errors)


def _keep(file: IO[bytes], path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("xb") as kept:
        path.chmod(0o600)
        shutil.copyfileobj(file, kept, 2**20)
        if kept.tell() > MAXIMUM_BYTES:
            raise TooLargeError(text("file_large", value=MAXIMUM_BYTES // 2**20))


def _inspect(path: Path, options: ImportOptions) -> tuple[FileRead, int]:
    """Return how a file is written, what its columns are, and how many rows it has."""
    try:
        form = detect_form(path)
        found, rows = _map(path, form, options)
    except UnreadableFileError as error:
        raise InvalidInputError({"file": [error.args[0]]}) from None
    except UnknownMappingError as error:
        raise InvalidInputError({f"mapping.{error.column}": [error.args[0]]}) from None
    return FileRead(form, found), rows


def _map(path: Path, form: FileForm, options: ImportOptions) -> tuple[FileMap, int]:
    records = read_records(path, form)
    first = next(records, None)
    if first is None:
        raise UnreadableFileError(text("file_no_rows"))
    if first.broken:
        raise UnreadableFileError(text("file_quote", line=first.line))
    found = map_columns(first.cells, options.mapping, options.default_country or DEFAULT_COUNTRY)
    rows = sum(1 for _ in records) + (0 if found.header else 1)
    if rows == 0:
        raise UnreadableFileError(text("file_headers_only"))
    return found, rows


async def _insert(user_id: int, path: str, filename: str, options: ImportOptions, found: FileRead, total: int) -> int:
    import_id = await database.fetch_value(
        "INSERT INTO imports (user_id, filename, path, mapping, options, default_country, header, rows_total,"
        " rows_created, rows_updated, rows_skipped, rows_failed, public_id, created_at, updated_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, 0, 0, $9, now(), now()) RETURNING id",
        user_id,
        "".join(char for char in filename if char.isprintable())[-255:],
        path,
        database.encode_json(found),
        database.encode_json(options),
        options.default_country,
        found.map.header,
        total,
        options.public_id,
    )
    if not isinstance(import_id, int):
        raise TypeError("INSERT gave no id")
    return import_id


async def _make_public(user_id: int, name: str) -> int:
    public_id = await database.fetch_value(
        "INSERT INTO publics (user_id, name, description, type, filters, created_at, updated_at)"
        " VALUES ($1, $2, '', $3, '{}', now(), now()) RETURNING id",
        user_id,
        " ".join(name.split()),
        PublicType.IMPORT.value,
    )
    if not isinstance(public_id, int):
        raise TypeError("INSERT gave no id")
    return public_id


def _read(row: Mapping[str, Any]) -> ImportRead:
    options = msgspec.json.decode(row["options"], type=ImportOptions)
    found = msgspec.json.decode(row["mapping"], type=FileRead)
    counts = {name: row[name] for name in ("rows_created", "rows_updated", "rows_skipped", "rows_failed")}
    return ImportRead(
        id=row["id"],
        filename=row["filename"],
        status=row["status"],
        job_id=row["job_id"],
        public_id=row["public_id"],
        default_country=row["default_country"],
        duplicates=options.duplicates,
        labels=options.labels,
        columns=[ColumnRead(column.header, column.field) for column in found.map.columns],
        rows_total=row["rows_total"],
        **counts,
        progress=sum(counts.values()) * 100 // row["rows_total"],
        error=row["error"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )
