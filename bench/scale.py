"""An audience of a million beside the bare statement, and beside an audience of a thousand."""

import asyncio
import secrets
import statistics
import time
from collections.abc import Awaitable, Callable

import msgspec

from bench.dispatch import Tenant, make_tenant, sink, worker_process
from bench.lanes import peak_mb
from core import database
from core.campaigns import editing, freeze, queries, services
from core.campaigns.schemas import CampaignCreate, CampaignSettings, MessageCreate
from core.campaigns.tables import CampaignType
from core.jobs import leasing

MILLION = 1_000_000
THOUSAND = 1_000
ROUNDS = 15
PAIRS = 5
SENT = THOUSAND
HANDLERS = (freeze.freeze,)
"""Registered by their import, as in a worker."""
BARE = """
INSERT INTO message_by_contacts (user_id, campaign_id, message_id, contact_id, address, variables, due_at, created_at,
    updated_at)
SELECT c.user_id, $1, $2, c.id, c.number, jsonb_build_object('nome', c.name), now(), now(), now()
FROM public_by_contacts p JOIN contacts c ON c.id = p.contact_id WHERE p.public_id = $3
"""


class Scale(msgspec.Struct, frozen=True):
    """Seconds of freeze and bare statement in pairs, and the median seconds of each call: (million, thousand)."""

    freezes: list[tuple[float, float]]
    peaks_mb: tuple[float, float]
    """Memory of a worker that sends some messages of each campaign."""
    calls: dict[str, tuple[float, float]]


async def measure() -> Scale:
    """Freeze a million recipients, then compare the calls and the workers."""
    with sink() as sink_url:
        return await _measure(await make_tenant(sink_url))


async def _measure(tenant: Tenant) -> Scale:
    await database.execute(
        "INSERT INTO contacts (user_id, number, name) SELECT $1, (5521900000000 + n)::text, 'Contato ' || n"
        " FROM generate_series(1, $2::int) n",
        tenant.user_id,
        MILLION,
    )
    publics = [await _public(tenant, size) for size in (MILLION, THOUSAND)]
    await database.execute("VACUUM ANALYZE contacts, public_by_contacts")
    campaigns = [await _draft(tenant, public_id) for public_id in publics]
    freezes = []
    for place in range(PAIRS):
        bare = await _bare(tenant, publics[0])
        campaign_id = campaigns[0] if place == PAIRS - 1 else await _draft(tenant, publics[0])
        freezes.append((await _frozen(tenant, campaign_id), bare))
        if campaign_id != campaigns[0]:
            await database.execute("TRUNCATE message_by_contacts")
    await _frozen(tenant, campaigns[1])
    await database.execute("VACUUM ANALYZE message_by_contacts")
    user_id = tenant.user_id
    calls = {
        "start_1m_vs_1k": await _compare(
            [await _draft(tenant, publics[place % 2]) for place in range(2 * ROUNDS)],
            lambda campaign_id: services.start_campaign(user_id, campaign_id),
        ),
        "pause_1m_vs_1k": await _compare(campaigns * ROUNDS, lambda one: _paused(user_id, one)),
        "progress_1m_vs_1k": await _compare(campaigns * ROUNDS, lambda one: queries.get_campaign(user_id, one)),
    }
    for campaign_id in campaigns:
        await services.pause_campaign(user_id, campaign_id)
    return Scale(freezes, (await _peak(user_id, campaigns[0]), await _peak(user_id, campaigns[1])), calls)


async def _peak(user_id: int, campaign_id: int) -> float:
    """Let a worker send ``SENT`` messages of a paused campaign; return its peak memory in megabytes."""
    await services.resume_campaign(user_id, campaign_id)
    with worker_process() as process:
        while await database.fetch_value(  # noqa: ASYNC110 - another process works
            "SELECT coalesce(sum(accepted), 0) < $2 FROM campaign_counters WHERE campaign_id = $1", campaign_id, SENT
        ):
            await asyncio.sleep(0.1)
        peak = peak_mb(process.pid)
    await services.pause_campaign(user_id, campaign_id)
    return peak


async def _public(tenant: Tenant, size: int) -> int:
    public_id = await database.fetch_value(
        "INSERT INTO publics (user_id, name, type) VALUES ($1, $2, 1) RETURNING id",
        tenant.user_id,
        secrets.token_hex(4),
    )
    await database.execute(
        "INSERT INTO public_by_contacts (public_id, contact_id)"
        " SELECT $1, id FROM contacts WHERE user_id = $2 ORDER BY id DESC LIMIT $3",
        public_id,
        tenant.user_id,
        size,
    )
    return int(str(public_id))


async def _draft(tenant: Tenant, public_id: int) -> int:
    draft = CampaignCreate(
        name="Bench",
        type=CampaignType.CUSTOM,
        number_ids=(tenant.number_id,),
        public_id=public_id,
        settings=CampaignSettings(check_numbers=False),
        messages=(MessageCreate(content="Oi {{ nome }}"),),
    )
    return await editing.create_campaign(tenant.user_id, draft)


async def _bare(tenant: Tenant, public_id: int) -> float:
    """Write the same rows with one statement into the same table, indexes and constraints; then empty it."""
    campaign_id = await _draft(tenant, public_id)
    message_id = await database.fetch_value("SELECT id FROM messages WHERE campaign_id = $1", campaign_id)
    begun = time.perf_counter()
    await database.execute(BARE, campaign_id, message_id, public_id)
    seconds = time.perf_counter() - begun
    await database.execute("TRUNCATE message_by_contacts")
    return seconds


async def _frozen(tenant: Tenant, campaign_id: int) -> float:
    await services.start_campaign(tenant.user_id, campaign_id)
    job_id = await database.fetch_value(
        "SELECT id FROM jobs WHERE subject_id = $1 AND kind = 'campaigns.freeze'", campaign_id
    )
    begun = time.perf_counter()
    await leasing.run_job(int(str(job_id)))
    return time.perf_counter() - begun


async def _paused(user_id: int, campaign_id: int) -> None:
    await services.pause_campaign(user_id, campaign_id)
    await services.resume_campaign(user_id, campaign_id)


async def _compare(campaigns: list[int], call: Callable[[int], Awaitable[object]]) -> tuple[float, float]:
    """Call for the large and the small campaign in turns; return the median seconds of each."""
    taken: tuple[list[float], list[float]] = ([], [])
    for place, campaign_id in enumerate(campaigns):
        begun = time.perf_counter()
        await call(campaign_id)
        taken[place % 2].append(time.perf_counter() - begun)
        await asyncio.sleep(0)
    return statistics.median(taken[0]), statistics.median(taken[1])
