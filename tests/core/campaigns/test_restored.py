from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from core import database
from core.campaigns import editing, scheduling, services
from core.campaigns.restored import KEY, pause_after_restore
from core.campaigns.schemas import CampaignUpdate
from tests.core.campaigns.making import make_campaign, now, running, standing
from tests.factories import Member


async def _remember(identifier: str | None) -> None:
    await database.execute("DELETE FROM settings WHERE key = $1", KEY)
    if identifier is not None:
        await database.execute("INSERT INTO settings (key, value) VALUES ($1, $2)", KEY, identifier)


@pytest.fixture(autouse=True)
async def remembered() -> AsyncIterator[None]:
    before = await database.fetch_value("SELECT value FROM settings WHERE key = $1", KEY)
    yield
    await _remember(str(before) if before is not None else None)


async def test_a_new_installation_remembers_its_server(user: Member) -> None:
    made = await running(user)
    await _remember(None)
    assert await pause_after_restore() == 0
    stored = await database.fetch_value("SELECT value FROM settings WHERE key = $1", KEY)
    assert stored == await database.fetch_value("SELECT system_identifier::text FROM pg_control_system()")
    assert await standing(made.id) == (2, "sending")


async def test_the_same_server_changes_nothing(user: Member) -> None:
    made = await running(user)
    await pause_after_restore()
    assert await pause_after_restore() == 0
    assert await standing(made.id) == (2, "sending")


async def test_another_server_pauses_every_running_campaign(user: Member) -> None:
    made = await running(user)
    await _remember("7000000000000000001")
    assert await pause_after_restore() == 1
    assert await standing(made.id) == (3, "database_restored")
    assert await pause_after_restore() == 0


async def test_a_person_may_go_on(user: Member) -> None:
    made = await running(user)
    await _remember("7000000000000000001")
    await pause_after_restore()
    await services.resume_campaign(user.id, made.id)
    assert await standing(made.id) == (2, "sending")


async def test_what_was_scheduled_and_is_due_waits_for_a_person(user: Member) -> None:
    moment = await now()
    due, later = [await make_campaign(user) for _ in range(2)]
    for made, hours in ((due, 1), (later, 50)):
        when = moment + timedelta(hours=hours)
        await editing.update_campaign(user.id, made.id, CampaignUpdate(schedule_date=when))
        await services.start_campaign(user.id, made.id)
    await database.execute("UPDATE campaigns SET schedule_date = now() - interval '1 hour' WHERE id = $1", due.id)
    await _remember("7000000000000000001")
    assert await pause_after_restore() == 1
    assert await scheduling.start_due(moment) == 0
    assert [await standing(made.id) for made in (due, later)] == [(1, "database_restored"), (1, "scheduled")]
    await services.start_campaign(user.id, due.id)
    assert await standing(due.id) == (2, "freezing")
