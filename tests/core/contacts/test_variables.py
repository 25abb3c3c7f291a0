"""The names a message text may use are those of the tenant's contacts."""

import httpx

from core.contacts.schemas import OWN_FIELDS
from core.contacts.variables import usable_names
from tests.core.contacts.making import add_contact, phone, run_import, show
from tests.factories import Member


async def test_without_contacts_only_name_and_number_are_usable(user: Member) -> None:
    assert await usable_names(user.id) == OWN_FIELDS


async def test_names_come_from_everywhere_and_are_listed_in_order(tenant: httpx.AsyncClient) -> None:
    contact = await add_contact(tenant, variables={"cidade": "Recife"})
    await tenant.patch(f"/api/contacts/{contact['id']}", json={"variables": {"bairro": "Pina"}})
    await run_import(tenant, f"number,plano\n+{phone()},ouro\n")
    assert await show(tenant, "contacts/variables") == ["bairro", "cidade", "plano"]


async def test_they_stay_when_the_contact_goes(tenant: httpx.AsyncClient) -> None:
    contact = await add_contact(tenant, variables={"cidade": "Recife"})
    await tenant.delete(f"/api/contacts/{contact['id']}")
    assert await show(tenant, "contacts/variables") == ["cidade"]


async def test_another_tenants_are_unknown(tenant: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    await add_contact(tenant, variables={"cidade": "Recife"})
    assert await show(stranger, "contacts/variables") == []


async def test_a_text_with_an_unknown_one_is_refused_with_its_place(tenant: httpx.AsyncClient) -> None:
    await add_contact(tenant, variables={"cidade": "Recife"})
    campaign = {"name": "A", "type": 1, "messages": [{"content": "Oi {{ nome }}\nde {{ cidade }} {{ cidad }}"}]}
    answer = await tenant.post("/api/campaigns", json=campaign, headers={"Accept-Language": "pt-BR"})
    assert answer.status_code == 422
    assert answer.json()["errors"] == {
        "messages.0.content": ["Linha 2, coluna 20: nenhum contato tem a variável cidad"]
    }
    assert (await tenant.get("/api/campaigns")).json()["meta"]["total"] == 0
