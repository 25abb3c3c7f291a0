"""Deliveries with the secret become events; others become nothing."""

import hashlib
import json
from datetime import UTC, datetime

import pytest

from core.plugin import (
    AnyEvent,
    ForeignMessageEvent,
    IdentityEvent,
    MessageInEvent,
    MessageStatusEvent,
    Secret,
    SenderStatusEvent,
    UnknownEvent,
    WebhookDelivery,
)
from plugins.evolution.webhook import is_genuine, receive

SECRET = Secret("my-secret-key")
STAMP = "2026-11-23T13:48:02.630Z"
SECOND = datetime.fromtimestamp(1795441640, UTC)
PERSON = "12132132130@s.whatsapp.net"


def delivery(
    body: bytes, headers: dict[str, str] | None = None, query: dict[str, str] | None = None
) -> WebhookDelivery:
    return WebhookDelivery(
        method="POST", query=query or {}, headers=headers or {}, body=body, public_url="https://p.example/w"
    )


def envelope(event: str, data: object, **more: object) -> bytes:
    return json.dumps(
        {
            "event": event,
            "instance": "snd_17",
            "data": data,
            "destination": "https://p.example/api/webhooks/evolution/token-of-the-number?secret=my-secret-key",
            "date_time": STAMP,
            "sender": "5511988887777@s.whatsapp.net",
            "server_url": "http://127.0.0.1:18080",
            "apikey": "instance-token",
            **more,
        }
    ).encode()


def events_of(event: str, data: object, **more: object) -> tuple[AnyEvent, ...]:
    result = receive(delivery(envelope(event, data, **more), {"x-recado-secret": SECRET.reveal()}), SECRET)
    assert result.genuine
    assert result.status == 200
    return result.events


def status_of(event: str, data: object, **more: object) -> SenderStatusEvent:
    (found,) = events_of(event, data, **more)
    assert isinstance(found, SenderStatusEvent)
    return found


# Whether it is genuine.


def test_header_of_version_2_and_parameter_of_version_1() -> None:
    assert is_genuine(delivery(b"", {"x-recado-secret": "my-secret-key"}), SECRET)
    assert is_genuine(delivery(b"", query={"secret": "my-secret-key"}), SECRET)


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({}, {}),
        ({"x-recado-secret": ""}, {"secret": ""}),
        ({"x-recado-secret": "my-secret-kez"}, {}),
        ({}, {"secret": "my-secret-key2"}),
        ({"x-recado-secret": "\udcff"}, {"secret": "\xff"}),
        ({"apikey": "my-secret-key"}, {"apikey": "my-secret-key"}),
    ],
)
def test_delivery_without_the_secret_is_refused(headers: dict[str, str], query: dict[str, str]) -> None:
    body = envelope("connection.update", {"instance": "snd_17", "state": "close", "statusReason": 401})
    result = receive(delivery(body, headers, query), SECRET)
    assert (result.genuine, result.status, result.events, result.payload) == (False, 401, (), b"")


def test_number_without_a_secret_believes_nothing() -> None:
    assert not receive(delivery(b"{}", {"x-recado-secret": ""}, {"secret": ""}), Secret("")).genuine


# What is kept.


def test_stored_payload_has_neither_key_nor_token() -> None:
    body = envelope("messages.update", {"keyId": "3EB0AA", "status": "READ"})
    payload = receive(delivery(body, query={"secret": SECRET.reveal()}), SECRET).payload
    kept = json.loads(payload)
    assert "apikey" not in kept
    assert "destination" not in kept
    assert (kept["event"], kept["data"]) == ("messages.update", {"keyId": "3EB0AA", "status": "READ"})
    assert b"instance-token" not in payload
    assert b"token-of-the-number" not in payload


@pytest.mark.parametrize("body", [b"apikey=instance-token", b"[]", b"\xff", b'"x"', b"[" * 5000])
def test_what_cannot_be_cleaned_is_not_kept(body: bytes) -> None:
    assert receive(delivery(body, query={"secret": SECRET.reveal()}), SECRET).payload == b""


