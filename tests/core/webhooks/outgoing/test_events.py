"""What happens to people and messages, as tenants' webhooks are told of it."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest

from core import database
from core.campaigns.claims import Claimed
from core.campaigns.outcomes import ACKNOWLEDGEMENT_TIMER
from core.campaigns.tables import RecipientState
from core.campaigns.transitions import FROM_ANY_ATTEMPT, FROM_IN_DOUBT, Transition, apply
from core.contacts.opt_outs import apply_opt_outs
from core.contacts.received import tell_received
from core.plugin import MessageInEvent
from core.webhooks.handlers import StoredEvent, handlers_of
from core.webhooks.outgoing import delivering, subscriptions
from tests.core.campaigns.making import Made, claim_all, make_number, now, running
from tests.core.contacts.making import add_contact, phone
from tests.core.webhooks.outgoing.receiver import PATH, Receiver, add_endpoint, deliveries_of
from tests.factories import Member

URL = "https://93.184.216.34/hook"
AT = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)


def wrote(number_id: int, sender: str, text: str, *, address: str = "") -> StoredEvent:
    event = MessageInEvent(
        dedupe_key=phone(), id="3EB0", address=address or f"{sender}@c.us", phone=sender, text=text, at=AT
    )
    return StoredEvent(id=int(phone()), plugin="waha", number_id=number_id, received_at=AT, event=event)


async def hear(*events: StoredEvent) -> None:
    async with database.unit_of_work():
        assert set(await tell_received(events)) == {event.id for event in events}


async def told(client: httpx.AsyncClient, endpoint: Any) -> list[Any]:
    return [one["body"]["data"] for one in reversed(await deliveries_of(client, endpoint))]


class TestReceived:
    async def test_from_a_contact(self, shop: httpx.AsyncClient, user: Member) -> None:
        endpoint = await add_endpoint(shop, URL, "message.received")
        contact = await add_contact(shop, name="Zoë 🎉")
        number_id = await make_number(user.id)
        await hear(wrote(number_id, contact["number"], "Oi"))
        assert await told(shop, endpoint) == [
            {
                "number_id": number_id,
                "contact_id": contact["id"],
                "sender": contact["number"],
                "name": "Zoë 🎉",
                "text": "Oi",
                "received_at": "2026-11-23T14:30:00Z",
            }
        ]

    async def test_that_comes_again_for_another_handler_is_told_once(
        self, shop: httpx.AsyncClient, user: Member
    ) -> None:
        endpoint = await add_endpoint(shop, URL, "message.received")
        event = wrote(await make_number(user.id), phone(), "Oi")
        await hear(event)
        await hear(event)
        assert len(await told(shop, endpoint)) == 1

    async def test_has_an_id_of_its_own_whatever_row_it_is_stored_in(
        self, shop: httpx.AsyncClient, user: Member
    ) -> None:
        endpoint = await add_endpoint(shop, URL, "message.received")
        event, number_id = wrote(await make_number(user.id), phone(), "Oi"), await make_number(user.id)
        another = msgspec.structs.replace(event, event=wrote(0, phone(), "Hi").event)
        elsewhere = msgspec.structs.replace(event, number_id=number_id)
        for stored in (event, msgspec.structs.replace(event, id=int(phone())), another, elsewhere):
            await hear(stored)
        found = [(one["event_id"], one["body"]["data"]["text"]) for one in await deliveries_of(shop, endpoint)]
        assert [text for _, text in found] == ["Oi", "Hi", "Oi"]
        assert len({event_id for event_id, _ in found}) == 3
        assert all(re.fullmatch(r"evt_[0-9a-f]{24}", event_id) for event_id, _ in found)

    async def test_from_a_stranger(self, shop: httpx.AsyncClient, user: Member) -> None:
        endpoint = await add_endpoint(shop, URL, "message.received")
        sender = phone()
        await hear(wrote(await make_number(user.id), sender, "Oi"))
        (found,) = await told(shop, endpoint)
        assert (found["contact_id"], found["sender"], found["name"]) == (None, sender, "")

    async def test_from_a_contact_whose_account_has_no_ninth_digit(self, shop: httpx.AsyncClient, user: Member) -> None:
        endpoint = await add_endpoint(shop, URL, "message.received")
        contact = await add_contact(shop, number="+5531987650009")
        await hear(wrote(await make_number(user.id), "553187650009", "Oi"))
        assert [found["contact_id"] for found in await told(shop, endpoint)] == [contact["id"]]

    async def test_from_an_address_that_hides_the_number(self, shop: httpx.AsyncClient, user: Member) -> None:
        endpoint = await add_endpoint(shop, URL, "message.received")
        contact, number_id = await add_contact(shop), await make_number(user.id)
        await database.execute(
            "INSERT INTO number_identities (number_id, address, phone, updated_at) VALUES ($1, $2, $3, now())",
            number_id,
            "77@lid",
            contact["number"],
        )
        await hear(wrote(number_id, "", "Oi", address="77@lid"), wrote(number_id, "", "Hi", address="78@lid"))
        found = sorted((one["contact_id"] or 0, one["sender"], one["text"]) for one in await told(shop, endpoint))
        assert found == [(0, "78@lid", "Hi"), (contact["id"], contact["number"], "Oi")]

    async def test_another_tenant_s_contact_is_not_named(
        self, shop: httpx.AsyncClient, user: Member, other_user: Member, api: Any
    ) -> None:
        endpoint = await add_endpoint(shop, URL, "message.received")
        async with api(other_user) as stranger:
            contact = await add_contact(stranger, name="Secret")
        await hear(wrote(await make_number(user.id), contact["number"], "Oi"))
        (found,) = await told(shop, endpoint)
        assert (found["contact_id"], found["name"]) == (None, "")

    async def test_a_worker_hears_it(self) -> None:
        assert tell_received in handlers_of("message_in")


async def test_who_opts_out_is_told_once(shop: httpx.AsyncClient, user: Member) -> None:
    endpoint = await add_endpoint(shop, URL, "contact.opted_out")
    contact, number_id = await add_contact(shop), await make_number(user.id)
    for _ in range(2):
        async with database.unit_of_work():
            await apply_opt_outs([wrote(number_id, contact["number"], "SAIR")])
    assert await told(shop, endpoint) == [{"contact_id": contact["id"], "number": contact["number"], "source": "word"}]


class TestUpdated:
    @pytest.fixture
    async def row(self, user: Member) -> Claimed:
        made: Made = await running(user, contacts=1)
        (row,) = (await claim_all(made, await now())).claimed
        return row

    async def test_each_state_is_told(self, shop: httpx.AsyncClient, row: Claimed) -> None:
        endpoint = await add_endpoint(shop, URL, "message.updated")
        await accept(row)
        await acknowledge(row, delivered_at=AT)
        await acknowledge(row, delivered_at=AT, read_at=AT + timedelta(minutes=1))
        found = await told(shop, endpoint)
        assert [(one["state"], one["delivered_at"], one["read_at"]) for one in found] == [
            ("accepted", None, None),
            ("sent", "2026-11-23T14:30:00Z", None),
            ("sent", "2026-11-23T14:30:00Z", "2026-11-23T14:31:00Z"),
        ]
        assert {(one["recipient_id"], one["campaign_id"], one["contact_id"], one["number_id"]) for one in found} == {
            (row.id, row.campaign_id, row.contact_id, row.number_id)
        }

    async def test_what_is_no_news_is_not_told(self, shop: httpx.AsyncClient, row: Claimed) -> None:
        endpoint = await add_endpoint(shop, URL, "message.updated")
        await accept(row)
        await acknowledge(row)
        await acknowledge(row)
        assert [one["state"] for one in await told(shop, endpoint)] == ["accepted", "sent"]

    async def test_what_waits_to_be_sent_again_is_not_told(self, shop: httpx.AsyncClient, row: Claimed) -> None:
        endpoint = await add_endpoint(shop, URL, "message.updated")
        again: dict[str, Any] = {"allowed": FROM_IN_DOUBT, "state": RecipientState.PENDING, "due_at": await now()}
        await apply(await now(), [Transition(id=row.id, attempt=row.attempt, **again)], shard=0)
        assert await told(shop, endpoint) == []

    async def test_nobody_else_is_told(
        self, shop: httpx.AsyncClient, api: Any, other_user: Member, row: Claimed
    ) -> None:
        mine = await add_endpoint(shop, URL, "campaign.completed")
        async with api(other_user) as stranger:
            theirs = await add_endpoint(stranger, URL, "message.updated")
            await accept(row)
            assert (await told(shop, mine), await told(stranger, theirs)) == ([], [])

    async def test_nothing_is_asked_where_nobody_subscribes(self, row: Claimed) -> None:
        await database.execute("UPDATE webhook_endpoints SET status = 'disabled' WHERE events ? 'message.updated'")
        subscriptions.forget()
        await accept(row)
        await database.execute("UPDATE webhook_endpoints SET status = 'active' WHERE events ? 'message.updated'")
        assert await subscriptions.subscribers_of("message.updated") == frozenset()
        subscriptions.forget()

    async def test_it_arrives(self, shop: httpx.AsyncClient, row: Claimed, receiver: Receiver, url: str) -> None:
        endpoint = await add_endpoint(shop, url, "message.updated")
        await accept(row)
        await delivering.deliver_due()
        (heard,) = receiver.heard
        assert heard.signatures() == [heard.expected(endpoint["secret"])]
        await shop.delete(f"{PATH}/{endpoint['id']}")


async def accept(row: Claimed) -> None:
    moment = await now()
    transition = Transition(
        id=row.id,
        attempt=row.attempt,
        allowed=FROM_IN_DOUBT,
        state=RecipientState.ACCEPTED,
        accepted_at=moment,
        look_at=moment + ACKNOWLEDGEMENT_TIMER,
    )
    assert len(await apply(moment, [transition], shard=0)) == 1


async def acknowledge(row: Claimed, **receipts: Any) -> None:
    transition = Transition(id=row.id, attempt=0, allowed=FROM_ANY_ATTEMPT, state=RecipientState.SENT, **receipts)
    assert len(await apply(await now(), [transition], shard=0)) == 1
