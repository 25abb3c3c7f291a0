"""A campaign on a virtual clock: the lanes in the order of their moments, each asking the same ``decide``.

Recipients are counts for each time zone and step, never objects, so that a large audience costs its messages alone.
Pure: it reads no clock and no database, and runs in a thread.
"""

import heapq
import random
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

import msgspec

from core.campaigns.pacing import (
    NumberState,
    RecipientHistory,
    SendNow,
    Wait,
    closed_zones,
    day_cap,
    decide,
    share_of_room,
    typing_seconds,
)
from core.campaigns.turns import CampaignTurn, HeldLane

HORIZON = timedelta(days=366)
"""What is not sent within this time is not planned."""
UNPACED_BATCH = 100
"""Messages that a number without pauses sends in a second."""
MERGED = timedelta(seconds=60)
"""Rows that become due within this time of each other are counted together."""

Key = tuple[str, int]
"""A recipient's time zone, ``""`` where none counts, and the position of the message."""


class Waiting(msgspec.Struct, frozen=True, order=True):
    """So many messages that become due together; ``number_id`` is set where only that number may send them."""

    due_at: datetime
    count: int
    zone: str = ""
    position: int = 1
    number_id: int | None = None


class StepPlan(msgspec.Struct, frozen=True):
    """What the simulation needs of one message: seconds after the one before, and about how long its text is."""

    delay: float
    length: int


class Day(msgspec.Struct):
    """What one number sends on one calendar day of the tenant's zone."""

    messages: int
    begins_at: datetime
    ends_at: datetime


class Outcome(msgspec.Struct):
    """What a simulation gave."""

    days: dict[tuple[int, date], Day] = {}
    reasons: dict[int, Counter[str]] = {}
    """Number to reason to the seconds it was waited for."""
    unplanned: int = 0


class _Batch(msgspec.Struct):
    due_at: datetime
    count: int


class Pool:
    """Messages waiting, by zone and position."""

    def __init__(self) -> None:
        self._queues: dict[Key, deque[_Batch]] = {}
        self._left: Counter[Key] = Counter()

    def add(self, key: Key, due_at: datetime, count: int) -> None:
        """Put messages behind those of their kind."""
        queue = self._queues.setdefault(key, deque())
        if queue and due_at - queue[-1].due_at < MERGED:
            queue[-1].count += count
        else:
            queue.append(_Batch(due_at, count))
        self._left[key] += count

    def pick(self, now: datetime, closed: Mapping[str, datetime], rng: random.Random) -> Key | None:
        """Choose what is sent next: a kind that is due where it is open, the larger ones more often."""
        due = [key for key, queue in self._queues.items() if queue and key[0] not in closed and queue[0].due_at <= now]
        if len(due) < 2:  # noqa: PLR2004 - nothing to choose between
            return due[0] if due else None
        return rng.choices(due, [self._left[key] for key in due])[0]

    def take(self, key: Key, most: int) -> int:
        """Take up to ``most`` messages of one kind."""
        entry = self._queues[key][0]
        taken = min(most, entry.count)
        entry.count -= taken
        if not entry.count:
            self._queues[key].popleft()
        self._left[key] -= taken
        return taken

    def next_at(self, now: datetime, closed: Mapping[str, datetime]) -> datetime | None:
        """Return when something may be sent."""
        moments = [max(q[0].due_at, closed.get(key[0], now)) for key, q in self._queues.items() if q]
        return min(moments, default=None)

    @property
    def left(self) -> int:
        """How many wait."""
        return self._left.total()


