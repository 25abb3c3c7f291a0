"""The provider against a server: exact requests, then whole lives of numbers and messages on the simulator."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from core.plugin import (
    Accepted,
    Challenge,
    MisconfiguredError,
    NumberCheck,
    RefusedError,
    SenderReport,
    SenderState,
    SenderStopped,
    UnavailableError,
    WebhookTarget,
)
from core.plugin.testing import Answer, ScriptedServer
from plugins.waha.provider import WahaProvider
from tests.plugins.waha.conftest import (
    HMAC_KEY,
    HOOK,
    KEY,
    PHONE,
    TO,
    Waha,
    connect,
    prepare,
    sender_of,
    sender_on,
)

Start = Callable[..., Awaitable[Waha]]


# Requests, word for word.


async def test_open_creates_the_session(provider: WahaProvider) -> None:
    created = Answer(201, b'{"name": "snd_17", "status": "STARTING", "config": {}, "me": null}')
    async with ScriptedServer(created) as server:
        report = await provider.open(sender_on(server.url), HOOK)
        (request,) = server.requests
    assert report == SenderReport(state=SenderState.STARTING, raw="STARTING")
    assert (request.method, request.target, request.headers["x-api-key"]) == ("POST", "/api/sessions", KEY)
    assert json.loads(request.body) == {
        "name": "snd_17",
        "start": True,
        "config": {
            "metadata": {"number_id": "17"},
            "ignore": {"status": True, "groups": False, "channels": True, "broadcast": True},
            "noweb": {"markOnline": False, "store": {"enabled": True, "fullSync": False}},
            "webjs": {"tagsEventsOn": True},
            "webhooks": [
                {
                    "url": HOOK.url,
                    "events": ["session.status", "message.any", "message.ack", "message.ack.group"],
                    "hmac": {"key": HMAC_KEY},
                    "retries": {"policy": "exponential", "delaySeconds": 2, "attempts": 10},
                }
            ],
        },
    }


async def test_open_reads_the_state_after_an_empty_answer(provider: WahaProvider) -> None:
    routes = {"/api/sessions/snd_17": Answer(200, b'{"status": "STARTING"}')}
    async with ScriptedServer(Answer(201, b""), routes) as server:
        assert (await provider.open(sender_on(server.url), HOOK)).state is SenderState.STARTING


async def test_send_writes_what_was_prepared(provider: WahaProvider) -> None:
    async with ScriptedServer(Answer(201, b'{"id": "true_12132132130@c.us_3EB0AA"}')) as server:
        sender = sender_on(server.url + "/")
        prepared = prepare(provider, sender)
        assert await provider.send(prepared, sender) == Accepted(("3EB0AA",), "12132132130@c.us")
        (request,) = server.requests
    assert (request.method, request.target, request.body) == ("POST", "/api/sendText", prepared.body)
    assert request.headers["x-api-key"] == KEY
    assert request.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("call", "requests"),
    [
        ("stop", [("POST", "/api/sessions/snd_17/stop")]),
        ("sign_out", [("POST", "/api/sessions/snd_17/logout")]),
        ("remove", [("DELETE", "/api/sessions/snd_17")]),
        ("state", [("GET", "/api/sessions/snd_17")]),
        ("challenge", [("GET", "/api/snd_17/auth/qr?format=raw")]),
    ],
)
async def test_session_calls(provider: WahaProvider, call: str, requests: list[tuple[str, str]]) -> None:
    async with ScriptedServer(Answer(200, b'{"status": "STOPPED", "value": "2@abc"}')) as server:
        method: Any = getattr(provider, call)
        await method(sender_on(server.url))
        assert [(request.method, request.target) for request in server.requests] == requests


async def test_pairing_code(provider: WahaProvider) -> None:
    async with ScriptedServer(Answer(201, b'{"code": "ABCD-1234"}')) as server:
        challenge = await provider.challenge(sender_on(server.url), "12132132130")
        (request,) = server.requests
    assert challenge == Challenge(kind="pairing_code", value="ABCD-1234")
    assert (request.method, request.target) == ("POST", "/api/snd_17/auth/request-code")
    assert json.loads(request.body) == {"phoneNumber": "12132132130"}


@pytest.mark.parametrize(("active", "path"), [(True, "/api/startTyping"), (False, "/api/stopTyping")])
async def test_typing(provider: WahaProvider, active: bool, path: str) -> None:  # noqa: FBT001 - a table's column
    async with ScriptedServer(Answer(201, b'{"result": true}')) as server:
        await provider.show_typing(sender_on(server.url), TO, active=active)
        (request,) = server.requests
    assert (request.method, request.target) == ("POST", path)
    assert json.loads(request.body) == {"session": "snd_17", "chatId": "12132132130@c.us"}


async def test_server_without_a_key(provider: WahaProvider) -> None:
    async with ScriptedServer(Answer(200, b'{"version": "2026.7.1", "engine": "GOWS"}')) as server:
        open_server = msgspec.structs.replace(sender_on(server.url).server, credentials=provider.Credentials())
        await provider.capabilities(open_server)
        assert "x-api-key" not in server.requests[0].headers


# A number's life.


async def test_number_signs_in_by_qr(provider: WahaProvider, waha: Waha) -> None:
    sender = await sender_of(provider, waha)
    assert await provider.state(sender) == SenderReport(state=SenderState.STOPPED)
    await provider.open(sender, HOOK)
    await waha.until("snd_17", "SCAN_QR_CODE")
    challenge = await provider.challenge(sender)
    assert challenge.kind == "qr"
    assert challenge.value.startswith("2@")
    await waha.post("/simulator/sessions/snd_17/scan", {"phone": PHONE})
    assert await provider.state(sender) == SenderReport(
        state=SenderState.CONNECTED, raw="WORKING", address=f"{PHONE}@c.us", name="Simulated phone"
    )


async def test_number_that_is_connected_has_no_qr(provider: WahaProvider, waha: Waha) -> None:
    sender = await connect(provider, waha)
    with pytest.raises(RefusedError, match="waits for no QR code"):
        await provider.challenge(sender)


async def test_open_again_keeps_the_sign_in_and_changes_the_webhook(provider: WahaProvider, waha: Waha) -> None:
    sender = await connect(provider, waha)
    await provider.open(sender, WebhookTarget("https://p.example/moved"))
    await waha.until("snd_17", "WORKING")
    session = (await waha.http.get("/api/sessions/snd_17")).json()
    assert session["config"]["webhooks"][0]["url"] == "https://p.example/moved"


async def test_open_again_leaves_a_running_session_alone(
    provider: WahaProvider, waha: Waha, receiver: ScriptedServer
) -> None:
    sender = await connect(provider, waha, receiver.url)
    await waha.until("snd_17", "WORKING")
    before = (await waha.http.get("/api/sessions/snd_17")).json()
    report = await provider.open(sender, WebhookTarget(receiver.url))
    assert report.state is SenderState.CONNECTED
    # Its time of activity is that of its last change of status.
    assert (await waha.http.get("/api/sessions/snd_17")).json() == before


async def present_config(provider: WahaProvider) -> dict[str, Any]:
    """The configuration that a new session is given."""
    created = Answer(201, b'{"name": "snd_17", "status": "STARTING", "config": {}, "me": null}')
    async with ScriptedServer(created) as server:
        await provider.open(sender_on(server.url), HOOK)
        config: dict[str, Any] = json.loads(server.requests[0].body)["config"]
    return config


@pytest.mark.parametrize(
    ("more", "methods"),
    [
        ({}, ["POST", "GET"]),
        ({"debug": False, "proxy": {"server": "10.0.0.1:3128"}}, ["POST", "GET"]),
        ({"metadata": {"number_id": "18"}}, ["POST", "GET", "PUT"]),
        ({"webjs": None}, ["POST", "GET", "PUT"]),
        ({"webhooks": []}, ["POST", "GET", "PUT"]),
    ],
)
async def test_open_changes_only_what_differs(provider: WahaProvider, more: dict[str, Any], methods: list[str]) -> None:
    session = {"name": "snd_17", "status": "WORKING", "config": {**await present_config(provider), **more}, "me": None}
    present = {"/api/sessions/snd_17": Answer(200, json.dumps(session).encode())}
    async with ScriptedServer(Answer(422, b"{}"), present) as server:
        report = await provider.open(sender_on(server.url), HOOK)
        assert [request.method for request in server.requests] == methods
    assert report.state is SenderState.CONNECTED


@pytest.mark.parametrize("secret", ["***", "another secret"])
async def test_open_sets_a_webhook_secret_that_is_not_ours(provider: WahaProvider, secret: str) -> None:
    config = await present_config(provider)
    config["webhooks"][0]["hmac"]["key"] = secret
    session = json.dumps({"name": "snd_17", "status": "WORKING", "config": config}).encode()
    async with ScriptedServer(Answer(422, b"{}"), {"/api/sessions/snd_17": Answer(200, session)}) as server:
        await provider.open(sender_on(server.url), HOOK)
        assert [request.method for request in server.requests] == ["POST", "GET", "PUT"]


@pytest.mark.parametrize("status", ["STOPPED", "FAILED"])
async def test_open_revives_a_session(provider: WahaProvider, waha: Waha, status: str) -> None:
    sender = await connect(provider, waha)
    await waha.post("/simulator/sessions/snd_17/status", {"status": status})
    await provider.open(sender, HOOK)
    await waha.until("snd_17", "WORKING")


async def test_one_session_server(provider: WahaProvider, start: Start) -> None:
    waha = await start(version="2026.2.1", engine="NOWEB")
    sender = await sender_of(provider, waha)
    for _ in range(2):
        await provider.open(sender, HOOK)
        await waha.until("default", "SCAN_QR_CODE")
    assert (await provider.state(sender)).state is SenderState.SIGN_IN


async def test_stop_sign_out_and_remove_are_repeatable(provider: WahaProvider, waha: Waha) -> None:
    sender = await connect(provider, waha)
    for call in (provider.stop, provider.sign_out, provider.remove):
        await call(sender)
        await call(sender)
    assert (await provider.state(sender)).state is SenderState.STOPPED
    for call in (provider.stop, provider.sign_out, provider.remove):
        await call(sender)


async def test_wrong_key(provider: WahaProvider, start: Start) -> None:
    waha = await start(api_key="another")
    sender = sender_on(waha.url)
    with pytest.raises(MisconfiguredError, match="check the credentials of this server"):
        await provider.state(sender)
    assert await provider.send(prepare(provider, sender), sender) == SenderStopped("unauthorized", scope="server")


# Numbers.


async def test_number_checks(provider: WahaProvider, waha: Waha) -> None:
    sender = await connect(provider, waha)
    assert await provider.check_numbers(sender, ["5531988887777", "12132130000"]) == {
        "5531988887777": NumberCheck("5531988887777", exists=True, address="553188887777@c.us"),
        "12132130000": NumberCheck("12132130000", exists=False),
    }


async def test_the_phone_behind_a_hidden_number(provider: WahaProvider, waha: Waha) -> None:
    sender = await connect(provider, waha)
    known = (await waha.http.get(f"/api/{sender.instance}/lids/pn/{TO}")).json()["lid"]
    assert await provider.find_phone(sender, known) == TO
    assert await provider.find_phone(sender, "1@lid") == ""
    assert await provider.find_phone(sender, f"{TO}@c.us") == TO
    assert await provider.find_phone(sender, "123@g.us") == ""


async def test_number_check_at_its_limit(provider: WahaProvider, waha: Waha) -> None:
    sender = await connect(provider, waha)
    await waha.fault("rate_overlimit", match={"path": "/api/contacts/check-exists"})
    with pytest.raises(UnavailableError):
        await provider.check_numbers(sender, [TO])


async def test_number_check_without_a_session(provider: WahaProvider, waha: Waha) -> None:
    with pytest.raises(UnavailableError, match="The session does not run"):
        await provider.check_numbers(sender_on(waha.url), [TO])
