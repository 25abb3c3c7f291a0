import itertools
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest

from core import database
from core.campaigns.claims import Claimed
from core.campaigns.events import apply_replies, apply_statuses
from core.campaigns.outcomes import ACKNOWLEDGEMENT_TIMER
from core.campaigns.tables import RecipientState
from core.campaigns.transitions import FROM_IN_DOUBT, FROM_LEASED
from core.plugin import AnyEvent, MessageInEvent, MessageStatusEvent
from core.webhooks.handlers import StoredEvent
from tests.core.campaigns.making import (
    Made,
    claim_all,
    counted,
    counters,
    insert,
    lane_row,
    make_number,
    now,
    recipient,
    recipients,
    running,
    settle_rows,
    states,
)
from tests.core.campaigns.sink import NAME
from tests.factories import Member

AT = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
_ids = itertools.count(1)

Status = Literal["failed", "accepted", "sent", "delivered", "read"]


def _stored(number_id: int, event: AnyEvent, received_at: datetime = AT) -> StoredEvent:
    return StoredEvent(id=next(_ids), plugin=NAME, number_id=number_id, received_at=received_at, event=event)


def _status(row: Claimed, status: Status, *, number_id: int | None = None, **fields: Any) -> StoredEvent:
    event = MessageStatusEvent(
        dedupe_key=f"{row.client_id}:{status}", **{"ids": (row.client_id,), "status": status, "at": AT, **fields}
    )
    return _stored(row.number_id if number_id is None else number_id, event)


async def _apply(*events: StoredEvent) -> Collection[int]:
    async with database.unit_of_work():
        return await apply_statuses(events)


async def _leased(user: Member, **wishes: Any) -> tuple[Made, Claimed]:
    made = await running(user, **{"contacts": 1, **wishes})
    (row,) = (await claim_all(made, await now())).claimed
    return made, row


async def _accept(row: Claimed, **fields: Any) -> None:
    moment = await now()
    await settle_rows([row], moment, allowed=FROM_IN_DOUBT, state=RecipientState.ACCEPTED, outcome="accepted", **fields)


