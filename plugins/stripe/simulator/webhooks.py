"""Webhook addresses and deliveries, signed as Stripe signs them, and what is ordered to go wrong with them."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Iterable
from typing import Literal

import httpx
import msgspec
import stripe

from plugins.stripe.simulator.requests import invalid
from plugins.stripe.simulator.shapes import Obj
from plugins.stripe.simulator.state import State, new_id

Trick = Literal["", "forged", "unsigned", "stale", "future", "altered"]
_RETRY_SECONDS = 60 * 60
_RETRY_DAYS = 3


class Orders(msgspec.Struct, forbid_unknown_fields=True):
    """How deliveries are made until something else is ordered."""

    hold: bool = False
    """Keep them until they are released."""
    drop: bool = False
    """Lose them."""
    copies: int = 1
    """Deliver each so many times, at once."""
    before_answer: bool = False
    """Deliver before the call that caused the event is answered."""
    delay_seconds: float = 0.0
    api_version: str = ""
    """What the events say instead of their address's API version."""


class Delivery(msgspec.Struct):
    """One event on its way to one address."""

    event: str
    type: str
    endpoint: str
    trick: Trick = ""
    statuses: list[int] = []
    """What each attempt was answered; 0 where it was not."""
    retry_at: int | None = None
    """When it is tried again, in the account's time."""


class Webhooks:
    """Delivers events; an attempt that fails is repeated for three days of the account's time."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.orders = Orders()
        self.deliveries: list[Delivery] = []
        self.waiting: list[Delivery] = []
        self._lock = asyncio.Lock()
        state.on_event = self.enqueue

    def create(self, params: Obj, _: tuple[str, ...]) -> Obj:
        """``POST /v1/webhook_endpoints``; the secret is in this answer alone."""
        if not params["url"].startswith(("http://", "https://")):
            raise invalid(
                "Invalid URL: An explicit scheme (such as https) must be provided.", code="url_invalid", param="url"
            )
        if not params["enabled_events"]:
            raise invalid("Missing required param: enabled_events.", code="parameter_missing", param="enabled_events")
        made = self._state.add(
            stripe.WebhookEndpoint,
            "we",
            url=params["url"],
            enabled_events=params["enabled_events"],
            api_version=params.get("api_version"),
            description=params.get("description"),
            metadata=params.get("metadata") or {},
            status="enabled",
        )
        secret = f"whsec_{new_id(32)}"
        self._state.private[made["id"]] = {"secrets": [(secret, None)]}
        return made | {"secret": secret}

    def add(self, url: str, secret: str) -> None:
        """Deliver everything to an address from the start on."""
        made = self.create({"url": url, "enabled_events": ["*"], "api_version": stripe.api_version}, ())
        self._state.private[made["id"]]["secrets"] = [(secret, None)]

    def update(self, params: Obj, ids: tuple[str, ...]) -> Obj:
        """``POST /v1/webhook_endpoints/{id}``."""
        found = self._state.get("webhook_endpoint", ids[0])
        found |= {name: params[name] for name in ("url", "enabled_events", "description") if name in params}
        if "disabled" in params:
            found["status"] = "disabled" if params["disabled"] else "enabled"
        return found

    def delete(self, params: Obj, ids: tuple[str, ...]) -> Obj:  # noqa: ARG002 - a handler
        """``DELETE /v1/webhook_endpoints/{id}``."""
        found = self._state.get("webhook_endpoint", ids[0])
        del self._state.objects[found["id"]]
        return {"id": found["id"], "object": "webhook_endpoint", "deleted": True}

    def roll(self, number: str, seconds: int) -> str:
        """Make a new secret; the old one signs too for so many seconds."""
        self._state.get("webhook_endpoint", number)
        private = self._state.private[number]
        until = self._state.now() + seconds
        secret = f"whsec_{new_id(32)}"
        private["secrets"] = [(secret, None), *((one, until) for one, _ in private["secrets"])]
        return secret

    def enqueue(self, event: Obj, trick: Trick = "", endpoints: Iterable[str] = ()) -> None:
        """Prepare an event for every address that wants it, or for those that are named."""
        for one in self._state.every("webhook_endpoint", status="enabled"):
            if one["id"] not in endpoints and not {event["type"], "*"} & {*one["enabled_events"]}:
                continue
            event["pending_webhooks"] += 1
            for _ in range(self.orders.copies):
                delivery = Delivery(event["id"], event["type"], one["id"], trick)
                self.deliveries.append(delivery)
                if not self.orders.drop:
                    self.waiting.append(delivery)

    async def flush(self) -> None:
        """Deliver what waits, one after the other; copies of an event go out at once."""
        if self.orders.hold:
            return
        await self.release([*self.waiting])

    async def release(self, chosen: list[Delivery]) -> None:
        """Deliver these, in this order."""
        if self.orders.delay_seconds:
            await asyncio.sleep(self.orders.delay_seconds)
        async with self._lock, httpx.AsyncClient(timeout=10, trust_env=False) as client:
            # Others may have delivered them while we waited.
            chosen = [one for one in chosen if one in self.waiting]
            self.waiting = [one for one in self.waiting if one not in chosen]
            while chosen:
                together = [one for one in chosen if (one.event, one.endpoint) == (chosen[0].event, chosen[0].endpoint)]
                chosen = [one for one in chosen if one not in together]
                await asyncio.gather(*(self._deliver(client, one) for one in together))

    def due(self) -> list[Delivery]:
        """Return what failed and will be tried again."""
        return [one for one in self.deliveries if one.retry_at is not None]

    def retry(self, delivery: Delivery) -> None:
        """Let one that failed be tried again."""
        delivery.retry_at = None
        self.waiting.append(delivery)

    async def _deliver(self, client: httpx.AsyncClient, delivery: Delivery) -> None:
        endpoint = self._state.objects.get(delivery.endpoint)
        if endpoint is None:
            return
        event = dict(self._state.objects[delivery.event])
        event["api_version"] = self.orders.api_version or endpoint["api_version"] or stripe.api_version
        body = json.dumps(event, indent=2).encode()
        headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "Stripe/1.0"}
        headers |= self._signed(delivery, body)
        if delivery.trick == "altered":
            body = body.replace(b'"livemode": false', b'"livemode":false', 1)
        try:
            status = (await client.post(endpoint["url"], content=body, headers=headers)).status_code
        except httpx.HTTPError:
            status = 0
        delivery.statuses.append(status)
        now = self._state.now()
        ends = self._state.objects[delivery.event]["created"] + _RETRY_DAYS * 24 * 60 * 60
        if not 200 <= status < 300 and not delivery.trick:  # noqa: PLR2004 - HTTP
            again = now + _RETRY_SECONDS * 2 ** min(len(delivery.statuses) - 1, 4)
            delivery.retry_at = again if again <= ends else None

    def _signed(self, delivery: Delivery, body: bytes) -> dict[str, str]:
        """Sign with every secret in force, at the machine's time: it is that of whoever verifies."""
        if delivery.trick == "unsigned":
            return {}
        at = int(time.time()) + {"stale": -301, "future": 24 * 60 * 60}.get(delivery.trick, 0)
        now = self._state.now()
        secrets = [
            one for one, until in self._state.private[delivery.endpoint]["secrets"] if until is None or until > now
        ]
        if delivery.trick == "forged":
            secrets = ["whsec_of_somebody_else"]
        signatures = [hmac.new(one.encode(), b"%d." % at + body, hashlib.sha256).hexdigest() for one in secrets]
        return {"Stripe-Signature": ",".join([f"t={at}", *(f"v1={one}" for one in signatures)])}
