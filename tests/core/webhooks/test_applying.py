"""Stored events and their handlers: applied once, in batches, with nothing lost and nothing blocked."""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from core import database
from core.plugin import ForeignMessageEvent
from core.runtime import runtime
from core.webhooks import applying, handlers, services
from core.webhooks.handlers import StoredEvent, event_handler
from tests.core.numbers.messaging import Waha, add_number, add_server, eventually
from tests.core.webhooks.deliveries import Hook, deliver, hook_of, own_message, status, stored

KIND = "message_out_foreign"


@pytest.fixture
async def hook(admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha) -> Hook:
    return await hook_of(await add_number(tenant, (await add_server(admin, waha))["id"]))


class Recorder:
    """A handler that remembers, fails on and leaves open what it is told to."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.poison: set[str] = set()
        self.unmatched: set[str] = set()

    async def __call__(self, batch: Sequence[StoredEvent]) -> set[int]:
        ids = {stored.id: stored.event.id for stored in batch if isinstance(stored.event, ForeignMessageEvent)}
        if self.poison & set(ids.values()):
            raise ValueError("poison")
        self.seen.extend(ids.values())
        return {event_id for event_id, name in ids.items() if name not in self.unmatched}


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    before = handlers._handlers.pop(KIND, [])
    made = Recorder()
    event_handler(KIND)(made)
    yield made
    handlers._handlers[KIND] = before


async def _connection(hook: Hook) -> Any:
    return await database.fetch_value("SELECT connection FROM numbers WHERE id = $1", hook.number_id)


async def _make_due(hook: Hook) -> None:
    await database.execute("UPDATE webhook_events SET due_at = now() WHERE number_id = $1", hook.number_id)


async def test_an_event_is_applied_once_and_emptied(client: httpx.AsyncClient, hook: Hook, recorder: Recorder) -> None:
    body = own_message("3A10")
    await deliver(client, hook, body)
    await applying.apply("events")
    await deliver(client, hook, body)
    await applying.apply("events")
    assert recorder.seen == ["3A10"]
    events = await stored(hook)
    assert [(event["event"], event["applied_at"] is not None) for event in events] == [("{}", True)]


async def test_an_older_status_never_replaces_a_newer_one(client: httpx.AsyncClient, hook: Hook) -> None:
    now = time.time()
    await deliver(client, hook, status("WORKING", at=now))
    await applying.apply("events")
    await deliver(client, hook, status("STARTING", at=now - 5))
    await applying.apply("events")
    assert await _connection(hook) == "connected"


async def test_statuses_out_of_order_in_one_batch(client: httpx.AsyncClient, hook: Hook) -> None:
    now = time.time()
    for state, at in (("SCAN_QR_CODE", now - 1), ("FAILED", now), ("STARTING", now - 2)):
        await deliver(client, hook, status(state, at=at))
    await applying.apply("events")
    assert await _connection(hook) == "failed"


async def test_a_status_nobody_knows_needs_a_person(client: httpx.AsyncClient, hook: Hook) -> None:
    await deliver(client, hook, status("PASSKEY_REQUIRED"))
    await applying.apply("events")
    assert await _connection(hook) == "needs_person"


async def test_what_matches_nothing_yet_stays_open_and_comes_again(
    client: httpx.AsyncClient, hook: Hook, recorder: Recorder
) -> None:
    recorder.unmatched = {"3A11"}
    await deliver(client, hook, own_message("3A11"))
    await applying.apply("events")
    assert (await stored(hook))[0]["applied_at"] is None
    recorder.unmatched = set()
    await _make_due(hook)
    await applying.apply("events")
    assert (await stored(hook))[0]["applied_at"] is not None
    assert recorder.seen == ["3A11", "3A11"]


async def test_what_matches_nothing_is_closed_after_a_day(
    client: httpx.AsyncClient, hook: Hook, recorder: Recorder
) -> None:
    recorder.unmatched = {"3A12"}
    await deliver(client, hook, own_message("3A12"))
    await database.execute(
        "UPDATE webhook_events SET received_at = now() - interval '25 hours' WHERE number_id = $1", hook.number_id
    )
    await applying.apply("events")
    assert (await stored(hook))[0]["applied_at"] is not None


async def test_a_poisonous_event_blocks_no_other(client: httpx.AsyncClient, hook: Hook, recorder: Recorder) -> None:
    recorder.poison = {"3A14"}
    for name in ("3A13", "3A14", "3A15"):
        await deliver(client, hook, own_message(name))
    await applying.apply("events")
    assert recorder.seen == ["3A13", "3A15"]
    assert [event["attempts"] for event in await stored(hook)] == [0, 1, 0]


async def test_a_poisonous_event_is_given_up(client: httpx.AsyncClient, hook: Hook, recorder: Recorder) -> None:
    recorder.poison = {"3A16"}
    await deliver(client, hook, own_message("3A16"))
    for _ in range(applying.MAXIMUM_ATTEMPTS):
        await _make_due(hook)
        await applying.apply("events")
    event = (await stored(hook))[0]
    assert (event["attempts"], event["applied_at"] is not None) == (applying.MAXIMUM_ATTEMPTS, True)
    logged = await database.fetch_value(
        "SELECT response_body FROM webhooks_log WHERE (payload->>'event_id')::bigint = $1", event["id"]
    )
    assert str(logged).startswith("given up")


async def test_a_handlers_changes_are_rolled_back_with_its_batch(
    client: httpx.AsyncClient, hook: Hook, recorder: Recorder
) -> None:
    async def rename_and_fail(batch: Sequence[StoredEvent]) -> set[int]:
        await database.execute("UPDATE numbers SET name = 'half done' WHERE id = $1", batch[0].number_id)
        raise ValueError("after the change")

    handlers._handlers[KIND] = [rename_and_fail]
    await deliver(client, hook, own_message("3A17"))
    await applying.apply("events")
    assert await database.fetch_value("SELECT name FROM numbers WHERE id = $1", hook.number_id) == "Shop"
    assert recorder.seen == []


async def test_the_sweep_wakes_a_worker_for_what_nobody_hinted_at(client: httpx.AsyncClient, hook: Hook) -> None:
    await deliver(client, hook, status("WORKING"))
    await runtime().redis.delete("recado:events", "recado:events.msgs")
    await services.sweep()

    async def queued() -> bool:
        return bool(await runtime().redis.llen("recado:events"))

    await eventually(queued)
    await applying.apply("events")
    assert await _connection(hook) == "connected"


async def test_events_without_a_handler_are_dropped(client: httpx.AsyncClient, hook: Hook, recorder: Recorder) -> None:
    handlers._handlers[KIND] = []
    await deliver(client, hook, own_message("3A18"))
    await applying.apply("events")
    assert (await stored(hook))[0]["applied_at"] is not None
    assert recorder.seen == []


async def test_old_applied_events_are_deleted_and_open_ones_stay(
    client: httpx.AsyncClient, hook: Hook, recorder: Recorder
) -> None:
    recorder.unmatched = {"3A19"}
    await deliver(client, hook, status("WORKING"))
    await deliver(client, hook, own_message("3A19"))
    await applying.apply("events")
    await database.execute(
        "UPDATE webhook_events SET applied_at = now() - interval '3 days'"
        " WHERE number_id = $1 AND applied_at IS NOT NULL",
        hook.number_id,
    )
    await services.forget_applied(datetime.now(UTC) - timedelta(days=2), 1000)
    assert [event["kind"] for event in await stored(hook)] == [KIND]
