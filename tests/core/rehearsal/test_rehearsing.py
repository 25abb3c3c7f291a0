"""The command as a person types it: the tests' own database holds the campaign, and must stay as it was."""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from core import database
from core.campaigns import editing, services
from core.campaigns.judging import judge
from core.campaigns.pacing import Pacing
from core.campaigns.schemas import CampaignUpdate
from core.campaigns.windows import Window
from core.config import OVERRIDES, PlatformConfig
from core.runtime import Runtime
from tests.core.campaigns.making import Made, make_campaign, now, recipients, running, start
from tests.factories import Member

ROOT = Path(__file__).parents[3]
SIZE = 50_000 if os.environ.get("RECADO_CHAOS") == "full" else 2_000
ROWS = "SELECT (SELECT count(*) FROM message_by_contacts) + (SELECT count(*) FROM jobs) + (SELECT count(*) FROM lanes)"

Rehearse = Callable[..., Awaitable[Any]]


@pytest.fixture
def rehearse(runtime: Runtime, tmp_path: Path) -> Rehearse:
    """Run ``recado rehearse``; what it prints as JSON, or its complaint."""
    settings = tmp_path / "platform.toml"
    settings.write_text("[plugins.waha]\nunknown_grace_seconds = 1.0\n[plugins.evolution]\n")
    config: PlatformConfig = runtime.config
    assert config.database.url is not None
    assert config.redis.url is not None
    environment = {
        **{key: value for key, value in os.environ.items() if key not in OVERRIDES},
        "RECADO_CONFIG": str(settings),
        "RECADO_DATABASE_URL": config.database.url.reveal(),
        "RECADO_REDIS_URL": config.redis.url.reveal(),
        "RECADO_DATA": config.paths.data,
        "PYTHONPATH": str(ROOT),
    }

    async def run(campaign_id: int, *arguments: str) -> Any:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "core.cli", "rehearse", str(campaign_id), *arguments),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        printed, complaint = await process.communicate()
        if process.returncode:
            lines = complaint.decode().splitlines()
            assert "Traceback (most recent call last):" not in lines, complaint.decode()
            return lines[-1]
        return msgspec.json.decode(printed) if "--json" in arguments else printed.decode()

    return run


async def _on_waha(made: Made, provider: str = "waha") -> Made:
    """Let a campaign's numbers stand on servers of a provider that has a simulator."""
    await database.execute(
        "UPDATE servers SET provider = $2 WHERE id IN (SELECT server_id FROM numbers WHERE id = ANY($1::bigint[]))",
        made.number_ids,
        provider,
    )
    return made


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


class TestRehearsal:
    async def test_prints_the_plan_beside_what_happened(self, user: Member, rehearse: Rehearse) -> None:
        made = await _on_waha(await make_campaign(user, contacts=5, pacing=Pacing(per_day=2)))
        await database.execute("UPDATE contacts SET blocked_at = now() WHERE id = $1", made.contact_ids[0])
        before = await database.fetch_value(ROWS)
        found = await rehearse(made.id, "--json")
        assert [day["messages"] for day in found["plan"]["numbers"][0]["days"]] == [2, 2]
        assert [day["messages"] for day in found["happened"]["days"]] == [2, 2]
        assert found["plan"]["excluded"] == found["happened"]["excluded"] == {"opted_out": 1}
        assert found["happened"]["states"] == {"sent": 4, "skipped: opted_out": 1}
        assert found["happened"]["standing"]["reason"] == "completed"
        assert await database.fetch_value(ROWS) == before
        assert await database.fetch_value("SELECT status FROM campaigns WHERE id = $1", made.id) == 1

    @pytest.mark.slow
    async def test_tells_it_in_tables(self, user: Member, rehearse: Rehearse) -> None:
        made = await _on_waha(await make_campaign(user, contacts=2))
        printed = await rehearse(made.id)
        assert f"Campaign {made.id}: completed (completed)" in printed, printed
        assert "Planned end:" in printed

    @pytest.mark.slow
    async def test_a_campaign_that_is_not_there(self, rehearse: Rehearse) -> None:
        assert await rehearse(2**40) == f"recado: There is no campaign {2**40}."

    @pytest.mark.slow
    async def test_a_draft_that_lacks_something(self, user: Member, rehearse: Rehearse) -> None:
        made = await _on_waha(await make_campaign(user))
        await database.execute("UPDATE campaigns SET public_id = NULL WHERE id = $1", made.id)
        told = await rehearse(made.id)
        assert told.startswith(f"recado: Campaign {made.id} cannot be rehearsed: ")

    @pytest.mark.slow
    async def test_a_provider_without_a_simulator(self, user: Member, rehearse: Rehearse) -> None:
        made = await make_campaign(user)
        assert "No messaging provider named 'sink' is registered" in await rehearse(made.id)


