"""Bodies of the routes of personal data."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec


class ExportStatus(StrEnum):
    """Where an export stands."""

    WAITING = "waiting"
    RUNNING = "running"
    READY = "ready"
    FAILED = "failed"
    EXPIRED = "expired"


class ExportRead(msgspec.Struct, frozen=True, kw_only=True):
    """An export of everything that is held of a user."""

    id: int
    status: ExportStatus
    size: Annotated[int, msgspec.Meta(examples=[48213])]
    """Bytes; 0 until it is ready."""
    created_at: datetime
    ready_at: datetime | None
    expires_at: datetime | None
    """When the file is removed."""


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """The proof that whoever is signed in wants their account erased."""

    password: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
