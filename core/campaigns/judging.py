"""Judging an audience: who of it gets a campaign at this moment, and why the others are left out."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import msgspec

from core import database
from core.campaigns.entropy_schemas import EntropyLimit
from core.campaigns.frozen import variables_of
from core.campaigns.pacing import period_key
from core.campaigns.rendering import compile_template
from core.campaigns.renderings import SAMPLE, Sample, read_sample
from core.campaigns.schemas import CampaignSettings
from core.campaigns.tables import CampaignStatus
from core.contacts.audience import audience_conditions
from core.contacts.zones import PREFIX_DIGITS, zone_of

EVERYBODY = 2**31 - 1
STARTED = (CampaignStatus.RUNNING, CampaignStatus.PAUSED)
FOUND_FOR = timedelta(days=30)
ABSENT_FOR = timedelta(days=1)
"""How long the answer of a number check counts; people join, so an absent number is asked about sooner."""

AREAS = """
SELECT DISTINCT left(n.number, $4) AS prefix, length(n.number) AS digits FROM (
    SELECT c.number FROM contacts c WHERE c.user_id = $1 AND {audience} ORDER BY c.id LIMIT $3) n
WHERE n.number <> ''
"""

JUDGED = """
WITH c AS MATERIALIZED (
    SELECT c.id, c.number, c.name, c.variables, c.status, c.blocked_at, c.type FROM contacts c
    WHERE c.user_id = $2 AND {audience} ORDER BY c.id LIMIT $4
), resolved AS (
    SELECT c.*, CASE WHEN a.found THEN a.address ELSE g.address END AS known_address,
        NOT a.found AS absent, b.id IS NOT NULL AS is_blocked
    FROM c
    LEFT JOIN number_checks a ON a.provider = $5 AND a.number = c.number
        AND a.checked_at > $1::timestamptz - CASE WHEN a.found THEN $6::interval ELSE $7::interval END
    LEFT JOIN contact_addresses g ON g.contact_id = c.id AND g.provider = $5
        AND g.number IN ('', coalesce(c.number, '')) {addressed}
    LEFT JOIN block_contacts b ON b.user_id = $2 AND b.number = c.number
), judged AS (
    SELECT r.*, CASE
        WHEN status <> 1 THEN 'contact_inactive'
        WHEN blocked_at IS NOT NULL THEN 'opted_out'
        WHEN is_blocked THEN 'blocked'
        WHEN type = 2 AND coalesce(known_address, '') = '' THEN 'no_address'
        WHEN coalesce(number, '') = '' AND coalesce(known_address, '') = '' THEN CASE WHEN EXISTS (
            SELECT FROM contact_addresses o WHERE o.contact_id = r.id AND o.address <> '') THEN 'no_address'
            ELSE 'no_number' END
        WHEN absent THEN 'no_whatsapp'
    END AS refused
    FROM resolved r
), repeated AS (
    SELECT id FROM (
        SELECT id, row_number() OVER (PARTITION BY known_address ORDER BY id) AS place
        FROM judged WHERE known_address <> '' AND refused IS NULL) p WHERE place > 1
), single AS (
    SELECT j.*, CASE WHEN refused IS NOT NULL THEN refused
        WHEN p.id IS NOT NULL OR t.taken THEN 'duplicate_address' END AS skip
    FROM judged j LEFT JOIN repeated p ON p.id = j.id
    -- With a limit, so that each known address is looked up by the index: else all rows before would be read.
    LEFT JOIN LATERAL (
        SELECT true AS taken FROM message_by_contacts d WHERE j.known_address <> ''
            AND d.message_id = ($8::bigint[])[1] AND d.provider_address = j.known_address LIMIT 1) t ON true
), counted AS (
    SELECT j.*, $9::bigint {used} AS room_after FROM single j
), final AS (
    SELECT *, coalesce(skip, CASE WHEN room_after < 0 THEN 'over_plan' END) AS reason,
        CASE WHEN $11::text IS NOT NULL THEN
            coalesce($12::jsonb ->> (length(number) || ':' || left(number, $13::int)), $11::text) END AS zone,
        CASE WHEN skip IS NULL AND room_after >= 0 AND cardinality($10::bigint[]) > 0 THEN (
            SELECT v.number_id FROM conversations v WHERE v.contact_id = counted.id
                AND v.number_id = ANY($10::bigint[])
            ORDER BY v.last_inbound_at DESC LIMIT 1) END AS sticky_id
    FROM counted
)
"""
"""Judges every contact of an audience: the plan of a draft asks it too, so that both leave out the same people."""
JUDGED_PARAMETERS = 13
USED = "- cardinality($8::bigint[]) * (count(*) FILTER (WHERE skip IS NULL) OVER (ORDER BY id))"
"""What is gone of the room in a plan after a contact; where there is room for all of them nobody counts."""

ADDRESSED = "AND (c.number IS NULL OR c.number = '')"
"""Whose stored address counts while numbers are checked: the check's answer is newer than an address book's."""

SAMPLED = """
, included AS (SELECT id, name, number, variables FROM final WHERE reason IS NULL)
SELECT f.id AS contact_id, {variables} AS variables, (SELECT count(*) FROM included) AS contacts
FROM (SELECT * FROM included ORDER BY hashint8extended(id, 0) LIMIT $15) f ORDER BY hashint8extended(f.id, 0)
"""


class Place(msgspec.Struct):
    """Where in an audience a judgement begins: after the contact ``last_id``, with ``included`` ones before it."""

    last_id: int = 0
    included: int = 0


class Plan(msgspec.Struct, frozen=True):
    """What a freeze reads once."""

    user_id: int
    version: int
    entropy: EntropyLimit | None
    audience: str
    audience_args: list[object]
    provider: str
    checked: bool
    """Numbers are looked up before they are written to."""
    message_ids: list[int]
    names: list[str]
    room: int
    """Messages the tenant's plan has left this month."""
    sticky: list[int]
    """The campaign's numbers, where a contact shall get the one it last wrote to."""
    areas: str
    """The audience once more, for ``AREAS``; empty where nobody asks for recipients' time zones."""
    timezone: str
    """The tenant's, for whoever has no zone of their own."""


