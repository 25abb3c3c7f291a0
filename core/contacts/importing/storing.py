"""Storing one batch of an import: what goes in, what fills or changes contacts that exist, and what undoes it."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from core import database
from core.contacts.importing.policies import Policies, merge_row
from core.contacts.importing.rows import Failure, Row
from core.contacts.importing.schemas import FileRead, ImportOptions
from core.contacts.labels import add_label_names, ensure_label_names, hold_labels
from core.contacts.room import room_of
from core.contacts.suppressions import suppressed_forms
from core.contacts.variables import remember_names
from core.texts import localize, text

# What a contact holds is read from the locked row: a change by hand at the same moment is seen, never lost.
_STORE = """
WITH input AS MATERIALIZED (
    SELECT * FROM unnest($2::int[], $3::text[], $4::text[], $5::jsonb[], $6::jsonb[], $7::bool[])
        AS i(place, number, name, variables, labels, suppressed)
), present AS MATERIALIZED (
    SELECT i.place, i.name AS new_name, i.variables AS new_variables, i.labels AS new_labels,
        c.id, c.name, c.variables, c.labels, c.updated_at
    FROM input i JOIN contacts c ON c.user_id = $1 AND c.number = i.number AND c.deleted_at IS NULL
    ORDER BY c.id FOR UPDATE OF c
), fresh AS (
    SELECT i.*, row_number() OVER (ORDER BY i.place) AS seat FROM input i
    WHERE i.place NOT IN (SELECT place FROM present)
), made AS (
    INSERT INTO contacts (user_id, number, name, variables, labels, type, status, source, blocked_at, created_at,
        updated_at)
    SELECT $1, number, name, variables, labels, 1, 1, 'import', CASE WHEN suppressed THEN now() END, now(), now()
    FROM fresh WHERE seat <= $8 ORDER BY place
    RETURNING id
), wanted AS (
    SELECT p.*,
        CASE WHEN p.new_name <> '' AND ($11 = 'overwrite' OR ($11 = 'fill' AND p.name = ''))
            THEN p.new_name ELSE p.name END AS written_name,
        p.variables || (SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(p.new_variables)
            WHERE CASE coalesce($13::jsonb ->> key, $12) WHEN 'overwrite' THEN true
                WHEN 'fill' THEN coalesce(p.variables ->> key, '') = '' ELSE false END) AS written_variables,
        CASE WHEN $14 = 'add' THEN p.labels || (SELECT coalesce(jsonb_agg(e), '[]')
                FROM jsonb_array_elements(p.new_labels) AS e WHERE NOT p.labels @> e)
            WHEN $14 = 'replace' AND p.new_labels <> '[]'
                AND NOT (p.labels @> p.new_labels AND p.new_labels @> p.labels) THEN p.new_labels
            ELSE p.labels END AS written_labels
    FROM present p
), changed AS (
    UPDATE contacts c SET updated_at = now(),
        name = w.written_name, variables = w.written_variables, labels = w.written_labels
    FROM wanted w WHERE c.id = w.id
        AND (w.name, w.variables, w.labels) <> (w.written_name, w.written_variables, w.written_labels)
    RETURNING c.id
), kept AS (
    INSERT INTO import_changes (import_id, contact_id, name, variables, labels, updated_at,
        written_name, written_variables, written_labels, written_at)
    SELECT $9, w.id, w.name, w.variables, w.labels, w.updated_at,
        w.written_name, w.written_variables, w.written_labels, now()
    FROM wanted w JOIN changed USING (id)
    ON CONFLICT (import_id, contact_id) DO UPDATE SET written_name = excluded.written_name,
        written_variables = excluded.written_variables, written_labels = excluded.written_labels, written_at = now()
), joined AS (
    INSERT INTO public_by_contacts (public_id, contact_id, created_at, updated_at)
    SELECT $10, id, now(), now() FROM (SELECT id FROM made UNION ALL SELECT id FROM present) AS x
    WHERE $10::bigint IS NOT NULL ON CONFLICT (public_id, contact_id) DO NOTHING
    RETURNING contact_id
), step AS (
    INSERT INTO import_steps (import_id, made, joined, labels, created_at)
    SELECT $9, coalesce((SELECT array_agg(id) FROM made), '{}'),
        coalesce((SELECT array_agg(contact_id) FROM joined), '{}'), $15, now()
)
SELECT (SELECT count(*) FROM made) AS made, (SELECT count(*) FROM changed) AS changed,
    (SELECT count(*) FROM present) AS present,
    (SELECT coalesce(array_agg(place), '{}') FROM fresh WHERE seat > $8) AS refused
