"""Never twice, never lost: workers die and Redis is flushed in the middle of a campaign."""

import os
import random

import pytest

from tests.e2e.conftest import Platform

FULL = os.environ.get("RECADO_CHAOS") == "full"
RECIPIENTS = 2_000 if FULL else 300
KILLS = 10 if FULL else 3
FLUSHES = 2
WORKERS = 2


@pytest.mark.slow
@pytest.mark.chaos
@pytest.mark.timeout(1800)
async def test_killed_workers_and_a_flushed_queue_send_nothing_twice_and_lose_nothing(platform: Platform) -> None:
    for worker in range(WORKERS):
        await platform.start(f"worker {worker}", "worker")
    server = await platform.post(
        "/api/admin/servers",
        {"name": f"simulator {platform.port}", "provider": "waha", "url": str(platform.phone.base_url).rstrip("/")},
    )
    number_id = await platform.pair(int(server["id"]))
    public_id = await platform.audience(RECIPIENTS)
    campaign = await platform.post(
        "/api/campaigns",
        {
            "name": "Kill",
            "type": 3,
            "number_ids": [number_id],
            "public_id": public_id,
            "settings": {"check_numbers": False},
            "messages": [{"content": "Primeira {{ nome }}"}, {"content": "Segunda {{ nome }}"}],
        },
    )
    path = f"/api/campaigns/{campaign['id']}"
    await platform.post(f"{path}/start")
    await _disturb(platform, path)

    found = await platform.until(
        lambda: platform.get(path),
        lambda row: row["status"] == 4 or row["status_reason"] == "needs_attention",
        "the end of the campaign",
    )

    totals = found["totals"]
    assert totals["total"] == RECIPIENTS * 2
    assert (totals["pending"], totals["accepted"]) == (0, 0)
    assert totals["sent"] + totals["failed"] + totals["skipped"] + totals["unknown"] == RECIPIENTS * 2
    received = (await platform.phone.get("/simulator/phone")).json()
    pairs = [(message["chat_id"], message["text"]) for message in received["messages"]]
    assert len(pairs) == len(set(pairs))
    assert totals["sent"] <= len(pairs) <= totals["sent"] + totals["unknown"]


async def _disturb(platform: Platform, path: str) -> None:
    """Kill a worker whenever another part of the campaign is through, and flush Redis in between."""
    rng = random.Random(7)  # noqa: S311 - which worker dies, no secret
    steps = KILLS + FLUSHES
    for step in range(steps):
        threshold = RECIPIENTS * 2 * (step + 1) // (steps + 2)
        await platform.until(
            lambda: platform.get(path),
            lambda row, least=threshold: row["totals"]["sent"] >= least or row["status"] == 4,  # type: ignore[misc]
            f"{threshold} sent messages",
        )
        if step % 3 == 1 and step // 3 < FLUSHES:
            await platform.redis.flushall()
            continue
        worker = f"worker {rng.randrange(WORKERS)}"
        await platform.kill(worker)
        await platform.start(worker, "worker")
