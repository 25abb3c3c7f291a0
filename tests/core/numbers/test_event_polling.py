"""Services that are asked for their events: who asks, what is stored, and what happens when it goes wrong."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from core import database
from core.checks import Checkup
from core.numbers import polling, reach, senders
from core.numbers.event_polling import EventPoller, _back_off
from core.plugin import UnavailableError
from core.runtime import Runtime, config, providers
from tests.conftest import Serve
from tests.core.numbers.mailbox import NAME, TOKEN, Asked, Mailbox, MailboxProvider
from tests.core.numbers.messaging import add_number, eventually, give_plan
from tests.factories import Member


@pytest.fixture(scope="session")
async def plugin() -> AsyncIterator[MailboxProvider]:
    plugin = MailboxProvider()
    yield plugin
    await plugin.aclose()


@pytest.fixture
async def mailbox(messaging: Runtime, plugin: MailboxProvider, serve: Serve) -> AsyncIterator[Mailbox]:
    """The service, its plugin enabled, and no number that another test left connected."""
    before = messaging.providers
    messaging.providers = msgspec.structs.replace(before, messaging_by_name={**before.messaging_by_name, NAME: plugin})
    await database.execute(
        "UPDATE numbers n SET connection = 'stopped', poll_at = NULL FROM servers s"
        " WHERE s.id = n.server_id AND s.provider = $1",
        NAME,
    )
    await database.execute("DELETE FROM event_cursors")
    senders.forget()
    mailbox = Mailbox()
    mailbox.url = await serve(mailbox.application())
    yield mailbox
    await mailbox.close()
    messaging.providers = before


@pytest.fixture
async def poller(mailbox: Mailbox) -> AsyncIterator[EventPoller]:
    """The polls of this process, which end before the service does."""
    del mailbox  # ends after them
    poller = EventPoller()
    yield poller
    await poller.close()


@pytest.fixture
async def other_poller(mailbox: Mailbox) -> AsyncIterator[EventPoller]:
    """The polls of another process."""
    del mailbox  # ends after them
    poller = EventPoller()
    yield poller
    await poller.close()


@pytest.fixture
async def server_id(admin: httpx.AsyncClient, mailbox: Mailbox) -> int:
    return await _add_server(admin, mailbox)


async def _add_server(admin: httpx.AsyncClient, mailbox: Mailbox) -> int:
    answer = await admin.post(
        "/api/admin/servers",
        json={
            "name": f"mailbox {secrets.token_hex(4)}",
            "provider": NAME,
            "url": mailbox.url,
            "credentials": {"token": TOKEN},
        },
    )
    assert answer.status_code == 201, answer.text
    return int(answer.json()["data"]["id"])


@pytest.fixture
async def number(tenant: httpx.AsyncClient, server_id: int) -> Any:
    """A connected number."""
    return await _connected(tenant, server_id)


async def _connected(tenant: httpx.AsyncClient, server_id: int) -> Any:
    added = await add_number(tenant, server_id)
    answer = await tenant.post(f"/api/numbers/{added['id']}/connect")
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def _texts(number: Any) -> list[str]:
    """Return what people wrote to a number, as it stands in the inbox."""
    rows = await database.fetch(
        "SELECT event ->> 'text' AS text FROM webhook_events WHERE number_id = $1 ORDER BY id", number["id"]
    )
    return [row["text"] for row in rows]


async def _cursor(number: Any) -> Any:
    return await database.fetch_row("SELECT * FROM event_cursors WHERE number_id = $1", number["id"])


async def _until_texts(number: Any, *texts: str) -> None:
    async def are_there() -> bool:
        return await _texts(number) == list(texts)

    await eventually(are_there)


async def _until_waiting(mailbox: Mailbox, number: Any) -> None:
    async def waits() -> bool:
        return number["instance"] in mailbox.waiting

    await eventually(waits)


class TestTokens:
    async def test_a_number_is_connected_by_its_state_alone(
        self, tenant: httpx.AsyncClient, mailbox: Mailbox, server_id: int
    ) -> None:
        del mailbox  # answers that it is connected
        added = await add_number(tenant, server_id)
        assert added["connection"] == "stopped"
        await polling.poll()
        found = (await tenant.get(f"/api/numbers/{added['id']}")).json()["data"]
        assert (found["connection"], found["status_connection"], found["sign_in"]) == ("connected", True, ["token"])

    async def test_connecting_asks_at_once(self, tenant: httpx.AsyncClient, mailbox: Mailbox, server_id: int) -> None:
        added = await add_number(tenant, server_id)
        mailbox.state[added["instance"]] = "needs_person"
        answer = await tenant.post(f"/api/numbers/{added['id']}/connect")
        assert (answer.status_code, answer.json()["data"]["connection"]) == (200, "needs_person")
        del mailbox.state[added["instance"]]
        answer = await tenant.post(f"/api/numbers/{added['id']}/connect")
        assert (answer.status_code, answer.json()["data"]["connection"]) == (200, "connected")

    async def test_connecting_says_that_the_token_is_refused(
        self, tenant: httpx.AsyncClient, mailbox: Mailbox, server_id: int
    ) -> None:
        added = await add_number(tenant, server_id)
        mailbox.token = "another"
        answer = await tenant.post(f"/api/numbers/{added['id']}/connect")
        assert (answer.status_code, answer.json()["code"]) == (502, "provider_misconfigured")

    @pytest.mark.parametrize("path", ["disconnect", "logout"])
    async def test_nothing_is_signed_out(self, tenant: httpx.AsyncClient, number: Any, path: str) -> None:
        answer = await tenant.post(f"/api/numbers/{number['id']}/{path}")
        assert (answer.status_code, answer.json()["code"]) == (409, "sign_in_unsupported")

    async def test_there_is_no_qr_code(self, tenant: httpx.AsyncClient, number: Any) -> None:
        answer = await tenant.get(f"/api/numbers/{number['id']}/qr")
        assert (answer.status_code, answer.json()["code"]) == (409, "sign_in_unsupported")


class TestStoring:
    async def test_events_are_stored_and_the_next_poll_goes_on_after_them(
        self, mailbox: Mailbox, number: Any, poller: EventPoller
    ) -> None:
        instance = number["instance"]
        await mailbox.put(instance, "100", "first")
        await mailbox.put(instance, "200", "second")
        await poller.look()
        await _until_texts(number, "first", "second")
        await _until_waiting(mailbox, number)
        await mailbox.put(instance, "100", "third")
        await _until_texts(number, "first", "second", "third")
        await _until_waiting(mailbox, number)
        assert mailbox.asked == [Asked(instance, 0), Asked(instance, 2), Asked(instance, 3)]

    async def test_what_the_plugin_does_not_know_is_passed_over(
        self, mailbox: Mailbox, number: Any, poller: EventPoller
    ) -> None:
        await mailbox.put(number["instance"], "100", "")
        await mailbox.put(number["instance"], "100", "known")
        await poller.look()
        await _until_texts(number, "known")
        assert (await _cursor(number))["cursor"] == "2"

    async def test_events_and_cursor_are_stored_together_or_not_at_all(
        self, mailbox: Mailbox, number: Any, poller: EventPoller, other_poller: EventPoller
    ) -> None:
        url = config().database.url
        assert url is not None
        connection = await asyncpg.connect(url.reveal())
        try:
            async with connection.transaction():
                await connection.execute("LOCK TABLE webhook_events IN SHARE MODE")
                await mailbox.put(number["instance"], "100", "hello")
                await poller.look()

                async def is_stuck() -> bool:
                    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"))

                await eventually(is_stuck)
                await poller.close()
            assert (await _texts(number), (await _cursor(number))["cursor"]) == ([], "")
        finally:
            await connection.close()
        await other_poller.look()
        await _until_texts(number, "hello")
        assert (await _cursor(number))["cursor"] == "1"

    async def test_a_process_that_lost_the_number_stores_nothing(
        self, mailbox: Mailbox, number: Any, poller: EventPoller
    ) -> None:
        await poller.look()
        await _until_waiting(mailbox, number)
        await database.execute(
            "UPDATE event_cursors SET holder = 'another', lease_until = now() + interval '1 hour' WHERE number_id = $1",
            number["id"],
        )
        await mailbox.put(number["instance"], "100", "hello")

        await asyncio.wait([poller._polls[number["id"]]], timeout=10)
        assert (await _texts(number), (await _cursor(number))["cursor"]) == ([], "")


class TestHolding:
    async def test_one_process_asks_for_a_number_at_a_time(
        self, mailbox: Mailbox, number: Any, poller: EventPoller, other_poller: EventPoller
    ) -> None:
        await asyncio.gather(poller.look(), other_poller.look())
        await asyncio.gather(poller.look(), other_poller.look())
        assert sorted([*poller.numbers, *other_poller.numbers]) == [number["id"]]
        await _until_waiting(mailbox, number)
        assert len(mailbox.asked) == 1

    async def test_another_goes_on_once_the_lease_of_a_dead_one_is_over(
        self, mailbox: Mailbox, number: Any, poller: EventPoller, other_poller: EventPoller
    ) -> None:
        await mailbox.put(number["instance"], "100", "before")
        await poller.look()
        await _until_texts(number, "before")
        await other_poller.look()
        assert other_poller.numbers == frozenset()
        await database.execute("UPDATE event_cursors SET lease_until = now() - interval '1 second'")
        await other_poller.look()
        assert other_poller.numbers == {number["id"]}
        await mailbox.put(number["instance"], "100", "after")
        await _until_texts(number, "before", "after")

    async def test_an_ending_process_leaves_its_numbers_at_once(
        self, number: Any, poller: EventPoller, other_poller: EventPoller
    ) -> None:
        await poller.look()
        await poller.close()
        assert (await _cursor(number))["holder"] is None
        await other_poller.look()
        assert other_poller.numbers == {number["id"]}

    async def test_one_process_asks_for_many_numbers(
        self, tenant: httpx.AsyncClient, user: Member, mailbox: Mailbox, server_id: int, poller: EventPoller
    ) -> None:
        await give_plan(user.id, numbers_limit=30)
        numbers = [await _connected(tenant, server_id) for _ in range(30)]
        await poller.look()
        assert poller.numbers == {number["id"] for number in numbers}
        for number in numbers:
            await mailbox.put(number["instance"], "100", number["instance"])
        for number in numbers:
            await _until_texts(number, number["instance"])

    async def test_a_number_that_is_not_connected_any_more_is_let_go(self, number: Any, poller: EventPoller) -> None:
        await poller.look()
        assert poller.numbers == {number["id"]}
        await database.execute("UPDATE numbers SET connection = 'needs_person' WHERE id = $1", number["id"])
        await poller.look()
        assert poller.numbers == frozenset()
        assert (await _cursor(number))["holder"] is None

    async def test_a_deleted_number_is_forgotten(
        self, tenant: httpx.AsyncClient, number: Any, poller: EventPoller
    ) -> None:
        await poller.look()
        assert (await tenant.delete(f"/api/numbers/{number['id']}")).status_code == 204
        await poller.look()
        assert (poller.numbers, await _cursor(number)) == (frozenset(), None)

    async def test_a_moved_number_begins_anew(
        self, admin: httpx.AsyncClient, mailbox: Mailbox, number: Any, poller: EventPoller
    ) -> None:
        await mailbox.put(number["instance"], "100", "hello")
        await poller.look()
        await _until_texts(number, "hello")
        answer = await admin.post(
            f"/api/admin/numbers/{number['id']}/move", json={"server_id": await _add_server(admin, mailbox)}
        )
        assert answer.status_code == 200, answer.text
        assert await _cursor(number) is None


class TestFailures:
    async def test_a_service_that_is_away_is_asked_again(
        self, mailbox: Mailbox, number: Any, poller: EventPoller
    ) -> None:
        mailbox.refusals = [503]
        await mailbox.put(number["instance"], "100", "hello")
        await poller.look()
        await _until_texts(number, "hello")
        assert [asked.after for asked in mailbox.asked[:2]] == [0, 0]

    @pytest.mark.parametrize(("status", "code"), [(401, "provider_misconfigured"), (404, "provider_refused")])
    async def test_what_only_a_person_can_mend_stops_the_number(
        self, tenant: httpx.AsyncClient, mailbox: Mailbox, number: Any, poller: EventPoller, status: int, code: str
    ) -> None:
        mailbox.refusals = [status]
        await poller.look()

        async def is_stopped() -> bool:
            found = (await tenant.get(f"/api/numbers/{number['id']}")).json()["data"]
            return (found["connection"], found["connection_reason"]) == ("failed", code)

        await eventually(is_stopped)
        await poller.look()
        assert poller.numbers == frozenset()

    async def test_a_service_that_does_not_wait_is_not_asked_without_end(
        self, mailbox: Mailbox, number: Any, poller: EventPoller
    ) -> None:
        mailbox.waits = False
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await poller.look()

        async def asked_twice() -> bool:
            return len(mailbox.asked) > 1

        await eventually(asked_twice)
        assert loop.time() - begun >= 1.0
        assert len(mailbox.asked) <= 1 + (loop.time() - begun)
        del number  # the one that is asked for

    @pytest.mark.parametrize(("failures", "longest"), [(1, 2.0), (3, 8.0), (6, 60.0), (1_000_000, 60.0)])
    def test_the_pause_grows_and_no_two_are_alike(self, failures: int, longest: float) -> None:
        pauses = [_back_off(TimeoutError(), failures) for _ in range(50)]
        assert all(longest / 2 <= pause <= longest for pause in pauses)
        assert len(set(pauses)) > 1

    @pytest.mark.parametrize(("asked", "pause"), [(120.0, 120.0), (86_400.0, 600.0)])
    def test_a_service_is_spared_for_as_long_as_it_asks_within_reason(self, asked: float, pause: float) -> None:
        assert _back_off(UnavailableError("busy", retry_after=asked), 1) == pause


class TestCheck:
    async def test_a_server_that_is_asked_need_not_call_back(self, mailbox: Mailbox, server_id: int) -> None:
        row = await database.fetch_row("SELECT name FROM servers WHERE id = $1", server_id)
        assert row is not None
        name = f"mailbox server {row['name']}"
        found = {result.name: result async for result in reach.check_rows(Checkup(config(), providers()))}
        assert [found[key].text for key in found if key.startswith(name)] == [
            f"the mailbox at {mailbox.url}",
            "are asked for: nothing has to reach this platform",
        ]
