"""What the tenant and the administrator see of deliveries, and sending them again."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest

from core import announcing, database
from core.events.catalogue import ContactOptedOut
from core.privacy.traces import remove_traces
from core.settings.services import put_setting
from core.webhooks import log
from core.webhooks.outgoing import claims, deliveries, delivering, delivery_log
from tests.conftest import ClientOf
from tests.core.webhooks.outgoing.receiver import PATH, Receiver, add_endpoint, age, deliver_now, deliveries_of
from tests.factories import Member


async def tell(member: Member, number: str = "5511987654321") -> None:
    async with database.unit_of_work():
        await announcing.emit(member.id, ContactOptedOut(contact_id=None, number=number, source="word"))


async def fail(client: httpx.AsyncClient, member: Member, receiver: Receiver, url: str) -> Any:
    """Return an endpoint with a delivery that failed for good, while another was taken."""
    endpoint = await add_endpoint(client, url)
    await tell(member)
    receiver.status, receiver.body = 500, b"out of order"
    await delivering.deliver_due()
    await age(endpoint, "24 hours")
    await database.execute("UPDATE webhook_endpoints SET failing_since = now() WHERE id = $1", endpoint["id"])
    await deliver_now(endpoint)
    receiver.status = 200
    return endpoint


WAITING = 12


async def gone(client: httpx.AsyncClient, member: Member, receiver: Receiver, url: str) -> Any:
    """Return an endpoint that answered 410 to the first event, while as many as ``WAITING`` waited."""
    endpoint = await add_endpoint(client, url)
    receiver.status = 410
    await tell(member)
    (first,) = [one for one in await claims.claim(1000) if one.endpoint_id == endpoint["id"]]
    for _ in range(WAITING):
        await tell(member)
    await delivering.deliver(first)
    return endpoint


async def entries_of(endpoint: Any) -> list[Any]:
    return list(
        await database.fetch(
            "SELECT * FROM webhooks_log WHERE payload @> jsonb_build_object('endpoint_id', $1::bigint) ORDER BY id",
            endpoint["id"],
        )
    )


class TestReplay:
    async def test_a_failed_one_is_sent_again_under_its_id(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
    ) -> None:
        endpoint = await fail(shop, user, receiver, url)
        (failed,) = await deliveries_of(shop, endpoint)
        answer = await shop.post(f"{PATH}/{endpoint['id']}/deliveries/{failed['id']}/replay")
        assert (answer.status_code, answer.json()["data"]["status"]) == (202, "pending")
        await delivering.deliver_due()
        (found,) = await deliveries_of(shop, endpoint)
        assert (failed["status"], found["status"], found["attempts"]) == ("failed", "delivered", 1)
        assert {heard.id for heard in receiver.heard} == {failed["event_id"]}

    async def test_it_is_tried_for_another_day(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
    ) -> None:
        endpoint = await fail(shop, user, receiver, url)
        (failed,) = await deliveries_of(shop, endpoint)
        receiver.status = 500
        await shop.post(f"{PATH}/{endpoint['id']}/deliveries/{failed['id']}/replay")
        await delivering.deliver_due()
        (found,) = await deliveries_of(shop, endpoint)
        assert (found["status"], found["attempts"]) == ("pending", 1)

    async def test_one_that_waits_keeps_its_end(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
    ) -> None:
        endpoint = await add_endpoint(shop, url)
        receiver.status = 500
        await tell(user)
        await delivering.deliver_due()
        (waiting,) = await deliveries_of(shop, endpoint)
        await age(endpoint, "25 hours")
        await shop.post(f"{PATH}/{endpoint['id']}/deliveries/{waiting['id']}/replay")
        await delivering.deliver_due()
        (found,) = await deliveries_of(shop, endpoint)
        assert (found["status"], found["attempts"], len(receiver.heard)) == ("failed", 2, 2)

    async def test_any_number_of_times(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
    ) -> None:
        endpoint = await add_endpoint(shop, url)
        await tell(user)
        await database.execute("UPDATE webhook_deliveries SET attempts = 32767 WHERE endpoint_id = $1", endpoint["id"])
        await delivering.deliver_due()
        (found,) = await deliveries_of(shop, endpoint)
        assert (found["status"], found["attempts"], len(receiver.heard)) == ("delivered", 32_768, 1)

    async def test_not_to_a_disabled_endpoint(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
    ) -> None:
        endpoint = await fail(shop, user, receiver, url)
        (failed,) = await deliveries_of(shop, endpoint)
        await shop.post(f"{PATH}/{endpoint['id']}/disable")
        for way in (f"deliveries/{failed['id']}/replay", "test"):
            answer = await shop.post(f"{PATH}/{endpoint['id']}/{way}")
            assert (answer.status_code, answer.json()["code"]) == (409, "webhook_endpoint_disabled")

    async def test_not_by_way_of_another_endpoint(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
    ) -> None:
        endpoint = await fail(shop, user, receiver, url)
        other = await add_endpoint(shop, url)
        (failed,) = await deliveries_of(shop, endpoint)
        answer = await shop.post(f"{PATH}/{other['id']}/deliveries/{failed['id']}/replay")
        assert answer.status_code == 404

    async def test_not_by_a_stranger(
        self, shop: httpx.AsyncClient, user: Member, other_user: Member, api: ClientOf, receiver: Receiver, url: str
    ) -> None:
        endpoint = await fail(shop, user, receiver, url)
        (failed,) = await deliveries_of(shop, endpoint)
        async with api(other_user) as stranger:
            answers = [
                await stranger.get(f"{PATH}/{endpoint['id']}/deliveries"),
                await stranger.post(f"{PATH}/{endpoint['id']}/deliveries/{failed['id']}/replay"),
            ]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert (await deliveries_of(shop, endpoint)) == [failed]


async def test_a_test_event_comes_whatever_was_subscribed(
    shop: httpx.AsyncClient, receiver: Receiver, url: str
) -> None:
    endpoint = await add_endpoint(shop, url, "campaign.paused")
    answer = await shop.post(f"{PATH}/{endpoint['id']}/test")
    assert answer.status_code == 202
    await delivering.deliver_due()
    (heard,) = receiver.heard
    assert (heard.event["type"], heard.event["data"]) == ("webhook.test", {"endpoint_id": endpoint["id"]})
    assert heard.id == answer.json()["data"]["event_id"]


async def test_the_list_by_status_and_type_and_by_cursor(
    shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
) -> None:
    endpoint = await fail(shop, user, receiver, url)
    await shop.post(f"{PATH}/{endpoint['id']}/test")
    await delivering.deliver_due()
    path = f"{PATH}/{endpoint['id']}/deliveries"
    for query, expected in (
        ({"status": "failed"}, ["contact.opted_out"]),
        ({"status": "pending"}, []),
        ({"type": "webhook."}, ["webhook.test"]),
        ({"cursor": ""}, ["webhook.test", "contact.opted_out"]),
    ):
        found = (await shop.get(path, params=query)).json()["data"]
        assert [one["type"] for one in found] == expected


class TestLog:
    async def test_what_failed_for_good_is_kept(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
    ) -> None:
        endpoint = await fail(shop, user, receiver, f"{url}/hook?key=hidden")
        (delivery,) = await deliveries_of(shop, endpoint)
        (entry,) = await entries_of(endpoint)
        kept = (entry["type"], entry["url"], entry["response_code"], entry["response_body"])
        assert kept == ("outgoing:contact.opted_out", f"{url}/hook", 500, "out of order")
        assert str(delivery["event_id"]) in entry["payload"]
        assert "5511987654321" not in entry["payload"]

    async def test_what_ended_with_its_endpoint_is_kept(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
    ) -> None:
        endpoint = await gone(shop, user, receiver, f"{url}/hook?key=hidden")
        found = await deliveries_of(shop, endpoint)
        entries = [msgspec.json.decode(entry["payload"]) for entry in await entries_of(endpoint)]
        assert {entry["delivery_id"] for entry in entries} == {one["id"] for one in found}
        assert Counter(entry["error"] for entry in entries) == {"status": 1, "endpoint_disabled": WAITING}
        (ended, *_) = (entry for entry in await entries_of(endpoint) if "endpoint_disabled" in entry["payload"])
        assert (ended["type"], ended["url"], ended["response_code"]) == (
            "outgoing:contact.opted_out",
            f"{url}/hook",
            None,
        )
        assert msgspec.json.decode(ended["payload"]).keys() == {
            "user_id",
            "endpoint_id",
            "delivery_id",
            "event",
            "attempts",
            "error",
        }

    async def test_of_a_multitude_that_ended_so_many_are_kept(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(delivery_log, "MOST_ENDED", 2)
        endpoint = await gone(shop, user, receiver, url)
        assert len(await entries_of(endpoint)) == 3
        assert {one["status"] for one in await deliveries_of(shop, endpoint)} == {"failed"}

    async def test_what_its_tenant_ended_is_not(self, shop: httpx.AsyncClient, user: Member, url: str) -> None:
        endpoint = await add_endpoint(shop, url)
        await tell(user)
        await shop.post(f"{PATH}/{endpoint['id']}/disable")
        assert [one["error"] for one in await deliveries_of(shop, endpoint)] == ["endpoint_disabled"]
        assert await entries_of(endpoint) == []

    async def test_an_administrator_sends_again_what_ended_with_its_endpoint(
        self,
        shop: httpx.AsyncClient,
        api: ClientOf,
        user: Member,
        administrator: Member,
        receiver: Receiver,
        url: str,
    ) -> None:
        endpoint = await gone(shop, user, receiver, url)
        await shop.post(f"{PATH}/{endpoint['id']}/enable")
        *_, entry = await entries_of(endpoint)
        async with api(administrator) as admin:
            answer = await admin.post(f"/api/admin/webhooks-log/{entry['id']}/replay")
        assert answer.status_code == 204
        receiver.status = 200
        await delivering.deliver_due()
        assert (
            sorted(one["status"] for one in await deliveries_of(shop, endpoint)) == ["delivered"] + ["failed"] * WAITING
        )

    async def test_what_arrived_is_kept_where_the_setting_asks_for_it(
        self, shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
    ) -> None:
        receiver.status = 200
        endpoint = await add_endpoint(shop, url)
        await tell(user)
        await delivering.deliver_due()
        assert await entries_of(endpoint) == []
        await put_setting(log.KEEP_GENUINE_SETTING, "true")
        log.switch.forget()
        try:
            await tell(user)
            await delivering.deliver_due()
        finally:
            await put_setting(log.KEEP_GENUINE_SETTING, "false")
            log.switch.forget()
        assert [entry["response_code"] for entry in await entries_of(endpoint)] == [200]

    async def test_an_administrator_sends_it_again(
        self,
        shop: httpx.AsyncClient,
        api: ClientOf,
        user: Member,
        administrator: Member,
        receiver: Receiver,
        url: str,
    ) -> None:
        endpoint = await fail(shop, user, receiver, url)
        (entry,) = await entries_of(endpoint)
        async with api(administrator) as admin:
            answer = await admin.post(f"/api/admin/webhooks-log/{entry['id']}/replay")
        assert answer.status_code == 204
        await delivering.deliver_due()
        (found,) = await deliveries_of(shop, endpoint)
        assert found["status"] == "delivered"

    async def test_what_is_gone_cannot_be_sent_again(
        self,
        shop: httpx.AsyncClient,
        api: ClientOf,
        user: Member,
        administrator: Member,
        receiver: Receiver,
        url: str,
    ) -> None:
        endpoint = await fail(shop, user, receiver, url)
        (entry,) = await entries_of(endpoint)
        await shop.delete(f"{PATH}/{endpoint['id']}")
        async with api(administrator) as admin:
            answer = await admin.post(f"/api/admin/webhooks-log/{entry['id']}/replay")
        assert (answer.status_code, answer.json()["code"]) == (409, "delivery_gone")


@pytest.mark.parametrize(("status", "left"), [("delivered", 0), ("failed", 0), ("pending", 1)])
async def test_what_is_over_goes_after_some_days(
    shop: httpx.AsyncClient, user: Member, url: str, status: str, left: int
) -> None:
    endpoint = await add_endpoint(shop, url)
    await tell(user)
    await database.execute(
        "UPDATE webhook_deliveries SET status = $2, created_at = now() - interval '8 days' WHERE endpoint_id = $1",
        endpoint["id"],
        status,
    )
    await deliveries.forget_deliveries(datetime.now(UTC) - timedelta(days=7), 1000)
    assert len(await deliveries_of(shop, endpoint)) == left


async def test_who_is_erased_goes_from_deliveries(
    shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str
) -> None:
    endpoint = await add_endpoint(shop, url)
    await tell(user, "5511900000077")
    await tell(user, "5511900000078")
    await delivering.deliver_due()
    assert len(receiver.heard) == 2
    await remove_traces(user.id, ["5511900000077"])
    assert [one["body"]["data"]["number"] for one in await deliveries_of(shop, endpoint)] == ["5511900000078"]
