"""Secrets are planted everywhere; no log line, answer or row of the database may show them."""

import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pyotp
import pytest
from litestar import Litestar

from core import database
from core.runtime import Runtime
from tests.conftest import ClientOf, client_for
from tests.factories import Member, random_email
from tests.whole_run import dump

PASSWORD = "planted-password-orchid-lamp"
NEW_PASSWORD = "planted-password-river-stone"
API_KEY = "planted-server-key-7c1f"


@pytest.fixture
async def admin(api: ClientOf, administrator: Member) -> AsyncIterator[httpx.AsyncClient]:
    async with api(administrator) as opened:
        yield opened


class Walk:
    """What one user and one administrator do with their secrets; ``planted`` are all of them."""

    def __init__(self, app: Litestar) -> None:
        self.app = app
        self.planted: dict[str, str] = {"password": PASSWORD, "new password": NEW_PASSWORD, "server key": API_KEY}
        self.answers: list[str] = []

    async def call(self, client: httpx.AsyncClient, method: str, path: str, body: Any = None) -> Any:
        """Call and keep the answer, but for those that show a secret this once."""
        answer = await client.request(method, path, json=body)
        assert answer.status_code < 500, answer.text
        return answer.json() if answer.content else {}

    async def read(self, client: httpx.AsyncClient, path: str) -> None:
        """Keep an answer that must show nothing."""
        answer = await client.get(path)
        assert answer.status_code < 500
        self.answers.append(answer.text)

    async def account(self) -> None:
        """Register, sign in in every way, make a key and a second factor, change the password."""
        email = random_email()
        async with client_for(self.app) as client:
            body = {"email": email, "name": "Ana", "password": PASSWORD}
            self.planted["token"] = (await self.call(client, "POST", "/api/auth/register", body))["token"]
            wrong = {"email": email, "password": PASSWORD + "x"}
            self.answers.append((await client.post("/api/auth/login", json=wrong)).text)
            await self.call(client, "POST", "/api/auth/forgot-password", {"email": email})
        async with client_for(self.app, self.planted["token"]) as client:
            key = await self.call(client, "POST", "/api/api-keys", {"name": "x", "scopes": ["read"]})
            self.planted["API key"] = key["data"]["key"]
            begun = await self.call(client, "POST", "/api/auth/two-factor", {"password": PASSWORD})
            self.planted["TOTP secret"] = begun["data"]["secret"]
            code = {"code": pyotp.TOTP(begun["data"]["secret"]).now()}
            confirmed = await self.call(client, "POST", "/api/auth/two-factor/confirm", code)
            self.planted["recovery code"] = confirmed["data"]["recovery_codes"][0]
            change = {"current_password": PASSWORD, "password": NEW_PASSWORD}
            await self.call(client, "POST", "/api/auth/password", change)
            fresh = await self.call(client, "POST", "/api/auth/refresh")
            self.planted["rotated token"] = fresh["token"]
        async with client_for(self.app, self.planted["rotated token"]) as client:
            for path in ("/api/auth/me", "/api/auth/sessions", "/api/api-keys", "/api/auth/two-factor"):
                await self.read(client, path)

    async def platform(self, admin: httpx.AsyncClient) -> None:
        """Add a server with a key that does not work, and read what administrators see."""
        body = {
            "name": random_email(),
            "provider": "waha",
            "url": "http://127.0.0.1:9",
            "credentials": {"api_key": API_KEY},
        }
        answer = await admin.post("/api/admin/servers", json=body)
        self.answers.append(answer.text)
        for path in (
            "servers",
            "numbers",
            "payments",
            "users",
            "settings",
            "webhooks-log",
            "jobs",
            "alarms",
            "queues",
            "stats",
        ):
            await self.read(admin, f"/api/admin/{path}?per_page=100")


async def test_no_secret_is_shown_anywhere(
    app: Litestar,
    admin: httpx.AsyncClient,
    runtime: Runtime,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    walk = Walk(app)
    await walk.account()
    await walk.platform(admin)
    out, err = capfd.readouterr()
    places = {
        "answers": "\n".join(walk.answers),
        "log": f"{caplog.text}\n{out}\n{err}",
        "database": await dump(runtime.config),
    }
    assert all(len(text) > 500 for name, text in places.items() if name != "log")
    shown = [(name, place) for name, secret in walk.planted.items() for place, text in places.items() if secret in text]
    assert shown == []


async def test_no_hash_is_answered(app: Litestar, admin: httpx.AsyncClient) -> None:
    walk = Walk(app)
    await walk.account()
    await walk.platform(admin)
    hashes = [
        value
        for table, column in (
            ("users", "password"),
            ("user_sessions", "encode(token_hash, 'hex')"),
            ("api_keys", "encode(key_hash, 'hex')"),
            ("servers", "credentials"),
        )
        for value in [row["value"] for row in await database.fetch(f"SELECT {column} AS value FROM {table}")]
        if value
    ]
    assert hashes
    answered = "\n".join(walk.answers)
    assert [value for value in hashes if value in answered] == []
