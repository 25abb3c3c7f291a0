"""Fetch what is worth fetching.

A row of ``gateway_fetches`` is claimed under a lease before the gateway is asked, and goes once what it answered is
applied; whoever dies in between leaves it to the sweep. A gateway that does not answer is asked again with growing
pauses, then given up: an administrator sees the row and lets it begin anew.
"""

import asyncio

import asyncpg
import msgspec
import structlog

from core import database
from core.notifications.alarms import FETCH_ALARMS, clear_alarms, raise_alarm
from core.payments import fetches, subscriptions
from core.payments.recording import UnmatchedError
from core.plugin import ConfigurationError, ProviderError, References, Snapshot
from core.plugin.registry import NoSuchProviderError
from core.runtime import providers, runtime

LEASE_SECONDS = 90
CALL_SECONDS = 60.0
MAXIMUM_ATTEMPTS = 12
"""With pauses that double from 5 s to 6 hours, a gateway may be away for a day."""

# `as_of` is read before the gateway is asked: what it answers is at least as new.
_CLAIM = """
UPDATE gateway_fetches SET lease_until = clock_timestamp() + make_interval(secs => $1)
WHERE id = (
    SELECT id FROM gateway_fetches
    WHERE failed_at IS NULL AND due_at <= clock_timestamp()
        AND (lease_until IS NULL OR lease_until <= clock_timestamp())
        AND ($2::text IS NULL OR (gateway = $2 AND subject = $3))
    ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING id, gateway, subject, refs, wanted, attempts, clock_timestamp() AS as_of
"""
# Hints that came while the gateway was asked have it asked once more.
_DONE = """
WITH gone AS (DELETE FROM gateway_fetches WHERE id = $1 AND wanted = $2 RETURNING id)
UPDATE gateway_fetches SET lease_until = NULL WHERE id = $1 AND NOT EXISTS (SELECT FROM gone)
"""
_LATER = """
UPDATE gateway_fetches SET lease_until = NULL, attempts = attempts + 1, error = $2,
    due_at = now() + make_interval(secs => least(5 * 2 ^ attempts, 21600)),
    failed_at = CASE WHEN attempts + 1 >= $3 THEN now() END
WHERE id = $1 AND wanted = $4 RETURNING failed_at IS NOT NULL
"""
_log = structlog.get_logger(__name__)
_busy: dict[str, bool] = {}


async def work() -> None:
    """Fetch everything that is due; while this process is at it already, that run looks once more."""
    if "" in _busy:
        _busy[""] = True
        return
    _busy[""] = True
    try:
        while _busy[""] and not runtime().stopping.is_set():
            _busy[""] = False
            while not runtime().stopping.is_set() and await fetch_one():
                pass
    finally:
        del _busy[""]


async def fetch_one() -> bool:
    """Fetch what has been due for longest; return whether there was anything."""
    row = await database.fetch_row(_CLAIM, LEASE_SECONDS, None, None)
    if row is not None:
        await _fetch(row)
    return row is not None


async def fetch_now(gateway: str, refs: References) -> None:
    """Fetch what was wanted a moment ago, for somebody who waits; whatever goes wrong is left to the workers."""
    row = await database.fetch_row(_CLAIM, LEASE_SECONDS, gateway, fetches.subject_of(refs))
    if row is not None:
        await _fetch(row)


async def _fetch(row: asyncpg.Record) -> None:
    refs = msgspec.json.decode(row["refs"], type=References)
    try:
        async with asyncio.timeout(CALL_SECONDS):
            snapshot = await providers().gateway(row["gateway"]).fetch(refs)
    except NoSuchProviderError:
        await _later(row, "The plugin of this gateway is not enabled.")
    except ProviderError as error:
        await _later(row, str(error), wrong=isinstance(error, ConfigurationError))
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        _log.exception("gateway_fetch_failed", gateway=row["gateway"], subject=row["subject"])
        await _later(row, f"The plugin failed with {type(error).__name__}: see the log.")
    else:
        await _apply(row, refs, snapshot)


async def _apply(row: asyncpg.Record, refs: References, snapshot: Snapshot | None) -> None:
    try:
        async with database.unit_of_work():
            if snapshot is None:
                await subscriptions.note_missing(row["gateway"], refs)
            else:
                await subscriptions.apply_snapshot(row["gateway"], snapshot, row["as_of"])
            await database.execute(_DONE, row["id"], row["wanted"])
            await clear_alarms("gateway_fetch", [row["id"]], FETCH_ALARMS)
    except UnmatchedError as error:
        await _later(row, str(error))
    except Exception as error:  # noqa: BLE001 - the row must not be lost whatever is wrong with it
        _log.exception("snapshot_not_applied", gateway=row["gateway"], subject=row["subject"])
        await _later(row, f"What the gateway said could not be applied ({type(error).__name__}): see the log.")


async def _later(row: asyncpg.Record, why: str, *, wrong: bool = False) -> None:
    """Try again after a pause, or give up."""
    _log.warning("gateway_not_fetched", gateway=row["gateway"], subject=row["subject"], reason=why)
    async with database.unit_of_work():
        given_up = await database.fetch_value(_LATER, row["id"], why[:1000], MAXIMUM_ATTEMPTS, row["wanted"])
        if given_up is None:
            # Somebody wants it again, from the beginning.
            await database.execute("UPDATE gateway_fetches SET lease_until = NULL WHERE id = $1", row["id"])
        elif given_up or wrong:
            await raise_alarm(
                "gateway_fetch_failed", "gateway_fetch", row["id"], gateway=row["gateway"], concerns=row["subject"]
            )
