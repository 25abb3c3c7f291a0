"""What the API shows of jobs."""

from datetime import datetime
from typing import Any

import msgspec


class JobRead(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of long work: ``progress`` is in percent, ``done`` and ``total`` in units of the kind."""

    id: int
    kind: str
    status: str
    """``waiting``, ``running``, ``done``, ``failed`` or ``canceled``."""
    subject_id: int | None
    """The row the job is about: the import, the campaign ..."""
    done: int
    total: int | None
    progress: int
    rate: float | None
    """Units a second over the last steps, while it runs."""
    seconds_left: int | None
    """At that rate."""
    result: dict[str, Any]
    error: str
    """Why the last try failed; empty when none did."""
    attempts: int
    """Tries since the last progress."""
    cancelable: bool
    cancel_requested_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobAdministrationRead(msgspec.Struct, frozen=True, kw_only=True):
    """A job and whose it is."""

    user_id: int | None
    """Absent: the platform's own."""
    job: JobRead
