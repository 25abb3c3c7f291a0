"""How large an audience is said to be, before and after a job counted it."""

from typing import Any

import httpx
import pytest

from core import database
from core.contacts import audience, counting
from core.jobs import leasing
from tests.conftest import ClientOf
from tests.core.contacts.making import add, add_contact, make_limited_member, show
from tests.factories import Member

MANY = 40


@pytest.fixture
async def member(user: Member) -> Member:
    """A tenant with room for contacts."""
    del user
    return await make_limited_member(contacts_limit=100)


@pytest.fixture
async def tenant(api: ClientOf, member: Member, monkeypatch: pytest.MonkeyPatch) -> httpx.AsyncClient:
    """A client of that tenant, where more than five contacts are many; it has forty."""
    monkeypatch.setattr(counting, "COUNTED_AT_ONCE", 5)
    client = api(member)
    for place in range(MANY):
        await add_contact(client, name=f"Ana {place}")
    await database.execute("ANALYZE contacts")
    return client


def count(public: dict[str, Any]) -> tuple[int, bool]:
    return public["contacts_count"], public["count_is_exact"]


async def jobs(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await show(client, f"jobs?kind={counting.KIND}&sort=created_at")
    return found


async def test_few_are_counted_for_the_answer(tenant: httpx.AsyncClient) -> None:
    assert count(await add(tenant, "publics", name="E", type=2, filters={"search": "ana 39"})) == (1, True)
    few = (await tenant.post("/api/publics/count", json={"filters": {"search": "ana 39"}})).json()["data"]
    assert few == {"contacts_count": 1, "count_is_exact": True}


async def test_many_are_estimated_until_a_job_has_counted_them(tenant: httpx.AsyncClient) -> None:
    public = await add(tenant, "publics", name="D", type=2, filters={})
    assert public["contacts_count"] > 5
    assert (public["count_is_exact"], public["counted_at"]) == (False, None)
    (job,) = await jobs(tenant)
    assert (job["subject_id"], job["status"]) == (public["id"], "waiting")
    await leasing.run_job(job["id"])
    counted = await show(tenant, f"publics/{public['id']}")
    assert count(counted) == (MANY, True)
    assert counted["counted_at"] is not None
    assert (await show(tenant, f"jobs/{job['id']}"))["result"] == {"contacts_count": MANY}
    assert len(await jobs(tenant)) == 1


async def test_members_of_one_by_hand_are_counted_as_well(tenant: httpx.AsyncClient) -> None:
    public = await add(tenant, "publics", name="A")
    await tenant.post(f"/api/publics/{public['id']}/contacts", json={"filter": {}})
    assert (await show(tenant, "publics"))[0]["count_is_exact"] is False
    await leasing.run_job((await jobs(tenant))[0]["id"])
    assert [count(one) for one in await show(tenant, "publics")] == [(MANY, True)]


async def test_whoever_looks_again_asks_for_no_second_job(tenant: httpx.AsyncClient) -> None:
    public = await add(tenant, "publics", name="D", type=2, filters={})
    await show(tenant, f"publics/{public['id']}")
    await show(tenant, "publics")
    assert len(await jobs(tenant)) == 1


async def test_after_ten_minutes_it_is_counted_anew(tenant: httpx.AsyncClient) -> None:
    public = await add(tenant, "publics", name="D", type=2, filters={})
    await leasing.run_job((await jobs(tenant))[0]["id"])
    await database.execute(
        "UPDATE publics SET counted_at = counted_at - interval '10 minutes' WHERE id = $1", public["id"]
    )
    assert (await show(tenant, f"publics/{public['id']}"))["count_is_exact"] is False
    assert len(await jobs(tenant)) == 2


async def test_other_filters_are_not_said_to_be_counted(tenant: httpx.AsyncClient) -> None:
    public = await add(tenant, "publics", name="D", type=2, filters={})
    path = f"/api/publics/{public['id']}"
    await leasing.run_job((await jobs(tenant))[0]["id"])
    renamed = (await tenant.patch(path, json={"name": "E"})).json()["data"]
    changed = (await tenant.patch(path, json={"filters": {"search": "ana 39"}})).json()["data"]
    assert (count(renamed), count(changed)) == ((MANY, True), (1, True))
    assert changed["counted_at"] is None


async def test_a_count_of_filters_that_were_changed_meanwhile_is_not_kept(
    tenant: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = await add(tenant, "publics", name="D", type=2, filters={})
    real = audience.public_conditions

    async def changed_then(*args: Any) -> str:
        found = await real(*args)
        await database.execute(
            'UPDATE publics SET filters = \'{"search": "bia"}\', updated_at = now() WHERE id = $1', public["id"]
        )
        return found

    monkeypatch.setattr(counting, "public_conditions", changed_then)
    await leasing.run_job((await jobs(tenant))[0]["id"])
    monkeypatch.undo()
    assert count(await show(tenant, f"publics/{public['id']}")) == (0, True)


async def test_one_deleted_meanwhile_ends_the_job_with_the_reason(tenant: httpx.AsyncClient) -> None:
    public = await add(tenant, "publics", name="D", type=2, filters={})
    await tenant.delete(f"/api/publics/{public['id']}")
    await leasing.run_job((await jobs(tenant))[0]["id"])
    (job,) = await jobs(tenant)
    assert (job["status"], job["error"]) == ("failed", f"No audience {public['id']} was found.")
