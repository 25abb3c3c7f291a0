"""Contacts over HTTP."""

import asyncio
from typing import Any

import httpx
import pytest

from core import database
from tests.conftest import ClientOf
from tests.core.contacts.making import add, add_contact, make_limited_member, phone, show

GROUP = "120363000000000001@g.us"


class TestCreate:
    async def test_a_contact_is_kept_as_normalised(self, tenant: httpx.AsyncClient) -> None:
        label = await add(tenant, "labels", name="clientes")
        made = await add_contact(
            tenant,
            number="(11) 90000-1234",
            name=" Ipê  Amarelo ",
            variables={"cidade": "Bonito"},
            labels=[label["id"]],
        )

        assert {name: made[name] for name in made if name not in {"id", "created_at", "updated_at", "version"}} == {
            "number": "5511900001234",
            "name": "Ipê Amarelo",
            "variables": {"cidade": "Bonito"},
            "labels": [label["id"]],
            "type": 1,
            "status": 1,
            "source": "manual",
            "addresses": {},
            "blocked": False,
            "last_inbound_at": None,
        }
        assert await show(tenant, f"contacts/{made['id']}") == made

    async def test_the_number_is_of_the_country_named(self, tenant: httpx.AsyncClient) -> None:
        made = await add_contact(tenant, number="912 345 678", country="PT")

        assert made["number"] == "351912345678"

    async def test_a_group_has_an_address_instead_of_a_number(self, tenant: httpx.AsyncClient) -> None:
        made = await add(tenant, "contacts", type=2, name="Turma", addresses={"waha": GROUP})

        assert (made["number"], made["addresses"]) == (None, {"waha": GROUP})

    async def test_a_group_exists_once(self, tenant: httpx.AsyncClient) -> None:
        made = await add(tenant, "contacts", type=2, addresses={"waha": GROUP})
        again = await tenant.post("/api/contacts", json={"type": 2, "addresses": {"waha": GROUP}})

        assert again.status_code == 409
        assert again.json()["detail"] == f"Contact {made['id']} has this address already."

    async def test_a_number_exists_once_and_the_contact_is_named(self, tenant: httpx.AsyncClient) -> None:
        made = await add_contact(tenant, number="11 90000-7777")
        again = await tenant.post("/api/contacts", json={"number": "+55 11 90000-7777"})

        assert again.status_code == 409
        assert again.json()["code"] == "contact_exists"
        assert again.json()["detail"] == f"Contact {made['id']} has this number already."

    async def test_two_requests_at_once_make_one_contact(self, tenant: httpx.AsyncClient) -> None:
        number = phone()
        answers = await asyncio.gather(*(tenant.post("/api/contacts", json={"number": number}) for _ in range(5)))

        assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]

    async def test_another_tenant_may_have_the_same_number(
        self, tenant: httpx.AsyncClient, stranger: httpx.AsyncClient
    ) -> None:
        number = phone()
        await add_contact(tenant, number=number)

        assert (await add_contact(stranger, number=number))["number"] == number

    async def test_a_deleted_contact_frees_its_number(self, tenant: httpx.AsyncClient) -> None:
        made = await add_contact(tenant)
        assert (await tenant.delete(f"/api/contacts/{made['id']}")).status_code == 204

        assert (await add_contact(tenant, number=made["number"]))["id"] != made["id"]

    @pytest.mark.parametrize(
        ("fields", "errors"),
        [
            ({}, {"number": ["This field is required."]}),
            ({"number": "123"}, {"number": ["Digits are missing: write area code and number."]}),
            ({"number": "5,5E+12", "country": "XX"}, {"country": ["There is no such country."]}),
            ({"number": 5511900001234}, {"number": ["Must be a text."]}),
            ({"number": "11900001234", "colour": 1}, {"colour": ["This field is not known."]}),
            (
                {"number": "11900001234", "variables": {"a b": "x"}},
                {"variables": ["Does not have the required form."]},
            ),
            (
                {"number": "11900001234", "variables": {"nome": "x"}},
                {"variables.nome": ["This name stands for the contact's own name or number."]},
            ),
            (
                {"number": "11900001234", "variables": {f"v{index}": "x" for index in range(51)}},
                {"variables": ["Must have at most 50 entries."]},
            ),
            ({"number": "11900001234", "labels": [2**40]}, {"labels": [f"There is no label {2**40}."]}),
            ({"number": "11900001234", "name": "x" * 161}, {"name": ["Must have at most 160 characters."]}),
            (
                {"number": "11900001234", "addresses": {"waha": GROUP}},
                {"addresses.waha": ["This is the address of a group: make it a group (type 2)."]},
            ),
            (
                {"addresses": {"waha": "5511900001234@c.us", "pigeon": "5511900001234@s.whatsapp.net"}},
                {
                    "addresses.waha": ["This address is a phone number: give it as number."],
                    "addresses.pigeon": ["Must be one of: waha."],
                },
            ),
            (
                {"type": 2, "addresses": {"waha": "5511900001234@c.us"}},
                {"addresses.waha": ["This is the address of a person, not of a group."]},
            ),
            ({"addresses": {"waha": "ab"}}, {"addresses": ["Does not have the required form."]}),
            (
                {"type": 2, "number": "11900001234", "addresses": {"pigeon": GROUP}},
                {
                    "number": ["A group (type 2) has addresses instead of a number."],
                    "addresses.pigeon": ["Must be one of: waha."],
                },
            ),
            ({"type": 2}, {"addresses": ["This field is required."]}),
        ],
    )
    async def test_bad_fields_are_named_and_nothing_is_kept(
        self, tenant: httpx.AsyncClient, fields: dict[str, Any], errors: dict[str, list[str]]
    ) -> None:
        answer = await tenant.post("/api/contacts", json=fields)

        assert answer.status_code == 422
        assert answer.json()["errors"] == errors
        assert (await tenant.get("/api/contacts")).json()["meta"]["total"] == 0

    async def test_another_tenants_label_is_none(self, tenant: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
        label = await add(stranger, "labels", name="alheio")
        answer = await tenant.post("/api/contacts", json={"number": phone(), "labels": [label["id"]]})

        assert answer.status_code == 422
        assert answer.json()["errors"] == {"labels": [f"There is no label {label['id']}."]}

    async def test_two_requests_cannot_both_take_the_last_place_of_the_plan(self, api: ClientOf) -> None:
        member = await make_limited_member(contacts_limit=3)
        async with api(member) as client:
            await add_contact(client)
            await add_contact(client)
            answers = await asyncio.gather(*(client.post("/api/contacts", json={"number": phone()}) for _ in range(4)))
            total = (await client.get("/api/contacts")).json()["meta"]["total"]

        assert sorted(answer.status_code for answer in answers) == [201, 402, 402, 402]
        assert total == 3

    async def test_signed_out_nobody_comes_in(self, client: httpx.AsyncClient) -> None:
        assert (await client.get("/api/contacts")).status_code == 401
        assert (await client.post("/api/contacts", json={"number": phone()})).status_code == 401


class TestUpdate:
    async def test_what_is_left_out_stays(self, tenant: httpx.AsyncClient) -> None:
        made = await add_contact(tenant, name="Antes", variables={"cidade": "Bonito"})
        answer = await tenant.patch(f"/api/contacts/{made['id']}", json={"name": "Depois"})

        changed = answer.json()["data"]
        assert answer.status_code == 200
        assert changed["updated_at"] > made["updated_at"]
        moving = {"updated_at": "", "version": ""}
        assert {**changed, **moving} == {**made, "name": "Depois", **moving}

    async def test_every_field_can_change(self, tenant: httpx.AsyncClient) -> None:
        label = await add(tenant, "labels", name="novo")
        made = await add_contact(tenant, variables={"cidade": "Bonito"})
        changes = {"number": "+351 912 345 678", "variables": {"x": "1"}, "labels": [label["id"]], "status": 2}
        changed = (await tenant.patch(f"/api/contacts/{made['id']}", json=changes)).json()["data"]

        assert {name: changed[name] for name in changes} == {**changes, "number": "351912345678"}

    async def test_a_taken_number_is_refused(self, tenant: httpx.AsyncClient) -> None:
        first, second = await add_contact(tenant), await add_contact(tenant)
        answer = await tenant.patch(f"/api/contacts/{second['id']}", json={"number": first["number"]})

        assert answer.status_code == 409
        assert answer.json()["detail"] == f"Contact {first['id']} has this number already."
        assert await show(tenant, f"contacts/{second['id']}") == second

    async def test_a_foreign_number_may_be_sent_back_as_it_was_shown(self, tenant: httpx.AsyncClient) -> None:
        made = await add_contact(tenant, number="+1 202 555 0143")
        answer = await tenant.patch(f"/api/contacts/{made['id']}", json={"number": made["number"], "name": "x"})

        assert answer.status_code == 200
        assert answer.json()["data"]["number"] == "12025550143"

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"number": "12"}, "number"),
            ({"number": None}, "number"),
            ({"status": 3}, "status"),
            ({"variables": {"numero": "1"}}, "variables.numero"),
            ({"labels": [0]}, "labels.0"),
            ({"type": 2}, "type"),
        ],
    )
    async def test_bad_changes_are_named(self, tenant: httpx.AsyncClient, changes: dict[str, Any], field: str) -> None:
        made = await add_contact(tenant)
        answer = await tenant.patch(f"/api/contacts/{made['id']}", json=changes)

        assert answer.status_code == 422
        assert list(answer.json()["errors"]) == [field]
        assert await show(tenant, f"contacts/{made['id']}") == made


