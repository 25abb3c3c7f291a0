"""An erased user is nowhere in the database; payments stay, without a name."""

import secrets
from typing import Any

import httpx
import pytest
from litestar import Litestar

from core import database
from core.accounts.tables import Profile
from core.config import PlatformConfig
from core.jobs import leasing
from core.notifications.alarms import raise_alarm, standing_alarms
from core.privacy import actors, erasure
from core.runtime import Runtime
from tests.conftest import ClientOf, client_for
from tests.core.campaigns.making import SENT, Made, campaign_row, insert, leased, running, settle_rows
from tests.core.contacts.making import add
from tests.core.live.listening import happen
from tests.core.media.files import jpeg, post_file
from tests.core.privacy.searching import places_of
from tests.factories import PASSWORD, Member, make_member

HANDLERS = actors.HANDLERS
"""Registered by their import, as in a worker."""


async def _finish(user_id: int) -> None:
    """Do the job that removes what an account holds."""
    job_id = await database.fetch_value(
        "SELECT id FROM jobs WHERE kind = $1 AND subject_id = $2", erasure.KIND, user_id
    )
    await leasing.run_job(int(str(job_id)))
    done = await database.fetch_value("SELECT status FROM jobs WHERE id = $1", job_id)
    assert done == "done"


async def _plant(user: Member, client: httpx.AsyncClient, made: Made) -> str:
    """Write a text of this user's own into every place that takes one; return it."""
    mark = f"planted{secrets.token_hex(6)}"
    await client.patch("/api/auth/me", json={"name": mark})
    await add(client, "labels", name=mark)
    await add(client, "publics", name=mark, description=mark)
    contact = await add(client, "contacts", number="+5511987650001", name=mark, variables={mark: mark})
    await client.patch(f"/api/contacts/{contact['id']}", json={"name": f"{mark}2"})
    await client.post("/api/block-contacts", json={"number": "+5511987650002", "reason": mark})
    await client.patch("/api/configurations", json={"opt_out": {"words": [mark]}})
    await client.post("/api/api-keys", json={"name": mark, "scopes": ["read"]})
    await client.post("/api/imports", files={"file": (f"{mark}.csv", b"Nome;Celular\nLua;12\n", "text/csv")})
    assert (await post_file(client, jpeg(mark.encode()), f"{mark}.jpg")).status_code == 201
    await client.post("/api/auth/export")
    number_id = made.number_ids[0]
    await database.execute("UPDATE numbers SET name = $2, number = $2 WHERE id = $1", number_id, mark)
    await database.execute("UPDATE user_sessions SET user_agent = $2 WHERE user_id = $1", user.id, mark)
    await database.execute("UPDATE messages SET content = $2 WHERE campaign_id = $1", made.id, mark)
    await database.execute("UPDATE message_by_contacts SET address = $2 WHERE campaign_id = $1", made.id, mark)
    await database.execute("UPDATE message_attempts SET provider_id = $2 WHERE number_id = $1", number_id, mark)
    payload: dict[str, Any] = {"number_id": number_id, "payload": mark}
    await insert("webhooks_log", type="test", payload=database.encode_json(payload))
    await insert(
        "payments",
        user_id=user.id,
        gateway="test",
        transaction_id=secrets.token_hex(8),
        amount=10,
        currency="BRL",
        gateway_response=database.encode_json({"payer": mark}),
    )
    return mark


@pytest.fixture
async def made(user: Member) -> Made:
    made, rows, moment = await leased(user)
    await settle_rows(rows, moment, **SENT)
    return made


async def test_nothing_of_an_erased_user_is_left(
    user: Member, tenant: httpx.AsyncClient, made: Made, config: PlatformConfig
) -> None:
    mark = await _plant(user, tenant, made)
    planted = [mark, user.email]
    assert len(await places_of(planted)) >= 20
    answer = await tenant.post("/api/auth/erase", json={"password": PASSWORD})
    assert answer.status_code == 204, answer.text
    await _finish(user.id)
    assert await places_of(planted) == set()
    left = [path for path in config.data_folder.rglob("*") if path.is_file() and mark.encode() in path.read_bytes()]
    assert left == []


async def test_what_live_events_said_is_gone(user: Member, tenant: httpx.AsyncClient, runtime: Runtime) -> None:
    await happen(user.id)
    key = f"recado:live:user:{user.id}"
    assert await runtime.redis.exists(key) == 1
    await tenant.post("/api/auth/erase", json={"password": PASSWORD})
    await _finish(user.id)
    assert await runtime.redis.exists(key) == 0


