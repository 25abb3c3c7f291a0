"""The list of recipients and its CSV, by every filter."""

from typing import Any

import httpx
import pytest

from core import database
from tests.core.campaigns.making import Made, recipients, running
from tests.core.downloads import rows_of
from tests.factories import Member

WRITTEN: dict[str, dict[str, Any]] = {
    "read": {"state": "sent", "delivered_at": "now()", "read_at": "now()", "replied_at": "now()"},
    "delivered": {"state": "sent", "delivered_at": "now()"},
    "failed": {"state": "failed", "reason": "busy"},
    "unknown": {"state": "unknown", "reason": "timeout"},
    "looked_up": {"state": "unknown", "reason": "timeout", "lease_until": "now()"},
    "pending": {"state": "pending"},
}


@pytest.fixture
async def made(user: Member) -> Made:
    """A campaign with one recipient of each kind, in the order of ``WRITTEN``."""
    made = await running(user, contacts=len(WRITTEN), numbers=2)
    for row, columns in zip(await recipients(made.id), WRITTEN.values(), strict=True):
        changes = ", ".join(
            f"{name} = now()" if value == "now()" else f"{name} = '{value}'" for name, value in columns.items()
        )
        await database.execute(f"UPDATE message_by_contacts SET {changes} WHERE id = $1", row["id"])
    await database.execute(
        "UPDATE message_by_contacts SET number_id = $2 WHERE campaign_id = $1 AND state = 'sent'",
        made.id,
        made.number_ids[1],
    )
    return made


FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, [*WRITTEN]),
    ({"state": "failed"}, ["failed"]),
    ({"state": ["failed", "unknown"]}, ["failed", "unknown", "looked_up"]),
    ({"state": ""}, [*WRITTEN]),
    ({"reason": "busy"}, ["failed"]),
    ({"delivered": True}, ["read", "delivered"]),
    ({"delivered": True, "readed": False}, ["delivered"]),
    ({"replied": True}, ["read"]),
    ({"needs_attention": True}, ["unknown"]),
    ({"state": "unknown", "needs_attention": False}, ["looked_up"]),
]


@pytest.mark.parametrize(("query", "names"), FILTERS, ids=str)
class TestFilters:
    async def test_of_the_list(
        self, tenant: httpx.AsyncClient, made: Made, query: dict[str, Any], names: list[str]
    ) -> None:
        answer = await tenant.get(f"/api/campaigns/{made.id}/recipients", params=query)
        assert answer.status_code == 200, answer.text
        wanted = [made.phones[[*WRITTEN].index(name)] for name in names]
        assert [row["number"] for row in answer.json()["data"]] == wanted
        assert answer.json()["meta"]["total"] == len(names)

    async def test_of_the_csv(
        self, tenant: httpx.AsyncClient, made: Made, query: dict[str, Any], names: list[str]
    ) -> None:
        answer = await tenant.get(f"/api/campaigns/{made.id}/report.csv", params=query)
        assert answer.status_code == 200, answer.text
        wanted = [made.phones[[*WRITTEN].index(name)] for name in names]
        assert [row["number"] for row in rows_of(answer)] == wanted


class TestIds:
    async def test_of_numbers_contacts_and_messages(self, tenant: httpx.AsyncClient, made: Made) -> None:
        async def count(**query: int) -> int:
            answer = await tenant.get(f"/api/campaigns/{made.id}/recipients", params=query)
            return int(answer.json()["meta"]["total"])

        assert await count(number_id=made.number_ids[1]) == 2
        assert await count(contact_id=made.contact_ids[0]) == 1
        assert await count(message_id=made.message_ids[0]) == len(WRITTEN)
        assert await count(message_id=made.message_ids[0] + 1) == 0


class TestScroll:
    async def test_gives_every_row_once(self, tenant: httpx.AsyncClient, made: Made) -> None:
        link: str | None = f"/api/campaigns/{made.id}/recipients?per_page=4&cursor="
        found: list[str] = []
        while link is not None:
            answer = (await tenant.get(link)).json()
            found += [row["number"] for row in answer["data"]]
            link = answer["links"]["next"]
        assert found == made.phones

    async def test_keeps_the_filter(self, tenant: httpx.AsyncClient, made: Made) -> None:
        answer = await tenant.get(f"/api/campaigns/{made.id}/recipients?per_page=1&state=unknown&cursor=")
        following = answer.json()["links"]["next"]
        assert [row["number"] for row in (await tenant.get(following)).json()["data"]] == [made.phones[4]]

    @pytest.mark.parametrize(("query", "field"), [("cursor=x", "cursor"), ("cursor=&sort=-id", "sort")])
    async def test_refuses_what_does_not_fit(
        self, tenant: httpx.AsyncClient, made: Made, query: str, field: str
    ) -> None:
        answer = await tenant.get(f"/api/campaigns/{made.id}/recipients?{query}")
        assert (answer.status_code, [*answer.json()["errors"]]) == (422, [field])


class TestRefused:
    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("state=lost", "state"),
            ("state=sent&state=lost", "state"),
            ("delivered=perhaps", "delivered"),
            ("number_id=0", "number_id"),
            ("contact_id=x", "contact_id"),
            ("reason=" + 61 * "x", "reason"),
        ],
    )
    async def test_names_the_field(self, tenant: httpx.AsyncClient, made: Made, query: str, field: str) -> None:
        for path in ("recipients", "report.csv"):
            answer = await tenant.get(f"/api/campaigns/{made.id}/{path}?{query}")
            assert (answer.status_code, [*answer.json()["errors"]]) == (422, [field])

    async def test_another_tenants_csv(self, stranger: httpx.AsyncClient, made: Made) -> None:
        assert (await stranger.get(f"/api/campaigns/{made.id}/report.csv")).status_code == 404
