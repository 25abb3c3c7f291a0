"""The instance's key, which comes with each webhook, is neither kept, told nor logged."""

import json
import logging
from collections.abc import Mapping

import pytest
import structlog

from core.plugin import Secret, WebhookDelivery
from plugins.evolution.simulator.webhooks import EVENTS
from plugins.evolution.webhook import receive

SECRET = Secret("number-secret")
TOKEN = "instance-token-5f2c"
MESSAGE = {
    "key": {"remoteJid": "12132132130@s.whatsapp.net", "fromMe": False, "id": "3A01"},
    "message": {"conversation": "STOP"},
    "messageTimestamp": 1795441640,
}
DATA: Mapping[str, object] = {
    "MESSAGES_UPSERT": MESSAGE,
    "SEND_MESSAGE": {**MESSAGE, "status": "PENDING"},
    "MESSAGES_UPDATE": {"keyId": "3EB0", "remoteJid": "1@s.whatsapp.net", "fromMe": True, "status": "READ"},
    "CONNECTION_UPDATE": {"instance": "snd_17", "state": "open", "statusReason": 200},
    "QRCODE_UPDATED": {"qrcode": {"instance": "snd_17", "code": "2@abc", "base64": "data:", "pairingCode": None}},
    "STATUS_INSTANCE": {"instance": "snd_17", "status": "closed", "disconnectionReasonCode": 401},
    "LOGOUT_INSTANCE": None,
    "REMOVE_INSTANCE": None,
    "INSTANCE_CREATE": {"instanceName": "snd_17", "hash": {"apikey": TOKEN}},
    "TYPEBOT_START": {
        "prefilledVariables": {"remoteJid": "1@s.whatsapp.net", "apiKey": TOKEN, "list": [{"token": TOKEN}]}
    },
    "NEW_JWT_TOKEN": {"jwt": TOKEN, "token": TOKEN},
}


def envelope(event: str, data: object, **more: object) -> bytes:
    body = {
        "event": event,
        "instance": "snd_17",
        "data": data,
        "destination": "https://p.example/api/webhooks/evolution/token-of-the-number?secret=number-secret",
        "date_time": "2026-11-23T13:48:02.630Z",
        "sender": "5511988887777@s.whatsapp.net",
        "server_url": "http://127.0.0.1:18080",
        "apikey": TOKEN,
    }
    return json.dumps({**body, **more}).encode()


def delivery(body: bytes, *, given: Secret = SECRET) -> WebhookDelivery:
    return WebhookDelivery(
        method="POST", query={"secret": given.reveal()}, headers={}, body=body, public_url="https://p.example/w"
    )


@pytest.mark.parametrize("event", sorted({*EVENTS, *DATA}))
def test_no_event_keeps_the_key(
    event: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    data = DATA.get(event, {"anything": [{"apikey": TOKEN}], "kept": 1})
    with structlog.testing.capture_logs() as logs:
        for name in (event, event.lower().replace("_", ".")):
            result = receive(delivery(envelope(name, data)), SECRET)
            assert result.genuine
            assert result.events
            for told in (result.payload.decode(), repr(result), result.body.decode()):
                assert TOKEN not in told
                assert "token-of-the-number" not in told
                assert "number-secret" not in told
            assert json.loads(result.payload)["event"] == name
    assert logs == []
    out, err = capsys.readouterr()
    assert (caplog.text, out, err) == ("", "", "")


def test_what_is_not_confidential_stays() -> None:
    data = {
        "prefilledVariables": {"remoteJid": "1@s.whatsapp.net", "apiKey": TOKEN},
        "url": "https://t.example",
        "n": 1.5,
    }
    kept = json.loads(receive(delivery(envelope("typebot.start", data)), SECRET).payload)
    assert kept["data"] == {
        "prefilledVariables": {"remoteJid": "1@s.whatsapp.net"},
        "url": "https://t.example",
        "n": 1.5,
    }
    assert kept["server_url"] == "http://127.0.0.1:18080"


@pytest.mark.parametrize(
    "name", ["apikey", "apiKey", "APIKEY", "api_key", "api-key", "token", "accessToken", "jwt", "hash"]
)
def test_every_spelling_of_a_key_is_taken_out(name: str) -> None:
    body = envelope("labels.edit", {"a": [{name: TOKEN, "b": 1}], "text": f"{name}: none"}, **{name: TOKEN})
    payload = receive(delivery(body), SECRET).payload
    assert TOKEN not in payload.decode()
    assert json.loads(payload)["data"] == {"a": [{"b": 1}], "text": f"{name}: none"}


def test_refused_delivery_is_not_kept_at_all() -> None:
    result = receive(delivery(envelope("messages.upsert", MESSAGE), given=Secret("guessed")), SECRET)
    assert (result.genuine, result.payload, result.events) == (False, b"", ())
    assert TOKEN not in repr(result)