async def read_plan(campaign_id: int, now: datetime, statuses: Sequence[int], *, own: int = 0) -> Plan | None:
    """Read what a freeze at ``now`` needs; ``None`` when the campaign is frozen or in none of ``statuses``.

    ``own`` counts the arguments of the caller's query between those of ``JUDGED`` and those of the audience.

    Raises:
        InvalidInputError: It names neither audiences nor labels.
        NotFoundError: Its audience is gone.
    """
    row = await database.fetch_row(
        "SELECT k.user_id, k.public_id, k.settings, k.version, u.timezone,"
        " (SELECT array_agg(c.number_id) FROM campaign_numbers c WHERE c.campaign_id = k.id) AS number_ids,"
        " CASE WHEN u.profile = 'administrator' OR p.unlimited THEN NULL WHEN p.id IS NULL THEN 0"
        "  ELSE p.monthly_messages END AS monthly_messages,"
        " (SELECT s.provider FROM campaign_numbers c JOIN numbers n ON n.id = c.number_id"
        "  JOIN servers s ON s.id = n.server_id WHERE c.campaign_id = k.id ORDER BY c.id LIMIT 1) AS provider,"
        " EXISTS (SELECT FROM campaign_numbers c JOIN numbers n ON n.id = c.number_id"
        "  JOIN servers s ON s.id = n.server_id WHERE c.campaign_id = k.id"
        "  AND s.capabilities ->> 'number_check' <> 'none') AS can_check,"
        " (SELECT array_agg(id ORDER BY position) FROM messages m WHERE m.campaign_id = k.id"
        "  AND m.deleted_at IS NULL) AS message_ids,"
        " (SELECT array_agg(content) FROM messages m WHERE m.campaign_id = k.id AND m.deleted_at IS NULL) AS contents"
        " FROM campaigns k JOIN users u ON u.id = k.user_id LEFT JOIN plans p ON p.id = u.plan_id"
        " WHERE k.id = $1 AND k.frozen_at IS NULL AND k.status = ANY($2::smallint[])",
        campaign_id,
        list(statuses),
    )
    if row is None:
        return None
    names = sorted(set().union(*(compile_template(content).names for content in row["contents"])))
    settings = msgspec.json.decode(row["settings"], type=CampaignSettings)
    wanted: dict[str, Any] = {
        "user_id": row["user_id"],
        "public_id": row["public_id"],
        "labels": msgspec.to_builtins(settings.labels) if settings.labels is not None else None,
        "audiences": settings.audiences,
    }
    audience, args = await audience_conditions(**wanted, first_parameter=JUDGED_PARAMETERS + own + 1, after="$3")
    by_zone = settings.pacing is not None and settings.pacing.window_zone == "recipient"
    number_ids = row["number_ids"] or []
    return Plan(
        user_id=row["user_id"],
        version=row["version"],
        entropy=settings.entropy,
        audience=audience,
        audience_args=args,
        provider=row["provider"],
        checked=settings.check_numbers and row["can_check"],
        message_ids=row["message_ids"],
        names=names,
        room=await _room_of(row, now),
        sticky=number_ids if settings.sticky and len(number_ids) > 1 else [],
        areas=(await audience_conditions(**wanted, first_parameter=5, after="$2"))[0] if by_zone else "",
        timezone=row["timezone"],
    )


