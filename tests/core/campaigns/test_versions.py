"""``ETag`` and ``If-Match`` of campaigns over HTTP."""

import asyncio
from typing import Any

import httpx
import pytest

from core import database
from tests.core.campaigns.making import give_plan
from tests.factories import Member

CHANGES = (
    ("PATCH", "", {"name": "Easter"}),
    ("DELETE", "", None),
    ("POST", "/start", None),
    ("POST", "/pause", None),
    ("POST", "/resume", None),
    ("POST", "/cancel", None),
    ("POST", "/retry", None),
)


@pytest.fixture
async def campaign(tenant: httpx.AsyncClient, user: Member) -> dict[str, Any]:
    await give_plan(user.id)
    made: dict[str, Any] = (await tenant.post("/api/campaigns", json={"name": "Christmas"})).json()["data"]
    return made


async def row(campaign: dict[str, Any]) -> object:
    return await database.fetch_value("SELECT to_jsonb(c)::text FROM campaigns c WHERE id = $1", campaign["id"])


async def test_every_answer_with_a_campaign_has_its_tag(tenant: httpx.AsyncClient, user: Member) -> None:
    await give_plan(user.id)
    made = await tenant.post("/api/campaigns", json={"name": "Christmas"})
    path = f"/api/campaigns/{made.json()['data']['id']}"
    shown = await tenant.get(path)
    changed = await tenant.patch(path, json={"name": "Easter"})
    canceled = await tenant.post(f"{path}/cancel")
    assert [made.headers["etag"], shown.headers["etag"]] == ['"1"', '"1"']
    assert [changed.headers["etag"], canceled.headers["etag"]] == ['"2"', '"3"']
    assert (made.status_code, shown.status_code) == (201, 200)


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
async def test_another_version_is_412_and_nothing_changes(
    tenant: httpx.AsyncClient, campaign: dict[str, Any], method: str, path: str, body: object
) -> None:
    before = await row(campaign)
    answer = await tenant.request(
        method, f"/api/campaigns/{campaign['id']}{path}", json=body, headers={"If-Match": '"2"'}
    )
    assert (answer.status_code, answer.json()["code"]) == (412, "precondition_failed")
    assert await row(campaign) == before


async def test_the_present_version_may_be_changed(tenant: httpx.AsyncClient, campaign: dict[str, Any]) -> None:
    path = f"/api/campaigns/{campaign['id']}"
    changed = await tenant.patch(path, json={"name": "Easter"}, headers={"If-Match": '"1"'})
    deleted = await tenant.delete(path, headers={"If-Match": changed.headers["etag"]})
    assert (changed.status_code, deleted.status_code) == (200, 204)


async def test_of_two_at_once_one_wins(tenant: httpx.AsyncClient, campaign: dict[str, Any]) -> None:
    path, headers = f"/api/campaigns/{campaign['id']}", {"If-Match": '"1"'}
    answers = await asyncio.gather(
        *(tenant.patch(path, json={"name": f"Name {place}"}, headers=headers) for place in range(5))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412, 412]


async def test_of_another_tenant_is_404(stranger: httpx.AsyncClient, campaign: dict[str, Any]) -> None:
    answer = await stranger.patch(
        f"/api/campaigns/{campaign['id']}", json={"name": "Mine"}, headers={"If-Match": '"1"'}
    )
    assert answer.status_code == 404


async def test_the_refusal_speaks_the_callers_language(tenant: httpx.AsyncClient, campaign: dict[str, Any]) -> None:
    headers = {"If-Match": '"7"', "Accept-Language": "es"}
    answer = await tenant.patch(f"/api/campaigns/{campaign['id']}", json={}, headers=headers)
    assert answer.json()["detail"] == "Se cambió entretanto: lea de nuevo y repita."
