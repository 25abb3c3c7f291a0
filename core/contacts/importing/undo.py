"""Taking an import back: a job that undoes it batch by batch, each together with its checkpoint.

What the import made goes, what it changed gets its earlier values again, and what somebody changed since stays.
A contact that the import made stays as it is when its person wrote back, when it was changed, or when it was put into
another audience: it is in use. One that was only written to is deleted as by hand, so that reports keep their rows.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from core import database
from core.audit import services as audit
from core.contacts.importing.schemas import UndoRead
from core.contacts.suppressions import remember_blocked
from core.errors import ConflictError, NotFoundError
from core.jobs.services import JobContext, JobFailedError, create_job, job_handler
from core.jobs.tables import JobStatus
from core.plans import services as plans
from core.texts import text

KIND = "contacts.import_undo"
KEPT = timedelta(days=30)
PORTION = 1000
"""Contacts that one step gives their earlier values."""
FORGET_LIMIT = 20_000

ENDED = "'done', 'failed', 'canceled'"
UNDO_COLUMNS = (
    f"CASE WHEN j.status IN ({ENDED}) AND (u.id IS NULL OR u.status IN ('failed', 'canceled'))"
    f" AND j.finished_at > now() - interval '{KEPT.days} days'"
    f" THEN j.finished_at + interval '{KEPT.days} days' END AS undo_until,"
    " u.id AS undo_id, u.status AS undo_status, u.done AS undo_done, u.total AS undo_total, u.result AS undo_result,"
    " u.error AS undo_error"
)

# Whoever is in another audience was put there by somebody.
_MADE = """
SELECT c.id, c.last_inbound_at IS NULL AND (c.updated_at = $4 OR c.updated_at = h.written_at)
    AND NOT EXISTS (SELECT FROM public_by_contacts b WHERE b.contact_id = c.id) AS untouched
