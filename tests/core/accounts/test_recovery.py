"""Forgotten and changed passwords over HTTP."""

from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar

from core import database
from core.accounts.recovery import reset_link_for
from core.crypto import decrypt
from core.errors import NotFoundError
from core.notifications.outbox import SEAL
from tests.conftest import ClientOf, client_for
from tests.factories import PASSWORD, Member, random_email

FRESH = "an entirely different passphrase"


async def _notes(user_id: int, kind: str) -> list[Any]:
    rows = await database.fetch(
        "SELECT detail FROM notifications WHERE user_id = $1 AND kind = $2 ORDER BY id", user_id, kind
    )
    return [msgspec.json.decode(decrypt(row["detail"], purpose=SEAL)) for row in rows]


async def _token(client: httpx.AsyncClient, user: Member) -> str:
    assert (await client.post("/api/auth/forgot-password", json={"email": user.email})).status_code == 204
    return str((await _notes(user.id, "password_reset"))[-1]["link"].partition("#token=")[2])


async def _reset(client: httpx.AsyncClient, token: str, password: str = FRESH) -> httpx.Response:
    return await client.post("/api/auth/reset-password", json={"token": token, "password": password})


async def _log_in(client: httpx.AsyncClient, email: str, password: str) -> int:
    return (await client.post("/api/auth/login", json={"email": email, "password": password})).status_code


class TestForgotten:
    async def test_a_mailed_link_sets_a_new_password_and_ends_every_sign_in(
        self, client: httpx.AsyncClient, user: Member, app: Litestar
    ) -> None:
        assert (await _reset(client, await _token(client, user))).status_code == 204
        assert await _log_in(client, user.email, PASSWORD) == 422
        assert await _log_in(client, user.email, FRESH) == 200
        async with client_for(app, user.token) as old:
            assert (await old.get("/api/auth/me")).status_code == 401
        assert await _notes(user.id, "password_changed") == [{}]

    async def test_a_link_works_once(self, client: httpx.AsyncClient, user: Member) -> None:
        token = await _token(client, user)
        assert [(await _reset(client, token)).status_code for _ in range(2)] == [204, 422]

    async def test_a_weak_password_does_not_use_it_up(self, client: httpx.AsyncClient, user: Member) -> None:
        token = await _token(client, user)
        answer = await _reset(client, token, "password")
        assert list(answer.json()["errors"]) == ["password"]
        assert (await _reset(client, token)).status_code == 204

    async def test_a_newer_link_ends_the_one_before(self, client: httpx.AsyncClient, user: Member) -> None:
        first = await _token(client, user)
        await database.execute("UPDATE notifications SET created_at = created_at - interval '3 minutes'")
        second = await _token(client, user)
        assert (await _reset(client, first)).status_code == 422
        assert (await _reset(client, second)).status_code == 204

    async def test_it_ends_after_an_hour(self, client: httpx.AsyncClient, user: Member) -> None:
        token = await _token(client, user)
        await database.execute("UPDATE account_tokens SET expires_at = now() WHERE user_id = $1", user.id)
        answer = await _reset(client, token)
        assert (answer.status_code, list(answer.json()["errors"])) == (422, ["token"])

    async def test_nobody_is_flooded(self, client: httpx.AsyncClient, user: Member) -> None:
        for _ in range(3):
            await _token(client, user)
        assert len(await _notes(user.id, "password_reset")) == 1

    async def test_an_unknown_address_is_answered_alike(self, client: httpx.AsyncClient, user: Member) -> None:
        answers = [
            await client.post("/api/auth/forgot-password", json={"email": email})
            for email in (user.email, random_email(), "no address")
        ]
        assert [(answer.status_code, answer.content) for answer in answers] == [(204, b"")] * 3

    async def test_only_the_hash_of_the_link_is_stored(self, client: httpx.AsyncClient, user: Member) -> None:
        token = await _token(client, user)
        for table in ("account_tokens", "notifications", "logs"):
            rows = await database.fetch(f"SELECT * FROM {table} WHERE user_id = $1", user.id)
            assert token not in str([dict(row) for row in rows])

    async def test_the_operator_prints_a_link(self, client: httpx.AsyncClient, user: Member) -> None:
        link = await reset_link_for(f" {user.email.upper()} ")
        assert (await _reset(client, link.partition("#token=")[2])).status_code == 204
        with pytest.raises(NotFoundError):
            await reset_link_for(random_email())


class TestChanged:
    async def test_other_sign_ins_end(
        self, api: ClientOf, user: Member, client: httpx.AsyncClient, app: Litestar
    ) -> None:
        other = (await client.post("/api/auth/login", json={"email": user.email, "password": PASSWORD})).json()["token"]
        async with api(user) as tenant:
            body = {"current_password": PASSWORD, "password": FRESH}
            assert (await tenant.post("/api/auth/password", json=body)).status_code == 204
            assert (await tenant.get("/api/auth/me")).status_code == 200
        async with client_for(app, other) as ended:
            assert (await ended.get("/api/auth/me")).status_code == 401
        assert await _log_in(client, user.email, FRESH) == 200

    @pytest.mark.parametrize(
        ("current", "fresh", "field"),
        [
            ("wrong password", FRESH, "current_password"),
            (PASSWORD, "password", "password"),
            (PASSWORD, "x", "password"),
        ],
    )
    async def test_what_is_wrong_is_named(
        self, api: ClientOf, user: Member, current: str, fresh: str, field: str
    ) -> None:
        async with api(user) as tenant:
            answer = await tenant.post("/api/auth/password", json={"current_password": current, "password": fresh})
        assert (answer.status_code, list(answer.json()["errors"])) == (422, [field])
