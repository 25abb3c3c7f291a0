"""Webhooks as Evolution sends them: unsigned, from memory, unordered, with the token in the body, repeated a while."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import httpx
import msgspec

from core.plugin import build_client
from plugins.evolution.simulator import shapes
from plugins.evolution.simulator.faults import WEBHOOK_KINDS, Faults, Match
from plugins.evolution.simulator.state import Instance, State, Webhook

EVENTS: tuple[str, ...] = (
    *("APPLICATION_STARTUP", "QRCODE_UPDATED", "MESSAGES_SET", "MESSAGES_UPSERT", "MESSAGES_EDITED", "MESSAGES_UPDATE"),
    *("MESSAGES_DELETE", "SEND_MESSAGE", "SEND_MESSAGE_UPDATE", "CONTACTS_SET", "CONTACTS_UPSERT", "CONTACTS_UPDATE"),
    *("PRESENCE_UPDATE", "CHATS_SET", "CHATS_UPSERT", "CHATS_UPDATE", "CHATS_DELETE", "GROUPS_UPSERT", "GROUP_UPDATE"),
    *("GROUP_PARTICIPANTS_UPDATE", "CONNECTION_UPDATE", "LABELS_EDIT", "LABELS_ASSOCIATION", "CALL", "TYPEBOT_START"),
    *("TYPEBOT_CHANGE_STATUS", "INSTANCE_CREATE", "INSTANCE_DELETE", "STATUS_INSTANCE", "LOGOUT_INSTANCE"),
    "REMOVE_INSTANCE",
)
_TRIES = 10
_LONGEST_DELAY = 300.0
_V1_FACTOR = 6
_FINAL = {400, 401, 403, 404, 422}
_TIMEOUT_SECONDS = 30.0
_TOKEN_SECONDS = 600


class Webhooks:
    """Delivers events; nothing of it survives a restart."""

    def __init__(self, state: State, faults: Faults) -> None:
        self._state = state
        self._faults = faults
        self._client = build_client(timeout=httpx.Timeout(_TIMEOUT_SECONDS))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def emit(self, instance: Instance, event: str, data: object, *, is_ordered: bool = False) -> None:
        """Deliver ``event``, a name in upper case, to the server's webhook, and to the instance's if it asked for it.

        ``is_ordered`` delivers also what no webhook can ask for.
        """
        options = self._state.options
        envelope = shapes.envelope(event.lower().replace("_", "."), data, instance, options, self._state.time())
        targets = [Webhook(options.webhook_global_url)] if options.webhook_global_url else []
        hook = instance.webhook
        if hook is not None and hook.enabled and (is_ordered or event in hook.events):
            targets.append(hook)
        for target in targets:
            fault = self._faults.take(WEBHOOK_KINDS, Match(session=instance.name, text=envelope["event"]))
            kind = fault.kind if fault else ""
            if kind == "lost_webhooks":
                continue
            wait = fault.seconds if fault and kind == "late_webhooks" else 0.0
            for _ in range(2 if kind == "duplicate_webhooks" else 1):
                _ = self._state.begin(self._deliver(target, envelope, instance, wait))

    async def _deliver(self, hook: Webhook, envelope: dict[str, Any], instance: Instance, wait: float) -> None:
        await asyncio.sleep(wait)
        event = str(envelope["event"])
        url = f"{hook.url.rstrip('/')}/{event.replace('.', '-')}" if hook.by_events else hook.url
        body = msgspec.json.encode({**envelope, "destination": url})
        headers = {"Content-Type": "application/json", "User-Agent": "axios/1.7.9", **self._headers(hook)}
        if self._state.options.is_from_2_4:
            headers |= {"X-Instance-ID": instance.id, "X-Instance-Name": instance.name}
            headers |= {"X-Event-Type": event, "X-Timestamp": str(int(1000 * self._state.time()))}
        for attempt in range(_TRIES):
            if await self._post(url, body, headers):
                return
            await asyncio.sleep(self._delay(attempt))

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> bool:
        """Return whether that is the end of it."""
        try:
            response = await self._client.post(url, content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL):
            return False
        return response.is_success or (not self._state.options.is_v1 and response.status_code in _FINAL)

    def _headers(self, hook: Webhook) -> dict[str, str]:
        keeps = shapes.keeps_headers(self._state.options)
        return _headers_of(hook, int(self._state.time())) if keeps else {}

    def _delay(self, attempt: int) -> float:
        first = self._state.options.retry_seconds
        if self._state.options.is_v1:
            return first * _V1_FACTOR
        return min(first * 2.0**attempt, _LONGEST_DELAY) * self._state.random.uniform(0.8, 1.2)


def _headers_of(hook: Webhook, now: int) -> dict[str, str]:
    """Return the headers of the configuration; ``jwt_key`` signs a token that says nothing about the body."""
    headers = {name: value for name, value in hook.headers.items() if name != "jwt_key"}
    key = hook.headers.get("jwt_key")
    if key:
        claims = {"iat": now, "exp": now + _TOKEN_SECONDS, "app": "evolution", "action": "webhook"}
        signed = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(claims)}"
        signature = hmac.new(key.encode(), signed.encode(), hashlib.sha256).digest()
        headers["Authorization"] = f"Bearer {signed}.{_base64url(signature)}"
    return headers


def _part(claims: Mapping[str, object]) -> str:
    return _base64url(msgspec.json.encode(claims))


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
