"""A change that changes nothing leaves no line in the log, whatever it is a change of."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from core import database
from tests.core.campaigns.making import make_campaign
from tests.core.contacts.making import add, add_contact, phone
from tests.core.numbers.messaging import KEY, Waha, add_number, add_server
from tests.factories import Member, random_email


async def lines_of(answer: httpx.Response) -> list[str]:
    """Return the actions that a request wrote into the log."""
    assert answer.is_success, answer.text
    rows = await database.fetch("SELECT action FROM logs WHERE request_id = $1", answer.headers["x-request-id"])
    return [row["action"] for row in rows]


async def lines_of_both(client: httpx.AsyncClient, path: str, unchanged: dict[str, Any]) -> list[str]:
    """Send a change with the present values, then one without any."""
    return [
        *await lines_of(await client.patch(path, json=unchanged)),
        *await lines_of(await client.patch(path, json={})),
    ]


async def test_of_oneself(tenant: httpx.AsyncClient, user: Member) -> None:
    assert await lines_of_both(tenant, "/api/auth/me", {"name": user.row.name, "locale": user.row.locale}) == []


async def test_of_a_user(admin: httpx.AsyncClient, user: Member) -> None:
    unchanged = {"email": user.email, "name": f" {user.row.name} ", "status": "active", "plan_id": user.row.plan_id}
    assert await lines_of_both(admin, f"/api/admin/users/{user.id}", unchanged) == []


async def test_of_a_plan(admin: httpx.AsyncClient) -> None:
    plan = await add(admin, "admin/plans", name=random_email(), value="49.90")
    unchanged = {"name": plan["name"], "value": "49.90", "contacts_limit": plan["contacts_limit"]}
    assert await lines_of_both(admin, f"/api/admin/plans/{plan['id']}", unchanged) == []


async def test_of_rows_of_a_tenant(tenant: httpx.AsyncClient, user: Member) -> None:
    label = await add(tenant, "labels", name="VIP", color="#112233")
    assert await lines_of_both(tenant, f"/api/labels/{label['id']}", {"name": "VIP", "color": "#112233"}) == []
    contact = await add_contact(tenant, name="Ana", variables={"city": "Recife"}, labels=[label["id"]])
    unchanged = {"name": "Ana", "variables": {"city": "Recife"}, "labels": [label["id"]], "number": contact["number"]}
    assert await lines_of_both(tenant, f"/api/contacts/{contact['id']}", unchanged) == []
    public = await add(tenant, "publics", name="Everybody", description="By hand")
    unchanged = {"name": "Everybody", "description": "By hand"}
    assert await lines_of_both(tenant, f"/api/publics/{public['id']}", unchanged) == []
    campaign = await make_campaign(user)
    shown = (await tenant.get(f"/api/campaigns/{campaign.id}")).json()["data"]
    unchanged = {"name": shown["name"], "number_ids": shown["number_ids"], "public_id": shown["public_id"]}
    assert await lines_of_both(tenant, f"/api/campaigns/{campaign.id}", unchanged) == []


async def test_of_a_server_and_its_number(admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha) -> None:
    server = await add_server(admin, waha, capacity=5)
    path = f"/api/admin/servers/{server['id']}"
    unchanged = {"name": server["name"], "url": server["url"], "capacity": 5, "credentials": {"api_key": KEY}}
    assert await lines_of_both(admin, path, unchanged) == []
    assert await lines_of_both(admin, path, {"credentials": {"api_key": "***"}}) == []
    assert await lines_of(await admin.patch(path, json={"credentials": {"api_key": "another"}})) == ["server.updated"]
    number = await add_number(tenant, server["id"])
    unchanged = {"name": number["name"], "status": number["status"], "settings": number["settings"]}
    assert await lines_of_both(tenant, f"/api/numbers/{number['id']}", unchanged) == []


@pytest.fixture
def setting(admin: httpx.AsyncClient) -> Callable[[object], Any]:
    """Set the brand's name, or forget it; returns what stands in the log."""

    async def change(value: object) -> list[str]:
        return await lines_of(await admin.patch("/api/admin/settings", json={"values": {"brand.name": value}}))

    return change


async def test_of_a_setting(setting: Callable[[object], Any]) -> None:
    name = f"Brand {phone()}"
    assert [await setting(name), await setting(name)] == [["setting.changed"], []]
    assert [await setting(None), await setting(None)] == [["setting.changed"], []]
