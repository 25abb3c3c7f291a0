"""Processes that stop at the worst moment, and a queue that forgets while everybody sleeps."""

import signal
from typing import Any

import pytest

from core import database
from tests.e2e.conftest import Platform

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]

LONG_SECONDS = 90.0


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


async def _stop_after_the_claim(platform: Platform, number_id: int) -> int:
    """Stop the worker ``stopped`` between its claim and its request: a lock holds the claim up until it is stopped."""
    async with database.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        public_id = await platform.audience(1)
        # The claim has to wait for this row, which is then taken back.
        await connection.execute(
            "INSERT INTO contact_activity (contact_id, user_id, claims, day_start, day_used, unanswered, campaign_id,"
            " last_at) SELECT c.id, c.user_id, 1, now(), 1, 1, 0, now() FROM public_by_contacts p"
            " JOIN contacts c ON c.id = p.contact_id WHERE p.public_id = $1",
            public_id,
        )
        campaign_id = await _campaign(platform, number_id, public_id)
        await platform.until(_waiting_claims, lambda count: count == 1, "the claim")
        await platform.stop("stopped")
        await transaction.rollback()
    await platform.until(lambda: _row(campaign_id), lambda row: row["state"] == "leased", "the lease")
    assert await _texts(platform) == []
    await platform.start("other", "worker")
    return campaign_id


async def test_a_worker_stopped_between_claim_and_request_does_not_send_when_it_wakes(platform: Platform) -> None:
    await platform.start("stopped", "worker")
    number_id = await platform.pair(await platform.add_simulator())
    campaign_id = await _stop_after_the_claim(platform, number_id)
    # Nobody can tell whether it was sent, until the one who knows wakes: the store holds nothing as old as that.
    await platform.until(
        lambda: _row(campaign_id), lambda row: row["reason"] == "store_too_young", "the look-up", LONG_SECONDS
    )
    platform.signal("stopped", signal.SIGCONT)
    await platform.until(lambda: _row(campaign_id), lambda row: row["state"] == "sent", "the second attempt")

    assert (await _first_attempt(campaign_id))["code"] == "lease_ran_out"
    row = await _row(campaign_id)
    assert (row["state"], row["attempt"]) == ("sent", 2)
    assert len(await _texts(platform)) == 1


async def test_what_a_stopped_worker_never_sent_is_sent_by_another_and_not_again_when_it_wakes(
    platform: Platform,
) -> None:
    await platform.start("stopped", "worker")
    number_id = await platform.pair(await platform.add_simulator())
    instance = await database.fetch_value("SELECT instance FROM numbers WHERE id = $1", number_id)
    older = {"session": instance, "from": "5511987650000", "text": "Oi"}
    assert (await platform.phone.post("/simulator/messages", json=older)).is_success
    campaign_id = await _stop_after_the_claim(platform, number_id)
    # The store holds what is older, so that the message is certainly not in it.
    await platform.until(
        lambda: _row(campaign_id), lambda row: row["state"] == "sent", "the second attempt", LONG_SECONDS
    )
    platform.signal("stopped", signal.SIGCONT)
    await platform.until(
        lambda: _first_attempt(campaign_id), lambda attempt: attempt["code"] == "lease_ran_out", "the first's record"
    )

    row = await _row(campaign_id)
    assert (row["state"], row["attempt"], row["requeues"]) == ("sent", 2, 1)
    assert len(await _texts(platform)) == 1


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


async def _waiting_claims() -> object:
    return await database.fetch_value(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        # Others wait for each other at times, planners of notifications for instance.
        " AND ltrim(query, E'\\n') LIKE 'WITH want AS%'"
    )


async def _row(campaign_id: int) -> Any:
    return await database.fetch_row("SELECT * FROM message_by_contacts WHERE campaign_id = $1", campaign_id)


async def _first_attempt(campaign_id: int) -> Any:
    row = await _row(campaign_id)
    return await database.fetch_row(
        "SELECT code FROM message_attempts WHERE recipient_id = $1 AND attempt = 1", row["id"]
    )
