"""Lists of contacts read by cursor: every order, few and many matches, and what a search takes for the same."""

from typing import Any

import httpx
import pytest

from core import database
from core.contacts import scrolling
from core.pagination import write_cursor
from tests.conftest import ClientOf
from tests.core.contacts.making import add, add_contact, make_limited_member, show
from tests.factories import Member

NAMES = ("Zoë", "ana", "Ângela", "Ana", "", "Íris", "beto", "Beto 2", "ÉRICA", "çaú", "Zé")
IN_ORDER = ["", "ana", "Ana", "Ângela", "beto", "Beto 2", "çaú", "ÉRICA", "Íris", "Zé", "Zoë"]


@pytest.fixture
async def tenant(api: ClientOf, user: Member) -> httpx.AsyncClient:
    """A client of a tenant with eleven contacts: each third one starred, some wrote, none at the same moment."""
    del user
    member = await make_limited_member(contacts_limit=100)
    client = api(member)
    label = await add(client, "labels", name="estrela")
    for place, name in enumerate(NAMES):
        made = await add_contact(client, name=name, labels=[label["id"]] if place % 3 == 0 else [])
        await database.execute(
            "UPDATE contacts SET status = 1 + $2::int % 2, created_at = now() - $2::int * interval '1 hour',"
            " updated_at = now() - ($2::int * 7 % 11) * interval '1 minute',"
            " last_inbound_at = CASE WHEN $2::int % 2 = 0 THEN now() - ($2::int * 5 % 11) * interval '1 day' END"
            " WHERE id = $1",
            made["id"],
            place,
        )
    return client


