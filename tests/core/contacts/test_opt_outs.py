"""People write that they want no more, over a simulated WAHA and signed webhooks, as in the world."""

from typing import Any

import httpx
import pytest

from core import database
from core.contacts import opt_outs
from core.contacts.suppressions import is_suppressed
from core.jobs import leasing
from core.webhooks import applying
from tests.core.campaigns.making import insert
from tests.core.contacts.making import add_contact, phone, show
from tests.core.numbers.messaging import (
    Waha,
    add_number,
    add_server,
    admin,
    connect,
    eventually,
    platform,
    start_waha,
    tenant,
    waha,
)
from tests.factories import Member

__all__ = ("admin", "platform", "start_waha", "tenant", "waha")

HANDLERS = (opt_outs.apply_opt_outs, opt_outs.apply_identities)
"""Registered by their import, as in a worker."""


class Shop:
    """A tenant's connected number and what people write to it."""

    def __init__(self, tenant: httpx.AsyncClient, waha: Waha, number: dict[str, Any], user: Member) -> None:
        self.tenant, self.waha, self.number, self.user = tenant, waha, number, user

    async def hears(self, sender: str, text: str, **more: Any) -> None:
        """Let somebody write, and do the worker's part once the webhook is in."""
        before = await self._inbound()
        body = {"session": self.number["instance"], "from": sender, "text": text, **more}
        answer = await self.waha.http.post("/simulator/messages", json=body)
        assert answer.status_code == 201, answer.text

        async def arrived() -> bool:
            return await self._inbound() > before

        await eventually(arrived)
        await applying.apply("inbound")

    async def _inbound(self) -> int:
        found = await database.fetch_value(
            "SELECT count(*) FROM webhook_events WHERE number_id = $1 AND kind = 'message_in'", self.number["id"]
        )
        assert isinstance(found, int)
        return found

    async def run_jobs(self, kind: str) -> list[dict[str, Any]]:
        """Do the tenant's jobs of a kind and return them."""
        rows = await database.fetch("SELECT id FROM jobs WHERE user_id = $1 AND kind = $2", self.user.id, kind)
        for row in rows:
            await leasing.run_job(row["id"])
        return [await show(self.tenant, f"jobs/{row['id']}") for row in rows]

    async def blocked(self, contact: dict[str, Any]) -> bool:
        return bool((await show(self.tenant, f"contacts/{contact['id']}"))["blocked"])

    async def configure(self, **opt_out: Any) -> None:
        answer = await self.tenant.patch("/api/configurations", json={"opt_out": opt_out})
        assert answer.status_code == 200, answer.text


@pytest.fixture
async def shop(tenant: httpx.AsyncClient, admin: httpx.AsyncClient, waha: Waha, user: Member) -> Shop:
    server = await add_server(admin, waha)
    number = await add_number(tenant, server["id"])
    return Shop(tenant, waha, await connect(tenant, waha, number), user)


async def test_a_word_blocks_its_sender(shop: Shop) -> None:
    contact = await add_contact(shop.tenant)
    await shop.hears(contact["number"], "SAIR!")
    assert await shop.blocked(contact)


async def test_the_timeline_names_the_word_the_number_and_the_campaign_that_wrote_last(shop: Shop) -> None:
    contact = await add_contact(shop.tenant)
    campaign = await insert("campaigns", user_id=shop.user.id, name="Feira")
    await database.execute(
        "INSERT INTO contact_activity (contact_id, user_id, claims, day_start, day_used, unanswered, campaign_id,"
        " last_at) VALUES ($1, $2, 1, now(), 1, 1, $3, now())",
        contact["id"],
        shop.user.id,
        campaign,
    )
    await shop.hears(contact["number"], "SAIR!")
    entries = await show(shop.tenant, f"contacts/{contact['id']}/timeline")
    (entry,) = [entry for entry in entries if entry["kind"] == "opted_out"]
    named = ("source", "reason", "number_id", "campaign_id", "campaign_name")
    assert [entry[name] for name in named] == ["word", "SAIR!", shop.number["id"], campaign, "Feira"]


async def test_a_sentence_blocks_nobody(shop: Shop) -> None:
    contact = await add_contact(shop.tenant)
    await shop.hears(contact["number"], "Quando a loja vai parar de abrir aos sábados?")
    assert not await shop.blocked(contact)


