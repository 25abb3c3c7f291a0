"""The provider against a server: exact requests, then whole lives of numbers and messages on the simulator."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from core.plugin import (
    Absent,
    Accepted,
    CannotTell,
    Capabilities,
    Challenge,
    Finding,
    Found,
    Media,
    MessageKind,
    MessageStatus,
    MessageStatusEvent,
    MisconfiguredError,
    NumberCheck,
    Outcome,
    OutgoingMessage,
    Prepared,
    RefusedError,
    Sender,
    SenderReport,
    SenderState,
    SenderStopped,
    UnavailableError,
    Unknown,
    WebhookDelivery,
    WebhookTarget,
)
from core.plugin.testing import Answer, ReceivedRequest, ScriptedServer
from plugins.waha.provider import WahaProvider
from tests.plugins.waha.conftest import HMAC_KEY, KEY, PHONE, Waha, eventually, sender_on

Start = Callable[..., Awaitable[Waha]]
HOOK = WebhookTarget("https://p.example/api/webhooks/waha/token")
TO = "12132132130"


def prepare(
    provider: WahaProvider, sender: Sender, text: str = "Hello", to: str = TO, media: Media | None = None
) -> Prepared:
    kind = MessageKind.IMAGE if media else MessageKind.TEXT
    return provider.prepare(OutgoingMessage(to, kind, text, media), sender, provider.new_client_id())


async def sender_of(provider: WahaProvider, waha: Waha, instance: str = "snd_17") -> Sender:
    """Make a sender with the capabilities that the server really has."""
    sender = sender_on(waha.url, instance=instance)
    return msgspec.structs.replace(sender, capabilities=await provider.capabilities(sender.server))


async def connect(provider: WahaProvider, waha: Waha, webhook: str = HOOK.url) -> Sender:
    sender = await sender_of(provider, waha)
    await provider.open(sender, WebhookTarget(webhook))
    await waha.until("snd_17", "SCAN_QR_CODE")
    await waha.post("/simulator/sessions/snd_17/scan", {"phone": PHONE})
    return sender


def delivery_of(request: ReceivedRequest) -> WebhookDelivery:
    return WebhookDelivery(
        method=request.method, query={}, headers=request.headers, body=request.body, public_url=HOOK.url
    )


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
            "ignore": {"status": True, "groups": True, "channels": True, "broadcast": True},
            "noweb": {"markOnline": False, "store": {"enabled": True, "fullSync": False}},
            "webjs": {"tagsEventsOn": True},
            "webhooks": [
                {
                    "url": HOOK.url,
                    "events": ["session.status", "message.any", "message.ack"],
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


# A message's life.


@pytest.mark.parametrize("engine", ["GOWS", "NOWEB"])
async def test_message_goes_out_under_our_id(provider: WahaProvider, start: Start, engine: str) -> None:
    waha = await start(engine=engine)
    sender = await connect(provider, waha)
    prepared = prepare(provider, sender)
    assert await provider.send(prepared, sender) == Accepted((prepared.client_id,), "12132132130@c.us")
    assert [one["id"] for one in (await waha.phone())["messages"]] == [prepared.client_id]


@pytest.mark.parametrize("engine", ["WEBJS", "WPP"])
async def test_message_goes_out_under_their_id(provider: WahaProvider, start: Start, engine: str) -> None:
    waha = await start(engine=engine)
    sender = await connect(provider, waha)
    outcome = await provider.send(prepare(provider, sender), sender)
    assert isinstance(outcome, Accepted)
    assert outcome.ids == ((await waha.phone())["messages"][0]["id"],)


async def test_picture_goes_out(provider: WahaProvider, waha: Waha) -> None:
    sender = await connect(provider, waha)
    media = Media(mimetype="image/jpeg", filename="o.jpg", content=b"jpeg")
    assert isinstance(await provider.send(prepare(provider, sender, "Offer", media=media), sender), Accepted)
    assert (await waha.phone())["messages"][0]["kind"] == "image"


async def test_acknowledgements_come_back(provider: WahaProvider, waha: Waha, receiver: ScriptedServer) -> None:
    sender = await connect(provider, waha, receiver.url)
    prepared = prepare(provider, sender)
    await provider.send(prepared, sender)
    seen: set[str] = set()

    async def read() -> bool:
        for request in receiver.requests:
            result = provider.receive(delivery_of(request), sender.webhook_secret)
            assert result.genuine
            statuses = [event for event in result.events if isinstance(event, MessageStatusEvent)]
            seen.update(event.status for event in statuses if event.ids == (prepared.client_id,))
        return seen == {"accepted", "sent", "delivered", "read"}

    await eventually(read)


@pytest.mark.parametrize("kind", ["401", "463", "429", "rate_overlimit", "status_422"])
async def test_certain_failures_reached_nobody(provider: WahaProvider, waha: Waha, kind: str) -> None:
    sender = await connect(provider, waha)
    await waha.fault(kind)
    assert not isinstance(await provider.send(prepare(provider, sender), sender), Accepted | Unknown)
    assert (await waha.phone())["count"] == 0


@pytest.mark.parametrize(
    ("kind", "executed"),
    [
        ("drop_response", False),
        ("malformed", False),
        ("500", True),
        ("500_connection_closed", True),
        ("503", True),
        ("502", True),
        ("deadline_exceeded", True),
    ],
)
async def test_uncertain_failures_are_found_again(
    provider: WahaProvider,
    waha: Waha,
    kind: str,
    executed: bool,  # noqa: FBT001 - a table's column
) -> None:
    sender = await connect(provider, waha)
    await waha.fault(kind, executed=executed)
    prepared = prepare(provider, sender)
    assert isinstance(await provider.send(prepared, sender), Unknown)
    finding = await provider.reconcile(prepared, sender, ())
    assert isinstance(finding, Found)
    assert (finding.ids, finding.address) == ((prepared.client_id,), "12132132130@c.us")


async def test_late_success_is_found_after_the_grace(provider: WahaProvider, waha: Waha) -> None:
    sender = await connect(provider, waha)
    await waha.fault("late_success", seconds=1.5)
    prepared = prepare(provider, sender)
    assert await provider.send(prepared, sender) == Unknown("timeout")

    async def found() -> bool:
        return isinstance(await provider.reconcile(prepared, sender, ()), Found)

    await eventually(found)
    assert (await waha.phone())["count"] == 1


async def test_message_that_never_went_is_absent(provider: WahaProvider, waha: Waha) -> None:
    sender = await connect(provider, waha)
    await provider.send(prepare(provider, sender, "an older one"), sender)
    await waha.fault("500")
    lost = prepare(provider, sender)
    assert await provider.send(lost, sender) == Unknown("server_error")
    timed = msgspec.structs.replace(lost, attempted_at=datetime.now(UTC))
    for prepared in (lost, timed):
        assert await provider.reconcile(prepared, sender, ()) == Absent()


async def test_store_that_is_younger_than_the_message_proves_nothing(provider: WahaProvider, waha: Waha) -> None:
    sender = await connect(provider, waha)
    lost = msgspec.structs.replace(prepare(provider, sender), attempted_at=datetime.now(UTC) - timedelta(minutes=5))
    assert await provider.reconcile(lost, sender, ()) == CannotTell("store_too_young")
    await provider.send(prepare(provider, sender, "a newer one"), sender)
    assert await provider.reconcile(lost, sender, ()) == CannotTell("store_too_young")


async def test_accepted_message_that_is_gone_proves_nothing(provider: WahaProvider, waha: Waha) -> None:
    sender = await connect(provider, waha)
    await provider.send(prepare(provider, sender, "an older one"), sender)
    assert await provider.reconcile(prepare(provider, sender), sender, ("3EB0FF",)) == CannotTell("not_in_store")


async def test_failed_message_is_found_as_failed(provider: WahaProvider, waha: Waha) -> None:
    sender = await connect(provider, waha)
    await waha.fault("failed_ack")
    prepared = prepare(provider, sender)
    await provider.send(prepared, sender)

    async def failed() -> bool:
        found = await provider.reconcile(prepared, sender, (prepared.client_id,))
        return isinstance(found, Found) and found.status is MessageStatus.FAILED

    await eventually(failed)


async def test_noweb_without_its_store(provider: WahaProvider, start: Start) -> None:
    waha = await start(engine="NOWEB")
    sender = await sender_of(provider, waha)
    await waha.post("/api/sessions", {"name": "snd_17", "start": True, "config": {}})
    await waha.until("snd_17", "SCAN_QR_CODE")
    await waha.post("/simulator/sessions/snd_17/scan", {"phone": PHONE})
    finding = await provider.reconcile(prepare(provider, sender), sender, ())
    assert finding == CannotTell("store_not_available")


async def test_session_that_is_gone(provider: WahaProvider, waha: Waha) -> None:
    sender = sender_on(waha.url)
    assert await provider.reconcile(prepare(provider, sender), sender, ()) == CannotTell("store_not_available")


async def test_other_404_is_not_absence(provider: WahaProvider) -> None:
    async with ScriptedServer(Answer(404, b'{"message": "Session not found", "statusCode": 404}')) as server:
        sender = sender_on(server.url)
        assert await provider.reconcile(prepare(provider, sender), sender, ()) == CannotTell("session_missing")


async def test_webjs_finds_an_accepted_message_by_its_serialized_id(provider: WahaProvider, start: Start) -> None:
    waha = await start(engine="WEBJS")
    sender = await connect(provider, waha)
    prepared = prepare(provider, sender)
    outcome = await provider.send(prepared, sender)
    assert isinstance(outcome, Accepted)
    finding = await provider.reconcile(prepared, sender, outcome.ids)
    assert isinstance(finding, Found)
    assert finding.ids == outcome.ids


async def by_text(provider: WahaProvider, waha: Waha, sender: Sender, *texts: str) -> Finding:
    """Send ``texts``, then look for "Hello" as if its answer had been lost."""
    prepared = prepare(provider, sender)
    attempted_at = datetime.now(UTC)
    for text in texts:
        outcome: Outcome = await provider.send(prepare(provider, sender, text), sender)
        assert isinstance(outcome, Accepted)
    await waha.post("/simulator/messages", {"session": "snd_17", "from": TO, "text": "Hello"})
    return await provider.reconcile(msgspec.structs.replace(prepared, attempted_at=attempted_at), sender, ())


@pytest.mark.parametrize(
    ("texts", "finding"),
    [
        (("Hello", "Something else"), Found),
        (("Something else",), CannotTell("not_in_chat")),
        (("Hello", "Hello"), CannotTell("ambiguous")),
    ],
)
async def test_without_ids_the_chat_is_searched(
    provider: WahaProvider, start: Start, texts: tuple[str, ...], finding: object
) -> None:
    waha = await start(engine="WEBJS")
    sender = await connect(provider, waha)
    found = await by_text(provider, waha, sender, *texts)
    assert found == finding if isinstance(finding, CannotTell) else isinstance(found, Found)


async def test_without_ids_and_times_nothing_can_be_told(provider: WahaProvider, start: Start) -> None:
    waha = await start(engine="WEBJS")
    sender = await connect(provider, waha)
    assert await provider.reconcile(prepare(provider, sender), sender, ()) == CannotTell("no_message_id")


async def test_send_holds_its_limit(provider: WahaProvider, waha: Waha) -> None:
    sender = await connect(provider, waha)
    await waha.fault("hang")
    begun = asyncio.get_running_loop().time()
    assert await provider.send(prepare(provider, sender), sender) == Unknown("timeout")
    assert asyncio.get_running_loop().time() - begun < provider.send_timeout(MessageKind.TEXT) + 0.5


async def test_restricted_number_keeps_its_chats(provider: WahaProvider, waha: Waha) -> None:
    sender = await connect(provider, waha)
    await provider.send(prepare(provider, sender), sender)
    await waha.post("/simulator/sessions/snd_17/restrict", {"seconds": 3600})
    stranger = prepare(provider, sender, to="12132132131")
    assert await provider.send(stranger, sender) == SenderStopped("new_contacts_restricted", scope="new_contacts")
    assert isinstance(await provider.send(prepare(provider, sender, "again"), sender), Accepted)


def test_capabilities_survive_their_storage() -> None:
    """Core stores them as JSON with the server."""
    found = Capabilities(engine="GOWS", media=(MessageKind.IMAGE,), warnings=("one",))
    assert msgspec.json.decode(msgspec.json.encode(found), type=Capabilities) == found
