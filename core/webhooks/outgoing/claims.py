"""Which deliveries are attempted now, by whom, and what becomes of them.

An attempt is a lease of the row: a process that dies lets go of it by time, and the delivery is repeated with the same
id. Over all processes no endpoint and no tenant has more than some attempts in the air, and who has the fewest comes
first, so one that never answers, or is slow, keeps nobody waiting but itself.
"""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from core import database

LEASE = timedelta(seconds=30)
"""Longer than an attempt may take."""
PER_ENDPOINT = 8
"""Attempts in the air at one endpoint; one that fails has a single one until it takes something again."""
PER_TENANT = 16
"""Attempts in the air at all endpoints of one tenant."""
LOCK_KEY = 0x7263_7768
_BACK_OFF_SECONDS = (5, 30, 120, 600, 1800, 3600, 7200, 14_400)
"""After the first failure, the second and so on; the last of them for every further one."""
JITTER = 0.2

_READY = "d.status = 'pending' AND d.due_at <= now()"
# One claim at a time: two that count side by side would both fill the same room. A statement of its own, since one sees
# what was committed before it began. A process that is stopped here loses its connection, and the others go on.
_ALONE = "SELECT set_config('idle_in_transaction_session_timeout', '5s', true), pg_advisory_xact_lock($1)"
# The recursion steps from one endpoint with open deliveries to the next in the index, however many each has. The arrays
# have the rows looked up by their key: a join reads all that is due where the planner has no statistics yet. Whatever
# somebody else has locked is passed over, and nobody is waited for.
_CLAIM = f"""
WITH RECURSIVE waiting(endpoint_id) AS (
    (SELECT endpoint_id FROM webhook_deliveries WHERE status = 'pending' ORDER BY endpoint_id LIMIT 1)
    UNION ALL
    SELECT (SELECT d.endpoint_id FROM webhook_deliveries d WHERE d.status = 'pending' AND d.endpoint_id > w.endpoint_id
            ORDER BY d.endpoint_id LIMIT 1)
    FROM waiting w WHERE w.endpoint_id IS NOT NULL
), ready AS MATERIALIZED (
    SELECT e.id, e.user_id, CASE WHEN e.failing_since IS NULL THEN $2::int ELSE 1 END AS most
    FROM webhook_endpoints e WHERE e.id IN (SELECT endpoint_id FROM waiting) AND e.status = 'active'
        AND EXISTS (SELECT FROM webhook_deliveries d WHERE d.endpoint_id = e.id AND {_READY})
), flying AS MATERIALIZED (
    SELECT u.user_id, a.endpoint_id, a.many FROM (SELECT DISTINCT user_id FROM ready) u CROSS JOIN LATERAL (
        SELECT d.endpoint_id, count(*)::int AS many FROM webhook_deliveries d
        WHERE d.user_id = u.user_id AND d.lease_until IS NOT NULL AND d.lease_until > now() GROUP BY d.endpoint_id
    ) a
), roomy AS MATERIALIZED (
    SELECT r.id, coalesce(f.many, 0) AS many, r.most - coalesce(f.many, 0) AS room, t.load,
        row_number() OVER (PARTITION BY r.user_id ORDER BY coalesce(f.many, 0), random()) AS turn
    FROM ready r LEFT JOIN flying f ON f.endpoint_id = r.id
        CROSS JOIN LATERAL (SELECT coalesce(sum(g.many), 0) AS load FROM flying g WHERE g.user_id = r.user_id) t
    WHERE r.most > coalesce(f.many, 0) AND t.load < $3::int
), chosen AS MATERIALIZED (
    SELECT e.id, e.user_id, coalesce(e.url, n.webhook_url, '') AS url, e.secret, e.previous_secrets, r.many, r.room,
        r.load, r.turn
    FROM roomy r JOIN webhook_endpoints e ON e.id = r.id LEFT JOIN numbers n ON n.id = e.number_id
    WHERE e.status = 'active' ORDER BY r.load + r.turn, random() LIMIT $1 FOR NO KEY UPDATE OF e SKIP LOCKED
), fair AS MATERIALIZED (
    SELECT o.id FROM (
        SELECT f.id, c.load + row_number() OVER (PARTITION BY c.user_id ORDER BY c.many + f.place, c.turn) AS load
        FROM chosen c CROSS JOIN LATERAL (
            SELECT d.id, row_number() OVER (ORDER BY d.due_at, d.id) AS place FROM webhook_deliveries d
            WHERE d.endpoint_id = c.id AND {_READY} ORDER BY d.due_at, d.id LIMIT c.room
        ) f
    ) o WHERE o.load <= $3 ORDER BY o.load, random() LIMIT $1
), taken AS MATERIALIZED (
    SELECT d.id FROM webhook_deliveries d WHERE d.id = ANY(ARRAY(SELECT id FROM fair)) AND {_READY}
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE webhook_deliveries d SET attempts = d.attempts + 1, attempted_at = now(),
    lease_until = now() + $4::interval, due_at = now() + $4::interval
FROM chosen c WHERE d.id = ANY(ARRAY(SELECT id FROM taken)) AND c.id = d.endpoint_id
RETURNING d.id, d.endpoint_id, d.event_id, d.body, d.attempts, c.url, c.secret,
    ARRAY(SELECT p ->> 'secret' FROM jsonb_array_elements(c.previous_secrets) p
          WHERE (p ->> 'until')::timestamptz > now() ORDER BY (p ->> 'until')::timestamptz DESC) AS previous_secrets,
    extract(epoch FROM now())::bigint AS timestamp
"""
_DUE = f"""
SELECT EXISTS (SELECT FROM webhook_deliveries d JOIN webhook_endpoints e ON e.id = d.endpoint_id
    WHERE {_READY} AND e.status = 'active')
"""
_DELIVERED = """
UPDATE webhook_deliveries SET status = 'delivered', finished_at = now(), lease_until = NULL, response_code = $3,
    response_body = $4, error = ''
WHERE id = $1 AND attempts = $2 AND status = 'pending'
RETURNING id, endpoint_id, user_id, event_id, type, attempts, status, give_up_at
"""
_FAILED = """
UPDATE webhook_deliveries SET status = CASE WHEN now() >= give_up_at OR $7 THEN 'failed' ELSE 'pending' END,
    finished_at = CASE WHEN now() >= give_up_at OR $7 THEN now() END, lease_until = NULL, response_code = $3,
    response_body = $4, error = $5, due_at = greatest(now(), least(give_up_at, now() + $6::interval))
WHERE id = $1 AND attempts = $2 AND status = 'pending'
RETURNING id, endpoint_id, user_id, event_id, type, attempts, status, give_up_at
"""


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that this process attempts now."""

    id: int
    endpoint_id: int
    event_id: str
    body: str
    attempts: int
    """This one among them."""
    url: str
    secret: str
    """Encrypted, as the next."""
    previous_secrets: tuple[str, ...]
    """Those that sign too, the newest first."""
    timestamp: int
    """When the attempt began, in Unix seconds by the database's clock."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an attempt."""

    status: int | None = None
    body: str = ""
    error: str = ""
    """Empty when it was delivered."""


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery after an attempt was written down."""

    id: int
    endpoint_id: int
    user_id: int
    event_id: str
    type: str
    attempts: int
    status: str
    give_up_at: datetime


async def claim(most: int) -> Sequence[Claimed]:
    """Take up to ``most`` deliveries that are due, of as many tenants as possible; the lease begins now."""
    async with database.unit_of_work():
        await database.execute(_ALONE, LOCK_KEY)
        rows = await database.fetch(_CLAIM, most, PER_ENDPOINT, PER_TENANT, LEASE)
    return [msgspec.convert(row, Claimed) for row in rows]


async def any_due() -> bool:
    """Whether a delivery waits to be attempted, perhaps of a tenant who has enough of them in the air."""
    return bool(await database.fetch_value(_DUE))


async def record_success(claimed: Claimed, outcome: Outcome) -> Recorded | None:
    """Write down that a delivery arrived; ``None`` when another attempt, or the endpoint's end, came before."""
    row = await database.fetch_row(_DELIVERED, claimed.id, claimed.attempts, outcome.status, outcome.body)
    return None if row is None else msgspec.convert(row, Recorded)


async def record_failure(claimed: Claimed, outcome: Outcome, *, final: bool) -> Recorded | None:
    """Write down a failure and when the next attempt is, if there is one; otherwise as ``record_success``."""
    row = await database.fetch_row(
        _FAILED,
        claimed.id,
        claimed.attempts,
        outcome.status,
        outcome.body,
        outcome.error,
        back_off(claimed.attempts),
        final,
    )
    return None if row is None else msgspec.convert(row, Recorded)


def back_off(attempts: int) -> timedelta:
    """Return how long to wait after the last of ``attempts`` failures, by chance a little more or less."""
    seconds = _BACK_OFF_SECONDS[min(attempts, len(_BACK_OFF_SECONDS)) - 1]
    return timedelta(seconds=seconds * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 - no secret
