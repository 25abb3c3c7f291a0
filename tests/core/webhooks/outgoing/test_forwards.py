"""The forward address of a number: its own events, signed with a secret that is shown when it is set."""

from typing import Any

import httpx
import pytest

from core import announcing, database
from core.events.catalogue import CampaignPaused, NumberConnected, NumberDisconnected
from core.webhooks.outgoing import claims, delivering
from tests.core.campaigns.making import make_number
from tests.core.webhooks.outgoing.receiver import PATH, Receiver
from tests.factories import Member

PUBLIC = "https://93.184.216.34/hook"


@pytest.fixture
async def number_id(user: Member) -> int:
    return await make_number(user.id)


async def forward(client: httpx.AsyncClient, number_id: int, url: str | None) -> Any:
    answer = await client.patch(f"/api/numbers/{number_id}", json={"webhook_url": url})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def endpoints(client: httpx.AsyncClient) -> list[Any]:
    found: list[Any] = (await client.get(PATH)).json()["data"]
    return found


async def tell(member: Member, number_id: int) -> None:
    async with database.unit_of_work():
        await announcing.emit(member.id, NumberConnected(number_id=number_id, name="", number=""))
    await delivering.deliver_due()


async def test_it_hears_of_its_number_and_of_nothing_else(
    shop: httpx.AsyncClient, user: Member, number_id: int, receiver: Receiver, url: str
) -> None:
    made = await forward(shop, number_id, f"{url}/forward")
    other = await make_number(user.id)
    async with database.unit_of_work():
        await announcing.emit_all(
            [
                (user.id, NumberConnected(number_id=number_id, name="Shop", number="5511987654321")),
                (user.id, NumberConnected(number_id=other, name="Other", number="5511987654322")),
                (user.id, CampaignPaused(campaign_id=1, name="Easter", reason="paused_by_user")),
            ]
        )
    await delivering.deliver_due()
    (heard,) = receiver.heard
    assert (heard.path, heard.event["type"], heard.event["data"]["number_id"]) == (
        "/forward",
        "number.connected",
        number_id,
    )
    assert heard.signatures() == [heard.expected(made["webhook_secret"])]


async def test_the_secret_is_shown_once(shop: httpx.AsyncClient, number_id: int) -> None:
    first = await forward(shop, number_id, PUBLIC)
    again = await forward(shop, number_id, f"{PUBLIC}/2")
    assert first["webhook_secret"].startswith("whsec_")
    assert (again["webhook_secret"], again["webhook_url"]) == (None, f"{PUBLIC}/2")
    assert "webhook_secret" not in (await shop.get(f"/api/numbers/{number_id}")).json()["data"]


async def test_it_stands_among_the_endpoints(shop: httpx.AsyncClient, number_id: int) -> None:
    await forward(shop, number_id, PUBLIC)
    (found,) = await endpoints(shop)
    assert (found["number_id"], found["url"]) == (number_id, PUBLIC)
    assert found["events"] == [
        "message.received",
        "message.updated",
        "number.connected",
        "number.disconnected",
        "number.restricted",
    ]


async def test_its_secret_is_rolled_there(
    shop: httpx.AsyncClient, user: Member, number_id: int, receiver: Receiver, url: str
) -> None:
    made = await forward(shop, number_id, url)
    (found,) = await endpoints(shop)
    rolled = (await shop.post(f"{PATH}/{found['id']}/secret")).json()["data"]
    gone = NumberDisconnected(number_id=number_id, name="", number="", connection="failed", reason="")
    async with database.unit_of_work():
        await announcing.emit(user.id, gone)
    await delivering.deliver_due()
    (heard,) = receiver.heard
    assert heard.signatures() == [heard.expected(rolled["secret"]), heard.expected(made["webhook_secret"])]


@pytest.mark.parametrize(("field", "value"), [("url", PUBLIC), ("events", ["campaign.paused"])])
async def test_what_is_the_number_s_is_not_changed_there(
    shop: httpx.AsyncClient, number_id: int, field: str, value: object
) -> None:
    await forward(shop, number_id, PUBLIC)
    (found,) = await endpoints(shop)
    answer = await shop.patch(f"{PATH}/{found['id']}", json={field: value})
    assert (answer.status_code, list(answer.json()["errors"])) == (422, [field])
    assert await endpoints(shop) == [found]


