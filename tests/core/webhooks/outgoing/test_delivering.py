"""Events on their way to a real HTTP server: signed, repeated, given up, and never in each other's way."""

import asyncio
import contextvars
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest

from core import announcing, database
from core.config import OutboundConfig
from core.events.catalogue import CampaignCompleted, ContactOptedOut, WebhookDisabled
from core.runtime import Runtime, set_runtime
from core.runtime import runtime as held
from core.version import platform_version
from core.webhooks.outgoing import claims, delivering
from core.webhooks.outgoing.endpoints import MOST
from tests.conftest import ClientOf
from tests.core.live.ears import listen
from tests.core.webhooks.outgoing.receiver import (
    PATH,
    Receiver,
    add_endpoint,
    age,
    deliver_now,
    deliveries_of,
    notices_of,
    show,
)
from tests.factories import Member


def opted_out(number: str = "5511987654321") -> ContactOptedOut:
    return ContactOptedOut(contact_id=None, number=number, source="word")


async def emit(member: Member, *events: Any) -> None:
    async with database.unit_of_work():
        await announcing.emit_all([(member.id, event) for event in events])


async def only(client: httpx.AsyncClient, endpoint: Any) -> Any:
    (found,) = await deliveries_of(client, endpoint)
    return found


def seconds_until(moment: str) -> float:
    return (datetime.fromisoformat(moment) - datetime.now(UTC)).total_seconds()


class TestSuccess:
    async def test_the_envelope_is_signed_as_it_is_sent(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
    ) -> None:
        endpoint = await add_endpoint(shop, f"{url}/hook?key=1")
        await emit(user, opted_out("5511900000001"))
        await delivering.deliver_due()
        (heard,) = receiver.at("/hook")
        assert heard.signatures() == [heard.expected(endpoint["secret"])]
        assert heard.event["id"] == heard.id
        assert heard.event["type"] == "contact.opted_out"
        assert heard.event["data"] == {"contact_id": None, "number": "5511900000001", "source": "word"}
        assert heard.headers["content-type"] == "application/json"
        assert heard.headers["user-agent"] == f"Recado/{platform_version()}"

    async def test_the_timestamp_is_that_of_the_attempt(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
    ) -> None:
        endpoint = await add_endpoint(shop, url)
        await emit(user, opted_out())
        await age(endpoint, "2 hours")
        await delivering.deliver_due()
        assert abs(int(receiver.heard[0].headers["webhook-timestamp"]) - datetime.now(UTC).timestamp()) < 60

    async def test_the_log_shows_it(self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str) -> None:
        receiver.status, receiver.body = 200, b"thanks\0"
        endpoint = await add_endpoint(shop, url)
        await emit(user, opted_out())
        await delivering.deliver_due()
        found = await only(shop, endpoint)
        told = {name: found[name] for name in ("status", "attempts", "response_code", "response_body", "error")}
        assert told == {
            "status": "delivered",
            "attempts": 1,
            "response_code": 200,
            "response_body": "thanks\ufffd",
            "error": "",
        }
        assert found["body"] == receiver.heard[0].event
        assert found["next_attempt_at"] is None

    async def test_only_what_was_subscribed_comes(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
    ) -> None:
        await add_endpoint(shop, f"{url}/one", "contact.opted_out")
        await add_endpoint(shop, f"{url}/two", "campaign.completed", "contact.opted_out")
        counts = dict.fromkeys(("total", "sent", "delivered", "read", "failed", "skipped", "unknown"), 1)
        completed = CampaignCompleted(campaign_id=7, name="Easter", reason="", **counts)
        await emit(user, opted_out(), completed)
        await delivering.deliver_due()
        assert [heard.event["type"] for heard in receiver.at("/one")] == ["contact.opted_out"]
        assert sorted(heard.event["type"] for heard in receiver.at("/two")) == [
            "campaign.completed",
            "contact.opted_out",
        ]

    async def test_both_endpoints_know_an_event_by_one_id(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
    ) -> None:
        await add_endpoint(shop, f"{url}/one")
        await add_endpoint(shop, f"{url}/two")
        await emit(user, opted_out())
        await delivering.deliver_due()
        assert receiver.at("/one")[0].id == receiver.at("/two")[0].id

    async def test_nothing_leaves_of_a_cause_that_was_rolled_back(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
    ) -> None:
        endpoint = await add_endpoint(shop, url)

        async def cause() -> None:
            async with database.unit_of_work():
                await announcing.emit(user.id, opted_out())
                raise RuntimeError

        with pytest.raises(RuntimeError):
            await cause()
        await delivering.deliver_due()
        assert (receiver.heard, await deliveries_of(shop, endpoint)) == ([], [])

    async def test_another_tenant_hears_nothing(
        self,
        shop: httpx.AsyncClient,
        other_user: Member,
        receiver: Receiver,
        url: str,
    ) -> None:
        endpoint = await add_endpoint(shop, url)
        await emit(other_user, opted_out())
        await delivering.deliver_due()
        assert (receiver.heard, await deliveries_of(shop, endpoint)) == ([], [])