class TestStatuses:
    @pytest.mark.parametrize(
        ("statuses", "expected"),
        [
            (("sent",), {"sent": 1}),
            (("delivered",), {"sent": 1, "delivered": 1}),
            (("read",), {"sent": 1, "delivered": 1, "read": 1}),
            (("read", "delivered", "sent"), {"sent": 1, "delivered": 1, "read": 1}),
            (("sent", "sent", "sent"), {"sent": 1}),
            (("accepted",), {"accepted": 1}),
            (("sent", "accepted"), {"sent": 1}),
            (("sent", "failed"), {"sent": 1}),
            (("failed",), {"failed": 1}),
            (("failed", "sent"), {"sent": 1}),
        ],
    )
    @pytest.mark.parametrize("together", [True, False])
    async def test_one_message(
        self, user: Member, statuses: Sequence[Status], expected: dict[str, int], *, together: bool
    ) -> None:
        made, row = await _leased(user)
        await _accept(row)
        events = [_status(row, status) for status in statuses]
        for batch in [events] if together else [[event] for event in events]:
            assert await _apply(*batch) == {event.id for event in batch}
        assert await counters(made.id) == expected == await counted(made.id)

    async def test_the_service_says_when(self, user: Member) -> None:
        _, row = await _leased(user)
        await _accept(row)
        await _apply(_status(row, "read"))
        found = await recipient(row.id)
        assert (found["sent_at"], found["delivered_at"], found["read_at"]) == (AT, AT, AT)

    async def test_before_the_record_of_the_answer(self, user: Member) -> None:
        made, row = await _leased(user)
        event = _status(row, "delivered")
        assert await _apply(event) == {event.id}
        await _accept(row, provider_id="long-id")
        assert await states(made.id) == ["sent"]
        assert await counters(made.id) == {"sent": 1, "delivered": 1}

    async def test_of_a_message_that_is_not_known_yet_stays_open(self, user: Member) -> None:
        made = await running(user, contacts=1)
        (row,) = (await claim_all(made, await now(), ids_are_final=False)).claimed
        event = _status(row, "sent", ids=("the-services-own-id",))
        assert await _apply(event) == set()
        await _accept(row, provider_id="the-services-own-id")
        assert await _apply(event) == {event.id}
        assert await states(made.id) == ["sent"]

    async def test_of_another_number_matches_nothing(self, user: Member) -> None:
        made, row = await _leased(user)
        other = await make_number(user.id)
        assert await _apply(_status(row, "read", number_id=other)) == set()
        assert await states(made.id) == ["leased"]

    async def test_any_of_its_ids_will_do(self, user: Member) -> None:
        made, row = await _leased(user)
        event = _status(row, "sent", ids=("unheard-of", row.client_id))
        assert await _apply(event) == {event.id}
        assert await states(made.id) == ["sent"]

    async def test_of_an_earlier_attempt_still_counts(self, user: Member) -> None:
        made, row = await _leased(user)
        moment = await now()
        await settle_rows([row], moment, allowed=FROM_LEASED, state=RecipientState.PENDING, due_at=moment)
        await claim_all(made, moment)
        await _apply(_status(row, "sent"))
        assert await states(made.id) == ["sent"]

    async def test_a_failure_of_an_earlier_attempt_does_not(self, user: Member) -> None:
        made, row = await _leased(user)
        moment = await now()
        await settle_rows([row], moment, allowed=FROM_LEASED, state=RecipientState.PENDING, due_at=moment)
        await claim_all(made, moment)
        await _apply(_status(row, "failed"))
        assert await states(made.id) == ["leased"]

    async def test_a_failure_says_why(self, user: Member) -> None:
        made, row = await _leased(user)
        await _apply(_status(row, "failed", error="x" * 100))
        assert await states(made.id) == [f"failed:{'x' * 60}"]

    async def test_an_unexplained_failure_is_the_networks(self, user: Member) -> None:
        made, row = await _leased(user)
        await _apply(_status(row, "failed"))
        assert await states(made.id) == ["failed:failed_by_network"]

    async def test_an_acceptance_ends_a_doubt_and_starts_its_timer_by_our_clock(self, user: Member) -> None:
        made, row = await _leased(user)
        await settle_rows([row], await now(), allowed=FROM_LEASED, state=RecipientState.UNKNOWN)
        before = await now()
        await _apply(_status(row, "accepted", at=AT + timedelta(days=3650)))
        assert await states(made.id) == ["accepted"]
        look_at = (await recipient(row.id))["lease_until"]
        assert abs(look_at - before - ACKNOWLEDGEMENT_TIMER) < timedelta(seconds=5)

    async def test_the_next_step_is_due_and_its_lane_woken(self, user: Member) -> None:
        made, row = await _leased(user, messages=("a", "b"), delays=(0, 60))
        lane = await lane_row(row.number_id)
        before = await now()
        await _apply(_status(row, "sent"))
        due_at = (await recipients(made.id))[1]["due_at"]
        assert abs(due_at - before - timedelta(seconds=60)) < timedelta(seconds=5)
        assert (await lane_row(row.number_id))["wakes"] == lane["wakes"] + 1


async def _reply(
    made: Made, received_at: datetime, *, phone: str | None = None, address: str = "", number_id: int | None = None
) -> None:
    event = MessageInEvent(
        dedupe_key=str(next(_ids)),
        id="1",
        address=address,
        phone=made.phones[0] if phone is None else phone,
        at=AT,
    )
    async with database.unit_of_work():
        await apply_replies([_stored(made.number_ids[0] if number_id is None else number_id, event, received_at)])


async def _last_inbound(contact_id: int) -> Any:
    return await database.fetch_value("SELECT last_inbound_at FROM contacts WHERE id = $1", contact_id)


