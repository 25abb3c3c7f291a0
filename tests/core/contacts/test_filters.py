"""Whom filters describe: every condition, alone, turned round by an audience left out, and together."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest

from core import database
from tests.conftest import ClientOf
from tests.core.contacts.making import add, add_contact, make_limited_member, show
from tests.factories import Member

LONG_AGO, LATELY, LATER = (datetime(2026, month, 1, tzinfo=UTC) for month in (1, 6, 9))


@pytest.fixture
async def tenant(api: ClientOf, user: Member) -> httpx.AsyncClient:
    """A client of a tenant with four contacts: Ana of Campinas, Bia of Santos, Caio of nowhere, and Davi."""
    del user
    member = await make_limited_member(contacts_limit=100)
    client = api(member)
    ids = {}
    for name, variables in (
        ("Ana", {"cidade": "Campinas", "cor": "azul 100%"}),
        ("Bia", {"cidade": "Santos"}),
        ("Caio", {"cidade": ""}),
        ("Davi", {}),
    ):
        ids[name] = (await add_contact(client, name=name, variables=variables))["id"]
    for name, moment in (("Ana", LONG_AGO), ("Bia", LATER)):
        await database.execute("UPDATE contacts SET last_inbound_at = $2 WHERE id = $1", ids[name], moment)
        await database.execute(
            "INSERT INTO contact_activity (contact_id, user_id, day_start, campaign_id, last_at)"
            " VALUES ($1, $2, now(), 0, $3)",
            ids[name],
            member.id,
            moment,
        )
    # Whoever was to get a message that was certainly not sent has a row without a moment.
    await database.execute(
        "INSERT INTO contact_activity (contact_id, user_id, day_start, campaign_id) VALUES ($1, $2, now(), 0)",
        ids["Caio"],
        member.id,
    )
    return client


async def found(client: httpx.AsyncClient, **filters: Any) -> list[str]:
    """Return the names of whom filters describe."""
    written = msgspec.json.encode(filters).decode()
    answer = await client.get("/api/contacts", params={"filters": written, "sort": "name"})
    assert answer.status_code == 200, answer.text
    return [contact["name"] for contact in answer.json()["data"]]


CASES = [
    ({"variables": [{"name": "cidade", "value": "Campinas"}]}, ["Ana"]),
    ({"variables": [{"name": "cidade", "value": "campinas"}]}, []),
    ({"variables": [{"name": "cidade", "op": "is_not", "value": "Campinas"}]}, ["Bia", "Caio", "Davi"]),
    ({"variables": [{"name": "cidade", "op": "contains", "value": "CAMP"}]}, ["Ana"]),
    ({"variables": [{"name": "cor", "op": "contains", "value": "0%"}]}, ["Ana"]),
    ({"variables": [{"name": "cor", "op": "contains", "value": "_"}]}, []),
    ({"variables": [{"name": "cidade", "op": "filled"}]}, ["Ana", "Bia"]),
    ({"variables": [{"name": "cidade", "op": "empty"}]}, ["Caio", "Davi"]),
    ({"variables": [{"name": "cidade", "op": "is", "value": ""}]}, ["Caio", "Davi"]),
    ({"variables": [{"name": "cidade", "op": "is_not", "value": ""}]}, ["Ana", "Bia"]),
    ({"variables": [{"name": "x') OR true --", "op": "filled"}]}, []),
    ({"variables": [{"name": "cidade", "op": "filled"}, {"name": "cor", "op": "empty"}]}, ["Bia"]),
    ({"replied": True}, ["Ana", "Bia"]),
    ({"replied": False}, ["Caio", "Davi"]),
    ({"replied_from": LATELY}, ["Bia"]),
    ({"replied_to": LATELY}, ["Ana", "Caio", "Davi"]),
    ({"replied": True, "replied_to": LATELY}, ["Ana"]),
    ({"contacted": True}, ["Ana", "Bia"]),
    ({"contacted": False}, ["Caio", "Davi"]),
    ({"contacted_from": LATELY}, ["Bia"]),
    ({"contacted_from": LATER, "contacted_to": LATER + timedelta(microseconds=1)}, ["Bia"]),
    ({"contacted_from": LONG_AGO, "contacted_to": LATER}, ["Ana"]),
    ({"contacted_to": LATELY}, ["Ana", "Caio", "Davi"]),
    ({"created_from": LATER}, ["Ana", "Bia", "Caio", "Davi"]),
    ({"created_to": LATER}, []),
    ({"search": "ana", "replied": True}, ["Ana"]),
]


@pytest.mark.parametrize(("filters", "names"), CASES)
async def test_each_condition_finds_its_contacts(
    tenant: httpx.AsyncClient, filters: dict[str, Any], names: list[str]
) -> None:
    assert await found(tenant, **filters) == names


@pytest.mark.parametrize(("filters", "names"), CASES)
async def test_an_audience_left_out_turns_each_condition_round(
    tenant: httpx.AsyncClient, filters: dict[str, Any], names: list[str]
) -> None:
    written = msgspec.to_builtins(filters)
    public = await add(tenant, "publics", name="Fora", type=2, filters=written)
    others = [name for name in ("Ana", "Bia", "Caio", "Davi") if name not in names]
    assert await found(tenant, audiences={"none": [public["id"]]}) == others


@pytest.mark.parametrize(("filters", "names"), CASES)
async def test_each_is_counted(tenant: httpx.AsyncClient, filters: dict[str, Any], names: list[str]) -> None:
    answer = await tenant.post("/api/publics/count", json={"filters": msgspec.to_builtins(filters)})
    assert answer.json() == {"data": {"contacts_count": len(names), "count_is_exact": True}}


class TestSets:
    @pytest.fixture
    async def sets(self, tenant: httpx.AsyncClient) -> dict[str, int]:
        """Three audiences: Ana and Bia by hand, Bia and Caio from an import, and whoever replied."""
        ids = {contact["name"]: contact["id"] for contact in await show(tenant, "contacts")}
        made = {}
        for name, kind, members in (("hand", 1, ("Ana", "Bia")), ("import", 3, ("Bia", "Caio"))):
            made[name] = (await add(tenant, "publics", name=name, type=kind))["id"]
            await tenant.post(f"/api/publics/{made[name]}/contacts", json={"ids": [ids[member] for member in members]})
        made["dynamic"] = (await add(tenant, "publics", name="dynamic", type=2, filters={"replied": True}))["id"]
        return made

    @pytest.mark.parametrize(
        ("wanted", "names"),
        [
            ({"any": ["hand", "import"]}, ["Ana", "Bia", "Caio"]),
            ({"all": ["hand", "import"]}, ["Bia"]),
            ({"all": ["hand"], "none": ["import"]}, ["Ana"]),
            ({"any": ["import", "dynamic"]}, ["Ana", "Bia", "Caio"]),
            ({"all": ["import", "dynamic"]}, ["Bia"]),
            ({"none": ["hand", "import"]}, ["Davi"]),
            ({"none": ["dynamic"]}, ["Caio", "Davi"]),
            ({"any": ["hand"], "all": ["dynamic"], "none": ["import"]}, ["Ana"]),
        ],
    )
    async def test_unions_intersections_and_differences(
        self, tenant: httpx.AsyncClient, sets: dict[str, int], wanted: dict[str, list[str]], names: list[str]
    ) -> None:
        audiences = {how: [sets[name] for name in chosen] for how, chosen in wanted.items()}
        assert await found(tenant, audiences=audiences) == names
        combined = await add(tenant, "publics", name="combined", type=2, filters={"audiences": audiences})
        assert combined["contacts_count"] == len(names)
        of_it = await add(
            tenant, "publics", name="of it", type=2, filters={"audiences": {"all": [combined["id"]]}, "search": "a"}
        )
        assert [contact["name"] for contact in await show(tenant, f"publics/{of_it['id']}/contacts?sort=name")] == names

    async def test_one_that_another_is_made_of_cannot_go(self, tenant: httpx.AsyncClient, sets: dict[str, int]) -> None:
        made = await add(tenant, "publics", name="Soma", type=2, filters={"audiences": {"any": [sets["hand"]]}})
        refused = await tenant.delete(f"/api/publics/{sets['hand']}")
        assert (refused.status_code, refused.json()["code"]) == (409, "audience_in_use")
        assert refused.json()["detail"] == f"The audience Soma ({made['id']}) is made of this one: change it first."
        await tenant.delete(f"/api/publics/{made['id']}")
        assert (await tenant.delete(f"/api/publics/{sets['hand']}")).status_code == 204

    async def test_none_is_made_of_itself_be_it_through_another(self, tenant: httpx.AsyncClient) -> None:
        first = await add(tenant, "publics", name="Um", type=2, filters={})
        second = await add(tenant, "publics", name="Dois", type=2, filters={"audiences": {"any": [first["id"]]}})
        for made in (first, second):
            refused = await tenant.patch(
                f"/api/publics/{first['id']}", json={"filters": {"audiences": {"none": [made["id"]]}}}
            )
            assert refused.status_code == 422
            assert refused.json()["errors"] == {
                "filters.audiences": [f"Audience {first['id']} would be made of itself."]
            }

    async def test_no_tower_of_audiences_grows_without_end(self, tenant: httpx.AsyncClient) -> None:
        below = [(await add(tenant, "publics", name="x"))["id"] for _ in range(5)]
        for _ in range(2):
            filters = {"audiences": {"any": below}}
            below = [(await add(tenant, "publics", name="x", type=2, filters=filters))["id"] for _ in range(5)]
        refused = await tenant.post(
            "/api/publics", json={"name": "x", "type": 2, "filters": {"audiences": {"any": below}}}
        )
        assert refused.json()["errors"] == {"filters.audiences": ["An audience can be made of 100 others at most."]}

    async def test_another_tenants_audience_does_not_exist(self, sets: dict[str, int], api: ClientOf) -> None:
        other = api(await make_limited_member(contacts_limit=10))
        filters = {"audiences": {"any": [sets["hand"]]}}
        made = await other.post("/api/publics", json={"name": "x", "type": 2, "filters": filters})
        counted = await other.post("/api/publics/count", json={"filters": filters})
        listed = await other.get("/api/contacts", params={"filters": msgspec.json.encode(filters).decode()})
        assert made.json()["errors"] == {"filters.audiences": [f"There is no audience {sets['hand']}."]}
        assert (counted.status_code, listed.status_code) == (404, 404)


@pytest.mark.parametrize(
    ("written", "field"),
    [
        ("x", "filters"),
        ("[]", "filters"),
        ("[" * 5000, "filters"),
        ('{"age": 3}', "filters.age"),
        ('{"variables": [{"name": ""}]}', "filters.variables.0.name"),
        ('{"variables": [{"name": "a", "op": "like"}]}', "filters.variables.0.op"),
        ('{"variables": [{"name": "a\\u0000"}]}', "filters.variables.0.name"),
        ('{"audiences": {"any": [0]}}', "filters.audiences.any.0"),
        ('{"contacted_from": "2026-01-01"}', "filters.contacted_from"),
    ],
)
async def test_filters_in_an_address_are_read_as_strictly_as_in_a_body(
    tenant: httpx.AsyncClient, written: str, field: str
) -> None:
    answer = await tenant.get("/api/contacts", params={"filters": written})
    assert (answer.status_code, list(answer.json()["errors"])) == (422, [field])


async def test_other_parameters_of_the_address_replace_those_of_the_filters(tenant: httpx.AsyncClient) -> None:
    answer = await tenant.get(
        "/api/contacts",
        params={"filters": '{"search": "caio", "replied": true, "status": 2}', "search": "bia", "status": 1},
    )
    assert [contact["name"] for contact in answer.json()["data"]] == ["Bia"]
