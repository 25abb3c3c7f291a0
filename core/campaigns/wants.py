"""What a lane asks for: whose turn it is by ``decide``, and the claim that follows from it."""

import random
from datetime import datetime, timedelta

import msgspec

from core.campaigns.claims import Want
from core.campaigns.pacing import SendNow, Stop, Wait, closed_zones, day_start, decide, next_period
from core.campaigns.sending import KINDS, LEASE_MARGIN
from core.campaigns.turns import LONGEST_REACH, CampaignTurn, HeldLane
from core.numbers.senders import SenderRoute


def choose(lane: HeldLane, open_until: datetime | None, now: datetime) -> tuple[CampaignTurn, SendNow] | None:
    """Ask ``decide`` about the lane's campaigns in turn; the first that may send goes to the end of the row.

    ``open_until`` is when the breaker of the lane's server ends. The reason of a wait stays with the lane.
    """
    number = lane.number
    if open_until is not None:
        number = msgspec.structs.replace(number, open_until=max(open_until, number.open_until or open_until))
    typed_for = lane.typing.campaign_id if lane.typing is not None else None
    # Whoever was shown typing is written to first: with each in turn, two campaigns would type for ever.
    for turn in sorted(lane.campaigns, key=lambda turn: turn.id != typed_for):
        if not turn.open or (turn.not_before is not None and turn.not_before > now):
            continue
        lane.campaigns.remove(turn)
        lane.campaigns.append(turn)
        decision = decide(now, number, turn.state, lane.history(turn, now), seeded(lane, turn))
        if isinstance(decision, SendNow):
            lane.wait_reason = ""
            return turn, decision
        lane.wait_reason = decision.reason
        if isinstance(decision, Stop):
            turn.stopped = True
        elif isinstance(decision, Wait):
            turn.not_before = decision.until
    return None


def seeded(lane: HeldLane, turn: CampaignTurn) -> random.Random:
    """Return the source of chance for the next message of a campaign on a lane."""
    return random.Random(f"{turn.id}:{lane.slot}")  # noqa: S311 - pacing, no secret


def build_want(
    lane: HeldLane, turn: CampaignTurn, route: SenderRoute, take: int, decision: SendNow, now: datetime
) -> Want:
    """Ask for up to ``take`` messages of a campaign."""
    pacing = turn.state.pacing
    zone = turn.state.zone
    longest = max(route.provider.send_timeout(KINDS[step.type_message]) for step in turn.steps.values())
    typed = lane.typing is not None and lane.typing.campaign_id == turn.id
    return Want(
        number_id=lane.number_id,
        user_id=lane.user_id,
        campaign_id=turn.id,
        slot=lane.slot,
        take=take,
        reach=min(LONGEST_REACH, max(take, turn.reach)),
        paced=pacing.paced,
        next_at=now + timedelta(seconds=decision.pause),
        burst=0 if decision.rest else lane.burst + 1,
        lease_until=now + timedelta(seconds=longest) + LEASE_MARGIN,
        stop_on_reply=turn.stop_on_reply,
        caps=lane.caps(turn, now),
        client_ids=tuple(route.provider.new_client_id() for _ in range(take)),
        ids_are_final=route.sender.capabilities.client_message_id,
        day_start=day_start(now, zone),
        day_end=next_period(now, zone, "day"),
        recipient_id=lane.typing.recipient_id if lane.typing is not None and typed else None,
        known_only=decision.known_only,
        closed=closed_zones(now, turn.state),
        contact_gap=None if pacing.contact_gap_hours is None else pacing.contact_gap_hours * 3600,
        contact_per_day=pacing.contact_per_day,
        unanswered_max=pacing.unanswered_max,
        contact_wait=pacing.contact_wait_hours * 3600,
    )
