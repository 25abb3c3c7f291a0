"""Two thousand numbers that send a message every two to five seconds, all from one worker process."""

import asyncio
import secrets
import statistics
from pathlib import Path

import msgspec

from bench.dispatch import Tenant, make_number, make_tenant, sink, worker_process
from core import database
from core.campaigns import lanes
from core.campaigns.pacing import Pacing
from core.clock import synced_clock

DELAYS = tuple(2 + 3 * place / 19 for place in range(20))
"""Seconds between two messages of a number, the same for each campaign's hundred: so it is known when one was due."""
NUMBERS_EACH = 100
SETTLE_SECONDS = 12
"""After the start all numbers are due at once; by then they have spread."""
MEASURED_SECONDS = 30

LATENESS = """
SELECT (extract(epoch FROM claimed_at - before) - $2::float8) * 1000 AS late FROM (
    SELECT m.claimed_at, lag(m.claimed_at) OVER (PARTITION BY m.number_id ORDER BY m.claimed_at) AS before,
        min(m.claimed_at) OVER () AS first
    FROM message_by_contacts m WHERE m.campaign_id = $1 AND m.claimed_at IS NOT NULL) c
WHERE claimed_at > first + make_interval(secs => $3) AND before IS NOT NULL
"""


class Lanes(msgspec.Struct, frozen=True):
    """The 99th percentile and the median of how late messages left, in milliseconds; and the worker's peak memory."""

    late_p99_ms: float
    late_median_ms: float
    messages_per_second: float
    rss_mb: float


async def measure() -> Lanes:
    """Let one worker process send for a while."""
    with sink() as sink_url:
        tenant = await make_tenant(sink_url)
        campaigns = {delay: await _campaign(tenant, delay) for delay in DELAYS}
        with worker_process() as process:
            await asyncio.sleep(SETTLE_SECONDS + MEASURED_SECONDS)
            rss_mb = peak_mb(process.pid)
        await database.execute("UPDATE campaigns SET status = 3 WHERE user_id = $1", tenant.user_id)
    late: list[float] = []
    for delay, campaign_id in campaigns.items():
        rows = await database.fetch(LATENESS, campaign_id, delay, SETTLE_SECONDS)
        late += [float(row["late"]) for row in rows]
    cuts = statistics.quantiles(late, n=100)
    return Lanes(cuts[98], cuts[49], len(late) / MEASURED_SECONDS, rss_mb)


def peak_mb(pid: int) -> float:
    """Return the most memory a process has had, in megabytes (``VmHWM`` of proc(5))."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(peak.split()[1]) / 1024


async def _campaign(tenant: Tenant, delay: float) -> int:
    """Write a frozen campaign with enough messages for all of its numbers."""
    number_ids = [await make_number(tenant.user_id, tenant.server_id) for _ in range(NUMBERS_EACH)]
    messages = NUMBERS_EACH * (round((SETTLE_SECONDS + MEASURED_SECONDS) / delay) + 3)
    pacing = Pacing(delay_min=delay, delay_max=delay)
    campaign_id = int(
        str(
            await database.fetch_value(
                "INSERT INTO campaigns (user_id, name, type, status, settings, started_at, frozen_at, total)"
                " VALUES ($1, $2, 3, 2, $3, now(), now(), $4) RETURNING id",
                tenant.user_id,
                secrets.token_hex(4),
                database.encode_json({"pacing": pacing, "check_numbers": False}),
                messages,
            )
        )
    )
    await database.execute(
        "INSERT INTO campaign_numbers (campaign_id, number_id) SELECT $1, unnest($2::bigint[])", campaign_id, number_ids
    )
    message_id = await database.fetch_value(
        "INSERT INTO messages (campaign_id, position, content) VALUES ($1, 1, 'Olá {{ nome }}') RETURNING id",
        campaign_id,
    )
    await database.execute(
        "INSERT INTO message_by_contacts (user_id, campaign_id, message_id, contact_id, address, provider_address,"
        " variables, due_at) SELECT $1, $2, $3, id, number, number, jsonb_build_object('nome', name), now()"
        " FROM contacts WHERE user_id = $1 ORDER BY id LIMIT $4",
        tenant.user_id,
        campaign_id,
        message_id,
        messages,
    )
    await database.execute("ANALYZE message_by_contacts")
    await lanes.wake(campaign_id, (await synced_clock()).now())
    return campaign_id
