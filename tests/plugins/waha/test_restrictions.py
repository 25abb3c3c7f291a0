"""What WhatsApp forbids a number for a while, from each place that tells it."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from core.plugin import (
    Accepted,
    MessageStatusEvent,
    SenderStatusEvent,
    SenderStopped,
)
from core.plugin.testing import Answer, ScriptedServer
from plugins.waha.provider import WahaProvider
from tests.plugins.waha.conftest import TO, Waha, connect, delivery_of, eventually, prepare, sender_on
from tests.plugins.waha.test_webhook import AT, ME, events_of

Start = Callable[..., Awaitable[Waha]]
DAY = timedelta(days=1)
END = datetime.fromtimestamp(1795500000, UTC)
LOCK = '{"enforcementType":"RESTRICT_ALL_COMPANIONS","isActive":true,"timeEnforcementEnds":1795500000}'
CAPPED = (
    '{"cappingStatus":"CAPPED","totalQuota":1000,"usedQuota":1000,"cycleStart":1795400000,"cycleEnd":1795500000,'
    '"mvStatus":"NOT_ELIGIBLE","oteStatus":"NOT_ELIGIBLE"}'
)


def restriction(payload: dict[str, object], **more: object) -> datetime | None:
    (event,) = events_of("session.status", {"name": "snd_17", "status": "WORKING", **payload}, **more)
    assert isinstance(event, SenderStatusEvent)
    assert event.state == "connected"
    return event.restricted_until


@pytest.mark.parametrize("kind", ["RESTRICT_ALL_COMPANIONS", "BIZ_QUALITY", "WEB_COMPANION_ONLY", "DEFAULT", "NEW"])
def test_timelock(kind: str) -> None:
    """In the data of a status, and in the account."""
    lock = json.loads(LOCK) | {"enforcementType": kind}
    assert restriction({"data": {"reachoutTimelock": lock}}) == END
    assert restriction({}, me={**ME, "reachoutTimelock": lock}) == END
    assert restriction({"data": None}, me={**ME, "reachoutTimelock": None}) is None


@pytest.mark.parametrize(
    ("changed", "until"),
    [
        ({}, END),
        ({"cycleEnd": None}, AT + DAY),
        ({"cycleEnd": 1e300}, AT + DAY),
        ({"cappingStatus": "NONE", "totalQuota": -1, "usedQuota": 0, "cycleStart": None, "cycleEnd": None}, None),
        ({"cappingStatus": "FIRST_WARNING"}, None),
        ({"cappingStatus": "SECOND_WARNING"}, None),
        ({"cappingStatus": "OF_A_LATER_VERSION"}, None),
        ({"cappingStatus": 7}, None),
    ],
)
def test_capping(changed: dict[str, object], until: datetime | None) -> None:
    assert restriction({}, me={**ME, "messageCapping": json.loads(CAPPED) | changed}) == until


def test_the_later_of_two() -> None:
    capping = json.loads(CAPPED) | {"cycleEnd": 1795600000}
    me = {**ME, "reachoutTimelock": json.loads(LOCK), "messageCapping": capping}
    assert restriction({}, me=me) == datetime.fromtimestamp(1795600000, UTC)


@pytest.mark.parametrize("odd", [7, "x", [], {}, {"isActive": "yes"}, {"isActive": True, "timeEnforcementEnds": "x"}])
def test_odd_limits_hide_nothing_else(odd: object) -> None:
    (event,) = events_of("session.status", {"status": "WORKING"}, me={**ME, "reachoutTimelock": odd})
    assert isinstance(event, SenderStatusEvent)
    assert (event.address, event.name, event.restricted_until) == (ME["id"], ME["pushName"], None)


async def test_state_tells_it_too(provider: WahaProvider) -> None:
    account = f'{{"id":"5511988887777@c.us","pushName":"Shop","reachoutTimelock":{LOCK},"messageCapping":{CAPPED}}}'
    answer = Answer(200, f'{{"name":"snd_17","status":"WORKING","me":{account}}}'.encode())
    async with ScriptedServer(answer) as server:
        assert (await provider.state(sender_on(server.url))).restricted_until == END


@pytest.mark.parametrize(
    ("error", "code", "until"),
    [
        (
            {
                "code": "463",
                "blocked": True,
                "reason": "account_restricted",
                "until": "2026-12-01T00:00:00.000Z",
                "enforcementType": "RESTRICT_ALL_COMPANIONS",
            },
            "463",
            datetime(2026, 12, 1, tzinfo=UTC),
        ),
        ({"code": "463", "blocked": True, "reason": "account_restricted", "until": None}, "463", AT + DAY),
        ({"code": 463, "until": "soon"}, "463", AT + DAY),
        ({"code": None, "reason": "account_restricted", "until": 1}, "", AT + DAY),
    ],
)
def test_refused_acknowledgement(error: dict[str, object], code: str, until: datetime) -> None:
    payload = {"id": "true_12132132130@c.us_3EB0AA", "fromMe": True, "ack": -1, "error": error}
    status, stop = events_of("message.ack", payload)
    assert isinstance(status, MessageStatusEvent)
    assert (status.status, status.error) == ("failed", code)
    assert isinstance(stop, SenderStatusEvent)
    assert (stop.state, stop.raw, stop.restricted_until) == ("connected", "account_restricted", until)


@pytest.mark.parametrize("error", [{"code": "479", "blocked": False}, {"code": None, "blocked": False}, None, "x"])
def test_an_error_of_one_message_restricts_nobody(error: object) -> None:
    payload = {"id": "true_12132132130@c.us_3EB0AA", "fromMe": True, "ack": -1, "error": error}
    (status,) = events_of("message.ack", payload)
    assert isinstance(status, MessageStatusEvent)
    assert status.status == "failed"


async def test_refused_acknowledgement_of_the_simulator(
    provider: WahaProvider, waha: Waha, receiver: ScriptedServer
) -> None:
    sender = await connect(provider, waha, receiver.url)
    await waha.fault("restricted_ack")
    prepared = prepare(provider, sender)
    await provider.send(prepared, sender)
    stops: list[SenderStatusEvent] = []

    async def told() -> bool:
        results = [provider.receive(delivery_of(request), sender.webhook_secret) for request in receiver.requests]
        events = [event for result in results for event in result.events]
        stops[:] = [one for one in events if isinstance(one, SenderStatusEvent) and one.raw == "account_restricted"]
        failures = [one for one in events if isinstance(one, MessageStatusEvent) and one.status == "failed"]
        return [one.ids for one in failures] == [(prepared.client_id,)] and len(stops) == 1

    await eventually(told)
    assert stops[0].restricted_until is not None
    assert DAY / 2 < stops[0].restricted_until - stops[0].at < DAY * 2


async def test_capped_number(provider: WahaProvider, start: Start) -> None:
    """It may write on to whom it has written."""
    waha = await start(version="2026.7.2")
    sender = await connect(provider, waha)
    assert (await provider.state(sender)).restricted_until is None
    quota = (await waha.post("/simulator/sessions/snd_17/capping", {"total": 1, "seconds": 3600})).json()
    assert (await waha.http.get("/api/sessions/snd_17/capping")).json() == quota
    assert isinstance(await provider.send(prepare(provider, sender, to=TO), sender), Accepted)
    stranger = prepare(provider, sender, to="12132132131")
    assert await provider.send(stranger, sender) == SenderStopped("new_contacts_restricted", scope="new_contacts")
    assert isinstance(await provider.send(prepare(provider, sender, "again", to=TO), sender), Accepted)
    assert (await provider.state(sender)).restricted_until == datetime.fromtimestamp(quota["cycleEnd"], UTC)


async def test_a_server_that_tells_no_quota(waha: Waha) -> None:
    await waha.working_session()
    found = (await waha.http.get("/api/sessions/snd_17/capping")).json()
    assert (found["cappingStatus"], found["totalQuota"], found["cycleEnd"]) == ("NONE", -1, None)
    assert "messageCapping" not in (await waha.http.get("/api/sessions/snd_17/me")).json()
