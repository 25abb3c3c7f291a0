"""Syncing a number's address book: who goes in, who is found again, and that a crash loses and doubles nobody."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from core import database
from core.config import PlatformConfig, server_variables
from core.contacts import sync, sync_storing
from core.contacts.suppressions import find_person, suppress
from core.jobs import leasing
from core.jobs.services import cancel_job
from core.numbers import senders
from core.plugin import Capabilities, ListedContact
from core.runtime import Runtime
from tests.conftest import ClientOf, Serve
from tests.core.campaigns.making import insert, make_number, now
from tests.core.campaigns.sink import NAME, SinkProvider
from tests.core.contacts.listing import LISTS, AddressBook, ListingProvider
from tests.core.contacts.making import add, add_contact, make_limited_member, phone, show
from tests.factories import Member

ROOT = Path(__file__).parents[3]
LID = "181230000000001@lid"
GROUP = "120363000000000001@g.us"


@pytest.fixture
async def plugin(messaging: Runtime) -> AsyncIterator[ListingProvider]:
    """The run's process with the listing plugin alone."""
    before = messaging.providers
    plugin = ListingProvider()
    messaging.providers = msgspec.structs.replace(before, messaging_by_name={NAME: plugin})
    yield plugin
    messaging.providers = before
    senders.forget()
    await plugin.aclose()


@pytest.fixture
def book() -> AddressBook:
    return AddressBook()


@pytest.fixture
async def url(plugin: ListingProvider, book: AddressBook, serve: Serve) -> str:
    """The service's address."""
    del plugin  # needed, since it calls there
    return await serve(book)


@pytest.fixture
async def number(url: str, user: Member) -> int:
    """A connected number of the tenant's on the service."""
    return await make_number(user.id, url, LISTS)


def person(digits: str, name: str = "", **fields: Any) -> ListedContact:
    return ListedContact(**{"address": f"{digits}@c.us", "phone": digits, "name": name, **fields})


def group(address: str = GROUP, name: str = "Turma") -> ListedContact:
    return ListedContact(address=address, name=name, group=True)


async def start(tenant: httpx.AsyncClient, number: int, **wishes: Any) -> Any:
    """Ask for a sync and return its job."""
    answer = await tenant.post(f"/api/numbers/{number}/sync", json=wishes)
    assert answer.status_code == 202, answer.text
    return answer.json()["data"]


async def run(tenant: httpx.AsyncClient, number: int, **wishes: Any) -> Any:
    """Sync in this process and return the job as it ended."""
    job = await start(tenant, number, **wishes)
    await leasing.run_job(job["id"])
    return await show(tenant, f"jobs/{job['id']}")


def counts(job: Any) -> tuple[int, int, int, dict[str, int]]:
    """Created, updated, unchanged, skipped by reason."""
    assert job["status"] == "done", job["error"]
    result = job["result"]
    skipped = {one["reason"]: one["count"] for one in result["skipped"]}
    done = (result["created"], result["updated"], result["unchanged"])
    assert sum(done) + sum(skipped.values()) == result["listed"]
    return *done, skipped


async def contacts(tenant: httpx.AsyncClient) -> list[Any]:
    """Return the contacts in the order they were made."""
    found: list[Any] = await show(tenant, "contacts?per_page=100&sort=id")
    return found


async def kept() -> int:
    """Count the rows of listings."""
    return int(str(await database.fetch_value("SELECT count(*) FROM contact_sync_entries")))


