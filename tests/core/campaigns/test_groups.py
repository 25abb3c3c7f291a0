"""Groups, and people without a number: from the number's address book to the report."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from core import database
from core.campaigns.dispatch import Dispatcher
from core.campaigns.events import apply_replies, apply_statuses
from core.contacts import opt_outs, sync
from core.jobs import leasing
from core.numbers import senders
from core.plugin import AnyEvent, ListedContact, MessageInEvent, MessageStatusEvent
from core.runtime import Runtime
from core.webhooks.handlers import StoredEvent
from tests.conftest import Serve
from tests.core.campaigns.making import give_plan, make_number, now, recipients, run_jobs, states
from tests.core.campaigns.sink import NAME
from tests.core.contacts.listing import LISTS, AddressBook, ListingProvider
from tests.core.contacts.making import add, add_contact, show
from tests.factories import Member

GROUP = "120363000000000001@g.us"
CHAT = "987654321"
"""Of somebody whom the service knows by this alone."""
HANDLERS = (sync.sync_contacts, opt_outs.resolve_opt_out, opt_outs.confirm_opt_out)
"""Registered by their import, as in a worker."""

_ids = itertools.count(1)


class Shop:
    """A tenant with a connected number whose address book is synced, and what people write to it."""

    def __init__(self, tenant: httpx.AsyncClient, user: Member, book: AddressBook, number: int) -> None:
        self.tenant, self.user, self.book, self.number = tenant, user, book, number

    async def sync(self, **wishes: Any) -> Any:
        answer = await self.tenant.post(f"/api/numbers/{self.number}/sync", json=wishes)
        assert answer.status_code == 202, answer.text
        await leasing.run_job(answer.json()["data"]["id"])
        return await show(self.tenant, f"jobs/{answer.json()['data']['id']}")

    async def send(self, **audience: Any) -> int:
        """Send a campaign to an audience, by ``public_id`` or by ``labels``, and return its id."""
        labels = {"labels": audience["labels"]} if "labels" in audience else {}
        body = {
            "name": "Aviso",
            "type": 4 if labels else 3,
            "number_ids": [self.number],
            "public_id": audience.get("public_id"),
            "settings": {"pacing": {}, **labels},
            "messages": [{"content": "Oi {{ nome }} {{ numero }}"}],
        }
        campaign_id = (await add(self.tenant, "campaigns", **body))["id"]
        answer = await self.tenant.post(f"/api/campaigns/{campaign_id}/start")
        assert answer.status_code == 202, answer.text
        await run_jobs(campaign_id)
        async with asyncio.timeout(20):
            await Dispatcher(16, asyncio.Event()).run()
        return int(campaign_id)

    async def hears(self, address: str, text: str, phone: str = "") -> None:
        """Let somebody write to the number."""
        event = MessageInEvent(
            dedupe_key=f"in:{next(_ids)}", id="x", address=address, phone=phone, text=text, at=await now()
        )
        await self._apply(opt_outs.apply_opt_outs, event)
        await self._apply(apply_replies, event)

    async def acknowledge(self, status: Any) -> None:
        """Let the service tell how far everything it took has come."""
        for post in self.book.posts:
            event = MessageStatusEvent(
                dedupe_key=f"{post.client_id}:{status}", ids=(post.client_id,), status=status, at=await now()
            )
            await self._apply(apply_statuses, event)

    async def jobs(self) -> list[str]:
        """Return the kinds of the tenant's jobs that wait."""
        return [job["kind"] for job in await show(self.tenant, "jobs?status=waiting")]

    async def _apply(self, handler: Any, event: AnyEvent) -> None:
        stored = StoredEvent(id=next(_ids), plugin=NAME, number_id=self.number, received_at=await now(), event=event)
        async with database.unit_of_work():
            await handler([stored])


@pytest.fixture
async def shop(tenant: httpx.AsyncClient, user: Member, runtime: Runtime, serve: Serve) -> AsyncIterator[Shop]:
    before = runtime.providers
    plugin = ListingProvider()
    runtime.providers = msgspec.structs.replace(before, messaging_by_name={NAME: plugin})
    book = AddressBook()
    await give_plan(user.id)
    number = await make_number(user.id, await serve(book), msgspec.structs.replace(LISTS, number_check="none"))
    yield Shop(tenant, user, book, number)
    runtime.providers = before
    senders.forget()
    await plugin.aclose()


async def _offer_checks(shop: Shop) -> None:
    """Have the service look numbers up; it knows nobody, so that a look-up would keep a message back."""
    await database.execute(
        "UPDATE servers SET capabilities = $2 WHERE id = (SELECT server_id FROM numbers WHERE id = $1)",
        shop.number,
        database.encode_json(LISTS),
    )
    senders.forget()


