"""Labels over HTTP."""

import asyncio
from typing import Any

import httpx
import pytest

from core import database
from core.contacts import labels
from core.contacts.schemas import LabelCreate
from core.errors import ConflictError
from tests.core.contacts.making import add, add_contact, show
from tests.factories import Member


async def test_labels_are_made_shown_changed_and_listed(tenant: httpx.AsyncClient) -> None:
    first = await add(tenant, "labels", name="  vip   clientes ", color="#112233")
    second = await add(tenant, "labels", name="Atacado")
    changed = await tenant.patch(f"/api/labels/{second['id']}", json={"color": "#abcdef"})

    assert (first["name"], first["color"], second["color"]) == ("vip clientes", "#112233", "#888888")
    assert changed.json()["data"]["color"] == "#abcdef"
    assert await show(tenant, f"labels/{first['id']}") == first
    assert [label["name"] for label in await show(tenant, "labels")] == ["Atacado", "vip clientes"]
    assert [label["name"] for label in await show(tenant, "labels?search=VIP")] == ["vip clientes"]


async def test_a_name_exists_once_whatever_its_case(tenant: httpx.AsyncClient) -> None:
    made = await add(tenant, "labels", name="Clientes")
    other = await add(tenant, "labels", name="Outros")
    answers = [
        await tenant.post("/api/labels", json={"name": "CLIENTES"}),
        await tenant.patch(f"/api/labels/{other['id']}", json={"name": "clientes"}),
    ]

    assert [answer.status_code for answer in answers] == [409, 409]
    assert {answer.json()["detail"] for answer in answers} == {f"Label {made['id']} has this name already."}
    assert (await tenant.patch(f"/api/labels/{made['id']}", json={"name": "clientes"})).status_code == 200


async def test_two_requests_at_once_make_one_label(tenant: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(tenant.post("/api/labels", json={"name": "junto"}) for _ in range(4)))

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


@pytest.mark.parametrize(
    ("fields", "field"),
    [({}, "name"), ({"name": ""}, "name"), ({"name": "  "}, "name"), ({"name": "x" * 81}, "name"),
     ({"name": "x", "color": "red"}, "color"), ({"name": 1}, "name")],
)  # fmt: skip
async def test_bad_fields_are_named(tenant: httpx.AsyncClient, fields: dict[str, Any], field: str) -> None:
    answer = await tenant.post("/api/labels", json=fields)

    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == [field]


async def test_a_deleted_label_leaves_its_contacts(tenant: httpx.AsyncClient) -> None:
    gone, kept = [(await add(tenant, "labels", name=name))["id"] for name in ("velho", "novo")]
    contact = await add_contact(tenant, labels=[gone, kept])
    assert (await tenant.delete(f"/api/labels/{gone}")).status_code == 204

    assert (await show(tenant, f"contacts/{contact['id']}"))["labels"] == [kept]
    assert (await tenant.get(f"/api/labels/{gone}")).status_code == 404
    await add(tenant, "labels", name="velho")


async def test_a_label_a_dynamic_audience_asks_for_stays(tenant: httpx.AsyncClient) -> None:
    label = await add(tenant, "labels", name="vip")
    public = await add(tenant, "publics", name="Sem vip", type=2, filters={"labels": {"none": [label["id"]]}})
    answer = await tenant.delete(f"/api/labels/{label['id']}")

    assert answer.status_code == 409
    assert answer.json()["detail"] == f"The audience Sem vip ({public['id']}) asks for this label: change it first."
    await tenant.delete(f"/api/publics/{public['id']}")
    assert (await tenant.delete(f"/api/labels/{label['id']}")).status_code == 204


async def test_labels_have_a_limit(user: Member) -> None:
    await database.execute(
        "INSERT INTO labels (user_id, name, color, created_at, updated_at)"
        " SELECT $1, 'n' || i, '#888888', now(), now() FROM generate_series(1, $2) AS i",
        user.id,
        labels.MAXIMUM_OF_TENANT,
    )

    with pytest.raises(ConflictError, match="1000 labels already"):
        await labels.create_label(user.id, LabelCreate(name="mais um"))


async def test_another_tenants_label_does_not_exist(tenant: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    label = await add(stranger, "labels", name="alheio")
    path = f"/api/labels/{label['id']}"
    answers = [await tenant.get(path), await tenant.patch(path, json={"name": "x"}), await tenant.delete(path)]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert await show(stranger, f"labels/{label['id']}") == label
    assert await show(tenant, "labels") == []
