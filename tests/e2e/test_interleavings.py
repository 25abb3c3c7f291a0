"""A queue that forgets while everybody sleeps."""

from typing import Any

import pytest

from core import database
from tests.e2e.conftest import Platform

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]


async def _campaign(platform: Platform, number_id: int, public_id: int, **fields: Any) -> int:
    """Make and start a campaign to new people."""
    body = {
        "name": "Interleaved",
        "type": 3,
        "number_ids": [number_id],
        "public_id": public_id,
        "settings": {"check_numbers": False},
        "messages": [{"content": "Oi {{ nome }}"}],
        **fields,
    }
    campaign_id = int((await platform.post("/api/campaigns", body))["id"])
    await platform.post(f"/api/campaigns/{campaign_id}/start")
    return campaign_id


async def _texts(platform: Platform) -> list[str]:
    received = (await platform.phone.get("/simulator/phone")).json()
    return [message["text"] for message in received["messages"]]


async def test_a_queue_flushed_while_every_lane_sleeps_wakes_them_in_time(platform: Platform) -> None:
    await platform.start("worker")
    number_id = await platform.pair(await platform.add_simulator())
    messages = [{"content": "Um"}, {"content": "Dois", "delay": 3600}]
    campaign_id = await _campaign(platform, number_id, await platform.audience(5), messages=messages)
    await platform.until(
        lambda: database.fetch_value(
            "SELECT count(*) FROM message_by_contacts m JOIN lanes l ON l.number_id = m.number_id"
            " WHERE m.campaign_id = $1 AND m.state = 'sent' AND l.holder IS NULL AND l.due_at > now()",
            campaign_id,
        ),
        lambda count: count == 5,
        "the first messages, and the lane asleep",
    )
    await platform.redis.flushall()
    # The hour is over.
    for table, key in (("message_by_contacts", f"campaign_id = {campaign_id}"), ("lanes", f"number_id = {number_id}")):
        await database.execute(
            f"UPDATE {table} SET due_at = due_at - interval '1 hour' WHERE {key} AND due_at IS NOT NULL"
        )
    await platform.until(
        lambda: platform.get(f"/api/campaigns/{campaign_id}"), lambda found: found["status"] == 4, "the end"
    )
    assert sorted(await _texts(platform)) == ["Dois"] * 5 + ["Um"] * 5