class TestGroups:
    async def test_one_message_goes_to_the_group_and_the_report_counts_one_recipient(self, shop: Shop) -> None:
        await _offer_checks(shop)
        shop.book.contacts = [ListedContact(address=GROUP, name="Turma", group=True)]
        await shop.sync(label_name="grupos")
        (label,) = await show(shop.tenant, "labels")
        campaign_id = await shop.send(labels={"any": [label["id"]]})
        (row,) = await recipients(campaign_id)

        assert [(post.address, post.text) for post in shop.book.posts] == [(GROUP, "Oi Turma ")]
        assert (row["state"], row["address"], row["provider_address"]) == ("accepted", GROUP, GROUP)
        await shop.acknowledge("delivered")
        await shop.acknowledge("read")
        report = await show(shop.tenant, f"campaigns/{campaign_id}/report")
        assert {name: count for name, count in report["totals"].items() if count} == {
            "total": 1,
            "sent": 1,
            "delivered": 1,
            "readed": 1,
        }

    @pytest.mark.parametrize("kind", ["by hand", "dynamic"])
    async def test_an_audience_has_the_groups_that_were_chosen(self, shop: Shop, kind: str) -> None:
        shop.book.contacts = [
            ListedContact(address=GROUP, name="Turma", group=True),
            ListedContact(address="551190000000@c.us", phone="5511990000000", name="Ana"),
        ]
        await shop.sync()
        if kind == "by hand":
            public = await add(shop.tenant, "publics", name="Grupos")
            (found,) = await show(shop.tenant, "contacts?type=2")
            answer = await shop.tenant.post(f"/api/publics/{public['id']}/contacts", json={"ids": [found["id"]]})
            assert answer.json()["data"]["affected"] == 1
        else:
            public = await add(shop.tenant, "publics", name="Grupos", type=2, filters={"type": 2})
        assert (await show(shop.tenant, f"publics/{public['id']}"))["contacts_count"] == 1
        await shop.send(public_id=public["id"])

        assert shop.book.addresses == [GROUP]

    async def test_a_members_stop_does_not_block_the_group(self, shop: Shop) -> None:
        shop.book.contacts = [ListedContact(address="-100200300", group=True), ListedContact(address=GROUP, group=True)]
        await shop.sync()
        await shop.tenant.patch("/api/configurations", json={"opt_out": {"words": ["sair"], "confirmation": "Tchau"}})
        for address in ("-100200300", GROUP, "120363999999999999@g.us"):
            await shop.hears(address, "SAIR")
        public = await add(shop.tenant, "publics", name="Grupos", type=2, filters={"type": 2})
        campaign_id = await shop.send(public_id=public["id"])

        assert await states(campaign_id) == ["accepted", "accepted"]
        assert await shop.jobs() == []
        # One that is synced later is not kept out either.
        shop.book.contacts.append(ListedContact(address="120363999999999999@g.us", group=True))
        await shop.sync()
        assert [one["blocked"] for one in await show(shop.tenant, "contacts")] == [False] * 3

    async def test_what_is_written_in_a_group_is_no_reply(self, shop: Shop) -> None:
        shop.book.contacts = [ListedContact(address=GROUP, group=True)]
        await shop.sync()
        public = await add(shop.tenant, "publics", name="Grupos", type=2, filters={"type": 2})
        campaign_id = await shop.send(public_id=public["id"])
        await shop.hears(GROUP, "Bom dia")

        assert [row["replied_at"] for row in await recipients(campaign_id)] == [None]

    async def test_one_on_the_block_list_is_left_out_until_it_is_taken_off(self, shop: Shop) -> None:
        shop.book.contacts = [ListedContact(address=GROUP, group=True)]
        await shop.sync()
        await add(shop.tenant, "block-contacts", address=GROUP)
        public = await add(shop.tenant, "publics", name="Grupos", type=2, filters={"type": 2})
        assert await states(await shop.send(public_id=public["id"])) == ["skipped:opted_out"]
        answer = await shop.tenant.post("/api/block-contacts/remove", json={"address": GROUP})

        assert answer.status_code == 204
        assert await states(await shop.send(public_id=public["id"])) == ["accepted"]


