"""Bodies of the webhooks' routes."""

from datetime import datetime

import msgspec


class WebhookLogRead(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery that was refused, failed or, where the setting asks for it, taken."""

    id: int
    type: str
    """The plugin, with the kind of event where one was given up."""
    url: str
    payload: object
    response_code: int | None
    response_body: str
    created_at: datetime
