"""Numbers restarted, by themselves once and by their owners, and webhooks set again, against a simulated WAHA."""

import asyncio
import contextvars
from typing import Any

import httpx
import pytest

from core import database
from core.checks import Checkup
from core.notifications.alarms import clear_alarms
from core.numbers import polling, reach, recovery, silence, upkeep
from core.plugin.testing import unreachable_url
from core.runtime import config, providers
from tests.conftest import ClientOf
from tests.core.numbers.messaging import StartWaha, Waha, add_number, add_server, connect, until_connection
from tests.factories import Member


@pytest.fixture
async def number(admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha) -> Any:
    """A connected number, the only one there is."""
    await database.execute("UPDATE numbers SET poll_at = NULL")
    await database.execute("UPDATE servers SET deleted_at = now() WHERE deleted_at IS NULL")
    made = await add_number(tenant, (await add_server(admin, waha))["id"])
    return await connect(tenant, waha, made)


async def _poll(number: Any) -> None:
    await database.execute("UPDATE numbers SET poll_at = now() WHERE id = $1", number["id"])
    await polling.poll()


async def _alarms(number: Any) -> list[str]:
    rows = await database.fetch(
        "SELECT kind FROM alarms WHERE subject_type = 'number' AND subject_id = $1 AND cleared_at IS NULL", number["id"]
    )
    return [row["kind"] for row in rows]


async def _restarted_at(number: Any) -> object:
    return await database.fetch_value("SELECT restarted_at FROM numbers WHERE id = $1", number["id"])


async def _until_it_waits() -> None:
    """Wait until somebody waits for what the present transaction holds."""
    waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))"
    async with asyncio.timeout(10):
        while not await database.fetch_value(waits):  # noqa: ASYNC110 - the database tells no event
            await asyncio.sleep(0.01)


class TestFailed:
    async def test_a_number_that_failed_is_restarted_once(
        self, tenant: httpx.AsyncClient, number: Any, waha: Waha
    ) -> None:
        await waha.set_status(number["instance"], "FAILED")
        await _poll(number)
        await until_connection(tenant, number["id"], "connected")
        first = await _restarted_at(number)
        assert first is not None
        await waha.set_status(number["instance"], "FAILED")
        await _poll(number)
        assert await _restarted_at(number) == first
        assert await _alarms(number) == ["number_failed"]

    async def test_its_alarm_ends_when_it_is_connected(
        self, tenant: httpx.AsyncClient, number: Any, waha: Waha
    ) -> None:
        await database.execute("UPDATE numbers SET restarted_at = now() WHERE id = $1", number["id"])
        await waha.set_status(number["instance"], "FAILED")
        await _poll(number)
        assert await _alarms(number) == ["number_failed"]
        await waha.set_status(number["instance"], "WORKING")
        await until_connection(tenant, number["id"], "connected")
        assert await _alarms(number) == []

    async def test_one_that_was_never_connected_is_left_alone(self, number: Any, waha: Waha) -> None:
        await database.execute("UPDATE numbers SET first_connected_at = NULL WHERE id = $1", number["id"])
        await waha.set_status(number["instance"], "FAILED")
        await _poll(number)
        assert (await _restarted_at(number), await _alarms(number)) == (None, [])

    async def test_one_that_starts_for_ever_has_failed(self, number: Any, waha: Waha) -> None:
        await waha.set_status(number["instance"], "STARTING")
        await _poll(number)
        assert await _restarted_at(number) is None
        await database.execute(
            "UPDATE numbers SET connection_since = now() - interval '4 minutes' WHERE id = $1", number["id"]
        )
        await _poll(number)
        assert await _restarted_at(number) is not None

    async def test_its_alarm_goes_with_it(self, tenant: httpx.AsyncClient, number: Any, waha: Waha) -> None:
        await database.execute("UPDATE numbers SET restarted_at = now() WHERE id = $1", number["id"])
        await waha.set_status(number["instance"], "FAILED")
        await _poll(number)
        await tenant.delete(f"/api/numbers/{number['id']}")
        assert await _alarms(number) == []


class TestAlarm:
    async def test_is_not_raised_about_one_that_came_back_meanwhile(self, number: Any) -> None:
        await database.execute("UPDATE numbers SET restarted_at = now() WHERE id = $1", number["id"])
        assert await recovery.recover(number["id"], "number_failed") is False
        assert await recovery.recover(number["id"], "number_silent") is False
        assert await _alarms(number) == []

    @pytest.mark.parametrize("cause", ["number_failed", "number_silent"])
    async def test_is_raised_and_ended_at_one_moment_without_waiting_in_a_circle(
        self, number: Any, cause: recovery.Cause
    ) -> None:
        await silence.hold(number["id"], 60)
        await database.execute(
            "UPDATE numbers SET restarted_at = now(), connection = 'failed' WHERE id = $1", number["id"]
        )
        await recovery.recover(number["id"], cause)
        assert await _alarms(number) == [cause]
        async with database.unit_of_work():
            await database.execute("SELECT FROM numbers WHERE id = $1 FOR UPDATE", number["id"])
            noticing = asyncio.create_task(recovery.recover(number["id"], cause), context=contextvars.Context())
            await _until_it_waits()
            await clear_alarms("number", [number["id"]], [cause])
            await database.execute(
                "UPDATE numbers SET connection = 'connected', silent_until = NULL WHERE id = $1", number["id"]
            )
        assert await noticing is False
        assert await _alarms(number) == []

    async def test_ends_without_waiting_in_a_circle(self, number: Any) -> None:
        await silence.hold(number["id"], 60)
        await database.execute("UPDATE numbers SET restarted_at = now() WHERE id = $1", number["id"])
        await recovery.recover(number["id"], "number_silent")
        async with database.unit_of_work():
            await database.execute("SELECT FROM numbers WHERE id = $1 FOR UPDATE", number["id"])
            speaking = asyncio.create_task(silence.speaks(number["id"]), context=contextvars.Context())
            await _until_it_waits()
            await clear_alarms("number", [number["id"]], ["number_silent"])
        await speaking
        assert await _alarms(number) == []


