"""Bodies of the servers' and numbers' routes."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from core.plugin import Capabilities, SenderState

Name = Annotated[str, Meta(min_length=1, max_length=120, pattern=r"\S")]
Label = Annotated[str, Meta(max_length=120)]
Url = Annotated[str, Meta(min_length=1, max_length=500, examples=["https://waha.example:3000"])]
ForwardUrl = Annotated[str, Meta(min_length=1, max_length=500, examples=["https://shop.example/hooks/number"])]
Capacity = Annotated[int, Meta(ge=1, le=1_000_000, description="How many numbers the server may hold.")]
Phone = Annotated[str, Meta(min_length=1, max_length=32, examples=["+5511987654321"])]


class ServerCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A server of a messaging service."""

    name: Name
    provider: Annotated[str, Meta(min_length=1, max_length=60, examples=["waha"])]
    url: Url
    credentials: Annotated[dict[str, object], Meta(examples=[{"api_key": "..."}])] = {}
    """What the provider asks for; secrets are encrypted at rest and answered as ``***``."""
    capacity: Capacity | None = None


class ServerUpdate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What may change on a server; a secret sent as ``***`` stays."""

    name: Name | UnsetType = UNSET
    url: Url | UnsetType = UNSET
    credentials: dict[str, object] | UnsetType = UNSET
    capacity: Capacity | UnsetType | None = UNSET


class ServerRead(msgspec.Struct, frozen=True, kw_only=True):
    """A server as administrators see it."""

    id: int
    name: str
    provider: str
    url: str
    credentials: dict[str, object]
    status: bool
    """Whether it answered when it was last asked."""
    status_reason: str
    capacity: int | None
    capabilities: Capabilities | None
    """What it can do; ``null`` until it has answered once."""
    numbers: int
    numbers_connected: int
    started_at: datetime | None
    """Since when it runs, where its service tells; as the next three."""
    memory_bytes: int | None
    sessions: int | None
    """Numbers it holds, whoever put them there."""
    sessions_connected: int | None
    sends: int
    """The last messages of its numbers, of those old enough to have been acknowledged ..."""
    acknowledged: int
    """... and those that were."""
    last_event_at: datetime | None
    """When it last told us anything of any of its numbers."""
    checked_at: datetime | None
    created_at: datetime
    updated_at: datetime


class ServerHealthRead(msgspec.Struct, frozen=True, kw_only=True):
    """How a server was at one moment."""

    checked_at: datetime
    status: bool
    """Whether it answered."""
    reason: str
    version: str
    engine: str
    memory_bytes: int | None
    sessions: int | None
    connected: int | None
    """Those of its sessions that are signed in and running."""
    numbers: int
    """Our numbers on it ..."""
    numbers_connected: int
    """... and those connected."""
    sends: int
    acknowledged: int
    last_event_at: datetime | None


class NumberMove(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a number goes."""

    server_id: int | None = None
    """Absent, it goes to the emptiest other server of its provider that is well."""


class ServerFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which servers are asked for."""

    provider: str | None = None
    status: bool | None = None
    search: str | None = None
    """Part of the name or, for administrators, of the address, whatever its case."""


class ServerSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A server as users choose it."""

    id: int
    name: str
    provider: str
    status: bool


class NumberCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A new number."""

    server_id: int | None = None
    """Absent, it goes to the emptiest server that is well."""
    provider: Annotated[str, Meta(min_length=1, max_length=60, examples=["waha"])] | None = None
    """Only servers of this provider."""
    name: Label = ""


class NumberGrant(NumberCreate, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A number beyond the plan's limit, for one user."""

    user_id: int


class NumberLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A number's own caps, over all campaigns; a campaign may only be stricter."""

    per_hour: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    per_day: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    checks_per_minute: Annotated[int, Meta(ge=1, le=6_000)] | None = None
    """Phone numbers it may look up in a minute; 60 when absent."""
    checks_per_day: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    """Phone numbers it may look up in any 24 hours; 5,000 when absent."""


class NumberUpdate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What may change on a number."""

    name: Label | UnsetType = UNSET
    status: bool | UnsetType = UNSET
    """Whether campaigns may send from it."""
    settings: NumberLimits | UnsetType = UNSET
    webhook_url: ForwardUrl | UnsetType | None = UNSET
    """Where to tell of this number's events; ``null`` for nowhere."""


class NumberRead(msgspec.Struct, frozen=True, kw_only=True):
    """A sending number."""

    id: int
    server_id: int
    provider: str
    instance: str
    name: str
    number: str
    """E.164 digits; empty until the number was first connected."""
    status: bool
    status_connection: bool
    connection: str
    """``stopped``, ``starting``, ``sign_in``, ``connected``, ``needs_person`` or ``failed``."""
    connection_reason: str
    connection_at: datetime | None
    restricted_until: datetime | None
    """Until when the service refuses messages to people who were never written to."""
    first_connected_at: datetime | None
    silent_until: datetime | None
    """Until when it is passed over, since its messages were accepted and not acknowledged."""
    last_event_at: datetime | None
    """When its server last told us anything about it."""
    recent_sends: int
    """Its last messages, of those old enough to have been acknowledged ..."""
    recent_acknowledged: int
    """... and those that were."""
    webhook_url: str | None
    """Its forward address: where its events, and messages from it and to it, are told of."""
    settings: NumberLimits
    sign_in: tuple[str, ...]
    """How it can be signed in: ``qr``, ``pairing_code`` ..."""
    extra: bool
    created_at: datetime
    updated_at: datetime


class NumberUpdated(NumberRead, frozen=True, kw_only=True):
    """A number that was changed."""

    webhook_secret: Annotated[str, Meta(examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="])] | None
    """What deliveries to its forward address are signed with: shown when the address is first set, and never again."""


class NumberAdministrationRead(NumberRead, frozen=True, kw_only=True):
    """A sending number as administrators see it."""

    user_id: int
    user_email: str
    server_name: str


class NumberAdministrationFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which of everybody's numbers are asked for."""

    user_id: int | None = None
    server_id: int | None = None
    provider: str | None = None
    connection: SenderState | None = None
    status: bool | None = None
    status_connection: bool | None = None
    extra: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    search: str | None = None
    """Part of the name, the number, the instance or the user's address, whatever its case."""


class ChallengeRead(msgspec.Struct, frozen=True, kw_only=True):
    """What a person needs to sign the number in."""

    kind: Literal["qr", "pairing_code"]
    value: str
    """The text of the QR picture, or the code to type on the phone."""


class CheckCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A phone number to look up."""

    phone: Phone


class CheckRead(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a phone number uses the service."""

    phone: str
    """E.164 digits, as asked."""
    exists: bool
    address: str
    """What messages are sent to; it may name other digits than asked."""
