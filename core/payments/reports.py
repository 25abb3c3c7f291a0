"""Reports for administrators: what came in, and how many subscribe, month by month in UTC."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import TypeVar

import msgspec
from litestar.response import Stream

from core import database
from core.payments.schemas import RevenueRow, SubscriptionsRow
from core.spreadsheets import download, write_structs

_R = TypeVar("_R", bound=msgspec.Struct)

# What was paid back counts against the month of its payment, so that a month's line says what is left of it.
_REVENUE = """
SELECT to_char(date_trunc('month', p.at AT TIME ZONE 'UTC'), 'YYYY-MM') AS month, p.gateway, p.currency,
    count(*) FILTER (WHERE p.status = 'completed') AS payments,
    coalesce(sum(p.amount) FILTER (WHERE p.status = 'completed'), 0) AS amount,
    coalesce(sum(p.refunded_amount) FILTER (WHERE p.status = 'completed'), 0) AS refunded,
    coalesce(sum(p.amount - p.refunded_amount) FILTER (WHERE p.status = 'completed'), 0) AS net,
    count(*) FILTER (WHERE p.status = 'failed') AS failed,
    count(*) FILTER (WHERE p.disputed) AS disputed
FROM (SELECT *, coalesce(paid_at, created_at) AS at FROM payments) p
WHERE ($1::timestamptz IS NULL OR p.at >= $1) AND ($2::timestamptz IS NULL OR p.at < $2)
    AND ($3::text IS NULL OR p.gateway = $3)
GROUP BY 1, 2, 3 ORDER BY 1 DESC, 2, 3
"""
# One that never gave access was never a subscription; one too many is none.
_SUBSCRIPTIONS = """
WITH kept AS (
    SELECT gateway, created_at AS since, closed_at AS until FROM subscriptions
    WHERE access_until IS NOT NULL AND NOT duplicate AND ($3::text IS NULL OR gateway = $3)
), months AS (
    SELECT generate_series(
        date_trunc('month', coalesce($1::timestamptz, (SELECT min(since) FROM kept), now()) AT TIME ZONE 'UTC'),
        date_trunc('month', coalesce($2::timestamptz - interval '1 microsecond', now()) AT TIME ZONE 'UTC'),
        interval '1 month') AT TIME ZONE 'UTC' AS start
)
SELECT to_char(m.start AT TIME ZONE 'UTC', 'YYYY-MM') AS month, k.gateway,
    count(*) FILTER (WHERE k.since >= m.start) AS new,
    count(*) FILTER (WHERE k.until >= m.start AND k.until < m.start + interval '1 month') AS lost,
    count(*) FILTER (WHERE k.until IS NULL OR k.until >= m.start + interval '1 month') AS active
FROM months m JOIN kept k ON k.since < m.start + interval '1 month' AND (k.until IS NULL OR k.until >= m.start)
GROUP BY 1, 2 ORDER BY 1 DESC, 2 LIMIT 2000
"""


async def revenue(since: datetime | None, until: datetime | None, gateway: str | None) -> list[RevenueRow]:
    """Return what came in by month, gateway and currency, the latest month first."""
    rows = await database.fetch(_REVENUE, since, until, gateway)
    return [msgspec.convert(dict(row), RevenueRow) for row in rows]


async def subscriptions(since: datetime | None, until: datetime | None, gateway: str | None) -> list[SubscriptionsRow]:
    """Return new, lost and, at the month's end, active subscriptions by month and gateway, the latest month first."""
    rows = await database.fetch(_SUBSCRIPTIONS, since, until, gateway)
    return [msgspec.convert(dict(row), SubscriptionsRow) for row in rows]


async def as_csv(name: str, kind: type[_R], rows: Sequence[_R]) -> Stream:
    """Return a report as a CSV file."""

    async def portions() -> AsyncIterator[Sequence[_R]]:
        yield rows

    return await download(name, write_structs(kind, portions()))
