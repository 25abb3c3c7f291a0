"""The log over HTTP: who sees which lines, and what stands in them."""

from typing import Any

import httpx
import pytest
from litestar import Litestar

from core import database
from core.audit.services import record
from tests.conftest import client_for
from tests.core.contacts.making import phone
from tests.core.downloads import rows_of
from tests.core.numbers.messaging import KEY, Waha, add_server
from tests.factories import Member


async def _lines(client: httpx.AsyncClient, path: str = "/api/logs", **query: Any) -> list[dict[str, Any]]:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


async def test_a_change_tells_what_was_and_what_is(tenant: httpx.AsyncClient, app: Litestar, user: Member) -> None:
    made = (await tenant.post("/api/contacts", json={"number": phone(), "name": "Ana"})).json()["data"]
    async with client_for(app, user.token, address="203.0.113.7") as client:
        changed = await client.patch(f"/api/contacts/{made['id']}", json={"name": "Ana Maria"})
    line = (await _lines(tenant))[0]
    assert (line["action"], line["entity"], line["entity_id"]) == ("contact.updated", "contact", made["id"])
    assert line["changes"] == {"name": ["Ana", "Ana Maria"]}
    assert (line["address"], line["by_administrator"]) == ("203.0.113.7", False)
    assert line["request_id"] == changed.headers["x-request-id"]


async def test_what_an_administrator_does_in_ones_name_names_both(
    tenant: httpx.AsyncClient, admin: httpx.AsyncClient, user: Member, administrator: Member, app: Litestar
) -> None:
    acting = await admin.post(f"/api/admin/users/{user.id}/act-as", json={"reason": "The import hangs"})
    async with client_for(app, acting.json()["token"], address="203.0.113.7") as client:
        await client.post("/api/labels", json={"name": "VIP"})
    own = await _lines(tenant)
    assert [(line["action"], line["by_administrator"], line["address"]) for line in own[:2]] == [
        ("label.created", True, ""),
        ("user.acted_as", True, ""),
    ]
    assert own[1]["description"] == "The import hangs"
    assert "actor_email" not in own[0]
    seen = (await _lines(admin, "/api/admin/logs", user_id=user.id))[0]
    assert (seen["user_id"], seen["actor_id"]) == (user.id, administrator.id)
    assert (seen["user_email"], seen["actor_email"]) == (user.email, administrator.email)
    assert seen["address"] == "203.0.113.7"
    mine = await _lines(admin, "/api/admin/logs", actor_id=administrator.id)
    assert [line["action"] for line in mine] == ["label.created", "user.acted_as"]


async def test_an_api_key_is_named(tenant: httpx.AsyncClient, app: Litestar) -> None:
    made = (await tenant.post("/api/api-keys", json={"name": "Script", "scopes": ["manage"]})).json()["data"]
    async with client_for(app, made["key"]) as script:
        await script.post("/api/labels", json={"name": "VIP"})
    assert (await _lines(tenant))[0]["api_key_id"] == made["id"]


async def test_what_an_administrator_changes_of_an_account_is_shown_to_its_owner(
    tenant: httpx.AsyncClient, admin: httpx.AsyncClient, user: Member
) -> None:
    await admin.patch(f"/api/admin/users/{user.id}", json={"timezone": "America/Manaus"})
    line = (await _lines(tenant))[0]
    assert line["changes"] == {"timezone": ["America/Sao_Paulo", "America/Manaus"]}
    assert line["by_administrator"] is True


async def test_nobody_sees_another_accounts_lines(
    tenant: httpx.AsyncClient, user: Member, other_user: Member, app: Litestar
) -> None:
    await tenant.post("/api/labels", json={"name": "VIP"})
    async with client_for(app, other_user.token) as stranger:
        assert await _lines(stranger) == []
        assert (await stranger.get("/api/admin/logs")).status_code == 403
        assert (await stranger.get("/api/admin/logs.csv")).status_code == 403
    assert {line["entity"] for line in await _lines(tenant, entity="label")} == {"label"}
    assert user.id != other_user.id


async def test_filters(tenant: httpx.AsyncClient, user: Member) -> None:
    for name, entity_id, made in (("test.first", 1, "2026-01-01"), ("test.second", 2, "2026-02-01")):
        await record(name, user_id=user.id, entity_id=entity_id, description=f"about {name}")
        await database.execute(
            "UPDATE logs SET created_at = $2::text::timestamptz WHERE action = $1 AND user_id = $3", name, made, user.id
        )

    async def names(**query: Any) -> list[str]:
        return [line["action"] for line in await _lines(tenant, **query)]

    assert await names(action="test.f") == ["test.first"]
    assert await names(entity="test", entity_id=2) == ["test.second"]
    assert await names(**{"from": "2026-01-15T00:00:00Z", "to": "2026-02-15T00:00:00Z"}) == ["test.second"]
    assert await names(search="ABOUT TEST.FIRST") == ["test.first"]
    assert await names(sort="id") == ["test.first", "test.second"]


@pytest.mark.parametrize("name", ["from", "to"])
@pytest.mark.parametrize("written", ["", "yesterday", "2026-01-31T09:00:00"])
async def test_what_is_no_moment_is_refused_by_its_name(tenant: httpx.AsyncClient, name: str, written: str) -> None:
    answer = await tenant.get("/api/logs", params={name: written})
    assert answer.status_code == 422
    assert answer.json()["errors"] == {name: ["Must be a date and time with its zone, such as 2026-01-31T09:00:00Z."]}


async def test_scrolling_sees_every_line_once(tenant: httpx.AsyncClient, user: Member) -> None:
    for place in range(5):
        await record(f"test.{place}", user_id=user.id)
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = (await tenant.get("/api/logs", params={"cursor": cursor, "per_page": 2})).json()
        found += [line["action"] for line in answer["data"]]
        cursor = answer["meta"]["next_cursor"]
    assert found == [f"test.{place}" for place in (4, 3, 2, 1, 0)]


async def test_a_spreadsheet_runs_nothing_of_the_log(
    tenant: httpx.AsyncClient, admin: httpx.AsyncClient, user: Member
) -> None:
    await record("test.formula", user_id=user.id, description='=HYPERLINK("http://evil.example")')
    answer = await admin.get("/api/admin/logs.csv", params={"user_id": user.id})
    rows = rows_of(answer, "logs.csv")
    assert [row["action"] for row in rows] == ["test.formula"]
    assert rows[0]["description"] == '\'=HYPERLINK("http://evil.example")'
    assert rows[0]["user_email"] == user.email
    assert rows[0]["by_administrator"] == "false"
    del tenant


async def test_that_a_secret_changed_is_told_and_not_what_it_is(admin: httpx.AsyncClient, waha: Waha) -> None:
    server = await add_server(admin, waha)
    path = f"/api/admin/servers/{server['id']}"
    assert (await admin.patch(path, json={"credentials": {"api_key": "planted-key"}})).status_code == 200
    assert (await admin.patch(path, json={"capacity": 7})).status_code == 200
    lines = await _lines(admin, "/api/admin/logs", entity="server", entity_id=server["id"])
    assert [line["changes"] for line in lines] == [{"capacity": [None, 7]}, {"credentials": ["***", "***"]}, {}]
    stored = await database.fetch("SELECT data::text || changes::text AS text FROM logs WHERE entity = 'server'")
    assert [row for row in stored if "planted-key" in row["text"] or KEY in row["text"]] == []
