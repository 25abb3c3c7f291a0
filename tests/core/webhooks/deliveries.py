"""Deliveries as WAHA makes them, signed with a number's own secret."""

import hashlib
import hmac
import secrets
import time
from typing import Any

import httpx
import msgspec

from core import database
from core.crypto import decrypt
from core.webhooks.targets import WEBHOOK_SEAL


class Hook(msgspec.Struct, frozen=True):
    """One number's webhook."""

    number_id: int
    token: str
    secret: str
    instance: str

    @property
    def path(self) -> str:
        """Where its events are delivered."""
        return f"/api/webhooks/waha/{self.token}"

    def sign(self, body: bytes) -> dict[str, str]:
        """Return the headers that prove ``body``."""
        signature = hmac.new(self.secret.encode(), body, hashlib.sha512).hexdigest()
        return {"X-Webhook-Hmac": signature, "Content-Type": "application/json"}


async def hook_of(number: Any) -> Hook:
    """Read a number's webhook from its row."""
    row = await database.fetch_row("SELECT webhook_token, webhook_secret FROM numbers WHERE id = $1", number["id"])
    assert row is not None
    secret = decrypt(row["webhook_secret"], purpose=WEBHOOK_SEAL)
    return Hook(number["id"], row["webhook_token"], secret, number["instance"])


def envelope(event: str, payload: dict[str, object], *, session: str = "any", at: float | None = None) -> bytes:
    """Build the body of one event."""
    moment = int((time.time() if at is None else at) * 1000)
    body = {"id": f"evt_{secrets.token_hex(8)}", "timestamp": moment, "event": event, "session": session}
    return msgspec.json.encode({**body, "payload": payload})


def status(state: str, *, session: str = "any", at: float | None = None) -> bytes:
    """Build a session.status event."""
    return envelope("session.status", {"name": session, "status": state}, session=session, at=at)


def acknowledgement(message_id: str, ack: int = 2) -> bytes:
    """Build a message.ack event."""
    payload: dict[str, object] = {"id": f"true_5511912345678@c.us_{message_id}", "fromMe": True, "ack": ack}
    return envelope("message.ack", payload)


def own_message(message_id: str) -> bytes:
    """Build the event of a message that the number's owner typed on the phone."""
    payload: dict[str, object] = {
        "id": f"true_5511912345678@c.us_{message_id}",
        "fromMe": True,
        "source": "app",
        "timestamp": int(time.time()),
    }
    return envelope("message.any", payload)


def incoming(message_id: str, content: str) -> bytes:
    """Build the event of a message that somebody wrote to the number."""
    payload: dict[str, object] = {
        "id": f"false_5511912345678@c.us_{message_id}",
        "from": "5511912345678@c.us",
        "fromMe": False,
        "body": content,
        "timestamp": int(time.time()),
    }
    return envelope("message.any", payload)


async def deliver(client: httpx.AsyncClient, hook: Hook, body: bytes) -> httpx.Response:
    """Deliver ``body`` with its signature."""
    return await client.post(hook.path, content=body, headers=hook.sign(body))


async def stored(hook: Hook) -> list[dict[str, Any]]:
    """Return the number's events, the oldest first."""
    rows = await database.fetch("SELECT * FROM webhook_events WHERE number_id = $1 ORDER BY id", hook.number_id)
    return [dict(row) for row in rows]