class TestByHand:
    async def test_a_restart_keeps_the_sign_in(self, tenant: httpx.AsyncClient, number: Any) -> None:
        answer = await tenant.post(f"/api/numbers/{number['id']}/restart")
        assert answer.status_code == 200, answer.text
        again = await until_connection(tenant, number["id"], "connected")
        assert again["number"] == number["number"]

    async def test_it_ends_the_silence(self, tenant: httpx.AsyncClient, number: Any) -> None:
        assert await silence.hold(number["id"], 600)
        held = (await tenant.get(f"/api/numbers/{number['id']}")).json()["data"]
        assert (held["status_connection"], held["connection"], held["connection_reason"]) == (
            False,
            "connected",
            "no_acknowledgements",
        )
        assert (await tenant.post(f"/api/numbers/{number['id']}/restart")).json()["data"]["silent_until"] is None

    async def test_what_the_server_says_does_not_end_the_silence(self, tenant: httpx.AsyncClient, number: Any) -> None:
        await silence.hold(number["id"], 600)
        await _poll(number)
        found = (await tenant.get(f"/api/numbers/{number['id']}")).json()["data"]
        assert (found["connection"], found["status_connection"]) == ("connected", False)

    async def test_one_the_server_does_not_know_has_to_be_connected(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha
    ) -> None:
        fresh = await add_number(tenant, (await add_server(admin, waha))["id"])
        answer = await tenant.post(f"/api/numbers/{fresh['id']}/restart")
        assert (answer.status_code, answer.json()["code"]) == (409, "not_connecting")

    async def test_a_stranger_restarts_and_sees_nothing(self, api: ClientOf, other_user: Member, number: Any) -> None:
        async with api(other_user) as stranger:
            assert (await stranger.post(f"/api/numbers/{number['id']}/restart")).status_code == 404
            assert (await stranger.get(f"/api/numbers/{number['id']}/screenshot")).status_code == 404


class TestScreenshot:
    async def test_engines_with_a_browser_show_it(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, start_waha: StartWaha
    ) -> None:
        waha = await start_waha(engine="WEBJS")
        number = await connect(tenant, waha, await add_number(tenant, (await add_server(admin, waha))["id"]))
        answer = await tenant.get(f"/api/numbers/{number['id']}/screenshot")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
        assert answer.content.startswith(b"\x89PNG")

    async def test_others_say_so(self, tenant: httpx.AsyncClient, number: Any) -> None:
        answer = await tenant.get(f"/api/numbers/{number['id']}/screenshot")
        assert (answer.status_code, answer.json()["code"]) == (409, "screenshot_unsupported")


class TestWebhook:
    async def _break(self, waha: Waha, number: Any) -> None:
        """Change the webhook as somebody with the server's key might."""
        config = (await waha.session(number["instance"]))["config"]
        config["webhooks"][0]["url"] = "http://127.0.0.1:9/elsewhere"
        answer = await waha.http.put(f"/api/sessions/{number['instance']}", json={"config": config})
        assert answer.status_code == 200, answer.text

    async def _url(self, waha: Waha, number: Any) -> str:
        return str((await waha.session(number["instance"]))["config"]["webhooks"][0]["url"])

    async def test_one_that_was_changed_is_set_again(self, tenant: httpx.AsyncClient, number: Any, waha: Waha) -> None:
        wanted = await self._url(waha, number)
        assert await upkeep.repair(number["id"]) is False
        await self._break(waha, number)
        assert await upkeep.repair(number["id"]) is True
        assert await self._url(waha, number) == wanted
        await until_connection(tenant, number["id"], "connected")

    async def test_it_is_compared_every_hour(self, tenant: httpx.AsyncClient, number: Any, waha: Waha) -> None:
        wanted = await self._url(waha, number)
        await _poll(number)
        await self._break(waha, number)
        await until_connection(tenant, number["id"], "connected")
        await _poll(number)
        assert await self._url(waha, number) != wanted
        await database.execute(
            "UPDATE numbers SET webhook_checked_at = now() - interval '61 minutes' WHERE id = $1", number["id"]
        )
        await _poll(number)
        assert await self._url(waha, number) == wanted

    async def test_the_check_sets_it_again_and_says_so(
        self, tenant: httpx.AsyncClient, number: Any, waha: Waha
    ) -> None:
        await self._break(waha, number)
        await until_connection(tenant, number["id"], "connected")
        told = [result async for result in reach.check_rows(Checkup(config(), providers()))]
        line = next(result for result in told if result.name.endswith(" webhooks"))
        assert (line.level, line.text) == (
            "warning",
            f"had been changed and were set again for number {number['id']}",
        )
        again = [result async for result in reach.check_rows(Checkup(config(), providers()))]
        assert next(result for result in again if result.name.endswith(" webhooks")).level == "ok"

    async def test_a_server_that_does_not_answer_is_a_problem_of_its_numbers(self, number: Any) -> None:
        await database.execute("UPDATE servers SET url = $2 WHERE id = $1", number["server_id"], unreachable_url())
        found = [one async for one in upkeep.repair_server(number["server_id"])]
        assert [one.number_id for one in found] == [number["id"]]
        assert "could not be reached" in found[0].failure
