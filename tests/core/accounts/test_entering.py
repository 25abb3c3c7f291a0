"""Coming in over HTTP: with a cookie, with rotated tokens, after too many failures, for somebody else."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar

from core import database
from core.accounts import lockouts
from core.accounts.tokens import digest
from core.config import AccountsConfig
from core.crypto import decrypt
from core.notifications.outbox import SEAL
from core.runtime import Runtime
from tests.conftest import ClientOf, client_for
from tests.factories import PASSWORD, Member, random_email


async def _log_in(client: httpx.AsyncClient, email: str, password: str = PASSWORD, **more: Any) -> httpx.Response:
    return await client.post("/api/auth/login", json={"email": email, "password": password, **more})


@pytest.fixture
async def accounts(runtime: Runtime) -> AsyncIterator[Any]:
    """Change ``[accounts]`` for one test."""
    before = runtime.config

    def change(**fields: Any) -> None:
        runtime.config = msgspec.structs.replace(before, accounts=AccountsConfig(**fields))

    yield change
    runtime.config = before


async def mailed(user_id: int, kind: str) -> Any:
    """Return what the newest notification of a kind holds."""
    sealed = await database.fetch_value(
        "SELECT detail FROM notifications WHERE user_id = $1 AND kind = $2 ORDER BY id DESC LIMIT 1", user_id, kind
    )
    return msgspec.json.decode(decrypt(str(sealed), purpose=SEAL))


class TestCookie:
    @pytest.fixture
    async def browser(self, app: Litestar, user: Member) -> AsyncIterator[httpx.AsyncClient]:
        """A browser that signed in; its client sends cookies by itself."""
        async with client_for(app) as client:
            answer = await _log_in(client, user.email, cookie=True)
            assert answer.status_code == 200
            client.headers["x-csrf-token"] = answer.json()["csrf_token"]
            yield client

    async def test_no_script_reads_the_token(self, app: Litestar, user: Member) -> None:
        async with client_for(app) as client:
            answer = await _log_in(client, user.email, cookie=True)
        session, csrf = answer.headers.get_list("set-cookie")
        assert answer.json()["token"] == ""
        assert session.startswith("recado_session=rcd_")
        assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(session.split("; "))
        assert csrf.startswith(f"recado_csrf={answer.json()['csrf_token']};")
        assert "HttpOnly" not in csrf
        assert "Secure" not in session

    async def test_it_is_sent_over_https_alone_where_the_platform_is_there(
        self, app: Litestar, user: Member, runtime: Runtime
    ) -> None:
        before = runtime.config
        server = msgspec.structs.replace(before.server, public_url="https://recado.example")
        runtime.config = msgspec.structs.replace(before, server=server)
        try:
            async with client_for(app) as client:
                cookies = (await _log_in(client, user.email, cookie=True)).headers.get_list("set-cookie")
        finally:
            runtime.config = before
        assert ["Secure" in cookie for cookie in cookies] == [True, True]

    async def test_it_signs_in(self, browser: httpx.AsyncClient, user: Member) -> None:
        assert (await browser.get("/api/auth/me")).json()["data"]["id"] == user.id
        assert (await browser.patch("/api/auth/me", json={"name": "Ana"})).status_code == 200

    @pytest.mark.parametrize("given", [None, "", "wrong", "é", "0" * 64])
    async def test_a_change_without_the_proof_is_refused(self, browser: httpx.AsyncClient, given: str | None) -> None:
        del browser.headers["x-csrf-token"]
        headers = {} if given is None else {b"x-csrf-token": given.encode()}
        answer = await browser.patch("/api/auth/me", json={"name": "Eve"}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "csrf_token")
        assert (await browser.get("/api/auth/me")).json()["data"]["name"] != "Eve"

    async def test_the_proof_of_another_sign_in_is_none(
        self, browser: httpx.AsyncClient, app: Litestar, user: Member
    ) -> None:
        async with client_for(app) as client:
            other = (await _log_in(client, user.email, cookie=True)).json()["csrf_token"]
        answer = await browser.patch("/api/auth/me", json={"name": "Eve"}, headers={"x-csrf-token": other})
        assert answer.status_code == 403

    async def test_its_token_is_no_bearer_token(self, browser: httpx.AsyncClient, app: Litestar) -> None:
        token = browser.cookies["recado_session"]
        async with client_for(app, token) as client:
            assert (await client.get("/api/auth/me")).status_code == 401

    async def test_a_bearer_token_is_no_cookie(self, app: Litestar, user: Member) -> None:
        async with client_for(app) as client:
            client.cookies["recado_session"] = user.token
            assert (await client.get("/api/auth/me")).status_code == 401

    async def test_signing_out_takes_it_away(self, browser: httpx.AsyncClient) -> None:
        answer = await browser.post("/api/auth/logout")
        assert answer.status_code == 204
        assert dict(browser.cookies) == {}

    async def test_refreshing_renews_it(self, browser: httpx.AsyncClient) -> None:
        before = browser.cookies["recado_session"]
        answer = await browser.post("/api/auth/refresh")
        assert answer.json()["token"] == ""
        assert browser.cookies["recado_session"] != before
        browser.headers["x-csrf-token"] = answer.json()["csrf_token"]
        assert (await browser.patch("/api/auth/me", json={"name": "Ana"})).status_code == 200


class TestRefresh:
    async def _refresh(self, app: Litestar, token: str) -> httpx.Response:
        async with client_for(app, token) as client:
            return await client.post("/api/auth/refresh")

    async def _status(self, app: Litestar, token: str) -> int:
        async with client_for(app, token) as client:
            return (await client.get("/api/auth/me")).status_code

    async def test_the_new_token_works_and_the_device_stays_the_same(self, app: Litestar, user: Member) -> None:
        answer = await self._refresh(app, user.token)
        assert answer.status_code == 200
        async with client_for(app, answer.json()["token"]) as client:
            devices = (await client.get("/api/auth/sessions")).json()["data"]
        assert [device["current"] for device in devices] == [True]

    async def test_a_replaced_token_that_comes_again_ends_the_device(self, app: Litestar, user: Member) -> None:
        assert await self._status(app, user.token) == 200
        fresh = (await self._refresh(app, user.token)).json()["token"]
        assert await self._status(app, fresh) == 200
        assert await self._status(app, user.token) == 401
        assert await self._status(app, fresh) == 401
        logged = await database.fetch_value(
            "SELECT count(*) FROM logs WHERE user_id = $1 AND action = 'session.token_reused'", user.id
        )
        assert logged == 1

    async def test_also_one_that_was_replaced_long_ago(self, app: Litestar, user: Member) -> None:
        second = (await self._refresh(app, user.token)).json()["token"]
        third = (await self._refresh(app, second)).json()["token"]
        assert await self._status(app, user.token) == 401
        assert await self._status(app, third) == 401

    async def test_other_devices_stay(self, app: Litestar, user: Member) -> None:
        async with client_for(app) as client:
            other = (await _log_in(client, user.email)).json()["token"]
        await self._refresh(app, user.token)
        assert await self._status(app, user.token) == 401
        assert await self._status(app, other) == 200


class TestLocked:
    @pytest.fixture(autouse=True)
    async def fresh(self, runtime: Runtime) -> AsyncIterator[None]:
        """Nobody has failed yet from the address of the tests."""
        del runtime
        await database.execute("DELETE FROM sign_in_failures")
        yield
        await database.execute("DELETE FROM sign_in_failures")

    async def test_an_account_that_is_not_there_is_locked_like_one_that_is(
        self, client: httpx.AsyncClient, user: Member
    ) -> None:
        told = []
        for email in (user.email, random_email()):
            answers = [await _log_in(client, email, "wrong password") for _ in range(6)]
            answers.append(await _log_in(client, email.upper(), "wrong password"))
            told.append([(answer.status_code, answer.json()["code"]) for answer in answers])
        assert told[0] == told[1] == [(422, "invalid_input")] * 6 + [(429, "sign_in_locked")]

    async def test_the_right_password_forgives_what_came_before(self, client: httpx.AsyncClient, user: Member) -> None:
        for wrong in [True] * 5 + [False] + [True] * 5:
            await _log_in(client, user.email, "wrong password" if wrong else PASSWORD)
        assert (await _log_in(client, user.email)).status_code == 200

    async def test_the_right_password_does_not_open_what_is_locked(
        self, client: httpx.AsyncClient, user: Member
    ) -> None:
        for _ in range(6):
            assert (await _log_in(client, user.email, "wrong password")).status_code == 422
        answer = await _log_in(client, user.email)
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (
            429,
            "sign_in_locked",
            "2",
        )

    async def test_an_address_that_tries_many_accounts_waits_for_all_of_them(
        self, client: httpx.AsyncClient, user: Member
    ) -> None:
        for _ in range(lockouts.ADDRESS_FREE + 1):
            assert (await _log_in(client, random_email(), "wrong password")).status_code == 422
        assert (await _log_in(client, user.email)).status_code == 429

    def test_the_wait_grows_to_a_quarter_of_an_hour(self) -> None:
        assert [lockouts.delay_after(failures, 5) for failures in (5, 6, 7, 8, 14, 15, 1000)] == [
            0.0,
            2.0,
            4.0,
            8.0,
            512.0,
            900.0,
            900.0,
        ]

    async def test_failures_are_forgotten_after_a_day(self, client: httpx.AsyncClient, user: Member) -> None:
        for _ in range(5):
            await _log_in(client, user.email, "wrong password")
        await database.execute("UPDATE sign_in_failures SET failed_at = failed_at - interval '25 hours'")
        await _log_in(client, user.email, "wrong password")
        assert (await _log_in(client, user.email)).status_code == 200
        await database.execute("UPDATE sign_in_failures SET failed_at = failed_at - interval '25 hours'")
        assert await lockouts.clean_up() >= 1


class TestRegistration:
    @pytest.mark.parametrize("password", ["password", "12345678", "qwertyuiop", "anabraga1980"])
    async def test_a_password_that_is_guessed_soon_is_refused(self, client: httpx.AsyncClient, password: str) -> None:
        body = {"email": "ana.braga1980@example.com", "name": "Ana Braga", "password": password}
        answer = await client.post("/api/auth/register", json=body)
        assert answer.status_code == 422
        assert list(answer.json()["errors"]) == ["password"]

    async def test_an_address_may_have_to_be_confirmed(self, client: httpx.AsyncClient, accounts: Any) -> None:
        accounts(confirm_email=True)
        email = random_email()
        answer = await client.post("/api/auth/register", json={"email": email, "name": "Ana", "password": PASSWORD})
        assert (answer.status_code, answer.json()) == (202, {"email": email, "confirmation": "mailed"})
        refused = await _log_in(client, email)
        assert (refused.status_code, refused.json()["code"]) == (403, "email_not_confirmed")
        user_id = await database.fetch_value("SELECT id FROM users WHERE email = $1", email)
        link = (await mailed(int(str(user_id)), "confirm_email"))["link"]
        token = link.partition("#token=")[2]
        assert (await client.post("/api/auth/confirm-email", json={"token": token})).status_code == 204
        assert (await client.post("/api/auth/confirm-email", json={"token": token})).status_code == 422
        assert (await _log_in(client, email)).status_code == 200

    async def test_the_confirmation_can_be_mailed_again(self, client: httpx.AsyncClient, accounts: Any) -> None:
        accounts(confirm_email=True)
        email = random_email()
        await client.post("/api/auth/register", json={"email": email, "name": "Ana", "password": PASSWORD})
        user_id = int(str(await database.fetch_value("SELECT id FROM users WHERE email = $1", email)))
        first = await mailed(user_id, "confirm_email")
        await database.execute("UPDATE notifications SET created_at = created_at - interval '3 minutes'")
        for address in (email, random_email()):
            assert (await client.post("/api/auth/confirm-email/again", json={"email": address})).status_code == 204
        assert await mailed(user_id, "confirm_email") != first


class TestActingFor:
    async def _act(self, api: ClientOf, actor: Member, user_id: int, reason: str = "Ticket 4711") -> httpx.Response:
        async with api(actor) as client:
            return await client.post(f"/api/admin/users/{user_id}/act-as", json={"reason": reason})

    async def test_an_administrator_is_the_user_for_an_hour(
        self, api: ClientOf, administrator: Member, user: Member, app: Litestar
    ) -> None:
        answer = await self._act(api, administrator, user.id)
        assert (answer.status_code, answer.json()["expiresIn"]) == (200, 3600)
        async with client_for(app, answer.json()["token"]) as client:
            assert (await client.get("/api/auth/me")).json()["data"]["id"] == user.id
            (device,) = [one for one in (await client.get("/api/auth/sessions")).json()["data"] if one["current"]]
        assert device["by_administrator"] is True
        row = await database.fetch_row(
            "SELECT description, data FROM logs WHERE user_id = $1 AND action = 'user.acted_as'", administrator.id
        )
        assert row is not None
        assert (row["description"], msgspec.json.decode(row["data"])) == ("Ticket 4711", {"user_id": user.id})

    async def test_the_hour_does_not_slide(
        self, api: ClientOf, administrator: Member, user: Member, app: Litestar
    ) -> None:
        token = (await self._act(api, administrator, user.id)).json()["token"]
        await database.execute(
            "UPDATE user_sessions SET expires_at = now() + interval '5 minutes', last_used_at = NULL"
            " WHERE token_hash = $1",
            digest(token),
        )
        async with client_for(app, token) as client:
            assert (await client.get("/api/auth/me")).status_code == 200
            fresh = (await client.post("/api/auth/refresh")).json()["token"]
        left = await database.fetch_value(
            "SELECT extract(epoch FROM expires_at - now())::int FROM user_sessions WHERE token_hash = $1", digest(fresh)
        )
        assert isinstance(left, int)
        assert left <= 300

    async def test_nobody_acts_for_administrators_or_without_a_reason(
        self, api: ClientOf, administrator: Member, user: Member
    ) -> None:
        assert (await self._act(api, administrator, administrator.id)).status_code == 409
        assert (await self._act(api, administrator, user.id, "")).status_code == 422
        assert (await self._act(api, administrator, 10**12)).status_code == 404
        assert (await self._act(api, user, administrator.id)).status_code == 403