async def test_the_tenants_words_take_the_place_of_ours(shop: Shop) -> None:
    one, two = await add_contact(shop.tenant), await add_contact(shop.tenant)
    await shop.configure(words=["chega"])
    await shop.hears(one["number"], "chega")
    await shop.hears(two["number"], "sair")
    assert (await shop.blocked(one), await shop.blocked(two)) == (True, False)


async def test_an_account_without_ninth_digit_is_the_contact_with_it(shop: Shop) -> None:
    contact = await add_contact(shop.tenant, number="+5531987650001")
    await shop.hears("553187650001", "parar")
    assert await shop.blocked(contact)


async def test_a_stranger_who_opts_out_is_blocked_when_imported_later(shop: Shop) -> None:
    number = phone()
    await shop.hears(number, "stop")
    assert (await add_contact(shop.tenant, number=f"+{number}"))["blocked"] is True


async def test_a_hidden_number_with_the_phone_beside_it(shop: Shop) -> None:
    contact = await add_contact(shop.tenant)
    await shop.hears(contact["number"], "baja", lid=True)
    assert await shop.blocked(contact)


async def test_a_hidden_number_is_looked_up(shop: Shop) -> None:
    contact = await add_contact(shop.tenant)
    await shop.hears(contact["number"], "sair", lid="hidden")
    assert not await shop.blocked(contact)
    (job,) = await shop.run_jobs(opt_outs.RESOLVE)
    assert job["status"] == "done"
    assert await shop.blocked(contact)


async def test_who_stays_hidden_raises_an_alarm_and_is_blocked_once_known(shop: Shop) -> None:
    contact = await add_contact(shop.tenant)
    await shop.hears(contact["number"], "sair", lid="unknown")
    (job,) = await shop.run_jobs(opt_outs.RESOLVE)
    assert job["status"] == "failed"
    assert "put the number on the block list" in job["error"]
    actions = await database.fetch("SELECT action FROM logs WHERE user_id = $1 ORDER BY id DESC LIMIT 1", shop.user.id)
    assert actions[0]["action"] == "contact.opt_out_unresolved"
    await shop.hears(contact["number"], "olá", lid=True)
    await applying.apply("events")
    assert await shop.blocked(contact)


async def test_the_confirmation_is_sent_once(shop: Shop) -> None:
    contact = await add_contact(shop.tenant)
    await shop.configure(confirmation="Você não receberá mais mensagens.")
    await shop.hears(contact["number"], "sair")
    (job,) = await shop.run_jobs(opt_outs.CONFIRM)
    assert (job["status"], job["result"]) == ("done", {"outcome": "accepted"})
    await shop.hears(contact["number"], "sair")
    assert [job["id"]] == [again["id"] for again in await shop.run_jobs(opt_outs.CONFIRM)]
    assert [message["text"] for message in await shop.waha.arrivals()] == ["Você não receberá mais mensagens."]


async def test_a_confirmation_that_was_cut_off_is_not_sent_again(shop: Shop) -> None:
    contact = await add_contact(shop.tenant)
    await shop.configure(confirmation="Até logo.")
    await shop.hears(contact["number"], "sair")
    await database.execute("""UPDATE jobs SET checkpoint = '{"begun": true}' WHERE kind = $1""", opt_outs.CONFIRM)
    (job,) = await shop.run_jobs(opt_outs.CONFIRM)
    assert job["result"] == {"outcome": "unknown"}
    assert await shop.waha.arrivals() == []


async def test_nothing_is_confirmed_unless_the_tenant_wants_it(shop: Shop) -> None:
    contact = await add_contact(shop.tenant)
    await shop.hears(contact["number"], "sair")
    assert await shop.run_jobs(opt_outs.CONFIRM) == []


async def test_it_is_written_into_the_audit_log_without_the_number(shop: Shop) -> None:
    contact = await add_contact(shop.tenant)
    await shop.hears(contact["number"], "sair")
    (row,) = await database.fetch(
        "SELECT data FROM logs WHERE user_id = $1 AND action = 'contact.opted_out'", shop.user.id
    )
    assert contact["number"] not in row["data"]
    assert f'"contacts": [{contact["id"]}]' in row["data"]


async def test_it_is_of_the_tenant_whose_number_was_written_to(shop: Shop, other_user: Member) -> None:
    number = phone()
    await shop.hears(number, "sair")
    assert await is_suppressed(shop.user.id, (number,))
    assert not await is_suppressed(other_user.id, (number,))
