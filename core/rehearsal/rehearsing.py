"""One rehearsal from the copy to the comparison."""

import asyncio
import datetime as dt
import importlib
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from datetime import datetime
from typing import cast

import msgspec
import uvicorn

from core import database
from core.campaigns import flight_plan, lanes, services
from core.campaigns.schemas import FlightPlan
from core.campaigns.tables import CampaignStatus
from core.campaigns.virtual import Standing, run_virtually, virtual_clock
from core.clock import VirtualClock, virtual_time
from core.config import PlatformConfig
from core.errors import ConflictError, InvalidInputError, OperatorError
from core.numbers.credentials import seal
from core.numbers.servers import probe_server
from core.plugin.messaging import MessagingProvider
from core.plugin.registry import NoSuchProviderError
from core.plugin.stage import ASGIApp, SimulatorModule, Stage
from core.problems import detail_of
from core.rehearsal.scratch import copied
from core.runtime import providers
from core.startup import running_process
from core.worker import load_actors

SPARE_PHONE = "1555{:07d}"
"""For numbers that were never signed in."""

HAPPENED = """
SELECT m.number_id, (m.claimed_at AT TIME ZONE u.timezone)::date AS date, count(*) AS messages,
    min(m.claimed_at) AS begins_at, max(m.claimed_at) AS ends_at
FROM message_by_contacts m JOIN users u ON u.id = m.user_id
WHERE m.campaign_id = $1 AND m.claimed_at >= $2 AND m.state IN ('accepted', 'sent', 'unknown')
GROUP BY 1, 2 ORDER BY 1, 2
"""

CONNECTED = """
UPDATE numbers SET status_connection = true, connection = 'connected', poll_at = NULL,
    first_connected_at = coalesce(first_connected_at, $1)
"""


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """What one number sent on one calendar day of the tenant's zone."""

    number_id: int
    date: dt.date
    messages: int
    begins_at: datetime
    ends_at: datetime