async def test_payments_stay_without_a_name(user: Member, tenant: httpx.AsyncClient, made: Made) -> None:
    await _plant(user, tenant, made)
    await tenant.post("/api/auth/erase", json={"password": PASSWORD})
    await _finish(user.id)
    row = await database.fetch_row(
        "SELECT p.amount::text AS amount, p.gateway_response, u.email, u.name, u.status FROM payments p"
        " JOIN users u ON u.id = p.user_id WHERE u.id = $1",
        user.id,
    )
    assert row is not None
    assert tuple(row) == ("10.00", "{}", f"erased-{user.id}@erased.invalid", "", "canceled")
    lines = await database.fetch("SELECT action, address FROM logs WHERE account_id = $1", user.id)
    assert [tuple(line) for line in lines] == [("user.erased", "")]


async def test_nobody_comes_in_from_the_first_moment(user: Member, tenant: httpx.AsyncClient, app: Litestar) -> None:
    key = (await tenant.post("/api/api-keys", json={"name": "Script", "scopes": ["read"]})).json()["data"]["key"]
    async with client_for(app, key) as script:
        assert (await script.get("/api/labels")).status_code == 200
        await tenant.post("/api/auth/erase", json={"password": PASSWORD})
        assert (await script.get("/api/labels")).status_code == 401
    assert (await tenant.get("/api/auth/me")).status_code == 401
    async with client_for(app) as nobody:
        answer = await nobody.post("/api/auth/login", json={"email": user.email, "password": PASSWORD})
    assert answer.status_code == 422


async def test_that_mail_to_them_is_refused_is_nobodys_matter_any_more(user: Member, tenant: httpx.AsyncClient) -> None:
    await raise_alarm("email_refused", "user", user.id, name=str(user.id), reason="550")
    assert await standing_alarms("user", [user.id], ["email_refused"]) == {user.id}
    await tenant.post("/api/auth/erase", json={"password": PASSWORD})
    assert await standing_alarms("user", [user.id], ["email_refused"]) == set()


async def test_running_campaigns_are_canceled_at_once(user: Member, tenant: httpx.AsyncClient) -> None:
    made = await running(user)
    await tenant.post("/api/auth/erase", json={"password": PASSWORD})
    assert (await campaign_row(made.id))["status"] == 5


async def test_numbers_are_removed_as_deleted_ones_are(user: Member, tenant: httpx.AsyncClient, made: Made) -> None:
    await tenant.post("/api/auth/erase", json={"password": PASSWORD})
    await _finish(user.id)
    rows = await database.fetch("SELECT status, deleted_at FROM numbers WHERE id = ANY($1)", made.number_ids)
    assert [(row["status"], row["deleted_at"] is not None) for row in rows] == [(False, True)]


async def test_the_password_is_asked_for(user: Member, tenant: httpx.AsyncClient) -> None:
    answer = await tenant.post("/api/auth/erase", json={"password": "wrong"})
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["password"])
    assert (await tenant.get("/api/auth/me")).json()["data"]["email"] == user.email


async def test_who_acts_for_a_user_cannot_erase_them(
    user: Member, administrator: Member, api: ClientOf, app: Litestar
) -> None:
    async with api(administrator) as admin:
        acting = await admin.post(f"/api/admin/users/{user.id}/act-as", json={"reason": "The import hangs"})
    async with client_for(app, acting.json()["token"]) as client:
        answer = await client.post("/api/auth/erase", json={"password": PASSWORD})
    assert (answer.status_code, answer.json()["code"]) == (403, "not_while_acting")


async def test_an_administrator_erases_a_user(
    user: Member, other_user: Member, stranger: httpx.AsyncClient, administrator: Member, api: ClientOf
) -> None:
    await add(stranger, "labels", name="Theirs")
    async with api(administrator) as admin:
        assert (await admin.delete(f"/api/admin/users/{user.id}")).status_code == 204
        assert (await admin.delete(f"/api/admin/users/{user.id}")).status_code == 404
        assert (await admin.get(f"/api/admin/users/{user.id}")).status_code == 404
    await _finish(user.id)
    assert await places_of([user.email]) == set()
    assert (await stranger.get("/api/labels")).json()["meta"]["total"] == 1
    assert other_user.id != user.id


@pytest.mark.usefixtures("empty_installation")
async def test_the_last_administrator_stays(api: ClientOf) -> None:
    only = await make_member(profile=Profile.ADMINISTRATOR)
    async with api(only) as admin:
        answer = await admin.post("/api/auth/erase", json={"password": PASSWORD})
    assert (answer.status_code, answer.json()["code"]) == (409, "last_administrator")
