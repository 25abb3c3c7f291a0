"""Everything that is held of a user, and nothing that is secret or somebody else's."""

import io
import secrets
import zipfile
from datetime import UTC, datetime, timedelta

import httpx
from litestar import Litestar

from core import database
from core.jobs import leasing
from core.privacy import actors, exports
from core.privacy.holdings import HOLDINGS, NOBODYS
from core.runtime import Runtime
from tests.conftest import ClientOf, client_for
from tests.core.campaigns.making import SENT, insert, leased, settle_rows
from tests.core.contacts.making import add, add_contact
from tests.core.privacy.test_person_exports import opened
from tests.factories import Member

HANDLERS = actors.HANDLERS
"""Registered by their import, as in a worker."""


async def _make(client: httpx.AsyncClient, user: Member) -> bytes:
    """Ask for an export, do its job, and download it."""
    asked = await client.post("/api/auth/export")
    assert asked.status_code == 202, asked.text
    assert asked.json()["data"]["status"] == "waiting"
    await run(user.id)
    assert (await client.get("/api/auth/export")).json()["data"]["status"] == "ready"
    answer = await client.get("/api/auth/export.zip")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    return answer.content


async def run(user_id: int) -> None:
    job_id = await database.fetch_value(
        "SELECT job_id FROM data_exports WHERE user_id = $1 ORDER BY id DESC LIMIT 1", user_id
    )
    await leasing.run_job(int(str(job_id)))


async def test_every_table_is_somebodys(runtime: Runtime) -> None:
    del runtime  # needed, since it opens the pool
    rows = await database.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert {holding.table for holding in HOLDINGS} | set(NOBODYS) == {row["tablename"] for row in rows}
    assert len({holding.table for holding in HOLDINGS}) == len(HOLDINGS)


def test_no_export_shows_a_secret_column() -> None:
    shown = {holding.table: exports.exported_columns(holding) for holding in HOLDINGS if holding.exported}
    assert "password" not in shown["users"]
    assert not {"webhook_token", "webhook_secret"} & set(shown["numbers"])
    assert not {"secret", "recovery_hashes"} & set(shown["user_two_factors"])
    assert "token_hash" not in shown["user_sessions"]
    assert "key_hash" not in shown["api_keys"]
    assert "detail" not in shown["notifications"]


async def test_an_export_holds_what_is_the_users(user: Member, tenant: httpx.AsyncClient) -> None:
    made, rows, moment = await leased(user)
    await settle_rows(rows, moment, **SENT, sent_at=moment)
    await add(tenant, "labels", name="VIP")
    await insert(
        "payments", user_id=user.id, gateway="test", transaction_id=secrets.token_hex(8), amount=10, currency="BRL"
    )
    files = opened(await _make(tenant, user))
    account = files["account.json"]
    assert account["users"][0]["email"] == user.email
    assert [number["id"] for number in account["numbers"]] == made.number_ids
    assert [payment["amount"] for payment in account["payments"]] == ["10.00"]
    assert sorted(row["number"] for row in files["contacts.csv"]) == sorted(made.phones)
    assert [row["name"] for row in files["labels.csv"]] == ["VIP"]
    assert [row["state"] for row in files["message_by_contacts.csv"]] == ["sent"] * 3
    assert len(files["message_attempts.csv"]) == 3
    assert "label.created" in {row["action"] for row in files["logs.csv"]}


async def test_no_secret_and_nothing_of_others_is_exported(
    user: Member, tenant: httpx.AsyncClient, stranger: httpx.AsyncClient, other_user: Member
) -> None:
    canary = secrets.token_hex(8)
    await add_contact(stranger, name=f"CANARY{canary}")
    await add(stranger, "labels", name=f"CANARY{canary}")
    await stranger.patch("/api/configurations", json={"opt_out": {"words": [f"CANARY{canary}"]}})
    theirs = await insert("campaigns", user_id=other_user.id, name=f"CANARY{canary}")
    await insert("messages", campaign_id=theirs, content=f"CANARY{canary}")
    key = (await tenant.post("/api/api-keys", json={"name": "Script", "scopes": ["read"]})).json()["data"]["key"]
    await leased(user)
    await database.execute("UPDATE numbers SET webhook_token = $2 WHERE user_id = $1", user.id, secrets.token_hex(16))
    content = await _make(tenant, user)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        everything = b"".join(archive.read(name) for name in archive.namelist())
    row = await database.fetch_row(
        "SELECT u.password, encode(s.token_hash, 'hex') AS token, n.webhook_token, n.webhook_secret FROM users u"
        " JOIN user_sessions s ON s.user_id = u.id JOIN numbers n ON n.user_id = u.id WHERE u.id = $1 LIMIT 1",
        user.id,
    )
    assert row is not None
    for secret in (f"CANARY{canary}", key, user.token, *row.values()):
        assert secret.encode() not in everything
    assert user.email.encode() in everything


async def test_nobody_else_downloads_it(user: Member, tenant: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    await _make(tenant, user)
    assert (await stranger.get("/api/auth/export")).status_code == 404
    assert (await stranger.get("/api/auth/export.zip")).status_code == 404


async def test_no_api_key_may_export(tenant: httpx.AsyncClient, app: Litestar) -> None:
    made = (await tenant.post("/api/api-keys", json={"name": "Script", "scopes": ["read", "manage"]})).json()["data"]
    async with client_for(app, made["key"]) as script:
        assert (await script.post("/api/auth/export")).json()["code"] == "api_key_not_allowed"
        assert (await script.get("/api/auth/export.zip")).status_code == 403


async def test_asking_twice_gives_the_one_that_is_being_made(tenant: httpx.AsyncClient) -> None:
    first, second = [(await tenant.post("/api/auth/export")).json()["data"]["id"] for _ in range(2)]
    assert first == second


async def test_the_file_goes_after_a_week(user: Member, tenant: httpx.AsyncClient) -> None:
    await _make(tenant, user)
    expires = datetime.fromisoformat((await tenant.get("/api/auth/export")).json()["data"]["expires_at"])
    assert timedelta(days=6.9) < expires - datetime.now(UTC) < timedelta(days=7.1)
    await exports.clean_up(expires - timedelta(seconds=1))
    assert (await tenant.get("/api/auth/export.zip")).status_code == 200
    await exports.clean_up(expires + timedelta(seconds=1))
    assert (await tenant.get("/api/auth/export")).json()["data"]["status"] == "expired"
    assert (await tenant.get("/api/auth/export.zip")).status_code == 404


async def test_an_administrator_has_one_made_and_the_user_downloads_it(
    user: Member, tenant: httpx.AsyncClient, administrator: Member, api: ClientOf
) -> None:
    async with api(administrator) as admin:
        asked = await admin.post(f"/api/admin/users/{user.id}/export")
        assert asked.status_code == 202, asked.text
        await run(user.id)
        assert (await admin.get("/api/auth/export.zip")).status_code == 404
        assert (await admin.post("/api/admin/users/999999999/export")).status_code == 404
    assert (await tenant.get("/api/auth/export.zip")).status_code == 200
    actions = [line["action"] for line in (await tenant.get("/api/logs")).json()["data"]]
    assert actions[:2] == ["export.downloaded", "export.asked"]
