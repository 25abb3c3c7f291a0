"""Deletions of contacts, each of which can be undone for some days.

A deleted contact keeps its row, with its labels, memberships and addresses, and the id of the deletion; erasing a
person takes that id away, so nobody who was erased ever comes back.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from core import database
from core.audit import services as audit
from core.contacts.addresses import block_listed_groups
from core.contacts.bulk_schemas import DeletionRead
from core.contacts.room import room_of
from core.contacts.suppressions import find_person, remember_blocked, suppress, suppressed_forms
from core.errors import ConflictError, NotFoundError
from core.jobs.schemas import JobRead
from core.jobs.services import JobContext, JobFailedError, create_job, get_job, job_handler, latest_job, set_total
from core.jobs.tables import JobStatus
from core.pagination import PageQuery
from core.plans import services as plans
from core.texts import text

KIND = "contacts.undo_delete"
UNDO_DAYS = 30
BATCH = 2_000
AT_WORK = (JobStatus.WAITING, JobStatus.RUNNING)

_COLUMNS = (
    "d.id, d.job_id, d.contacts, d.restored, d.created_at, d.updated_at,"
    f" d.created_at + interval '{UNDO_DAYS} days' AS undo_until"
)
_DELETE = """
UPDATE contacts SET deleted_at = now(), deletion_id = $3, updated_at = now()
WHERE user_id = $1 AND id = ANY($2::bigint[]) AND deleted_at IS NULL
"""
# Whoever has the number or an address now is the contact; of two that had one number, the first comes back.
_BATCH = """
WITH batch AS MATERIALIZED (
    SELECT id, number, type, blocked_at FROM contacts
    WHERE user_id = $1 AND deletion_id = $2 AND deleted_at IS NOT NULL AND id > $3 ORDER BY id LIMIT $4 FOR UPDATE
)
SELECT b.id, b.number, b.type, b.blocked_at IS NOT NULL AS blocked,
    coalesce((SELECT array_agg(a.address) FROM contact_addresses a WHERE a.contact_id = b.id AND a.address <> ''), '{}')
        AS addresses,
    EXISTS (SELECT FROM contacts l WHERE l.user_id = $1 AND l.number = b.number AND l.deleted_at IS NULL)
    OR b.number IS NOT NULL AND row_number() OVER (PARTITION BY b.number ORDER BY b.id) > 1
    OR EXISTS (SELECT FROM contact_addresses o JOIN contact_addresses a ON a.provider = o.provider
            AND a.address = o.address AND a.contact_id <> o.contact_id JOIN contacts c ON c.id = a.contact_id
        WHERE o.contact_id = b.id AND o.address <> '' AND o.number IN ('', coalesce(b.number, ''))
            AND a.number IN ('', coalesce(c.number, '')) AND c.user_id = $1 AND c.deleted_at IS NULL) AS taken