class TestDisabled:
    """A forward whose server answered 410."""

    @pytest.fixture
    async def endpoint(
        self, shop: httpx.AsyncClient, user: Member, number_id: int, receiver: Receiver, url: str
    ) -> Any:
        await forward(shop, number_id, f"{url}/old")
        receiver.status = 410
        await tell(user, number_id)
        receiver.status = 200
        (found,) = await endpoints(shop)
        assert (found["status"], found["disabled_reason"]) == ("disabled", "gone")
        return found

    async def test_another_address_is_told(
        self, shop: httpx.AsyncClient, user: Member, number_id: int, endpoint: Any, receiver: Receiver, url: str
    ) -> None:
        changed = await forward(shop, number_id, f"{url}/new")
        assert changed["webhook_secret"] is None
        (found,) = await endpoints(shop)
        told = {name: found[name] for name in ("id", "status", "disabled_reason", "disabled_at", "failing_since")}
        assert told == {
            "id": endpoint["id"],
            "status": "active",
            "disabled_reason": "",
            "disabled_at": None,
            "failing_since": None,
        }
        await tell(user, number_id)
        assert len(receiver.at("/new")) == 1

    async def test_that_is_logged(self, shop: httpx.AsyncClient, number_id: int, endpoint: Any, url: str) -> None:
        for _ in range(2):
            await forward(shop, number_id, f"{url}/new")
        rows = await database.fetch(
            "SELECT action FROM logs WHERE entity = 'webhook_endpoint' AND entity_id = $1 ORDER BY id", endpoint["id"]
        )
        assert [row["action"] for row in rows] == ["webhook_endpoint.disabled", "webhook_endpoint.enabled"]

    async def test_the_same_address_enables_nothing(
        self, shop: httpx.AsyncClient, number_id: int, endpoint: Any, url: str
    ) -> None:
        await forward(shop, number_id, f"{url}/old")
        assert await endpoints(shop) == [endpoint]

    async def test_enabling_does(
        self, shop: httpx.AsyncClient, user: Member, number_id: int, endpoint: Any, receiver: Receiver
    ) -> None:
        await shop.post(f"{PATH}/{endpoint['id']}/enable")
        await tell(user, number_id)
        assert len(receiver.at("/old")) == 2


async def test_another_address_does_not_answer_for_the_one_before(
    shop: httpx.AsyncClient, user: Member, number_id: int, receiver: Receiver, url: str
) -> None:
    await forward(shop, number_id, f"{url}/old")
    receiver.status = 500
    await tell(user, number_id)
    (failing,) = await endpoints(shop)
    async with database.unit_of_work():
        await announcing.emit(user.id, NumberConnected(number_id=number_id, name="", number=""))
    # One that waits would be claimed with it.
    await database.execute("UPDATE webhook_deliveries SET status = 'failed' WHERE attempts = 1 AND status = 'pending'")
    (late,) = [one for one in await claims.claim(1000) if one.endpoint_id == failing["id"]]
    await forward(shop, number_id, f"{url}/new")
    await delivering.record(late, claims.Outcome(status=410, error="status"))
    (found,) = await endpoints(shop)
    assert (failing["failing_since"] is None, found["failing_since"], found["status"]) == (False, None, "active")


async def test_it_ends_with_null(shop: httpx.AsyncClient, number_id: int) -> None:
    await forward(shop, number_id, PUBLIC)
    assert (await forward(shop, number_id, None))["webhook_url"] is None
    assert await endpoints(shop) == []


async def test_it_ends_with_its_endpoint(shop: httpx.AsyncClient, number_id: int) -> None:
    await forward(shop, number_id, PUBLIC)
    (found,) = await endpoints(shop)
    await shop.delete(f"{PATH}/{found['id']}")
    assert (await shop.get(f"/api/numbers/{number_id}")).json()["data"]["webhook_url"] is None


async def test_it_ends_with_its_number(shop: httpx.AsyncClient, number_id: int) -> None:
    await forward(shop, number_id, PUBLIC)
    assert (await shop.delete(f"/api/numbers/{number_id}")).status_code == 204
    assert await endpoints(shop) == []


async def test_a_private_address_is_refused(shop: httpx.AsyncClient, number_id: int) -> None:
    answer = await shop.patch(f"/api/numbers/{number_id}", json={"webhook_url": "http://192.168.0.1/", "name": "X"})
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["webhook_url"])
    found = (await shop.get(f"/api/numbers/{number_id}")).json()["data"]
    assert (found["webhook_url"], found["name"] == "X") == (None, False)


async def test_another_change_of_the_number_leaves_it(shop: httpx.AsyncClient, number_id: int) -> None:
    await forward(shop, number_id, PUBLIC)
    await shop.patch(f"/api/numbers/{number_id}", json={"name": "Other"})
    assert (await shop.get(f"/api/numbers/{number_id}")).json()["data"]["webhook_url"] == PUBLIC