class TestStoring:
    async def test_people_groups_and_hidden_numbers_go_in_under_a_label(
        self, tenant: httpx.AsyncClient, number: int, book: AddressBook
    ) -> None:
        digits = phone()
        book.contacts = [
            person(digits, " Padaria \x00 Aurora\n"),
            ListedContact(address=LID, name="Sem número"),
            group(name="Turma de sábado"),
        ]
        done = await run(tenant, number, label_name=" Da  agenda ")
        (label,) = await show(tenant, "labels")
        shown = [
            {name: contact[name] for name in ("number", "name", "type", "addresses", "labels")}
            for contact in await contacts(tenant)
        ]

        assert counts(done) == (3, 0, 0, {})
        assert (done["done"], done["total"], done["progress"]) == (3, 3, 100)
        assert label["name"] == "Da agenda"
        common = {"labels": [label["id"]]}
        assert shown == [
            {"number": digits, "name": "Padaria Aurora", "type": 1, "addresses": {NAME: f"{digits}@c.us"}, **common},
            {"number": None, "name": "Sem número", "type": 1, "addresses": {NAME: LID}, **common},
            {"number": None, "name": "Turma de sábado", "type": 2, "addresses": {NAME: GROUP}, **common},
        ]
        assert await kept() == 0

    async def test_a_second_sync_changes_nothing(
        self, tenant: httpx.AsyncClient, number: int, book: AddressBook
    ) -> None:
        book.contacts = [person(phone(), "Ana"), ListedContact(address=LID), group()]
        await run(tenant, number)
        before = await contacts(tenant)

        assert counts(await run(tenant, number)) == (0, 0, 3, {})
        assert await contacts(tenant) == before

    async def test_who_is_a_contact_is_filled_where_empty(
        self, tenant: httpx.AsyncClient, number: int, book: AddressBook
    ) -> None:
        named = await add_contact(tenant, name="Antes", variables={"cidade": "Bonito"})
        bare = await add_contact(tenant)
        book.contacts = [person(named["number"], "Depois"), person(bare["number"], "Nova")]
        label = await add(tenant, "labels", name="agenda")
        done = await run(tenant, number, label_id=label["id"])
        first, second = await contacts(tenant)

        assert counts(done) == (0, 2, 0, {})
        assert (first["name"], first["variables"], first["labels"]) == ("Antes", {"cidade": "Bonito"}, [label["id"]])
        assert (second["name"], second["addresses"]) == ("Nova", {NAME: f"{bare['number']}@c.us"})

    @pytest.mark.parametrize(
        ("present", "listed"), [("5531987650001", "553187650001"), ("553187650002", "5531987650002")]
    )
    async def test_another_form_of_the_number_is_the_same_person(
        self, tenant: httpx.AsyncClient, number: int, book: AddressBook, present: str, listed: str
    ) -> None:
        contact = await add_contact(tenant, number=f"+{present}")
        book.contacts = [person(listed, "Ana")]

        assert counts(await run(tenant, number)) == (0, 1, 0, {})
        (found,) = await contacts(tenant)
        assert (found["id"], found["number"], found["addresses"]) == (
            contact["id"],
            present,
            {NAME: f"{listed}@c.us"},
        )

    async def test_the_address_a_check_answered_is_the_same_person(
        self, tenant: httpx.AsyncClient, number: int, book: AddressBook
    ) -> None:
        contact = await add_contact(tenant)
        await insert(
            "number_checks", provider=NAME, number=contact["number"], found=True, address=LID, checked_at=await now()
        )
        book.contacts = [ListedContact(address=LID, name="Ana")]

        assert counts(await run(tenant, number)) == (0, 1, 0, {})
        assert [one["name"] for one in await contacts(tenant)] == ["Ana"]

    async def test_a_group_that_another_service_listed_is_the_same_group(
        self, tenant: httpx.AsyncClient, messaging: Runtime, number: int, book: AddressBook
    ) -> None:
        theirs = msgspec.structs.replace(
            messaging.providers, messaging_by_name={**messaging.providers.messaging_by_name, "other": SinkProvider()}
        )
        messaging.providers, alone = theirs, messaging.providers
        made = await add(tenant, "contacts", type=2, addresses={"other": GROUP})
        await add(tenant, "contacts", addresses={"other": "987654321"})
        messaging.providers = alone
        await theirs.messaging_by_name["other"].aclose()
        book.contacts = [group(), ListedContact(address="987654321")]

        assert counts(await run(tenant, number)) == (1, 1, 0, {})
        assert (await show(tenant, f"contacts/{made['id']}"))["addresses"] == {NAME: GROUP, "other": GROUP}

    async def test_the_phone_behind_an_address_that_the_number_knows_counts(
        self, tenant: httpx.AsyncClient, number: int, book: AddressBook
    ) -> None:
        digits = phone()
        await insert("number_identities", number_id=number, address=LID, phone=digits, updated_at=await now())
        book.contacts = [ListedContact(address=LID, name="Ana")]
        await run(tenant, number)

        assert [one["number"] for one in await contacts(tenant)] == [digits]

    async def test_a_hidden_number_that_is_told_later_is_filled_in(
        self, tenant: httpx.AsyncClient, number: int, book: AddressBook
    ) -> None:
        book.contacts = [ListedContact(address=LID, name="Ana")]
        await run(tenant, number)
        digits = phone()
        book.contacts = [ListedContact(address=LID, phone=digits), person(digits, "Outra")]

        assert counts(await run(tenant, number)) == (0, 1, 0, {"repeated": 1})
        (found,) = await contacts(tenant)
        assert (found["number"], found["name"], found["addresses"]) == (digits, "Ana", {NAME: LID})

    async def test_who_is_listed_twice_is_one_contact(
        self, tenant: httpx.AsyncClient, number: int, book: AddressBook, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sync, "BATCH", 2)
        digits = phone()
        book.contacts = [person(digits), person(phone()), person(digits, "Ana"), person(digits, address=LID), group()]
        done = await run(tenant, number)

        assert counts(done) == (3, 0, 1, {"repeated": 1})
        assert [(one["number"] == digits, one["name"]) for one in await contacts(tenant)] == [
            (True, "Ana"),
            (False, ""),
            (False, "Turma"),
        ]

    async def test_what_cannot_be_a_contact_is_counted_and_told(
        self, tenant: httpx.AsyncClient, number: int, book: AddressBook, user: Member
    ) -> None:
        own = phone()
        await database.execute("UPDATE numbers SET number = $2 WHERE id = $1", number, own)
        await database.execute("UPDATE users SET locale = 'pt-BR' WHERE id = $1", user.id)
        book.contacts = [
            person(own, "Eu"),
            ListedContact(address=""),
            ListedContact(address="with space@c.us"),
            ListedContact(address="\x00\x01\x02"),
            ListedContact(address="9" * 121),
        ]
        done = await run(tenant, number)

        assert counts(done) == (0, 0, 0, {"own_number": 1, "unusable": 4})
        assert [one["text"] for one in done["result"]["skipped"]] == [
            "É o próprio número.",
            "O endereço deles não pode ser gravado.",
        ]

    async def test_a_phone_that_is_none_leaves_the_address(
        self, tenant: httpx.AsyncClient, number: int, book: AddressBook
    ) -> None:
        book.contacts = [person("123", "Atalho"), person("x" * 40, "Estranho", address="strange")]
        await run(tenant, number)

        assert [(one["number"], one["addresses"]) for one in await contacts(tenant)] == [
            (None, {NAME: "123@c.us"}),
            (None, {NAME: "strange"}),
        ]

    @pytest.mark.parametrize(("wishes", "kinds"), [({"groups": False}, [1]), ({"people": False}, [2]), ({}, [1, 2])])
    async def test_only_what_is_asked_for_is_listed(
        self, tenant: httpx.AsyncClient, number: int, book: AddressBook, wishes: dict[str, bool], kinds: list[int]
    ) -> None:
        book.contacts = [person(phone()), group()]
        done = await run(tenant, number, **wishes)

        assert done["result"]["listed"] == len(kinds)
        assert [one["type"] for one in await contacts(tenant)] == kinds

    async def test_an_empty_address_book_is_done_at_once(self, tenant: httpx.AsyncClient, number: int) -> None:
        assert counts(await run(tenant, number)) == (0, 0, 0, {})

    async def test_a_label_that_went_away_is_left_out(
        self, tenant: httpx.AsyncClient, number: int, book: AddressBook
    ) -> None:
        book.contacts = [person(phone())]
        job = await start(tenant, number, label_name="breve")
        (label,) = await show(tenant, "labels")
        await tenant.delete(f"/api/labels/{label['id']}")
        await leasing.run_job(job["id"])

        assert [one["labels"] for one in await contacts(tenant)] == [[]]

    async def test_the_plan_decides_how_many_go_in_and_the_rest_is_told(
        self, api: ClientOf, url: str, book: AddressBook
    ) -> None:
        member = await make_limited_member(contacts_limit=3)
        number = await make_number(member.id, url, LISTS)
        async with api(member) as client:
            present = await add_contact(client)
            book.contacts = [
                person(phone()),
                person(present["number"], "Ana"),
                person(phone()),
                person(phone()),
                group(),
            ]
            done = await run(client, number)
            total = len(await contacts(client))

        assert counts(done) == (2, 1, 0, {"over_plan": 2})
        assert done["result"]["skipped"][0]["text"] == "The plan allows 3 contacts at a time, and they are used up."
        assert total == 3

    async def test_another_tenants_contact_stays_as_it_is(
        self, tenant: httpx.AsyncClient, stranger: httpx.AsyncClient, number: int, book: AddressBook
    ) -> None:
        theirs = await add_contact(stranger)
        await add(stranger, "contacts", type=2, addresses={NAME: GROUP})
        before = await contacts(stranger)
        book.contacts = [person(theirs["number"], "Ana"), group()]

        assert counts(await run(tenant, number, label_name="agenda")) == (2, 0, 0, {})
        assert await contacts(stranger) == before


