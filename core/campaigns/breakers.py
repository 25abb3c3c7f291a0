"""The circuit breaker of each messaging server: its faults stop every lane on it, and one message tries it again.

Only what a server did wrong counts, never a refusal of one recipient, and a stopped lane burns no try of any row.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

import msgspec

from core import database

BREAKER_SECONDS = (2.0, 5.0, 15.0, 30.0, 60.0)
"""How long nothing is tried after the first, second, ... fault in a row."""
UNKNOWN_IN_A_ROW = 3
"""So many lost answers of a server after another are a fault of it."""
PROBE = timedelta(seconds=30)
"""How long the message that tries a server again keeps the others waiting, unless its answer comes sooner."""


class Breaker(msgspec.Struct, frozen=True):
    """A server that failed."""

    failures: int
    open_until: datetime


def back_off(failures: int) -> float:
    """Return how many seconds to wait after a fault that follows ``failures`` others."""
    return BREAKER_SECONDS[min(failures, len(BREAKER_SECONDS) - 1)]


async def load(server_ids: Collection[int]) -> dict[int, Breaker]:
    """Return the breakers of those servers that failed and were not seen working since."""
    rows = await database.fetch(
        "SELECT server_id, failures, open_until FROM server_breakers"
        " WHERE server_id = ANY($1::bigint[]) AND open_until IS NOT NULL",
        sorted(server_ids),
    )
    return {row["server_id"]: Breaker(row["failures"], row["open_until"]) for row in rows}


async def trip(now: datetime, server_id: int, seconds: float, reason: str) -> Breaker:
    """Try nothing on a server for ``seconds``; faults of messages that were in the air together count as one."""
    row = await database.fetch_row(
        "INSERT INTO server_breakers AS b (server_id, failures, open_until, reason) VALUES ($1, 1, $3, $4)"
        " ON CONFLICT (server_id) DO UPDATE SET reason = excluded.reason,"
        " failures = b.failures + CASE WHEN coalesce(b.open_until, '-infinity') <= $2 OR b.failures = 0 THEN 1"
        " ELSE 0 END, open_until = greatest(b.open_until, excluded.open_until)"
        " RETURNING failures, open_until",
        server_id,
        now,
        now + timedelta(seconds=seconds),
        reason,
    )
    if row is None:
        raise LookupError(server_id)
    return Breaker(row["failures"], row["open_until"])


async def probe(now: datetime, server_ids: Collection[int]) -> set[int]:
    """Win the right to try servers whose time is up with one message; whoever loses waits for the winner."""
    rows = await database.fetch(
        "UPDATE server_breakers SET open_until = $2 WHERE server_id IN (SELECT server_id FROM server_breakers"
        " WHERE server_id = ANY($3::bigint[]) AND open_until <= $1 ORDER BY server_id FOR UPDATE) RETURNING server_id",
        now,
        now + PROBE,
        sorted(server_ids),
    )
    return {row["server_id"] for row in rows}


async def give_back(now: datetime, server_ids: Sequence[int]) -> None:
    """Let somebody else try: the winners had nothing to send."""
    await database.execute(
        "UPDATE server_breakers SET open_until = $1 WHERE server_id = ANY($2::bigint[]) AND open_until > $1",
        now,
        list(server_ids),
    )


async def close(now: datetime, server_id: int) -> None:
    """Forget the faults of a server that works, and look at every lane on it."""
    closed = await database.execute(
        "UPDATE server_breakers SET failures = 0, open_until = NULL, reason = '' WHERE server_id = $1"
        " AND open_until IS NOT NULL",
        server_id,
    )
    if closed:
        await database.execute(
            "UPDATE lanes SET wakes = wakes + 1, due_at = least(coalesce(due_at, $2), $2) WHERE number_id IN ("
            " SELECT l.number_id FROM lanes l JOIN numbers n ON n.id = l.number_id WHERE n.server_id = $1"
            " ORDER BY l.number_id FOR UPDATE OF l)",
            server_id,
            now,
        )


class ServerBreakers:
    """The breakers as one process knows them, for the servers whose lanes it holds."""

    def __init__(self) -> None:
        self._known: dict[int, Breaker] = {}
        self._lost: dict[int, int] = {}
        """Lost answers in a row, by server."""

    async def refresh(self, server_ids: Collection[int]) -> None:
        """Read what other processes wrote."""
        self._known = await load(server_ids) if server_ids else {}

    def open_until(self, server_id: int, now: datetime) -> datetime | None:
        """Return until when nothing may be tried on a server, ``None`` when it may."""
        breaker = self._known.get(server_id)
        return breaker.open_until if breaker is not None and breaker.open_until > now else None

    async def win_probes(self, now: datetime, server_ids: Collection[int]) -> set[int]:
        """Of the servers that failed and whose time is up, return those this process may try with one message."""
        failed = {server_id for server_id in server_ids if server_id in self._known} - {
            server_id for server_id in server_ids if self.open_until(server_id, now)
        }
        if not failed:
            return set()
        won = await probe(now, failed)
        for server_id in failed:
            self._known[server_id] = Breaker(self._known[server_id].failures, now + PROBE)
        return won

    async def give_back(self, now: datetime, server_ids: Sequence[int]) -> None:
        """Let another lane try: there was nothing to send."""
        await give_back(now, server_ids)
        for server_id in server_ids:
            self._known[server_id] = Breaker(self._known[server_id].failures, now)

    async def lost_answer(self, now: datetime, server_id: int) -> None:
        """Count an answer that never came; several in a row are a fault."""
        self._lost[server_id] = self._lost.get(server_id, 0) + 1
        if self._lost[server_id] >= UNKNOWN_IN_A_ROW:
            await self.fault(now, server_id, 0.0, "lost_answers")

    async def fault(self, now: datetime, server_id: int, pause_seconds: float, reason: str) -> None:
        """Stop every lane of a server for as long as it asked, or for the usual time."""
        known = self._known.get(server_id)
        if known is not None and known.open_until > now and not pause_seconds:
            return
        seconds = pause_seconds or back_off(known.failures if known is not None else 0)
        self._known[server_id] = await trip(now, server_id, seconds, reason)

    async def works(self, now: datetime, server_id: int) -> None:
        """A server answered as it should."""
        self._lost.pop(server_id, None)
        if self._known.pop(server_id, None) is not None:
            await close(now, server_id)
