"""Lists of servers and of everybody's numbers over HTTP."""

import secrets
from typing import Any

import httpx
import pytest

from core import database
from tests.conftest import ClientOf
from tests.core.downloads import rows_of
from tests.core.numbers.messaging import KEY, Waha, add_number, add_server
from tests.factories import Member


async def ids(client: httpx.AsyncClient, path: str, query: dict[str, Any]) -> list[int]:
    """Return the ids of a list."""
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()["data"]]


class TestNumbers:
    async def test_of_all_users_are_listed_with_their_owners(
        self, admin: httpx.AsyncClient, api: ClientOf, waha: Waha, user: Member, other_user: Member
    ) -> None:
        server = await add_server(admin, waha)
        numbers = [await add_number(api(member), server["id"]) for member in (user, other_user)]
        answer = await admin.get("/api/admin/numbers", params={"server_id": server["id"]})
        shown = [(row["id"], row["user_id"], row["user_email"], row["server_name"]) for row in answer.json()["data"]]
        assert shown == [
            (numbers[1]["id"], other_user.id, other_user.email, server["name"]),
            (numbers[0]["id"], user.id, user.email, server["name"]),
        ]
        # A tenant's forward address is shown, and nothing by which messaging servers deliver.
        assert {name for row in answer.json()["data"] for name in row if "webhook" in name} == {"webhook_url"}

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ({"search": "AÇAÍ"}, ["first"]),
            ({"search": "55119999"}, ["second"]),
            ({"provider": "waha"}, ["second", "first"]),
            ({"provider": "evolution"}, []),
            ({"connection": "connected"}, ["second"]),
            ({"status_connection": "true"}, ["second"]),
            ({"status": "false"}, ["first"]),
            ({"extra": "true"}, ["second"]),
            ({"from": "2026-02-01T00:00:00Z"}, ["second"]),
            ({"to": "2026-02-01T00:00:00Z"}, ["first"]),
            ({"sort": "created_at"}, ["first", "second"]),
            ({"sort": "-number"}, ["second", "first"]),
            ({"cursor": ""}, ["second", "first"]),
        ],
    )
    async def test_are_narrowed_and_sorted(
        self,
        admin: httpx.AsyncClient,
        tenant: httpx.AsyncClient,
        waha: Waha,
        user: Member,
        query: dict[str, str],
        names: list[str],
    ) -> None:
        server = await add_server(admin, waha)
        made = {name: (await add_number(tenant, server["id"]))["id"] for name in ("first", "second")}
        await database.execute(
            "UPDATE numbers SET name = 'Açaí', status = false, created_at = '2026-01-01T00:00:00Z' WHERE id = $1",
            made["first"],
        )
        await database.execute(
            "UPDATE numbers SET number = '5511999900001' || id, connection = 'connected', status_connection = true,"
            " extra = true WHERE id = $1",
            made["second"],
        )
        asked = {"user_id": str(user.id), **query}
        wanted = [made[name] for name in names]
        assert await ids(admin, "/api/admin/numbers", asked) == wanted
        if not {"sort", "cursor"} & set(query):
            rows = rows_of(await admin.get("/api/admin/numbers.csv", params=asked), "numbers.csv")
            assert [(int(row["id"]), row["user_email"]) for row in rows] == [(one, user.email) for one in wanted]

    @pytest.mark.parametrize(
        ("name", "value"), [("connection", "asleep"), ("user_id", "0"), ("status", "maybe"), ("from", "")]
    )
    async def test_what_they_cannot_be_filtered_by_is_named(
        self, admin: httpx.AsyncClient, name: str, value: str
    ) -> None:
        answer = await admin.get("/api/admin/numbers", params={name: value})
        assert (answer.status_code, list(answer.json()["errors"])) == (422, [name])

    async def test_are_for_administrators(self, tenant: httpx.AsyncClient) -> None:
        for path in ("numbers", "numbers.csv", "servers.csv"):
            assert (await tenant.get(f"/api/admin/{path}")).status_code == 403


class TestServers:
    async def test_are_narrowed_and_sorted(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha
    ) -> None:
        place = secrets.token_hex(4)
        well = await add_server(admin, waha, name=f"{place} well")
        away = await add_server(admin, waha, name=f"{place} away", url="http://127.0.0.1:9")
        await add_number(tenant, well["id"])

        async def found(**query: str) -> list[int]:
            return await ids(admin, "/api/admin/servers", {"search": place.upper(), **query})

        assert await found() == [well["id"], away["id"]]
        assert await found(status="true") == [well["id"]]
        assert await found(status="false") == [away["id"]]
        assert await found(provider="waha") == [well["id"], away["id"]]
        assert await found(provider="evolution") == []
        assert await found(search=f"{place} AWAY") == [away["id"]]
        assert await found(sort="name") == [away["id"], well["id"]]
        assert await found(sort="-numbers") == [well["id"], away["id"]]

    async def test_the_file_holds_no_secret(self, admin: httpx.AsyncClient, waha: Waha) -> None:
        server = await add_server(admin, waha)
        answer = await admin.get("/api/admin/servers.csv", params={"search": server["name"]})
        [row] = rows_of(answer, "servers.csv")
        assert (row["id"], row["status"], row["credentials"]) == (str(server["id"]), "true", '{"api_key":"***"}')
        assert KEY not in answer.text
