"""Whatever is posted to a webhook, nothing raises: it is refused, passed over, or counted as unknown."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest

from core.plugin import (
    AnyEvent,
    MessageInEvent,
    MessageStatusEvent,
    Secret,
    UnknownEvent,
    WebhookDelivery,
    WebhookResult,
)
from core.webhooks.inbox import KEY_LENGTH, build_row
from plugins.evolution.webhook import receive
from tests.plugins.evolution import facts

SECRET = Secret("number-secret")
EVENTS: Mapping[str, bytes] = {
    "messages.upsert": facts.UPSERT,
    "messages.update": facts.UPDATE,
    "send.message": facts.SENT,
    "connection.update": facts.OPENED,
    "status.instance": facts.STATUS_CLOSED,
    "qrcode.updated": facts.QRCODE,
    "logout.instance": b"null",
}
FIRST: Mapping[str, bytes] = {"messages.upsert": facts.FIRST_UPSERT, "messages.update": facts.FIRST_UPDATE}
ODD: tuple[object, ...] = (
    *(None, True, False, 0, -1, 7, 10**30, 1.5, 1e308, "", "odd", "\x00", "\ud83d\ude00", "9" * 5000),
    *([], [[]], [None], {}, {"a": {}}, {"low": "9" * 5000}, "x" * 200_000),
)


def deliver(body: bytes) -> WebhookResult:
    delivery = WebhookDelivery(
        method="POST", query={"secret": SECRET.reveal()}, headers={}, body=body, public_url="https://p.example/w"
    )
    result = receive(delivery, SECRET)
    assert result.genuine
    assert result.status == 200
    for event in result.events:
        assert_storable(event)
    return result


def assert_storable(event: AnyEvent) -> None:
    """See to it that core can store the event: its key is bounded, and its content is JSON without NULs."""
    row = build_row("evolution", 17, event)
    assert len(row.dedupe_key) <= KEY_LENGTH
    assert "\\u0000" not in row.event
    json.loads(row.event)


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Name every place of a body, the whole of it first."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        yield from places(one, (*path, name))


def changed(body: bytes, path: tuple[str | int, ...], odd: object) -> bytes:
    whole: Any = json.loads(body)
    if not path:
        return json.dumps(odd).encode()
    place = whole
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = odd
    return json.dumps(whole).encode()


@pytest.mark.parametrize("event", EVENTS)
def test_wrong_types_in_every_place_of_every_event(event: str) -> None:
    for data in (EVENTS[event], FIRST.get(event, b"null")):
        body = facts.envelope(event, data)
        for path in places(json.loads(body)):
            for odd in ODD:
                deliver(changed(body, path, odd))


@pytest.mark.parametrize("event", EVENTS)
def test_every_member_may_be_missing(event: str) -> None:
    body = facts.envelope(event, EVENTS[event])
    for path in places(json.loads(body)):
        if path and isinstance(path[-1], str):
            whole: Any = json.loads(body)
            place = whole
            for name in path[:-1]:
                place = place[name]
            del place[path[-1]]
            deliver(json.dumps(whole).encode())


@pytest.mark.parametrize("event", EVENTS)
def test_unknown_members_change_nothing(event: str) -> None:
    data: Any = json.loads(EVENTS[event])
    more = {"brand": {"new": [1, None]}, "": "", "status_": 7}
    changed_data = {**data, **more} if isinstance(data, dict) else data
    plain = deliver(facts.envelope(event, EVENTS[event])).events
    odd = deliver(facts.envelope(event, json.dumps(changed_data).encode())).events
    assert [told(one) for one in odd] == [told(one) for one in plain]


def told(event: AnyEvent) -> dict[str, Any]:
    """Return what an event says, but for the moment of its delivery."""
    return {"kind": type(event), **msgspec.to_builtins(event), "at": "", "dedupe_key": ""}


@pytest.mark.parametrize("word", ["BRAND_NEW", "", "read ", "x" * 100_000, "\x00"])
def test_unknown_statuses_are_counted(word: str) -> None:
    data = {**json.loads(facts.UPDATE), "status": word}
    (event,) = deliver(facts.envelope("messages.update", json.dumps(data).encode())).events
    assert isinstance(event, UnknownEvent)
    assert len(event.name) < 100


@pytest.mark.parametrize("name", ["", "brand.new", "MESSAGES_UPSERT ", "x" * 10_000_000, "\x00", "messages/upsert"])
def test_unknown_events_are_counted(name: str) -> None:
    (event,) = deliver(facts.envelope(name, facts.UPSERT)).events
    assert isinstance(event, UnknownEvent)
    assert len(event.name) <= 120


# Long, deep, broken.

LONG = "x" * 10 * 2**20


@pytest.mark.parametrize(
    "data",
    [
        {"message": {"conversation": LONG}},
        {"pushName": LONG},
        {"key": {"id": LONG, "remoteJid": facts.PERSON}},
        {"key": {"id": "3A", "remoteJid": LONG}},
        {"message": {"imageMessage": {"caption": "c", "jpegThumbnail": LONG}}},
        {"messageTimestamp": "9" * 10 * 2**20},
    ],
)
def test_ten_megabytes_in_one_member(data: dict[str, object]) -> None:
    whole = {**json.loads(facts.UPSERT), **data}
    result = deliver(facts.envelope("messages.upsert", json.dumps(whole).encode()))
    assert len(result.events) <= 1


def test_ten_megabytes_of_small_events() -> None:
    count = 10 * 2**20 // len(facts.UPDATE)
    many = b"[" + b",".join([facts.UPDATE] * count) + b"]"
    result = deliver(facts.ENVELOPE.replace(b'"data":{}', b'"data":' + many))
    assert len(result.events) == count
    assert len({event.dedupe_key for event in result.events}) == 1


@pytest.mark.parametrize("opening", ["[", '{"a":', '{"message":', '{"ephemeralMessage":{"message":'])
@pytest.mark.parametrize("depth", [100, 1000, 100_000])
def test_deep_bodies(opening: str, depth: int) -> None:
    closing = "".join("}" if sign == "{" else "]" for sign in reversed(opening) if sign in "{[")
    deep = opening * depth + "1" + closing * depth
    for body in (
        deep,
        facts.ENVELOPE.decode().replace('"data":{}', f'"data":{deep}'),
        facts.ENVELOPE.decode().replace('"data":{}', f'"data":{{"apikey":{deep}}}'),
        facts.ENVELOPE.decode().replace('"sender":', f'"more":{deep},"sender":'),
        facts.envelope("messages.upsert", facts.UPSERT).decode().replace('{"conversation": "STOP"}', deep),
    ):
        result = deliver(body.encode())
        assert b"<instance token>" not in result.payload
        assert not [event for event in result.events if isinstance(event, MessageStatusEvent)]


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"\x00", b"\x00" * 1000, b"null", b"7", b'"text"', b"[]", b"{", b"\xff\xfe", b'{"event":', b"{}"),
        *(b'{"event":"messages.update"}', b'{"event":null,"data":{}}', b'{"event":"\\ud800","data":{}}'),
        *(b"event=messages.update&apikey=token", b"<html>", b'{"event":"call","event":"call"}', b"NaN"),
    ],
)
def test_broken_bodies(body: bytes) -> None:
    (event,) = deliver(body).events
    assert isinstance(event, UnknownEvent)


def test_nul_in_a_text_is_no_end_of_it() -> None:
    data = {**json.loads(facts.UPSERT), "message": {"conversation": "ST\x00OP"}}
    (event,) = deliver(facts.envelope("messages.upsert", json.dumps(data).encode())).events
    assert isinstance(event, MessageInEvent)
    assert event.text == "ST\x00OP"
    assert '"STOP"' in build_row("evolution", 17, event).event


@pytest.mark.parametrize(
    "headers", [{}, {"x-recado-secret": ""}, {"x-recado-secret": "\x00"}, {"x-recado-secret": "é" * 9}]
)
def test_nothing_is_read_before_the_secret_fits(headers: dict[str, str]) -> None:
    body = b"[" * 10 * 2**20
    delivery = WebhookDelivery(method="POST", query={}, headers=headers, body=body, public_url="https://p.example/w")
    assert receive(delivery, SECRET) == WebhookResult(
        genuine=False, status=401, body=b"The secret is missing or wrong.\n"
    )
