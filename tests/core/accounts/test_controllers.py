"""One's own account over HTTP."""

import bcrypt
import httpx
import msgspec
from litestar import Litestar

from core import database
from core.accounts.schemas import UserRead
from core.runtime import Runtime, set_runtime
from tests.conftest import ClientOf, client_for
from tests.factories import PASSWORD, Member, make_user, random_email


async def log_in(client: httpx.AsyncClient, email: str, password: str = PASSWORD) -> httpx.Response:
    return await client.post("/api/auth/login", json={"email": email, "password": password})


async def test_register(client: httpx.AsyncClient) -> None:
    email = random_email()
    answer = await client.post(
        "/api/auth/register",
        json={"email": f" {email} ", "name": " Ana ", "password": PASSWORD, "locale": "pt-BR", "timezone": "UTC"},
    )
    body = answer.json()
    assert answer.status_code == 201
    assert body.keys() == {"token", "user", "expiresIn"}
    assert body["expiresIn"] == 604800
    user = msgspec.convert(body["user"], UserRead)
    assert (user.email, user.name, user.profile, user.status) == (email, "Ana", "user", "active")
    assert (user.locale, user.timezone) == ("pt-BR", "UTC")
    assert user.last_login_at is not None
    name = await database.fetch_value("SELECT name FROM plans WHERE id = $1", user.plan_id)
    assert name == "Free"
    me = await client.get("/api/auth/me", headers={"Authorization": f"Bearer {body['token']}"})
    assert me.json() == {"data": body["user"]}


async def test_register_taken_address_in_other_letters(client: httpx.AsyncClient, user: Member) -> None:
    answer = await client.post(
        "/api/auth/register", json={"email": user.email.upper(), "name": "Ana", "password": PASSWORD}
    )
    assert (answer.status_code, answer.json()["errors"]) == (422, {"email": ["Is already taken."]})


async def test_register_where_it_is_closed(client: httpx.AsyncClient, runtime: Runtime) -> None:
    server = msgspec.structs.replace(runtime.config.server, registration=False)
    closed = msgspec.structs.replace(runtime.config, server=server)
    set_runtime(msgspec.structs.replace(runtime, config=closed))
    email = random_email()
    try:
        answer = await client.post("/api/auth/register", json={"email": email, "name": "Ana", "password": PASSWORD})
    finally:
        set_runtime(runtime)
    assert (answer.status_code, answer.json()["code"]) == (403, "registration_closed")
    assert await database.fetch_row("SELECT 1 FROM users WHERE email = $1", email) is None


async def test_register_shows_no_password(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/api/auth/register", json={"email": random_email(), "name": "Ana", "password": PASSWORD}
    )
    assert PASSWORD not in answer.text
    assert "argon2" not in answer.text


async def test_log_in(client: httpx.AsyncClient, user: Member) -> None:
    answer = await log_in(client, user.email.upper())
    body = answer.json()
    assert (answer.status_code, body["user"]["id"], body["expiresIn"]) == (200, user.id, 604800)
    me = await client.get("/api/auth/me", headers={"Authorization": f"Bearer {body['token']}"})
    assert me.json()["data"]["last_login_at"] == body["user"]["last_login_at"]


async def test_wrong_password_and_unknown_address_are_told_alike(client: httpx.AsyncClient, user: Member) -> None:
    wrong = await log_in(client, user.email, "wrong password")
    unknown = await log_in(client, random_email(), "wrong password")
    assert wrong.status_code == unknown.status_code == 422
    assert wrong.json() == unknown.json()
    assert wrong.json()["errors"] == {"email": ["These credentials do not match our records."]}


async def test_hash_of_the_old_system_is_replaced(client: httpx.AsyncClient) -> None:
    stored = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$")
    user = await make_user(password_hash=stored)
    assert (await log_in(client, user.email)).status_code == 200
    replaced = await database.fetch_value("SELECT password FROM users WHERE id = $1", user.id)
    assert str(replaced).startswith("$argon2id$")
    assert (await log_in(client, user.email)).status_code == 200


async def test_suspended_account_cannot_sign_in(client: httpx.AsyncClient, user: Member) -> None:
    await database.execute("UPDATE users SET status = 'inactive' WHERE id = $1", user.id)
    right = await log_in(client, user.email)
    wrong = await log_in(client, user.email, "wrong password")
    assert (right.status_code, right.json()["code"]) == (403, "account_suspended")
    assert wrong.status_code == 422


