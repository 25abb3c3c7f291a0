"""Who delivers what: taking deliveries of a lane, saying that one goes out, and taking over what a dead process left.

Up to the moment a delivery is handed over, a crash leaves it as if nothing had happened. After it nobody knows: a kind
that ``repeats`` is mailed once more, with the same Message-ID; the built-in stream takes an event once however often it
is told; what falls back is mailed instead; any other stays as it is.
"""

from collections.abc import Sequence
from datetime import datetime

import asyncpg
import msgspec

from core import database
from core.notifications.channels import LIVE, Lane
from core.notifications.kinds import KINDS
from core.plugin import Channel

LEASE_SECONDS = 135
"""Longer than it takes to hand a delivery over."""
ANSWER_SECONDS: dict[Channel, float] = {"email": 300.0, "realtime": 45.0}
"""For the answer to what was handed over. A mail server may look through a text for minutes before it takes it: section
4.5.3.2.6 of RFC 5321 asks for ten, and whoever gives up earlier sends twice."""
MARGIN_SECONDS = 45.0
"""By which a lease is longer than the wait for the answer."""
BACK_OFF_SECONDS = (5, 30, 120, 300, 900)
"""Before the second attempt, the third ...; the last one again and again."""
LONGEST_WAIT_SECONDS = 6 * 3_600.0
"""However long a service asks us to wait."""
REPEATING = tuple(kind.name for kind in KINDS.values() if kind.repeats)

_CLAIM = """
UPDATE notification_deliveries SET status = 'claimed', holder = $3, attempts = attempts + 1,
    lease_until = now() + make_interval(secs => $4)
WHERE id IN (SELECT id FROM notification_deliveries WHERE channel = $1 AND notifier = $2 AND status = 'pending'
             AND due_at <= now() ORDER BY due_at LIMIT $5 FOR UPDATE SKIP LOCKED)
RETURNING id, key, notification_id, user_id, kind, attempts, doubts, falls_back, created_at
"""
_TO_BE_MAILED = f"status = 'sending' AND falls_back AND notifier <> '{LIVE}'"
_LEFT = f"""
UPDATE notification_deliveries SET holder = '', lease_until = NULL,
    status = CASE WHEN status = 'claimed' OR notifier = '{LIVE}'
                      OR (channel = 'email' AND kind = ANY($1::text[]) AND doubts = 0)
                  THEN 'pending'
                  ELSE 'unknown' END,
    doubts = doubts + (status = 'sending')::int,
    reason = CASE WHEN status = 'sending' THEN 'the process ended while it was on its way' ELSE reason END
WHERE id IN (SELECT id FROM notification_deliveries WHERE status IN ('claimed', 'sending') AND lease_until < now()
                 AND NOT ({_TO_BE_MAILED})
             ORDER BY id LIMIT 500 FOR UPDATE SKIP LOCKED)
"""
_LEFT_TO_BE_MAILED = f"""
UPDATE notification_deliveries SET holder = '', lease_until = NULL, status = 'unknown', doubts = doubts + 1,
    reason = 'mailed instead: the process ended while it was on its way'
WHERE id IN (SELECT id FROM notification_deliveries WHERE status IN ('claimed', 'sending') AND lease_until < now()
                 AND {_TO_BE_MAILED}
             ORDER BY id LIMIT 500 FOR UPDATE SKIP LOCKED)
RETURNING id
"""
_STARVED = """
UPDATE notification_deliveries SET status = 'failed', reason = $3
WHERE id IN (SELECT id FROM notification_deliveries WHERE channel = $1 AND notifier = $2 AND status = 'pending'
                 AND falls_back
             ORDER BY id LIMIT 500 FOR UPDATE SKIP LOCKED)
RETURNING id
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
    doubts: int
    """How often it was handed over and nobody answered."""
    falls_back: bool
    created_at: datetime
    holder: str


async def claim(lane: Lane, holder: str, limit: int) -> Sequence[Delivery]:
    """Take up to ``limit`` deliveries of a lane that are due."""
    rows = await database.fetch(_CLAIM, lane.channel, lane.notifier, holder, LEASE_SECONDS, limit)
    return [_read(row, holder) for row in rows]


async def hand_over(delivery: Delivery, notifier: str, seconds: float) -> None:
    """Write down that a delivery goes out now, and may take so many seconds to be answered.

    Raises:
        LeaseLostError: The lease ran out meanwhile.
    """
    going = await database.execute(
        "UPDATE notification_deliveries SET status = 'sending', reason = $3,"
        " lease_until = now() + make_interval(secs => $4) WHERE id = $1 AND holder = $2 AND status = 'claimed'",
        delivery.id,
        delivery.holder,
        f"handed to {notifier}",
        seconds + MARGIN_SECONDS,
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


async def postpone(delivery: Delivery, reason: str, seconds: float | None = None, *, in_doubt: bool = False) -> None:
    """Have a delivery tried again: after ``seconds`` where the service names them, else after the next back-off.

    ``in_doubt`` notes that it may have arrived.
    """
    wait = BACK_OFF_SECONDS[min(delivery.attempts, len(BACK_OFF_SECONDS)) - 1] if seconds is None else seconds
    await database.execute(
        "UPDATE notification_deliveries SET status = 'pending', reason = $3, holder = '', lease_until = NULL,"
        " due_at = now() + make_interval(secs => $4), doubts = doubts + $5::int WHERE id = $1 AND holder = $2",
        delivery.id,
        delivery.holder,
        reason[:255],
        min(max(wait, 0.0), LONGEST_WAIT_SECONDS),
        int(in_doubt),
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


async def any_left_to_be_mailed() -> bool:
    """Whether a dead process left something on its way that a mail is to take the place of."""
    return bool(
        await database.fetch_value(
            "SELECT EXISTS (SELECT FROM notification_deliveries"
            f" WHERE status IN ('claimed', 'sending') AND lease_until < now() AND {_TO_BE_MAILED})"
        )
    )


async def give_up_left() -> Sequence[int]:
    """End what dead processes left on its way and a mail is to take the place of; return the deliveries' ids."""
    return [row["id"] for row in await database.fetch(_LEFT_TO_BE_MAILED)]


async def any_starving(lane: Lane) -> bool:
    """Whether something waits in a lane that a mail can take the place of."""
    return bool(
        await database.fetch_value(
            "SELECT EXISTS (SELECT FROM notification_deliveries"
            " WHERE channel = $1 AND notifier = $2 AND status = 'pending' AND falls_back)",
            lane.channel,
            lane.notifier,
        )
    )


async def give_up_starving(lane: Lane) -> Sequence[int]:
    """End what waits in a lane and a mail can take the place of; return the deliveries' ids."""
    reason = f"mailed instead: {lane.notifier} takes nothing"
    return [row["id"] for row in await database.fetch(_STARVED, lane.channel, lane.notifier, reason)]


async def due_lanes() -> Sequence[tuple[str, str]]:
    """Return channel and notifier of every lane with something due."""
    rows = await database.fetch(
        "SELECT DISTINCT channel, notifier FROM notification_deliveries WHERE status = 'pending' AND due_at <= now()"
    )
    return [(row["channel"], row["notifier"]) for row in rows]


def _read(row: asyncpg.Record, holder: str) -> Delivery:
    return msgspec.convert({**row, "holder": holder}, Delivery)
