"""Changing contacts that are named by id, over HTTP."""

from typing import Any

import httpx
import pytest

from tests.core.contacts.making import add, add_contact, show


class TestBulk:
    async def test_contacts_are_deleted_by_id(self, tenant: httpx.AsyncClient) -> None:
        made = [(await add_contact(tenant))["id"] for _ in range(3)]
        answer = await tenant.post("/api/contacts/bulk/delete", json={"ids": made[:2]})

        (deletion,) = await show(tenant, "contacts/deletions")
        assert answer.json() == {"data": {"affected": 2, "deletion_id": deletion["id"]}}
        assert (deletion["contacts"], deletion["restored"], deletion["job_id"]) == (2, 0, None)
        assert [contact["id"] for contact in await show(tenant, "contacts")] == made[2:]

    async def test_labels_are_put_on_and_taken_off(self, tenant: httpx.AsyncClient) -> None:
        old, new = [(await add(tenant, "labels", name=name))["id"] for name in ("velho", "novo")]
        one, two = await add_contact(tenant, labels=[old]), await add_contact(tenant, labels=[new])
        chosen = {"ids": [one["id"], two["id"]], "add": [new], "remove": [old]}

        assert (await tenant.post("/api/contacts/bulk/labels", json=chosen)).json() == {"data": {"affected": 1}}
        assert (await show(tenant, f"contacts/{one['id']}"))["labels"] == [new]
        assert (await show(tenant, f"contacts/{two['id']}"))["labels"] == [new]
        assert (await show(tenant, f"contacts/{two['id']}"))["updated_at"] == two["updated_at"]

    @pytest.mark.parametrize(
        ("body", "errors"),
        [
            ({}, {"body": ["Name the contacts by ids or by filter, one of the two."]}),
            ({"ids": [1], "filter": {}}, {"body": ["Name the contacts by ids or by filter, one of the two."]}),
            ({"ids": []}, {"ids": ["Must have at least 1 entry."]}),
            ({"filter": {"labels": {"some": [1]}}}, {"filter.labels.some": ["This field is not known."]}),
        ],
    )
    async def test_a_selection_must_be_clear(
        self, tenant: httpx.AsyncClient, body: dict[str, Any], errors: dict[str, list[str]]
    ) -> None:
        await add_contact(tenant)
        answer = await tenant.post("/api/contacts/bulk/delete", json=body)

        assert answer.status_code == 422
        assert answer.json()["errors"] == errors
        assert (await tenant.get("/api/contacts")).json()["meta"]["total"] == 1

    async def test_one_foreign_id_changes_nothing(self, tenant: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
        own, foreign = await add_contact(tenant), await add_contact(stranger)
        answer = await tenant.post("/api/contacts/bulk/delete", json={"ids": [own["id"], foreign["id"]]})

        assert answer.status_code == 404
        assert answer.json()["detail"] == f"No contact {foreign['id']} was found."
        assert (await tenant.get("/api/contacts")).json()["meta"]["total"] == 1
        assert (await stranger.get("/api/contacts")).json()["meta"]["total"] == 1

    async def test_contacts_are_blocked_with_a_reason_and_unblocked(self, tenant: httpx.AsyncClient) -> None:
        ids = [(await add_contact(tenant))["id"] for _ in range(3)]
        blocked = await tenant.post("/api/contacts/bulk/block", json={"ids": ids[:2], "reason": "asked"})
        again = await tenant.post("/api/contacts/bulk/block", json={"ids": ids, "reason": "asked"})
        reasons = [entry["reason"] for entry in await show(tenant, "block-contacts")]
        unblocked = await tenant.post("/api/contacts/bulk/unblock", json={"ids": ids[1:]})

        answers = [answer.json()["data"]["affected"] for answer in (blocked, again, unblocked)]
        assert (answers, reasons) == ([2, 1, 2], ["asked"] * 3)
        assert [(await show(tenant, f"contacts/{one}"))["blocked"] for one in ids] == [True, False, False]

    async def test_a_repetition_with_the_same_key_deletes_once(self, tenant: httpx.AsyncClient) -> None:
        await add_contact(tenant)
        first, second = [
            await tenant.post("/api/contacts/bulk/delete", json={"filter": {}}, headers={"Idempotency-Key": "once"})
            for _ in range(2)
        ]

        assert (first.status_code, second.status_code) == (202, 202)
        assert second.json() == first.json()
        assert len(await show(tenant, "jobs")) == 1
