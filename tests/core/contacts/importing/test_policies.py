"""What an import does to contacts that exist, field by field."""

import httpx
import pytest

from core.contacts.importing import importer
from core.contacts.importing.policies import Policies, policies_of, policy_errors
from tests.core.contacts.making import add, add_contact, counts, run_import, show, upload

POLICIES = (
    '{"name": "keep", "variables": "fill", "variables.cor": "overwrite", "variables.fixo": "keep", "labels": "%s"}'
)


@pytest.mark.parametrize(
    ("duplicates", "policies"),
    [
        ("fill", Policies("fill", "fill", "add", {})),
        ("skip", Policies("keep", "keep", "keep", {})),
        ("overwrite", Policies("overwrite", "overwrite", "add", {})),
    ],
)
def test_the_short_form_says_it_for_all_fields(duplicates: str, policies: Policies) -> None:
    assert policies_of(duplicates, {}) == policies  # type: ignore[arg-type]


def test_a_chosen_field_is_another_matter() -> None:
    chosen = {"name": "overwrite", "variables.cor": "keep", "labels": "replace"}
    found = policies_of("fill", chosen)

    assert found == Policies("overwrite", "fill", "replace", {"cor": "keep"})
    assert (found.of_variable("cor"), found.of_variable("cidade")) == ("keep", "fill")


def test_fields_and_policies_that_there_are_not_are_named() -> None:
    errors = policy_errors(
        {"name": "add", "labels": "fill", "number": "keep", "variables.x": "keep", "variables.cor": "keep"},
        {"number", "variables.cor"},
    )

    assert sorted(errors) == ["policies.labels", "policies.name", "policies.number", "policies.variables.x"]


@pytest.mark.parametrize("batch", [1, 1000])
@pytest.mark.parametrize("labels", ["keep", "add", "replace"])
async def test_each_field_is_treated_as_chosen_in_the_table_and_in_the_file(
    tenant: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, labels: str, batch: int
) -> None:
    monkeypatch.setattr(importer, "BATCH_ROWS", batch)
    a, b = [(await add(tenant, "labels", name=name))["id"] for name in "ab"]
    values = {"cor": "azul", "fixo": "", "cidade": "Rio", "vazia": ""}
    await add_contact(tenant, number="11900000001", name="Antes", variables=values, labels=[a])
    line = "{number};Depois;verde;sim;Recife;cheia;b\n"
    done = await run_import(
        tenant,
        "numero;nome;cor;fixo;cidade;vazia;etiquetas\n"
        + line.format(number="11900000001")
        + "11900000002;Antes;azul;;Rio;;a\n"
        + line.format(number="11900000002")
        + "11900000002;;;;;;\n",
        policies=POLICIES % labels,
    )
    contacts = await show(tenant, "contacts")

    # The third row changes the contact of the second as the first changes the one that was there.
    assert counts(done) == (1, 2, 1, 0)
    assert done["policies"]["variables.cor"] == "overwrite"
    for contact in contacts:
        assert contact["name"] == "Antes"
        assert contact["labels"] == {"keep": [a], "add": [a, b], "replace": [b]}[labels]
        assert {name: value for name, value in contact["variables"].items() if value} == {
            "cor": "verde",
            "cidade": "Rio",
            "vazia": "cheia",
        }


async def test_empty_cells_overwrite_nothing(tenant: httpx.AsyncClient) -> None:
    label = await add(tenant, "labels", name="a")
    contact = await add_contact(
        tenant, number="11900000001", name="Antes", variables={"cor": "azul"}, labels=[label["id"]]
    )
    done = await run_import(
        tenant,
        "numero;nome;cor;etiquetas\n11900000001;;;\n",
        duplicates="overwrite",
        policies='{"labels": "replace"}',
    )

    assert counts(done) == (0, 0, 1, 0)
    assert await show(tenant, f"contacts/{contact['id']}") == contact


async def test_policies_that_do_not_fit_keep_nothing(tenant: httpx.AsyncClient) -> None:
    answer = await upload(tenant, "numero;cor\n11900000001;azul\n", policies='{"cor": "keep", "name": "add"}')

    assert answer.status_code == 422
    assert sorted(answer.json()["errors"]) == ["policies.cor", "policies.name"]
    assert await show(tenant, "imports") == []


async def test_policies_may_be_changed_before_the_start(tenant: httpx.AsyncClient) -> None:
    kept = (await upload(tenant, "numero;cor\n11900000001;azul\n")).json()["data"]
    changed = await tenant.patch(f"/api/imports/{kept['id']}", json={"policies": {"variables.cor": "overwrite"}})
    refused = await tenant.patch(f"/api/imports/{kept['id']}", json={"policies": {"variables.nada": "overwrite"}})

    assert (changed.status_code, changed.json()["data"]["policies"]) == (200, {"variables.cor": "overwrite"})
    assert (refused.status_code, list(refused.json()["errors"])) == (422, ["policies.variables.nada"])