# Acknowledgements.


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("ERROR", "failed"),
        ("PENDING", "accepted"),
        ("SERVER_ACK", "sent"),
        ("DELIVERY_ACK", "delivered"),
        ("READ", "read"),
        ("PLAYED", "read"),
        (0, "failed"),
        (3, "delivered"),
        (5, "read"),
    ],
)
@pytest.mark.parametrize(
    "names",
    [
        {"keyId": "3EB0AA", "messageId": "row-in-its-database", "participant": None, "instanceId": "i"},
        {"id": "3EB0AA", "owner": "snd_17", "datetime": 1795442276000},
    ],
)
def test_acknowledgement_of_both_versions(word: object, status: str, names: dict[str, object]) -> None:
    (event,) = events_of("messages.update", {"remoteJid": PERSON, "fromMe": True, "status": word, **names})
    assert isinstance(event, MessageStatusEvent)
    assert (event.ids, event.status, event.address) == (("3EB0AA",), status, PERSON)
    assert event.dedupe_key == f"status:3EB0AA:{status}"


def test_name_of_an_event_in_the_spelling_of_the_configuration() -> None:
    (event,) = events_of("MESSAGES_UPDATE", {"keyId": "3EB0AA", "status": "READ"})
    assert isinstance(event, MessageStatusEvent)


def test_several_acknowledgements_in_one_delivery() -> None:
    found = events_of("messages.update", [{"keyId": "A", "status": "READ"}, {"keyId": "B", "status": "READ"}])
    assert [event.ids for event in found if isinstance(event, MessageStatusEvent)] == [("A",), ("B",)]


@pytest.mark.parametrize("word", ["DELETED", "EDITED"])
def test_side_events_are_no_failure(word: str) -> None:
    assert events_of("messages.update", {"keyId": "3EB0AA", "fromMe": True, "status": word}) == ()


def test_acknowledgement_of_what_others_wrote_is_no_event() -> None:
    assert events_of("messages.update", {"keyId": "3A", "fromMe": False, "status": "READ"}) == ()


@pytest.mark.parametrize("word", ["BRAND_NEW", 9, None, True, [], {"a": 1}])
def test_new_acknowledgement_is_unknown(word: object) -> None:
    (event,) = events_of("messages.update", {"keyId": "3EB0AA", "fromMe": True, "status": word})
    assert isinstance(event, UnknownEvent)
    assert event.name == f"messages.update {word}"


def test_what_a_server_leaves_open_is_ours() -> None:
    data = {"keyId": "3EB0AA", "id": None, "remoteJid": None, "fromMe": None, "status": "READ"}
    (event,) = events_of("messages.update", data)
    assert isinstance(event, MessageStatusEvent)
    assert (event.ids, event.status, event.address) == (("3EB0AA",), "read", "")


def test_acknowledgement_without_an_id_is_unknown() -> None:
    (event,) = events_of("messages.update", {"messageId": "row", "status": "READ"})
    assert isinstance(event, UnknownEvent)


# Messages.


def incoming(message: object = None, **key: object) -> dict[str, object]:
    return {
        "key": {"remoteJid": PERSON, "fromMe": False, "id": "3AAA", **key},
        "pushName": "Ana",
        "status": "DELIVERY_ACK",
        "message": {"conversation": "STOP"} if message is None else message,
        "messageType": "conversation",
        "messageTimestamp": 1795441640,
        "instanceId": "i",
        "source": "android",
    }


def test_incoming_message() -> None:
    assert events_of("messages.upsert", incoming()) == (
        MessageInEvent(dedupe_key="in:3AAA", id="3AAA", address=PERSON, phone="12132132130", text="STOP", at=SECOND),
    )


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"extendedTextMessage": {"text": "STOP"}}, "STOP"),
        ({"imageMessage": {"caption": "STOP"}}, "STOP"),
        ({"videoMessage": {"caption": "STOP"}, "conversation": "other"}, "STOP"),
        ({"documentWithCaptionMessage": {"message": {"documentMessage": {"caption": "STOP"}}}}, "STOP"),
        ({"ephemeralMessage": {"message": {"extendedTextMessage": {"text": "STOP"}}}}, "STOP"),
        ({"buttonsResponseMessage": {"selectedDisplayText": "STOP"}}, "STOP"),
        ({"listResponseMessage": {"title": "STOP"}}, "STOP"),
        ({"audioMessage": {"seconds": 3}}, ""),
        ({"conversation": 7}, ""),
        ({"extendedTextMessage": "STOP"}, ""),
        ({"ephemeralMessage": {"message": None}}, ""),
        ([], ""),
        ("STOP", ""),
    ],
)
def test_text_of_an_incoming_message(message: object, text: str) -> None:
    (event,) = events_of("messages.upsert", incoming(message))
    assert isinstance(event, MessageInEvent)
    assert event.text == text