async def scrolled(client: httpx.AsyncClient, path: str = "contacts", **params: Any) -> list[dict[str, Any]]:
    """Return all of a list, read two by two."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = await client.get(f"/api/{path}", params={**params, "per_page": 2, "cursor": cursor})
        assert answer.status_code == 200, answer.text
        part = answer.json()
        assert len(part["data"]) == 2 or part["meta"]["next_cursor"] is None
        found += part["data"]
        if part["meta"]["next_cursor"] is None:
            return found
        cursor = part["meta"]["next_cursor"]


class TestOrders:
    @pytest.mark.parametrize("walked", [1, 3, 10_000])
    @pytest.mark.parametrize("sort", [f"{sign}{name}" for name in scrolling.ORDERS for sign in ("", "-")])
    async def test_cursors_and_pages_give_the_same(
        self, tenant: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, sort: str, walked: int
    ) -> None:
        monkeypatch.setattr(scrolling, "WALKED", walked)
        paged = await show(tenant, f"contacts?sort={sort}&per_page=100")
        assert len(paged) == len(NAMES)
        assert await scrolled(tenant, sort=sort) == paged

    async def test_names_go_by_their_letters_whatever_their_accents_and_size(self, tenant: httpx.AsyncClient) -> None:
        assert [contact["name"] for contact in await scrolled(tenant, sort="name")] == IN_ORDER
        assert [contact["name"] for contact in await scrolled(tenant, sort="-name")] == IN_ORDER[::-1]

    async def test_whoever_never_wrote_comes_before_all_others(self, tenant: httpx.AsyncClient) -> None:
        wrote = [contact["last_inbound_at"] for contact in await scrolled(tenant, sort="last_inbound_at")]
        assert wrote == [None] * 5 + sorted(filter(None, wrote))

    async def test_a_row_of_equal_keys_is_not_cut(self, tenant: httpx.AsyncClient) -> None:
        found = [(contact["status"], contact["id"]) for contact in await scrolled(tenant, sort="status")]
        assert found == sorted(found)
        assert len(found) == len(NAMES)


class TestFilters:
    @pytest.mark.parametrize("walked", [1, 2, 10_000])
    @pytest.mark.parametrize(
        "params",
        [
            {"search": "an"},
            {"search": "ana"},
            {"search": "zoe"},
            {"status": 2},
            {"status": 1, "search": "a"},
            {"blocked": "true"},
            {"blocked": "false"},
            {"type": 2},
            {"search": "nobody"},
        ],
    )
    async def test_few_and_many_are_found_alike(
        self, tenant: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, params: dict[str, Any], walked: int
    ) -> None:
        everybody = await show(tenant, "contacts?per_page=100")
        await add(tenant, "block-contacts", number=f"+{everybody[4]['number']}")
        await database.execute("UPDATE contacts SET blocked_at = now() WHERE id = $1", everybody[7]["id"])
        paged = (await tenant.get("/api/contacts", params={**params, "sort": "-name", "per_page": 100})).json()
        monkeypatch.setattr(scrolling, "WALKED", walked)
        assert await scrolled(tenant, **params, sort="-name") == paged["data"]
        assert len(paged["data"]) == paged["meta"]["total"]

    async def test_the_blocked_are_those_of_the_list_and_those_who_opted_out(
        self, tenant: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(scrolling, "WALKED", 1)
        everybody = await show(tenant, "contacts?per_page=100")
        await add(tenant, "block-contacts", number=f"+{everybody[4]['number']}")
        await database.execute("UPDATE contacts SET blocked_at = now() WHERE id = $1", everybody[7]["id"])
        found = [contact["id"] for contact in await scrolled(tenant, blocked="true")]
        assert found == [everybody[4]["id"], everybody[7]["id"]]

    async def test_an_audience_is_scrolled(self, tenant: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(scrolling, "WALKED", 3)
        public = await add(tenant, "publics", name="Alguns")
        chosen = [contact["id"] for contact in await show(tenant, "contacts?per_page=100")][1::4]
        await tenant.post(f"/api/publics/{public['id']}/contacts", json={"ids": chosen})
        found = await scrolled(tenant, f"publics/{public['id']}/contacts")
        assert [contact["id"] for contact in found] == chosen

    async def test_another_tenants_contacts_are_never_among_them(
        self, tenant: httpx.AsyncClient, api: ClientOf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(scrolling, "WALKED", 1)
        other = api(await make_limited_member(contacts_limit=10))
        made = [await add_contact(other, name="Ana") for _ in range(3)]
        assert [contact["id"] for contact in await scrolled(other, search="ana", sort="name")] == [
            contact["id"] for contact in made
        ]
        assert len(await scrolled(tenant, search="ana")) == 2


class TestSearch:
    @pytest.mark.parametrize(
        ("written", "names"),
        [
            ("ZOE", ["Zoë"]),
            ("zoë", ["Zoë"]),
            ("CAU", ["çaú"]),
            ("érica", ["ÉRICA"]),
            ("ANGELA", ["Ângela"]),
            ("\uff05", []),
            ("%", []),
            ("_", []),
            ("\\", []),
        ],
    )
    async def test_accents_and_size_do_not_matter(
        self, tenant: httpx.AsyncClient, written: str, names: list[str]
    ) -> None:
        assert [contact["name"] for contact in await scrolled(tenant, search=written)] == names


class TestCursors:
    @pytest.mark.parametrize(
        ("sort", "place"),
        [
            ("name", ["-name", "a", 1]),
            ("name", ["name", 7, 1]),
            ("name", ["name", "a\0", 1]),
            ("name", ["name", "a" * 2000, 1]),
            ("name", ["name", "a", -1]),
            ("name", ["name", "a", 2**63]),
            ("-id", ["-id", "x", 1]),
            ("updated_at", ["updated_at", "2026-02-30T00:00:00Z", 1]),
            ("updated_at", ["updated_at", "2026-01-30T00:00:00", 1]),
            ("updated_at", ["updated_at", None, 1]),
            ("status", ["status", 2**15, 1]),
            ("status", ["status", {}, 1]),
        ],
    )
    async def test_a_forged_one_is_refused(self, tenant: httpx.AsyncClient, sort: str, place: list[object]) -> None:
        answer = await tenant.get("/api/contacts", params={"sort": sort, "cursor": write_cursor(place)})
        assert (answer.status_code, list(answer.json()["errors"])) == (422, ["cursor"])

    async def test_the_longest_name_has_one(self, tenant: httpx.AsyncClient) -> None:
        long = [await add_contact(tenant, name="zz" + "\u3389" * 158) for _ in range(3)]
        found = [contact["id"] for contact in await scrolled(tenant, sort="-name")]
        assert found[:3] == [contact["id"] for contact in long[::-1]]
