"""What one person is handed: all that is held of them, and nothing of anybody else."""

import csv
import io
import zipfile
from typing import Any

import httpx
import msgspec

from core import database
from tests.core.campaigns.making import SENT, leased, settle_rows
from tests.core.contacts.making import add, add_contact, run_import
from tests.factories import Member


def opened(content: bytes) -> dict[str, Any]:
    """Return the files of a ZIP: JSON decoded, CSV as rows."""
    files: dict[str, Any] = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            raw = archive.read(name)
            files[name] = (
                msgspec.json.decode(raw)
                if name.endswith(".json")
                else list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"))))
            )
    return files


async def test_a_contact_is_exported_with_its_messages(user: Member, tenant: httpx.AsyncClient) -> None:
    made, rows, moment = await leased(user)
    await settle_rows(rows, moment, **SENT, sent_at=moment)
    contact_id = made.contact_ids[0]
    label = await add(tenant, "labels", name="VIP")
    await tenant.patch(f"/api/contacts/{contact_id}", json={"labels": [label["id"]], "variables": {"cidade": "Rio"}})
    answer = await tenant.get(f"/api/contacts/{contact_id}/export.zip")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    files = opened(answer.content)
    profile = files["contact.json"]
    assert profile["contact"]["number"] == made.phones[0]
    assert profile["contact"]["variables"] == {"cidade": "Rio"}
    assert [one["name"] for one in profile["labels"]] == ["VIP"]
    assert [one["id"] for one in profile["audiences"]] == [made.public_id]
    assert [(row["state"], row["template"]) for row in files["messages.csv"]] == [("sent", "Oi {{ nome }}")]
    assert files["messages.csv"][0]["sent_at"]
    assert [row["action"] for row in files["log.csv"]] == ["contact.updated"]


async def test_where_a_contact_comes_from_is_told(tenant: httpx.AsyncClient) -> None:
    done = await run_import(tenant, "Nome;Celular\nSol;11 90000-4321\n", public_name="Fair 2026")
    member = (await tenant.get(f"/api/publics/{done['public_id']}/contacts")).json()["data"][0]
    files = opened((await tenant.get(f"/api/contacts/{member['id']}/export.zip")).content)
    assert [one["filename"] for one in files["contact.json"]["imported_by"]] == ["contacts.csv"]


async def test_nothing_of_other_people_or_tenants_comes_along(
    user: Member, tenant: httpx.AsyncClient, stranger: httpx.AsyncClient, other_user: Member
) -> None:
    contact = await add_contact(tenant, name="Ana")
    await add_contact(tenant, name="CANARY-neighbour")
    theirs = await add_contact(stranger, number=f"+{contact['number']}", name="CANARY-other-tenant")
    await stranger.post("/api/block-contacts", json={"number": f"+{contact['number']}", "reason": "CANARY-reason"})
    answer = await tenant.get(f"/api/contacts/{contact['id']}/export.zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        everything = b"".join(archive.read(name) for name in archive.namelist())
    assert b"Ana" in everything
    assert b"CANARY" not in everything
    assert (await tenant.get(f"/api/contacts/{theirs['id']}/export.zip")).status_code == 404
    assert user.id != other_user.id


async def test_an_export_is_logged(user: Member, tenant: httpx.AsyncClient) -> None:
    contact = await add_contact(tenant)
    await tenant.get(f"/api/contacts/{contact['id']}/export.zip")
    action = await database.fetch_value(
        "SELECT action FROM logs WHERE account_id = $1 ORDER BY id DESC LIMIT 1", user.id
    )
    assert action == "contact.exported"
