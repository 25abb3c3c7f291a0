"""Sends, look-ups and errors, example by example; the table is in ``test_facts``."""

import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from core.plugin import (
    Accepted,
    CannotTell,
    Capabilities,
    Found,
    Media,
    MessageKind,
    MessageStatus,
    Outcome,
    OutgoingMessage,
    Rejected,
    Retryable,
    SenderStopped,
    Unknown,
)
from core.plugin.testing import Answer, ScriptedServer
from plugins.waha.messages import prepare_message
from plugins.waha.outcomes import read_outcome
from plugins.waha.provider import WahaProvider
from tests.plugins.waha.conftest import TO, Waha, connect, misfits, prepare, sender_on

Start = Callable[..., Awaitable[Waha]]
OWN_ID = "3EB0A1B2C3D4E5F60718"
SENDER = sender_on("http://waha:3000")
NO_IDS = sender_on("http://waha:3000", Capabilities(engine="WEBJS"))


def url(mimetype: str, filename: str, address: str) -> Media:
    return Media(mimetype=mimetype, filename=filename, url=address)


@pytest.mark.parametrize(
    ("path", "example", "message"),
    [
        (
            "/api/sendText",
            (
                b'{"session":"snd_17","chatId":"12132132130@c.us","text":"Hello Ana","linkPreview":false,'
                b'"id":"3EB0A1B2C3D4E5F60718"}'
            ),
            OutgoingMessage(TO, MessageKind.TEXT, "Hello Ana"),
        ),
        (
            "/api/sendText",
            (
                b'{"session":"snd_17","chatId":"12132132130@c.us","text":"Hello Ana","linkPreview":true,'
                b'"id":"3EB0A1B2C3D4E5F60718"}'
            ),
            OutgoingMessage(TO, MessageKind.TEXT, "Hello Ana", link_preview=True),
        ),
        (
            "/api/sendImage",
            (
                b'{"session":"snd_17","chatId":"12132132130@c.us","caption":"Offer","file":{"mimetype":"image/jpeg",'
                b'"filename":"o.jpg","url":"https://cdn.example/o.jpg"}}'
            ),
            OutgoingMessage(TO, MessageKind.IMAGE, "Offer", url("image/jpeg", "o.jpg", "https://cdn.example/o.jpg")),
        ),
        (
            "/api/sendFile",
            (
                b'{"session":"snd_17","chatId":"12132132130@c.us","file":{"mimetype":"application/pdf",'
                b'"filename":"t.pdf","data":"JVBERi0xLjQK"}}'
            ),
            OutgoingMessage(
                TO,
                MessageKind.DOCUMENT,
                "",
                Media(mimetype="application/pdf", filename="t.pdf", content=base64.b64decode("JVBERi0xLjQK")),
            ),
        ),
        (
            "/api/sendVoice",
            (
                b'{"session":"snd_17","chatId":"12132132130@c.us","file":{"mimetype":"audio/ogg; codecs=opus",'
                b'"filename":"v.ogg","url":"https://cdn.example/v.ogg"},"convert":false}'
            ),
            OutgoingMessage(
                TO, MessageKind.AUDIO, "", url("audio/ogg; codecs=opus", "v.ogg", "https://cdn.example/v.ogg")
            ),
        ),
        (
            "/api/sendVideo",
            (
                b'{"session":"snd_17","chatId":"12132132130@c.us","file":{"mimetype":"video/mp4","filename":"v.mp4",'
                b'"url":"https://cdn.example/v.mp4"},"convert":false,"asNote":false,"caption":"Demo"}'
            ),
            OutgoingMessage(TO, MessageKind.VIDEO, "Demo", url("video/mp4", "v.mp4", "https://cdn.example/v.mp4")),
        ),
    ],
)
async def test_request(waha: Waha, path: str, example: bytes, message: OutgoingMessage) -> None:
    text = message.kind is MessageKind.TEXT
    able = sender_on("http://waha:3000", Capabilities(client_message_id=True, link_preview=True))
    prepared = prepare_message(message, able if text else NO_IDS, OWN_ID)
    assert (prepared.path, json.loads(prepared.body)) == (path, json.loads(example))
    if b"cdn.example" not in example:
        await waha.working_session()
        assert (await waha.http.post(path, content=example)).status_code == 201
        assert (await waha.phone())["count"] == 1


@pytest.mark.parametrize("engine", ["WPP"])
async def test_a_preview_that_the_engine_cannot_make_is_not_asked_for(
    provider: WahaProvider, start: Start, engine: str
) -> None:
    sender = await connect(provider, await start(engine=engine))
    message = OutgoingMessage(TO, MessageKind.TEXT, "https://p.example", link_preview=True)
    assert json.loads(provider.prepare(message, sender, OWN_ID).body)["linkPreview"] is False


