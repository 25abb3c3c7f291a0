"""Whatever a genuine delivery holds, ``receive`` answers, and what it answers can be stored."""

import copy
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.plugin import MessageInEvent, Secret, UnknownEvent, WebhookDelivery, WebhookResult
from plugins.waha.webhook import receive
from tests.plugins.waha.test_facts_webhooks import ACK, ENVELOPE, GROUP_ACK, INCOMING, OWN, STATUS
from tests.plugins.waha.test_restrictions import CAPPED, LOCK

SECRET = Secret("my-secret-key")
REFUSAL = '"error":{"code":"463","blocked":true,"reason":"account_restricted","until":"2026-12-01T00:00:00Z"}'
KNOWN = {
    "session.status": STATUS[:-1] + f',"data":{{"reachoutTimelock":{LOCK}}}}}',
    "message": INCOMING,
    "message.any": OWN,
    "message.ack": ACK[:-1] + f',{REFUSAL},"id_alt":"true_1@c.us_3EB0AA","_data":{{"MessageIDs":["3EB0AA"]}}}}',
    "message.ack.group": GROUP_ACK,
}
ODD: list[object] = [None, True, -1, 1e300, 2**70, "", "\0", "\ud800", [], [[]], {}, {"a": [None]}, "x" * 70_000]


def delivered(body: bytes) -> WebhookResult:
    signature = hmac.new(SECRET.reveal().encode(), body, hashlib.sha512).hexdigest()
    headers = {"x-webhook-hmac": signature}
    return receive(
        WebhookDelivery(method="POST", query={}, headers=headers, body=body, public_url="https://p.example/w"), SECRET
    )


def storable(result: WebhookResult) -> None:
    """Check what core is handed: JSON without NUL, and a dedupe key for each event."""
    assert (result.genuine, result.status) == (True, 200)
    for event in result.events:
        assert event.dedupe_key
        assert b"\\u0000" not in msgspec.json.encode(event)


def whole(event: str) -> dict[str, Any]:
    envelope: dict[str, Any] = json.loads(ENVELOPE % (event, KNOWN[event]))
    envelope["me"] |= {"reachoutTimelock": json.loads(LOCK), "messageCapping": json.loads(CAPPED)}
    return envelope


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Name every member of a JSON value, however deep."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in children:
        yield (*path, name)
        yield from places(child, (*path, name))


def put(value: Any, path: tuple[Any, ...], odd: object) -> Any:
    changed = copy.deepcopy(value)
    inner = changed
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = odd
    return changed


@pytest.mark.parametrize("event", KNOWN)
def test_every_field_of_any_type(event: str) -> None:
    envelope = whole(event)
    for path in places(envelope):
        for odd in ODD:
            storable(delivered(json.dumps(put(envelope, path, odd)).encode()))


@pytest.mark.parametrize("event", KNOWN)
def test_every_field_missing(event: str) -> None:
    envelope = whole(event)
    for path in places(envelope):
        changed = copy.deepcopy(envelope)
        inner = changed
        for name in path[:-1]:
            inner = inner[name]
        del inner[path[-1]]
        storable(delivered(json.dumps(changed).encode()))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(event=st.sampled_from([*KNOWN, "of.a.later.version"]), payload=ANYTHING, me=ANYTHING, data=ANYTHING)
def test_any_payload(event: str, payload: object, me: object, data: object) -> None:
    if isinstance(payload, dict):
        payload["_data"] = data
    body = {"id": "evt_1", "event": event, "timestamp": 1, "me": me, "payload": payload}
    storable(delivered(json.dumps(body).encode()))


@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=200))
def test_any_bytes(body: bytes) -> None:
    storable(delivered(body))


@pytest.mark.parametrize("event", [*KNOWN, "poll.vote"])
@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(
            b'{"id":"false_1@c.us_3A","from":"1@c.us","body":"' + b"x" * 10_000_000 + b'"}', id="10 MB of text"
        ),
        pytest.param(b'{"_data":"' + b"x" * 10_000_000 + b'"}', id="10 MB beside"),
        pytest.param(b"[" * 1000 + b"]" * 1000, id="1,000 deep"),
        pytest.param(b'{"a":' * 1000 + b"1" + b"}" * 1000, id="1,000 objects deep"),
        pytest.param(b"[" * 100_000, id="deep and torn"),
        pytest.param(b'{"id":"a\\u0000_b\\u0000_c\\u0000","ack":1,"status":"\\u0000","body":"\\u0000"}', id="NUL"),
        pytest.param(b'{"id":"a\x00"}', id="raw NUL"),
        pytest.param(b'{"id":"\xff"}', id="no UTF-8"),
        pytest.param(b'{"id":"\\ud800"}', id="half a pair"),
        pytest.param(b'{"id":1e999,"timestamp":1e999,"ack":99999999999999999999}', id="numbers out of range"),
        pytest.param(b"NaN", id="no JSON"),
    ],
)
def test_extremes(event: str, payload: bytes) -> None:
    body = b'{"id":"evt_1","timestamp":1795441639817,"event":"' + event.encode() + b'","payload":' + payload + b"}"
    storable(delivered(body))


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"[]", b'"x"', b"\x00", b"[" * 100_000, b'{"event":' * 1000])
def test_what_is_no_envelope(body: bytes) -> None:
    result = delivered(body)
    storable(result)
    assert result.events == (UnknownEvent(dedupe_key=hashlib.sha256(body).hexdigest(), name="unreadable"),)


def test_a_long_name_of_an_event_is_cut() -> None:
    (event,) = delivered(json.dumps({"id": "evt_1", "event": "x" * 10_000_000, "payload": {}}).encode()).events
    assert event == UnknownEvent(dedupe_key="evt_1", name="x" * 100)


def test_nothing_of_an_unsigned_body_is_read() -> None:
    delivery = WebhookDelivery(method="POST", query={}, headers={}, body=b"[" * 10_000_000, public_url="https://p/w")
    result = receive(delivery, SECRET)
    assert (result.genuine, result.events, result.payload) == (False, (), b"")


def test_what_a_person_wrote_survives_an_odd_neighbour() -> None:
    """An opt-out is not lost because the engine leaves out what only people look at."""
    for name, odd in (("timestamp", None), ("ack", None), ("source", None), ("to", None), ("media", 7), ("_data", 7)):
        payload = {**json.loads(INCOMING), name: odd}
        (event,) = delivered(json.dumps({"id": "evt_1", "event": "message.any", "payload": payload}).encode()).events
        assert isinstance(event, MessageInEvent)
        assert (event.text, event.phone) == ("STOP", "12132132130")


def test_nul_is_taken_out_of_the_text() -> None:
    payload = {**json.loads(INCOMING), "body": "ST\0OP"}
    (event,) = delivered(json.dumps({"id": "evt_1", "event": "message.any", "payload": payload}).encode()).events
    assert isinstance(event, MessageInEvent)
    assert event.text == "STOP"
