"""Changing many contacts: at once when they are named by id, and by a job when a filter names them.

The job's contacts are written down when it is asked for, some thousand in a row: whatever becomes of their labels
meanwhile, these are meant and nobody else. A row goes with the commit of its change, so each contact is changed once
however often the job is cut off.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from core import database
from core.audit import services as audit
from core.contacts.contact_blocks import block_listed, unblock_listed
from core.contacts.deletions import delete_rows, open_deletion
from core.contacts.labels import ensure_labels, hold_labels
from core.contacts.queries import selected_contacts
from core.contacts.schemas import Selection
from core.errors import PlatformError
from core.jobs.schemas import JobRead
from core.jobs.services import (
    JobCanceledError,
    JobContext,
    JobFailedError,
    create_job,
    get_job,
    job_handler,
    set_total,
)
from core.texts import text

KIND = "contacts.bulk"
BATCH = 2_000

Action = Literal["delete", "label", "block", "unblock"]

_FREEZE = """
WITH part AS (
    INSERT INTO bulk_selections (job_id, contact_ids)
    SELECT $1, array_agg(id ORDER BY id) FROM (
        SELECT c.id, (row_number() OVER (ORDER BY c.id) - 1) / $2::int AS part FROM contacts c WHERE {where}) AS chosen
    GROUP BY part ORDER BY part RETURNING cardinality(contact_ids) AS contacts
) SELECT coalesce(sum(contacts), 0)::bigint FROM part
"""
_NEXT = """
DELETE FROM bulk_selections WHERE id = (SELECT min(id) FROM bulk_selections WHERE job_id = $1) RETURNING contact_ids
"""
_LABEL = """
UPDATE contacts c SET updated_at = now(), labels =
    coalesce((SELECT jsonb_agg(e ORDER BY place) FROM jsonb_array_elements(c.labels)
        WITH ORDINALITY AS x(e, place) WHERE NOT $2::jsonb @> e), '[]')
    || coalesce((SELECT jsonb_agg(e ORDER BY place) FROM jsonb_array_elements($1::jsonb)
        WITH ORDINALITY AS x(e, place) WHERE NOT c.labels @> e), '[]')
WHERE c.user_id = $3 AND c.id = ANY($4::bigint[]) AND (NOT c.labels @> $1::jsonb
    OR EXISTS (SELECT FROM jsonb_array_elements(c.labels) AS e WHERE $2::jsonb @> e))
"""


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What becomes of contacts; the parameters of the job."""

    action: Action
    add: list[int] = []
    remove: list[int] = []
    reason: str = ""
    deletion_id: int | None = None
    """The deletion they are part of, when they are deleted."""


class Checkpoint(msgspec.Struct):
    """How far a job came."""

    affected: int = 0
    told: bool = False
    """The log has the line of the whole job."""


async def change_now(user_id: int, selection: Selection, change: Change) -> int:
    """Change the contacts that are named by id, and return how many that changed.

    Raises:
        NotFoundError: One of the ids is not this tenant's.
        InvalidInputError: There is no such label.
    """
    async with database.unit_of_work():
        await _ensure_labels(user_id, change)
        await selected_contacts(user_id, selection, 1)
        affected = await _APPLY[change.action](user_id, change, sorted(set(selection.ids or ())))
        await _tell(user_id, change, affected)
        return affected


async def delete_now(user_id: int, selection: Selection) -> tuple[int, int]:
    """Delete the contacts that are named by id; return how many and the id of the deletion. As ``change_now``."""
    async with database.unit_of_work():
        deletion_id = await open_deletion(user_id)
        affected = await change_now(user_id, selection, Change(action="delete", deletion_id=deletion_id))
        return affected, deletion_id


async def request_change(user_id: int, selection: Selection, change: Change) -> JobRead:
    """Have the contacts that a filter describes at this moment changed in the background.

    Raises:
        NotFoundError: The tenant has no such audience.
        InvalidInputError: There is no such label.
    """
    async with database.unit_of_work():
        await _ensure_labels(user_id, change)
        if change.action == "delete":
            change = msgspec.structs.replace(change, deletion_id=await open_deletion(user_id))
        job_id = await create_job(KIND, user_id=user_id, params=msgspec.to_builtins(change))
        where, args = await selected_contacts(user_id, selection, 3)
        found = await database.fetch_value(_FREEZE.format(where=where), job_id, BATCH, *args)
        total = int(str(found))
        await set_total(job_id, total)
        await database.execute("UPDATE contact_deletions SET job_id = $2 WHERE id = $1", change.deletion_id, job_id)
        facts = {"job_id": job_id, "selected": total, **msgspec.to_builtins(change)}
        await audit.record("contact.many_asked", user_id=user_id, facts=facts)
        return await get_job(user_id, job_id)


