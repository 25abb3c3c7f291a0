"""Outcomes on their way to the database: gathered for a few milliseconds, written in one statement."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import asyncpg
import msgspec
import structlog

from core.campaigns import lanes
from core.campaigns.breakers import ServerBreakers, back_off
from core.campaigns.claims import Cap, Claimed
from core.campaigns.outcomes import Settled
from core.campaigns.transitions import apply
from core.campaigns.turns import CampaignTurn, HeldLane
from core.clock import Clock
from core.numbers import senders
from core.plugin import SenderStopped

FLUSH_ROWS = 32
FLUSH_SECONDS = 0.004
RETRY_SECONDS = 0.5
DATABASE_AWAY = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,
    asyncpg.TransactionRollbackError,
)
RESTRICTED_FOR = timedelta(hours=24)
"""How long people never written to are spared when the service does not say until when."""

_log = structlog.get_logger(__name__)


class Result(msgspec.Struct, frozen=True):
    """One finished attempt."""

    lane: HeldLane
    turn: CampaignTurn
    row: Claimed
    settled: Settled
    caps: tuple[Cap, ...]


class Recorder:
    """Writes results in batches, one batch at a time, until told to stop; keeps them while the database is away."""

    def __init__(self, clock: Clock, shard: int, breakers: ServerBreakers, on_recorded: Callable[[], None]) -> None:
        self._clock = clock
        self._breakers = breakers
        self._shard = shard
        self._on_recorded = on_recorded
        self._waiting: list[Result] = []
        self._unwritten = 0
        self._arrived = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._ending = False

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._run())

    @property
    def idle(self) -> bool:
        """Whether every result is written."""
        return self._unwritten == 0

    def add(self, result: Result) -> None:
        """Take one result."""
        self._unwritten += 1
        self._waiting.append(result)
        self._arrived.set()

    async def stop(self) -> None:
        """Write what is left, then end."""
        self._ending = True
        self._arrived.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while self._waiting or not self._ending:
            await self._arrived.wait()
            if len(self._waiting) < FLUSH_ROWS and not self._ending:
                await self._clock.pause(FLUSH_SECONDS)
            self._arrived.clear()
            batch, self._waiting = self._waiting, []
            if batch:
                await self._flush(batch)

    async def _flush(self, batch: list[Result]) -> None:
        """Write a batch, however long the database is away; a row that cannot be written is let go alone."""
        while True:
            try:
                await self._write(batch)
            except DATABASE_AWAY:
                _log.exception("record_failed", rows=len(batch))
                await asyncio.sleep(RETRY_SECONDS)
                continue
            except Exception:  # noqa: BLE001 - whatever one row holds, the others are written
                _log.exception("record_refused", rows=len(batch), recipient_id=batch[0].row.id)
                if len(batch) > 1:
                    for result in batch:
                        await self._flush([result])
                    return
                # Its lease ends, and it becomes unknown, which is the truth.
            break
        for result in batch:
            result.lane.in_flight -= 1
        self._unwritten -= len(batch)
        self._on_recorded()

    async def _write(self, batch: list[Result]) -> None:
        given_back = [
            (result.row.id, cap) for result in batch if result.settled.certain_non_send for cap in result.caps
        ]
        steps = any(len(result.turn.steps) > 1 for result in batch)
        transitions = [result.settled.transition for result in batch]
        changed = await apply(self._clock.now(), transitions, shard=self._shard, given_back=given_back, steps=steps)
        self._reopen(batch, {row.id: row.next_due_at for row in changed if row.next_due_at is not None})
        await self._tell_lanes(batch)

    def _reopen(self, batch: list[Result], next_due: dict[int, datetime]) -> None:
        """Tell the turns of lanes still held about the next step or the next try that a record made due."""
        for result in batch:
            due_at = next_due.get(result.row.id) or result.settled.transition.due_at
            if due_at is not None:
                for turn in result.lane.campaigns:
                    if turn.id == result.row.campaign_id:
                        turn.reopen(due_at)

    async def _tell_lanes(self, batch: list[Result]) -> None:
        """Open or close the breakers of the lanes and servers concerned, and stop numbers that cannot send."""
        now = self._clock.now()
        faults: dict[int, tuple[HeldLane, float]] = {}
        stopped: dict[int, tuple[HeldLane, SenderStopped]] = {}
        for result in batch:
            lane, settled = result.lane, result.settled
            if settled.stopped is not None:
                stopped[lane.number_id] = (lane, settled.stopped)
            elif settled.fault == "server":
                await self._breakers.fault(now, lane.server_id, settled.pause_seconds, settled.transition.code)
            elif settled.fault == "lost_answer":
                await self._breakers.lost_answer(now, lane.server_id)
            elif settled.fault == "sender":
                faults[lane.number_id] = (lane, settled.pause_seconds)
            else:
                await self._working(now, lane)
        for lane, pause_seconds in faults.values():
            until = now + timedelta(seconds=pause_seconds or back_off(lane.failures))
            lane.failures += 1
            lane.number = msgspec.structs.replace(lane.number, open_until=until)
            await lanes.open_breaker(lane.number_id, until)
        for number_id, (lane, outcome) in stopped.items():
            if outcome.scope == "new_contacts":
                until = outcome.until or now + RESTRICTED_FOR
                lane.number = msgspec.structs.replace(lane.number, restricted_until=until)
            else:
                lane.number = msgspec.structs.replace(lane.number, connected=False)
            await senders.mark_stopped(number_id, outcome.code, until=outcome.until, scope=outcome.scope)

    async def _working(self, now: datetime, lane: HeldLane) -> None:
        """The service answered about a message as it should, whatever it said of the recipient."""
        await self._breakers.works(now, lane.server_id)
        if lane.failures:
            lane.failures = 0
            await lanes.close_breaker(lane.number_id)