class TestStayingOut:
    async def test_nobody_is_subscribed_again(
        self, tenant: httpx.AsyncClient, number: int, book: AddressBook, user: Member
    ) -> None:
        out, gone, quiet = [await add_contact(tenant) for _ in range(3)]
        await tenant.patch(f"/api/contacts/{quiet['id']}", json={"status": 2})
        for contact in (out, gone):
            await suppress(user.id, await find_person(user.id, (contact["number"],)))
        await tenant.delete(f"/api/contacts/{gone['id']}")
        stranger = phone()
        await suppress(user.id, await find_person(user.id, (stranger,)))
        await add(tenant, "block-contacts", number=f"+{phone()}")
        book.contacts = [person(one) for one in (out["number"], gone["number"], quiet["number"], stranger)]
        await run(tenant, number)
        found = {one["number"]: one for one in await contacts(tenant)}

        assert [found[one.phone]["blocked"] for one in book.contacts] == [True, True, False, True]
        assert found[quiet["number"]]["status"] == 2

    async def test_whose_address_opted_out_is_blocked_in_every_form(
        self, tenant: httpx.AsyncClient, number: int, book: AddressBook, user: Member
    ) -> None:
        contact = await add_contact(tenant)
        await suppress(user.id, await find_person(user.id, (LID,)))
        book.contacts = [person(contact["number"], address=LID), ListedContact(address="190000000000002@lid")]
        await run(tenant, number)

        assert [one["blocked"] for one in await contacts(tenant)] == [True, False]
        await tenant.delete(f"/api/contacts/{contact['id']}")
        assert (await add_contact(tenant, number=f"+{contact['number']}"))["blocked"] is True

    async def test_a_group_is_kept_out_by_the_block_list_alone(
        self, tenant: httpx.AsyncClient, number: int, book: AddressBook, user: Member
    ) -> None:
        other = "120363000000000002@g.us"
        await suppress(user.id, await find_person(user.id, (other,)))
        await add(tenant, "block-contacts", address=GROUP)
        book.contacts = [group(GROUP), group(other)]
        await run(tenant, number)

        assert [one["blocked"] for one in await contacts(tenant)] == [True, False]


