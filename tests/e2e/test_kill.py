"""Never twice, never lost: workers die, Redis is flushed, PostgreSQL crashes and answers are lost in one campaign."""

import asyncio
import os
import random
from collections import Counter
from typing import Any

import asyncpg
import msgspec
import pytest

from core import database
from core.embedded import EmbeddedServers
from core.embedded.postgres import Postgres
from tests.e2e.conftest import Platform

SLOTS = 64
"""Messages that one worker may have on the wire."""
LATE_SECONDS = 5.0
"""Longer than the plugin waits for an answer."""
STATES = ("accepted", "sent", "failed", "unknown", "skipped")
STANDING = """
SELECT k.status, k.status_reason,
    (SELECT coalesce(sum(accepted + sent + failed + skipped + unknown), 0)::int FROM campaign_counters c
     WHERE c.campaign_id = k.id) AS settled,
    k.status = 4 AND EXISTS (SELECT FROM message_by_contacts m WHERE m.campaign_id = k.id
                             AND m.state IN ('pending', 'leased', 'accepted')) AS completed_too_early,
    EXISTS (SELECT FROM message_by_contacts m WHERE m.campaign_id = k.id AND m.state = 'unknown'
            AND m.lease_until IS NOT NULL) AS looking_up
FROM campaigns k WHERE k.id = $1
"""


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much of everything."""

    recipients: int
    workers: int
    numbers: int
    kills: int
    flushes: int
    restarts: int
    lost: float
    """The share of answers dropped, and of those that come after the client gave up."""
    seconds: float
    """How long the campaign may take after the last disturbance."""


SMALL = Size(recipients=400, workers=2, numbers=3, kills=3, flushes=1, restarts=1, lost=0.02, seconds=100)
FULL = Size(recipients=100_000, workers=4, numbers=16, kills=50, flushes=5, restarts=2, lost=0.01, seconds=1_800)
SIZE = FULL if os.environ.get("RECADO_CHAOS") == "full" else SMALL


@pytest.mark.slow
@pytest.mark.chaos
@pytest.mark.timeout(3_600)
async def test_whatever_dies_nothing_is_sent_twice_and_nothing_is_lost(
    shakeable: tuple[Platform, EmbeddedServers],
) -> None:
    platform, servers = shakeable
    campaign_id = await _begin(platform)
    await _disturb(platform, servers, campaign_id)
    ended = await _until(campaign_id, _is_over, "the end of the campaign", SIZE.seconds)

    states = Counter(
        {
            row["state"]: row["n"]
            for row in await database.fetch(
                "SELECT state, count(*) AS n FROM message_by_contacts WHERE campaign_id = $1 GROUP BY state",
                campaign_id,
            )
        }
    )
    orders = (await platform.phone.get("/simulator/faults")).json()
    lost_answers = sum(order["struck"] for order in orders)
    in_flight = SLOTS * (SIZE.kills + SIZE.workers * SIZE.restarts)
    received = (await platform.phone.get("/simulator/phone", timeout=120)).json()
    print(  # noqa: T201 - the figures of a long run
        f"recipients={SIZE.recipients} states={dict(states)} arrived={received['count']} lost_answers={lost_answers}"
        f" kills={SIZE.kills} flushes={SIZE.flushes} restarts={SIZE.restarts} status={ended['status_reason']}"
    )

    assert received["duplicates"] == []
    assert states.total() == SIZE.recipients
    assert set(states) <= {"sent", "failed", "skipped", "unknown"}
    assert states["sent"] <= received["count"] <= states["sent"] + states["unknown"]
    assert lost_answers > 0
    assert states["unknown"] <= in_flight + lost_answers
    assert ended["status"] == (2 if states["unknown"] else 4)
    assert await _counters(campaign_id) == {state: states[state] for state in STATES}


async def _begin(platform: Platform) -> int:
    """Start the workers, the trouble with answers, and the campaign."""
    for worker in range(SIZE.workers):
        await platform.start(f"worker {worker}", "worker")
    server_id = await platform.add_simulator()
    phones = [f"55118{70000000 + place}" for place in range(SIZE.numbers)]
    number_ids = await asyncio.gather(*(platform.pair(server_id, phone) for phone in phones))
    public_id = await platform.audience(SIZE.recipients)
    for kind in ("drop_response", "late_success"):
        fault = {"kind": kind, "count": -1, "share": SIZE.lost, "seconds": LATE_SECONDS}
        assert (await platform.phone.post("/simulator/faults", json=fault)).is_success
    campaign = await platform.post(
        "/api/campaigns",
        {
            "name": "Kill",
            "type": 3,
            "number_ids": number_ids,
            "public_id": public_id,
            "settings": {"check_numbers": False},
            "messages": [{"content": "Oi {{ nome }}"}],
        },
    )
    await platform.post(f"/api/campaigns/{campaign['id']}/start")
    return int(campaign["id"])


async def _disturb(platform: Platform, servers: EmbeddedServers, campaign_id: int) -> None:
    """Do one harm whenever another part of the campaign is through, in a mixed and repeatable order."""
    rng = random.Random(7)  # noqa: S311 - which worker dies, no secret
    harms = ["kill"] * SIZE.kills + ["flush"] * SIZE.flushes + ["restart"] * SIZE.restarts
    rng.shuffle(harms)
    for place, harm in enumerate(harms):
        least = SIZE.recipients * 9 * (place + 1) // (10 * (len(harms) + 1))
        await _until(
            campaign_id,
            lambda row, least=least: row["settled"] >= least or _is_over(row),
            f"{least} settled recipients",
            300,
        )
        match harm:
            case "flush":
                await platform.redis.flushall()
            case "restart":
                await _crash(servers)
            case _:
                worker = f"worker {rng.randrange(SIZE.workers)}"
                await platform.kill(worker)
                await platform.start(worker, "worker")


async def _crash(servers: EmbeddedServers) -> None:
    """End PostgreSQL at once, without a checkpoint, and start it again, which recovers."""
    (postgres,) = (server for server in servers.running if isinstance(server, Postgres))
    assert postgres.process is not None
    postgres.kill()
    await postgres.process.wait()
    await postgres.start()


def _is_over(row: Any) -> bool:
    """Whether nothing changes any more: what is in doubt was looked up, and waits for a person."""
    return bool((row["status"] == 4 or row["status_reason"] == "needs_attention") and not row["looking_up"])


async def _until(campaign_id: int, fits: Any, what: str, seconds: float) -> Any:
    """Watch the campaign until it fits; it must at no moment be completed with a row that is open."""
    row: Any = None
    deadline = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < deadline:
        try:
            row = await database.fetch_row(STANDING, campaign_id)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await asyncio.sleep(0.2)  # the server was restarted, and the pool opens new connections
            continue
        assert not row["completed_too_early"]
        if fits(row):
            return row
        await asyncio.sleep(0.1)
    raise AssertionError(f"waited {seconds} s for {what}: {row}")


async def _counters(campaign_id: int) -> dict[str, int]:
    columns = ", ".join(f"coalesce(sum({name}), 0)::int AS {name}" for name in STATES)
    row = await database.fetch_row(f"SELECT {columns} FROM campaign_counters WHERE campaign_id = $1", campaign_id)
    assert row is not None
    return dict(row)
