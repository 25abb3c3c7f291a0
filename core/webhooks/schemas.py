"""Bodies of the webhooks' routes."""

from datetime import datetime

import msgspec


class WebhookLogRead(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery, in or out, that was refused, failed or, where the setting asks for it, taken."""

    id: int
    type: str
    """The plugin, with the kind of event where one was given up; `outgoing:` and the event to a tenant's endpoint."""
    url: str
    payload: object
    response_code: int | None
    response_body: str
    created_at: datetime


class WebhookLogFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries of the log are asked for."""

    type: str | None = None
    """The beginning of the type."""
    response_code: int | None = None
    number_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    search: str | None = None
    """Part of the type, the payload or the answer, whatever its case."""
