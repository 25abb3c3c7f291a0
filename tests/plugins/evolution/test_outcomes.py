"""What each answer to a send means, with the bodies that real servers gave."""

import json

import httpx
import pytest

from core.plugin import (
    Accepted,
    Media,
    MessageKind,
    Outcome,
    OutgoingMessage,
    Rejected,
    Retryable,
    SenderStopped,
    Unknown,
)
from plugins.evolution.messages import prepare_message
from plugins.evolution.outcomes import read_outcome
from tests.plugins.evolution.conftest import sender_on

SENDER = sender_on("http://evo")
TEXT = prepare_message(OutgoingMessage("12132132130", MessageKind.TEXT, "Hello"), SENDER, "3EB0")
PICTURE = Media(mimetype="image/jpeg", filename="o.jpg", url="https://p.example/o.jpg")
IMAGE = prepare_message(OutgoingMessage("12132132130", MessageKind.IMAGE, "Offer", PICTURE), SENDER, "3EB0")
SENT = {
    "key": {"remoteJid": "12132132130@s.whatsapp.net", "fromMe": True, "id": "3EB01C622C26014C47E80B"},
    "pushName": "Shop",
    "status": "PENDING",
    "message": {"conversation": "Hello"},
    "contextInfo": {},
    "messageType": "conversation",
    "messageTimestamp": 1795442276,
    "instanceId": "uuid",
    "source": "web",
}


def read(status: int, body: object = None, headers: dict[str, str] | None = None, *, image: bool = False) -> Outcome:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_outcome(httpx.Response(status, content=content, headers=headers), IMAGE if image else TEXT)


def failed(status: int, message: object) -> dict[str, object]:
    return {"status": status, "error": "Any", "response": {"message": message}}


@pytest.mark.parametrize("status", [200, 201])
def test_accepted(status: int) -> None:
    assert read(status, SENT) == Accepted(("3EB01C622C26014C47E80B",), "12132132130@s.whatsapp.net")


def test_accepted_at_another_address_than_asked() -> None:
    body = {"key": {"remoteJid": "553188887777:4@s.whatsapp.net", "fromMe": True, "id": "3EB0AA"}}
    assert read(201, body) == Accepted(("3EB0AA",), "553188887777@s.whatsapp.net")


def test_accepted_without_an_address() -> None:
    assert read(201, {"key": {"id": "3EB0AA"}}) == Accepted(("3EB0AA",), "")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        {"error": True, "message": "[object Object]"},
        {"key": {}},
        {"key": {"id": ""}},
        {"key": {"id": 7}},
        {"key": "3EB0AA"},
        {"message": {"conversation": "Hello"}},
    ],
)
def test_success_without_an_id_is_unknown(body: object) -> None:
    assert read(200, body) == Unknown("no_message_id")


def test_no_account() -> None:
    found = {"jid": "12132130000@s.whatsapp.net", "exists": False, "number": "12132130000"}
    assert read(400, failed(400, [found])) == Rejected("no_whatsapp")
    assert read(400, failed(400, found)) == Rejected("no_whatsapp")


def test_request_that_does_not_fit() -> None:
    assert read(400, failed(400, [['instance requires property "text"']])) == Rejected("bad_request")


@pytest.mark.parametrize("message", ["Owned media must be a url or base64", ["Media must be a url or base64"]])
def test_address_of_a_file_that_the_server_takes_for_none(message: object) -> None:
    outcome = read(400, failed(400, message), image=True)
    assert outcome == Retryable("media_address_refused", scope="server")


@pytest.mark.parametrize(
    ("message", "outcome"),
    [
        (["Error: Connection Closed"], Unknown("connection_closed", sender_stopped=True)),
        ("Error: Connection Closed", Unknown("connection_closed", sender_stopped=True)),
        (["Error: Timed Out"], Unknown("engine_error")),
        (["PrismaClientKnownRequestError: the message was sent, its row was not written"], Unknown("engine_error")),
        (["Error: Media upload failed on all hosts"], Unknown("engine_error")),
        ([], Unknown("engine_error")),
        (None, Unknown("engine_error")),
        ([{"exists": True}], Unknown("engine_error")),
    ],
)
def test_failures_from_the_send_on_prove_nothing(message: object, outcome: Outcome) -> None:
    assert read(400, failed(400, message)) == outcome