async def test_deleted_account_cannot_sign_in(client: httpx.AsyncClient, user: Member) -> None:
    await database.execute("UPDATE users SET deleted_at = now() WHERE id = $1", user.id)
    assert (await log_in(client, user.email)).status_code == 422


async def test_sign_in_is_recorded(app: Litestar, user: Member) -> None:
    async with client_for(app, address="203.0.113.7") as client:
        await log_in(client, user.email)
    row = await database.fetch_row("SELECT action, data FROM logs WHERE user_id = $1", user.id)
    assert row is not None
    assert (row["action"], msgspec.json.decode(row["data"])) == ("user.signed_in", {"address": "203.0.113.7"})


async def test_update_me(api: ClientOf, user: Member) -> None:
    client = api(user)
    answer = await client.patch("/api/auth/me", json={"name": "Bia", "timezone": "Europe/Lisbon"})
    assert answer.status_code == 200
    shown = (await client.get("/api/auth/me")).json()["data"]
    assert (shown["name"], shown["timezone"], shown["locale"]) == ("Bia", "Europe/Lisbon", "en")


async def test_update_me_changes_nothing_on_bad_input(api: ClientOf, user: Member) -> None:
    client = api(user)
    before = (await client.get("/api/auth/me")).json()
    answer = await client.patch("/api/auth/me", json={"name": "Bia", "timezone": "Mars/Phobos"})
    assert answer.status_code == 422
    assert (await client.get("/api/auth/me")).json() == before


async def test_update_me_cannot_make_an_administrator(api: ClientOf, user: Member) -> None:
    await api(user).patch("/api/auth/me", json={"profile": "administrator", "plan_id": 999, "status": "active"})
    assert (await api(user).get("/api/auth/me")).json()["data"]["profile"] == "user"


async def test_log_out(api: ClientOf, user: Member) -> None:
    client = api(user)
    assert (await client.post("/api/auth/logout")).status_code == 204
    assert (await client.get("/api/auth/me")).status_code == 401


async def test_log_out_everywhere(api: ClientOf, client: httpx.AsyncClient, user: Member) -> None:
    second = (await log_in(client, user.email)).json()["token"]
    assert (await api(user).post("/api/auth/logout-all")).status_code == 204
    for token in (user.token, second):
        assert (await client.get("/api/auth/me", headers={"Authorization": f"Bearer {token}"})).status_code == 401


async def test_sessions(api: ClientOf, client: httpx.AsyncClient, user: Member) -> None:
    await client.post(
        "/api/auth/login",
        json={"email": user.email, "password": PASSWORD},
        headers={"User-Agent": "phone"},
    )
    listed = (await api(user).get("/api/auth/sessions")).json()["data"]
    assert [(entry["user_agent"], entry["current"]) for entry in listed] == [("phone", False), ("tests", True)]


async def test_delete_session(api: ClientOf, client: httpx.AsyncClient, user: Member) -> None:
    token = (await log_in(client, user.email)).json()["token"]
    listed = (await api(user).get("/api/auth/sessions")).json()["data"]
    assert (await api(user).delete(f"/api/auth/sessions/{listed[0]['id']}")).status_code == 204
    assert (await client.get("/api/auth/me", headers={"Authorization": f"Bearer {token}"})).status_code == 401
    assert (await api(user).get("/api/auth/me")).status_code == 200


async def test_delete_session_of_another(api: ClientOf, user: Member, other_user: Member) -> None:
    listed = (await api(other_user).get("/api/auth/sessions")).json()["data"]
    answer = await api(user).delete(f"/api/auth/sessions/{listed[0]['id']}")
    assert answer.status_code == 404
    assert (await api(other_user).get("/api/auth/me")).status_code == 200


async def test_delete_other_sessions(api: ClientOf, client: httpx.AsyncClient, user: Member) -> None:
    token = (await log_in(client, user.email)).json()["token"]
    assert (await api(user).delete("/api/auth/sessions")).status_code == 204
    assert (await client.get("/api/auth/me", headers={"Authorization": f"Bearer {token}"})).status_code == 401
    assert (await api(user).get("/api/auth/me")).status_code == 200
