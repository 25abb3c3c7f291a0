"""What each answer of WAHA to a send means, with the bodies that real servers gave."""

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
from plugins.waha.messages import prepare_message
from plugins.waha.outcomes import read_outcome
from tests.plugins.waha.conftest import sender_on

SENDER = sender_on("http://waha:3000")
ID = "3EB0A1B2C3D4E5F60718AB"
TEXT = prepare_message(OutgoingMessage("12132132130", MessageKind.TEXT, "Hello"), SENDER, ID)
PICTURE = Media(mimetype="image/jpeg", filename="o.jpg", url="https://p.example/o.jpg")
IMAGE = prepare_message(OutgoingMessage("12132132130", MessageKind.IMAGE, "Offer", PICTURE), SENDER, ID)
NOT_EXPECTED = "Session status is not as expected. Try again later or restart the session"


def read(status: int, body: object = None, headers: dict[str, str] | None = None, *, image: bool = False) -> Outcome:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_outcome(httpx.Response(status, content=content, headers=headers), IMAGE if image else TEXT)


def failed(**exception: object) -> dict[str, object]:
    return {
        "statusCode": 500,
        "timestamp": "2026-11-23T00:00:00.000Z",
        "exception": {"name": "Error", "stack": "Error: at x", **exception},
        "request": {"path": "/api/sendText", "body": {"chatId": "12132132130@c.us", "text": "private"}},
        "version": {"version": "2026.7.1"},
    }


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(
            {
                "key": {"remoteJid": "12132132130@s.whatsapp.net", "fromMe": True, "id": "3EB0AA"},
                "message": {"extendedTextMessage": {"text": "Hello"}},
                "messageTimestamp": "1795442346",
                "status": "PENDING",
            },
            id="NOWEB text",
        ),
        pytest.param({"id": "true_12132132130@c.us_3EB0AA", "timestamp": 1795442346, "ack": 0}, id="NOWEB poll"),
        pytest.param({"id": "true_12132132130@c.us_3EB0AA", "_data": {"Info": {"ID": "3EB0AA"}}}, id="GOWS"),
        pytest.param(
            {
                "_data": {"id": {"id": "3EB0AA"}},
                "id": {
                    "fromMe": True,
                    "remote": "12132132130@c.us",
                    "id": "3EB0AA",
                    "_serialized": "true_12132132130@c.us_3EB0AA",
                },
            },
            id="WEBJS",
        ),
        pytest.param({"_data": {"key": {"id": "3EB0AA", "remoteJid": "12132132130:3@s.whatsapp.net"}}}, id="inside"),
        pytest.param({"id": "true_12132132130@c.us_3EB0AA_999@lid"}, id="with a participant"),
        pytest.param({"key": {"id": ""}, "id": "true_12132132130@c.us_3EB0AA"}, id="empty key"),
    ],
)
@pytest.mark.parametrize("status", [200, 201])
def test_accepted_by_each_engine(status: int, body: object) -> None:
    assert read(status, body) == Accepted(("3EB0AA",), "12132132130@c.us")


def test_accepted_to_a_hidden_number() -> None:
    assert read(201, {"id": "true_1234567@lid_3EB0AA"}) == Accepted(("3EB0AA",), "1234567@lid")


def test_accepted_with_an_odd_address() -> None:
    body = {"id": {"id": "3EB0AA", "remote": {"user": "12132132130", "server": "c.us"}}}
    assert read(201, body) == Accepted(("3EB0AA",), "")


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b'{"id": 7}', b'{"key": {}}', b'{"_data": {"key": 1}}'])
def test_success_without_an_id_is_unknown(body: bytes) -> None:
    assert read(201, body) == Unknown("no_message_id")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("STARTING", Retryable("session_starting", scope="sender")),
        ("SCAN_QR_CODE", SenderStopped("session_signed_out")),
        ("FAILED", SenderStopped("session_failed")),
        ("STOPPED", SenderStopped("session_stopped")),
        ("PASSKEY_REQUIRED", SenderStopped("session_needs_person")),
        ("SOMETHING_NEW", SenderStopped("session_needs_person")),
    ],
)
def test_wrong_status(status: str, outcome: Outcome) -> None:
    body = {"error": NOT_EXPECTED, "session": "snd_17", "status": status, "expected": ["WORKING"]}
    assert read(422, body) == outcome


