"""Webhooks as WAHA sends them: from memory, signed, several at once, unordered, repeated until they are taken."""

import asyncio
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import httpx
import msgspec

from core.plugin import build_client
from plugins.waha.simulator.faults import WEBHOOK_KINDS, Faults, Match
from plugins.waha.simulator.state import Session, State

_LIMITS_SINCE = (2026, 7, 2)
_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


class Retries(msgspec.Struct, rename="camel"):
    """``config.webhooks[].retries``; the defaults are WAHA's."""

    policy: str = "constant"
    delay_seconds: float = 2
    attempts: int = 15

    def delay(self, attempt: int) -> float:
        """Return the seconds before the repetition after ``attempt``, which counts from 1."""
        match self.policy:
            case "exponential":
                return self.delay_seconds * 2.0 ** (attempt - 1)
            case "linear":
                return self.delay_seconds * attempt
        return self.delay_seconds


class Hmac(msgspec.Struct):
    """``config.webhooks[].hmac``."""

    key: str = ""


class Header(msgspec.Struct):
    """One of ``config.webhooks[].customHeaders``."""

    name: str
    value: str


class Target(msgspec.Struct, rename="camel"):
    """One entry of ``config.webhooks``."""

    url: str
    events: list[str] = []
    hmac: Hmac | None = None
    retries: Retries = msgspec.field(default_factory=Retries)
    custom_headers: list[Header] | None = None


class Webhooks:
    """Delivers events; nothing of it survives a restart."""

    def __init__(self, state: State, faults: Faults) -> None:
        self._state = state
        self._faults = faults
        # WAHA knows no time limit here: a receiver that hangs keeps the delivery in its memory.
        self._client = build_client(timeout=httpx.Timeout(None))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def emit(self, session: Session, event: str, payload: Mapping[str, object], chat: str = "") -> None:
        """Deliver ``event`` to every webhook of the session that asked for it, unless its chat is ignored."""
        if session.ignores(chat):
            return
        for given in session.config.get("webhooks") or ():
            target = msgspec.convert(given, Target)
            if event in target.events or "*" in target.events:
                where = Match(session=session.name, text=event)
                fault = self._faults.take(WEBHOOK_KINDS, where)
                if fault is not None and fault.kind == "lost_webhooks":
                    continue
                request_id, envelope = self._envelope(session, event, payload)
                for _ in range(1 if fault is None else 2):
                    _ = self._state.begin(self._deliver(target, envelope, request_id))

    def _envelope(self, session: Session, event: str, payload: Mapping[str, object]) -> tuple[str, dict[str, Any]]:
        options = self._state.options
        key = "".join(self._state.random.choices(_CROCKFORD, k=26))
        metadata = session.config.get("metadata")
        environment = {"version": options.version, "engine": options.engine, "tier": options.tier, "browser": None}
        return f"req_{key}", {
            "id": f"evt_{key}",
            "timestamp": self._state.now_ms(),
            "event": event,
            "session": session.name,
            **({"metadata": metadata} if metadata else {}),
            "me": me_of(session, self._state),
            "payload": payload,
            "engine": options.engine,
            "environment": {**environment, "platform": "linux/x64", "worker": {"id": None}},
        }

    async def _deliver(self, target: Target, envelope: dict[str, Any], request_id: str) -> None:
        body = msgspec.json.encode(envelope)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"WAHA/{self._state.options.version}",
            "X-Webhook-Request-Id": request_id,
            "X-Webhook-Timestamp": str(envelope["timestamp"]),
        }
        if target.hmac is not None and target.hmac.key:
            headers["X-Webhook-Hmac"] = hmac.new(target.hmac.key.encode(), body, hashlib.sha512).hexdigest()
            headers["X-Webhook-Hmac-Algorithm"] = "sha512"
        headers |= {header.name: header.value for header in target.custom_headers or ()}
        for attempt in range(1, target.retries.attempts + 2):
            wait = await self._post(target.url, body, headers)
            if wait is None:
                return
            await asyncio.sleep(wait or target.retries.delay(attempt))

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> float | None:
        """Return nothing after a success, else the seconds of ``Retry-After`` or 0."""
        try:
            response = await self._client.post(url, content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL):
            return 0.0
        if response.is_success:
            return None
        after = response.headers.get("retry-after", "")
        return float(after) if after.isdecimal() else 0.0


def me_of(session: Session, state: State) -> dict[str, Any] | None:
    """Return the account a session is signed in to; with its limits, where the version tells them."""
    if not session.phone:
        return None
    me: dict[str, Any] = {"id": session.address, "pushName": "Simulated phone", "lid": state.lid_of(session.phone)}
    if state.options.parsed_version >= _LIMITS_SINCE:
        me |= {"reachoutTimelock": timelock_of(session, state), "messageCapping": session.capping or None}
    return me


def timelock_of(session: Session, state: State) -> dict[str, Any] | None:
    """Return the restriction in force."""
    if session.restricted_until <= state.time():
        return None
    ends = int(session.restricted_until)
    return {"enforcementType": "DEFAULT", "isActive": True, "timeEnforcementEnds": ends}
