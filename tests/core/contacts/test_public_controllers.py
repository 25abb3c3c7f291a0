"""Audiences over HTTP."""

from typing import Any

import httpx
import pytest

from tests.core.contacts.making import add, add_contact, show


async def _ids(client: httpx.AsyncClient, public_id: int) -> list[int]:
    return [contact["id"] for contact in await show(client, f"publics/{public_id}/contacts?sort=id")]


class TestByHand:
    async def test_contacts_are_put_in_and_taken_out_by_id(self, tenant: httpx.AsyncClient) -> None:
        public = await add(tenant, "publics", name=" Minha  turma ", description="x")
        one, two, three = [(await add_contact(tenant))["id"] for _ in range(3)]
        path = f"/api/publics/{public['id']}/contacts"

        assert (public["name"], public["type"], public["filters"], public["contacts_count"]) == (
            "Minha turma", 1, None, 0,
        )  # fmt: skip
        assert (await tenant.post(path, json={"ids": [one, two]})).json() == {"data": {"affected": 2}}
        assert (await tenant.post(path, json={"ids": [two, three]})).json() == {"data": {"affected": 1}}
        assert await _ids(tenant, public["id"]) == [one, two, three]
        assert (await tenant.post(f"{path}/remove", json={"ids": [one]})).json() == {"data": {"affected": 1}}
        assert (await tenant.delete(f"{path}/{two}")).status_code == 204
        assert await _ids(tenant, public["id"]) == [three]
        assert (await show(tenant, f"publics/{public['id']}"))["contacts_count"] == 1

    async def test_contacts_are_put_in_and_taken_out_by_filter(self, tenant: httpx.AsyncClient) -> None:
        first = await add(tenant, "publics", name="A")
        second = await add(tenant, "publics", name="B")
        for name in ("Sol um", "Sol dois", "Lua"):
            await add_contact(tenant, name=name)
        await tenant.post(f"/api/publics/{first['id']}/contacts", json={"filter": {"search": "sol"}})
        copied = await tenant.post(
            f"/api/publics/{second['id']}/contacts", json={"filter": {}, "public_id": first["id"]}
        )
        taken = await tenant.post(f"/api/publics/{second['id']}/contacts/remove", json={"filter": {"search": "um"}})

        assert [copied.json(), taken.json()] == [{"data": {"affected": 2}}, {"data": {"affected": 1}}]
        found = await show(tenant, "publics?sort=name")
        assert [(public["name"], public["contacts_count"]) for public in found] == [("A", 2), ("B", 1)]

    async def test_deleted_contacts_do_not_count(self, tenant: httpx.AsyncClient) -> None:
        public = await add(tenant, "publics", name="A")
        contact = await add_contact(tenant)
        await tenant.post(f"/api/publics/{public['id']}/contacts", json={"ids": [contact["id"]]})
        await tenant.delete(f"/api/contacts/{contact['id']}")

        assert (await show(tenant, f"publics/{public['id']}"))["contacts_count"] == 0
        assert await _ids(tenant, public["id"]) == []

    async def test_a_deleted_audience_leaves_its_contacts(self, tenant: httpx.AsyncClient) -> None:
        public = await add(tenant, "publics", name="A")
        contact = await add_contact(tenant)
        await tenant.post(f"/api/publics/{public['id']}/contacts", json={"ids": [contact["id"]]})

        assert (await tenant.delete(f"/api/publics/{public['id']}")).status_code == 204
        assert (await tenant.get(f"/api/publics/{public['id']}")).status_code == 404
        assert await show(tenant, f"contacts/{contact['id']}") == contact


