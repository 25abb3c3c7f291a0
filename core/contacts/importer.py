"""Importing a file: a job that stores batches of rows, each together with its checkpoint."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from core import database
from core.contacts.import_options import FileRead, ImportOptions
from core.contacts.labels import ensure_label_names, hold_labels
from core.contacts.mapping import Column
from core.contacts.reader import Record, read_records
from core.contacts.room import room_of
from core.contacts.rows import Failure, Row, read_row
from core.contacts.suppressions import suppressed_forms
from core.contacts.variables import remember_names
from core.jobs.services import JobContext, JobFailedError, job_handler
from core.runtime import config
from core.texts import localize, negotiate, text

KIND = "contacts.import"
BATCH_ROWS = 1000

_STORE = """
WITH input AS (
    SELECT * FROM unnest($2::int[], $3::text[], $4::text[], $5::jsonb[], $6::jsonb[], $10::bool[])
        AS i(place, number, name, variables, labels, suppressed)
), present AS (
    SELECT i.place, c.id FROM input i
    JOIN contacts c ON c.user_id = $1 AND c.number = i.number AND c.deleted_at IS NULL
), fresh AS (
    SELECT i.*, row_number() OVER (ORDER BY i.place) AS seat FROM input i
    WHERE i.place NOT IN (SELECT place FROM present)
), made AS (
    INSERT INTO contacts (user_id, number, name, variables, labels, type, status, blocked_at, created_at, updated_at)
    SELECT $1, number, name, variables, labels, 1, 1, CASE WHEN suppressed THEN now() END, now(), now()
    FROM fresh WHERE seat <= $7 ORDER BY place
    RETURNING id
), filled AS (
    UPDATE contacts c SET updated_at = now(),
        name = CASE WHEN c.name = '' THEN i.name ELSE c.name END,
        variables = c.variables || (SELECT coalesce(jsonb_object_agg(key, value), '{}')
            FROM jsonb_each(i.variables) WHERE coalesce(c.variables ->> key, '') = ''),
        labels = c.labels || (SELECT coalesce(jsonb_agg(e), '[]')
            FROM jsonb_array_elements(i.labels) AS e WHERE NOT c.labels @> e)
    FROM present p JOIN input i USING (place)
    WHERE $8 AND c.id = p.id AND (
        (c.name = '' AND i.name <> '') OR NOT c.labels @> i.labels
        OR EXISTS (SELECT FROM jsonb_object_keys(i.variables) AS k WHERE coalesce(c.variables ->> k, '') = ''))
    RETURNING c.id
), joined AS (
    INSERT INTO public_by_contacts (public_id, contact_id, created_at, updated_at)
    SELECT $9, id, now(), now() FROM (SELECT id FROM made UNION ALL SELECT id FROM present) AS x
    WHERE $9::bigint IS NOT NULL ON CONFLICT (public_id, contact_id) DO NOTHING
)
SELECT (SELECT count(*) FROM made) AS made, (SELECT count(*) FROM filled) AS filled,
    (SELECT count(*) FROM present) AS present,
    (SELECT coalesce(array_agg(place), '{}') FROM fresh WHERE seat > $7) AS refused
