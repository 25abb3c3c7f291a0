"""Uncertain is honest: rows whose outcome never came are looked up by id, and otherwise shown to a person."""

import asyncio
from datetime import datetime, timedelta

import msgspec
import structlog

from core import database
from core.campaigns import lanes, turns
from core.campaigns.outcomes import ACKNOWLEDGEMENT_TIMER, ID_LENGTH, storable
from core.campaigns.sending import build_message
from core.campaigns.tables import MessageType, RecipientState
from core.campaigns.transitions import Transition, apply, mask
from core.clock import Clock, synced_clock
from core.media.delivery import described
from core.numbers import senders
from core.numbers.senders import SenderRoute
from core.plugin import Absent, CannotTell, Capabilities, Finding, Found, MessageStatus

BATCH = 100
AT_ONCE = 16
"""Look-ups on their way; one server that does not answer must not hold up the others' rows."""
LOOK_EVERY = timedelta(minutes=5)
GIVE_UP_AFTER = timedelta(hours=1)
"""Past this age a row that cannot be looked up waits for a person."""
WATCHED = mask(RecipientState.UNKNOWN, RecipientState.ACCEPTED)
SHARD = 18

_log = structlog.get_logger(__name__)


class Doubt(msgspec.Struct, frozen=True, kw_only=True):
    """A row to look up, with its latest attempt."""

    id: int
    campaign_id: int
    message_id: int
    contact_id: int
    attempt: int
    requeues: int
    state: RecipientState
    number_id: int
    address: str
    client_id: str
    provider_id: str | None
    claimed_at: datetime
    moved: bool
    """Its number is on another server since, which never had the message."""

    @property
    def answered_ids(self) -> list[str]:
        """The ids that the service itself named: our own is written down with the claim, before any answer."""
        answered = self.state in {RecipientState.ACCEPTED, RecipientState.SENT} or self.provider_id != self.client_id
        return [self.provider_id] if self.provider_id and answered else []


async def expire_leases(now: datetime, grace_seconds: float = 60.0) -> int:
    """Turn rows whose lease ended into *unknown*, to be looked up after their provider's grace; return how many."""
    rows = await database.fetch(
        "SELECT m.id, m.attempt, m.number_id, m.lease_until FROM message_by_contacts m"
        " WHERE m.state = 'leased' AND m.lease_until < $1 ORDER BY m.lease_until LIMIT 500",
        now,
    )
    if not rows:
        return 0
    routes = await senders.senders(sorted({row["number_id"] for row in rows}))
    transitions = []
    for row in rows:
        route = routes.get(row["number_id"])
        grace = route.provider.unknown_grace_seconds if route is not None else grace_seconds
        transitions.append(
            Transition(
                id=row["id"],
                attempt=row["attempt"],
                allowed=mask(RecipientState.LEASED),
                state=RecipientState.UNKNOWN,
                reason="lease_expired",
                code="lease_expired",
                outcome="unknown",
                look_at=row["lease_until"] + timedelta(seconds=grace),
            )
        )
    return len(await apply(now, transitions, shard=SHARD))


async def reconcile_due() -> int:
    """Look up a batch of rows that are due for it; return how many there were."""
    clock = await synced_clock()
    doubts = await _take(clock.now())
    routes = await senders.senders(sorted({doubt.number_id for doubt in doubts}))
    at_once = asyncio.Semaphore(AT_ONCE)

    async def look_up(doubt: Doubt) -> None:
        async with at_once:
            await _look_up(doubt, routes.get(doubt.number_id), clock)

    await asyncio.gather(*(look_up(doubt) for doubt in doubts))
    return len(doubts)


async def _look_up(doubt: Doubt, route: SenderRoute | None, clock: Clock) -> None:
    finding = CannotTell("number_gone") if route is None else await ask(doubt, route)
    transition = judge(doubt, finding, clock.now(), route.sender.capabilities if route else Capabilities())
    changed = await apply(clock.now(), [transition], shard=SHARD)
    due = [(row.number_id, row.next_due_at) for row in changed if row.number_id and row.next_due_at]
    if changed and transition.due_at is not None:
        due.append((doubt.number_id, transition.due_at))
    await lanes.wake_numbers(due)


