"""Three messages for each contact, with workers that die between them and people who answer the first."""

import asyncio
import itertools
import os
import random
from collections import defaultdict
from typing import Any

import msgspec
import pytest

from core import database
from tests.e2e.conftest import Platform


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much of everything."""

    recipients: int
    replying: int
    kills: int
    delay: int
    """Seconds between two messages to one contact."""


SMALL = Size(recipients=12, replying=4, kills=2, delay=8)
FULL = Size(recipients=300, replying=100, kills=10, delay=30)
SIZE = FULL if os.environ.get("RECADO_CHAOS") == "full" else SMALL
WORKERS = 2
SETTLED = "SELECT count(*) FROM message_by_contacts WHERE message_id = $1 AND state NOT IN ('pending', 'leased')"


@pytest.mark.slow
@pytest.mark.chaos
@pytest.mark.timeout(600)
async def test_killed_between_the_steps_each_goes_out_once_in_order_and_ends_with_a_reply(platform: Platform) -> None:
    for worker in range(WORKERS):
        await platform.start(f"worker {worker}", "worker")
    number_id = await platform.pair(await platform.add_simulator())
    session = (await platform.get(f"/api/numbers/{number_id}"))["instance"]
    campaign_id, message_ids = await _begin(platform, number_id)

    await _settled(platform, message_ids[0])
    first = await _received(platform)
    replying = set(sorted(first)[: SIZE.replying])
    for phone in replying:
        message = {"session": session, "from": phone.partition("@")[0], "text": "Sim"}
        assert (await platform.phone.post("/simulator/messages", json=message)).is_success
    await _kill_some(platform)
    await _settled(platform, message_ids[1])
    await _kill_some(platform)
    found = await platform.until(
        lambda: platform.get(f"/api/campaigns/{campaign_id}"), lambda row: row["status"] == 4, "the end", 200
    )

    received = await _received(platform)
    assert len(received) == SIZE.recipients
    for phone, messages in received.items():
        texts = [text for _, text in messages]
        assert texts == (["1"] if phone in replying else ["1", "2", "3"])
        gaps = [after[0] - before[0] for before, after in itertools.pairwise(messages)]
        assert all(gap >= SIZE.delay for gap in gaps)
    assert found["totals"]["sent"] == 3 * SIZE.recipients - 2 * SIZE.replying
    assert found["totals"]["skipped"] == 2 * SIZE.replying


async def _begin(platform: Platform, number_id: int) -> tuple[int, list[int]]:
    campaign = await platform.post(
        "/api/campaigns",
        {
            "name": "Steps",
            "type": 3,
            "number_ids": [number_id],
            "public_id": await platform.audience(SIZE.recipients),
            "settings": {"check_numbers": False, "stop_on_reply": True},
            "messages": [{"content": text, "delay": SIZE.delay if text > "1" else 0} for text in "123"],
        },
    )
    await platform.post(f"/api/campaigns/{campaign['id']}/start")
    rows = await database.fetch("SELECT id FROM messages WHERE campaign_id = $1 ORDER BY position", campaign["id"])
    return int(campaign["id"]), [row["id"] for row in rows]


async def _settled(platform: Platform, message_id: int) -> None:
    """Wait until the message is settled for everybody."""
    await platform.until(
        lambda: database.fetch_value(SETTLED, message_id), lambda count: count == SIZE.recipients, "the step", 200
    )


async def _received(platform: Platform) -> dict[str, list[tuple[float, str]]]:
    """Return what each phone got, with its time, in order."""
    found: Any = (await platform.phone.get("/simulator/phone")).json()
    received = defaultdict(list)
    for message in found["messages"]:
        received[message["chat_id"]].append((message["at"], message["text"]))
    return received


async def _kill_some(platform: Platform) -> None:
    rng = random.Random(SIZE.kills)  # noqa: S311 - which worker dies, no secret
    for _ in range(SIZE.kills // 2):
        worker = f"worker {rng.randrange(WORKERS)}"
        await platform.kill(worker)
        await platform.start(worker, "worker")
        await asyncio.sleep(0.5)