FROM contacts c LEFT JOIN import_changes h ON h.import_id = $3 AND h.contact_id = c.id
WHERE c.user_id = $1 AND c.id = ANY($2::bigint[]) AND c.deleted_at IS NULL ORDER BY c.id FOR UPDATE OF c
"""
_WRITTEN_TO = """
SELECT DISTINCT m.contact_id FROM campaigns k JOIN messages g ON g.campaign_id = k.id
JOIN message_by_contacts m ON m.message_id = g.id AND m.contact_id = ANY($2::bigint[])
WHERE k.user_id = $1 AND k.frozen_at >= $3
"""
_REMOVE_CONTACTS = (
    "DELETE FROM contact_addresses WHERE contact_id = ANY($1::bigint[])",
    "DELETE FROM contact_events WHERE contact_id = ANY($1::bigint[])",
    "DELETE FROM contacts WHERE id = ANY($1::bigint[])",
)
_RESTORE = """
WITH taken AS (
    DELETE FROM import_changes WHERE id IN
        (SELECT id FROM import_changes WHERE import_id = $2 ORDER BY contact_id LIMIT $3) RETURNING *
), present AS MATERIALIZED (
    SELECT c.id, c.name, c.variables, c.labels, c.updated_at, c.updated_at = t.written_at AS untouched,
        t.name AS old_name, t.variables AS old_variables, t.labels AS old_labels, t.updated_at AS old_updated_at,
        t.written_name, t.written_variables, t.written_labels
    FROM taken t JOIN contacts c ON c.id = t.contact_id AND c.user_id = $1 ORDER BY c.id FOR UPDATE OF c
), wanted AS (
    SELECT p.*,
        CASE WHEN p.name = p.written_name THEN p.old_name ELSE p.name END AS new_name,
        (SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM (
            SELECT key, CASE WHEN p.variables -> key IS NOT DISTINCT FROM p.written_variables -> key
                THEN p.old_variables -> key ELSE p.variables -> key END AS value
            FROM (SELECT jsonb_object_keys(p.variables) AS key UNION SELECT jsonb_object_keys(p.old_variables)) AS k
        ) AS v WHERE value IS NOT NULL) AS new_variables,
        (SELECT coalesce(jsonb_agg(e ORDER BY place), '[]') FROM (
            SELECT e, place FROM jsonb_array_elements(p.old_labels) WITH ORDINALITY AS o(e, place)
                WHERE p.labels @> e OR (NOT p.written_labels @> e AND EXISTS (SELECT FROM labels l
                    WHERE l.id = e::bigint AND l.user_id = $1 AND l.deleted_at IS NULL))
            UNION ALL
            SELECT e, 1000000 + place FROM jsonb_array_elements(p.labels) WITH ORDINALITY AS n(e, place)
                WHERE NOT p.old_labels @> e AND NOT p.written_labels @> e
        ) AS l) AS new_labels
    FROM present p
), restored AS (
    UPDATE contacts c SET name = w.new_name, variables = w.new_variables, labels = w.new_labels,
        updated_at = CASE WHEN w.untouched THEN w.old_updated_at ELSE now() END
    FROM wanted w WHERE c.id = w.id
        AND (w.untouched OR (w.name, w.variables, w.labels) <> (w.new_name, w.new_variables, w.new_labels))
    RETURNING c.id
)
SELECT (SELECT count(*) FROM taken) AS taken, (SELECT count(*) FROM restored) AS restored
"""
_REMOVE_LABELS = """
DELETE FROM labels l WHERE l.user_id = $1 AND l.id = ANY($2::bigint[]) AND l.updated_at = l.created_at
    AND NOT EXISTS (SELECT FROM contacts c WHERE c.user_id = $1 AND c.labels @> to_jsonb(l.id))
    AND NOT EXISTS (SELECT FROM publics p WHERE p.user_id = $1 AND p.deleted_at IS NULL
        AND jsonb_path_exists(p.filters, '$.labels.*[*] ? (@ == $label)', jsonb_build_object('label', l.id)))
    AND NOT EXISTS (SELECT FROM campaigns k WHERE k.user_id = $1 AND k.deleted_at IS NULL
        AND jsonb_path_exists(k.settings, '$.labels.** ? (@ == $label)', jsonb_build_object('label', l.id)))
    AND NOT EXISTS (SELECT FROM import_changes h JOIN imports i ON i.id = h.import_id
        WHERE i.user_id = $1 AND h.labels @> to_jsonb(l.id))
"""
_REMOVE_PUBLIC = """
DELETE FROM publics p WHERE p.user_id = $1 AND p.id = $2 AND p.updated_at = p.created_at
    AND NOT EXISTS (SELECT FROM public_by_contacts b WHERE b.public_id = p.id)
    AND NOT EXISTS (SELECT FROM campaigns k WHERE k.user_id = $1 AND (k.public_id = p.id
        OR jsonb_path_exists(k.settings, '$.audiences.** ? (@ == $public)', jsonb_build_object('public', p.id))))
    AND NOT EXISTS (SELECT FROM imports i WHERE i.public_id = p.id AND i.id <> $3)
    AND NOT EXISTS (SELECT FROM publics d WHERE d.user_id = $1 AND d.deleted_at IS NULL AND jsonb_path_exists(
        d.filters, '$.audiences.*[*] ? (@ == $public)', jsonb_build_object('public', p.id)))
