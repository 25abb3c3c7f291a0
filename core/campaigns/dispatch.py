"""The dispatcher: holds lanes, claims as many messages as there are free slots, and keeps them in the air.

One runs in each worker process. It works all its lanes together, so that claims and records are batched over them,
and ends when nothing is due soon.
"""

import asyncio
import random
import secrets
from datetime import UTC, datetime, timedelta

import msgspec
import structlog

from core.campaigns import lanes, presence, turns
from core.campaigns.breakers import ServerBreakers
from core.campaigns.claims import Claimed, Want, claim
from core.campaigns.outcomes import Context, settle
from core.campaigns.pacing import typing_seconds
from core.campaigns.recording import Recorder, Result
from core.campaigns.sending import KINDS, LEASE_MARGIN, send
from core.campaigns.skipping import skip
from core.campaigns.turns import LONGEST_REACH, CampaignTurn, HeldLane, Typing
from core.campaigns.wants import build_want, choose, seeded
from core.clock import new_clock
from core.heartbeat import anybody_idle
from core.numbers import senders
from core.numbers.senders import SenderRoute
from core.plugin import Outcome, Retryable, Unknown
from core.runtime import runtime

LANE_LEASE = timedelta(seconds=15)
PATIENCE = timedelta(seconds=2)
"""How long a process leaves lanes that it gave away to whoever has nothing to do."""
EXTEND = timedelta(seconds=5)
REFRESH = timedelta(seconds=1)
HOLD = timedelta(seconds=60)
"""A lane that is due later than this is given back."""
KNOWN_AGAIN = timedelta(minutes=5)
"""How often a number restricted to people it knows looks for such whose time came; who writes is seen at once."""
TRY_AGAIN = timedelta(seconds=30)
"""After a failure that is ours or the plugin's."""
LOOK_AGAIN = timedelta(milliseconds=50)
LONG_AGO = datetime.min.replace(tzinfo=UTC)
MAX_LANES = 10_000
RUN_SECONDS = 600.0
"""A run ends after this long and is started again, so that no queue message lives for ever."""

_log = structlog.get_logger(__name__)


class Asked(msgspec.Struct, frozen=True):
    """A lane's want with what its messages need on their way."""

    lane: HeldLane
    turn: CampaignTurn
    route: SenderRoute
    want: Want


