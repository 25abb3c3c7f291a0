"""What is told of a number: to who looks at it, and to its owner."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from core import database
from core.events.catalogue import NumberChanged, NumberConnected, NumberDisconnected, NumberRestricted
from core.notifications.alarms import raise_alarm
from core.numbers import silence
from core.numbers.senders import mark_stopped
from core.numbers.states import Sighting, last_event_at, write_report, write_sightings
from core.plugin import SenderReport, SenderState
from tests.conftest import ClientOf
from tests.core.live.ears import Ears, listen
from tests.core.numbers.messaging import Waha, add_number, add_server, connect, give_plan, until_connection
from tests.core.told import told
from tests.factories import Member

MOMENT = datetime(2027, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
async def number(admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha) -> Any:
    return await add_number(tenant, (await add_server(admin, waha))["id"])


@pytest.fixture
async def ears(user: Member, number: Any) -> Ears:
    del number  # needed, since what its making tells is no part of the tests
    return await listen(user.id)


async def _see(number: Any, state: str, minute: int = 0, **more: Any) -> None:
    at = MOMENT + timedelta(minutes=minute)
    await write_sightings([Sighting(number_id=number["id"], state=state, at=at, **more)])


def _connected(number: Any, digits: str = "") -> NumberConnected:
    return NumberConnected(number_id=number["id"], name="Shop", number=digits)


def _lost(number: Any, connection: str, reason: str = "") -> NumberDisconnected:
    return NumberDisconnected(number_id=number["id"], name="Shop", number="", connection=connection, reason=reason)


def _restricted(number: Any, until: datetime) -> NumberRestricted:
    return NumberRestricted(number_id=number["id"], name="Shop", number="", restricted_until=until)


async def changes(ears: Ears) -> list[tuple[str, bool, str]]:
    """The bodies of ``number.changed`` since the last look; other events tell of a number too."""
    heard = [event for event in await ears.heard() if isinstance(event, NumberChanged)]
    return [(event.connection, event.status_connection, event.reason) for event in heard]


async def test_a_connection_that_comes_and_goes_is_told(number: Any, ears: Ears) -> None:
    await _see(number, "connected")
    assert await changes(ears) == [("connected", True, "")]
    await _see(number, "stopped", 1)
    assert await changes(ears) == [("stopped", False, "")]


async def test_a_new_qr_code_is_told_though_the_state_is_the_same(number: Any, ears: Ears) -> None:
    for minute in range(2):
        await _see(number, "sign_in", minute)
    assert await changes(ears) == [("sign_in", False, "")] * 2


async def test_an_answer_that_tells_nothing_new_is_not(number: Any, ears: Ears) -> None:
    await _see(number, "connected")
    assert len(await changes(ears)) == 1
    await _see(number, "connected", 1)
    report = SenderReport(state=SenderState.CONNECTED)
    await write_report(number["id"], report, await last_event_at(number["id"]))
    assert await changes(ears) == []


async def test_an_older_event_is_not(number: Any, ears: Ears) -> None:
    await _see(number, "connected", 5)
    assert len(await changes(ears)) == 1
    await _see(number, "sign_in", 1)
    assert await changes(ears) == []


async def test_what_is_seen_while_sending_is_told(number: Any, ears: Ears) -> None:
    await _see(number, "connected")
    await silence.hold(number["id"], 60)
    await silence.release(number["id"])
    await mark_stopped(number["id"], "banned", until=None, scope="sender")
    assert await changes(ears) == [
        ("connected", True, ""),
        ("connected", False, "no_acknowledgements"),
        ("connected", True, ""),
        ("failed", False, "banned"),
    ]


async def test_the_body_names_the_number(number: Any, ears: Ears) -> None:
    await _see(number, "sign_in")
    heard = [event for event in await ears.heard() if isinstance(event, NumberChanged)]
    assert heard == [NumberChanged(number_id=number["id"], connection="sign_in", status_connection=False, reason="")]


class TestOwner:
    async def test_each_connection_and_each_loss_is_told_once(self, number: Any, user: Member) -> None:
        for minute, state in enumerate(["starting", "connected", "connected", "failed", "failed", "connected"]):
            await _see(number, state, minute, reason="gone")
        assert await told(user.id) == [_connected(number), _lost(number, "failed", "gone"), _connected(number)]

    async def test_an_older_event_tells_nothing(self, number: Any, user: Member) -> None:
        await _see(number, "connected", 5)
        await _see(number, "failed", 1)
        assert await told(user.id) == [_connected(number)]

    async def test_nobody_is_told_of_what_was_rolled_back(self, number: Any, user: Member) -> None:
        async def see_and_fail() -> None:
            async with database.unit_of_work():
                await _see(number, "connected", restricted_until=datetime.now(UTC) + timedelta(hours=1))
                await silence.hold(number["id"], 60)
                raise RuntimeError

        with pytest.raises(RuntimeError):
            await see_and_fail()
        assert await told(user.id) == []

    async def test_numbers_that_change_together_are_told_to_their_own_owners(
        self,
        admin: httpx.AsyncClient,
        tenant: httpx.AsyncClient,
        waha: Waha,
        user: Member,
        other_user: Member,
        api: ClientOf,
    ) -> None:
        server_id = (await add_server(admin, waha))["id"]
        mine = [await add_number(tenant, server_id) for _ in range(2)]
        await give_plan(other_user.id, numbers_limit=1)
        async with api(other_user) as client:
            foreign = await add_number(client, server_id)
        seen = [*mine, foreign]
        await write_sightings([Sighting(number_id=number["id"], state="connected", at=MOMENT) for number in seen])
        for _ in range(2):
            await mark_stopped(mine[0]["id"], "unauthorized", until=None, scope="server")
        first, second = mine
        assert await told(user.id) == [
            _connected(first),
            _connected(second),
            _lost(first, "failed", "unauthorized"),
            _lost(second, "failed", "unauthorized"),
        ]
        assert await told(other_user.id) == [_connected(foreign), _lost(foreign, "failed", "unauthorized")]

    async def test_a_moment_of_looking_is_no_news(self, number: Any, user: Member) -> None:
        await _see(number, "connected")
        await silence.hold(number["id"], 60)
        await silence.release(number["id"])
        assert await told(user.id) == [_connected(number)]

    async def test_a_silent_number_is_told_once_until_it_is_used_again(self, number: Any, user: Member) -> None:
        await _see(number, "connected")
        await silence.hold(number["id"], 60)
        for _ in range(2):
            await raise_alarm("number_silent", "number", number["id"], name="Shop", reason="")
            await silence.hold(number["id"], 1800)
        for _ in range(2):
            await silence.release(number["id"])
            await silence.speaks(number["id"])
        held = _lost(number, "connected", "no_acknowledgements")
        assert await told(user.id) == [_connected(number), held, _connected(number)]

    async def test_one_that_failed_while_it_was_looked_at_is_told_as_failed(self, number: Any, user: Member) -> None:
        await _see(number, "connected")
        await silence.hold(number["id"], 60)
        await _see(number, "failed", 1)
        await silence.release(number["id"])
        assert await told(user.id) == [_connected(number), _lost(number, "failed")]

    async def test_moving_a_number_is_told_where_it_was_connected(
        self, admin: httpx.AsyncClient, number: Any, waha: Waha, user: Member
    ) -> None:
        await _see(number, "connected")
        for _ in range(2):
            target = (await add_server(admin, waha))["id"]
            answer = await admin.post(f"/api/admin/numbers/{number['id']}/move", json={"server_id": target})
            assert answer.status_code == 200, answer.text
        assert await told(user.id) == [_connected(number), _lost(number, "stopped", "moved")]


class TestOwnerAsked:
    """What its owner did to a number over HTTP, against a simulated WAHA that reports it by webhook."""

    @pytest.fixture
    async def signed_in(self, tenant: httpx.AsyncClient, number: Any, waha: Waha) -> Any:
        return await connect(tenant, waha, number)

    @pytest.mark.parametrize(("verb", "connection"), [("disconnect", "stopped"), ("logout", "sign_in")])
    async def test_a_connection_that_its_owner_ended_is_no_news(
        self, tenant: httpx.AsyncClient, signed_in: Any, user: Member, verb: str, connection: str
    ) -> None:
        ears = await listen(user.id)
        assert (await tenant.post(f"/api/numbers/{signed_in['id']}/{verb}")).status_code == 200
        await until_connection(tenant, signed_in["id"], connection)
        assert await told(user.id) == [_connected(signed_in, signed_in["number"])]
        lost = [event for event in await ears.heard() if isinstance(event, NumberDisconnected)]
        assert [event.number_id for event in lost] == [signed_in["id"]]

    async def test_not_even_when_its_server_says_so_first(
        self, tenant: httpx.AsyncClient, signed_in: Any, user: Member, waha: Waha
    ) -> None:
        await database.execute("UPDATE numbers SET owner_asked_at = now() WHERE id = $1", signed_in["id"])
        await waha.set_status(signed_in["instance"], "STOPPED")
        await until_connection(tenant, signed_in["id"], "stopped")
        assert await told(user.id) == [_connected(signed_in, signed_in["number"])]

    async def test_a_restart_tells_of_its_end_alone_and_what_is_lost_then_is_news(
        self, tenant: httpx.AsyncClient, signed_in: Any, user: Member
    ) -> None:
        assert (await tenant.post(f"/api/numbers/{signed_in['id']}/restart")).status_code == 200
        await until_connection(tenant, signed_in["id"], "connected")
        await mark_stopped(signed_in["id"], "banned", until=None, scope="sender")
        connected = _connected(signed_in, signed_in["number"])
        lost = NumberDisconnected(
            number_id=signed_in["id"], name="Shop", number=signed_in["number"], connection="failed", reason="banned"
        )
        assert await told(user.id) == [connected, connected, lost]

    async def test_what_was_asked_for_long_ago_explains_nothing(self, number: Any, user: Member) -> None:
        await _see(number, "connected")
        await database.execute(
            "UPDATE numbers SET owner_asked_at = now() - interval '3 minutes' WHERE id = $1", number["id"]
        )
        await _see(number, "failed", 1)
        assert await told(user.id) == [_connected(number), _lost(number, "failed")]

    async def test_another_tenant_silences_nothing(
        self, api: ClientOf, number: Any, user: Member, other_user: Member
    ) -> None:
        await _see(number, "connected")
        async with api(other_user) as stranger:
            for verb in ("disconnect", "logout", "restart"):
                assert (await stranger.post(f"/api/numbers/{number['id']}/{verb}")).status_code == 404
        await _see(number, "failed", 1)
        assert await told(user.id) == [_connected(number), _lost(number, "failed")]
        assert await told(other_user.id) == []

    async def test_a_number_that_was_removed_is_no_news(
        self, tenant: httpx.AsyncClient, number: Any, user: Member
    ) -> None:
        await _see(number, "connected")
        assert (await tenant.delete(f"/api/numbers/{number['id']}")).status_code == 204
        await _see(number, "failed", 1)
        assert await told(user.id) == [_connected(number)]

    async def test_connecting_one_that_was_held_back_is_not_told_before_it_can_send(
        self, tenant: httpx.AsyncClient, signed_in: Any, user: Member, waha: Waha
    ) -> None:
        await silence.hold(signed_in["id"], 600)
        await waha.set_status(signed_in["instance"], "STARTING")
        assert (await tenant.post(f"/api/numbers/{signed_in['id']}/connect")).status_code == 200
        kinds = [type(event) for event in await told(user.id)]
        assert kinds == [NumberConnected, NumberDisconnected]
        await waha.set_status(signed_in["instance"], "WORKING")
        await until_connection(tenant, signed_in["id"], "connected")
        kinds = [type(event) for event in await told(user.id)]
        assert kinds == [NumberConnected, NumberDisconnected, NumberConnected]


class TestRestricted:
    async def test_a_restriction_is_told_when_it_begins(self, number: Any, user: Member) -> None:
        until = datetime.now(UTC) + timedelta(hours=3)
        for minute in range(2):
            await _see(number, "sign_in", minute, restricted_until=until + timedelta(minutes=minute))
        await mark_stopped(number["id"], "restricted", until=until, scope="new_contacts")
        assert await told(user.id) == [_restricted(number, until)]

    async def test_one_that_is_over_is_not_and_the_next_one_is(self, number: Any, user: Member) -> None:
        now = datetime.now(UTC)
        await _see(number, "sign_in", restricted_until=now - timedelta(seconds=1))
        assert await told(user.id) == []
        await mark_stopped(number["id"], "restricted", until=now + timedelta(hours=1), scope="new_contacts")
        assert await told(user.id) == [_restricted(number, now + timedelta(hours=1))]

    async def test_a_refusal_of_new_people_while_sending_is_told_once(self, number: Any, user: Member) -> None:
        for _ in range(2):
            await mark_stopped(number["id"], "restricted", until=None, scope="new_contacts")
        until = await database.fetch_value(
            "SELECT updated_at + interval '24 hours' FROM numbers WHERE id = $1", number["id"]
        )
        (only,) = await told(user.id)
        assert isinstance(only, NumberRestricted)
        assert isinstance(until, datetime)
        assert timedelta(0) <= until - only.restricted_until < timedelta(minutes=1)