"""


class Checkpoint(msgspec.Struct):
    """How far an undo came, and what it did so far."""

    total: int = -1
    done: int = 0
    labels: list[int] = []
    """Those the import made, of the batches that are undone."""
    contacts_removed: int = 0
    contacts_kept: int = 0
    contacts_restored: int = 0
    memberships_removed: int = 0
    labels_removed: int = 0
    complete: bool = False


class _Subject(msgspec.Struct, frozen=True):
    import_id: int
    user_id: int
    public_id: int | None
    made_public: bool


async def request_undo(user_id: int, import_id: int) -> None:
    """Have an import taken back in the background.

    Raises:
        NotFoundError: The tenant has no such import.
        ConflictError: It has not ended, ended more than 30 days ago, or was taken back already.
    """
    async with database.unit_of_work():
        row = await database.fetch_row(
            "SELECT j.status, u.status AS undo_status, j.finished_at <= now() - $3::interval AS over FROM imports i"
            " LEFT JOIN jobs j ON j.id = i.job_id LEFT JOIN jobs u ON u.id = i.undo_job_id"
            " WHERE i.id = $1 AND i.user_id = $2 FOR UPDATE OF i",
            import_id,
            user_id,
            KEPT,
        )
        if row is None:
            raise NotFoundError("import", import_id)
        if row["undo_status"] not in {None, JobStatus.FAILED, JobStatus.CANCELED}:
            raise undone(import_id)
        if row["status"] not in {JobStatus.DONE, JobStatus.FAILED, JobStatus.CANCELED}:
            raise ConflictError(
                f"Import {import_id} has not ended: wait for it or cancel its job.",
                code="import_not_ended",
                id=import_id,
            )
        if row["over"]:
            raise ConflictError(
                f"Import {import_id} ended more than {KEPT.days} days ago, and can no longer be taken back.",
                code="import_too_old",
                id=import_id,
                days=KEPT.days,
            )
        job_id = await create_job(KIND, user_id=user_id, subject_id=import_id, cancelable=False)
        await database.execute(
            "UPDATE imports SET undo_job_id = $2, updated_at = now() WHERE id = $1", import_id, job_id
        )
        await audit.record("import.undo_asked", user_id=user_id, entity_id=import_id)


@job_handler(KIND)
async def undo_import(context: JobContext) -> Mapping[str, Any]:
    """Take back the import ``context.subject_id``, from the last checkpoint on; the result counts what that did."""
    subject = await _read_subject(context.subject_id)
    state = msgspec.convert(context.state, Checkpoint)
    if state.total < 0:
        state.total = await _count(subject.import_id)
    while not state.complete:
        async with database.unit_of_work():
            # No contact of the tenant is made or gets another number beside a step.
            await plans.limits_of(subject.user_id, lock=True)
            if not (await _undo_step(subject, state) or await _restore_some(subject, state)):
                await _remove_rest(subject, state)
                state.complete = True
            await context.checkpoint(msgspec.to_builtins(state), done=state.done, total=state.total)
    counts = msgspec.to_builtins(state)
    return {name: counts[name] for name in _COUNTS}


async def clean_up(now: datetime) -> int:
    """Delete what is kept for undoing imports that ended more than 30 days ago, a part at a time; return how much."""
    total = 0
    for table in ("import_steps", "import_changes"):
        total += await database.execute(
            f"DELETE FROM {table} WHERE id IN (SELECT s.id FROM {table} s JOIN imports i ON i.id = s.import_id"
            " JOIN jobs j ON j.id = i.job_id LEFT JOIN jobs u ON u.id = i.undo_job_id"
            f" WHERE j.status IN ({ENDED}) AND j.finished_at <= $1"
            " AND (u.id IS NULL OR u.status NOT IN ('waiting', 'running')) LIMIT $2)",
            now - KEPT,
            FORGET_LIMIT,
        )
    return total


def undone(import_id: int) -> ConflictError:
    """Return the refusal of anything that an import which was taken back cannot do."""
    return ConflictError(f"Import {import_id} was taken back already.", code="import_undone", id=import_id)


def read_undo(row: Mapping[str, Any]) -> UndoRead | None:
    """Turn a row of ``UNDO_COLUMNS`` into what the API shows."""
    if row["undo_id"] is None:
        return None
    result = msgspec.json.decode(row["undo_result"])
    finished = row["undo_status"] == JobStatus.DONE
    total = row["undo_total"]
    return UndoRead(
        job_id=row["undo_id"],
        status=row["undo_status"],
        progress=100 if finished else min(99, row["undo_done"] * 100 // total) if total else 0,
        error=row["undo_error"],
        **{name: result.get(name) for name in _COUNTS},
    )


_COUNTS = ("contacts_removed", "contacts_kept", "contacts_restored", "memberships_removed", "labels_removed")


async def _read_subject(import_id: int) -> _Subject:
    row = await database.fetch_row(
        "SELECT user_id, public_id, coalesce(options ->> 'public_name', '') <> '' AS made_public FROM imports"
        " WHERE id = $1",
        import_id,
    )
    if row is None:
        raise JobFailedError(text("no_such_import", id=import_id))
    return _Subject(import_id, row["user_id"], row["public_id"], row["made_public"])


async def _count(import_id: int) -> int:
    found = await database.fetch_value(
        "SELECT coalesce((SELECT sum(cardinality(made)) FROM import_steps WHERE import_id = $1), 0)"
        " + (SELECT count(*) FROM import_changes WHERE import_id = $1)",
        import_id,
    )
    return int(str(found))


async def _undo_step(subject: _Subject, state: Checkpoint) -> bool:
    """Take back what the last batch made that is still there; false when there is none."""
    step = await database.fetch_row(
        "DELETE FROM import_steps WHERE id = (SELECT max(id) FROM import_steps WHERE import_id = $1) RETURNING *",
        subject.import_id,
    )
    if step is None:
        return False
    state.labels = [*state.labels, *step["labels"]]
    state.memberships_removed += await database.execute(
        "DELETE FROM public_by_contacts WHERE public_id = $1 AND contact_id = ANY($2::bigint[]) AND created_at = $3",
        subject.public_id,
        step["joined"],
        step["created_at"],
    )
    rows = await database.fetch(_MADE, subject.user_id, step["made"], subject.import_id, step["created_at"])
    unused = [row["id"] for row in rows if row["untouched"]]
    await remember_blocked(subject.user_id, unused)
    written_to = {
        row["contact_id"] for row in await database.fetch(_WRITTEN_TO, subject.user_id, unused, step["created_at"])
    }
    await database.execute(
        "UPDATE contacts SET deleted_at = now(), updated_at = now() WHERE id = ANY($1::bigint[])", list(written_to)
    )
    gone = [contact_id for contact_id in unused if contact_id not in written_to]
    for statement in _REMOVE_CONTACTS:
        await database.execute(statement, gone)
    changes = await database.execute(
        "DELETE FROM import_changes WHERE import_id = $1 AND contact_id = ANY($2::bigint[])",
        subject.import_id,
        step["made"],
    )
    state.contacts_removed += len(unused)
    state.contacts_kept += len(rows) - len(unused)
    state.done += len(step["made"]) + changes
    return True


async def _restore_some(subject: _Subject, state: Checkpoint) -> bool:
    """Give some contacts that the import changed their earlier values; false when none is left."""
    row = await database.fetch_row(_RESTORE, subject.user_id, subject.import_id, PORTION)
    if row is None or not row["taken"]:
        return False
    state.contacts_restored += row["restored"]
    state.done += row["taken"]
    return True


async def _remove_rest(subject: _Subject, state: Checkpoint) -> None:
    """Remove the labels and the audience that the import made, where nobody uses them."""
    state.labels_removed = await database.execute(_REMOVE_LABELS, subject.user_id, state.labels)
    if not subject.made_public:
        return
    # The lock waits for those who put contacts into the audience.
    await database.execute("SELECT FROM publics WHERE id = $1 FOR UPDATE", subject.public_id)
    if await database.execute(_REMOVE_PUBLIC, subject.user_id, subject.public_id, subject.import_id):
        await database.execute(
            "UPDATE imports SET public_id = NULL, updated_at = now() WHERE id = $1", subject.import_id
        )