"""


class Checkpoint(msgspec.Struct):
    """How far an import came: rows of the file that are dealt with."""

    rows: int = 0


class Tally(msgspec.Struct):
    """What became of the rows of one batch."""

    created: int = 0
    updated: int = 0
    skipped: int = 0
    failed: int = 0


class _Plan(msgspec.Struct, frozen=True):
    """What an import reads once."""

    import_id: int
    user_id: int
    public_id: int | None
    path: Path
    file: FileRead
    options: ImportOptions
    country: str
    total: int
    language: str
    """Of its tenant, who reads the reasons later."""


@job_handler(KIND)
async def run_import(context: JobContext) -> Mapping[str, Any]:
    """Store the rows of the import ``context.subject_id``, from the last checkpoint on."""
    plan = await _read_plan(context.subject_id)
    state = msgspec.convert(context.state or context.params.get("resume") or {}, Checkpoint)
    if state.rows < plan.total:
        await _store_all(context, plan, state)
    await asyncio.to_thread(plan.path.unlink, missing_ok=True)
    row = await database.fetch_row(
        "SELECT rows_total, rows_created, rows_updated, rows_skipped, rows_failed FROM imports WHERE id = $1",
        plan.import_id,
    )
    return {} if row is None else dict(row)


async def _store_all(context: JobContext, plan: _Plan, state: Checkpoint) -> None:
    if not await asyncio.to_thread(plan.path.exists):
        raise JobFailedError(text("import_file_missing"))
    records = read_records(plan.path, plan.file.form)
    await asyncio.to_thread(_skip, records, state.rows + plan.file.map.first_row)
    while read := await asyncio.to_thread(_read_batch, records, plan.file.map.columns, plan.country):
        async with database.unit_of_work():
            tally = await _store_batch(plan, read)
            state.rows += len(read)
            await _count(plan.import_id, tally)
            await context.checkpoint(msgspec.to_builtins(state), done=state.rows, total=plan.total)


async def _read_plan(import_id: int) -> _Plan:
    row = await database.fetch_row(
        "SELECT i.*, u.locale FROM imports i JOIN users u ON u.id = i.user_id WHERE i.id = $1",
        import_id,
    )
    if row is None:
        raise JobFailedError(text("no_such_import", id=import_id))
    return _Plan(
        import_id=row["id"],
        user_id=row["user_id"],
        public_id=row["public_id"],
        path=config().data_folder / row["path"],
        file=msgspec.json.decode(row["mapping"], type=FileRead),
        options=msgspec.json.decode(row["options"], type=ImportOptions),
        country=row["default_country"],
        total=row["rows_total"],
        language=negotiate(row["locale"]),
    )


def _skip(records: Iterator[Record], number: int) -> None:
    next(islice(records, number, number), None)


def _read_batch(records: Iterator[Record], columns: Sequence[Column], country: str) -> list[Row | Failure]:
    return [read_row(record, columns, country) for record in islice(records, BATCH_ROWS)]


async def _store_batch(plan: _Plan, read: Sequence[Row | Failure]) -> Tally:
    """Store one batch in the present unit of work."""
    failures = [item for item in read if isinstance(item, Failure)]
    fill = plan.options.duplicates == "fill"
    tally = Tally()
    rows = _merge_duplicates([item for item in read if isinstance(item, Row)], tally, fill=fill)
    limit, room = await room_of(plan.user_id)
    labels = await _labels(plan, rows)
    await remember_names(plan.user_id, {name for row in rows for name in row.variables})
    suppressed = await suppressed_forms(plan.user_id, [row.number for row in rows])
    row = await database.fetch_row(
        _STORE,
        plan.user_id,
        list(range(len(rows))),
        [row.number for row in rows],
        [row.name for row in rows],
        [database.encode_json(row.variables) for row in rows],
        [database.encode_json(found) for found in labels],
        room,
        fill,
        plan.public_id,
        [row.number in suppressed for row in rows],
    )
    if row is None:
        raise TypeError("SELECT gave no row")
    reason = text("row_plan", value=limit)
    failures += [
        Failure(found.line, "", found.number, reason, found.cells) for found in map(rows.__getitem__, row["refused"])
    ]
    tally.created += row["made"]
    tally.updated += row["filled"]
    tally.skipped += row["present"] - row["filled"]
    tally.failed += len(failures)
    await _keep_failures(plan, failures)
    return tally


def _merge_duplicates(rows: Sequence[Row], tally: Tally, *, fill: bool) -> list[Row]:
    """Return the rows with each number once; later ones fill the gaps of the first, as they would in the table."""
    kept: dict[str, Row] = {}
    for row in rows:
        first = kept.setdefault(row.number, row)
        if first is row:
            continue
        gains = {name: value for name, value in row.variables.items() if name not in first.variables}
        labels = [label for label in row.labels if label not in first.labels]
        if fill and (gains or labels or (row.name and not first.name)):
            first.name = first.name or row.name
            first.variables.update(gains)
            first.labels += labels
            tally.updated += 1
        else:
            tally.skipped += 1
    return list(kept.values())


async def _labels(plan: _Plan, rows: Sequence[Row]) -> list[list[int]]:
    """Return the labels of each row: those of the import that still exist, then its own by name."""
    common = await hold_labels(plan.user_id, plan.options.labels)
    names = list(dict.fromkeys(name for row in rows for name in row.labels))
    ids = await ensure_label_names(plan.user_id, names) if names else {}
    return [list(dict.fromkeys([*common, *(ids[name] for name in row.labels)])) for row in rows]


async def _keep_failures(plan: _Plan, failures: Sequence[Failure]) -> None:
    await database.execute(
        'INSERT INTO import_errors (import_id, line, "column", value, reason, row, created_at)'
        " SELECT $1, f.*, now() FROM unnest($2::int[], $3::text[], $4::text[], $5::text[], $6::text[]) AS f",
        plan.import_id,
        [failure.line for failure in failures],
        [failure.column[:120] for failure in failures],
        [failure.value[:500] for failure in failures],
        [localize(failure.reason, plan.language) for failure in failures],
        [database.encode_json(failure.cells) for failure in failures],
    )


async def _count(import_id: int, tally: Tally) -> None:
    await database.execute(
        "UPDATE imports SET rows_created = rows_created + $2, rows_updated = rows_updated + $3,"
        " rows_skipped = rows_skipped + $4, rows_failed = rows_failed + $5, updated_at = now() WHERE id = $1",
        import_id,
        tally.created,
        tally.updated,
        tally.skipped,
        tally.failed,
    )
