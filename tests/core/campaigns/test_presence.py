import asyncio
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from core import database
from core.campaigns import presence, turns
from core.campaigns.claims import Want
from core.campaigns.presence import NextRow, can_type, next_rows, show_typing, turn_to
from core.numbers.senders import SenderRoute, senders
from core.plugin import Capabilities
from tests.core.campaigns.making import HOLDER, Made, hold, insert, now, recipients, running, want
from tests.core.campaigns.sink import BARE, Sink, SinkProvider
from tests.factories import Member

TYPES = Capabilities(version="1", typing=True)


async def _wants(made: Made, moment: datetime, **changes: Any) -> list[Want]:
    return [want(lane, moment, campaign_id=made.id, take=0, **changes) for lane in await hold(made, moment)]


async def _next(made: Made, **changes: Any) -> list[int]:
    """Return the contacts next in line, by the campaign's numbers."""
    moment = await now()
    rows = await next_rows(moment, await _wants(made, moment, **changes), [])
    return [rows[number_id].contact_id for number_id in made.number_ids if number_id in rows]


class TestNext:
    async def test_is_what_a_claim_would_take(self, user: Member) -> None:
        made = await running(user, contacts=3)
        await database.execute(
            "UPDATE message_by_contacts SET due_at = due_at - interval '1 hour' WHERE contact_id = $1",
            made.contact_ids[2],
        )
        assert await _next(made) == [made.contact_ids[2]]

    async def test_own_rows_come_first(self, user: Member) -> None:
        made = await running(user, contacts=3)
        await database.execute(
            "UPDATE message_by_contacts SET number_id = $2 WHERE contact_id = $1",
            made.contact_ids[1],
            made.number_ids[0],
        )
        assert await _next(made) == [made.contact_ids[1]]

    async def test_two_lanes_of_a_campaign_type_for_two_people(self, user: Member) -> None:
        made = await running(user, contacts=3, numbers=2)
        assert await _next(made) == made.contact_ids[:2]

    async def test_nobody_types_for_whom_another_does(self, user: Member) -> None:
        made = await running(user, contacts=2)
        moment = await now()
        first = (await recipients(made.id))[0]["id"]
        rows = await next_rows(moment, await _wants(made, moment), [first])
        assert [row.contact_id for row in rows.values()] == made.contact_ids[1:]

    @pytest.mark.parametrize("change", ["deleted_at = now()", "status = 2", "blocked_at = now()"])
    async def test_nobody_types_to_whoever_is_not_written_to(self, user: Member, change: str) -> None:
        made = await running(user, contacts=1)
        await database.execute(f"UPDATE contacts SET {change} WHERE id = $1", made.contact_ids[0])
        assert await _next(made) == []

    async def test_nor_to_a_blocked_number(self, user: Member) -> None:
        made = await running(user, contacts=1)
        await insert("block_contacts", user_id=user.id, number=made.phones[0])
        assert await _next(made) == []

    async def test_nor_before_it_is_due(self, user: Member) -> None:
        made = await running(user, contacts=1)
        await database.execute("UPDATE message_by_contacts SET due_at = now() + interval '1 hour'")
        assert await _next(made) == []

    async def test_of_a_restricted_number_is_somebody_it_knows(self, user: Member) -> None:
        made = await running(user, contacts=3)
        assert await _next(made, known_only=True) == []
        await insert(
            "conversations",
            user_id=user.id,
            contact_id=made.contact_ids[1],
            number_id=made.number_ids[0],
            last_inbound_at=await now(),
        )
        assert await _next(made, known_only=True) == [made.contact_ids[1]]

    async def test_says_what_will_be_written(self, user: Member) -> None:
        made = await running(user, contacts=1)
        moment = await now()
        (lane,) = await hold(made, moment)
        (row,) = (await next_rows(moment, [want(lane, moment, take=0)], [])).values()
        assert row.text(lane.campaigns[0]) == "Oi Name 0"
        assert msgspec.structs.replace(row, message_id=0).text(lane.campaigns[0]) == ""
        assert isinstance(row, NextRow)