class TestAsking:
    async def test_a_number_of_another_tenant_is_none(self, stranger: httpx.AsyncClient, number: int) -> None:
        assert (await stranger.post(f"/api/numbers/{number}/sync", json={})).status_code == 404

    @pytest.mark.parametrize(
        ("body", "errors"),
        [
            ({"people": False, "groups": False}, {"body": ["Ask for people, for groups, or for both."]}),
            ({"label_id": 1, "label_name": "x"}, {"body": ["Leave label_name out when label_id names a label."]}),
            ({"label_id": 2**40}, {"label_id": [f"There is no label {2**40}."]}),
            ({"label_name": "  "}, {"label_name": ["This field is required."]}),
            ({"labels": []}, {"labels": ["This field is not known."]}),
        ],
    )
    async def test_bad_fields_are_named(
        self, tenant: httpx.AsyncClient, number: int, body: dict[str, Any], errors: dict[str, list[str]]
    ) -> None:
        answer = await tenant.post(f"/api/numbers/{number}/sync", json=body)

        assert (answer.status_code, answer.json()["errors"]) == (422, errors)
        assert await show(tenant, "jobs") == []

    async def test_a_number_that_is_not_connected_is_refused(
        self, tenant: httpx.AsyncClient, url: str, user: Member
    ) -> None:
        number = await make_number(user.id, url, LISTS, status_connection=False)
        answer = await tenant.post(f"/api/numbers/{number}/sync", json={})

        assert (answer.status_code, answer.json()["code"]) == (409, "not_connected")

    @pytest.mark.parametrize(
        ("offered", "wishes"),
        [
            (Capabilities(groups=True), {}),
            (Capabilities(contacts=True), {"people": False}),
            (Capabilities(), {}),
        ],
    )
    async def test_a_server_that_does_not_list_is_refused(
        self, tenant: httpx.AsyncClient, url: str, user: Member, offered: Capabilities, wishes: dict[str, bool]
    ) -> None:
        number = await make_number(user.id, url, offered)
        answer = await tenant.post(f"/api/numbers/{number}/sync", json=wishes)

        assert (answer.status_code, answer.json()["code"]) == (409, "sync_unsupported")

    async def test_a_plugin_that_cannot_list_is_refused(
        self, tenant: httpx.AsyncClient, messaging: Runtime, number: int
    ) -> None:
        bare = SinkProvider()
        messaging.providers = msgspec.structs.replace(messaging.providers, messaging_by_name={NAME: bare})
        answer = await tenant.post(f"/api/numbers/{number}/sync", json={})
        await bare.aclose()

        assert (answer.status_code, answer.json()["code"]) == (409, "sync_unsupported")

    async def test_one_sync_at_a_time(self, tenant: httpx.AsyncClient, number: int, url: str, user: Member) -> None:
        answers = await asyncio.gather(*(tenant.post(f"/api/numbers/{number}/sync", json={}) for _ in range(4)))
        (started,) = [answer for answer in answers if answer.status_code == 202]
        refused = [answer.json() for answer in answers if answer.status_code != 202]
        other = await make_number(user.id, url, LISTS)

        assert {(one["status"], one["code"]) for one in refused} == {(409, "sync_running")}
        assert f"Job {started.json()['data']['id']} " in refused[0]["detail"]
        assert (await tenant.post(f"/api/numbers/{other}/sync", json={})).status_code == 202
        await leasing.run_job(started.json()["data"]["id"])
        assert (await tenant.post(f"/api/numbers/{number}/sync", json={})).status_code == 202

    async def test_a_repetition_with_the_same_key_starts_one(self, tenant: httpx.AsyncClient, number: int) -> None:
        first, second = [
            await tenant.post(f"/api/numbers/{number}/sync", json={}, headers={"Idempotency-Key": "once"})
            for _ in range(2)
        ]

        assert second.json() == first.json()
        assert second.headers["idempotency-replayed"] == "true"
        assert len(await show(tenant, "jobs")) == 1

    async def test_an_account_whose_time_is_over_starts_none(
        self, tenant: httpx.AsyncClient, number: int, user: Member
    ) -> None:
        await database.execute("UPDATE users SET due_access_at = now() - interval '1 day' WHERE id = $1", user.id)
        answer = await tenant.post(f"/api/numbers/{number}/sync", json={})

        assert (answer.status_code, answer.json()["code"]) == (402, "access_ended")


