from datetime import timedelta

import pytest

from core import database
from core.campaigns import editing, scheduling, services
from core.campaigns.events import wake_lanes
from core.campaigns.explain import explain
from core.campaigns.schemas import CampaignUpdate
from core.campaigns.sweep import sweep
from core.campaigns.waiting import begin_connected
from tests.core.campaigns.making import (
    Made,
    campaign_row,
    make_campaign,
    make_number,
    now,
    run_jobs,
    standing,
    states,
)
from tests.factories import Member

WAITS = (2, "waiting_for_connection")
BEGUN = (2, "freezing")


@pytest.fixture
async def waits(user: Member) -> Made:
    """A campaign on two numbers, started while none of them is connected."""
    made = await make_campaign(user, numbers=2)
    await _connect(made.number_ids, connected=False)
    await services.start_campaign(user.id, made.id)
    return made


async def _connect(number_ids: list[int], *, connected: bool = True) -> None:
    await database.execute(
        "UPDATE numbers SET status_connection = $2 WHERE id = ANY($1::bigint[])", number_ids, connected
    )


async def _jobs(made: Made) -> list[str]:
    return [row["kind"] for row in await database.fetch("SELECT kind FROM jobs WHERE subject_id = $1", made.id)]


async def test_a_start_without_a_connection_waits_and_freezes_nothing(waits: Made) -> None:
    assert await standing(waits.id) == WAITS
    assert (await campaign_row(waits.id))["started_at"] is None
    assert await _jobs(waits) == []


async def test_one_connected_number_is_enough(user: Member) -> None:
    made = await make_campaign(user, numbers=2)
    await _connect(made.number_ids[:1], connected=False)
    await services.start_campaign(user.id, made.id)
    assert await standing(made.id) == BEGUN


async def test_begins_when_a_number_connects(waits: Made) -> None:
    async with database.unit_of_work():
        await _connect(waits.number_ids[1:])
        await wake_lanes(waits.number_ids[1:])
    assert await standing(waits.id) == BEGUN
    await run_jobs(waits.id)
    assert await states(waits.id) == ["pending"] * 3
    assert await _jobs(waits) == ["campaigns.freeze"]


async def test_the_sweep_finds_a_connection_that_nobody_announced(waits: Made) -> None:
    await sweep(await now())
    assert await standing(waits.id) == WAITS
    await _connect(waits.number_ids[:1])
    await sweep(await now())
    assert await standing(waits.id) == BEGUN
    assert list(await begin_connected(await now())) == []


async def test_a_date_that_comes_without_a_connection_waits(user: Member) -> None:
    made = await make_campaign(user)
    when = await now() + timedelta(hours=1)
    await editing.update_campaign(user.id, made.id, CampaignUpdate(schedule_date=when))
    await services.start_campaign(user.id, made.id)
    await _connect(made.number_ids, connected=False)
    await scheduling.start_due(when)
    assert await standing(made.id) == WAITS


async def test_explain_names_the_numbers_to_connect(waits: Made) -> None:
    found = await explain(waits.user_id, waits.id)
    assert not found.sending
    assert [(reason.code, reason.number_id) for reason in found.reasons] == [
        ("waiting_for_connection", number_id) for number_id in waits.number_ids
    ]


async def test_a_paused_one_waits_until_it_is_resumed(waits: Made) -> None:
    await services.pause_campaign(waits.user_id, waits.id)
    await _connect(waits.number_ids)
    assert list(await begin_connected(await now())) == []
    await services.resume_campaign(waits.user_id, waits.id)
    assert await standing(waits.id) == BEGUN
    await run_jobs(waits.id)
    assert await states(waits.id) == ["pending"] * 3


async def test_resumed_without_a_connection_it_waits_again(waits: Made) -> None:
    await services.pause_campaign(waits.user_id, waits.id)
    await services.resume_campaign(waits.user_id, waits.id)
    assert await standing(waits.id) == WAITS


async def test_a_cancelled_one_never_begins(waits: Made) -> None:
    await services.cancel_campaign(waits.user_id, waits.id)
    await _connect(waits.number_ids)
    assert list(await begin_connected(await now())) == []
    assert await standing(waits.id) == (5, "canceled_by_user")


async def test_another_number_that_is_connected_begins_it(waits: Made) -> None:
    number_id = await make_number(waits.user_id)
    await editing.update_campaign(waits.user_id, waits.id, CampaignUpdate(number_ids=(number_id,)))
    assert await standing(waits.id) == BEGUN