class TestList:
    async def test_search_finds_parts_of_names_and_numbers(self, tenant: httpx.AsyncClient) -> None:
        await add_contact(tenant, number="11 90000-1234", name="Padaria Aurora")
        await add_contact(tenant, number="21 90000-5678", name="Padaria 100%")
        await add_contact(tenant, number="31 90000-9999", name="Oficina")

        async def found(search: str) -> list[str]:
            answer = await tenant.get("/api/contacts", params={"search": search, "sort": "number"})
            return [contact["name"] for contact in answer.json()["data"]]

        assert await found("PADARIA") == ["Padaria Aurora", "Padaria 100%"]
        assert await found("90000-12") == ["Padaria Aurora"]
        assert await found("(31) 90000") == ["Oficina"]
        assert await found("%") == ["Padaria 100%"]
        assert await found("_") == []

    async def test_filters_narrow_the_list(self, tenant: httpx.AsyncClient) -> None:
        label = await add(tenant, "labels", name="vip")
        public = await add(tenant, "publics", name="Todos")
        one = await add_contact(tenant, labels=[label["id"]])
        two = await add_contact(tenant, status=2)
        three = await add(tenant, "contacts", type=2, addresses={"waha": GROUP})
        await add(tenant, "block-contacts", number=f"+{one['number']}")
        await tenant.post(f"/api/publics/{public['id']}/contacts", json={"ids": [two["id"], three["id"]]})

        async def found(**params: Any) -> list[int]:
            answer = await tenant.get("/api/contacts", params={**params, "sort": "id"})
            assert answer.status_code == 200, answer.text
            return [contact["id"] for contact in answer.json()["data"]]

        assert await found(label_id=label["id"]) == [one["id"]]
        assert await found(public_id=public["id"]) == [two["id"], three["id"]]
        assert await found(status=2) == [two["id"]]
        assert await found(type=2) == [three["id"]]
        assert await found(blocked="true") == [one["id"]]
        assert await found(blocked="false") == [two["id"], three["id"]]
        assert await found(created_from=two["created_at"]) == [two["id"], three["id"]]
        assert await found(created_to=two["created_at"]) == [one["id"]]
        assert await found(public_id=public["id"], status=1) == [three["id"]]

    @pytest.mark.parametrize(
        ("params", "status", "field"),
        [
            ({"status": "9"}, 422, "status"),
            ({"label_id": "x"}, 422, "label_id"),
            ({"created_from": "2026-01-01T00:00:00"}, 422, "created_from"),
            ({"sort": "variables"}, 422, "sort"),
            ({"cursor": "x"}, 422, "cursor"),
            ({"cursor": "", "sort": "variables"}, 422, "sort"),
            ({"public_id": str(2**40)}, 404, ""),
        ],
    )
    async def test_bad_filters_are_named(
        self, tenant: httpx.AsyncClient, params: dict[str, str], status: int, field: str
    ) -> None:
        answer = await tenant.get("/api/contacts", params=params)

        assert answer.status_code == status, answer.text
        assert list(answer.json()["errors"]) == ([field] if field else [])

    async def test_pages_and_cursors_give_every_contact_once(self, tenant: httpx.AsyncClient) -> None:
        made = [(await add_contact(tenant))["id"] for _ in range(5)]
        page = (await tenant.get("/api/contacts", params={"per_page": 2, "page": 2})).json()
        seen: list[int] = []
        link: str | None = "/api/contacts?per_page=2&cursor="
        while link is not None:
            part = (await tenant.get(link)).json()
            seen += [contact["id"] for contact in part["data"]]
            link = part["links"]["next"]

        assert [contact["id"] for contact in page["data"]] == [made[2], made[1]]
        assert page["meta"] == {"current_page": 2, "per_page": 2, "last_page": 3, "total": 5}
        assert seen == made[::-1]

    async def test_deleted_contacts_are_hidden(self, tenant: httpx.AsyncClient) -> None:
        made = await add_contact(tenant)
        await tenant.delete(f"/api/contacts/{made['id']}")

        assert (await tenant.get("/api/contacts")).json()["meta"]["total"] == 0
        assert (await tenant.get(f"/api/contacts/{made['id']}")).status_code == 404
        assert (await tenant.delete(f"/api/contacts/{made['id']}")).status_code == 404

    async def test_contacts_are_filtered_by_where_they_came_from(self, tenant: httpx.AsyncClient) -> None:
        key = await add(tenant, "api-keys", name="Shop", scopes=["manage"])
        by_hand = await add_contact(tenant)
        headers = {"Authorization": f"Bearer {key['key']}"}
        answer = await tenant.post("/api/contacts", json={"number": phone()}, headers=headers)
        found = {
            source: [one["id"] for one in await show(tenant, f'contacts?filters={{"source": "{source}"}}')]
            for source in ("manual", "api", "sync", "import")
        }

        assert answer.json()["data"]["source"] == "api"
        assert found == {"manual": [by_hand["id"]], "api": [answer.json()["data"]["id"]], "sync": [], "import": []}