class TestFailure:
    async def test_it_is_repeated_under_the_same_id_until_it_is_taken(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
    ) -> None:
        endpoint = await add_endpoint(shop, url)
        receiver.status = 503
        await emit(user, opted_out())
        await delivering.deliver_due()
        assert (await show(shop, endpoint))["failing_since"] is not None
        receiver.status = 200
        await deliver_now(endpoint)
        assert len({heard.id for heard in receiver.heard}) == 1
        assert [heard.signatures() == [heard.expected(endpoint["secret"])] for heard in receiver.heard] == [True, True]
        found = await only(shop, endpoint)
        assert (found["status"], found["attempts"]) == ("delivered", 2)
        assert (await show(shop, endpoint))["failing_since"] is None

    async def test_it_is_not_repeated_before_its_time(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
    ) -> None:
        receiver.status = 500
        await add_endpoint(shop, url)
        await emit(user, opted_out())
        await delivering.deliver_due()
        await delivering.deliver_due()
        assert len(receiver.heard) == 1

    async def test_the_waits_grow(self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str) -> None:
        receiver.status = 500
        endpoint = await add_endpoint(shop, url)
        await emit(user, opted_out())
        await delivering.deliver_due()
        waits = []
        for _ in range(6):
            waits.append(seconds_until((await only(shop, endpoint))["next_attempt_at"]))
            await deliver_now(endpoint)
        expected = [5, 30, 120, 600, 1800, 3600]
        assert all(0.8 * wait - 5 <= found <= 1.2 * wait for wait, found in zip(expected, waits, strict=True))

    @pytest.mark.parametrize("attempts", range(1, 15))
    def test_the_waits_are_a_little_longer_or_shorter(self, attempts: int) -> None:
        longest = (5, 30, 120, 600, 1800, 3600, 7200, 14_400)[min(attempts, 8) - 1]
        found = {claims.back_off(attempts) for _ in range(50)}
        assert len(found) > 1
        assert all(timedelta(seconds=0.8 * longest) <= wait <= timedelta(seconds=1.2 * longest) for wait in found)

    async def test_the_last_attempt_is_after_24_hours(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
    ) -> None:
        receiver.status = 500
        endpoint = await add_endpoint(shop, url)
        await emit(user, opted_out())
        await age(endpoint, "23 hours 59 minutes 59 seconds")
        for _ in range(3):
            await deliver_now(endpoint)
        await age(endpoint, "1 minute")
        await deliver_now(endpoint)
        found = await only(shop, endpoint)
        assert (found["status"], found["error"], found["next_attempt_at"]) == ("failed", "status", None)

    async def test_no_wait_goes_beyond_the_24_hours(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
    ) -> None:
        receiver.status = 500
        endpoint = await add_endpoint(shop, url)
        await emit(user, opted_out())
        await database.execute("UPDATE webhook_deliveries SET attempts = 9 WHERE endpoint_id = $1", endpoint["id"])
        await age(endpoint, "23 hours")
        await delivering.deliver_due()
        assert 3_500 < seconds_until((await only(shop, endpoint))["next_attempt_at"]) <= 3_600

    async def test_a_redirect_is_not_followed(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
    ) -> None:
        receiver.status, receiver.headers = 307, [(b"location", f"{url}/elsewhere".encode())]
        endpoint = await add_endpoint(shop, f"{url}/hook")
        await emit(user, opted_out())
        await delivering.deliver_due()
        assert [heard.path for heard in receiver.heard] == ["/hook"]
        found = await only(shop, endpoint)
        assert (found["status"], found["error"], found["response_code"]) == ("pending", "redirect", 307)

    async def test_a_server_that_is_away(self, shop: httpx.AsyncClient, user: Member, url: str) -> None:
        del url  # needed, since it opens loopback
        endpoint = await add_endpoint(shop, "http://127.0.0.1:9/hook")
        await emit(user, opted_out())
        await delivering.deliver_due()
        found = await only(shop, endpoint)
        assert (found["status"], found["error"], found["response_code"]) == ("pending", "unreachable", None)

    async def test_a_private_address_is_not_called(
        self,
        shop: httpx.AsyncClient,
        user: Member,
        receiver: Receiver,
        url: str,
        rules: Callable[[OutboundConfig], None],
    ) -> None:
        endpoint = await add_endpoint(shop, url)
        rules(OutboundConfig())
        await emit(user, opted_out())
        await delivering.deliver_due()
        assert receiver.heard == []
        assert (await only(shop, endpoint))["error"] == "forbidden_address"

    async def test_a_long_answer_is_not_read(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
    ) -> None:
        receiver.status, receiver.body = 500, b"x" * 5_000_000
        endpoint = await add_endpoint(shop, url)
        await emit(user, opted_out())
        await delivering.deliver_due()
        assert (await only(shop, endpoint))["response_body"] == "x" * 1000