@pytest.mark.slow
class TestWhatHasBegun:
    async def test_goes_on_from_where_it_stands(self, user: Member, rehearse: Rehearse) -> None:
        made = await _on_waha(await running(user, contacts=4))
        first = (await recipients(made.id))[0]["id"]
        await database.execute("UPDATE message_by_contacts SET state = 'sent' WHERE id = $1", first)
        await database.execute("INSERT INTO campaign_counters (campaign_id, shard, sent) VALUES ($1, 0, 1)", made.id)
        found = await rehearse(made.id, "--json")
        assert (found["plan"]["messages"], [day["messages"] for day in found["happened"]["days"]]) == (3, [3])
        assert found["happened"]["states"] == {"sent": 4}

    async def test_one_that_is_over_is_refused(self, user: Member, rehearse: Rehearse) -> None:
        made = await _on_waha(await make_campaign(user))
        await services.cancel_campaign(user.id, made.id)
        assert "cannot be rehearsed: " in await rehearse(made.id)

    async def test_one_without_a_connection_is_rehearsed_as_if_it_had_one(
        self, user: Member, rehearse: Rehearse
    ) -> None:
        made = await _on_waha(await make_campaign(user, contacts=2))
        await database.execute("UPDATE numbers SET status_connection = false WHERE id = $1", made.number_ids[0])
        assert (await rehearse(made.id, "--json"))["happened"]["states"] == {"sent": 2}


@pytest.mark.slow
class TestProviders:
    async def test_evolution(self, user: Member, rehearse: Rehearse) -> None:
        made = await _on_waha(await make_campaign(user, contacts=3, messages=("a", "b")), "evolution")
        found = await rehearse(made.id, "--json")
        assert found["happened"]["states"] == {"sent": 6}
        assert found["happened"]["standing"]["reason"] == "completed"


@pytest.mark.slow
@pytest.mark.parametrize("provider", ["waha", "evolution"])
async def test_lost_answers_are_found_by_the_time_of_the_rehearsal(
    user: Member, rehearse: Rehearse, provider: str
) -> None:
    pacing = Pacing(delay_min=600, delay_max=900)
    made = await _on_waha(await make_campaign(user, contacts=40, pacing=pacing), provider)
    found = await rehearse(made.id, "--faults", "25", "--json")
    assert found["happened"]["standing"]["reason"] == "completed"
    assert found["happened"]["states"] == {"sent": 40}


@pytest.mark.slow
class TestRotation:
    async def test_numbers_share_the_work_by_their_room(self, user: Member, rehearse: Rehearse) -> None:
        pacing = Pacing(delay_min=30, delay_max=60)
        made = await _on_waha(await make_campaign(user, contacts=350, numbers=3, pacing=pacing))
        for number_id, room in zip(made.number_ids, (400, 200, 100), strict=True):
            limits = f'{{"per_day": {room}}}'
            await database.execute("UPDATE numbers SET settings = $2 WHERE id = $1", number_id, limits)
        zone = ZoneInfo(str(await database.fetch_value("SELECT timezone FROM users WHERE id = $1", user.id)))
        morning = (await now()).astimezone(zone).replace(hour=8, minute=0) + timedelta(days=1)
        await editing.update_campaign(user.id, made.id, CampaignUpdate(schedule_date=morning))
        found = await rehearse(made.id, "--json")
        sent = {day["number_id"]: day["messages"] for day in found["happened"]["days"]}
        assert sum(sent.values()) == 350
        shares = [sent[number_id] / 350 for number_id in made.number_ids]
        assert [abs(share - wanted / 7) <= 0.05 for share, wanted in zip(shares, (4, 2, 1), strict=True)] == [True] * 3


@pytest.mark.slow
@pytest.mark.chaos
@pytest.mark.timeout(3_600)
class TestAgainstThePlan:
    async def test_ends_when_planned_and_leaves_out_the_same(self, user: Member, rehearse: Rehearse) -> None:
        rules = Pacing(
            delay_min=20,
            delay_max=40,
            rest_after=40,
            rest_seconds=300,
            per_hour=90,
            per_day=max(300, SIZE // 50),
            windows=(Window("08:00", "12:00", (0, 1, 2, 3, 4, 5)), Window("13:30", "19:00", (0, 1, 2, 3, 4))),
        )
        made = await _on_waha(
            await make_campaign(user, contacts=SIZE, numbers=3, pacing=rules, settings={"check_numbers": False})
        )
        await database.execute(
            "UPDATE contacts SET blocked_at = now() WHERE id = ANY($1::bigint[])", made.contact_ids[::50]
        )
        await database.execute("UPDATE contacts SET status = 2 WHERE id = ANY($1::bigint[])", made.contact_ids[1::70])
        found = await rehearse(made.id, "--faults", "2", "--json")
        plan, happened = found["plan"], found["happened"]
        judged = await judge(made.id, await now(), "SELECT id, reason FROM final WHERE reason IS NOT NULL")
        assert plan["excluded"] == Counter(row["reason"] for row in judged)
        await start(made)
        frozen = await database.fetch(
            "SELECT contact_id, reason FROM message_by_contacts WHERE campaign_id = $1 AND state = 'skipped'", made.id
        )
        assert {(row["id"], row["reason"]) for row in judged} == {(row["contact_id"], row["reason"]) for row in frozen}
        assert plan["excluded"] == happened["excluded"]
        assert happened["states"]["sent"] == plan["messages"]
        begin = _moment(found["begins_at"])
        planned, took = (_moment(part["ends_at"]) - begin for part in (plan, happened))
        assert abs(took - planned) <= 0.05 * planned
        assert planned > timedelta(days=1)