class Happened(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the copy."""

    standing: Standing
    days: list[Day]
    ends_at: datetime | None
    """When the last message left."""
    excluded: Mapping[str, int]
    """Reason to contacts that got nothing."""
    states: Mapping[str, int]
    """State, with its reason behind a colon, to messages."""


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """The plan beside what happened."""

    begins_at: datetime
    timezone: str
    """The tenant's."""
    plan: FlightPlan
    happened: Happened


async def rehearse(
    config: PlatformConfig, campaign_id: int, *, faults: float = 0.0, tell: Callable[[str], None] = lambda _line: None
) -> Rehearsal:
    """Run a copy of a campaign against its provider's simulator on a virtual clock; ``tell`` gets lines of progress.

    ``faults`` is the share of sends that fail.

    Raises:
        OperatorError: There is no such campaign, it cannot be planned, or its provider has no simulator for this.
    """
    tell("Copying the campaign ...")
    async with copied(config, campaign_id) as (scratch, user_id), running_process(scratch):
        load_actors()
        begin = await _begin(campaign_id)
        clock = virtual_clock(begin)
        async with _stages(begin, campaign_id, faults, clock):
            with virtual_time(clock):
                try:
                    plan = await flight_plan.plan_campaign(user_id, campaign_id)
                    tell(f"Sending {plan.messages} messages to the simulator ...")
                    await _go(user_id, campaign_id, clock)
                except (ConflictError, InvalidInputError) as refusal:
                    raise OperatorError(f"Campaign {campaign_id} cannot be rehearsed: {_told(refusal)}") from None
                standing = await run_virtually(campaign_id, clock, scratch.worker.send_slots)
        return Rehearsal(
            begins_at=begin,
            timezone=str(await database.fetch_value("SELECT timezone FROM users WHERE id = $1", user_id)),
            plan=plan,
            happened=await _happened(campaign_id, begin, standing),
        )


def _told(refusal: ConflictError | InvalidInputError) -> str:
    if isinstance(refusal, InvalidInputError):
        return "; ".join(f"{field}: {' '.join(map(str, texts))}" for field, texts in refusal.errors.items())
    return detail_of(refusal, "en")


async def _begin(campaign_id: int) -> datetime:
    """Return when the campaign begins: at its date, if it has not begun, else now."""
    now = await services.current_time()
    starts_at = await database.fetch_value(
        "SELECT schedule_date FROM campaigns WHERE id = $1 AND (status = 1 OR started_at IS NULL)", campaign_id
    )
    return max(now, starts_at) if isinstance(starts_at, datetime) else now


async def _go(user_id: int, campaign_id: int, clock: VirtualClock) -> None:
    """Start the copy, or let it go on where the campaign is."""
    row = await database.fetch_row("SELECT status, started_at FROM campaigns WHERE id = $1", campaign_id)
    if row is not None and row["started_at"] is not None and row["status"] != CampaignStatus.DRAFT:
        if row["status"] == CampaignStatus.PAUSED:
            await services.resume_campaign(user_id, campaign_id)
        await database.execute("UPDATE lanes SET holder = NULL, lease_until = NULL")
        await lanes.wake(campaign_id, clock.now())
        return
    await database.execute(
        "UPDATE campaigns SET status = 1, status_reason = 'draft', schedule_date = NULL WHERE id = $1", campaign_id
    )
    await services.start_campaign(user_id, campaign_id)


async def _happened(campaign_id: int, begin: datetime, standing: Standing) -> Happened:
    days = await database.fetch(HAPPENED, campaign_id, begin)
    excluded = await database.fetch(
        "SELECT reason, count(*) AS contacts FROM message_by_contacts"
        " WHERE campaign_id = $1 AND position = 1 AND state = 'skipped' GROUP BY reason",
        campaign_id,
    )
    states = await database.fetch(
        "SELECT concat_ws(': ', state, nullif(reason, '')) AS state, count(*) AS messages FROM message_by_contacts"
        " WHERE campaign_id = $1 GROUP BY 1 ORDER BY 2 DESC",
        campaign_id,
    )
    return Happened(
        standing=standing,
        days=[Day(**row) for row in days],
        ends_at=max((row["ends_at"] for row in days), default=None),
        excluded={row["reason"]: row["contacts"] for row in excluded},
        states={row["state"]: row["messages"] for row in states},
    )


@asynccontextmanager
async def _stages(begin: datetime, campaign_id: int, faults: float, clock: VirtualClock) -> AsyncIterator[None]:
    """Put a simulator in the place of every server of the copy, with the campaign's numbers signed in."""
    servers = await database.fetch("SELECT id, provider FROM servers ORDER BY id")
    running: list[tuple[uvicorn.Server, asyncio.Task[None]]] = []
    try:
        for row in servers:
            numbers = await database.fetch("SELECT id, instance, number FROM numbers WHERE server_id = $1", row["id"])
            phones = {
                number["instance"]: number["number"] or SPARE_PHONE.format(number["id"] % 10_000_000)
                for number in numbers
            }
            stage = _stage_of(row["provider"], phones, faults=faults, seed=campaign_id, now=clock.now)
            server, task, url = await _serve(stage.app)
            running.append((server, task))
            await database.execute(
                "UPDATE servers SET url = $2, credentials = $3, deleted_at = NULL WHERE id = $1",
                row["id"],
                url,
                seal(stage.credentials),
            )
            await probe_server(row["id"])
        await database.execute(CONNECTED, begin)
        yield
    finally:
        for server, task in running:
            server.should_exit = True
            await task


def _stage_of(
    provider_name: str, phones: Mapping[str, str], *, faults: float, seed: int, now: Callable[[], datetime]
) -> Stage:
    try:
        provider = providers().messaging(provider_name)
        module = importlib.import_module(_simulator_of(provider))
        return cast("SimulatorModule", module).create_stage(phones, faults=faults, seed=seed, now=now)
    except NoSuchProviderError as error:
        raise OperatorError(str(error)) from None
    except (ModuleNotFoundError, AttributeError):
        raise OperatorError(f"The provider {provider_name} has no simulator with a stage for rehearsals.") from None


def _simulator_of(provider: MessagingProvider) -> str:
    """Name the module ``simulator`` that stands beside a provider's."""
    return f"{type(provider).__module__.rpartition('.')[0]}.simulator"


class _Server(uvicorn.Server):
    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        """Leave the signals to the command."""
        return nullcontext()


async def _serve(app: ASGIApp) -> tuple[uvicorn.Server, asyncio.Task[None], str]:
    listening = socket.create_server(("127.0.0.1", 0))
    server = _Server(uvicorn.Config(app, log_config=None, log_level="critical", access_log=False, ws="none"))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        if task.done():
            task.result()
        await asyncio.sleep(0.005)
    return server, task, f"http://127.0.0.1:{listening.getsockname()[1]}"