async def test_small_calls(waha: Waha) -> None:
    await waha.working_session()
    chat = {"session": "snd_17", "chatId": f"{TO}@c.us"}
    for path, answer in (
        ("/api/startTyping", {"result": True}),
        ("/api/stopTyping", {"result": True}),
        ("/api/sendSeen", {"ids": []}),
    ):
        found = await waha.post(path, chat)
        assert (found.status_code, found.json()) == (201, answer)
    presence = {"chatId": f"{TO}@c.us", "presence": "typing"}
    assert (await waha.post("/api/snd_17/presence", presence)).status_code == 201


@pytest.mark.parametrize(
    ("engine", "example"),
    [
        (
            "NOWEB",
            (
                b'{"key":{"remoteJid":"12132132130@s.whatsapp.net","fromMe":true,"id":"3EB0A1B2C3D4E5F60718"},'
                b'"message":{},"messageTimestamp":"1795442346","status":"PENDING"}'
            ),
        ),
        ("NOWEB poll", b'{"id":"true_12132132130@c.us_3EB0A1B2C3D4E5F60718","timestamp":1795442346,"ack":0}'),
        ("GOWS", b'{"id":"true_12132132130@c.us_3EB0A1B2C3D4E5F60718","_data":{}}'),
        (
            "WEBJS",
            (
                b'{"_data":{},"id":{"fromMe":true,"remote":"12132132130@c.us","id":"3EB0A1B2C3D4E5F60718",'
                b'"_serialized":"true_12132132130@c.us_3EB0A1B2C3D4E5F60718"}}'
            ),
        ),
        ("WPP", b'{"id":"true_12132132130@c.us_3EB0A1B2C3D4E5F60718","ack":0,"ackName":"PENDING","_data":{}}'),
        ("inside", b'{"_data":{"key":{"id":"3EB0A1B2C3D4E5F60718","remoteJid":"12132132130@s.whatsapp.net"}}}'),
    ],
)
async def test_answer_of_each_engine(start: Start, engine: str, example: bytes) -> None:
    text = prepare_message(OutgoingMessage(TO, MessageKind.TEXT, "Hello"), SENDER, OWN_ID)
    assert read_outcome(httpx.Response(201, content=example), text) == Accepted((OWN_ID,), f"{TO}@c.us")
    if engine in {"NOWEB", "GOWS", "WEBJS", "WPP"}:
        waha = await start(engine=engine)
        await waha.working_session()
        sent = await waha.http.post("/api/sendText", content=text.body)
        assert (sent.status_code, misfits(json.loads(example), sent.json())) == (201, [])


async def test_new_message_id(waha: Waha) -> None:
    await waha.working_session()
    made = (await waha.http.get("/api/snd_17/new-message-id")).json()
    assert misfits({"id": "3EB0E968"}, made) == []
    assert made["id"].startswith("3EB0")
    await waha.post("/simulator/sessions/snd_17/status", {"status": "FAILED"})
    assert (await waha.http.get("/api/snd_17/new-message-id")).status_code == 422


STORED = (
    b'{"id":"true_12132132130@c.us_3EB0AAAABBBBCCCC2222","timestamp":1795442346,"from":"12132132130@c.us",'
    b'"fromMe":true,"source":"api","body":"hey","hasMedia":false,"media":null,"ack":2,"ackName":"DEVICE"}'
)


async def test_look_up(provider: WahaProvider, waha: Waha) -> None:
    sender = await connect(provider, waha)
    prepared = prepare(provider, sender)
    await provider.send(prepared, sender)
    path = f"/api/snd_17/chats/all/messages/{prepared.client_id}?downloadMedia=false"
    assert misfits(json.loads(STORED), (await waha.http.get(path)).json()) == []
    async with ScriptedServer(Answer(200, STORED)) as server:
        found = await provider.reconcile(prepared, sender_on(server.url), ())
        assert server.requests[0].target == path
    assert found == Found(("3EB0AAAABBBBCCCC2222",), MessageStatus.DELIVERED, f"{TO}@c.us")
    missing = await waha.http.get("/api/snd_17/chats/all/messages/3EB0FF")
    assert (missing.status_code, missing.json()["message"]) == (404, "Message not found")
    async with ScriptedServer(Answer(400, b'{"message":"Enable NOWEB store","statusCode":400}')) as server:
        finding = await provider.reconcile(prepared, sender_on(server.url), ())
    assert finding == CannotTell("store_not_available")


def failed(exception: str) -> bytes:
    request = '{"path":"/api/sendText","method":"POST","body":{"chatId":"12132132130@c.us"},"query":{}}'
    rest = f'"request":{request},"version":{{"version":"2026.7.1"}}'
    return f'{{"statusCode":500,"timestamp":"2026-11-24T13:47:19.817Z","exception":{exception},{rest}}}'.encode()