class TestOptOut:
    @pytest.mark.parametrize("many", ["one", "many"])
    async def test_who_opted_out_stays_out_after_the_contact_is_gone(
        self, tenant: httpx.AsyncClient, many: str
    ) -> None:
        made = await add_contact(tenant)
        await database.execute("UPDATE contacts SET blocked_at = now() WHERE id = $1", made["id"])
        if many == "many":
            await tenant.post("/api/contacts/bulk/delete", json={"ids": [made["id"]]})
        else:
            await tenant.delete(f"/api/contacts/{made['id']}")

        # Nothing that could be read as the number is kept meanwhile.
        assert await show(tenant, "block-contacts") == []
        assert (await add_contact(tenant, number=f"+{made['number']}"))["blocked"] is True

    async def test_who_opted_out_stays_out_after_a_change_of_number(self, tenant: httpx.AsyncClient) -> None:
        made = await add_contact(tenant)
        await database.execute("UPDATE contacts SET blocked_at = now() WHERE id = $1", made["id"])
        changed = await tenant.patch(f"/api/contacts/{made['id']}", json={"number": phone()})

        assert changed.json()["data"]["blocked"] is True
        assert (await add_contact(tenant, number=f"+{made['number']}"))["blocked"] is True


async def test_another_tenants_contact_does_not_exist(tenant: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    foreign = await add_contact(stranger)
    path = f"/api/contacts/{foreign['id']}"
    answers = [await tenant.get(path), await tenant.patch(path, json={"name": "x"}), await tenant.delete(path)]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert await show(stranger, f"contacts/{foreign['id']}") == foreign


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", "A number has no letters."),
        ("pt-BR", "Um número não tem letras."),
        ("es", "Un número no tiene letras."),
    ],
)
async def test_a_refused_number_is_explained_in_the_callers_language(
    tenant: httpx.AsyncClient, language: str, expected: str
) -> None:
    answer = await tenant.post("/api/contacts", json={"number": "ramal x"}, headers={"Accept-Language": language})
    assert answer.json()["errors"] == {"number": [expected]}
    assert answer.json()["detail"] == expected
