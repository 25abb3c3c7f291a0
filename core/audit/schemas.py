"""Bodies of the audit log's routes."""

from datetime import datetime
from typing import Annotated, Any

import msgspec

Facts = Annotated[dict[str, Any], msgspec.Meta(examples=[{"profile": "user"}])]
Changes = Annotated[dict[str, list[Any]], msgspec.Meta(examples=[{"name": ["Ana", "Ana Maria"]}])]
"""Field to what it was and what it became; secrets are masked."""


class OwnLogRead(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was done in one's account."""

    id: int
    created_at: datetime
    action: Annotated[str, msgspec.Meta(examples=["contact.updated"])]
    entity: Annotated[str, msgspec.Meta(examples=["contact"])]
    entity_id: int | None
    description: str
    data: Facts
    changes: Changes
    api_key_id: int | None
    """The API key it was done with, if any."""
    by_administrator: bool
    """An administrator did it, or acted in the user's name."""
    address: Annotated[str, msgspec.Meta(examples=["203.0.113.7"])]
    """Where the request came from; empty where an administrator or the platform did it."""
    request_id: str


class LogRead(OwnLogRead, frozen=True, kw_only=True):
    """Something that was done, as administrators see it."""

    user_id: int | None
    """In whose name it was done; null is the platform itself."""
    user_email: str | None
    account_id: int | None
    """Whose account it concerns."""
    actor_id: int | None
    """The administrator who acted in the user's name."""
    actor_email: str | None


class LogFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines of the log are asked for."""

    account_id: int | None = None
    """Lines that concern this account."""
    user_id: int | None = None
    """Lines in this user's name or account."""
    actor_id: int | None = None
    """Lines of what this person did, in whoever's name."""
    action: str | None = None
    """The beginning of the action."""
    entity: str | None = None
    entity_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    search: str | None = None
    """Part of the action, the description, the facts or the changes, whatever its case."""
