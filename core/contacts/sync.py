"""Syncing contacts: a job that takes a number's address book and chats down, then stores them batch by batch.

The listing is kept in ``contact_sync_entries`` until all of it is stored, because a service cannot be asked to go on
in the middle and may give another order the next time: a job that is cut off lists anew if the listing was not
complete, and else goes on behind its last batch, so that everybody is stored and counted once.
"""

import asyncio
import time
import unicodedata
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import msgspec

from core import database
from core.audit import services as audit
from core.contacts.identities import number_forms
from core.contacts.importing.rows import MAXIMUM_NAME
from core.contacts.labels import ensure_label_names, ensure_labels
from core.contacts.schemas import Address, SyncCreate
from core.contacts.sync_storing import SyncEntry, SyncPlan, store_batch
from core.errors import ConflictError, InvalidInputError, PlanLimitError, PlatformError
from core.jobs.schemas import JobRead
from core.jobs.services import (
    JobCanceledError,
    JobContext,
    JobFailedError,
    create_job,
    get_job,
    job_handler,
    latest_job,
)
from core.jobs.tables import JobStatus
from core.numbers import services as numbers
from core.numbers.senders import SenderRoute, load_route
from core.plans import services as plans
from core.plugin import ContactListing, ListedContact, MisconfiguredError, ProviderError, RefusedError
from core.texts import localize, negotiate, text

KIND = "contacts.sync"
BATCH = 500
LISTING_SECONDS = 600.0
"""How long a service may take for one part of its listing; the plugin's own limits are shorter, one by one."""
WAIT_SECONDS = 2.0
"""How soon a cancel is noticed while a service takes its time."""
AT_WORK = (JobStatus.WAITING, JobStatus.RUNNING)

_STAGE = """
INSERT INTO contact_sync_entries AS e (job_id, address, phone, name, is_group)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::bool[])
ON CONFLICT (job_id, address) DO UPDATE SET
    name = CASE WHEN e.name = '' THEN excluded.name ELSE e.name END,
    phone = CASE WHEN e.phone = '' THEN excluded.phone ELSE e.phone END
"""


class Wishes(msgspec.Struct, frozen=True):
    """The parameters of the job."""

    people: bool
    groups: bool
    label_id: int | None


class Checkpoint(msgspec.Struct):
    """How far a sync came; the counts add up to ``listed`` once everything is stored."""

    listed: int = 0
    complete: bool = False
    """The whole listing is kept; before that, a successor begins anew."""
    provider: str = ""
    """Whose addresses these are."""
    total: int = 0
    last_id: int = 0
    stored: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: dict[str, int] = {}
    limit: int = 0
    """The plan's, of contacts, as it was last seen."""


async def request_sync(user_id: int, number_id: int, wanted: SyncCreate) -> JobRead:
    """Have the contacts of a number synced in the background.

    Raises:
        NotFoundError: The tenant has no such number.
        ConflictError: It is not connected, its service lists no contacts, or a sync of it is at work.
        PlanLimitError: The account's access has ended.
        InvalidInputError: There is no such label.
        ProviderFailedError: Its plugin is not enabled.
    """
    await _listing_of(user_id, number_id, people=wanted.people)
    async with database.unit_of_work():
        # The user's row orders two requests at once.
        if not (await plans.limits_of(user_id, lock=True)).has_access:
            raise PlanLimitError("The paid time of this account has ended.", code="access_ended")
        present = await latest_job(user_id, KIND, number_id, statuses=AT_WORK)
        if present is not None:
            raise ConflictError(
                f"Job {present.id} is syncing the contacts of this number already.", code="sync_running", id=present.id
            )
        wishes = Wishes(wanted.people, wanted.groups, await _label(user_id, wanted))
        job_id = await create_job(KIND, user_id=user_id, subject_id=number_id, params=msgspec.to_builtins(wishes))
        facts = {"number_id": number_id, "people": wanted.people, "groups": wanted.groups}
        await audit.record("contact.sync_asked", user_id=user_id, facts=facts)
        return await get_job(user_id, job_id)


@job_handler(KIND)
async def sync_contacts(context: JobContext) -> Mapping[str, Any]:
    """Store the contacts that the number ``context.subject_id`` lists; the result counts what became of them."""
    try:
        return await _sync(context)
    except (JobCanceledError, JobFailedError, PlatformError):
        await _forget(context)
        raise