@pytest.mark.parametrize(
    ("jid", "alternative"), [("77@lid", "12132132130:3@s.whatsapp.net"), ("12132132130@s.whatsapp.net", "77@lid")]
)
def test_hidden_number_with_its_phone(jid: str, alternative: str) -> None:
    message, identity = events_of("messages.upsert", incoming(remoteJid=jid, remoteJidAlt=alternative))
    assert isinstance(message, MessageInEvent)
    assert (message.address, message.phone) == (jid, "12132132130")
    assert identity == IdentityEvent(dedupe_key="identity:77@lid:12132132130", address="77@lid", phone="12132132130")


def test_hidden_number_alone() -> None:
    (event,) = events_of("messages.upsert", incoming(remoteJid="77@lid", remoteJidAlt=None))
    assert isinstance(event, MessageInEvent)
    assert (event.address, event.phone) == ("77@lid", "")


@pytest.mark.parametrize("address", ["1203@g.us", "1@newsletter", "status@broadcast", ""])
def test_groups_and_channels_are_no_events(address: str) -> None:
    assert events_of("messages.upsert", incoming(remoteJid=address)) == ()


def test_incoming_message_of_which_nobody_says_whose_it_is() -> None:
    (event,) = events_of("messages.upsert", incoming(fromMe=None, remoteJidAlt=None))
    assert isinstance(event, MessageInEvent)
    assert event.text == "STOP"


def test_message_typed_on_the_phone() -> None:
    assert events_of("messages.upsert", incoming(fromMe=True)) == (
        ForeignMessageEvent(dedupe_key="out:3AAA", id="3AAA", address=PERSON, at=SECOND),
    )


@pytest.mark.parametrize("status", ["PENDING", None, 1, "BRAND_NEW"])
def test_own_message_says_that_the_server_has_it(status: object) -> None:
    data = {**incoming(fromMe=True, id="3EB0AA"), "status": status}
    assert events_of("send.message", data) == (
        MessageStatusEvent(
            dedupe_key="sent:3EB0AA:accepted", ids=("3EB0AA",), status="accepted", at=SECOND, address=PERSON
        ),
    )


@pytest.mark.parametrize("time", [1795441640, "1795441640", {"low": 1795441640, "high": 0, "unsigned": True}])
def test_time_of_a_message(time: object) -> None:
    (event,) = events_of("messages.upsert", {**incoming(), "messageTimestamp": time})
    assert isinstance(event, MessageInEvent)
    assert event.at == SECOND


@pytest.mark.parametrize("time", [0, -1, 1e300, None, True, "soon", [], {"low": "x"}])
def test_odd_times_become_the_time_of_delivery(time: object) -> None:
    (event,) = events_of("messages.upsert", {**incoming(), "messageTimestamp": time})
    assert isinstance(event, MessageInEvent)
    assert event.at.tzinfo is UTC


# The connection.


@pytest.mark.parametrize(
    ("data", "state", "raw"),
    [
        ({"state": "open", "statusReason": 200}, "connected", "open"),
        ({"state": "connecting", "statusReason": 200}, "starting", "connecting"),
        ({"state": "close", "statusReason": 401}, "failed", "close 401"),
        ({"state": "close", "statusReason": 403}, "failed", "close 403"),
        ({"state": "close", "statusReason": 428}, "starting", "close 428"),
        ({"state": "close", "statusReason": 515}, "starting", "close 515"),
        ({"state": "close"}, "starting", "close"),
        ({"state": "close", "statusReason": "x"}, "starting", "close"),
        ({"state": "refused", "statusReason": 500}, "failed", "refused"),
        ({"state": "brand-new"}, "needs_person", "brand-new"),
    ],
)
def test_connection(data: dict[str, object], state: str, raw: str) -> None:
    found = status_of("connection.update", {"instance": "snd_17", **data})
    assert (found.state, found.raw) == (state, raw)