def test_missing_session() -> None:
    body = {"error": 'Session "zzz" does not exist', "session": "zzz"}
    assert read(422, body) == SenderStopped("session_missing")


def test_files_on_an_old_core() -> None:
    body = {"message": "Sending images is available only in Plus version", "statusCode": 422}
    assert read(422, body, image=True) == Rejected("media_not_supported")


def test_second_session_on_an_old_core() -> None:
    body = {"message": "WAHA Core support only 'default' session. Get WAHA Plus version", "statusCode": 422}
    assert read(422, body) == SenderStopped("session_not_supported")


@pytest.mark.parametrize(
    ("exception", "outcome"),
    [
        ({"message": "Connection Closed"}, Unknown("connection_closed", sender_stopped=True)),
        ({"message": "rate-overlimit", "data": 429}, Retryable("rate_overlimit", scope="sender")),
        ({"message": "failed", "data": 429}, Retryable("rate_overlimit", scope="sender")),
        (
            {"message": "2 UNKNOWN: server returned error 463"},
            SenderStopped("new_contacts_restricted", scope="new_contacts"),
        ),
        ({"message": "4 DEADLINE_EXCEEDED: Deadline exceeded", "code": 4}, Unknown("deadline_exceeded")),
        ({"message": "Maximum execution time is exceeded"}, Unknown("lock_timeout")),
        ({"message": "connect ECONNREFUSED 127.0.0.1:80", "code": "ECONNREFUSED"}, Unknown("server_error")),
        ({"message": "Cannot read properties of undefined", "name": "TypeError"}, Unknown("server_error")),
        ({"message": {"odd": []}}, Unknown("server_error")),
        ({}, Unknown("server_error")),
    ],
)
def test_exceptions(exception: dict[str, object], outcome: Outcome) -> None:
    assert read(500, failed(**exception)) == outcome


@pytest.mark.parametrize("code", ["ECONNREFUSED", "ENOTFOUND"])
def test_file_that_waha_cannot_fetch_was_not_sent(code: str) -> None:
    outcome = read(500, failed(message=f"connect {code}", code=code), image=True)
    assert outcome == Retryable("media_unreachable", scope="server")


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[]", b'{"exception": "text"}', b"[" * 5000])
def test_exception_that_cannot_be_read(body: bytes) -> None:
    assert read(500, body) == Unknown("server_error")


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (400, {"message": ["chatId must be a string"], "error": "Bad Request"}, Rejected("bad_request")),
        (401, {"message": "Unauthorized", "statusCode": 401}, SenderStopped("unauthorized", scope="server")),
        (403, {"message": "Forbidden"}, SenderStopped("forbidden")),
        (404, {"message": "Session not found", "error": "Not Found"}, SenderStopped("session_missing")),
        (404, b"<html>nginx</html>", SenderStopped("no_such_route")),
        (405, b"", SenderStopped("no_such_route")),
        (408, b"", Unknown("http_408")),
        (413, b"", Rejected("too_large")),
        (422, b"", Rejected("unprocessable")),
        (501, {"message": "Not implemented"}, Rejected("not_supported_by_engine")),
        (502, b"<html>", Unknown("unavailable", sender_stopped=True)),
        (503, b"<html>", Unknown("unavailable", sender_stopped=True)),
        (504, b"<html>", Unknown("http_504")),
        (202, b"{}", Unknown("http_202")),
    ],
)
def test_other_statuses(status: int, body: object, outcome: Outcome) -> None:
    assert read(status, body) == outcome


def test_too_many_requests() -> None:
    outcome = read(429, b"", {"Retry-After": "30"})
    assert outcome == Retryable("too_many_requests", 30.0, scope="server")


def test_redirect_stops_the_sender() -> None:
    assert read(308, b"", {"Location": "https://waha/"}) == Unknown("redirected", sender_stopped=True)