class Dispatcher:
    """One run over all lanes this process can get hold of."""

    def __init__(self, slots: int, stopping: asyncio.Event) -> None:
        self._slots = slots
        self._batch = max(1, slots // 4)
        """Free slots worth a claim while others are busy."""
        self._stopping = stopping
        self._clock = new_clock()
        self._holder = secrets.token_hex(12)
        self._lanes: dict[int, HeldLane] = {}
        self._in_flight: set[asyncio.Task[None]] = set()
        self._shown: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        # Even numbers: the odd one beside is used by the same statement for rows dropped with a failed step.
        shard = 2 * random.randrange(8)  # noqa: S311 - spreads counters, no secret
        self._breakers = ServerBreakers()
        self._recorder = Recorder(self._clock, shard, self._breakers, self._changed.set)
        self._acquire_limit = 1
        self._extend_at = LONG_AGO
        self._refresh_at = LONG_AGO
        self._leave_until = LONG_AGO

    def nudge(self) -> None:
        """Look at once: something became due."""
        self._refresh_at = LONG_AGO
        self._changed.set()

    async def run(self) -> bool:
        """Work until nothing is due soon; return whether the run was cut short and should be started again."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await self._clock.sync()
        self._recorder.start()
        try:
            while not self._stopping.is_set() and loop.time() - begun < RUN_SECONDS:
                self._changed.clear()
                now = self._clock.now()
                await self._keep_lanes(now)
                await self._claim_due(now)
                await self._release_idle(now)
                if not self._lanes and not self._in_flight:
                    return False
                await self._wait()
            return True
        finally:
            await self._finish()

    async def _finish(self) -> None:
        """Let what is on the wire come home, write it down and free the lanes."""
        if self._in_flight:
            await asyncio.wait(self._in_flight)
        await self._recorder.stop()
        await lanes.give_up(self._holder, list(self._lanes.values()))

    async def _wait(self) -> None:
        """Sleep until a slot or a result comes free, a lane is due, or a second has passed."""
        now = self._clock.now()
        moments = [lane.wake_at(now) for lane in self._lanes.values() if not (lane.paced and lane.in_flight)]
        until = min((moment for moment in moments if moment is not None and moment > now), default=now + REFRESH)
        idle = not self._in_flight and self._recorder.idle
        await self._clock.wait(self._changed, until, look_every=REFRESH, idle=idle)

    async def _keep_lanes(self, now: datetime) -> None:
        """Renew leases, notice what was lost or woken, and take more lanes while slots are free."""
        if now >= self._extend_at and self._lanes:
            self._extend_at = now + EXTEND
            await lanes.extend(self._holder, now + LANE_LEASE)
            await self._clock.sync()
        if now >= self._refresh_at:
            self._refresh_at = now + REFRESH
            await self._refresh(now)
            self._acquire_limit = max(self._acquire_limit, 1)
        free = self._slots - len(self._in_flight)
        unpaced_due = now - PATIENCE if now < self._leave_until else now
        while free > 0 and self._acquire_limit and len(self._lanes) < MAX_LANES:
            limit = self._acquire_limit
            taken = await lanes.acquire(now, self._holder, now + LANE_LEASE, limit, unpaced_due=unpaced_due)
            await self._load(taken, now)
            # Doubling spreads a few busy lanes over the processes and still gathers thousands of paced ones fast.
            self._acquire_limit = 2 * limit if len(taken) == limit else 0
            if any(not turn.state.pacing.paced for number in taken for turn in self._turns(number)):
                break

    def _turns(self, number_id: int) -> list[CampaignTurn]:
        lane = self._lanes.get(number_id)
        return lane.campaigns if lane is not None else []

    async def _refresh(self, now: datetime) -> None:
        if not self._lanes:
            self._acquire_limit = 1
            return
        held = await lanes.held(self._holder)
        for number_id in self._lanes.keys() - held.keys():
            _log.warning("lane_lost", number_id=number_id)
            del self._lanes[number_id]
        woken = [number for number, lane in self._lanes.items() if lane.wakes != held[number]]
        await self._load(woken, now)
        await self._breakers.refresh({lane.server_id for lane in self._lanes.values()})
        await self._share(now)
        self._acquire_limit = 1

    async def _share(self, now: datetime) -> None:
        """Give half of the busy lanes away while another process is idle; what is in the air from them comes home here.

        One lane without pauses can use every slot, so a process that came first would have all the work.
        """
        busy = [lane for lane in self._lanes.values() if not lane.paced and lane.is_due(now)]
        if len(busy) > 1 and await anybody_idle(runtime().redis):
            self._leave_until = now + PATIENCE
            for lane in busy[(len(busy) + 1) // 2 :]:
                if await lanes.release(self._holder, lane, now, lane.wait_reason):
                    del self._lanes[lane.number_id]

    async def _load(self, number_ids: list[int], now: datetime) -> None:
        if not number_ids:
            return
        for lane in await turns.load(self._holder, number_ids, now):
            before = self._lanes.get(lane.number_id)
            if before is None:
                self._lanes[lane.number_id] = lane
            else:
                before.renew(lane)
        await self._breakers.refresh({lane.server_id for lane in self._lanes.values()})

    async def _claim_due(self, now: datetime) -> None:
        """Claim for every lane that may send, as far as slots are free, and put the messages on the wire."""
        free = self._slots - len(self._in_flight)
        due = [lane for lane in self._lanes.values() if lane.is_due(now)]
        # A claim costs one round trip: a few free slots wait for company while others are busy.
        if not due or (free < self._batch and self._in_flight and not any(lane.paced for lane in due)):
            return
        routes = await senders.senders([lane.number_id for lane in due])
        await turns.count_new_periods(due, now)
        probes = await self._breakers.win_probes(now, {lane.server_id for lane in due})
        share = max(1, free // len(due))
        asked: dict[int, Asked] = {}
        for lane in due:
            if free <= 0:
                break
            probing = lane.server_id in probes
            open_until = None if probing else self._breakers.open_until(lane.server_id, now)
            most = 1 if probing else min(share, free)
            found = self._try_want(lane, routes.get(lane.number_id), most, now, open_until)
            if found is not None:
                asked[lane.number_id] = found
                free -= found.want.take
                probes -= {lane.server_id} if found.want.take else set()
        if asked:
            await self._take(asked, now)
        if probes:
            await self._breakers.give_back(now, sorted(probes))

    def _try_want(
        self, lane: HeldLane, route: SenderRoute | None, most: int, now: datetime, open_until: datetime | None
    ) -> Asked | None:
        """Ask for a lane's messages; what fails for one lane must not end the run for all of them."""
        try:
            if route is not None:
                return self._want(lane, route, most, now, open_until)
            lane.wait_reason = "no_route"
        except Exception:  # noqa: BLE001 - a plugin or a stored campaign may be broken in any way
            _log.exception("lane_failed", number_id=lane.number_id)
            lane.wait_reason = "provider_failed"
        lane.next_at = now + TRY_AGAIN
        return None

    def _want(
        self, lane: HeldLane, route: SenderRoute, most: int, now: datetime, open_until: datetime | None
    ) -> Asked | None:
        chosen = choose(lane, open_until, now)
        if chosen is None:
            return None
        turn, decision = chosen
        if lane.typing is not None and lane.typing.campaign_id != turn.id:
            lane.typing = None
        # Looking comes before typing, and typing before the claim: nobody types who does not write.
        looks = turn.state.pacing.typing and lane.typing is None and presence.can_type(route)
        take = 0 if looks else min(max(1, round(most * turn.state.weight)), decision.room)
        return Asked(lane, turn, route, build_want(lane, turn, route, take, decision, now))

    async def _take(self, asked: dict[int, Asked], now: datetime) -> None:
        result = await claim(now, self._holder, [one.want for one in asked.values()])
        got = dict.fromkeys(asked, 0)
        for row in result.claimed:
            one = asked[row.number_id]
            got[row.number_id] += 1
            one.lane.in_flight += 1
            task = asyncio.create_task(self._send(row, one))
            self._in_flight.add(task)
            task.add_done_callback(self._landed)
        if result.ineligible:
            await skip(self._clock.now(), result.ineligible)
        refused = {*result.postponed, *(row.number_id for row in result.ineligible)}
        if refused:
            self._changed.set()
        for number_id, one in asked.items():
            self._note(one, got[number_id], refused=number_id in refused, now=now)
        await self._type([one for number_id, one in asked.items() if not one.want.take and number_id not in refused])

    def _note(self, one: Asked, got: int, *, refused: bool, now: datetime) -> None:
        """Keep what a claim changed of its lane."""
        lane, turn, want = one.lane, one.turn, one.want
        lane.slot += 1
        if want.take:
            lane.typing = None
        for cap in want.caps:
            key = (cap.scope, cap.scope_id, cap.period)
            lane.used[key] = lane.used.get(key, 0) + got
        if got:
            turn.reach = 1
            if want.paced:
                lane.next_at, lane.burst = want.next_at, want.burst
        elif refused:
            turn.reach = min(LONGEST_REACH, 2 * want.reach)
        elif want.take:
            self._nothing_found(one, now)

    def _nothing_found(self, one: Asked, now: datetime) -> None:
        """Leave a campaign that has nothing due until something becomes due."""
        if one.want.known_only:
            ends = one.lane.number.restricted_until or now
            one.turn.not_before, one.lane.wait_reason = min(ends, now + KNOWN_AGAIN), "number_restricted"
        else:
            one.turn.exhausted = True

    async def _type(self, looked: list[Asked]) -> None:
        """Show the next recipient of each lane that somebody types, and let the lane wait for as long."""
        if not looked:
            return
        now = self._clock.now()
        typed = [lane.typing.recipient_id for lane in self._lanes.values() if lane.typing is not None]
        rows = await presence.next_rows(now, [one.want for one in looked], typed)
        for one in looked:
            row = rows.get(one.want.number_id)
            if row is None:
                self._nothing_found(one, now)
                continue
            seconds = typing_seconds(row.text(one.turn), seeded(one.lane, one.turn))
            one.lane.typing = Typing(one.turn.id, row.id, now + timedelta(seconds=seconds))
            self._show(one.route, row.provider_address or row.address, wrote=row.wrote)

    def _show(self, route: SenderRoute, address: str, *, wrote: bool) -> None:
        task = asyncio.create_task(presence.turn_to(route, address, wrote=wrote))
        self._shown.add(task)
        task.add_done_callback(self._shown.discard)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        # Waking for every single slot would cost more than the claim it is too early for.
        if self._slots - len(self._in_flight) >= self._batch:
            self._changed.set()

    async def _send(self, row: Claimed, one: Asked) -> None:
        outcome: Outcome
        begun = False
        turn, route, want = one.turn, one.route, one.want
        try:
            if row.message_id not in turn.steps or row.version != turn.version:
                turn.steps = await turns.load_steps(row.campaign_id)
                turn.version = row.version
            kind = KINDS[turn.steps[row.message_id].type_message]
            latest_start = (want.lease_until - LEASE_MARGIN / 2).timestamp() - route.provider.send_timeout(kind)
            if want.recipient_id is not None:
                await presence.show_typing(route, row.provider_address or row.address, active=False)
            begun = True
            outcome = await send(row, turn, route, self._clock, latest_start)
        except Exception:  # noqa: BLE001 - whatever fails, the row gets its outcome
            _log.exception("send_failed", recipient_id=row.id)
            outcome = Unknown("internal_error") if begun else Retryable("internal_error", scope="sender")
        self._recorder.add(Result(one.lane, turn, row, settle(row, outcome, self._context(route, want)), want.caps))

    def _context(self, route: SenderRoute, want: Want) -> Context:
        return Context(
            now=self._clock.now(),
            lease_until=want.lease_until,
            receipts=route.sender.capabilities.receipts != "none",
            unknown_grace=timedelta(seconds=route.provider.unknown_grace_seconds),
        )

    async def _release_idle(self, now: datetime) -> None:
        """Give back lanes with nothing in the air and nothing due soon."""
        for lane in list(self._lanes.values()):
            if lane.in_flight:
                continue
            wake_at = lane.wake_at(now)
            if wake_at is None or wake_at > now + HOLD:
                await self._release(lane, wake_at, now)

    async def _release(self, lane: HeldLane, wake_at: datetime | None, now: datetime) -> None:
        """Free a lane with its next due time; a stopped campaign becomes due by what starts it, not by the clock."""
        exhausted = [turn.id for turn in lane.campaigns if turn.exhausted and not turn.stopped]
        due_at = await lanes.next_due(lane.number_id, exhausted)
        if due_at is not None and due_at <= now:
            # Rows another process is just taking: look again soon, not at once.
            due_at = now + LOOK_AGAIN
        moments = [moment for moment in (wake_at, due_at) if moment is not None]
        if await lanes.release(self._holder, lane, min(moments, default=None), lane.wait_reason):
            del self._lanes[lane.number_id]
        else:
            await self._load([lane.number_id], now)