class TestDynamic:
    async def test_it_has_whoever_fits_at_the_moment(self, tenant: httpx.AsyncClient) -> None:
        a, b, c = [(await add(tenant, "labels", name=name))["id"] for name in "abc"]
        one = (await add_contact(tenant, labels=[a]))["id"]
        two = (await add_contact(tenant, labels=[a, b]))["id"]
        three = (await add_contact(tenant, labels=[b, c]))["id"]
        four = (await add_contact(tenant, name="Padaria"))["id"]

        async def fitting(**filters: Any) -> list[int]:
            public = await add(tenant, "publics", name="Dinâmica", type=2, filters=filters)
            found = await _ids(tenant, public["id"])
            assert public["contacts_count"] == len(found)
            return found

        assert await fitting() == [one, two, three, four]
        assert await fitting(labels={"any": [a, c]}) == [one, two, three]
        assert await fitting(labels={"all": [a, b]}) == [two]
        assert await fitting(labels={"none": [a, c]}) == [four]
        assert await fitting(labels={"any": [a, b], "none": [c]}) == [one, two]
        assert await fitting(search="padaria") == [four]

    async def test_its_filters_are_shown_and_replaced(self, tenant: httpx.AsyncClient) -> None:
        contact = await add_contact(tenant, name="Padaria")
        public = await add(tenant, "publics", name="D", type=2, filters={"search": "nada"})
        path = f"/api/publics/{public['id']}"
        changed = (await tenant.patch(path, json={"filters": {"search": "pada"}})).json()["data"]

        assert changed["filters"]["search"] == "pada"
        assert changed["contacts_count"] == 1
        assert (await tenant.patch(path, json={"name": "E"})).json()["data"]["filters"] == changed["filters"]
        answers = [
            await tenant.post(f"{path}/contacts", json={"ids": [contact["id"]]}),
            await tenant.delete(f"{path}/contacts/{contact['id']}"),
        ]
        assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(409, "audience_dynamic")] * 2

    @pytest.mark.parametrize(
        ("fields", "errors"),
        [
            ({"name": "x", "type": 2}, {"filters": ["This field is required."]}),
            ({"name": "x", "filters": {}}, {"filters": ["Only a dynamic audience (type 2) has filters."]}),
            ({"name": " "}, {"name": ["This field is required."]}),
            ({"name": "x", "type": 4}, {"type": ["Must be one of: 1, 2, 3."]}),
            (
                {"name": "x", "type": 2, "filters": {"labels": {"all": [2**40]}}},
                {"filters.labels.all": [f"There is no label {2**40}."]},
            ),
            (
                {"name": "x", "type": 2, "filters": {"age": 3, "created_from": "yesterday"}},
                {
                    "filters.age": ["This field is not known."],
                    "filters.created_from": ["Must be a date and time with its zone, such as 2026-01-31T09:00:00Z."],
                },
            ),
        ],
    )
    async def test_bad_fields_are_named_and_nothing_is_kept(
        self, tenant: httpx.AsyncClient, fields: dict[str, Any], errors: dict[str, list[str]]
    ) -> None:
        answer = await tenant.post("/api/publics", json=fields)

        assert answer.status_code == 422
        assert answer.json()["errors"] == errors
        assert await show(tenant, "publics") == []


async def test_audiences_are_listed_by_type_and_name(tenant: httpx.AsyncClient) -> None:
    await add(tenant, "publics", name="Mão")
    await add(tenant, "publics", name="Dinâmica", type=2, filters={})
    await add(tenant, "publics", name="Arquivo", type=3)

    assert [public["name"] for public in await show(tenant, "publics")] == ["Arquivo", "Dinâmica", "Mão"]
    assert [public["name"] for public in await show(tenant, "publics?type=2")] == ["Dinâmica"]
    assert [public["name"] for public in await show(tenant, "publics?search=MÃO")] == ["Mão"]


async def test_another_tenants_audience_and_contacts_do_not_exist(
    tenant: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    foreign, own = await add(stranger, "publics", name="Alheia"), await add(tenant, "publics", name="Minha")
    theirs, mine = await add_contact(stranger), await add_contact(tenant)
    path = f"/api/publics/{foreign['id']}"
    answers = [
        await tenant.get(path),
        await tenant.patch(path, json={"name": "x"}),
        await tenant.delete(path),
        await tenant.get(f"{path}/contacts"),
        await tenant.post(f"{path}/contacts", json={"ids": [mine["id"]]}),
        await tenant.post(f"{path}/contacts/remove", json={"filter": {}}),
        await tenant.delete(f"{path}/contacts/{mine['id']}"),
        await tenant.post(f"/api/publics/{own['id']}/contacts", json={"ids": [theirs["id"]]}),
        await tenant.post(f"/api/publics/{own['id']}/contacts", json={"filter": {}, "public_id": foreign["id"]}),
        await tenant.delete(f"/api/publics/{own['id']}/contacts/{theirs['id']}"),
    ]

    assert [answer.status_code for answer in answers] == [404] * len(answers)
    assert await show(stranger, f"publics/{foreign['id']}") == foreign
    assert (await show(tenant, f"publics/{own['id']}"))["contacts_count"] == 0
