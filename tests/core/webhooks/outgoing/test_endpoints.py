"""The routes of endpoints: within a limit, with secrets shown once, and nobody else's."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from core import database
from core.config import OutboundConfig
from core.events.catalogue import WEBHOOK
from core.webhooks.outgoing.endpoints import MOST
from tests.conftest import ClientOf
from tests.core.webhooks.outgoing.receiver import PATH, add_endpoint, show
from tests.factories import Member

URL = "https://93.184.216.34/hook"
"""Public, and never called here."""


async def create(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post(PATH, json={"url": URL, "events": ["campaign.completed"], **fields})


def problems(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 422, answer.text
    found: dict[str, Any] = answer.json()["errors"]
    return found


async def test_the_secret_is_shown_once(shop: httpx.AsyncClient) -> None:
    made = (await create(shop, name=" Shop ")).json()["data"]
    assert made["secret"].startswith("whsec_")
    shown = await show(shop, made)
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    assert (shown["name"], shown["url"], shown["events"], shown["status"]) == (
        "Shop",
        URL,
        ["campaign.completed"],
        "active",
    )


async def test_the_secret_is_not_kept_as_it_is(shop: httpx.AsyncClient) -> None:
    made = (await create(shop)).json()["data"]
    kept = await database.fetch_value("SELECT e::text FROM webhook_endpoints e WHERE id = $1", made["id"])
    assert made["secret"].removeprefix("whsec_") not in str(kept)


async def test_the_list_has_one_s_own_and_nobody_else_s(
    shop: httpx.AsyncClient, api: ClientOf, other_user: Member
) -> None:
    first, second = (await create(shop)).json()["data"], (await create(shop, name="Other")).json()["data"]
    async with api(other_user) as stranger:
        await create(stranger)
    listed = (await shop.get(PATH)).json()
    assert [one["id"] for one in listed["data"]] == [second["id"], first["id"]]
    assert listed["meta"]["total"] == 2
    assert [one["id"] for one in (await shop.get(PATH, params={"search": "oTHer"})).json()["data"]] == [second["id"]]


async def test_the_list_by_status(shop: httpx.AsyncClient) -> None:
    first = (await create(shop)).json()["data"]
    await create(shop)
    await shop.post(f"{PATH}/{first['id']}/disable")
    found = (await shop.get(PATH, params={"status": "disabled"})).json()["data"]
    assert [(one["id"], one["disabled_reason"]) for one in found] == [(first["id"], "by_hand")]


async def test_there_are_so_many_at_most(shop: httpx.AsyncClient) -> None:
    made = [(await create(shop)).json()["data"] for _ in range(MOST)]
    answer = await create(shop)
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_webhook_endpoints")
    await shop.delete(f"{PATH}/{made[0]['id']}")
    assert (await create(shop)).status_code == 201


async def test_it_is_changed(shop: httpx.AsyncClient) -> None:
    made = (await create(shop)).json()["data"]
    wanted = {"url": f"{URL}/2", "events": ["contact.opted_out", "campaign.paused"], "name": "Other"}
    answer = await shop.patch(f"{PATH}/{made['id']}", json=wanted)
    assert answer.status_code == 200
    found = await show(shop, made)
    assert (found["url"], found["events"], found["name"]) == (
        f"{URL}/2",
        ["campaign.paused", "contact.opted_out"],
        "Other",
    )


async def test_what_is_not_given_stays(shop: httpx.AsyncClient) -> None:
    made = (await create(shop, name="Shop")).json()["data"]
    await shop.patch(f"{PATH}/{made['id']}", json={})
    found = await show(shop, made)
    assert (found["url"], found["events"], found["name"]) == (URL, ["campaign.completed"], "Shop")


async def test_it_is_gone_once_deleted(shop: httpx.AsyncClient) -> None:
    made = (await create(shop)).json()["data"]
    assert (await shop.delete(f"{PATH}/{made['id']}")).status_code == 204
    assert (await shop.get(f"{PATH}/{made['id']}")).status_code == 404


@pytest.mark.parametrize(
    "given",
    [
        "http://127.0.0.1:8000/hook",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "http://2130706433/",
        "http://localhost/",
        "ftp://93.184.216.34/",
        "https://user:secret@93.184.216.34/",
        "not an address",
    ],
)
class TestAddresses:
    async def test_that_may_not_be_called_are_refused(self, shop: httpx.AsyncClient, given: str) -> None:
        assert list(problems(await create(shop, url=given))) == ["url"]
        assert (await shop.get(PATH)).json()["meta"]["total"] == 0

    async def test_that_may_not_be_called_change_nothing(self, shop: httpx.AsyncClient, given: str) -> None:
        made = (await create(shop)).json()["data"]
        assert list(problems(await shop.patch(f"{PATH}/{made['id']}", json={"url": given}))) == ["url"]
        assert (await show(shop, made))["url"] == URL


async def test_the_allow_list_opens_a_network(shop: httpx.AsyncClient, rules: Callable[[OutboundConfig], None]) -> None:
    rules(OutboundConfig(allowed_networks=("10.1.0.0/16",)))
    assert (await create(shop, url="http://10.1.2.3/hook")).status_code == 201
    assert list(problems(await create(shop, url="http://10.2.2.3/hook"))) == ["url"]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"events": ["campaign.exploded"]}, "events"),
        ({"events": ["webhook.test"]}, "events"),
        ({"events": ["campaign.progress"]}, "events"),
        ({"events": []}, "events"),
        ({"events": "campaign.completed"}, "events"),
        ({"events": ["campaign.completed"] * 101}, "events"),
        ({"name": "x" * 121}, "name"),
        ({"name": None}, "name"),
        ({"url": "https://93.184.216.34/" + "x" * 500}, "url"),
        ({"url": 7}, "url"),
        ({"secret": "mine"}, "secret"),
    ],
)
async def test_bad_input_is_named(shop: httpx.AsyncClient, fields: dict[str, Any], named: str) -> None:
    assert [name.partition("[")[0].partition(".")[0] for name in problems(await create(shop, **fields))] == [named]


async def test_text_that_the_database_cannot_hold_is_refused(shop: httpx.AsyncClient) -> None:
    assert (await create(shop, name="a\0b")).status_code == 422


async def test_a_key_that_only_reads_changes_nothing(shop: httpx.AsyncClient, client: httpx.AsyncClient) -> None:
    made = (await create(shop)).json()["data"]
    key = await shop.post("/api/api-keys", json={"name": "Reads", "scopes": ["read", "send"]})
    client.headers["Authorization"] = f"Bearer {key.json()['data']['key']}"
    assert (await client.get(f"{PATH}/{made['id']}")).status_code == 200
    for way in ("secret", "test", "disable"):
        assert (await client.post(f"{PATH}/{made['id']}/{way}")).status_code == 403
    assert (await create(client)).status_code == 403


async def test_a_key_that_manages_does(shop: httpx.AsyncClient, client: httpx.AsyncClient) -> None:
    key = await shop.post("/api/api-keys", json={"name": "Manages", "scopes": ["manage"]})
    client.headers["Authorization"] = f"Bearer {key.json()['data']['key']}"
    assert (await create(client)).status_code == 201


async def test_the_description_names_every_event(client: httpx.AsyncClient) -> None:
    schema = (await client.get("/api/schema/openapi.json")).json()["components"]["schemas"]["EndpointCreate"]
    assert schema["properties"]["events"]["items"]["enum"] == sorted(WEBHOOK)


async def test_each_change_is_logged_without_a_secret(shop: httpx.AsyncClient, user: Member) -> None:
    made = (await create(shop)).json()["data"]
    rolled = (await shop.post(f"{PATH}/{made['id']}/secret")).json()["data"]
    await shop.patch(f"{PATH}/{made['id']}", json={"name": "Other"})
    rows = await database.fetch(
        "SELECT action, l::text AS line FROM logs l WHERE account_id = $1 AND entity = 'webhook_endpoint'"
        " AND entity_id = $2 ORDER BY id",
        user.id,
        made["id"],
    )
    assert [row["action"] for row in rows] == [
        "webhook_endpoint.created",
        "webhook_endpoint.secret_rolled",
        "webhook_endpoint.updated",
    ]
    assert not any(secret[6:] in row["line"] for row in rows for secret in (made["secret"], rolled["secret"]))


async def test_enabling_what_is_enabled_changes_nothing(shop: httpx.AsyncClient) -> None:
    made = await add_endpoint(shop, URL)
    before = await show(shop, made)
    assert (await shop.post(f"{PATH}/{made['id']}/enable")).json()["data"] == before
