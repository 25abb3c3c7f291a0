"""A campaign's whole run on a virtual clock: the engine as it is, with real rows and real calls, but no real waiting.

It works on the rows of this process's database: only ever let it loose on a copy.
"""

import asyncio
from datetime import datetime, timedelta

import msgspec

from core import database
from core.campaigns import reconcile, sweep
from core.campaigns.dispatch import Dispatcher
from core.campaigns.simulation import HORIZON
from core.campaigns.tables import CampaignStatus
from core.clock import VirtualClock, virtual_time
from core.jobs.leasing import run_job
from core.numbers import polling
from core.numbers.senders import forget

AFTER = timedelta(milliseconds=1)
"""What is due at a moment is due behind it."""

NEXT = """
SELECT least(
    (SELECT min(l.due_at) FROM lanes l JOIN numbers n ON n.id = l.number_id WHERE n.status_connection),
    (SELECT min(lease_until) FROM message_by_contacts WHERE state IN ('leased', 'unknown', 'accepted')),
    (SELECT min(open_until) FROM server_breakers WHERE open_until > $1))
"""
ASK_AGAIN = "UPDATE numbers SET poll_at = now() WHERE NOT status_connection AND poll_at IS NOT NULL AND status"
STANDING = "SELECT status, status_reason, completed_at FROM campaigns WHERE id = $1"


class Standing(msgspec.Struct, frozen=True):
    """What became of a campaign."""

    status: CampaignStatus
    reason: str
    at: datetime
    """When it came to that, by the virtual clock."""


def virtual_clock(begin: datetime) -> VirtualClock:
    """Return a clock that does the scheduler's rounds."""
    return VirtualClock(begin, _round)


async def run_virtually(campaign_id: int, clock: VirtualClock, slots: int) -> Standing:
    """Do the jobs of a campaign that was started, then send it to its end, ``slots`` messages at once.

    It ends early where only a person could help, as with rows in doubt, and after ``HORIZON``.
    """
    begin = clock.now()
    with virtual_time(clock):
        await _do_jobs()
        while (standing := await _standing(campaign_id, clock)).status is CampaignStatus.RUNNING:
            # Another process's stop is not ours: a rehearsal is ended by ending its process.
            await Dispatcher(slots, asyncio.Event()).run()
            moment = await _next(clock)
            if moment is None or moment > begin + HORIZON:
                return await _standing(campaign_id, clock)
            await clock.leap(max(moment, clock.now()) + AFTER)
        return standing


async def _next(clock: VirtualClock) -> datetime | None:
    """Return the moment at which something is due, if anything is."""
    moment = await database.fetch_value(NEXT, clock.now())
    if moment is None:
        # Where accepted counts as sent, nothing is due behind the last message: the round completes the campaign.
        await _round(clock.now())
        moment = await database.fetch_value(NEXT, clock.now())
    return moment if isinstance(moment, datetime) else None


async def _standing(campaign_id: int, clock: VirtualClock) -> Standing:
    row = await database.fetch_row(STANDING, campaign_id)
    if row is None:
        raise LookupError(f"campaign {campaign_id} was there a moment ago")
    return Standing(CampaignStatus(row["status"]), row["status_reason"], row["completed_at"] or clock.now())


async def _do_jobs() -> None:
    """Do what a worker would: freezing, above all."""
    for row in await database.fetch("SELECT id FROM jobs WHERE status = 'waiting' ORDER BY id"):
        await run_job(row["id"])


async def _round(now: datetime) -> None:
    """Do what the scheduler sees to beside the sending; look-ups first, since they may complete the campaign."""
    while await reconcile.reconcile_due():
        pass
    await sweep.repair(now)
    if await database.execute(ASK_AGAIN):
        await polling.poll()
        forget()
