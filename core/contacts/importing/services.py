"""Uploaded files of contacts: taking them in, changing what is made of them, starting their import, telling of it."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET

from core import database
from core.audit import services as audit
from core.contacts.country_settings import DEFAULT_COUNTRY, in_own_country
from core.contacts.importing.importer import KIND
from core.contacts.importing.inspecting import Scan, describe, first_records, scan_again, scan_upload
from core.contacts.importing.mapping import header_keys, no_numbers
from core.contacts.importing.policies import policy_errors
from core.contacts.importing.saved_mappings import keep_mapping
from core.contacts.importing.schemas import (
    FileRead,
    ImportOptions,
    ImportRead,
    ImportUpdate,
    columns_of,
    file_facts,
)
from core.contacts.importing.undo import UNDO_COLUMNS, read_undo, undone
from core.contacts.importing.upload_files import FOLDER
from core.contacts.labels import ensure_labels
from core.contacts.numbers import is_country
from core.contacts.publics import ensure_open
from core.contacts.tables import PublicType
from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.jobs.services import create_job, seconds_left
from core.jobs.tables import JobStatus
from core.pagination import PageQuery
from core.runtime import config
from core.texts import text

_COLUMNS = (
    "i.id, i.filename, i.job_id, i.public_id, i.default_country, i.options, i.mapping, i.rows_total, i.rows_created,"
    " i.rows_updated, i.rows_skipped, i.rows_failed, i.created_at, CASE WHEN i.file_removed_at IS NOT NULL AND"
    " j.status IS DISTINCT FROM 'done' THEN 'expired' ELSE coalesce(j.status, 'uploaded') END AS status,"
    " coalesce(j.error, '') AS error, j.started_at, j.finished_at, CASE WHEN j.status = 'running' THEN j.rate END"
    f" AS rate, {UNDO_COLUMNS}"
)
_FROM = "imports i LEFT JOIN jobs j ON j.id = i.job_id LEFT JOIN jobs u ON u.id = i.undo_job_id"
_SORTS = {"created_at": "i.id", "filename": "i.filename", "rows_total": "i.rows_total"}


async def keep_upload(user_id: int, upload: Path, filename: str, options: ImportOptions) -> ImportRead:
    """Keep the rows of an uploaded file, find out what its columns are, and start its import if that is wanted.

    ``upload`` is gone afterwards.

    Raises:
        InvalidInputError: The file holds no contacts, or an option does not fit; nothing is kept.
    """
    options = await in_own_country(user_id, options, "default_country")
    await _check(user_id, options)
    name = f"{FOLDER}/{secrets.token_hex(16)}.csv"
    path = config().data_folder / name
    try:
        scan = await scan_upload(upload, path, options, config().imports.unpacked_megabytes)
        found, total = await describe(user_id, scan, options)
        _ensure_sure(options, found)
        _check_policies(options, found)
        async with database.unit_of_work():
            import_id = await _insert(user_id, name, filename, options, found, total)
            await audit.record("import.uploaded", user_id=user_id, entity_id=import_id, facts={"rows": total})
            if options.start:
                await start_import(user_id, import_id)
            return await get_import(user_id, import_id)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


async def update_import(user_id: int, import_id: int, changes: ImportUpdate) -> ImportRead:
    """Change what an import that was not started makes of its file.

    Raises:
        ConflictError: It was started, changed by somebody else meanwhile, or its file was removed after a day.
        InvalidInputError: An option does not fit, or the file is not in that encoding; nothing changes.
    """
    row = await _find(user_id, import_id)
    _ensure_waiting(import_id, row)
    before = msgspec.json.decode(row["mapping"], type=FileRead)
    options = _changed(msgspec.json.decode(row["options"], type=ImportOptions), changes)
    await _check(user_id, options)
    path = config().data_folder / row["path"]
    if changes.encoding is UNSET and changes.delimiter is UNSET:
        head = await asyncio.to_thread(first_records, path, before.form)
        scan = Scan(before.form, head, row["rows_total"] + before.map.first_row)
    else:
        scan = await scan_again(path, before.form, options)
    found, total = await describe(user_id, scan, options)
    _check_policies(options, found)
    async with database.unit_of_work():
        locked = await _find(user_id, import_id, lock=True)
        _ensure_waiting(import_id, locked)
        if locked["options"] != row["options"]:
            raise ConflictError("Another change happened at the same time: try again.", code="try_again")
        await database.execute(
            "UPDATE imports SET options = $2, mapping = $3, default_country = $4, header = $5, rows_total = $6,"
            " public_id = $7, updated_at = now() WHERE id = $1",
            import_id,
            database.encode_json(options),
            database.encode_json(found),
            options.default_country,
            found.map.header,
            total,
            options.public_id,
        )
        named = [name for name in changes.__struct_fields__ if getattr(changes, name) is not UNSET]
        await audit.record("import.updated", user_id=user_id, entity_id=import_id, facts={"fields": named})
        return await get_import(user_id, import_id)


async def start_import(user_id: int, import_id: int) -> ImportRead:
    """Start an import, or go on with one that failed or was canceled from where it stopped.

    Raises:
        ConflictError: It is running, or done; or its file was removed after a day.
    """
    async with database.unit_of_work():
        row = await _find(user_id, import_id, lock=True)
        if row["undo_job_id"] is not None:
            raise undone(import_id)
        if row["status"] not in {None, JobStatus.FAILED, JobStatus.CANCELED}:
            raise _started(import_id)
        ensure_file(import_id, row)
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
        found = msgspec.json.decode(row["mapping"], type=FileRead)
        if found.map.header and found.map.source != "recognized":
            await keep_mapping(user_id, header_keys([column.header for column in found.map.columns]), found.map)
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


def _ensure_sure(options: ImportOptions, found: FileRead) -> None:
    """Refuse to start what was only guessed and nobody looked at."""
    if options.start and found.map.source == "guessed":
        raise InvalidInputError({"file": [no_numbers(column.header for column in found.map.columns)]})


def _check_policies(options: ImportOptions, found: FileRead) -> None:
    errors = policy_errors(options.policies, {column.field for column in found.map.columns})
    if errors:
        raise InvalidInputError(errors)


def ensure_file(import_id: int, row: Mapping[str, Any]) -> None:
    """Refuse an import whose file was removed; raises ``ConflictError``."""
    if row["file_removed_at"] is not None:
        raise ConflictError(
            f"The file of import {import_id} is no longer kept: upload it again.", code="import_expired", id=import_id
        )


async def _find(user_id: int, import_id: int, *, lock: bool = False) -> Mapping[str, Any]:
    row: Mapping[str, Any] | None = await database.fetch_row(
        "SELECT i.options, i.mapping, i.path, i.rows_total, i.public_id, i.file_removed_at, i.undo_job_id,"
        " j.status, j.checkpoint"
        " FROM imports i LEFT JOIN jobs j ON j.id = i.job_id WHERE i.id = $1 AND i.user_id = $2"
        + (" FOR UPDATE OF i" if lock else ""),
        import_id,
        user_id,
    )
    if row is None:
        raise NotFoundError("import", import_id)
    return row


def _ensure_waiting(import_id: int, row: Mapping[str, Any]) -> None:
    if row["status"] is not None:
        raise _started(import_id)
    ensure_file(import_id, row)


def _started(import_id: int) -> ConflictError:
    return ConflictError(f"Import {import_id} has begun already.", code="import_started", id=import_id)


def _changed(options: ImportOptions, changes: ImportUpdate) -> ImportOptions:
    named = {name: value for name in changes.__struct_fields__ if (value := getattr(changes, name)) is not UNSET}
    # One audience takes the place of the other.
    if named.get("public_id") is not None:
        named.setdefault("public_name", None)
    elif named.get("public_name") is not None:
        named.setdefault("public_id", None)
    return msgspec.structs.replace(options, **named)


async def _check(user_id: int, options: ImportOptions) -> None:
    """Refuse options that do not fit, naming all of them."""
    errors: dict[str, list[str]] = {}
    if not is_country(options.default_country or DEFAULT_COUNTRY):
        errors["default_country"] = [text("no_such_country")]
    if options.public_id is not None and options.public_name is not None:
        errors["public_name"] = [text("public_twice")]
    elif options.public_name is not None and not options.public_name.strip():
        errors["public_name"] = [text("required")]
    if options.label_name is not None and not options.label_name.strip():
        errors["label_name"] = [text("required")]
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
    done = sum(counts.values())
    return ImportRead(
        id=row["id"],
        filename=row["filename"],
        status=row["status"],
        job_id=row["job_id"],
        public_id=row["public_id"],
        public_name=options.public_name if row["public_id"] is None else None,
        default_country=row["default_country"],
        duplicates=options.duplicates,
        policies=options.policies,
        labels=options.labels,
        label_name=options.label_name,
        file=file_facts(found),
        columns=columns_of(found),
        mapping_source=found.map.source,
        rows_total=row["rows_total"],
        **counts,
        progress=done * 100 // row["rows_total"],
        rows_per_second=None if row["rate"] is None else round(row["rate"], 1),
        seconds_left=seconds_left(row["rows_total"] - done, row["rate"]),
        error=row["error"],
        undo_until=row["undo_until"],
        undo=read_undo(row),
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )
