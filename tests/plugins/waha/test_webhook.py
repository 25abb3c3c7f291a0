"""Signed deliveries become events; unsigned ones become nothing."""

import hashlib
import hmac
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
from plugins.waha.webhook import is_genuine, receive

SECRET = Secret("my-secret-key")
AT = datetime.fromtimestamp(1795441639.817, UTC)
SECOND = datetime.fromtimestamp(1795441640, UTC)
ME = {"id": "5511988887777@c.us", "pushName": "Shop", "lid": "999000111222333@lid"}


def delivery(body: bytes, headers: dict[str, str]) -> WebhookDelivery:
    return WebhookDelivery(method="POST", query={}, headers=headers, body=body, public_url="https://p.example/w")


def signed(body: bytes, **headers: str) -> WebhookDelivery:
    signature = hmac.new(SECRET.reveal().encode(), body, hashlib.sha512).hexdigest()
    return delivery(body, {"x-webhook-hmac": signature, "x-webhook-hmac-algorithm": "sha512", **headers})


def events_of(event: str, payload: object, **more: object) -> tuple[AnyEvent, ...]:
    envelope = {
        "id": "evt_1",
        "timestamp": 1795441639817,
        "event": event,
        "session": "snd_17",
        "metadata": {"number_id": "17"},
        "me": ME,
        "payload": payload,
        "engine": "NOWEB",
        "environment": {"version": "2026.2.1"},
        **more,
    }
    result = receive(signed(json.dumps(envelope).encode()), SECRET)
    assert result.genuine
    assert result.status == 200
    return result.events


def test_signature_of_the_documentation() -> None:
    body = b'{"event":"message","session":"default","engine":"WEBJS"}'
    signature = (
        "208f8a55dde9e05519e898b10b89bf0d0b3b0fdf11fdbf09b6b90476301b98d8"
        "097c462b2b17a6ce93b6b47a136cf2e78a33a63f6752c2c1631777076153fa89"
    )
    assert is_genuine(delivery(body, {"x-webhook-hmac": signature}), SECRET)
    assert not is_genuine(delivery(body + b" ", {"x-webhook-hmac": signature}), SECRET)
    assert not is_genuine(delivery(body, {"x-webhook-hmac": signature[:-1] + "8"}), SECRET)


@pytest.mark.parametrize("headers", [{}, {"x-webhook-hmac": ""}, {"x-webhook-hmac": "\xff\xfe"}])
def test_unsigned_delivery_is_refused(headers: dict[str, str]) -> None:
    result = receive(delivery(b'{"event": "session.status"}', headers), SECRET)
    assert (result.genuine, result.status, result.events, result.payload) == (False, 401, (), b"")


def test_number_without_a_secret_believes_nothing() -> None:
    body = b"{}"
    signature = hmac.new(b"", body, hashlib.sha512).hexdigest()
    assert not receive(delivery(body, {"x-webhook-hmac": signature}), Secret("")).genuine


@pytest.mark.parametrize(
    ("ack", "status"),
    [(-1, "failed"), (0, "accepted"), (1, "sent"), (2, "delivered"), (3, "read"), (4, "read")],
)
def test_acknowledgement(ack: int, status: str) -> None:
    payload = {"id": "true_12132132130@c.us_3EB0AA", "from": "12132132130@c.us", "fromMe": True, "ack": ack}
    (event,) = events_of("message.ack", payload)
    assert isinstance(event, MessageStatusEvent)
    assert (event.ids, event.status, event.at) == (("3EB0AA",), status, AT)
    assert (event.address, event.dedupe_key) == ("12132132130@c.us", "evt_1")


def test_acknowledgement_of_many_names() -> None:
    payload = {
        "id": "true_1234567@lid_3EB0AA_999@lid",
        "id_alt": "true_12132132130@c.us_3EB0AA",
        "fromMe": True,
        "ack": 2,
        "_data": {"MessageIDs": ["3EB0AA", "3EB0BB"]},
    }
    (event,) = events_of("message.ack", payload)
    assert isinstance(event, MessageStatusEvent)
    assert event.ids == ("3EB0AA", "3EB0BB")


@pytest.mark.parametrize("odd", [{"_data": [1]}, {"_data": {"MessageIDs": "x"}}, {"error": "text"}, {"error": None}])
def test_acknowledgement_with_odd_company(odd: dict[str, object]) -> None:
    (event,) = events_of("message.ack", {"id": "true_12132132130@c.us_3EB0AA", "fromMe": True, "ack": 2, **odd})
    assert isinstance(event, MessageStatusEvent)
    assert (event.ids, event.error) == (("3EB0AA",), "")


def test_acknowledgement_of_what_others_wrote_is_no_event() -> None:
    assert events_of("message.ack", {"id": "false_12132132130@c.us_3AAA", "fromMe": False, "ack": 3}) == ()


def test_new_acknowledgement_is_unknown() -> None:
    payload = {"id": "true_12132132130@c.us_3EB0AA", "fromMe": True, "ack": 9}
    assert events_of("message.ack", payload) == (UnknownEvent(dedupe_key="evt_1", name="message.ack 9"),)


@pytest.mark.parametrize("until", ["2026-12-01T00:00:00Z", "2026-12-01T00:00:00"])
def test_acknowledgement_that_names_a_restriction(until: str) -> None:
    error = {"code": "463", "blocked": True, "reason": "account_restricted", "until": until}
    payload = {"id": "true_12132132130@c.us_3EB0AA", "fromMe": True, "ack": -1, "error": error}
    status, restriction = events_of("message.ack", payload)
    assert isinstance(status, MessageStatusEvent)
    assert (status.status, status.error) == ("failed", "463")
    assert isinstance(restriction, SenderStatusEvent)
    assert restriction.restricted_until == datetime(2026, 12, 1, tzinfo=UTC)
    assert restriction.dedupe_key == "evt_1:restriction"


def incoming(**more: object) -> dict[str, object]:
    return {
        "id": "false_12132132130@c.us_3AAA",
        "timestamp": 1795441640,
        "from": "12132132130@c.us",
        "fromMe": False,
        "source": "app",
        "body": "STOP",
        "hasMedia": False,
        "media": None,
        "replyTo": None,
        "_data": {},
        **more,
    }


@pytest.mark.parametrize("name", ["message", "message.any"])
def test_incoming_message_is_one_fact(name: str) -> None:
    (event,) = events_of(name, incoming())
    assert event == MessageInEvent(
        dedupe_key="in:3AAA", id="3AAA", address="12132132130@c.us", phone="12132132130", text="STOP", at=SECOND
    )


@pytest.mark.parametrize(
    "engine",
    [
        {"key": {"remoteJidAlt": "12132132130@s.whatsapp.net"}},
        {"key": {"senderPn": "12132132130@s.whatsapp.net"}},
        {"Info": {"SenderAlt": "12132132130:4@s.whatsapp.net"}},
    ],
)
def test_hidden_number_with_its_phone(engine: dict[str, object]) -> None:
    message, identity = events_of("message.any", incoming(id="false_77@lid_3AAA", **{"from": "77@lid"}, _data=engine))
    assert isinstance(message, MessageInEvent)
    assert (message.address, message.phone) == ("77@lid", "12132132130")
    assert identity == IdentityEvent(dedupe_key="identity:77@lid:12132132130", address="77@lid", phone="12132132130")


@pytest.mark.parametrize("engine", [{}, [], None, {"key": []}, {"Info": "x"}])
def test_hidden_number_alone(engine: object) -> None:
    (event,) = events_of("message.any", incoming(id="false_77@lid_3AAA", **{"from": "77@lid"}, _data=engine))
    assert isinstance(event, MessageInEvent)
    assert (event.address, event.phone, event.text) == ("77@lid", "", "STOP")


@pytest.mark.parametrize("address", ["1203@g.us", "1@newsletter", "status@broadcast"])
def test_groups_and_channels_are_no_events(address: str) -> None:
    assert events_of("message.any", incoming(**{"from": address})) == ()


def test_message_typed_on_the_phone() -> None:
    payload = incoming(id="true_12132132130@c.us_3AAA", fromMe=True, source="app")
    assert events_of("message.any", payload) == (
        ForeignMessageEvent(dedupe_key="out:3AAA", id="3AAA", address="12132132130@c.us", at=SECOND),
    )


def test_own_message_says_that_waha_has_it() -> None:
    payload = incoming(id="true_12132132130@c.us_3EB0AA", fromMe=True, source="api", ack=0)
    (event,) = events_of("message.any", payload)
    assert isinstance(event, MessageStatusEvent)
    assert (event.ids, event.status) == (("3EB0AA",), "accepted")


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("STOPPED", "stopped"),
        ("STARTING", "starting"),
        ("SCAN_QR_CODE", "sign_in"),
        ("WORKING", "connected"),
        ("FAILED", "failed"),
        ("PASSKEY_REQUIRED", "needs_person"),
        ("PASSKEY_CONFIRMATION_REQUIRED", "needs_person"),
        ("BRAND_NEW", "needs_person"),
    ],
)
def test_session_status(status: str, state: str) -> None:
    (event,) = events_of("session.status", {"name": "snd_17", "status": status, "statuses": []})
    assert event == SenderStatusEvent(
        dedupe_key="evt_1", state=state, raw=status, address="5511988887777@c.us", name="Shop", at=AT
    )


@pytest.mark.parametrize("me", [None, {}, [], {"id": 7}])
def test_session_status_before_sign_in(me: object) -> None:
    (event,) = events_of("session.status", {"name": "snd_17", "status": "SCAN_QR_CODE"}, me=me)
    assert isinstance(event, SenderStatusEvent)
    assert (event.state, event.address) == ("sign_in", "")


@pytest.mark.parametrize(
    ("lock", "until"),
    [
        ({"isActive": True, "timeEnforcementEnds": 1795500000}, datetime.fromtimestamp(1795500000, UTC)),
        ({"isActive": True, "timeEnforcementEnds": 1e300}, datetime(2026, 11, 24, 13, 47, 19, 817000, UTC)),
        ({"isActive": True}, datetime(2026, 11, 24, 13, 47, 19, 817000, UTC)),
        ({"isActive": False, "timeEnforcementEnds": 1795500000}, None),
    ],
)
def test_restriction(lock: dict[str, object], until: datetime | None) -> None:
    payload = {"name": "snd_17", "status": "WORKING", "data": {"reachoutTimelock": lock}}
    (event,) = events_of("session.status", payload)
    assert isinstance(event, SenderStatusEvent)
    assert event.restricted_until == until


def test_restriction_told_with_the_account() -> None:
    me = {**ME, "reachoutTimelock": {"isActive": True, "timeEnforcementEnds": 1795500000}}
    (event,) = events_of("session.status", {"status": "WORKING"}, me=me)
    assert isinstance(event, SenderStatusEvent)
    assert event.restricted_until == datetime.fromtimestamp(1795500000, UTC)


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        ("poll.vote", {}),
        ("engine.event", {"anything": [1]}),
        ("message.ack", {"ack": 1}),
        ("message.ack", {"id": "x", "ack": "SERVER"}),
        ("message.any", {"id": 7}),
        ("session.status", []),
        ("session.status", None),
    ],
)
def test_what_is_not_understood_is_unknown(event: str, payload: object) -> None:
    assert events_of(event, payload) == (UnknownEvent(dedupe_key="evt_1", name=event),)


def test_dedupe_key_without_an_envelope_id() -> None:
    body = b'{"event": "poll.vote", "payload": {}}'
    with_header = receive(signed(body, **{"x-webhook-request-id": "req_1"}), SECRET)
    assert with_header.events == (UnknownEvent(dedupe_key="req_1", name="poll.vote"),)
    without = receive(signed(body), SECRET)
    assert without.events[0].dedupe_key == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("timestamp", [0, -1, 1e300, 1795441639817])
def test_odd_times_become_moments(timestamp: float) -> None:
    payload = {"id": "true_12132132130@c.us_3EB0AA", "fromMe": True, "ack": 1}
    (event,) = events_of("message.ack", payload, timestamp=timestamp)
    assert isinstance(event, MessageStatusEvent)
    assert event.at.tzinfo is UTC


def test_stored_payload_is_the_body() -> None:
    body = b'{"event": "poll.vote"}'
    assert receive(signed(body), SECRET).payload == body
