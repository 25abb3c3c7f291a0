"""Reports: what became of a campaign, counted from its rows, and kept once it is over.

A report of a million rows costs some seconds. The one of a completed campaign is kept beside it, and counts for as long
as the campaign's version and counters are what they were: receipts that come later make it anew.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

import asyncpg
import msgspec

from core import database
from core.campaigns.queries import find_campaign, totals_of
from core.campaigns.report_schemas import (
    Curve,
    CurvePoint,
    Durations,
    ErrorReport,
    MessageReport,
    NumberReport,
    Rates,
    Report,
)
from core.campaigns.resolving import FAILURE_CLASS
from core.campaigns.schemas import Totals
from core.campaigns.services import current_time
from core.campaigns.tables import CampaignStatus, RecipientState
from core.jobs.services import JobContext, job_handler

REPORT = "campaigns.report"
MOST_HOURS = 14 * 24
"""More hours than that are told by the day: an hourly curve of a year would be 8,760 points."""
REASONED = (RecipientState.FAILED, RecipientState.UNKNOWN, RecipientState.SKIPPED)

SPLIT = """
SELECT message_id, position, number_id, state, reason, count(*) AS rows, count(delivered_at) AS delivered,
    count(read_at) AS readed, count(replied_at) AS replied
FROM message_by_contacts WHERE campaign_id = $1 GROUP BY message_id, position, number_id, state, reason
"""

ERRORS = f"""
SELECT {FAILURE_CLASS} AS class, m.reason, count(*) AS messages
FROM message_by_contacts m LEFT JOIN message_attempts a ON a.recipient_id = m.id AND a.attempt = m.attempt
WHERE m.campaign_id = $1 AND m.state = 'failed' GROUP BY 1, 2
"""

CURVE = """
SELECT date_trunc('hour', e.at, $2) AS hour, e.kind, count(*) AS rows FROM message_by_contacts m
CROSS JOIN LATERAL (VALUES
    ('sent', CASE WHEN m.state IN ('accepted', 'sent') THEN coalesce(m.accepted_at, m.sent_at) END),
    ('delivered', m.delivered_at), ('readed', m.read_at), ('replied', m.replied_at),
    ('failed', CASE WHEN m.state = 'failed' THEN m.updated_at END)) AS e(kind, at)
WHERE m.campaign_id = $1 AND e.at IS NOT NULL GROUP BY 1, 2
"""

TIMES = """
SELECT percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY greatest(extract(epoch FROM delivered_at - taken), 0))
        FILTER (WHERE delivered_at IS NOT NULL) AS delivered,
    percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY greatest(extract(epoch FROM read_at - taken), 0))
        FILTER (WHERE read_at IS NOT NULL) AS readed
FROM (SELECT coalesce(accepted_at, sent_at, claimed_at) AS taken, delivered_at, read_at
      FROM message_by_contacts WHERE campaign_id = $1 AND delivered_at IS NOT NULL) m
