"""The entropy meter: how uniform the texts of a campaign are, measured by a job on a sample of its audience."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg
import msgspec

from core import database
from core.campaigns.defaults import entropy_limit
from core.campaigns.drafts import check_draft, load_draft
from core.campaigns.entropy_schemas import Entropy, EntropyLimit, EntropyRead, Measuring, MessageEntropy
from core.campaigns.freeze import FREEZE
from core.campaigns.judging import sample_audience
from core.campaigns.renderings import SAMPLE, Sample, gather, judge_by, measure, read_sample
from core.campaigns.schemas import CampaignSettings
from core.campaigns.services import OPEN, current_time, expect, lock
from core.campaigns.turns import Step, load_steps
from core.errors import ConflictError, NotFoundError
from core.jobs.schemas import JobRead
from core.jobs.services import JobContext, create_job, get_job, job_handler, latest_job
from core.jobs.tables import JobStatus

ENTROPY = "campaigns.entropy"
AT_WORK = (JobStatus.WAITING, JobStatus.RUNNING)

FROZEN = """
SELECT contact_id, variables,
    (SELECT count(*) FROM message_by_contacts WHERE message_id = $1 AND state <> 'skipped') AS contacts
FROM message_by_contacts WHERE message_id = $1 AND state <> 'skipped'
ORDER BY hashint8extended(contact_id, 0) LIMIT $2
"""
"""A contact whose first message was sent counts for all of them, whatever became of the later ones."""


class Checkpoint(msgspec.Struct):
    """The messages of a campaign's ``version`` that were measured already."""

    version: int = 0
    messages: list[MessageEntropy] = msgspec.field(default_factory=list)


async def request_measurement(user_id: int, campaign_id: int) -> JobRead:
    """Have a campaign measured; while a job about its present version is at work, return that one.

    Raises:
        NotFoundError: The tenant has no such campaign.
        InvalidInputError: A draft lacks something it needs.
        ConflictError: It was over before its audience was written down, or that is being done.
    """
    async with database.unit_of_work():
        row = await lock(user_id, campaign_id)
        await _check_measurable(row)
        params = {"version": row["version"]}
        job = await latest_job(user_id, ENTROPY, campaign_id, statuses=AT_WORK, params=params)
        if job is not None and job.cancel_requested_at is None:
            return job
        job_id = await create_job(ENTROPY, user_id=user_id, subject_id=campaign_id, params=params)
        return await get_job(user_id, job_id)


async def read_measurement(user_id: int, campaign_id: int) -> EntropyRead:
    """Return what was measured last, by request or by a start, judged by the limit in force now.

    Raises:
        NotFoundError: The tenant has no such campaign.
    """
    row = await _campaign(user_id, campaign_id)
    limit = await _limit(row)
    last = await latest_job(user_id, ENTROPY, campaign_id)
    job = found = await _last_finished(user_id, campaign_id)
    result = None if found is None else judge_by(limit, msgspec.convert(found.result["entropy"], Entropy))
    status: Measuring = "none"
    error = ""
    if last is not None and last.status in AT_WORK:
        status, job = "running", last
    elif last is not None and last.status == JobStatus.FAILED and (found is None or last.id > found.id):
        status, job, error = "failed", last, last.error
    elif result is not None:
        status = "done" if result.version == row["version"] else "outdated"
    return EntropyRead(
        campaign_id=campaign_id,
        status=status,
        version=row["version"],
        max_share=limit.max_share,
        job_id=None if job is None else job.id,
        error=error,
        result=result,
    )


@job_handler(ENTROPY)
async def measure_campaign(context: JobContext) -> dict[str, object]:
    """Measure the campaign ``context.subject_id`` as it stands, one message after the other.

    What changes meanwhile is for the next measurement; a successor that finds another version begins anew.
    """
    row = await _campaign(context.user_id, context.subject_id)
    await _check_measurable(row)
    steps = list((await load_steps(row["id"])).values())
    now = await current_time()
    sample = await _sample(row, steps, now)
    state = msgspec.convert(context.state, Checkpoint)
    if state.version != row["version"]:
        state = Checkpoint(row["version"])
    for step in steps[len(state.messages) :]:
        state.messages.append(await measure(step, sample))
        await context.checkpoint(msgspec.to_builtins(state), len(state.messages), len(steps))
    found = gather((row["id"], row["version"]), sample, state.messages, await _limit(row), now)
    return {"entropy": msgspec.to_builtins(found)}


async def _campaign(user_id: int | None, campaign_id: int) -> asyncpg.Record:
    row = await database.fetch_row(
        "SELECT * FROM campaigns WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL", campaign_id, user_id
    )
    if row is None:
        raise NotFoundError("campaign", campaign_id)
    return row


async def _check_measurable(row: asyncpg.Record) -> None:
    """Refuse a campaign without an audience to look at, frozen or as a start would freeze it."""
    if row["frozen_at"] is not None:
        return
    expect(row, *OPEN, verb="measured")
    # One that waits for its number's connection was started, and has not begun.
    if row["started_at"] is not None:
        raise ConflictError(
            "The campaign's audience is being written down; ask again in a moment.", code="campaign_freezing"
        )
    await check_draft(row["user_id"], await load_draft(row), complete=True)


async def _sample(row: asyncpg.Record, steps: Sequence[Step], now: datetime) -> Sample:
    if row["frozen_at"] is None:
        names = sorted(set().union(*(step.template.names for step in steps)))
        return await sample_audience(row["id"], names, now)
    return read_sample(await database.fetch(FROZEN, steps[0].id, SAMPLE))


async def _limit(row: asyncpg.Record) -> EntropyLimit:
    own = msgspec.json.decode(row["settings"], type=CampaignSettings).entropy
    return own or await entropy_limit(row["user_id"])


async def _last_finished(user_id: int, campaign_id: int) -> JobRead | None:
    """Return the newest job that measured the campaign: one that was asked for, or the freeze of a start."""
    done = [await latest_job(user_id, kind, campaign_id, statuses=(JobStatus.DONE,)) for kind in (ENTROPY, FREEZE)]
    found = [job for job in done if job is not None and "entropy" in job.result]
    return max(found, key=lambda job: job.id, default=None)
