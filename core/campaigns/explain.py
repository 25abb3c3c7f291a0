"""Explain: why a campaign sends nothing at this moment, and when the next message is due."""

import random
from datetime import datetime

import asyncpg
from msgspec import structs

from core import database
from core.campaigns import lanes
from core.campaigns.lanes import HeldLane
from core.campaigns.pacing import SendNow, Wait, decide
from core.campaigns.schemas import Blocker, Explanation
from core.campaigns.tables import CampaignStatus
from core.clock import DatabaseClock
from core.errors import NotFoundError
from core.numbers import senders
from core.texts import blocker_text

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
    "database_restored": "The database was restored from a backup: check what was sent, then go on.",
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
    "no_route": "The number's plugin is not enabled, or its server's credentials must be entered again.",
    "provider_failed": "The messaging plugin failed; the log says how. It is tried again soon.",
    "no_number": "The campaign has no number to send from.",
    "completing": "Every message is settled; the campaign ends in a moment.",
}


STANDING = """
SELECT EXISTS (SELECT FROM message_by_contacts WHERE campaign_id = $1 AND state = 'leased') AS leased,
       EXISTS (SELECT FROM message_by_contacts WHERE campaign_id = $1 AND state = 'accepted') AS accepted,
       EXISTS (SELECT FROM message_by_contacts WHERE campaign_id = $1 AND state = 'unknown') AS unknown
"""


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
    if row["status"] != CampaignStatus.RUNNING:
        until = row["schedule_date"] if row["status_reason"] == "scheduled" else None
        return Explanation(sending=False, reasons=[_blocker(row["status_reason"], until=until)], next_due_at=until)
    clock = DatabaseClock()
    await clock.sync()
    return await _explain_running(row, clock.now())


def translate(found: Explanation, language: str) -> Explanation:
    """Return an explanation whose reasons are told in ``language``."""
    reasons = [structs.replace(one, text=blocker_text(one.code, one.text, language)) for one in found.reasons]
    return structs.replace(found, reasons=reasons)


async def _explain_running(row: asyncpg.Record, now: datetime) -> Explanation:
    """Ask for each number of the campaign; one that may send is enough."""
    standing = await database.fetch_row(STANDING, row["id"])
    in_flight = standing is not None and standing["leased"]
    reasons = [] if row["frozen_at"] is not None else [_blocker("freezing")]
    found = await lanes.peek(row["id"], now)
    routes = await senders.senders([lane.number_id for lane in found])
    moments: list[datetime] = []
    sending = False
    for lane in found:
        due_at = await lanes.next_due(lane.number_id, [row["id"]])
        if due_at is None:
            continue
        blocker = _explain_lane(lane, row["id"], max(due_at, now), now, has_route=lane.number_id in routes)
        sending = sending or blocker is None
        reasons += [blocker] if blocker is not None else []
        until = now if blocker is None else blocker.until
        moments += [until] if until is not None else []
    if not reasons and not sending:
        reasons.append(_blocker(_reason_without_due_rows(standing, has_lanes=bool(found))))
    return Explanation(sending=sending or in_flight, reasons=reasons, next_due_at=min(moments, default=None))


def _explain_lane(
    lane: HeldLane, campaign_id: int, due_at: datetime, now: datetime, *, has_route: bool
) -> Blocker | None:
    """Say why ``lane`` does not send its rows of the campaign, the first of which is due at ``due_at``."""
    turn = next((turn for turn in lane.campaigns if turn.id == campaign_id), None)
    if turn is None:
        return _blocker("paused_by_user", number_id=lane.number_id)
    if due_at > now:
        return _blocker("waiting_for_delay", number_id=lane.number_id, until=due_at)
    rng = random.Random(f"{turn.id}:{lane.slot}")  # noqa: S311 - pacing, no secret
    decision = decide(now, lane.number, turn.state, lane.history(turn, now), rng)
    if isinstance(decision, SendNow):
        return None if has_route else _blocker("no_route", number_id=lane.number_id)
    until = decision.until if isinstance(decision, Wait) else None
    return _blocker(decision.reason, number_id=lane.number_id, until=until)


def _reason_without_due_rows(standing: asyncpg.Record | None, *, has_lanes: bool) -> str:
    """Say what a frozen campaign waits for that has nothing left to claim."""
    if standing is not None and standing["leased"]:
        return "in_flight"
    if standing is not None and standing["accepted"]:
        return "waiting_for_acknowledgement"
    if standing is not None and standing["unknown"]:
        return "needs_attention"
    return "completing" if has_lanes else "no_number"


def _blocker(code: str, *, number_id: int | None = None, until: datetime | None = None) -> Blocker:
    return Blocker(code=code, text=TEXTS.get(code, code.replace("_", " ")), number_id=number_id, until=until)