class Simulation:
    """One campaign's way through its rows, on the lanes it has."""

    def __init__(
        self, held: Sequence[HeldLane], steps: Sequence[StepPlan], typing: frozenset[int], rng: random.Random
    ) -> None:
        self._lanes = {lane.number_id: lane for lane in held}
        self._turns: dict[int, CampaignTurn] = {lane.number_id: lane.campaigns[0] for lane in held}
        self._steps = steps
        self._typing = typing
        self._rng = rng
        self._shared = Pool()
        self._own = {number_id: Pool() for number_id in self._lanes}
        self._typed: dict[int, bool] = {}
        self._weighed: dict[int, date] = {}
        self._closed: tuple[int, dict[str, datetime]] = (-1, {})
        self._outcome = Outcome(reasons={number_id: Counter() for number_id in self._lanes})

    def run(self, begin: datetime, rows: Sequence[Waiting]) -> Outcome:
        """Send ``rows`` and the steps after them from ``begin`` on."""
        for row in sorted(rows):
            pool = self._shared if row.number_id is None else self._own.get(row.number_id, self._shared)
            pool.add((row.zone, row.position), max(row.due_at, begin), row.count)
        events = [(begin, number_id) for number_id in sorted(self._lanes)]
        while events:
            now, number_id = heapq.heappop(events)
            following = self._turn(now, number_id) if now < begin + HORIZON else None
            if following is not None:
                heapq.heappush(events, (following, number_id))
        self._outcome.unplanned = self._shared.left + sum(pool.left for pool in self._own.values())
        return self._outcome

    def _turn(self, now: datetime, number_id: int) -> datetime | None:
        """Let one number act; return when it acts again, ``None`` once it has nothing more to do."""
        lane, turn = self._lanes[number_id], self._turns[number_id]
        self._weigh(now, lane, turn)
        closed = self._closed_at(now, turn)
        for pool in (self._own[number_id], self._shared):
            key = pool.pick(now, closed, self._rng)
            if key is not None:
                return self._ask(now, lane, pool, key)
        moments = [pool.next_at(now, closed) for pool in (self._own[number_id], self._shared)]
        following = min((moment for moment in moments if moment is not None), default=None)
        if following is None:
            return None
        reason = "outside_window" if following in closed.values() else "waiting_for_delay"
        return self._wait(number_id, now, max(following, now + timedelta(seconds=1)), reason)

    def _ask(self, now: datetime, lane: HeldLane, pool: Pool, key: Key) -> datetime | None:
        turn, number_id = self._turns[lane.number_id], lane.number_id
        person = RecipientHistory(zone=key[0] or None, knows_number=pool is not self._shared)
        decision = decide(now, lane.number, turn.state, lane.history(turn, now), self._rng, person)
        if isinstance(decision, Wait):
            return self._wait(number_id, now, decision.until, decision.reason)
        if not isinstance(decision, SendNow):
            self._outcome.reasons[number_id][decision.reason] += 0
            # A number that stopped leaves the shared rows to the others.
            return None
        if number_id in self._typing and not self._typed.get(number_id):
            self._typed[number_id] = True
            seconds = typing_seconds("x" * self._steps[key[1] - 1].length, self._rng)
            return self._wait(number_id, now, now + timedelta(seconds=seconds), "typing")
        self._typed[number_id] = False
        self._send(now, lane, pool, key, decision)
        if not turn.state.pacing.paced:
            return now + timedelta(seconds=1)
        lane.next_at = now + timedelta(seconds=decision.pause)
        lane.burst = 0 if decision.rest else lane.burst + 1
        return self._wait(number_id, now, lane.next_at, "rest" if decision.rest else "pause")

    def _send(self, now: datetime, lane: HeldLane, pool: Pool, key: Key, decision: SendNow) -> None:
        turn = self._turns[lane.number_id]
        sent = pool.take(key, min(UNPACED_BATCH, decision.room))
        for cap in lane.caps(turn, now):
            name = (cap.scope, cap.scope_id, cap.period)
            lane.used[name] = lane.used.get(name, 0) + sent
        zone, position = key
        if position < len(self._steps):
            due_at = now + timedelta(seconds=self._steps[position].delay)
            self._own[lane.number_id].add((zone, position + 1), due_at, sent)
        day = (lane.number_id, now.astimezone(turn.state.zone).date())
        known = self._outcome.days.setdefault(day, Day(0, now, now))
        known.messages += sent
        known.ends_at = now

    def _wait(self, number_id: int, now: datetime, until: datetime, reason: str) -> datetime:
        self._outcome.reasons[number_id][reason] += round((until - now).total_seconds())
        return until

    def _weigh(self, now: datetime, lane: HeldLane, turn: CampaignTurn) -> None:
        """Share the work by the room of the numbers' day, which grows with their warm-up."""
        today = now.astimezone(turn.state.zone).date()
        if self._weighed.get(lane.number_id) == today:
            return
        self._weighed[lane.number_id] = today
        able: Mapping[int, NumberState] = {
            number_id: other.number for number_id, other in self._lanes.items() if other.number.active
        }
        rooms = {number_id: day_cap(now, state, turn.state.pacing) for number_id, state in able.items()}
        turn.state = msgspec.structs.replace(turn.state, weight=share_of_room(rooms, lane.number_id))

    def _closed_at(self, now: datetime, turn: CampaignTurn) -> dict[str, datetime]:
        """Return the zones in which nothing may be sent; windows begin and end on full minutes."""
        if not turn.state.pacing.by_recipient_zone:
            return {}
        minute = int(now.timestamp() // 60)
        if self._closed[0] != minute:
            self._closed = (minute, closed_zones(now, turn.state))
        return self._closed[1]