class TestPeopleWithoutANumber:
    async def test_are_sent_to_at_their_address_without_a_look_up(self, shop: Shop) -> None:
        await _offer_checks(shop)
        await add(shop.tenant, "contacts", name="Ana", addresses={NAME: CHAT})
        public = await add(shop.tenant, "publics", name="Todos", type=2, filters={})
        campaign_id = await shop.send(public_id=public["id"])

        assert [(post.address, post.text) for post in shop.book.posts] == [(CHAT, "Oi Ana ")]
        assert await states(campaign_id) == ["accepted"]

    async def test_a_stored_address_takes_the_place_of_a_number_where_none_is_looked_up(self, shop: Shop) -> None:
        await add_contact(shop.tenant, number="+5511987650001", addresses={NAME: CHAT})
        plain = await add_contact(shop.tenant)
        public = await add(shop.tenant, "publics", name="Todos", type=2, filters={})
        await shop.send(public_id=public["id"])

        assert sorted(shop.book.addresses) == sorted([CHAT, plain["number"]])

    async def test_a_number_that_can_be_looked_up_is(self, shop: Shop) -> None:
        await _offer_checks(shop)
        shop.book.contacts = [ListedContact(address="553187650001@c.us", phone="5531987650001")]
        shop.book.directory = {"5531987650001": "553187650001@s"}
        await shop.sync()
        public = await add(shop.tenant, "publics", name="Todos", type=2, filters={})
        await shop.send(public_id=public["id"])

        assert shop.book.addresses == ["553187650001@s"]

    async def test_with_neither_number_nor_address_of_the_service_are_left_out(
        self, shop: Shop, runtime: Runtime
    ) -> None:
        both = msgspec.structs.replace(
            runtime.providers, messaging_by_name={**runtime.providers.messaging_by_name, "other": ListingProvider()}
        )
        runtime.providers, alone = both, runtime.providers
        await add(shop.tenant, "contacts", addresses={"other": CHAT})
        runtime.providers = alone
        await both.messaging_by_name["other"].aclose()
        public = await add(shop.tenant, "publics", name="Todos", type=2, filters={})
        campaign_id = await shop.send(public_id=public["id"])
        (row,) = await show(shop.tenant, f"campaigns/{campaign_id}/recipients")

        assert (row["state"], row["reason"]) == ("skipped", "no_address")
        assert shop.book.posts == []

    async def test_two_contacts_of_one_address_get_one_message(self, shop: Shop) -> None:
        first = await add(shop.tenant, "contacts", addresses={NAME: CHAT})
        second = await add_contact(shop.tenant)
        await database.execute(
            "INSERT INTO contact_addresses (contact_id, provider, number, address, checked_at)"
            " VALUES ($1, $2, $3, $4, now())",
            second["id"],
            NAME,
            second["number"],
            CHAT,
        )
        public = await add(shop.tenant, "publics", name="Todos", type=2, filters={})
        campaign_id = await shop.send(public_id=public["id"])

        assert shop.book.addresses == [CHAT]
        assert {row["contact_id"]: row["reason"] for row in await recipients(campaign_id)} == {
            first["id"]: "",
            second["id"]: "duplicate_address",
        }

    async def test_their_stop_blocks_them_by_their_address(self, shop: Shop) -> None:
        made = await add(shop.tenant, "contacts", addresses={NAME: CHAT})
        await shop.hears(CHAT, "sair")
        public = await add(shop.tenant, "publics", name="Todos", type=2, filters={})

        assert (await show(shop.tenant, f"contacts/{made['id']}"))["blocked"] is True
        assert await states(await shop.send(public_id=public["id"])) == ["skipped:opted_out"]
        await shop.tenant.delete(f"/api/contacts/{made['id']}")
        again = await add(shop.tenant, "contacts", addresses={NAME: CHAT})
        assert again["blocked"] is True
        answer = await shop.tenant.post("/api/block-contacts/remove", json={"address": CHAT})
        assert answer.status_code == 204
        assert (await show(shop.tenant, f"contacts/{again['id']}"))["blocked"] is False

    async def test_a_stranger_who_writes_is_no_contact_and_is_remembered_when_they_opt_out(self, shop: Shop) -> None:
        await shop.hears(CHAT, "oi")
        await shop.hears(CHAT, "sair")
        assert await show(shop.tenant, "contacts") == []
        # Nothing is hidden behind an address of a service that knows no numbers.
        (job,) = await show(shop.tenant, "jobs")
        await leasing.run_job(job["id"])
        assert (await show(shop.tenant, f"jobs/{job['id']}"))["status"] == "done"
        assert (await add(shop.tenant, "contacts", addresses={NAME: CHAT}))["blocked"] is True

    async def test_their_answer_is_a_reply(self, shop: Shop) -> None:
        made = await add(shop.tenant, "contacts", addresses={NAME: CHAT})
        public = await add(shop.tenant, "publics", name="Todos", type=2, filters={})
        campaign_id = await shop.send(public_id=public["id"])
        await shop.hears(CHAT, "Quero")

        assert [row["replied_at"] is not None for row in await recipients(campaign_id)] == [True]
        assert (await show(shop.tenant, f"contacts/{made['id']}"))["last_inbound_at"] is not None

    async def test_another_tenants_contact_of_that_address_stays(self, shop: Shop, stranger: httpx.AsyncClient) -> None:
        theirs = await add(stranger, "contacts", addresses={NAME: CHAT})
        await shop.hears(CHAT, "sair")

        found = await show(stranger, f"contacts/{theirs['id']}")
        assert (found["blocked"], found["last_inbound_at"]) == (False, None)