@pytest.mark.parametrize(
    ("status", "text"), [(400, "[object Object]"), (500, "Cannot read properties of undefined (reading 'id')")]
)
def test_group_that_is_not_there_was_not_written_to(status: int, text: str) -> None:
    group = prepare_message(OutgoingMessage("120363012345678901@g.us", MessageKind.TEXT, "Hello"), SENDER, "3EB0")
    answer = httpx.Response(status, content=json.dumps(failed(status, [text])).encode())
    assert read_outcome(answer, group) == Retryable("group_unknown")
    assert read_outcome(answer, TEXT) == Unknown("engine_error" if status == 400 else "server_error")


def test_other_failures_of_a_group_prove_nothing() -> None:
    group = prepare_message(OutgoingMessage("120363012345678901@g.us", MessageKind.TEXT, "Hello"), SENDER, "3EB0")
    answer = httpx.Response(400, content=json.dumps(failed(400, ["Error: Timed Out"])).encode())
    assert read_outcome(answer, group) == Unknown("engine_error")


def test_engines_own_error_is_of_the_look_up() -> None:
    body = {"data": None, "isBoom": True, "isServer": False, "output": {"statusCode": 428, "payload": {}}}
    assert read(400, body) == Unknown("connection_closed", sender_stopped=True)
    assert read(400, {**body, "output": {"statusCode": 408}}) == Unknown("engine_error")
    assert read(400, {**body, "isBoom": False}) == Unknown("engine_error")


@pytest.mark.parametrize(
    ("message", "outcome"),
    [
        ("Connection Closed", Unknown("connection_closed", sender_stopped=True)),
        (["Connection Closed"], Unknown("connection_closed", sender_stopped=True)),
        ("Error: Connection Closed", Unknown("connection_closed", sender_stopped=True)),
        ("rate-overlimit", Retryable("rate_overlimit", scope="sender")),
        ("Error: Media upload failed on all hosts", Unknown("server_error")),
        ("getaddrinfo ENOTFOUND p.example", Unknown("server_error")),
        ("Cannot read properties of undefined", Unknown("server_error")),
        ({"odd": []}, Unknown("server_error")),
    ],
)
def test_server_errors_of_a_text(message: object, outcome: Outcome) -> None:
    assert read(500, failed(500, message)) == outcome


@pytest.mark.parametrize(
    ("message", "outcome"),
    [
        ("Error: Media upload failed on all hosts", Retryable("media_upload_failed")),
        ("AxiosError: connect ECONNREFUSED 127.0.0.1:80", Retryable("media_unreachable", scope="server")),
        ("AxiosError: Request failed with status code 404", Retryable("media_unreachable", scope="server")),
        ("Error: getaddrinfo ENOTFOUND p.example", Retryable("media_unreachable", scope="server")),
        ("Connection Closed", Unknown("connection_closed", sender_stopped=True)),
        ("Error: anything else", Unknown("server_error")),
    ],
)
def test_server_errors_of_a_file_come_before_the_send(message: str, outcome: Outcome) -> None:
    assert read(500, failed(500, message), image=True) == outcome


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[]", b'{"response": "text"}', b"[" * 5000, b"7"])
@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (400, Unknown("engine_error")),
        (404, SenderStopped("no_such_route")),
        (500, Unknown("server_error")),
        (503, Unknown("unavailable", sender_stopped=True)),
    ],
)
def test_failures_that_cannot_be_read(status: int, body: bytes, outcome: Outcome) -> None:
    assert read(status, body) == outcome


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (401, failed(401, "Unauthorized"), SenderStopped("unauthorized", scope="server")),
        (403, failed(403, ["Forbidden"]), SenderStopped("forbidden")),
        (404, failed(404, ['The "snd_17" instance does not exist']), SenderStopped("instance_missing")),
        (404, failed(404, ["Cannot POST /message/sendText"]), SenderStopped("no_such_route")),
        (405, b"", SenderStopped("no_such_route")),
        (408, b"", Unknown("http_408")),
        (413, b"", Rejected("too_large")),
        (422, b"", Unknown("http_422")),
        (502, b"<html>", Unknown("unavailable", sender_stopped=True)),
        (503, {"code": "OTHER"}, Unknown("unavailable", sender_stopped=True)),
        (503, {"code": "LICENSE_REQUIRED"}, SenderStopped("license_required", scope="server")),
        (504, b"<html>", Unknown("http_504")),
        (202, SENT, Unknown("http_202")),
    ],
)
def test_other_statuses(status: int, body: object, outcome: Outcome) -> None:
    assert read(status, body) == outcome


def test_too_many_requests() -> None:
    assert read(429, b"", {"Retry-After": "30"}) == Retryable("too_many_requests", 30.0, scope="server")


def test_redirect_stops_the_sender() -> None:
    assert read(308, b"", {"Location": "https://evo/"}) == Unknown("redirected", sender_stopped=True)