async def clean_up() -> int:
    """Delete listings whose job ended elsewhere than in its handler; return how many rows that were."""
    return await database.execute(
        "DELETE FROM contact_sync_entries e WHERE NOT EXISTS"
        " (SELECT FROM jobs j WHERE j.id = e.job_id AND j.status IN ('waiting', 'running'))"
    )


async def _sync(context: JobContext) -> Mapping[str, Any]:
    user_id = context.user_id
    if user_id is None:
        raise JobFailedError(text("job_without_row", id=context.id))
    wishes = msgspec.convert(context.params, Wishes)
    state = msgspec.convert(context.state, Checkpoint)
    if not state.complete:
        state = await _list(context, await _listing_of(user_id, context.subject_id, people=wishes.people), wishes)
    await _store(context, SyncPlan(user_id, context.subject_id, state.provider, wishes.label_id), state)
    return await _result(user_id, state)


async def _listing_of(user_id: int, number_id: int, *, people: bool) -> SenderRoute:
    """Return the way to a number that can list contacts now; raises as ``request_sync``."""
    number = await numbers.get_number(user_id, number_id)
    route = await load_route(number_id)
    offered = route.sender.capabilities
    if not isinstance(route.provider, ContactListing) or not (offered.contacts if people else offered.groups):
        raise ConflictError("The server of this number cannot list its contacts.", code="sync_unsupported")
    if not number.status_connection:
        raise ConflictError("The number is not connected: connect it first.", code="not_connected")
    return route


async def _label(user_id: int, wanted: SyncCreate) -> int | None:
    if wanted.label_name is not None:
        name = " ".join(wanted.label_name.split())
        if not name:
            raise InvalidInputError({"label_name": [text("required")]})
        return (await ensure_label_names(user_id, [name]))[name]
    if wanted.label_id is not None:
        await ensure_labels(user_id, [wanted.label_id], "label_id")
    return wanted.label_id


async def _list(context: JobContext, route: SenderRoute, wishes: Wishes) -> Checkpoint:
    """Keep everything the number lists, and return where the job stands then."""
    state = Checkpoint(provider=route.provider.name)
    own = await _own_forms(context.subject_id)
    await _forget(context)
    batch: list[SyncEntry] = []
    async with aclosing(_listed(context, route, state)) as listing:
        async for listed in listing:
            if not (wishes.groups if listed.group else wishes.people):
                continue
            state.listed += 1
            entry = _entry(listed)
            if entry is None:
                _skip(state, "unusable")
            elif own & {entry.address, *number_forms(entry.phone)}:
                _skip(state, "own_number")
            else:
                batch.append(entry)
            if len(batch) >= BATCH:
                await _stage(context, state, batch)
                batch = []
    state.complete = True
    await _stage(context, state, batch)
    return state


async def _stage(context: JobContext, state: Checkpoint, batch: Sequence[SyncEntry]) -> None:
    once: dict[str, SyncEntry] = {}
    for entry in batch:
        first = once.setdefault(entry.address, entry)
        first.name, first.phone = first.name or entry.name, first.phone or entry.phone
    entries = list(once.values())
    async with database.unit_of_work():
        await database.execute(
            _STAGE,
            context.id,
            [entry.address for entry in entries],
            [entry.phone for entry in entries],
            [entry.name for entry in entries],
            [entry.is_group for entry in entries],
        )
        if state.complete:
            kept = await database.fetch_value("SELECT count(*) FROM contact_sync_entries WHERE job_id = $1", context.id)
            state.total = int(str(kept))
            _skip(state, "repeated", state.listed - sum(state.skipped.values()) - state.total)
        await context.checkpoint(msgspec.to_builtins(state), done=0, total=state.total if state.complete else None)


async def _store(context: JobContext, plan: SyncPlan, state: Checkpoint) -> None:
    """Store what is listed and not stored yet."""
    while True:
        async with database.unit_of_work():
            rows = await database.fetch(
                "SELECT id, address, phone, name, is_group FROM contact_sync_entries WHERE job_id = $1 AND id > $2"
                " ORDER BY id LIMIT $3",
                context.id,
                state.last_id,
                BATCH,
            )
            if not rows:
                await _forget(context)
                return
            tally = await store_batch(plan, [msgspec.convert(row, SyncEntry) for row in rows])
            state.limit, state.last_id, state.stored = tally.limit, rows[-1]["id"], state.stored + len(rows)
            state.created += tally.created
            state.updated += tally.updated
            state.unchanged += tally.unchanged
            for reason, count in tally.skipped.items():
                _skip(state, reason, count)
            await context.checkpoint(msgspec.to_builtins(state), done=state.stored, total=state.total)