class TestTrouble:
    @pytest.mark.parametrize(
        ("fault", "told"),
        [
            ("busy", "O serviço por trás de sink não respondeu"),
            ("forbidden", "O serviço por trás de sink não lista os contatos"),
            ("unauthorized", "O serviço por trás de sink recusa nossas credenciais"),
        ],
    )
    async def test_a_failure_is_told_and_the_next_sync_goes_through(
        self, tenant: httpx.AsyncClient, number: int, book: AddressBook, user: Member, fault: str, told: str
    ) -> None:
        await database.execute("UPDATE users SET locale = 'pt-BR' WHERE id = $1", user.id)
        book.contacts = [person(phone()) for _ in range(120)]
        book.faults[2] = fault
        failed = await run(tenant, number)

        assert failed["status"] == "failed"
        assert failed["error"].startswith(told)
        assert (await contacts(tenant), await kept()) == ([], 0)
        book.faults.clear()
        assert counts(await run(tenant, number)) == (120, 0, 0, {})

    async def test_a_service_that_hangs_ends_the_job(
        self, tenant: httpx.AsyncClient, number: int, book: AddressBook, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sync, "WAIT_SECONDS", 0.01)
        monkeypatch.setattr(sync, "LISTING_SECONDS", 0.05)
        book.held[0] = asyncio.Event()
        failed = await run(tenant, number)
        book.held[0].set()

        assert (failed["status"], failed["error"][:45]) == ("failed", "The service behind sink did not answer while ")

    async def test_a_number_that_lost_its_connection_meanwhile_says_so(
        self, tenant: httpx.AsyncClient, number: int
    ) -> None:
        job = await start(tenant, number)
        await database.execute("UPDATE numbers SET status_connection = false WHERE id = $1", number)
        await leasing.run_job(job["id"])
        failed = await show(tenant, f"jobs/{job['id']}")

        assert (failed["status"], failed["error"]) == ("failed", "The number is not connected: connect it first.")

    async def test_what_is_listed_is_stored_without_the_number(
        self, tenant: httpx.AsyncClient, number: int, book: AddressBook, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        book.contacts = [person(phone()), group()]
        job = await start(tenant, number)
        store = sync_storing.store_batch

        async def break_off(*_: object) -> None:
            raise OSError("the connection was lost")

        monkeypatch.setattr(sync, "store_batch", break_off)
        await leasing.run_job(job["id"])
        await database.execute("UPDATE numbers SET status_connection = false WHERE id = $1", number)
        monkeypatch.setattr(sync, "store_batch", store)
        await leasing.run_job(job["id"])

        assert counts(await show(tenant, f"jobs/{job['id']}")) == (2, 0, 0, {})

    async def test_a_canceled_sync_keeps_its_batches_and_forgets_its_listing(
        self,
        tenant: httpx.AsyncClient,
        number: int,
        book: AddressBook,
        user: Member,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(sync, "BATCH", 50)
        book.contacts = [person(phone()) for _ in range(200)]
        job = await start(tenant, number)
        store = sync_storing.store_batch
        begun: list[int] = []

        async def cancel_after_two(plan: Any, entries: Any) -> Any:
            begun.append(len(entries))
            if len(begun) == 3:
                await asyncio.create_task(cancel_job(user.id, job["id"]))
            return await store(plan, entries)

        monkeypatch.setattr(sync, "store_batch", cancel_after_two)
        await leasing.run_job(job["id"])
        canceled = await show(tenant, f"jobs/{job['id']}")
        assert (canceled["status"], canceled["done"], await kept()) == ("canceled", 100, 0)
        assert (await tenant.get("/api/contacts")).json()["meta"]["total"] == 100
        monkeypatch.setattr(sync, "store_batch", store)
        assert counts(await run(tenant, number)) == (100, 0, 100, {})

    async def test_a_listing_that_was_canceled_before_it_was_complete_leaves_nothing(
        self, tenant: httpx.AsyncClient, number: int, book: AddressBook, user: Member, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sync, "BATCH", 10)
        book.contacts = [person(phone()) for _ in range(100)]
        book.held[1] = asyncio.Event()
        job = await start(tenant, number)
        work = asyncio.create_task(leasing.run_job(job["id"]))
        async with asyncio.timeout(10):
            while await kept() < 50:  # noqa: ASYNC110 - rows give no event
                await asyncio.sleep(0.001)
        await cancel_job(user.id, job["id"])
        book.held[1].set()
        await work

        assert (await show(tenant, f"jobs/{job['id']}"))["status"] == "canceled"
        assert (await kept(), await contacts(tenant)) == (0, [])

    async def test_a_cancel_does_not_wait_for_a_slow_service(
        self, tenant: httpx.AsyncClient, number: int, book: AddressBook, user: Member, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sync, "WAIT_SECONDS", 0.01)
        book.held[0] = asyncio.Event()
        job = await start(tenant, number)
        work = asyncio.create_task(leasing.run_job(job["id"]))
        await book.asked[0].wait()
        await cancel_job(user.id, job["id"])
        await asyncio.wait_for(work, 10)

        assert (await show(tenant, f"jobs/{job['id']}"))["status"] == "canceled"
        book.held[0].set()

    async def test_the_listing_of_a_job_that_ended_elsewhere_is_cleaned_up(
        self, tenant: httpx.AsyncClient, number: int
    ) -> None:
        job = await start(tenant, number)
        row = {"address": "1@c.us", "phone": "", "name": "", "is_group": False}
        await insert("contact_sync_entries", job_id=job["id"], **row)
        assert await sync.clean_up() == 0
        await tenant.post(f"/api/jobs/{job['id']}/cancel")
        assert await sync.clean_up() == 1


@pytest.mark.slow
@pytest.mark.chaos
class TestKills:
    async def test_one_killed_while_it_lists_lists_anew(
        self, api: ClientOf, url: str, book: AddressBook, config: PlatformConfig
    ) -> None:
        user = await make_limited_member(contacts_limit=10_000)
        book.contacts = [person(phone()) for _ in range(300)]
        book.held[3] = asyncio.Event()
        async with api(user) as tenant:
            job = await start(tenant, await make_number(user.id, url, LISTS))
            process = _start(job["id"], config)
            async with asyncio.timeout(60):
                await book.asked[3].wait()
                while not await kept():  # noqa: ASYNC110 - another process does the work
                    await asyncio.sleep(0.001)
            await _kill(process)
            # Another order than before, and somebody is gone.
            book.contacts = book.contacts[:0:-1]
            book.held[3].set()
            await _resume(job["id"], config)
            done = await show(tenant, f"jobs/{job['id']}")
        await _expect_each_once(user, book)
        assert counts(done) == (299, 0, 0, {})

    @pytest.mark.parametrize("after", [1, 500])
    async def test_one_killed_while_it_stores_goes_on_behind_its_last_batch(
        self, api: ClientOf, url: str, book: AddressBook, config: PlatformConfig, after: int
    ) -> None:
        user = await make_limited_member(contacts_limit=10_000)
        book.contacts = [
            *(person(phone(), f"Nome {n}") for n in range(700)),
            *(ListedContact(address=f"{180000000000000 + n}@lid") for n in range(180)),
            *(group(f"{120363000000000000 + n}@g.us") for n in range(120)),
        ]
        async with api(user) as tenant:
            job = await start(tenant, await make_number(user.id, url, LISTS), label_name="agenda")
            process = _start(job["id"], config)
            async with asyncio.timeout(60):
                while await _done(job["id"]) < after:  # noqa: ASYNC110 - another process does the work
                    await asyncio.sleep(0.001)
            await _kill(process)
            interrupted = await _done(job["id"])
            await _resume(job["id"], config)
            done = await show(tenant, f"jobs/{job['id']}")
        assert after <= interrupted < 1000
        await _expect_each_once(user, book)
        assert counts(done) == (1000, 0, 0, {})
        assert (done["done"], done["total"], await kept()) == (1000, 1000, 0)


async def _expect_each_once(user: Member, book: AddressBook) -> None:
    rows = await database.fetch(
        "SELECT c.number, a.address FROM contacts c LEFT JOIN contact_addresses a ON a.contact_id = c.id"
        " WHERE c.user_id = $1 AND c.deleted_at IS NULL",
        user.id,
    )
    found = Counter((row["number"] or "", row["address"]) for row in rows)
    assert found == Counter((one.phone, one.address) for one in book.contacts)


def _start(job_id: int, config: PlatformConfig) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(Path(__file__).with_name("sync_process.py")), str(job_id), config.paths.data]
    environment = {**os.environ, **server_variables(config), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=ROOT, env=environment)


async def _kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    await asyncio.to_thread(process.wait)


async def _resume(job_id: int, config: PlatformConfig) -> None:
    """Have the sweep notice the silence, and another process do the rest."""
    await database.execute("UPDATE jobs SET lease_until = now() WHERE id = $1", job_id)
    await leasing.sweep()
    assert await asyncio.to_thread(_start(job_id, config).wait, 60) == 0


async def _done(job_id: int) -> int:
    return int(str(await database.fetch_value("SELECT done FROM jobs WHERE id = $1", job_id)))