FROM batch b ORDER BY b.id
"""


class Checkpoint(msgspec.Struct):
    """How far an undoing came; the counts add up to what was deleted and not erased since."""

    last_id: int = 0
    restored: int = 0
    taken: int = 0
    """Stay deleted: another contact has the number or an address now."""
    over_plan: int = 0
    """Stay deleted: the plan has no room."""


async def open_deletion(user_id: int) -> int:
    """Make a deletion that has no contacts yet, and return its id."""
    deletion_id = await database.fetch_value(
        "INSERT INTO contact_deletions (user_id, contacts, restored, created_at, updated_at)"
        " VALUES ($1, 0, 0, now(), now()) RETURNING id",
        user_id,
    )
    if not isinstance(deletion_id, int):
        raise TypeError("INSERT gave no id")
    return deletion_id


async def delete_rows(user_id: int, deletion_id: int, contact_ids: Collection[int]) -> int:
    """Delete contacts as part of a deletion and return how many; whoever opted out stays so. Needs a unit of work."""
    await remember_blocked(user_id, contact_ids)
    count = await database.execute(_DELETE, user_id, list(contact_ids), deletion_id)
    await database.execute(
        "UPDATE contact_deletions SET contacts = contacts + $2, updated_at = now() WHERE id = $1", deletion_id, count
    )
    return count


async def list_deletions(user_id: int, query: PageQuery) -> tuple[Sequence[DeletionRead], int]:
    """Return one page of the deletions that can still be undone, the newest first, and how many there are."""
    where = f"d.user_id = $1 AND d.created_at > now() - interval '{UNDO_DAYS} days' AND d.contacts > 0"
    rows = await database.fetch(
        f"SELECT {_COLUMNS} FROM contact_deletions d WHERE {where}"
        f" ORDER BY {query.order_by({'created_at': 'd.id', 'contacts': 'd.contacts'}, '-created_at', 'd.id')}"
        " LIMIT $2 OFFSET $3",
        user_id,
        query.limit,
        query.offset,
    )
    total = await database.fetch_value(f"SELECT count(*) FROM contact_deletions d WHERE {where}", user_id)
    return [msgspec.convert(row, DeletionRead) for row in rows], total if isinstance(total, int) else 0


async def request_undo(user_id: int, deletion_id: int) -> JobRead:
    """Have the contacts of a deletion come back in the background.

    Raises:
        NotFoundError: The tenant has no such deletion.
        ConflictError: It is older than ``UNDO_DAYS``, still at work or being undone, or nobody is left to come back.
        PlanLimitError: The plan has no room for a single one, or the account's access has ended.
    """
    async with database.unit_of_work():
        await plans.ensure_within(user_id, "contacts")
        row = await database.fetch_row(
            "SELECT d.created_at, now() AS now, j.status FROM contact_deletions d LEFT JOIN jobs j ON j.id = d.job_id"
            " WHERE d.id = $1 AND d.user_id = $2 FOR UPDATE OF d",
            deletion_id,
            user_id,
        )
        if row is None:
            raise NotFoundError("deletion", deletion_id)
        if row["now"] - row["created_at"] > timedelta(days=UNDO_DAYS):
            raise ConflictError(
                f"Deletion {deletion_id} can no longer be undone: that is possible for {UNDO_DAYS} days.",
                code="undo_expired",
                value=UNDO_DAYS,
                id=deletion_id,
            )
        present = await latest_job(user_id, KIND, deletion_id, statuses=AT_WORK)
        if present is not None or row["status"] in AT_WORK:
            raise ConflictError(
                f"Deletion {deletion_id} is at work: wait for its job, or cancel it.",
                code="deletion_running",
                id=deletion_id,
            )
        total = await database.fetch_value(
            "SELECT count(*) FROM contacts WHERE user_id = $1 AND deletion_id = $2 AND deleted_at IS NOT NULL",
            user_id,
            deletion_id,
        )
        if not isinstance(total, int) or not total:
            raise ConflictError(
                f"Nobody of deletion {deletion_id} is left to come back.", code="nothing_to_undo", id=deletion_id
            )
        job_id = await create_job(KIND, user_id=user_id, subject_id=deletion_id)
        await set_total(job_id, total)
        await audit.record("contact.undo_asked", user_id=user_id, facts={"deletion_id": deletion_id, "contacts": total})
        return await get_job(user_id, job_id)


@job_handler(KIND)
async def undo_delete(context: JobContext) -> Mapping[str, Any]:
    """Bring back the contacts of the deletion ``context.subject_id``; the result counts who could not come."""
    user_id = context.user_id
    if user_id is None:
        raise JobFailedError(text("job_without_row", id=context.id))
    state = msgspec.convert(context.state, Checkpoint)
    done = context.done
    while True:
        async with database.unit_of_work():
            # First the tenant's row, as everybody who adds contacts: the numbers stay free until the commit.
            _, room = await room_of(user_id)
            rows = await database.fetch(_BATCH, user_id, context.subject_id, state.last_id, BATCH)
            if not rows:
                facts = {"deletion_id": context.subject_id, "count": state.restored}
                await audit.record("contact.many_restored", user_id=user_id, facts=facts)
                await context.checkpoint(msgspec.to_builtins(state))
                break
            free = [row for row in rows if not row["taken"]]
            back = free[: max(room, 0)]
            await _restore(user_id, context.subject_id, back)
            state.last_id = rows[-1]["id"]
            state.restored += len(back)
            state.taken += len(rows) - len(free)
            state.over_plan += len(free) - len(back)
            done += len(rows)
            await context.checkpoint(msgspec.to_builtins(state), done=done)
    return {"restored": state.restored, "taken": state.taken, "over_plan": state.over_plan}


async def _restore(user_id: int, deletion_id: int, rows: Sequence[Mapping[str, Any]]) -> None:
    """Bring contacts back, with the opt-outs and blocks as they stand now."""
    if not rows:
        return
    await database.execute(
        "UPDATE contacts SET deleted_at = NULL, deletion_id = NULL, updated_at = now() WHERE id = ANY($1::bigint[])",
        [row["id"] for row in rows],
    )
    await database.execute(
        "UPDATE contact_deletions SET restored = restored + $2, updated_at = now() WHERE id = $1",
        deletion_id,
        len(rows),
    )
    people = {row["id"]: {form for form in (row["number"], *row["addresses"]) if form} for row in rows}
    groups = [row["id"] for row in rows if row["type"] != 1]
    for group in groups:
        del people[group]
    await block_listed_groups(user_id, groups)
    out = await suppressed_forms(user_id, {form for forms in people.values() for form in forms})
    lifted = [row["id"] for row in rows if row["blocked"] and row["id"] in people and not out & people[row["id"]]]
    # Deleting remembers who had opted out: what is not remembered any more was ended meanwhile.
    await database.execute("UPDATE contacts SET blocked_at = NULL WHERE id = ANY($1::bigint[])", lifted)
    for row in rows:
        if not row["blocked"] and out & people.get(row["id"], set()):
            await suppress(user_id, await find_person(user_id, people[row["id"]]))
