"""A tenant's own server, which verifies what it is told as the documentation says, and a tenant who has one."""

import asyncio
import base64
import hashlib
import hmac
from typing import Any

import httpx
import msgspec
from litestar.types import Receive, Send

from core import database
from core.webhooks.outgoing import delivering
from tests.factories import Member

PATH = "/api/webhook-endpoints"
TYPES = ["campaign.completed", "contact.opted_out", "message.received"]


class Heard(msgspec.Struct, frozen=True):
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """What a repetition is known by."""
        return self.headers["webhook-id"]

    @property
    def event(self) -> Any:
        """The envelope."""
        return msgspec.json.decode(self.body)

    def signatures(self) -> list[str]:
        """Return the signatures in the header."""
        return self.headers["webhook-signature"].split(" ")

    def expected(self, secret: str) -> str:
        """Compute the signature that ``secret`` makes."""
        key = base64.b64decode(secret.split("_", 1)[1])
        content = b".".join((self.id.encode(), self.headers["webhook-timestamp"].encode(), self.body))
        return "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


class Receiver:
    """An ASGI application that keeps what it hears and answers as it is told; a path may hang until it is let go."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.status = 204
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.hanging: set[str] = set()
        self.released = asyncio.Event()
        self._news = asyncio.Event()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Take one request."""
        body = b""
        while True:
            message: Any = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        self.heard.append(Heard(scope["path"], headers, body))
        self._news.set()
        if scope["path"] in self.hanging:
            await self.released.wait()
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})

    def at(self, path: str) -> list[Heard]:
        """Return what came to one path."""
        return [heard for heard in self.heard if heard.path == path]

    async def until(self, path: str, count: int) -> list[Heard]:
        """Wait until so many requests came to a path."""
        async with asyncio.timeout(20):
            while len(self.at(path)) < count:
                self._news.clear()
                await self._news.wait()
        return self.at(path)


async def add_endpoint(client: httpx.AsyncClient, url: str, *events: str) -> Any:
    """Add an endpoint and return it with its secret."""
    answer = await client.post(PATH, json={"url": url, "events": events or TYPES, "name": "Shop"})
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]


async def show(client: httpx.AsyncClient, endpoint: Any) -> Any:
    """Return an endpoint as it is now."""
    return (await client.get(f"{PATH}/{endpoint['id']}")).json()["data"]


async def deliveries_of(client: httpx.AsyncClient, endpoint: Any) -> list[Any]:
    """Return what the log of an endpoint shows, the newest first."""
    answer = await client.get(f"{PATH}/{endpoint['id']}/deliveries")
    assert answer.status_code == 200, answer.text
    found: list[Any] = answer.json()["data"]
    return found


async def deliver_now(endpoint: Any) -> None:
    """Let the time of the endpoint's next attempts come, and make them."""
    await database.execute(
        "UPDATE webhook_deliveries SET due_at = now(), lease_until = NULL WHERE endpoint_id = $1"
        " AND status = 'pending'",
        endpoint["id"],
    )
    await delivering.deliver_due()


async def age(endpoint: Any, interval: str) -> None:
    """Let time pass for an endpoint and its deliveries."""
    await database.execute(
        "UPDATE webhook_deliveries SET created_at = created_at - $2::text::interval,"
        " due_at = due_at - $2::text::interval, give_up_at = give_up_at - $2::text::interval"
        " WHERE endpoint_id = $1",
        endpoint["id"],
        interval,
    )
    await database.execute(
        "UPDATE webhook_endpoints SET failing_since = failing_since - $2::text::interval, previous_secrets ="
        " (SELECT coalesce(jsonb_agg(p || jsonb_build_object('until', (p ->> 'until')::timestamptz"
        " - $2::text::interval)), '[]') FROM jsonb_array_elements(previous_secrets) p) WHERE id = $1",
        endpoint["id"],
        interval,
    )


async def notices_of(member: Member) -> list[str]:
    """Return the kinds a user is to be told of."""
    rows = await database.fetch("SELECT kind FROM notifications WHERE user_id = $1 ORDER BY id", member.id)
    return [row["kind"] for row in rows]
