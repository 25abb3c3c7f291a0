"""With no gateway enabled administrators assign plans, and everything else works."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import msgspec
import pytest

from core import database
from core.runtime import Runtime
from tests.core.campaigns.making import insert
from tests.core.numbers.messaging import eventually
from tests.factories import Member

SENTENCES = {
    "en": "Nothing can be paid here: no gateway is enabled, and an administrator assigns the plans.",
    "pt-BR": "Aqui nada pode ser pago: nenhum gateway está ativado e um administrador atribui os planos.",
    "es": "Aquí no se puede pagar nada: no hay ninguna pasarela activada y un administrador asigna los planes.",
}


@pytest.fixture(autouse=True)
def no_gateways(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever other tests enabled."""
    monkeypatch.setattr(runtime, "providers", msgspec.structs.replace(runtime.providers, gateways_by_name={}))


@pytest.fixture
async def plan_id(runtime: Runtime) -> int:
    """A plan that costs something."""
    del runtime  # needed, since it opens the pool
    return await insert("plans", name="Assigned", value=Decimal("49.90"), contacts_limit=10)


async def _subscription(client: httpx.AsyncClient) -> Any:
    answer = await client.get("/api/subscription")
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def _assign(admin: httpx.AsyncClient, user: Member, **changes: object) -> None:
    answer = await admin.patch(f"/api/admin/users/{user.id}", json=changes)
    assert answer.status_code == 200, answer.text


async def _add_contact(client: httpx.AsyncClient, number: str) -> httpx.Response:
    return await client.post("/api/contacts", json={"number": number, "name": "Ana"})


@pytest.mark.parametrize("language", SENTENCES)
async def test_a_checkout_says_who_assigns_plans(tenant: httpx.AsyncClient, plan_id: int, language: str) -> None:
    answer = await tenant.post(
        "/api/payments/checkout", json={"plan_id": plan_id}, headers={"Accept-Language": language}
    )

    assert (answer.status_code, answer.json()["code"]) == (409, "no_gateway")
    assert answer.json()["message"] == SENTENCES[language]
    assert await database.fetch_value("SELECT count(*) FROM checkouts WHERE plan_id = $1", plan_id) == 0


async def test_there_is_nothing_to_pay_with(tenant: httpx.AsyncClient) -> None:
    answer = await tenant.get("/api/payments/gateways")

    assert (answer.status_code, answer.json()) == (200, {"data": []})


async def test_an_assigned_plan_counts_until_its_date(
    tenant: httpx.AsyncClient, admin: httpx.AsyncClient, user: Member, plan_id: int
) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    await _assign(admin, user, plan_id=plan_id, due_access_at=until.isoformat())

    shown = await _subscription(tenant)
    assert (shown["plan_id"], shown["has_access"], shown["subscription"]) == (plan_id, True, None)
    assert datetime.fromisoformat(shown["access_until"]) == until
    assert (await _add_contact(tenant, "+5511987650101")).status_code == 201

    soon = datetime.now(UTC) + timedelta(seconds=0.2)
    await _assign(admin, user, due_access_at=soon.isoformat())

    async def ended() -> bool:
        return (await _subscription(tenant))["has_access"] is False

    await eventually(ended)
    refused = await _add_contact(tenant, "+5511987650102")
    assert (refused.status_code, refused.json()["code"]) == (402, "access_ended")
    # What is there can be read, and the plan stays.
    assert [row["name"] for row in (await tenant.get("/api/contacts")).json()["data"]] == ["Ana"]
    assert (await _subscription(tenant))["plan_id"] == plan_id

    await _assign(admin, user, due_access_at=None)
    assert (await _subscription(tenant))["has_access"] is True
    assert (await _add_contact(tenant, "+5511987650102")).status_code == 201


async def test_what_needs_a_subscription_says_that_there_is_none(
    tenant: httpx.AsyncClient, admin: httpx.AsyncClient, user: Member, plan_id: int
) -> None:
    await _assign(admin, user, plan_id=plan_id)

    for path, body in (("cancel", {}), ("resume", None), ("portal", None), ("change", {"plan_id": plan_id})):
        answer = await tenant.post(f"/api/subscription/{path}", json=body)
        assert (path, answer.status_code, answer.json()["code"]) == (path, 409, "no_subscription")
    assert (await tenant.get("/api/payments")).json()["data"] == []
    assert (await admin.get("/api/admin/reports/revenue", params={"gateway": "stripe"})).status_code == 200