class TestDisabling:
    async def test_gone_disables_at_once_and_says_so(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
    ) -> None:
        receiver.status = 410
        endpoint = await add_endpoint(shop, url)
        await emit(user, opted_out())
        await delivering.deliver_due()
        found = await show(shop, endpoint)
        assert (found["status"], found["disabled_reason"]) == ("disabled", "gone")
        assert (await only(shop, endpoint))["status"] == "failed"
        assert await notices_of(user) == ["webhook_disabled"]

    async def test_whoever_looks_is_told_live_and_once(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
    ) -> None:
        ears = await listen(user.id)
        receiver.status = 410
        endpoint = await add_endpoint(shop, url)
        await emit(user, opted_out(), opted_out())
        await delivering.deliver_due()
        told = [event for event in await ears.heard() if isinstance(event, WebhookDisabled)]
        assert told == [WebhookDisabled(endpoint_id=endpoint["id"], url=url, reason="gone")]

    async def test_a_day_of_failures_disables_and_ends_what_waits(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
    ) -> None:
        receiver.status = 500
        endpoint = await add_endpoint(shop, url)
        await emit(user, opted_out())
        await delivering.deliver_due()
        await age(endpoint, "24 hours")
        await emit(user, opted_out())
        await deliver_now(endpoint)
        found = await show(shop, endpoint)
        assert (found["status"], found["disabled_reason"]) == ("disabled", "failing")
        assert [one["status"] for one in await deliveries_of(shop, endpoint)] == ["failed", "failed"]
        assert await notices_of(user) == ["webhook_disabled"]

    async def test_an_event_that_is_refused_while_others_are_taken_disables_nothing(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
    ) -> None:
        endpoint = await add_endpoint(shop, url)
        receiver.status = 500
        await emit(user, opted_out())
        await delivering.deliver_due()
        await age(endpoint, "23 hours")
        await database.execute(
            "UPDATE webhook_deliveries SET due_at = give_up_at WHERE endpoint_id = $1", endpoint["id"]
        )
        receiver.status = 200
        await emit(user, opted_out())
        await delivering.deliver_due()
        receiver.status = 500
        await age(endpoint, "2 hours")
        await delivering.deliver_due()
        assert sorted(one["status"] for one in await deliveries_of(shop, endpoint)) == ["delivered", "failed"]
        assert (await show(shop, endpoint))["status"] == "active"
        assert await notices_of(user) == []

    async def test_a_disabled_endpoint_hears_nothing(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
    ) -> None:
        endpoint = await add_endpoint(shop, url)
        await shop.post(f"{PATH}/{endpoint['id']}/disable")
        await emit(user, opted_out())
        await delivering.deliver_due()
        assert (receiver.heard, await deliveries_of(shop, endpoint)) == ([], [])

    async def test_one_that_is_enabled_again_does(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
    ) -> None:
        receiver.status = 410
        endpoint = await add_endpoint(shop, url)
        await emit(user, opted_out())
        await delivering.deliver_due()
        receiver.status = 200
        enabled = (await shop.post(f"{PATH}/{endpoint['id']}/enable")).json()["data"]
        assert (enabled["status"], enabled["disabled_reason"], enabled["failing_since"]) == ("active", "", None)
        await emit(user, opted_out())
        await delivering.deliver_due()
        assert len(receiver.heard) == 2