async def _room_of(row: asyncpg.Record, now: datetime) -> int:
    """Return how many messages the tenant's plan has left this month."""
    allowed = row["monthly_messages"]
    if allowed is None:
        return 2**62
    month = period_key(now, ZoneInfo(row["timezone"]), "month")
    used = await database.fetch_value(
        "SELECT used FROM send_counters WHERE scope = 'plan' AND scope_id = $1 AND period = $2", row["user_id"], month
    )
    return int(str(allowed)) - (used if isinstance(used, int) else 0)


def used_room(plan: Plan, place: Place, limit: int) -> str:
    """Return what ``JUDGED`` takes off the room for the next ``limit`` contacts; nothing where all of them fit."""
    return USED if plan.room < (place.included + limit) * len(plan.message_ids) else ""


def addressed(plan: Plan) -> str:
    """Return whose stored address ``JUDGED`` takes; everybody's where numbers are not looked up."""
    return ADDRESSED if plan.checked else ""


def judged_args(plan: Plan, place: Place, limit: int, areas: Mapping[str, str], now: datetime) -> tuple[object, ...]:
    """Return the arguments of ``JUDGED`` for the next ``limit`` contacts, the audience's own left out."""
    return (
        now,
        plan.user_id,
        place.last_id,
        limit,
        plan.provider,
        FOUND_FOR,
        ABSENT_FOR,
        plan.message_ids,
        plan.room - place.included * len(plan.message_ids),
        plan.sticky,
        plan.timezone if plan.areas else None,
        database.encode_json(areas),
        PREFIX_DIGITS,
    )


async def find_zones(plan: Plan, last_id: int, limit: int) -> dict[str, str]:
    """Find the time zones of the next contacts' numbers, by ``digits:prefix``."""
    rows = await database.fetch(
        AREAS.format(audience=plan.areas), plan.user_id, last_id, limit, PREFIX_DIGITS, *plan.audience_args
    )
    return {
        f"{row['digits']}:{row['prefix']}": zone_of(row["prefix"].ljust(row["digits"], "0")) or plan.timezone
        for row in rows
    }


async def sample_audience(campaign_id: int, names: Sequence[str], now: datetime) -> Sample:
    """Judge an audience as ``judge`` does; return some of whom a freeze would include, with the variables ``names``."""
    tail = SAMPLED.format(variables=variables_of(names, "$14"))
    return read_sample(await judge(campaign_id, now, tail, (list(names), SAMPLE)))


async def judge(campaign_id: int, now: datetime, tail: str, args: Sequence[object] = ()) -> list[asyncpg.Record]:
    """Judge the audience of a campaign not begun yet as a freeze at ``now`` would, writing nothing.

    ``tail`` is the query over ``final``, which has a row for each contact: ``reason``, ``zone``, ``sticky_id``; its
    own ``args`` begin at ``$14``.

    Raises:
        InvalidInputError: It names neither audiences nor labels.
        NotFoundError: Its audience is gone.
    """
    plan = await read_plan(campaign_id, now, (CampaignStatus.DRAFT, *STARTED), own=len(args))
    if plan is None:
        return []
    areas = await find_zones(plan, 0, EVERYBODY) if plan.areas else {}
    place = Place()
    used = used_room(plan, place, EVERYBODY)
    query = JUDGED.format(audience=plan.audience, used=used, addressed=addressed(plan)) + tail
    judged = judged_args(plan, place, EVERYBODY, areas, now)
    return list(await database.fetch(query, *judged, *args, *plan.audience_args))