"""


class Tally(msgspec.Struct):
    """What became of the rows of one batch."""

    created: int = 0
    updated: int = 0
    skipped: int = 0
    failed: int = 0


class Plan(msgspec.Struct, frozen=True):
    """What an import reads once."""

    import_id: int
    user_id: int
    public_id: int | None
    path: Path
    file: FileRead
    options: ImportOptions
    policies: Policies
    country: str
    total: int
    language: str
    """Of its tenant, who reads the reasons later."""


async def store_batch(plan: Plan, read: Sequence[Row | Failure]) -> None:
    """Store one batch in the present unit of work, count it, and keep what its undo needs."""
    failures = [item for item in read if isinstance(item, Failure)]
    tally = Tally()
    limit, room = await room_of(plan.user_id)
    common = await hold_labels(plan.user_id, plan.options.labels)
    everybody = [" ".join(plan.options.label_name.split())] if plan.options.label_name else []
    rows = _merge_duplicates(
        [item for item in read if isinstance(item, Row)], tally, plan.policies, bool(common or everybody)
    )
    made, labels = await _labels(plan, rows, common, everybody)
    await remember_names(plan.user_id, {name for row in rows for name in row.variables})
    suppressed = await suppressed_forms(plan.user_id, [row.number for row in rows])
    row = await database.fetch_row(
        _STORE,
        plan.user_id,
        list(range(len(rows))),
        [row.number for row in rows],
        [row.name for row in rows],
        [database.encode_json(row.variables) for row in rows],
        labels,
        [row.number in suppressed for row in rows],
        room,
        plan.import_id,
        plan.public_id,
        plan.policies.name,
        plan.policies.variables,
        database.encode_json(plan.policies.by_variable),
        plan.policies.labels,
        made,
    )
    if row is None:
        raise TypeError("SELECT gave no row")
    reason = text("row_plan", value=limit)
    failures += [
        Failure(found.line, "", found.number, reason, found.cells) for found in map(rows.__getitem__, row["refused"])
    ]
    tally.created += row["made"]
    tally.updated += row["changed"]
    tally.skipped += row["present"] - row["changed"]
    tally.failed += len(failures)
    await _keep_failures(plan, failures)
    await _count(plan.import_id, tally)


def _merge_duplicates(rows: Sequence[Row], tally: Tally, policies: Policies, common: bool) -> list[Row]:  # noqa: FBT001
    """Return the rows with each number once; later ones change the first, as they would the contact in the table.

    ``common`` says whether the import puts labels on every row.
    """
    kept: dict[str, Row] = {}
    for row in rows:
        first = kept.setdefault(row.number, row)
        if first is row:
            continue
        if merge_row(first, row, policies, common=common):
            tally.updated += 1
        else:
            tally.skipped += 1
    return list(kept.values())


async def _labels(
    plan: Plan, rows: Sequence[Row], common: Sequence[int], everybody: Sequence[str]
) -> tuple[list[int], list[str]]:
    """Return the ids of labels made now, and the labels of each row as JSON: those of the import, then its own.

    Those of the import are ``common`` by id and ``everybody`` by name.
    """
    names = list(dict.fromkeys([*everybody, *(name for row in rows for name in row.labels)])) if rows else []
    if not names:
        return [], [database.encode_json(common)] * len(rows)
    made = await add_label_names(plan.user_id, names)
    ids = await ensure_label_names(plan.user_id, names)
    return made, [
        database.encode_json(list(dict.fromkeys([*common, *(ids[name] for name in (*everybody, *row.labels))])))
        for row in rows
    ]


async def _keep_failures(plan: Plan, failures: Sequence[Failure]) -> None:
    if not failures:
        return
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