async def _route(made: Made) -> SenderRoute:
    return (await senders(made.number_ids))[made.number_ids[0]]


class TestShow:
    async def test_starts_and_ends_at_the_service(self, user: Member, sink: Sink, sink_url: str) -> None:
        route = await _route(await running(user, url=sink_url, capabilities=TYPES))
        await show_typing(route, "551187654321@c.us", active=True)
        await show_typing(route, "551187654321@c.us", active=False)
        assert [(sign.address, sign.active) for sign in sink.signs] == [
            ("551187654321@c.us", True),
            ("551187654321@c.us", False),
        ]

    async def test_a_failure_is_no_failure_of_the_message(self, user: Member, provider: SinkProvider) -> None:
        provider.raises["show_typing"] = RuntimeError("no chat open")
        await show_typing(await _route(await running(user, capabilities=TYPES)), "1", active=True)

    async def test_one_that_never_ends_is_given_up(
        self, user: Member, sink: Sink, sink_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(presence, "SHOW_SECONDS", 0.05)
        sink.typing_delay = 30.0
        route = await _route(await running(user, url=sink_url, capabilities=TYPES))
        async with asyncio.timeout(timedelta(seconds=10).total_seconds()):
            await show_typing(route, "1", active=True)

    @pytest.mark.parametrize(("capabilities", "expected"), [(TYPES, True), (BARE, False)])
    async def test_only_where_the_server_can(self, user: Member, capabilities: Capabilities, expected: bool) -> None:  # noqa: FBT001 - a parameter of the table
        assert can_type(await _route(await running(user, capabilities=capabilities))) is expected


SEES = Capabilities(version="1", typing=True, seen=True)


class TestTurnTo:
    async def test_whoever_wrote_is_read_before_the_typing(
        self, user: Member, sink: Sink, sink_url: str, provider: SinkProvider
    ) -> None:
        await turn_to(await _route(await running(user, url=sink_url, capabilities=SEES)), "a", wrote=True)
        assert (provider.seen, [sign.active for sign in sink.signs]) == (["a"], [True])

    async def test_whoever_never_wrote_has_nothing_to_be_read(
        self, user: Member, sink: Sink, sink_url: str, provider: SinkProvider
    ) -> None:
        await turn_to(await _route(await running(user, url=sink_url, capabilities=SEES)), "a", wrote=False)
        assert (provider.seen, len(sink.signs)) == ([], 1)

    async def test_a_server_that_cannot_is_not_asked(
        self, user: Member, sink: Sink, sink_url: str, provider: SinkProvider
    ) -> None:
        await turn_to(await _route(await running(user, url=sink_url, capabilities=TYPES)), "a", wrote=True)
        assert (provider.seen, len(sink.signs)) == ([], 1)

    async def test_a_failure_does_not_keep_from_typing(
        self, user: Member, sink: Sink, sink_url: str, provider: SinkProvider
    ) -> None:
        provider.raises["mark_seen"] = RuntimeError("gone")
        await turn_to(await _route(await running(user, url=sink_url, capabilities=SEES)), "a", wrote=True)
        assert len(sink.signs) == 1

    async def test_the_row_says_who_wrote(self, user: Member) -> None:
        made = await running(user, contacts=2)
        await database.execute("UPDATE contacts SET last_inbound_at = now() WHERE id = $1", made.contact_ids[0])
        moment = await now()
        (first,) = (await next_rows(moment, await _wants(made, moment), [])).values()
        (second,) = (await next_rows(moment, await _wants_again(made, moment), [first.id])).values()
        assert (first.wrote, second.wrote) == (True, False)


async def _wants_again(made: Made, moment: datetime) -> list[Want]:
    """Ask once more for lanes that are held already."""
    held = await turns.load(HOLDER, made.number_ids, moment)
    return [want(lane, moment, campaign_id=made.id, take=0) for lane in held]
