"""Who delivers what: taking deliveries of a lane, saying that one goes out, and taking over what a dead process left.

Up to the moment a delivery is handed over, a crash leaves it as if nothing had happened. After it nobody knows: a kind
that ``repeats`` is mailed once more, with the same Message-ID; the built-in stream takes an event once however often it
is told; any other stays as it is.
"""

from collections.abc import Sequence
from datetime import datetime

import asyncpg
import msgspec

from core import database
from core.notifications.channels import LIVE, Lane
from core.notifications.kinds import KINDS

LEASE_SECONDS = 90
"""Longer than the longest delivery."""
BACK_OFF_SECONDS = (5, 30, 120, 300, 900)
"""Before the second attempt, the third ...; the last one again and again."""
REPEATING = tuple(kind.name for kind in KINDS.values() if kind.repeats)

_CLAIM = """
UPDATE notification_deliveries SET status = 'claimed', holder = $3, attempts = attempts + 1,
    lease_until = now() + make_interval(secs => $4)
WHERE id IN (SELECT id FROM notification_deliveries WHERE channel = $1 AND notifier = $2 AND status = 'pending'
             AND due_at <= now() ORDER BY due_at LIMIT $5 FOR UPDATE SKIP LOCKED)
RETURNING id, key, notification_id, user_id, kind, attempts, falls_back, created_at
"""
_LEFT = f"""
UPDATE notification_deliveries SET holder = '', lease_until = NULL,
    status = CASE WHEN status = 'claimed' OR notifier = '{LIVE}' OR (channel = 'email' AND kind = ANY($1::text[]))
                  THEN 'pending'
                  ELSE 'unknown' END,
    reason = CASE WHEN status = 'sending' THEN 'the process ended while it was on its way' ELSE reason END
WHERE id IN (SELECT id FROM notification_deliveries WHERE status IN ('claimed', 'sending') AND lease_until < now()
             ORDER BY id LIMIT 500 FOR UPDATE SKIP LOCKED)
"""


class LeaseLostError(Exception):
    """Another process has the delivery now, so it must not go out here."""


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that this process works on."""

    id: int
    key: str
    notification_id: int
    user_id: int
    kind: str
    attempts: int
    """The present one included."""
    falls_back: bool
    created_at: datetime
    holder: str


async def claim(lane: Lane, holder: str, limit: int) -> Sequence[Delivery]:
    """Take up to ``limit`` deliveries of a lane that are due."""
    rows = await database.fetch(_CLAIM, lane.channel, lane.notifier, holder, LEASE_SECONDS, limit)
    return [_read(row, holder) for row in rows]


async def hand_over(delivery: Delivery, notifier: str) -> None:
    """Write down that a delivery goes out now.

    Raises:
        LeaseLostError: The lease ran out meanwhile.
    """
    going = await database.execute(
        "UPDATE notification_deliveries SET status = 'sending', reason = $3,"
        " lease_until = now() + make_interval(secs => $4) WHERE id = $1 AND holder = $2 AND status = 'claimed'",
        delivery.id,
        delivery.holder,
        f"handed to {notifier}",
        LEASE_SECONDS,
    )
    if going != 1:
        raise LeaseLostError


async def finish(delivery: Delivery, status: str, reason: str = "") -> bool:
    """Write down what became of a delivery; return whether it was this process's still."""
    ended = await database.execute(
        "UPDATE notification_deliveries SET status = $3::text, reason = $4, holder = '', lease_until = NULL,"
        " sent_at = CASE WHEN $3::text = 'sent' THEN now() END WHERE id = $1 AND holder = $2",
        delivery.id,
        delivery.holder,
        status,
        reason[:255],
    )
    return ended == 1


async def postpone(delivery: Delivery, reason: str, seconds: float | None = None) -> None:
    """Have a delivery tried again: after ``seconds`` where the service names them, else after the next back-off."""
    wait = BACK_OFF_SECONDS[min(delivery.attempts, len(BACK_OFF_SECONDS)) - 1] if seconds is None else seconds
    await database.execute(
        "UPDATE notification_deliveries SET status = 'pending', reason = $3, holder = '', lease_until = NULL,"
        " due_at = now() + make_interval(secs => $4) WHERE id = $1 AND holder = $2",
        delivery.id,
        delivery.holder,
        reason[:255],
        wait,
    )


async def give_back(delivery: Delivery, reason: str) -> None:
    """Have a delivery tried again unless it was handed over: then the sweep decides when the lease is over."""
    await database.execute(
        "UPDATE notification_deliveries SET status = 'pending', reason = $3, holder = '', lease_until = NULL,"
        f" due_at = now() + interval '{BACK_OFF_SECONDS[2]} seconds'"
        " WHERE id = $1 AND holder = $2 AND status = 'claimed'",
        delivery.id,
        delivery.holder,
        reason[:255],
    )


async def take_over() -> int:
    """Free what processes left that ended; return how many that were."""
    return await database.execute(_LEFT, list(REPEATING))


async def due_lanes() -> Sequence[tuple[str, str]]:
    """Return channel and notifier of every lane with something due."""
    rows = await database.fetch(
        "SELECT DISTINCT channel, notifier FROM notification_deliveries WHERE status = 'pending' AND due_at <= now()"
    )
    return [(row["channel"], row["notifier"]) for row in rows]


def _read(row: asyncpg.Record, holder: str) -> Delivery:
    return msgspec.convert({**row, "holder": holder}, Delivery)