class TestSideBySide:
    async def test_an_endpoint_that_hangs_keeps_nobody_waiting(
        self, shop: httpx.AsyncClient, api: ClientOf, user: Member, other_user: Member, receiver: Receiver, url: str
    ) -> None:
        receiver.hanging.add("/hangs")
        hanging = await add_endpoint(shop, f"{url}/hangs")
        await emit(user, *[opted_out() for _ in range(100)])
        run = asyncio.create_task(delivering.deliver_due())
        assert len(await receiver.until("/hangs", claims.PER_ENDPOINT)) == claims.PER_ENDPOINT
        async with api(other_user) as other:
            await add_endpoint(other, f"{url}/works")
            await emit(other_user, *[opted_out() for _ in range(30)])
            await delivering.deliver_due()
            await receiver.until("/works", 30)
        assert len(receiver.at("/hangs")) == claims.PER_ENDPOINT
        await shop.delete(f"{PATH}/{hanging['id']}")
        receiver.released.set()
        await run

    async def test_an_endpoint_that_fails_is_tried_by_one_at_a_time(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
    ) -> None:
        endpoint = await add_endpoint(shop, url)
        receiver.status = 500
        await emit(user, opted_out())
        await delivering.deliver_due()
        await emit(user, *[opted_out() for _ in range(10)])
        mine = [one for one in await claims.claim(50) if one.endpoint_id == endpoint["id"]]
        assert len(mine) == 1
        assert [one for one in await claims.claim(50) if one.endpoint_id == endpoint["id"]] == []

    async def test_what_no_message_told_of_is_delivered(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
    ) -> None:
        await add_endpoint(shop, f"{url}/hook")
        before, stopping = held(), asyncio.Event()
        set_runtime(msgspec.structs.replace(before, stopping=stopping))
        watch = asyncio.create_task(delivering.keep_delivering())
        try:
            await emit(user, opted_out())
            await receiver.until("/hook", 1)
        finally:
            stopping.set()
            await watch
            set_runtime(before)
        assert len(receiver.at("/hook")) == 1

    async def test_no_delivery_is_claimed_twice(self, shop: httpx.AsyncClient, user: Member, url: str) -> None:
        endpoint = await add_endpoint(shop, url)
        await emit(user, *[opted_out() for _ in range(40)])
        rounds = await asyncio.gather(*[claims.claim(50) for _ in range(8)])
        mine = [one.id for found in rounds for one in found if one.endpoint_id == endpoint["id"]]
        assert len(mine) == len(set(mine)) == claims.PER_ENDPOINT

    async def test_what_a_dead_process_held_is_repeated_after_its_lease(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
    ) -> None:
        endpoint = await add_endpoint(shop, url)
        await emit(user, opted_out())
        (lost,) = [one for one in await claims.claim(50) if one.endpoint_id == endpoint["id"]]
        await delivering.deliver_due()
        assert receiver.heard == []
        await deliver_now(endpoint)
        assert [heard.id for heard in receiver.heard] == [lost.event_id]

    async def test_a_late_answer_of_an_earlier_attempt_changes_nothing(
        self, shop: httpx.AsyncClient, user: Member, url: str
    ) -> None:
        endpoint = await add_endpoint(shop, url)
        await emit(user, opted_out())
        (late,) = [one for one in await claims.claim(50) if one.endpoint_id == endpoint["id"]]
        await deliver_now(endpoint)
        await delivering.record(late, claims.Outcome(status=500, error="status"))
        found = await only(shop, endpoint)
        assert (found["status"], found["attempts"]) == ("delivered", 2)


async def end_leftovers() -> None:
    """What other tests left due would have its share of a claim that is counted."""
    await database.execute("UPDATE webhook_deliveries SET status = 'failed' WHERE status = 'pending'")


