"""Explain: why a campaign sends nothing at this moment, and when the next message is due."""

import random
from datetime import datetime

import asyncpg

from core import database
from core.campaigns import lanes
from core.campaigns.lanes import HeldLane
from core.campaigns.pacing import SendNow, Wait, decide
from core.campaigns.schemas import Blocker, Explanation
from core.campaigns.tables import CampaignStatus
from core.clock import DatabaseClock
from core.errors import NotFoundError

TEXTS = {
    "draft": "The campaign has not been started.",
    "scheduled": "The campaign starts at its schedule date.",
    "freezing": "The audience is being written down; sending begins with its first part.",
    "paused_by_user": "The campaign was paused.",
    "canceled_by_user": "The campaign was cancelled.",
    "completed": "The campaign is over.",
    "completed_with_unknown": "The campaign is over; some messages have an unknown outcome.",
    "needs_attention": "Only messages with an unknown outcome are left: retry them or assume them sent.",
    "audience_gone": "The campaign's audience or labels were deleted before it could begin.",
    "database_restored": "The database was restored from a backup: check what was sent, then resume.",
    "number_disconnected": "The number is not connected: scan its QR code again.",
    "number_inactive": "The number is switched off.",
    "tenant_suspended": "The account is suspended.",
    "access_ended": "The account's access has ended.",
    "breaker_open": "The messaging server failed; it is tried again soon.",
    "number_restricted": "WhatsApp restricts this number for people it has not written to.",
    "pause": "The pause between two messages.",
    "outside_window": "Outside the hours in which the campaign may send.",
    "plan_cap": "The plan's messages of this month are used up.",
    "campaign_day_cap": "The campaign's messages of this day are used up.",
    "number_hour_cap": "The number's messages of this hour are used up.",
    "number_day_cap": "The number's messages of this day are used up.",
    "warm_up_cap": "The number is young: its daily messages of the warm-up are used up.",
    "waiting_for_delay": "The next messages wait for the delay after the message before.",
    "waiting_for_acknowledgement": "All messages were handed over; the last acknowledgements are awaited.",
    "in_flight": "Messages are on their way.",
    "no_number": "The campaign has no number to send from.",
}


async def explain(user_id: int, campaign_id: int) -> Explanation:
    """Say whether the campaign sends, and else every reason why not, by the same ``decide`` that paces it."""
    row = await database.fetch_row(
        "SELECT id, status, status_reason, schedule_date, frozen_at FROM campaigns"
        " WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL",
        campaign_id,
        user_id,
    )
    if row is None:
        raise NotFoundError("campaign", campaign_id)
    if row["status"] != CampaignStatus.RUNNING or row["status_reason"] == "needs_attention":
        blocker = _blocker(row["status_reason"], until=row["schedule_date"] if row["status"] == 1 else None)
        return Explanation(sending=False, reasons=[blocker], next_due_at=blocker.until)
    clock = DatabaseClock()
    await clock.sync()
    return await _explain_running(row, clock.now())


async def _explain_running(row: asyncpg.Record, now: datetime) -> Explanation:
    rows = await database.fetch(
        "SELECT state, min(due_at) AS due_at FROM message_by_contacts WHERE campaign_id = $1"
        " AND state IN ('pending', 'leased', 'accepted') GROUP BY state",
        row["id"],
    )
    open_rows = {found["state"]: found["due_at"] for found in rows}
    reasons: list[Blocker] = []
    if row["frozen_at"] is None:
        reasons.append(_blocker("freezing"))
    if "pending" not in open_rows:
        if "leased" in open_rows:
            reasons.append(_blocker("in_flight"))
        elif "accepted" in open_rows:
            reasons.append(_blocker("waiting_for_acknowledgement"))
        return Explanation(sending="leased" in open_rows, reasons=reasons, next_due_at=None)
    due_at = open_rows["pending"]
    if due_at is None or due_at > now:
        reasons.append(_blocker("waiting_for_delay", until=due_at))
        return Explanation(sending="leased" in open_rows, reasons=reasons, next_due_at=due_at)
    return await _explain_numbers(row["id"], now, reasons)


async def _explain_numbers(campaign_id: int, now: datetime, reasons: list[Blocker]) -> Explanation:
    """Ask ``decide`` for each number of the campaign; one that may send is enough."""
    found = await lanes.peek(campaign_id, now)
    if not found:
        reasons.append(_blocker("no_number"))
    moments: list[datetime] = []
    sending = False
    for lane in found:
        blocker = _explain_lane(lane, campaign_id, now)
        if blocker is None:
            sending = True
            moments.append(now)
            continue
        reasons.append(blocker)
        if blocker.until is not None:
            moments.append(blocker.until)
    return Explanation(sending=sending, reasons=reasons, next_due_at=min(moments, default=None))


def _explain_lane(lane: HeldLane, campaign_id: int, now: datetime) -> Blocker | None:
    turn = next(turn for turn in lane.campaigns if turn.id == campaign_id)
    rng = random.Random(f"{turn.id}:{lane.slot}")  # noqa: S311 - pacing, no secret
    decision = decide(now, lane.number, turn.state, lane.history(turn, now), rng)
    if isinstance(decision, SendNow):
        return None
    until = decision.until if isinstance(decision, Wait) else None
    return _blocker(decision.reason, number_id=lane.number_id, until=until)


def _blocker(code: str, *, number_id: int | None = None, until: datetime | None = None) -> Blocker:
    return Blocker(code=code, text=TEXTS.get(code, code.replace("_", " ")), number_id=number_id, until=until)