async def _take(now: datetime) -> list[Doubt]:
    """Pick due rows and move their look-up on, so that no other process asks at the same time."""
    rows = await database.fetch(
        "WITH due AS (SELECT id FROM message_by_contacts WHERE state IN ('unknown', 'accepted') AND lease_until < $1"
        "  ORDER BY lease_until LIMIT $2 FOR UPDATE SKIP LOCKED),"
        " moved AS (UPDATE message_by_contacts m SET lease_until = $3 FROM due WHERE m.id = due.id RETURNING m.*)"
        " SELECT m.id, m.campaign_id, m.message_id, m.contact_id, m.attempt, m.requeues, m.state, a.number_id,"
        "  coalesce(m.provider_address, m.address) AS address, a.client_id, a.provider_id, a.claimed_at,"
        "  coalesce(n.moved_at > a.claimed_at, false) AS moved"
        " FROM moved m JOIN message_attempts a ON a.recipient_id = m.id AND a.attempt = m.attempt"
        " LEFT JOIN numbers n ON n.id = a.number_id",
        now,
        BATCH,
        now + LOOK_EVERY,
    )
    return [msgspec.convert(dict(row), Doubt) for row in rows]


async def ask(doubt: Doubt, route: SenderRoute) -> Finding:
    """Have the service look a row's latest attempt up; nothing a plugin raises escapes."""
    steps = await turns.load_steps(doubt.campaign_id)
    step = steps.get(doubt.message_id)
    if step is None:
        return CannotTell("message_gone")
    stored = await database.fetch_value("SELECT variables FROM message_by_contacts WHERE id = $1", doubt.id)
    variables = msgspec.json.decode(stored, type=dict[str, str]) if isinstance(stored, str) else {}
    media = None if step.type_message is MessageType.TEXT else await described(step.id, step.media_path)
    message = build_message(step, doubt.contact_id, variables, doubt.address, media)
    try:
        prepared = route.provider.prepare(message, route.sender, doubt.client_id)
        prepared = msgspec.structs.replace(prepared, attempted_at=doubt.claimed_at)
        return await route.provider.reconcile(prepared, route.sender, doubt.answered_ids)
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        _log.exception("reconcile_raised", provider=route.provider.name, recipient_id=doubt.id)
        return CannotTell(f"exception_{type(error).__name__}"[:60])


def judge(doubt: Doubt, finding: Finding, now: datetime, capabilities: Capabilities) -> Transition:
    """Say what a row becomes by what was found; pure.

    ``Absent`` requeues a row by itself once, and only where the service sends under our id and looks up by it.
    """
    may_requeue = capabilities.client_message_id and capabilities.lookup_by_id
    match finding:
        case Found():
            return _found(doubt, finding, now, receipts=capabilities.receipts != "none")
        case Absent() if doubt.moved:
            return _stay(doubt, "number_moved", None)
        case Absent() if doubt.state is RecipientState.UNKNOWN and may_requeue and doubt.requeues == 0:
            return Transition(
                id=doubt.id,
                attempt=doubt.attempt,
                allowed=mask(RecipientState.UNKNOWN),
                state=RecipientState.PENDING,
                reason="absent",
                due_at=now,
                requeued=1,
            )
        case CannotTell() if now - doubt.claimed_at < GIVE_UP_AFTER:
            return _stay(doubt, finding.code, now + LOOK_EVERY)
        case CannotTell():
            return _stay(doubt, finding.code, None)
        case _:
            return _stay(doubt, "absent", None)


def _found(doubt: Doubt, finding: Found, now: datetime, *, receipts: bool) -> Transition:
    provider_id = storable(finding.ids[0], ID_LENGTH) if finding.ids else None
    if finding.status is MessageStatus.FAILED:
        return _settle(doubt, RecipientState.FAILED, reason="failed_by_network")
    if finding.status is MessageStatus.ACCEPTED and receipts:
        if doubt.state is RecipientState.ACCEPTED:
            return _stay(doubt, "no_acknowledgement", None)
        return Transition(
            id=doubt.id,
            attempt=doubt.attempt,
            allowed=WATCHED,
            state=RecipientState.ACCEPTED,
            provider_id=provider_id,
            accepted_at=now,
            look_at=now + ACKNOWLEDGEMENT_TIMER,
            outcome="accepted",
        )
    delivered = finding.status in {MessageStatus.DELIVERED, MessageStatus.READ}
    return Transition(
        id=doubt.id,
        attempt=doubt.attempt,
        allowed=WATCHED,
        state=RecipientState.SENT,
        provider_id=provider_id,
        outcome="accepted",
        accepted_at=now,
        sent_at=now,
        delivered_at=now if delivered else None,
        read_at=now if finding.status is MessageStatus.READ else None,
    )


def _settle(doubt: Doubt, state: RecipientState, *, reason: str) -> Transition:
    return Transition(id=doubt.id, attempt=doubt.attempt, allowed=WATCHED, state=state, reason=reason)


def _stay(doubt: Doubt, reason: str, look_at: datetime | None) -> Transition:
    """Keep a row in doubt; without another look-up it needs a person's attention."""
    state = doubt.state if look_at is not None else RecipientState.UNKNOWN
    return Transition(
        id=doubt.id, attempt=doubt.attempt, allowed=WATCHED, state=state, reason=storable(reason), look_at=look_at
    )