async def _listed(context: JobContext, route: SenderRoute, state: Checkpoint) -> AsyncGenerator[ListedContact, None]:
    """Yield what the number lists; however a service fails, the job says so and can be asked for again."""
    name = route.provider.name
    listed: asyncio.Queue[ListedContact | None] = asyncio.Queue()
    reading = asyncio.create_task(_read(route, listed))
    try:
        while (contact := await _next(context, state, listed)) is not None:
            yield contact
        await reading
    except RefusedError as error:
        raise JobFailedError(text("sync_refused", provider=name)) from error
    except MisconfiguredError as error:
        raise JobFailedError(text("sync_misconfigured", provider=name)) from error
    except (ProviderError, TimeoutError) as error:
        raise JobFailedError(text("sync_unavailable", provider=name)) from error
    finally:
        reading.cancel()
        await asyncio.wait((reading,))


async def _read(route: SenderRoute, listed: asyncio.Queue[ListedContact | None]) -> None:
    """Hand on what the plugin yields, all of it read in one task, and ``None`` behind the last, also on a failure."""
    try:
        if isinstance(route.provider, ContactListing):
            async for contact in route.provider.list_contacts(route.sender):
                listed.put_nowait(contact)
    finally:
        listed.put_nowait(None)


async def _next(
    context: JobContext, state: Checkpoint, listed: asyncio.Queue[ListedContact | None]
) -> ListedContact | None:
    """Wait for the next contact, and for the job's end meanwhile; ``TimeoutError`` when a plugin never answers."""
    until = time.monotonic() + LISTING_SECONDS
    while True:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                return await listed.get()
        except TimeoutError:
            if time.monotonic() > until:
                raise
            await context.checkpoint(msgspec.to_builtins(state))


def _entry(listed: ListedContact) -> SyncEntry | None:
    """Return a listed contact as it is kept; ``None`` when its address is none that could be sent to."""
    try:
        address = msgspec.convert(listed.address, Address)
    except msgspec.ValidationError:
        return None
    if not address.isprintable():
        return None
    phone = "" if listed.group or len(listed.phone) > len("123456789012345") else listed.phone
    return SyncEntry(address=address, phone=phone, name=_name(listed.name), is_group=listed.group)


def _name(written: str) -> str:
    """Return a name in one line, without what PostgreSQL cannot store or nobody can see."""
    seen = "".join(char for char in written if char.isspace() or unicodedata.category(char) not in {"Cc", "Cs"})
    return " ".join(seen.split())[:MAXIMUM_NAME]


def _skip(state: Checkpoint, reason: str, count: int = 1) -> None:
    if count:
        state.skipped = {**state.skipped, reason: state.skipped.get(reason, 0) + count}


async def _own_forms(number_id: int) -> frozenset[str]:
    row = await database.fetch_row("SELECT number, address FROM numbers WHERE id = $1", number_id)
    return frozenset() if row is None else frozenset({*number_forms(row["number"]), row["address"]} - {""})


async def _forget(context: JobContext) -> None:
    """Delete what a job has listed, unless another process does the job by now."""
    await database.execute(
        "WITH held AS (SELECT id FROM jobs WHERE id = $1 AND holder = $2 FOR UPDATE)"
        " DELETE FROM contact_sync_entries WHERE job_id IN (SELECT id FROM held)",
        context.id,
        context.holder,
    )


async def _result(user_id: int, state: Checkpoint) -> Mapping[str, Any]:
    locale = await database.fetch_value("SELECT locale FROM users WHERE id = $1", user_id)
    language = negotiate(str(locale))
    reasons = {
        "over_plan": text("row_plan", value=state.limit),
        "own_number": text("sync_own_number"),
        "repeated": text("sync_repeated"),
        "unusable": text("sync_unusable"),
    }
    return {
        "listed": state.listed,
        "created": state.created,
        "updated": state.updated,
        "unchanged": state.unchanged,
        "skipped": [
            {"reason": reason, "count": count, "text": localize(reasons[reason], language)}
            for reason, count in sorted(state.skipped.items())
        ],
    }