class TestFairness:
    """Tenants do not stand in each other's way, however many endpoints one has and however slow they are."""

    async def test_many_slow_endpoints_of_one_tenant_keep_no_other_waiting(
        self, shop: httpx.AsyncClient, api: ClientOf, user: Member, other_user: Member, receiver: Receiver, url: str
    ) -> None:
        await end_leftovers()
        receiver.hanging.add("/slow")
        slow = [await add_endpoint(shop, f"{url}/slow") for _ in range(MOST)]
        await emit(user, *[opted_out() for _ in range(10)])
        run = asyncio.create_task(delivering.deliver_due())
        try:
            await receiver.until("/slow", claims.PER_TENANT)
            async with api(other_user) as other:
                await add_endpoint(other, f"{url}/works")
                await emit(other_user, *[opted_out() for _ in range(30)])
                await delivering.deliver_due()
                await receiver.until("/works", 30)
            assert len(receiver.at("/slow")) == claims.PER_TENANT
        finally:
            for endpoint in slow:
                await shop.delete(f"{PATH}/{endpoint['id']}")
            receiver.released.set()
            await run

    async def test_no_tenant_has_more_in_the_air_than_its_share_however_many_claim(
        self, shop: httpx.AsyncClient, user: Member, url: str
    ) -> None:
        await end_leftovers()
        for _ in range(5):
            await add_endpoint(shop, url)
        await emit(user, *[opted_out() for _ in range(20)])
        rounds = await asyncio.gather(*[claims.claim(50) for _ in range(8)])
        claimed = [one for found in rounds for one in found]
        assert len({one.id for one in claimed}) == len(claimed) == claims.PER_TENANT
        assert sorted(Counter(one.endpoint_id for one in claimed).values()) == [3, 3, 3, 3, 4]
        assert await claims.claim(50) == []

    async def test_who_has_the_fewest_in_the_air_comes_first(
        self, shop: httpx.AsyncClient, api: ClientOf, user: Member, other_user: Member, url: str
    ) -> None:
        await end_leftovers()
        for _ in range(5):
            await add_endpoint(shop, url)
        await emit(user, *[opted_out() for _ in range(20)])
        assert len(await claims.claim(3)) == 3
        async with api(other_user) as other:
            theirs = await add_endpoint(other, url)
        await emit(other_user, *[opted_out() for _ in range(20)])
        assert {one.endpoint_id for one in await claims.claim(2)} == {theirs["id"]}
        shares = Counter(one.endpoint_id == theirs["id"] for one in await claims.claim(5))
        assert shares == {True: 3, False: 2}

    async def test_an_endpoint_without_room_takes_no_turn(
        self, shop: httpx.AsyncClient, api: ClientOf, user: Member, other_user: Member, url: str
    ) -> None:
        await end_leftovers()
        await add_endpoint(shop, url)
        await emit(user, *[opted_out() for _ in range(20)])
        assert len(await claims.claim(50)) == claims.PER_ENDPOINT
        async with api(other_user) as other:
            theirs = await add_endpoint(other, url)
        await emit(other_user, *[opted_out() for _ in range(20)])
        found = [await claims.claim(1) for _ in range(claims.PER_ENDPOINT)]
        assert [[one.endpoint_id for one in claimed] for claimed in found] == [[theirs["id"]]] * claims.PER_ENDPOINT
        assert await claims.claim(50) == []

    async def test_what_somebody_else_holds_is_waited_for_by_nobody(
        self, shop: httpx.AsyncClient, user: Member, url: str
    ) -> None:
        await end_leftovers()
        endpoint = await add_endpoint(shop, url)
        await emit(user, *[opted_out() for _ in range(3)])
        held = min(one["id"] for one in await deliveries_of(shop, endpoint))
        async with database.unit_of_work():
            await database.execute("SELECT 1 FROM webhook_deliveries WHERE id = $1 FOR UPDATE", held)
            claim = asyncio.create_task(claims.claim(50), context=contextvars.Context())
            async with asyncio.timeout(10):
                found = await claim
        assert {one["id"] for one in await deliveries_of(shop, endpoint)} - {one.id for one in found} == {held}


