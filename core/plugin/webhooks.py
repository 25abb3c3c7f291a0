"""Incoming webhooks as values: one delivery in, one verdict with normalised events out."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec


class WebhookDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP request from a service, before anything was parsed."""

    method: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    public_url: str
    """The URL the service called, as it sees us."""


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """Base of all events; ``dedupe_key`` is equal for every delivery of the same fact about the same number."""

    dedupe_key: str


class MessageStatusEvent(Event, frozen=True, kw_only=True, tag="message_status"):
    """A message of ours advanced or failed."""

    ids: tuple[str, ...]
    status: Literal["failed", "accepted", "sent", "delivered", "read"]
    at: datetime
    address: str = ""
    error: str = ""


class MessageInEvent(Event, frozen=True, kw_only=True, tag="message_in"):
    """Somebody wrote to the number."""

    id: str
    address: str
    """The sender's address as the service gives it; ``phone`` where it is known."""
    phone: str = ""
    text: str = ""
    at: datetime


class ForeignMessageEvent(Event, frozen=True, kw_only=True, tag="message_out_foreign"):
    """A message sent from the number outside the platform, on the phone for example."""

    id: str
    address: str
    at: datetime


class SenderStatusEvent(Event, frozen=True, kw_only=True, tag="sender_status"):
    """The number's connection changed; ``state`` is a value of ``SenderState``."""

    state: str
    raw: str = ""
    address: str = ""
    name: str = ""
    restricted_until: datetime | None = None
    at: datetime


class IdentityEvent(Event, frozen=True, kw_only=True, tag="identity"):
    """Two addresses turned out to be the same person."""

    address: str
    phone: str


class UnknownEvent(Event, frozen=True, kw_only=True, tag="unknown"):
    """Something the plugin does not know; counted, never an error."""

    name: str


AnyEvent = MessageStatusEvent | MessageInEvent | ForeignMessageEvent | SenderStatusEvent | IdentityEvent | UnknownEvent
"""Whatever a delivery or a poll may tell."""


class WebhookResult(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict: whether the delivery is genuine, what to answer, and what it says."""

    genuine: bool
    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain"
    events: tuple[AnyEvent, ...] = ()
    payload: bytes = b""
    """The body cleaned of tokens, safe to store in ``webhooks_log``."""
