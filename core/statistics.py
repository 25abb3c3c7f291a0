"""``/api/admin/stats``: the platform in numbers, gathered from the domains it concerns."""

import datetime as dt
from datetime import datetime
from decimal import Decimal
from typing import Annotated

import msgspec
from litestar import Controller, get

from core import database
from core.pagination import Resource
from core.problems import problem_responses
from core.security import requires_administrator

HOURS = 24
MONTHS = 12

_USERS = """
SELECT count(*) AS total, count(*) FILTER (WHERE status = 'active') AS active,
    count(*) FILTER (WHERE created_at > now() - interval '30 days') AS new,
    count(*) FILTER (WHERE last_login_at > now() - interval '30 days') AS seen
FROM users WHERE deleted_at IS NULL
"""
_NUMBERS = """
SELECT count(*) AS total, count(*) FILTER (WHERE status_connection) AS online,
    count(*) FILTER (WHERE restricted_until > now()) AS restricted
FROM numbers WHERE deleted_at IS NULL
"""
_CAMPAIGNS = """
SELECT count(*) FILTER (WHERE status = 2) AS running, count(*) FILTER (WHERE status = 3) AS paused
FROM campaigns WHERE deleted_at IS NULL
"""
# Number by number, since the attempts are found by number and time.
_MESSAGES = """
SELECT h.hour, coalesce(m.messages, 0) AS messages
FROM generate_series(date_trunc('hour', now()) - make_interval(hours => $1 - 1), now(), interval '1 hour') AS h(hour)
LEFT JOIN (
    SELECT date_trunc('hour', a.claimed_at) AS hour, count(*) AS messages
    FROM numbers n CROSS JOIN LATERAL (SELECT claimed_at FROM message_attempts WHERE number_id = n.id
        AND claimed_at >= date_trunc('hour', now()) - make_interval(hours => $1 - 1) AND outcome = 'accepted') a
    GROUP BY 1) m ON m.hour = h.hour
ORDER BY h.hour
"""
_REVENUE = """
SELECT date_trunc('month', created_at)::date AS month, currency, sum(amount) AS amount, count(*) AS payments
FROM payments WHERE status = 'completed'
    AND created_at >= date_trunc('month', now()) - make_interval(months => $1 - 1)
GROUP BY 1, 2 ORDER BY 1, 2
"""


class UserCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Accounts."""

    total: int
    active: int
    new: int
    """Made in the last 30 days."""
    seen: int
    """Signed in within the last 30 days."""


class NumberCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Sending numbers."""

    total: int
    online: int
    restricted: int
    """The service refuses their messages to people never written to."""


class CampaignCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Campaigns that are not over."""

    running: int
    paused: int


class HourCount(msgspec.Struct, frozen=True, kw_only=True):
    """Messages that services took in one hour."""

    hour: datetime
    messages: int


class MonthRevenue(msgspec.Struct, frozen=True, kw_only=True):
    """Completed payments of one month in one currency."""

    month: dt.date
    currency: Annotated[str, msgspec.Meta(examples=["BRL"])]
    amount: Annotated[Decimal, msgspec.Meta(description="A decimal string.", examples=["199.60"])]
    payments: int


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """The platform in numbers."""

    users: UserCounts
    numbers: NumberCounts
    campaigns: CampaignCounts
    messages: list[HourCount]
    """The last 24 hours, the present one last."""
    revenue: list[MonthRevenue]
    """The last 12 months; months without payments are left out."""


class StatisticsController(Controller):
    """The platform in numbers."""

    path = "/api/admin/stats"
    tags = ("administration",)
    guards = (requires_administrator,)

    @get(operation_id="AdminShowStatistics", summary="Show the statistics", responses=problem_responses(401, 403))
    async def show_statistics(self) -> Resource[Statistics]:
        """Count users, numbers, campaigns, messages by the hour and revenue by the month."""
        return Resource(await gather_statistics())


async def gather_statistics() -> Statistics:
    """Count everything as it is now."""
    users, numbers, campaigns = [await database.fetch_row(query) for query in (_USERS, _NUMBERS, _CAMPAIGNS)]
    return Statistics(
        users=msgspec.convert(dict(users or {}), UserCounts),
        numbers=msgspec.convert(dict(numbers or {}), NumberCounts),
        campaigns=msgspec.convert(dict(campaigns or {}), CampaignCounts),
        messages=[msgspec.convert(dict(row), HourCount) for row in await database.fetch(_MESSAGES, HOURS)],
        revenue=[msgspec.convert(dict(row), MonthRevenue) for row in await database.fetch(_REVENUE, MONTHS)],
    )


CONTROLLERS: tuple[type[Controller], ...] = (StatisticsController,)
