"""People who write that they want no more messages: blocked with the delivery of their word, in every form known.

An address that hides the phone number is suppressed as it is, and looked up; what cannot be found out is told to the
tenant. The confirmation, where a tenant wants one, is sent at most once and is the last thing that is sent. What is
written in a group is no wish of the group.
"""

from collections.abc import Collection, Mapping, Sequence

import msgspec
import structlog

from core import database
from core.announcing import emit
from core.audit import services as audit
from core.contacts.contact_events import record_events
from core.contacts.identities import is_group_address
from core.contacts.opt_out_settings import OptOut, opt_out_of
from core.contacts.opt_out_words import asks_to_opt_out
from core.contacts.suppressions import Person, find_person, is_suppressed, suppress
from core.events.catalogue import ContactOptedOut
from core.jobs.services import JobContext, JobFailedError, create_job, job_handler
from core.numbers.senders import SenderRoute, load_route
from core.numbers.texting import send_text
from core.plugin import AddressLookup, IdentityEvent, MessageInEvent, ProviderError
from core.texts import text
from core.webhooks.handlers import StoredEvent, event_handler

RESOLVE = "contacts.resolve_opt_out"
CONFIRM = "contacts.confirm_opt_out"

_log = structlog.get_logger(__name__)


class _Writer(msgspec.Struct, frozen=True):
    """Whoever wrote to a number."""

    user_id: int
    number_id: int
    address: str
    phone: str


@event_handler("message_in")
async def apply_opt_outs(batch: Sequence[StoredEvent]) -> Collection[int]:
    """Suppress everybody whose message is an opt-out word of the tenant they wrote to."""
    owners = await _owners(batch)
    wishes: dict[int, OptOut] = {}
    for stored in batch:
        event, user_id = stored.event, owners.get(stored.number_id)
        if not isinstance(event, MessageInEvent) or user_id is None:
            continue
        if user_id not in wishes:
            wishes[user_id] = await opt_out_of(user_id)
        if asks_to_opt_out(event.text, wishes[user_id].words):
            writer = _Writer(user_id, stored.number_id, event.address, event.phone)
            if not await _is_group(writer):
                await _opt_out(writer, event.text, wishes[user_id])
    return [stored.id for stored in batch]


@event_handler("identity")
async def apply_identities(batch: Sequence[StoredEvent]) -> Collection[int]:
    """Suppress the phone that turns out to stand behind a suppressed address, and the other way round."""
    owners = await _owners(batch)
    for stored in batch:
        event, user_id = stored.event, owners.get(stored.number_id)
        if not isinstance(event, IdentityEvent) or user_id is None:
            continue
        forms = (event.address, event.phone)
        if await is_suppressed(user_id, forms):
            await suppress(user_id, await find_person(user_id, forms))
    return [stored.id for stored in batch]


async def _owners(batch: Sequence[StoredEvent]) -> Mapping[int, int]:
    """Return the tenant of each number: an event may only touch the rows of its own number's tenant."""
    rows = await database.fetch(
        "SELECT id, user_id FROM numbers WHERE id = ANY($1::bigint[])", sorted({stored.number_id for stored in batch})
    )
    return {row["id"]: row["user_id"] for row in rows}


async def _is_group(writer: _Writer) -> bool:
    """Whether a message came by the address of a group, which one member must not take the messages from."""
    if writer.phone:
        return False
    return is_group_address(writer.address) or bool(
        await database.fetch_value(
            "SELECT EXISTS (SELECT FROM contact_addresses a JOIN contacts c ON c.id = a.contact_id"
            " WHERE a.address = $2 AND c.user_id = $1 AND c.type = 2)",
            writer.user_id,
            writer.address,
        )
    )


async def _opt_out(writer: _Writer, written: str, wishes: OptOut) -> None:
    person = await find_person(writer.user_id, (writer.phone, writer.address))
    fresh = await suppress(writer.user_id, person)
    if not fresh:
        return
    await record_events(
        writer.user_id, person.contact_ids, "opted_out", source="word", reason=written, number_id=writer.number_id
    )
    await audit.record(
        "contact.opted_out", user_id=writer.user_id, facts={"contacts": person.contact_ids, "number": writer.number_id}
    )
    await emit(writer.user_id, await _told(writer, person))
    if not writer.phone and not person.contact_ids:
        await create_job(
            RESOLVE,
            user_id=writer.user_id,
            subject_id=writer.number_id,
            params={"address": writer.address},
            cancelable=False,
        )
    if wishes.confirmation:
        await create_job(
            CONFIRM,
            user_id=writer.user_id,
            subject_id=writer.number_id,
            params={"address": writer.address, "text": wishes.confirmation},
            cancelable=False,
        )


async def _told(writer: _Writer, person: Person) -> ContactOptedOut:
    contact_id = min(person.contact_ids, default=None)
    known = await database.fetch_value("SELECT number FROM contacts WHERE id = $1", contact_id)
    return ContactOptedOut(contact_id=contact_id, number=writer.phone or str(known or writer.address), source="word")


@job_handler(RESOLVE)
async def resolve_opt_out(context: JobContext) -> None:
    """Ask the service who is behind an address that opted out, and suppress that person's number too.

    Where the service does not know people by numbers, nobody is hidden: the address is all that there is.
    """
    user_id, address = context.user_id, str(context.params["address"])
    if user_id is None:
        raise JobFailedError(text("job_without_row", id=context.id))
    route = await load_route(context.subject_id)
    phone = await _phone_behind(route, address)
    person = await find_person(user_id, (phone, address))
    await suppress(user_id, person)
    if person.contact_ids or phone or not _hides_numbers(route):
        return
    _log.error("opt_out_unresolved", user_id=user_id, number_id=context.subject_id)
    await audit.record("contact.opt_out_unresolved", user_id=user_id, facts={"number": context.subject_id})
    raise JobFailedError(text("opt_out_unresolved", address=address))


def _hides_numbers(route: SenderRoute) -> bool:
    return isinstance(route.provider, AddressLookup) or route.sender.capabilities.number_check != "none"


async def _phone_behind(route: SenderRoute, address: str) -> str:
    if not isinstance(route.provider, AddressLookup):
        return ""
    try:
        return await route.provider.find_phone(route.sender, address)
    except ProviderError:
        # Asked again by the job's own retries, unless that was the last of them: then nobody knows.
        _log.warning("opt_out_lookup_failed", number_id=route.sender.number_id, exc_info=True)
        raise


@job_handler(CONFIRM)
async def confirm_opt_out(context: JobContext) -> Mapping[str, str]:
    """Send the tenant's confirmation, at most once: what a killed worker may have sent is not sent again."""
    if context.state.get("begun"):
        return {"outcome": "unknown"}
    async with database.unit_of_work():
        await context.checkpoint({"begun": True})
    route = await load_route(context.subject_id)
    outcome = await send_text(route, str(context.params["address"]), str(context.params["text"]))
    return {"outcome": type(outcome).__name__.lower()}