def test_connection_names_the_account() -> None:
    account = {"wuid": "5511988887777:12@s.whatsapp.net", "profileName": "Shop", "profilePictureUrl": None}
    found = status_of("connection.update", {"instance": "snd_17", "state": "open", **account})
    assert (found.address, found.name) == ("5511988887777@s.whatsapp.net", "Shop")


@pytest.mark.parametrize("odd", [{"wuid": 7, "profileName": []}, {"wuid": None, "profileName": None}, {"wuid": ""}])
def test_connection_with_odd_company(odd: dict[str, object]) -> None:
    found = status_of("connection.update", {"instance": "snd_17", "state": "open", **odd})
    assert (found.state, found.address, found.name) == ("connected", "", "")


def test_a_storm_is_few_facts() -> None:
    stamps = [f"2026-11-23T13:48:{second:02}.{part}00Z" for second in range(20) for part in range(8)]
    keys = {
        status_of("connection.update", {"state": state, "statusReason": 428}, date_time=stamp).dedupe_key
        for stamp in stamps
        for state in ("connecting", "close")
    }
    assert len(keys) == 2


@pytest.mark.parametrize(("state", "reason"), [("close", 401), ("open", 200), ("refused", 428)])
def test_each_end_and_opening_is_a_fact(state: str, reason: int) -> None:
    stamps = ("2026-11-23T13:48:02.630Z", "2026-11-23T13:48:02.631Z", "2026-11-23T13:48:02.630Z")
    data = {"state": state, "statusReason": reason}
    keys = [status_of("connection.update", data, date_time=stamp).dedupe_key for stamp in stamps]
    assert keys[0] != keys[1]
    assert keys[0] == keys[2]


def test_changes_without_a_time_are_told_apart_by_their_content() -> None:
    one = status_of("connection.update", {"state": "close", "statusReason": 428}, date_time=None)
    again = status_of("connection.update", {"state": "close", "statusReason": 428}, date_time=None)
    other = status_of("connection.update", {"state": "close", "statusReason": 408}, date_time=None)
    assert one.dedupe_key == again.dedupe_key != other.dedupe_key


def test_qr_code() -> None:
    code = {"instance": "snd_17", "pairingCode": None, "code": "2@abc", "base64": "data:image/png;base64,AA"}
    found = status_of("qrcode.updated", {"qrcode": code})
    assert (found.state, found.raw) == ("sign_in", "qrcode")
    assert "2@abc" not in repr(found)


def test_qr_codes_run_out() -> None:
    found = status_of("qrcode.updated", {"message": "QR code limit reached, please login again", "statusCode": 500})
    assert (found.state, found.raw) == ("failed", "qrcode limit")


# What is not understood.


@pytest.mark.parametrize(
    ("event", "data"),
    [
        ("labels.edit", {"anything": [1]}),
        ("logout.instance", None),
        ("messages.update", None),
        ("messages.update", {"keyId": 7, "status": "READ"}),
        ("messages.update", "text"),
        ("messages.upsert", {"key": {"id": 7}}),
        ("messages.upsert", {"key": {}}),
        ("messages.upsert", {"key": {"id": "3A", "remoteJid": []}}),
        ("messages.upsert", [7]),
        ("send.message", {}),
        ("connection.update", []),
        ("connection.update", {"state": 7}),
        ("connection.update", None),
        ("qrcode.updated", {"qrcode": "text"}),
        ("qrcode.updated", None),
        ("", {}),
    ],
)
def test_what_is_not_understood_is_unknown(event: str, data: object) -> None:
    (found,) = events_of(event, data)
    assert isinstance(found, UnknownEvent)
    assert found.name == event
    assert found.dedupe_key


def test_what_is_not_understood_has_the_key_of_its_body() -> None:
    body = b'{"event": "labels.edit", "data": {}}'
    (found,) = receive(delivery(body, query={"secret": SECRET.reveal()}), SECRET).events
    assert found.dedupe_key == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("more", [{"date_time": 7}, {"date_time": None}, {"instance": []}, {"brand": "new"}])
def test_odd_envelopes_hide_nothing(more: dict[str, object]) -> None:
    (found,) = events_of("messages.update", {"keyId": "3EB0AA", "status": "READ"}, **more)
    assert isinstance(found, MessageStatusEvent)
