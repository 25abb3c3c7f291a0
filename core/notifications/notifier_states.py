"""How the services of notifiers are: one that fails again and again is left alone for a while, and somebody is told."""

from collections.abc import Collection
from datetime import datetime
from typing import Literal

import msgspec

from core import database
from core.notifications.alarms import clear_alarms, raise_alarm
from core.plugin import LimitReachedError, MisconfiguredError, UnavailableError

ALARMS: tuple[Literal["notifier_down", "notifier_misconfigured", "notifier_limited"], ...] = (
    "notifier_down",
    "notifier_misconfigured",
    "notifier_limited",
)
TOLERATED = 3
"""Failures in a row before the service is left alone, for longer and longer."""
FIRST_PAUSE_SECONDS = 5
LONGEST_PAUSE_SECONDS = 300
MISCONFIGURED_SECONDS = 900.0
"""Settings are tried again after so long, or at once when the scheduler starts."""
LIMITED_SECONDS = 3_600.0
"""Where a service does not say when it takes more."""
LONGEST_LIMIT_SECONDS = 86_400.0
"""Whatever it says: allowances are of a day at most."""
AWAY_AFTER = "30 seconds"
"""A realtime service that takes nothing for so long has mails take its place."""
DOWN_AFTER = "10 minutes"

_FAILED = f"""
INSERT INTO notifier_states AS s (name, failures, failing_since, reason) VALUES ($1, 1, now(), $2)
ON CONFLICT (name) DO UPDATE SET failures = s.failures + 1, failing_since = coalesce(s.failing_since, now()),
    reason = excluded.reason,
    paused_until = greatest(s.paused_until, CASE WHEN s.failures + 1 >= {TOLERATED} THEN now() + make_interval(secs =>
        least({LONGEST_PAUSE_SECONDS}, {FIRST_PAUSE_SECONDS} * 2 ^ least(s.failures + 1 - {TOLERATED}, 10))) END)
RETURNING id, failing_since < now() - interval '{DOWN_AFTER}' AS lasting
"""
_PAUSE = """
INSERT INTO notifier_states AS s (name, failures, failing_since, paused_until, reason)
VALUES ($1, 1, now(), now() + make_interval(secs => $3), $2)
ON CONFLICT (name) DO UPDATE SET failures = s.failures + 1, failing_since = coalesce(s.failing_since, now()),
    paused_until = greatest(s.paused_until, excluded.paused_until), reason = excluded.reason
RETURNING id, paused_until
"""


async def usable(names: Collection[str]) -> frozenset[str]:
    """Return those of ``names`` whose services are not left alone just now."""
    rows = await database.fetch(
        "SELECT name FROM notifier_states WHERE name = ANY($1::text[]) AND paused_until > now()", list(names)
    )
    return frozenset(names) - {row["name"] for row in rows}


async def away(names: Collection[str]) -> frozenset[str]:
    """Return those of ``names`` whose services have taken nothing for a while and are left alone just now."""
    rows = await database.fetch(
        "SELECT name FROM notifier_states WHERE name = ANY($1::text[]) AND paused_until > now()"
        f" AND failing_since < now() - interval '{AWAY_AFTER}'",
        list(names),
    )
    return frozenset(row["name"] for row in rows)


async def note_success(name: str) -> None:
    """Note that a service took something; what was wrong is over, unless that was noted since this one began."""
    over = await database.fetch_value(
        "UPDATE notifier_states SET failures = 0, failing_since = NULL, paused_until = NULL, reason = ''"
        " WHERE name = $1 AND failures > 0 AND (paused_until IS NULL OR paused_until <= now()) RETURNING id",
        name,
    )
    if isinstance(over, int):
        await clear_alarms("notifier", [over], ALARMS)


async def note_unavailable(name: str, error: UnavailableError) -> None:
    """Note that a service could not be reached or took nothing, or takes no more for now."""
    if isinstance(error, LimitReachedError):
        seconds = LIMITED_SECONDS if error.retry_after is None else min(error.retry_after, LONGEST_LIMIT_SECONDS)
        state, until = await _pause(name, str(error), seconds)
        await raise_alarm(
            "notifier_limited", "notifier", state, name=name, reason=str(error), until=until.isoformat("T", "minutes")
        )
        return
    async with database.unit_of_work():
        row = await database.fetch_row(_FAILED, name, str(error)[:255])
        if row is not None and row["lasting"]:
            await raise_alarm("notifier_down", "notifier", row["id"], name=name, reason=str(error))


async def note_misconfigured(name: str, error: MisconfiguredError) -> None:
    """Note that a service refuses our settings: it is left alone, and an administrator is told."""
    state, _ = await _pause(name, str(error), MISCONFIGURED_SECONDS)
    await raise_alarm("notifier_misconfigured", "notifier", state, name=name, reason=str(error))


async def resume_all() -> None:
    """Have every service tried again: a process starts, so that settings may have been mended."""
    await database.execute("UPDATE notifier_states SET paused_until = NULL WHERE paused_until IS NOT NULL")


async def _pause(name: str, reason: str, seconds: float) -> tuple[int, datetime]:
    row = await database.fetch_row(_PAUSE, name, reason[:255], seconds)
    if row is None:
        raise RuntimeError("an upsert returned nothing")
    return row["id"], msgspec.convert(row["paused_until"], datetime)