WRONG_STATUS = (
    b'{"error":"Session status is not as expected. Try again later or restart the session","session":"s1",'
    b'"status":"STARTING","expected":["WORKING"]}'
)
NO_SESSION = b'{"message":"Session not found","error":"Not Found","statusCode":404}'
RESTRICTED = '{"message":"2 UNKNOWN: server returned error 463","name":"Error","stack":"x","code":2}'


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (401, b'{"message":"Unauthorized","statusCode":401}', SenderStopped("unauthorized", scope="server")),
        (400, b'{"message":["name must be a string"],"error":"Bad Request","statusCode":400}', Rejected("bad_request")),
        (400, b'{"message":"Session name is required","statusCode":400}', Rejected("bad_request")),
        (
            404,
            b'{"message":"Session not found","error":"Not Found","statusCode":404}',
            SenderStopped("session_missing"),
        ),
        (422, WRONG_STATUS, Retryable("session_starting", scope="sender")),
        (422, b'{"error":"Session \\"zzz\\" does not exist","session":"zzz"}', SenderStopped("session_missing")),
        (422, b'{"message":"The feature is available only in Plus version"}', SenderStopped("session_not_supported")),
        (501, b'{"message":"Not implemented by the engine","statusCode":501}', Rejected("not_supported_by_engine")),
        (
            500,
            failed('{"message":"Connection Closed","name":"Error","stack":"x","code":null,"data":null}'),
            Unknown("connection_closed", sender_stopped=True),
        ),
        (500, failed('{"message":"rate-overlimit","data":429}'), Retryable("rate_overlimit", scope="sender")),
        (500, failed(RESTRICTED), SenderStopped("new_contacts_restricted", scope="new_contacts")),
        (500, failed('{"message":"4 DEADLINE_EXCEEDED: Deadline exceeded","code":4}'), Unknown("deadline_exceeded")),
        (500, failed('{"message":"Cannot read properties","name":"TypeError"}'), Unknown("server_error")),
        (500, failed('{"message":"Maximum execution time is exceeded"}'), Unknown("lock_timeout")),
        (500, failed('{"message":"something else"}'), Unknown("server_error")),
    ],
)
def test_error(status: int, body: bytes, outcome: Outcome) -> None:
    text = prepare_message(OutgoingMessage(TO, MessageKind.TEXT, "Hello"), SENDER, OWN_ID)
    assert read_outcome(httpx.Response(status, content=body), text) == outcome


@pytest.mark.parametrize("code", ["ECONNREFUSED", "ENOTFOUND"])
def test_error_of_a_file_that_is_out_of_reach(code: str) -> None:
    image = OutgoingMessage(TO, MessageKind.IMAGE, "", url("image/jpeg", "o.jpg", "https://cdn.example/o.jpg"))
    body = failed(f'{{"message":"connect {code}","name":"Error","code":"{code}"}}')
    prepared = prepare_message(image, SENDER, OWN_ID)
    assert read_outcome(httpx.Response(500, content=body), prepared) == Retryable("media_unreachable", scope="server")


@pytest.mark.parametrize(
    ("data", "until"),
    [
        ('{"code":"463","until":"2026-12-01T00:00:00.000Z"}', "2026-12-01T00:00:00+00:00"),
        ('{"code":"463","until":null}', None),
        ('{"until":7}', None),
        ("[]", None),
    ],
)
def test_error_that_names_the_end_of_a_restriction(data: str, until: str | None) -> None:
    text = prepare_message(OutgoingMessage(TO, MessageKind.TEXT, "Hello"), SENDER, OWN_ID)
    body = failed(f'{{"message":"server returned error 463","data":{data}}}')
    outcome = read_outcome(httpx.Response(500, content=body), text)
    assert isinstance(outcome, SenderStopped)
    assert (outcome.scope, outcome.until.isoformat() if outcome.until else None) == ("new_contacts", until)


@pytest.mark.parametrize(
    ("kind", "status", "example"),
    [
        ("401", 401, b'{"message":"Unauthorized","statusCode":401}'),
        ("status_422", 422, WRONG_STATUS),
        ("500", 500, failed('{"message":"x","name":"Error","stack":"x"}')),
        ("500_connection_closed", 500, failed('{"message":"Connection Closed","name":"Error","stack":"x"}')),
        ("rate_overlimit", 500, failed('{"message":"rate-overlimit","stack":"x","data":429}')),
        ("463", 500, failed(RESTRICTED)),
        ("deadline_exceeded", 500, failed('{"message":"4 DEADLINE_EXCEEDED","stack":"x","code":4}')),
        ("media_unreachable", 500, failed('{"message":"x","stack":"x","code":"ECONNREFUSED"}')),
    ],
)
async def test_error_of_the_simulator(waha: Waha, kind: str, status: int, example: bytes) -> None:
    await waha.working_session()
    await waha.fault(kind)
    sent: dict[str, Any] = {"session": "snd_17", "chatId": f"{TO}@c.us", "text": "Hello"}
    answer = await waha.post("/api/sendText", sent)
    assert (answer.status_code, misfits(json.loads(example), answer.json())) == (status, [])
    if status == 500:
        # It echoes the whole request.
        assert answer.json()["request"]["body"] == sent
