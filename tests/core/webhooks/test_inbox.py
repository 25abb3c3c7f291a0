"""What goes into the inbox, and what one bad delivery does to its neighbours."""

import asyncio
import secrets
from datetime import UTC, datetime

import asyncpg
import msgspec
import pytest

from core import database
from core.plugin import ForeignMessageEvent, UnknownEvent
from core.webhooks.inbox import KEY_LENGTH, EventRow, Inbox, build_row, kind_of


def _row(number_id: int, event: str = "{}") -> EventRow:
    return EventRow(number_id, secrets.token_hex(8), "waha", "message_status", event)


async def test_one_refused_delivery_fails_alone() -> None:
    inbox = Inbox()
    number_id = -secrets.randbits(40)
    rows = [_row(number_id), _row(number_id, "no json"), _row(number_id)]
    results = await asyncio.gather(*(inbox.store([row]) for row in rows), return_exceptions=True)
    assert [type(result) for result in results] == [bool, asyncpg.InvalidTextRepresentationError, bool]
    count = await database.fetch_value("SELECT count(*) FROM webhook_events WHERE number_id = $1", number_id)
    assert count == 2


async def test_a_caller_that_hangs_up_costs_the_others_nothing() -> None:
    inbox = Inbox()
    number_id = -secrets.randbits(40)
    waiting = [asyncio.create_task(inbox.store([_row(number_id)])) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [bool, asyncio.CancelledError, bool]


async def test_a_repeat_is_nothing_new() -> None:
    row = _row(-secrets.randbits(40))
    assert [await Inbox().store([row]), await Inbox().store([row])] == [True, False]
    assert await Inbox().store([row, _row(row.number_id)]) is True


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b", "a\\u0000b"])
async def test_any_text_can_be_stored(text: str) -> None:
    event = ForeignMessageEvent(dedupe_key=secrets.token_hex(8), id=text, address="x", at=datetime.now(UTC))
    row = build_row("waha", -1, event)
    await Inbox().store([row])
    kept = await database.fetch_value("SELECT event FROM webhook_events WHERE dedupe_key = $1", row.dedupe_key)
    expected = {"a\0b": "ab", "a\ud800b": "a?b", "a\\u0000b": "a\\u0000b"}[text]
    assert msgspec.json.decode(str(kept))["id"] == expected


def test_a_long_key_is_kept_by_its_hash() -> None:
    row = build_row("waha", 1, UnknownEvent(dedupe_key="k" * 1000, name="x"))
    again = build_row("waha", 1, UnknownEvent(dedupe_key="k" * 1000, name="x"))
    assert len(row.dedupe_key) <= KEY_LENGTH
    assert row.dedupe_key == again.dedupe_key


def test_a_kind_is_the_events_tag() -> None:
    assert kind_of(UnknownEvent(dedupe_key="1", name="x")) == "unknown"
