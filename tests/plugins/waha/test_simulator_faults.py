"""The simulator's webhooks, acknowledgements, and what goes wrong on request."""

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from core.plugin.testing import Answer, ScriptedServer
from tests.plugins.waha.conftest import HMAC_KEY, Waha, eventually

Start = Callable[..., Awaitable[Waha]]
TO = "12132132130@c.us"


def text(to: str = TO, **more: object) -> dict[str, object]:
    return {"session": "snd_17", "chatId": to, "text": "Hello Ana", "linkPreview": False, **more}


def events(receiver: ScriptedServer, name: str) -> list[Any]:
    bodies = [json.loads(request.body) for request in receiver.requests]
    return [body for body in bodies if body["event"] == name]


async def test_webhooks_are_signed_and_acks_rise(waha: Waha, receiver: ScriptedServer) -> None:
    await waha.working_session(webhook=receiver.url)
    await waha.post("/api/sendText", text(id="3EB0AAAABBBBCCCC2222"))

    async def read() -> bool:
        return len(events(receiver, "message.ack")) == 3

    await eventually(read)
    acks = [(event["payload"]["ack"], event["payload"]["ackName"]) for event in events(receiver, "message.ack")]
    assert sorted(acks) == [(1, "SERVER"), (2, "DEVICE"), (3, "READ")]
    own = events(receiver, "message.any")[0]
    assert own["payload"]["id"] == "true_12132132130@c.us_3EB0AAAABBBBCCCC2222"
    assert (own["payload"]["source"], own["payload"]["ackName"]) == ("api", "PENDING")
    for request in receiver.requests:
        expected = hmac.new(HMAC_KEY.encode(), request.body, hashlib.sha512).hexdigest()
        assert request.headers["x-webhook-hmac"] == expected
        assert request.headers["user-agent"] == "WAHA/2026.7.1"


async def test_refused_webhooks_are_repeated_under_one_id(waha: Waha, receiver: ScriptedServer) -> None:
    await waha.working_session()
    receiver.reaction = Answer(404)
    webhooks = [{"url": receiver.url, "events": ["message"], "retries": {"delaySeconds": 0.05, "attempts": 2}}]
    await waha.http.put("/api/sessions/snd_17", json={"config": {"webhooks": webhooks}})
    await waha.until("snd_17", "WORKING")
    await waha.post("/simulator/messages", {"session": "snd_17", "from": "12132132130", "text": "STOP"})

    async def all_tried() -> bool:
        return len(receiver.requests) == 3

    await eventually(all_tried)
    assert len({request.headers["x-webhook-request-id"] for request in receiver.requests}) == 1
    assert len({request.body for request in receiver.requests}) == 1


async def test_incoming_message_fires_two_events(waha: Waha, receiver: ScriptedServer) -> None:
    await waha.working_session(webhook=receiver.url)
    await waha.post("/simulator/messages", {"session": "snd_17", "from": "12132132130", "text": "STOP"})

    async def both() -> bool:
        return len(events(receiver, "message")) == 1 and len(events(receiver, "message.any")) == 1

    await eventually(both)
    first, second = events(receiver, "message")[0], events(receiver, "message.any")[0]
    assert first["id"] != second["id"]
    assert first["payload"] == second["payload"]
    assert (first["payload"]["from"], first["payload"]["body"]) == (TO, "STOP")


@pytest.mark.parametrize(
    ("kind", "acks"),
    [
        ("no_acks", []),
        ("duplicate_acks", [1, 1, 2, 2, 3, 3]),
        ("out_of_order_acks", [1, 2, 3]),
        ("failed_ack", [-1]),
    ],
)
async def test_ack_faults(waha: Waha, receiver: ScriptedServer, kind: str, acks: list[int]) -> None:
    await waha.working_session(webhook=receiver.url)
    await waha.fault(kind)
    await waha.post("/api/sendText", text())
    await waha.post("/api/sendText", text("12132132131"))

    async def settled() -> bool:
        return len(events(receiver, "message.ack")) == len(acks) + 3

    await eventually(settled)
    struck = [event["payload"] for event in events(receiver, "message.ack") if event["payload"]["from"] == TO]
    assert sorted(payload["ack"] for payload in struck) == acks


@pytest.mark.parametrize(
    ("kind", "status", "arrived"),
    [
        ("401", 401, 0),
        ("429", 429, 0),
        ("463", 500, 0),
        ("500", 500, 0),
        ("500_connection_closed", 500, 0),
        ("502", 502, 0),
        ("503", 503, 0),
        ("deadline_exceeded", 500, 0),
        ("malformed", 201, 1),
        ("media_unreachable", 500, 0),
        ("rate_overlimit", 500, 0),
        ("status_422", 422, 0),
    ],
)
async def test_request_faults(waha: Waha, kind: str, status: int, arrived: int) -> None:
    await waha.working_session()
    await waha.fault(kind)
    assert (await waha.post("/api/sendText", text())).status_code == status
    assert (await waha.phone())["count"] == arrived
    assert (await waha.post("/api/sendText", text())).status_code == 201


async def test_failure_that_goes_out_all_the_same(waha: Waha) -> None:
    await waha.working_session()
    await waha.fault("500_connection_closed", executed=True)
    assert (await waha.post("/api/sendText", text())).status_code == 500
    assert (await waha.phone())["count"] == 1


async def test_fault_strikes_what_it_matches(waha: Waha) -> None:
    await waha.working_session()
    await waha.fault("503", match={"chat_id": "12132132131@c.us"}, count=-1)
    assert (await waha.post("/api/sendText", text())).status_code == 201
    for _ in range(3):
        assert (await waha.post("/api/sendText", text("12132132131@c.us"))).status_code == 503


async def test_cut_response(waha: Waha) -> None:
    await waha.working_session()
    await waha.fault("drop_response")
    with pytest.raises(httpx.RemoteProtocolError):
        await waha.post("/api/sendText", text())
    assert (await waha.phone())["count"] == 1


async def test_late_success_after_the_client_gave_up(waha: Waha) -> None:
    await waha.working_session()
    await waha.fault("late_success", seconds=0.3)
    with pytest.raises(httpx.ReadTimeout):
        await waha.http.post("/api/sendText", json=text(), timeout=0.1)
    assert (await waha.phone())["count"] == 0

    async def arrived() -> bool:
        return bool((await waha.phone())["count"] == 1)

    await eventually(arrived)


async def test_hanging_request_sends_nothing(waha: Waha) -> None:
    await waha.working_session()
    await waha.fault("hang")
    with pytest.raises(httpx.ReadTimeout):
        await waha.http.post("/api/sendText", json=text(), timeout=0.1)
    assert (await waha.phone())["count"] == 0


async def test_lost_webhooks(waha: Waha, receiver: ScriptedServer) -> None:
    await waha.working_session(webhook=receiver.url)
    await waha.fault("lost_webhooks", count=-1, match={"text": "message.ack"})
    await waha.post("/simulator/messages", {"session": "snd_17", "from": "12132132130", "text": "hey"})
    await waha.post("/api/sendText", text())

    async def read() -> bool:
        found = await waha.http.get(f"/api/snd_17/chats/{TO}/messages?filter.fromMe=true")
        return bool(found.json()[0]["ack"] == 3)

    await eventually(read)
    assert events(receiver, "message.ack") == []


async def test_unknown_fault_is_refused(waha: Waha) -> None:
    assert (await waha.post("/simulator/faults", {"kind": "bad_luck"})).status_code == 400
