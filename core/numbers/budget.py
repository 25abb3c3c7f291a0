"""The budget of number checks: each number may look up so many phone numbers a minute and a day, and no more.

Too many checks are answered by ``rate-overlimit`` and can end in a ban (WAHA issue 619), so they have a budget of their
own beside that of messages: a bucket that fills evenly, and a limit for any 24 hours.
"""

from datetime import datetime, timedelta

import msgspec

from core import database
from core.numbers.schemas import NumberLimits

PER_MINUTE = 60
PER_DAY = 5_000
BURST_MINUTES = 5
"""The bucket holds what so many minutes bring, so that a pause can be made up for."""
SHORTEST_WAIT = timedelta(seconds=5)
"""One check a second for many waiting messages would be claimed and put back again each second."""

_TAKE = """
INSERT INTO check_budgets AS b (number_id, tokens, filled_at, day_start, day_used)
SELECT $1, $4::float8 - $3::int, $2, $2, $3::int WHERE $3::int <= least($4::float8, $6::int)
ON CONFLICT (number_id) DO UPDATE SET
    tokens = least($4, b.tokens + extract(epoch FROM $2 - b.filled_at)::float8 * $5::float8) - $3,
    filled_at = $2,
    day_start = CASE WHEN b.day_start <= $2 - interval '1 day' THEN $2 ELSE b.day_start END,
    day_used = CASE WHEN b.day_start <= $2 - interval '1 day' THEN $3 ELSE b.day_used + $3 END
WHERE least($4, b.tokens + extract(epoch FROM $2 - b.filled_at)::float8 * $5::float8) >= $3
    AND (b.day_start <= $2 - interval '1 day' OR b.day_used + $3 <= $6)
RETURNING number_id
"""


async def take(number_id: int, count: int, now: datetime) -> timedelta | None:
    """Take ``count`` checks out of a number's budget at once; return how long to wait where it has not as many."""
    settings = await database.fetch_value("SELECT settings FROM numbers WHERE id = $1", number_id)
    limits = msgspec.json.decode(settings if isinstance(settings, str) else "{}", type=NumberLimits)
    per_minute = limits.checks_per_minute or PER_MINUTE
    per_day = limits.checks_per_day or PER_DAY
    taken = await database.fetch_value(
        _TAKE, number_id, now, count, float(per_minute * BURST_MINUTES), per_minute / 60, per_day
    )
    return None if taken is not None else await _wait(number_id, count, now, per_minute / 60, per_day)


async def _wait(number_id: int, count: int, now: datetime, per_second: float, per_day: int) -> timedelta:
    row = await database.fetch_row("SELECT * FROM check_budgets WHERE number_id = $1", number_id)
    if row is None:
        return SHORTEST_WAIT
    day = timedelta(days=1)
    if row["day_used"] + count > per_day and now - row["day_start"] < day:
        left: timedelta = day - (now - row["day_start"])
        return max(left, SHORTEST_WAIT)
    held = row["tokens"] + (now - row["filled_at"]).total_seconds() * per_second
    return max(timedelta(seconds=(count - held) / per_second), SHORTEST_WAIT)