class TestAnotherAddress:
    async def test_what_the_old_one_answers_late_does_not_switch_it_off(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
    ) -> None:
        endpoint = await add_endpoint(shop, f"{url}/old")
        await emit(user, opted_out())
        (late,) = [one for one in await claims.claim(50) if one.endpoint_id == endpoint["id"]]
        await shop.patch(f"{PATH}/{endpoint['id']}", json={"url": f"{url}/new"})
        await delivering.record(late, claims.Outcome(status=410, error="status"))
        found = await show(shop, endpoint)
        assert (found["status"], found["failing_since"]) == ("active", None)
        await deliver_now(endpoint)
        assert [heard.id for heard in receiver.at("/new")] == [late.event_id]
        assert await notices_of(user) == []

    async def test_the_day_of_failures_begins_anew(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
    ) -> None:
        endpoint = await add_endpoint(shop, f"{url}/old")
        receiver.status = 500
        await emit(user, opted_out())
        await delivering.deliver_due()
        await age(endpoint, "23 hours 50 minutes")
        changed = (await shop.patch(f"{PATH}/{endpoint['id']}", json={"url": f"{url}/new"})).json()["data"]
        assert changed["failing_since"] is None
        await age(endpoint, "10 minutes")
        await deliver_now(endpoint)
        assert [one["status"] for one in await deliveries_of(shop, endpoint)] == ["failed"]
        found = await show(shop, endpoint)
        assert (found["status"], found["failing_since"] is None) == ("active", False)

    async def test_what_the_old_one_takes_late_is_no_success_of_it(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
    ) -> None:
        endpoint = await add_endpoint(shop, f"{url}/old")
        await emit(user, opted_out())
        (late,) = [one for one in await claims.claim(50) if one.endpoint_id == endpoint["id"]]
        await shop.patch(f"{PATH}/{endpoint['id']}", json={"url": f"{url}/new"})
        receiver.status = 500
        await emit(user, opted_out())
        await delivering.deliver_due()
        failing = (await show(shop, endpoint))["failing_since"]
        await delivering.record(late, claims.Outcome(status=204))
        assert (await show(shop, endpoint))["failing_since"] == failing is not None

    async def test_the_same_address_goes_on_failing(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
    ) -> None:
        endpoint = await add_endpoint(shop, f"{url}/old")
        receiver.status = 500
        await emit(user, opted_out())
        await delivering.deliver_due()
        before = await show(shop, endpoint)
        await shop.patch(f"{PATH}/{endpoint['id']}", json={"url": f"{url}/old", "name": "Other"})
        assert (await show(shop, endpoint))["failing_since"] == before["failing_since"] is not None


async def test_both_secrets_sign_for_a_day_after_rolling(
    shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
) -> None:
    endpoint = await add_endpoint(shop, url)
    rolled = (await shop.post(f"{PATH}/{endpoint['id']}/secret")).json()["data"]
    assert rolled["secret"] != endpoint["secret"]
    await emit(user, opted_out())
    await delivering.deliver_due()
    await age(endpoint, "24 hours")
    await emit(user, opted_out())
    await delivering.deliver_due()
    both, one = receiver.heard
    assert both.signatures() == [both.expected(rolled["secret"]), both.expected(endpoint["secret"])]
    assert one.signatures() == [one.expected(rolled["secret"])]


async def test_a_second_roll_leaves_the_first_secret_its_day(
    shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
) -> None:
    endpoint = await add_endpoint(shop, url)
    lost = (await shop.post(f"{PATH}/{endpoint['id']}/secret")).json()["data"]
    await age(endpoint, "20 hours")
    rolled = (await shop.post(f"{PATH}/{endpoint['id']}/secret")).json()["data"]
    await emit(user, opted_out())
    await delivering.deliver_due()
    await age(endpoint, "5 hours")
    await emit(user, opted_out())
    await delivering.deliver_due()
    first, second = receiver.heard
    assert first.signatures() == [first.expected(one["secret"]) for one in (rolled, lost, endpoint)]
    assert second.signatures() == [second.expected(one["secret"]) for one in (rolled, lost)]
    assert 18.9 < seconds_until((await show(shop, endpoint))["previous_secret_until"]) / 3600 < 19.1


async def test_of_many_secrets_the_oldest_and_the_newest_sign(
    shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
) -> None:
    endpoint = await add_endpoint(shop, url)
    made = [endpoint, *[(await shop.post(f"{PATH}/{endpoint['id']}/secret")).json()["data"] for _ in range(6)]]
    await emit(user, opted_out())
    await delivering.deliver_due()
    (heard,) = receiver.heard
    assert heard.signatures() == [heard.expected(made[place]["secret"]) for place in (6, 5, 4, 0)]


async def test_a_worker_gets_a_hint(shop: httpx.AsyncClient, user: Member, runtime: Runtime, url: str) -> None:
    await add_endpoint(shop, url)
    await runtime.redis.delete("recado:notifications")
    await emit(user, opted_out())
    async with asyncio.timeout(10):
        while not await runtime.redis.llen("recado:notifications"):  # noqa: ASYNC110 - a queue has no event
            await asyncio.sleep(0.01)
    (message_id,) = await runtime.redis.lrange("recado:notifications", 0, -1)
    message = await runtime.redis.hget("recado:notifications.msgs", message_id)
    assert b'"actor_name":"webhooks.deliver"' in (message if isinstance(message, bytes) else str(message).encode())
    await delivering.deliver_due()
