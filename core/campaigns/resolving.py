"""Rows a person decides about: failed ones that are tried again, and those in doubt."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from core import database
from core.audit import services as audit
from core.campaigns.failover import release
from core.campaigns.schemas import ResolveAction, ResolveMany, Retry
from core.campaigns.services import current_time, ensure_rows_left, expect, lock, reopen
from core.campaigns.skipping import restore_following
from core.campaigns.tables import CampaignStatus, RecipientState
from core.campaigns.transitions import Transition, apply, mask
from core.errors import ConflictError, NotFoundError
from core.jobs.services import JobContext, create_job, job_handler

RETRIABLE = (CampaignStatus.RUNNING, CampaignStatus.PAUSED, CampaignStatus.COMPLETED)
SHARD = 20
BATCH = 2_000

FAILURE_CLASS = "CASE a.outcome WHEN 'rejected' THEN 'refused' WHEN 'retryable' THEN 'gave_up' ELSE 'network' END"
"""The class of a failed row, by its last attempt ``a``."""

FAILED = f"""
SELECT m.id FROM message_by_contacts m
LEFT JOIN message_attempts a ON a.recipient_id = m.id AND a.attempt = m.attempt
WHERE m.campaign_id = $1 AND m.id > $2 AND m.state = 'failed'
  AND (cardinality($3::text[]) = 0 OR m.reason = ANY($3))
  AND (cardinality($4::text[]) = 0 OR {FAILURE_CLASS} = ANY($4))
ORDER BY m.id LIMIT $5
"""

IN_DOUBT = """
SELECT id FROM message_by_contacts
WHERE campaign_id = $1 AND id > $2 AND state = 'unknown' AND lease_until IS NULL
  AND (cardinality($3::text[]) = 0 OR reason = ANY($3))
ORDER BY id LIMIT $4 FOR UPDATE
"""


async def retry_failed(user_id: int, campaign_id: int, wanted: Retry | None = None) -> None:
    """Have failed rows sent again with what was frozen, in the background; all of them unless ``wanted`` says which.

    Raises:
        ConflictError: The campaign has not begun, or was cancelled.
    """
    async with database.unit_of_work():
        expect(await lock(user_id, campaign_id), *RETRIABLE, verb="retried")
        await ensure_rows_left(campaign_id)
        which = wanted or Retry()
        params = {"reasons": list(which.reasons), "classes": list(which.classes)}
        await create_job("campaigns.retry", user_id=user_id, subject_id=campaign_id, params=params)
        await audit.record("campaign.retried", user_id=user_id, entity_id=campaign_id, facts=params)


async def resolve_many(user_id: int, campaign_id: int, wanted: ResolveMany) -> None:
    """Decide of all rows that need attention, in the background.

    Raises:
        ConflictError: The campaign has not begun, or was cancelled and something shall be sent again.
    """
    async with database.unit_of_work():
        row = await lock(user_id, campaign_id)
        if wanted.action == "retry":
            expect(row, *RETRIABLE, verb="retried")
            await ensure_rows_left(campaign_id)
        params = {"action": wanted.action, "reasons": list(wanted.reasons)}
        await create_job("campaigns.resolve", user_id=user_id, subject_id=campaign_id, params=params)
        await audit.record("campaign.resolved", user_id=user_id, entity_id=campaign_id, facts=params)


async def resolve_recipient(user_id: int, campaign_id: int, recipient_id: int, action: ResolveAction) -> None:
    """Decide of a row in doubt: send it again, or count it as sent; either way the contact's later steps go on.

    Raises:
        ConflictError: The row is not in doubt, or is being looked up; or the campaign was cancelled.
    """
    async with database.unit_of_work():
        row = await lock(user_id, campaign_id)
        if action == "retry":
            expect(row, *RETRIABLE, verb="retried")
            await ensure_rows_left(campaign_id)
        found = await database.fetch_row(
            "SELECT state, lease_until FROM message_by_contacts WHERE id = $1 AND campaign_id = $2 FOR UPDATE",
            recipient_id,
            campaign_id,
        )
        if found is None:
            raise NotFoundError("recipient", recipient_id)
        if found["state"] != RecipientState.UNKNOWN or found["lease_until"] is not None:
            raise ConflictError(
                "Only a recipient that needs attention can be resolved; this one is settled or being looked up.",
                code="recipient_state",
            )
        await _decide(row, [recipient_id], action, await current_time())
        facts = {"recipient_id": recipient_id, "action": action}
        await audit.record("campaign.recipient_resolved", user_id=user_id, entity_id=campaign_id, facts=facts)


@job_handler("campaigns.retry")
async def retry(context: JobContext) -> None:
    """Make the failed rows of a campaign pending again, a batch at a time, each under the campaign's lock."""
    await _in_batches(context, FAILED, context.params["reasons"], context.params["classes"], action="retry")


@job_handler("campaigns.resolve")
async def resolve(context: JobContext) -> None:
    """Decide of the rows of a campaign that need attention, a batch at a time."""
    await _in_batches(context, IN_DOUBT, context.params["reasons"], action=context.params["action"])


async def _in_batches(context: JobContext, query: str, *args: object, action: str) -> None:
    last_id = int(context.state.get("last_id", 0))
    done = context.done
    while True:
        async with database.unit_of_work():
            row = await lock(context.user_id or 0, context.subject_id)
            if action == "retry" and row["status"] not in RETRIABLE:
                return
            rows = await database.fetch(query, context.subject_id, last_id, *args, BATCH)
            if not rows:
                return
            ids = [found["id"] for found in rows]
            await _decide(row, ids, action, await current_time())
            last_id, done = ids[-1], done + len(ids)
            await context.checkpoint({"last_id": last_id}, done=done)


async def _decide(row: Any, ids: Sequence[int], action: str, now: datetime) -> None:
    """Apply a decision to rows of a locked campaign, and let it go on."""
    if action == "retry":
        # A person's retry is a new beginning: five tries and a day again.
        await database.execute(
            "UPDATE message_by_contacts SET failures = 0, first_attempt_at = NULL WHERE id = ANY($1::bigint[])",
            list(ids),
        )
    make = _pending_again if action == "retry" else _assumed_sent
    open_again = row["status"] in RETRIABLE
    restored = await restore_following(ids, now, SHARD) if open_again else 0
    await apply(now, [make(recipient_id, now) for recipient_id in ids], shard=SHARD)
    await release(row["id"], now)
    if open_again and (action == "retry" or restored or row["status"] == CampaignStatus.RUNNING):
        await reopen(row, now)


def _pending_again(recipient_id: int, now: datetime) -> Transition:
    return Transition(
        id=recipient_id,
        attempt=0,
        allowed=mask(RecipientState.FAILED, RecipientState.UNKNOWN),
        state=RecipientState.PENDING,
        reason="retried_by_user",
        due_at=now,
        requeued=1,
    )


def _assumed_sent(recipient_id: int, now: datetime) -> Transition:
    return Transition(
        id=recipient_id,
        attempt=0,
        allowed=mask(RecipientState.UNKNOWN),
        state=RecipientState.SENT,
        reason="assumed_sent",
        sent_at=now,
    )
