"""The one way a number's connection is written, whoever saw it: a webhook, an answer to us, or the engine."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from core import database
from core.notifications.alarms import clear_alarms
from core.numbers.changes import announce
from core.numbers.phones import phone_of
from core.numbers.telling import tell_changed, tell_owners, tell_restricted
from core.plugin import SenderReport, SenderState

SILENT = "no_acknowledgements"
"""Why a number that its server calls connected is not used; see ``core.numbers.silence``."""
POLL_CONNECTED = "10 minutes"
POLL_CHANGING = "1 minute"
"""Webhooks of messaging servers are lost when those restart, so a state is also asked for now and then."""

_WRITE = f"""
WITH seen AS MATERIALIZED (
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
                         $7::timestamptz[], $8::timestamptz[], $9::timestamptz[])
        AS s(number_id, state, reason, address, phone, name, restricted_until, at, known_at)
), old AS MATERIALIZED (
    SELECT n.id, n.status_connection, n.connection, n.connection_reason, n.restricted_until FROM numbers n
    WHERE n.id = ANY($1::bigint[]) ORDER BY n.id FOR UPDATE
)
UPDATE numbers n SET
    connection = s.state,
    connection_reason = CASE WHEN s.state = 'connected' AND n.silent_until > now() THEN '{SILENT}' ELSE s.reason END,
    status_connection = s.state = 'connected' AND NOT coalesce(n.silent_until > now(), false),
    connection_since = CASE WHEN n.connection = s.state THEN coalesce(n.connection_since, now()) ELSE now() END,
    connection_at = coalesce(s.at, n.connection_at),
    first_connected_at = coalesce(n.first_connected_at, CASE WHEN s.state = 'connected' THEN now() END),
    restricted_until = coalesce(s.restricted_until, n.restricted_until),
    address = coalesce(nullif(s.address, ''), n.address),
    number = coalesce(nullif(s.phone, ''), n.number),
    name = coalesce(nullif(n.name, ''), s.name),
    -- Not all numbers of a server at the same moment.
    poll_at = CASE s.state WHEN 'stopped' THEN NULL
              WHEN 'connected' THEN least(now() + interval '{POLL_CONNECTED}' * (0.9 + random() / 5),
                  CASE WHEN n.silent_until > now() THEN n.silent_until END)
              ELSE now() + interval '{POLL_CHANGING}' END,
    updated_at = now()
FROM seen s JOIN old ON old.id = s.number_id
WHERE n.id = s.number_id AND n.deleted_at IS NULL
  AND CASE WHEN s.at IS NULL THEN n.connection_at IS NOT DISTINCT FROM s.known_at
           ELSE n.connection_at IS NULL OR s.at >= n.connection_at END
RETURNING n.id, n.status_connection, n.status_connection <> old.status_connection AS changed,
    -- A service that says again that a QR code waits has made a new one.
    n.connection <> old.connection OR n.connection_reason <> old.connection_reason
        OR (s.at IS NOT NULL AND s.state <> 'connected') AS seen,
    n.restricted_until > now() AND NOT coalesce(old.restricted_until > now(), false) AS restricted
"""
_STATES = frozenset(state.value for state in SenderState)


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody saw of one number's connection.

    An event has the service's own time ``at``, and an older one never replaces a newer one. An answer that we asked
    for has ``known_at`` instead, the time of the last event when we asked, and gives way to any event that came
    meanwhile. The clocks of service and platform are never compared.
    """

    number_id: int
    state: str
    reason: str = ""
    address: str = ""
    name: str = ""
    restricted_until: datetime | None = None
    at: datetime | None = None
    known_at: datetime | None = None


async def write_sightings(sightings: Sequence[Sighting]) -> None:
    """Write at most one sighting of each number; what is older than the last event is passed over."""
    async with database.unit_of_work():
        rows = await database.fetch(
            _WRITE,
            [seen.number_id for seen in sightings],
            [known_state(seen.state) for seen in sightings],
            ["" if seen.state == SenderState.CONNECTED else seen.reason[:255] for seen in sightings],
            [seen.address[:120] for seen in sightings],
            [phone_of(seen.address) for seen in sightings],
            [seen.name[:120] for seen in sightings],
            [seen.restricted_until for seen in sightings],
            [seen.at for seen in sightings],
            [seen.known_at for seen in sightings],
        )
        changed = [row["id"] for row in rows if row["changed"]]
        if changed:
            await announce(changed)
        await tell_restricted([row["id"] for row in rows if row["restricted"]])
        seen = [row["id"] for row in rows if row["seen"] and not row["changed"]]
        if seen:
            await tell_changed(seen)
            await tell_owners(seen)
        connected = [row["id"] for row in rows if row["changed"] and row["status_connection"]]
        if connected:
            await clear_alarms("number", connected, ["number_failed"])


async def last_event_at(number_id: int) -> datetime | None:
    """Return the service's time of the last event about a number's connection; read it before asking the service."""
    moment = await database.fetch_value("SELECT connection_at FROM numbers WHERE id = $1", number_id)
    return moment if isinstance(moment, datetime) else None


async def write_report(number_id: int, report: SenderReport, known_at: datetime | None) -> None:
    """Write what the service answered about a number; ``known_at`` is ``last_event_at`` from before it was asked."""
    sighting = Sighting(
        number_id=number_id,
        state=report.state,
        reason=report.raw,
        address=report.address,
        name=report.name,
        restricted_until=report.restricted_until,
        known_at=known_at,
    )
    await write_sightings([sighting])


def known_state(state: str) -> str:
    """Return ``state``, or ``needs_person`` for one that no version of the platform knows."""
    return state if state in _STATES else SenderState.NEEDS_PERSON