@job_handler(KIND)
async def change_contacts(context: JobContext) -> Mapping[str, Any]:
    """Change what is left of the job's contacts; the result says how many it changed."""
    if context.user_id is None:
        raise JobFailedError(text("job_without_row", id=context.id))
    change, state = msgspec.convert(context.params, Change), msgspec.convert(context.state, Checkpoint)
    try:
        while not state.told:
            await _step(context, context.user_id, change, state)
    except (JobCanceledError, JobFailedError, PlatformError):
        async with database.unit_of_work():
            await database.execute("DELETE FROM bulk_selections WHERE job_id = $1", context.id)
            await _tell(context.user_id, change, int(context.state.get("affected", 0)))
        raise
    deletion = {} if change.deletion_id is None else {"deletion_id": change.deletion_id}
    return {"affected": state.affected, **deletion}


async def clean_up() -> int:
    """Delete what is written down for jobs that ended elsewhere than in their handler; return how many rows."""
    return await database.execute(
        "DELETE FROM bulk_selections s WHERE NOT EXISTS"
        " (SELECT FROM jobs j WHERE j.id = s.job_id AND j.status IN ('waiting', 'running'))"
    )


async def _step(context: JobContext, user_id: int, change: Change, state: Checkpoint) -> None:
    """Change the next contacts, or else tell of the whole."""
    async with database.unit_of_work():
        row = await database.fetch_row(_NEXT, context.id)
        if row is None:
            state.told = True
            await _tell(user_id, change, state.affected)
            await context.checkpoint(msgspec.to_builtins(state))
            return
        state.affected += await _APPLY[change.action](user_id, change, row["contact_ids"])
        await context.checkpoint(msgspec.to_builtins(state), done=context.done + len(row["contact_ids"]))


async def _ensure_labels(user_id: int, change: Change) -> None:
    await ensure_labels(user_id, change.add, "add")
    await ensure_labels(user_id, change.remove, "remove")


async def _lock(user_id: int, contact_ids: Sequence[int]) -> list[int]:
    """Lock those of the contacts that are there, in the order that keeps two jobs from waiting for each other."""
    rows = await database.fetch(
        "SELECT id FROM contacts WHERE user_id = $1 AND id = ANY($2::bigint[]) AND deleted_at IS NULL"
        " ORDER BY id FOR UPDATE",
        user_id,
        contact_ids,
    )
    return [row["id"] for row in rows]


async def _delete(user_id: int, change: Change, contact_ids: Sequence[int]) -> int:
    return await delete_rows(user_id, change.deletion_id or 0, await _lock(user_id, contact_ids))


async def _label(user_id: int, change: Change, contact_ids: Sequence[int]) -> int:
    # A label that was deleted since the job was asked for is put on nobody.
    present = set(await hold_labels(user_id, change.add))
    return await database.execute(
        _LABEL,
        database.encode_json([label for label in dict.fromkeys(change.add) if label in present]),
        database.encode_json(change.remove),
        user_id,
        await _lock(user_id, contact_ids),
    )


async def _block(user_id: int, change: Change, contact_ids: Sequence[int]) -> int:
    return len(await block_listed(user_id, await _lock(user_id, contact_ids), change.reason))


async def _unblock(user_id: int, change: Change, contact_ids: Sequence[int]) -> int:
    del change
    return len(await unblock_listed(user_id, await _lock(user_id, contact_ids)))


_APPLY: Mapping[Action, Callable[[int, Change, Sequence[int]], Awaitable[int]]] = {
    "delete": _delete,
    "label": _label,
    "block": _block,
    "unblock": _unblock,
}
_LINES: Mapping[Action, str] = {
    "delete": "contact.many_deleted",
    "label": "contact.many_labeled",
    "block": "contact.many_blocked",
    "unblock": "contact.many_unblocked",
}


async def _tell(user_id: int, change: Change, affected: int) -> None:
    if affected:
        facts = {name: value for name, value in msgspec.to_builtins(change).items() if name != "action"}
        await audit.record(_LINES[change.action], user_id=user_id, facts={"count": affected, **facts})
