"""Deliveries: signed as the service signs, repeated as it repeats, and held back or forged to order."""

import asyncio
import hashlib
import hmac
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import httpx
import msgspec

from core.plugin import build_client
from plugins.mercadopago.simulator.state import State
from plugins.mercadopago.simulator.wire import written

_PATIENCE = 22.0
_REPEATS = (15 * 60, 15 * 60, 15 * 60, 6 * 3600, 48 * 3600, 96 * 3600)
"""Seconds from one attempt to the next: every 15 minutes, and slower after the third."""


class Attempt(msgspec.Struct, kw_only=True):
    """One call; ``status`` 0 is no answer."""

    at: str | None
    status: int


class Delivery(msgspec.Struct, kw_only=True):
    """One notification, and how its calls were answered; ``stamp`` and ``request_id`` stay when it is repeated."""

    id: int
    topic: str
    object_id: str
    action: str
    request_id: str
    stamp: int
    body: bytes
    held: bool = False
    dropped: bool = False
    attempts: list[Attempt] = msgspec.field(default_factory=list)
    repeat_at: datetime | None = None


class Webhooks:
    """Makes deliveries and calls the platform."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._client = build_client(timeout=httpx.Timeout(_PATIENCE))
        self._waiting: list[Delivery] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.deliveries: list[Delivery] = []

    async def aclose(self) -> None:
        """End all calls."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.aclose()

    def emit(self, topic: str, object_id: str, action: str) -> None:
        """Make a delivery; it goes out with the next ``start`` or ``flush``."""
        mode = self._state.options.webhooks
        delivery = self._make(topic, object_id, action)
        delivery.held, delivery.dropped = mode == "hold", mode == "drop"
        self.deliveries.append(delivery)
        if mode in {"send", "duplicate"}:
            self._waiting += [delivery] * (2 if mode == "duplicate" else 1)

    def start(self) -> None:
        """Send what waits, beside everything else."""
        waiting, self._waiting = self._waiting, []
        for delivery in waiting:
            task = asyncio.ensure_future(self._deliver(delivery))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def flush(self) -> None:
        """Send what waits, and come back when all of it is answered."""
        self.start()
        await asyncio.gather(*self._tasks)

    async def release(self, numbers: Sequence[int]) -> list[int]:
        """Deliver these one after another in this order, held back or sent before; return the answers."""
        known = {delivery.id: delivery for delivery in self.deliveries}
        chosen = [known[number] for number in numbers if number in known]
        for delivery in chosen:
            delivery.held = False
            await self._deliver(delivery)
        return [delivery.attempts[-1].status for delivery in chosen if delivery.attempts]

    async def forge(self, order: Mapping[str, object]) -> int:
        """Deliver something that the service never sent; ``secret``, ``stamp``, ``unsigned`` say how it is false."""
        delivery = self._make(
            str(order.get("topic", "payment")), str(order.get("object_id", "1")), str(order.get("action", "updated"))
        )
        delivery.stamp = int(str(order.get("stamp", delivery.stamp)))
        secret = str(order.get("secret", "forged"))
        return await self._call(delivery, "" if order.get("unsigned") else secret)

    def next_due(self) -> datetime | None:
        """Return when the next repetition is due."""
        due = (delivery.repeat_at for delivery in self.deliveries)
        return min((at for at in due if at is not None), default=None)

    def repeat_due(self) -> None:
        """Let the repetitions that are due wait to be sent."""
        now = self._state.now()
        for delivery in self.deliveries:
            if delivery.repeat_at is not None and delivery.repeat_at <= now:
                delivery.repeat_at = None
                self._waiting.append(delivery)

    def _make(self, topic: str, object_id: str, action: str) -> Delivery:
        now = self._state.now()
        number = self._state.number()
        is_payment = topic == "payment"
        body = {
            "id": number,
            "live_mode": False,
            "type": topic,
            "date_created": written(now),
            "application_id": 6_245_132_082_630_004,
            "user_id": 823_549_964,
            "version": 1,
            "api_version": "v1",
            "action": action,
            "data": {"id": object_id},
        }
        if not is_payment:
            body["entity"] = topic.removeprefix("subscription_")
        milliseconds = int(now.timestamp() * 1000)
        return Delivery(
            id=number,
            topic=topic,
            object_id=object_id,
            action=action,
            request_id=str(uuid.uuid4()),
            stamp=milliseconds if self._state.options.ts_unit == "ms" else milliseconds // 1000,
            body=msgspec.json.encode(body),
        )

    async def _deliver(self, delivery: Delivery) -> None:
        delivery.repeat_at = None
        if not self._state.options.webhook_url:
            return
        status = await self._call(delivery, self._state.options.webhook_secret)
        now = self._state.now()
        delivery.attempts.append(Attempt(at=written(now), status=status))
        if status not in {200, 201} and len(delivery.attempts) <= len(_REPEATS):
            delivery.repeat_at = now + timedelta(seconds=_REPEATS[len(delivery.attempts) - 1])

    async def _call(self, delivery: Delivery, secret: str) -> int:
        url = self._state.options.webhook_url
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "MercadoPago WebHook v1.0 payment",
            "x-request-id": delivery.request_id,
            "X-Socket-Timeout": "22000",
            "X-Retry": str(len(delivery.attempts)),
        }
        if secret:
            text = f"id:{delivery.object_id.lower()};request-id:{delivery.request_id};ts:{delivery.stamp};"
            signature = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
            headers["x-signature"] = f"ts={delivery.stamp},v1={signature}"
        query = {"data.id": delivery.object_id, "type": delivery.topic}
        try:
            response = await self._client.post(url, params=query, content=delivery.body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL):
            return 0
        return response.status_code