"""

KEEP = """
INSERT INTO campaign_reports (campaign_id, version, body, made_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (campaign_id) DO UPDATE SET version = excluded.version, body = excluded.body, made_at = excluded.made_at
"""


async def report(user_id: int, campaign_id: int) -> Report:
    """Sum a campaign up.

    Raises:
        NotFoundError: The tenant has no such campaign.
    """
    row = await find_campaign(user_id, campaign_id)
    final = await _final(row)
    if final is not None:
        return final
    timezone = str(await database.fetch_value("SELECT timezone FROM users WHERE id = $1", user_id))
    if row["status"] != CampaignStatus.COMPLETED:
        return await _make(row, timezone)
    kept = await _kept(row)
    if kept is not None and kept.totals == totals_of(row) and kept.curve.timezone == timezone:
        return kept
    made = await _make(row, timezone)
    await database.execute(KEEP, campaign_id, row["version"], database.encode_json(made), await current_time())
    return made


async def keep_for_good(user_id: int, campaign_id: int) -> None:
    """Make the report that will be left of a campaign whose rows are about to be removed.

    Raises:
        NotFoundError: The tenant has no such campaign.
    """
    made = await report(user_id, campaign_id)
    version = await database.fetch_value("SELECT version FROM campaigns WHERE id = $1", campaign_id)
    await database.execute(KEEP, campaign_id, version, database.encode_json(made), await current_time())


async def _final(row: asyncpg.Record) -> Report | None:
    """Return the report of a campaign whose rows were removed, with the name and counts of today."""
    body = await database.fetch_value("SELECT body FROM campaign_reports WHERE campaign_id = $1 AND final", row["id"])
    with suppress(msgspec.ValidationError):
        if isinstance(body, str):
            kept = msgspec.json.decode(body, type=Report)
            return msgspec.structs.replace(kept, name=row["name"], totals=totals_of(row))
    return None


async def _kept(row: asyncpg.Record) -> Report | None:
    """Return what was kept of a campaign's present version; one of an earlier release may not say all of it."""
    body = await database.fetch_value(
        "SELECT body FROM campaign_reports WHERE campaign_id = $1 AND version = $2", row["id"], row["version"]
    )
    with suppress(msgspec.ValidationError):
        return msgspec.json.decode(body, type=Report) if isinstance(body, str) else None
    return None


@job_handler(REPORT)
async def keep_report(context: JobContext) -> None:
    """Make the report of a campaign that was completed, so that it is there when its owner is told."""
    if context.user_id is not None:
        await report(context.user_id, context.subject_id)


async def _make(row: asyncpg.Record, timezone: str) -> Report:
    campaign_id, began, ended = row["id"], row["started_at"], row["completed_at"]
    split = await database.fetch(SPLIT, campaign_id)
    totals = totals_of(row)
    delivered, readed = await _times(campaign_id)
    return Report(
        campaign_id=campaign_id,
        name=row["name"],
        status=CampaignStatus(row["status"]),
        status_reason=row["status_reason"],
        started_at=began,
        completed_at=ended,
        seconds=(ended - began).total_seconds() if began and ended else None,
        totals=totals,
        reasons=_reasons(split),
        rates=_rates(totals),
        messages=_by_message(split),
        numbers=await _by_number(split),
        errors=await _errors(campaign_id, split),
        curve=await _curve(campaign_id, timezone),
        time_to_delivered=delivered,
        time_to_readed=readed,
    )


def _reasons(split: Sequence[asyncpg.Record]) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for line in split:
        if line["state"] in REASONED:
            found[line["state"]][line["reason"]] += line["rows"]
    return {state: dict(sorted(found[state].items())) for state in sorted(found)}


def _rates(totals: Totals) -> Rates:
    taken = totals.accepted + totals.sent
    return Rates(
        delivered=_share(totals.delivered, taken),
        readed=_share(totals.readed, taken),
        replied=_share(totals.replied, taken),
        failed=_share(totals.failed, taken + totals.failed + totals.unknown),
    )


def _share(part: int, whole: int) -> float | None:
    return min(1.0, part / whole) if whole else None


def _by_message(split: Sequence[asyncpg.Record]) -> list[MessageReport]:
    keys = sorted({(line["position"], line["message_id"]) for line in split})
    return [
        MessageReport(
            message_id=message_id,
            position=position,
            totals=_sum(line for line in split if line["message_id"] == message_id),
        )
        for position, message_id in keys
    ]


async def _by_number(split: Sequence[asyncpg.Record]) -> list[NumberReport]:
    lines: dict[int, list[asyncpg.Record]] = defaultdict(list)
    for line in split:
        if line["number_id"] is not None:
            lines[line["number_id"]].append(line)
    # A number that was deleted since still has its share.
    rows = await database.fetch(
        "SELECT id, name, number FROM numbers WHERE id = ANY($1::bigint[]) ORDER BY id", sorted(lines)
    )
    return [
        NumberReport(number_id=row["id"], name=row["name"], number=row["number"], totals=_sum(lines[row["id"]]))
        for row in rows
    ]


def _sum(lines: Iterable[asyncpg.Record]) -> Totals:
    states: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for line in lines:
        states[line["state"]] += line["rows"]
        for name in ("delivered", "readed", "replied"):
            seen[name] += line[name]
    return Totals(
        total=states.total(),
        pending=states["pending"] + states["leased"],
        accepted=states["accepted"],
        sent=states["sent"],
        delivered=seen["delivered"],
        readed=seen["readed"],
        replied=seen["replied"],
        failed=states["failed"],
        unknown=states["unknown"],
        skipped=states["skipped"],
    )


async def _errors(campaign_id: int, split: Sequence[asyncpg.Record]) -> list[ErrorReport]:
    failed = await database.fetch(ERRORS, campaign_id)
    errors = [
        ErrorReport(error_class=line["class"], reason=line["reason"], messages=line["messages"]) for line in failed
    ]
    unknown: Counter[str] = Counter()
    for line in split:
        if line["state"] == RecipientState.UNKNOWN:
            unknown[line["reason"]] += line["rows"]
    errors += [ErrorReport(error_class="unknown", reason=reason, messages=rows) for reason, rows in unknown.items()]
    return sorted(errors, key=lambda error: (-error.messages, error.error_class, error.reason))


async def _curve(campaign_id: int, timezone: str) -> Curve:
    zone = ZoneInfo(timezone)
    lines = [
        (line["hour"].astimezone(zone), line["kind"], line["rows"])
        for line in await database.fetch(CURVE, campaign_id, timezone)
    ]
    interval: Literal["hour", "day"] = "hour" if len({at for at, _, _ in lines}) <= MOST_HOURS else "day"
    points: dict[datetime, CurvePoint] = {}
    for hour, kind, rows in lines:
        at = hour if interval == "hour" else hour.replace(hour=0, minute=0, fold=0)
        point = points.setdefault(at.astimezone(UTC), CurvePoint(at=at))
        setattr(point, kind, getattr(point, kind) + rows)
    return Curve(interval=interval, timezone=timezone, points=[points[at] for at in sorted(points)])


async def _times(campaign_id: int) -> tuple[Durations | None, Durations | None]:
    row = await database.fetch_row(TIMES, campaign_id)
    return (None, None) if row is None else (_durations(row["delivered"]), _durations(row["readed"]))


def _durations(cuts: Sequence[Any] | None) -> Durations | None:
    return None if cuts is None else Durations(median=float(cuts[0]), p90=float(cuts[1]))
