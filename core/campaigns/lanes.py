"""Lanes: one for each sending number, with its due time in PostgreSQL and one holder at a time."""

from collections.abc import Sequence
from datetime import datetime

from core import database
from core.campaigns.turns import HeldLane


async def acquire(
    now: datetime, holder: str, lease_until: datetime, limit: int, *, unpaced_due: datetime | None = None
) -> list[int]:
    """Take up to ``limit`` lanes that are due and held by nobody; return their numbers.

    With ``unpaced_due``, lanes without pauses only if they were due by then.
    """
    rows = await database.fetch(
        "UPDATE lanes SET holder = $2, lease_until = $3 WHERE number_id IN ("
        " SELECT number_id FROM lanes WHERE due_at <= $1 AND (holder IS NULL OR lease_until < $1)"
        " AND (pause_until IS NOT NULL OR due_at <= $5)"
        " ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED) RETURNING number_id",
        now,
        holder,
        lease_until,
        limit,
        unpaced_due or now,
    )
    return [row["number_id"] for row in rows]


async def any_due(now: datetime) -> bool:
    """Whether a lane is due that nobody holds."""
    found = await database.fetch_value(
        "SELECT EXISTS (SELECT FROM lanes WHERE due_at <= $1 AND (holder IS NULL OR lease_until < $1))", now
    )
    return found is True


async def any_held(number_ids: Sequence[int], now: datetime) -> bool:
    """Whether a process holds the lane of one of the numbers."""
    found = await database.fetch_value(
        "SELECT EXISTS (SELECT FROM lanes WHERE number_id = ANY($1::bigint[]) AND lease_until >= $2)",
        list(number_ids),
        now,
    )
    return found is True


async def extend(holder: str, lease_until: datetime) -> None:
    """Renew this process's leases."""
    await database.execute("UPDATE lanes SET lease_until = $2 WHERE holder = $1", holder, lease_until)


async def held(holder: str) -> dict[int, int]:
    """Return the lanes this process still holds: number id to its wake counter."""
    rows = await database.fetch("SELECT number_id, wakes FROM lanes WHERE holder = $1", holder)
    return {row["number_id"]: row["wakes"] for row in rows}


async def release(holder: str, lane: HeldLane, due_at: datetime | None, reason: str) -> bool:
    """Give a lane back with its next due time; ``False`` when somebody woke it meanwhile, and it stays held."""
    changed = await database.execute(
        "UPDATE lanes SET holder = NULL, lease_until = NULL, due_at = $4, wait_reason = $5, burst = $6,"
        " pause_until = $7 WHERE number_id = $1 AND holder = $2 AND wakes = $3",
        lane.number_id,
        holder,
        lane.wakes,
        due_at,
        reason,
        lane.burst,
        lane.next_at,
    )
    return changed == 1


async def give_up(holder: str, held_lanes: Sequence[HeldLane]) -> None:
    """Free every lane of a process that ends, due at once for whoever comes next; pauses and bursts are kept."""
    await database.execute(
        "UPDATE lanes l SET pause_until = g.pause_until, burst = g.burst"
        " FROM unnest($2::bigint[], $3::timestamptz[], $4::int[]) AS g(number_id, pause_until, burst)"
        " WHERE l.number_id = g.number_id AND l.holder = $1",
        holder,
        [lane.number_id for lane in held_lanes],
        [lane.next_at for lane in held_lanes],
        [lane.burst for lane in held_lanes],
    )
    await database.execute("UPDATE lanes SET holder = NULL, lease_until = NULL WHERE holder = $1", holder)


async def wake(campaign_id: int, now: datetime) -> None:
    """Make every number of a campaign due now; whoever holds a lane sees it by the counter."""
    await database.execute(
        "INSERT INTO lanes (number_id, user_id, due_at, wakes, slot, burst, failures, wait_reason, created_at)"
        " SELECT n.number_id, k.user_id, $2, 1, 0, 0, 0, '', $2 FROM campaign_numbers n"
        " JOIN campaigns k ON k.id = n.campaign_id WHERE n.campaign_id = $1 ORDER BY n.number_id"
        " ON CONFLICT (number_id) DO UPDATE SET wakes = lanes.wakes + 1,"
        " due_at = least(coalesce(lanes.due_at, excluded.due_at), excluded.due_at)",
        campaign_id,
        now,
    )


async def wake_numbers(due: Sequence[tuple[int, datetime]]) -> None:
    """Make lanes due no later than given: (number id, moment)."""
    if not due:
        return
    await database.execute(
        "UPDATE lanes l SET wakes = wakes + 1, due_at = least(coalesce(l.due_at, d.due_at), d.due_at)"
        " FROM (SELECT number_id, min(due_at) AS due_at FROM unnest($1::bigint[], $2::timestamptz[])"
        " AS d(number_id, due_at) GROUP BY number_id ORDER BY number_id) d WHERE l.number_id = d.number_id",
        [number_id for number_id, _ in due],
        [moment for _, moment in due],
    )


async def open_breaker(number_id: int, until: datetime) -> None:
    """Try nothing on a lane before ``until``."""
    await database.execute(
        "UPDATE lanes SET open_until = $2, failures = failures + 1 WHERE number_id = $1", number_id, until
    )


async def close_breaker(number_id: int) -> None:
    """Forget the failures of a lane that works again."""
    await database.execute(
        "UPDATE lanes SET open_until = NULL, failures = 0 WHERE number_id = $1 AND failures > 0", number_id
    )


async def next_due(number_id: int, campaign_ids: Sequence[int]) -> datetime | None:
    """Return when the earliest pending row that ``number_id`` may send is due."""
    moment = await database.fetch_value(
        "SELECT min(due_at) FROM unnest($2::bigint[]) AS k(id) CROSS JOIN LATERAL ("
        " (SELECT due_at FROM message_by_contacts WHERE campaign_id = k.id AND number_id = $1 AND state = 'pending'"
        "  AND due_at IS NOT NULL ORDER BY due_at LIMIT 1)"
        " UNION ALL (SELECT due_at FROM message_by_contacts WHERE campaign_id = k.id AND number_id IS NULL"
        "  AND state = 'pending' AND due_at IS NOT NULL ORDER BY number_id, due_at LIMIT 1)) r",
        number_id,
        list(campaign_ids),
    )
    return moment if isinstance(moment, datetime) else None