class TestReplies:
    async def test_stamp_the_contact_and_the_message_they_answer(self, user: Member) -> None:
        made, row = await _leased(user)
        await _accept(row)
        received_at = await now() + timedelta(seconds=5)
        await _reply(made, received_at)
        assert await _last_inbound(made.contact_ids[0]) == received_at
        assert (await recipient(row.id))["replied_at"] == received_at
        assert await counters(made.id) == {"accepted": 1, "replied": 1} == await counted(made.id)

    async def test_only_the_first_is_counted(self, user: Member) -> None:
        made, row = await _leased(user)
        await _accept(row)
        received_at = await now()
        for seconds in range(3):
            await _reply(made, received_at + timedelta(seconds=seconds))
        assert (await recipient(row.id))["replied_at"] == received_at
        assert (await counters(made.id))["replied"] == 1
        assert await _last_inbound(made.contact_ids[0]) == received_at + timedelta(seconds=2)

    async def test_answer_the_latest_message(self, user: Member) -> None:
        made, row = await _leased(user, messages=("a", "b"))
        await _accept(row)
        (second,) = (await claim_all(made, await now())).claimed
        await _accept(second)
        await _reply(made, await now())
        assert [found["replied_at"] is not None for found in await recipients(made.id)] == [False, True]

    async def test_that_came_before_a_message_are_none_to_it(self, user: Member) -> None:
        made = await running(user, contacts=1)
        received_at = await now()
        (row,) = (await claim_all(made, received_at + timedelta(seconds=1))).claimed
        await _accept(row)
        await _reply(made, received_at)
        assert (await recipient(row.id))["replied_at"] is None
        assert await _last_inbound(made.contact_ids[0]) == received_at

    async def test_an_older_delivery_takes_nothing_back(self, user: Member) -> None:
        made = await running(user, contacts=1)
        received_at = await now()
        await _reply(made, received_at)
        await _reply(made, received_at - timedelta(minutes=1))
        assert await _last_inbound(made.contact_ids[0]) == received_at

    async def test_from_an_address_that_a_check_gave(self, user: Member) -> None:
        made = await running(user, contacts=1)
        await insert(
            "number_checks",
            provider=NAME,
            number=made.phones[0],
            found=True,
            address="551187654321@c.us",
            checked_at=await now(),
        )
        await _reply(made, AT, phone="", address="551187654321@c.us")
        assert await _last_inbound(made.contact_ids[0]) == AT

    async def test_without_a_phone_or_an_address_match_nobody(self, user: Member) -> None:
        made = await running(user, contacts=1)
        await database.execute("UPDATE contacts SET number = '' WHERE id = $1", made.contact_ids[0])
        await insert("number_checks", provider=NAME, number="", found=True, address="", checked_at=await now())
        await _reply(made, AT, phone="", address="")
        assert await _last_inbound(made.contact_ids[0]) is None

    async def test_to_another_tenants_number_touch_nobody(self, user: Member, other_user: Member) -> None:
        made, row = await _leased(user)
        await _accept(row)
        theirs = await make_number(other_user.id)
        await _reply(made, await now(), number_id=theirs)
        assert await _last_inbound(made.contact_ids[0]) is None
        assert (await recipient(row.id))["replied_at"] is None

    async def test_to_another_number_of_the_tenant_answer_no_message_of_this_one(self, user: Member) -> None:
        made, row = await _leased(user)
        await _accept(row)
        received_at = await now()
        await _reply(made, received_at, number_id=await make_number(user.id))
        assert (await recipient(row.id))["replied_at"] is None
        assert await _last_inbound(made.contact_ids[0]) == received_at


class TestConversations:
    async def test_are_with_the_number_that_was_written_to(self, user: Member) -> None:
        made = await running(user, contacts=1, numbers=2)
        moment = await now()
        for number_id, seconds in zip([*made.number_ids, made.number_ids[0]], (0, 1, 2), strict=True):
            await _reply(made, moment + timedelta(seconds=seconds), number_id=number_id)
        rows = await database.fetch(
            "SELECT number_id, last_inbound_at FROM conversations WHERE contact_id = $1 ORDER BY number_id",
            made.contact_ids[0],
        )
        assert [(row["number_id"], row["last_inbound_at"]) for row in rows] == [
            (made.number_ids[0], moment + timedelta(seconds=2)),
            (made.number_ids[1], moment + timedelta(seconds=1)),
        ]

    async def test_of_a_restricted_number_wake_its_lane(self, user: Member) -> None:
        made = await running(user, contacts=1, numbers=2)
        await database.execute(
            "UPDATE numbers SET restricted_until = now() + interval '1 hour' WHERE id = $1", made.number_ids[0]
        )
        before = [(await lane_row(number_id))["wakes"] for number_id in made.number_ids]
        for number_id in made.number_ids:
            await _reply(made, await now(), number_id=number_id)
        assert [(await lane_row(number_id))["wakes"] for number_id in made.number_ids] == [before[0] + 1, before[1]]


class TestUnanswered:
    async def _unanswered(self, made: Made) -> Any:
        return await database.fetch_value(
            "SELECT unanswered FROM contact_activity WHERE contact_id = $1", made.contact_ids[0]
        )

    async def test_counts_from_the_last_word_of_the_contact(self, user: Member) -> None:
        made, row = await _leased(user)
        await _accept(row)
        assert await self._unanswered(made) == 1
        await _reply(made, await now() + timedelta(seconds=1))
        assert await self._unanswered(made) == 0

    async def test_a_message_claimed_after_that_word_stays_unanswered(self, user: Member) -> None:
        made, row = await _leased(user, messages=("a", "b", "c"))
        moment = await now()
        for seconds in (1, 2):
            await _accept(row)
            (row,) = (await claim_all(made, moment + timedelta(seconds=seconds), stop_on_reply=False)).claimed
        assert await self._unanswered(made) == 3
        await _reply(made, moment - timedelta(minutes=1))
        assert await self._unanswered(made) == 1
