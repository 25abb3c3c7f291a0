"""``ETag`` and ``If-Match`` of contacts over HTTP."""

import asyncio
from typing import Any

import httpx
import pytest

from core import database
from tests.core.contacts.making import add, add_contact, phone

WRONG = {"If-Match": '"0000000000000000"'}


async def row(contact: dict[str, Any]) -> object:
    return await database.fetch_value("SELECT to_jsonb(c)::text FROM contacts c WHERE id = $1", contact["id"])


def path_of(contact: dict[str, Any]) -> str:
    return f"/api/contacts/{contact['id']}"


async def test_every_answer_with_a_contact_has_its_tag(tenant: httpx.AsyncClient) -> None:
    made = await tenant.post("/api/contacts", json={"number": phone(), "name": "Ipê"})
    path = path_of(made.json()["data"])
    shown = await tenant.get(path)
    changed = await tenant.patch(path, json={"name": "Jatobá"})
    back = await tenant.patch(path, json={"name": "Ipê"})
    tags = [answer.headers["etag"] for answer in (made, shown, changed, back)]

    assert tags == [f'"{answer.json()["data"]["version"]}"' for answer in (made, shown, changed, back)]
    assert (tags[0] == tags[1] == tags[3], tags[0] == tags[2]) == (True, False)
    assert made.status_code == 201


@pytest.mark.parametrize(("method", "body"), [("PATCH", {"name": "Jatobá"}), ("DELETE", None)])
async def test_another_version_is_412_and_nothing_changes(tenant: httpx.AsyncClient, method: str, body: object) -> None:
    made = await add_contact(tenant)
    before = await row(made)
    answer = await tenant.request(method, path_of(made), json=body, headers=WRONG)

    assert (answer.status_code, answer.json()["code"]) == (412, "precondition_failed")
    assert await row(made) == before


async def test_the_present_version_may_be_changed(tenant: httpx.AsyncClient) -> None:
    made = await add_contact(tenant)
    changed = await tenant.patch(path_of(made), json={"name": "Jatobá"}, headers={"If-Match": f'"{made["version"]}"'})
    deleted = await tenant.delete(path_of(made), headers={"If-Match": changed.headers["etag"]})

    assert (changed.status_code, deleted.status_code) == (200, 204)


async def test_of_two_at_once_one_wins(tenant: httpx.AsyncClient) -> None:
    made = await add_contact(tenant)
    headers = {"If-Match": f'"{made["version"]}"'}
    answers = await asyncio.gather(
        *(tenant.patch(path_of(made), json={"name": f"Name {place}"}, headers=headers) for place in range(5))
    )

    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412, 412]


async def test_labels_and_the_block_list_change_the_version(tenant: httpx.AsyncClient) -> None:
    made = await add_contact(tenant)
    label = await add(tenant, "labels", name="clientes")
    await tenant.post("/api/contacts/bulk/labels", json={"ids": [made["id"]], "add": [label["id"]]})
    labelled = (await tenant.get(path_of(made))).json()["data"]
    await add(tenant, "block-contacts", number=made["number"])
    blocked = (await tenant.get(path_of(made))).json()["data"]

    assert len({made["version"], labelled["version"], blocked["version"]}) == 3


async def test_a_message_that_comes_in_keeps_the_version(tenant: httpx.AsyncClient) -> None:
    made = await add_contact(tenant)
    await database.execute("UPDATE contacts SET last_inbound_at = now(), updated_at = now() WHERE id = $1", made["id"])

    assert (await tenant.get(path_of(made))).json()["data"]["version"] == made["version"]


async def test_of_another_tenant_is_404(tenant: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    made = await add_contact(tenant)
    headers = {"If-Match": f'"{made["version"]}"'}
    answers = [
        await stranger.patch(path_of(made), json={"name": "Mine"}, headers=headers),
        await stranger.delete(path_of(made), headers=headers),
    ]

    assert [answer.status_code for answer in answers] == [404, 404]
