"""What became of a message, as the server's store tells it."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from core.plugin import (
    CannotTell,
    Finding,
    Found,
    Media,
    MessageKind,
    MessageStatus,
    OutgoingMessage,
)
from core.plugin.testing import Answer, Cut, Reaction, ScriptedServer
from plugins.evolution.lookup import furthest
from plugins.evolution.provider import EvolutionProvider
from tests.plugins.evolution.conftest import VERSIONS, sender_on

BEGUN = datetime(2026, 11, 23, 13, 48, 2, tzinfo=UTC)
TO = "12132132130"
JID = "12132132130@s.whatsapp.net"
MESSAGES = "/chat/findMessages/snd_17"
STATUSES = "/chat/findStatusMessage/snd_17"
PICTURE = Media(mimetype="image/jpeg", filename="o.jpg", url="https://p.example/o.jpg")


def record(message_id: str = "3EB0AA", *, seconds: float = 0, text: str = "Hello", **more: object) -> dict[str, object]:
    """A record of the store, ``seconds`` after the attempt began."""
    return {
        "id": "row",
        "key": {"id": message_id, "fromMe": True, "remoteJid": JID},
        "message": {"conversation": text},
        "messageTimestamp": int(BEGUN.timestamp() + seconds),
        "MessageUpdate": [{"status": "DELIVERY_ACK"}, {"status": "SERVER_ACK"}],
        **more,
    }


def answer(version: str, records: Sequence[object]) -> Answer:
    page = {"messages": {"total": len(records), "pages": 1, "currentPage": 1, "records": records}}
    return Answer(200, json.dumps(records if version == "1.8.2" else page).encode())


async def find(
    provider: EvolutionProvider,
    reaction: Reaction,
    *,
    version: str = "2.3.7",
    ids: Sequence[str] = (),
    message: OutgoingMessage | None = None,
    begun: datetime | None = BEGUN,
    statuses: Reaction | None = None,
) -> tuple[Finding, list[tuple[str, Any]]]:
    """Look a message up; return what was found, and what was asked."""
    async with ScriptedServer(reaction, {STATUSES: statuses or Answer(200, b"[]")}) as server:
        sender = sender_on(server.url, version)
        prepared = provider.prepare(message or OutgoingMessage(TO, MessageKind.TEXT, "Hello"), sender, "client-id")
        prepared = msgspec.structs.replace(prepared, attempted_at=begun)
        finding = await provider.reconcile(prepared, sender, ids)
        return finding, [(request.target, json.loads(request.body)) for request in server.requests]


# By id.


async def test_by_id_in_version_2(provider: EvolutionProvider) -> None:
    finding, asked = await find(provider, answer("2.3.7", [record()]), ids=("3EB0AA",))
    assert finding == Found(("3EB0AA",), MessageStatus.DELIVERED, JID)
    assert asked == [(MESSAGES, {"where": {"key": {"id": "3EB0AA"}}, "page": 1, "offset": 50})]


async def test_by_id_in_version_1(provider: EvolutionProvider) -> None:
    stored = record(MessageUpdate=[])
    statuses = Answer(200, b'[{"id": "3EB0AA", "status": "SERVER_ACK"}, {"id": "3EB0AA", "status": "READ"}]')
    reaction = answer("1.8.2", [stored])
    finding, asked = await find(provider, reaction, version="1.8.2", ids=("3EB0AA",), statuses=statuses)
    assert finding == Found(("3EB0AA",), MessageStatus.READ, JID)
    assert asked == [
        (MESSAGES, {"where": {"key": {"id": "3EB0AA"}}, "limit": 50}),
        (STATUSES, {"where": {"id": "3EB0AA"}}),
    ]


@pytest.mark.parametrize("statuses", [Answer(500), Answer(200, b"{}"), Cut()])
async def test_found_without_its_statuses(provider: EvolutionProvider, statuses: Reaction) -> None:
    reaction = answer("1.8.2", [record(MessageUpdate=[])])
    finding, _ = await find(provider, reaction, version="1.8.2", ids=("3EB0AA",), statuses=statuses)
    assert finding == Found(("3EB0AA",), MessageStatus.ACCEPTED, JID)


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_is_not_in_the_store_may_be_sent(provider: EvolutionProvider, version: str) -> None:
    finding, _ = await find(provider, answer(version, []), version=version, ids=("3EB0AA",))
    assert finding == CannotTell("not_in_store")


async def test_a_store_that_ignores_the_question_finds_nothing(provider: EvolutionProvider) -> None:
    theirs = {**record(), "key": {"id": "3EB0AA", "fromMe": False, "remoteJid": JID}}
    finding, _ = await find(provider, answer("2.3.7", [record("3EB0BB"), theirs]), ids=("3EB0AA",))
    assert finding == CannotTell("not_in_store")


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ((), MessageStatus.ACCEPTED),
        (("PENDING",), MessageStatus.ACCEPTED),
        (("PENDING", "ERROR"), MessageStatus.FAILED),
        (("ERROR", "SERVER_ACK"), MessageStatus.SENT),
        (("SERVER_ACK", "READ", "DELIVERY_ACK"), MessageStatus.READ),
        (("DELETED", "EDITED", "BRAND_NEW", None, 2), MessageStatus.SENT),
        ((True, 9, -1), MessageStatus.ACCEPTED),
    ],
)
def test_furthest_status(words: tuple[object, ...], status: MessageStatus) -> None:
    assert furthest(words) is status


# By chat, text and time.


@pytest.mark.parametrize("version", VERSIONS)
async def test_by_text(provider: EvolutionProvider, version: str) -> None:
    records = [record("B", text="Other"), record("3EB0AA", seconds=1), record("C", seconds=-6)]
    finding, asked = await find(provider, answer(version, records), version=version)
    assert finding == Found(("3EB0AA",), MessageStatus.DELIVERED, JID)
    paging = {"limit": 50} if version == "1.8.2" else {"page": 1, "offset": 50}
    assert asked[0] == (MESSAGES, {"where": {"key": {"remoteJid": JID, "fromMe": True}}, **paging})


@pytest.mark.parametrize("seconds", [-5, 0, 61])
async def test_inside_the_window(provider: EvolutionProvider, seconds: float) -> None:
    finding, _ = await find(provider, answer("2.3.7", [record(seconds=seconds)]))
    assert isinstance(finding, Found)


@pytest.mark.parametrize(
    "stored",
    [
        record(seconds=-6),
        record(seconds=62),
        record(text="Hello "),
        record(key={"id": "3EB0AA", "fromMe": False, "remoteJid": JID}),
        record(message={"imageMessage": {"caption": "Hello"}}),
        record(message=None),
        record(key={"id": "3EB0AA", "fromMe": True, "remoteJid": "12132132131@s.whatsapp.net"}),
        record(key={"id": "3EB0AA", "fromMe": True}),
        record(messageTimestamp="soon"),
        {"key": 7},
        7,
    ],
)
async def test_other_messages_are_not_taken_for_it(provider: EvolutionProvider, stored: object) -> None:
    finding, _ = await find(provider, answer("2.3.7", [stored]))
    assert finding == CannotTell("not_in_chat")


async def test_message_under_the_hidden_number_of_its_chat(provider: EvolutionProvider) -> None:
    key = {"id": "3EB0AA", "fromMe": True, "remoteJid": "77@lid", "remoteJidAlt": JID}
    finding, _ = await find(provider, answer("2.3.7", [record(key=key)]))
    assert finding == Found(("3EB0AA",), MessageStatus.DELIVERED, "77@lid")


async def test_two_of_the_same_are_anybodys(provider: EvolutionProvider) -> None:
    finding, _ = await find(provider, answer("2.3.7", [record("A"), record("B", seconds=3)]))
    assert finding == CannotTell("ambiguous")


async def test_the_same_message_listed_twice_is_one(provider: EvolutionProvider) -> None:
    finding, _ = await find(provider, answer("2.3.7", [record("A"), record("A")]))
    assert finding == Found(("A",), MessageStatus.DELIVERED, JID)


async def test_file_by_its_caption(provider: EvolutionProvider) -> None:
    stored = [record("T"), record("3EB0AA", message={"imageMessage": {"caption": "Hello"}})]
    message = OutgoingMessage(TO, MessageKind.IMAGE, "Hello", PICTURE)
    finding, _ = await find(provider, answer("2.3.7", stored), message=message)
    assert finding == Found(("3EB0AA",), MessageStatus.DELIVERED, JID)


async def test_nothing_to_look_for(provider: EvolutionProvider) -> None:
    file = OutgoingMessage(TO, MessageKind.IMAGE, "", PICTURE)
    assert await find(provider, answer("2.3.7", [record()]), message=file) == (CannotTell("no_message_id"), [])
    assert await find(provider, answer("2.3.7", [record()]), begun=None) == (CannotTell("no_message_id"), [])


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("5531988887777", ["5531988887777@s.whatsapp.net", "553188887777@s.whatsapp.net"]),
        ("5215512345678", ["5215512345678@s.whatsapp.net", "525512345678@s.whatsapp.net"]),
        ("5491123456789", ["5491123456789@s.whatsapp.net", "541123456789@s.whatsapp.net"]),
        ("553188887777", ["553188887777@s.whatsapp.net"]),
        ("5531988887777@s.whatsapp.net", ["5531988887777@s.whatsapp.net"]),
        ("77@lid", ["77@lid"]),
    ],
)
async def test_numbers_whose_account_has_a_digit_less(
    provider: EvolutionProvider, address: str, asked: list[str]
) -> None:
    message = OutgoingMessage(address, MessageKind.TEXT, "Hello")
    _, requests = await find(provider, answer("2.3.7", []), message=message)
    assert [body["where"]["key"]["remoteJid"] for _, body in requests] == asked


# A store that does not answer.


@pytest.mark.parametrize("ids", [(), ("3EB0AA",)])
@pytest.mark.parametrize(
    ("reaction", "code"),
    [
        (Answer(500), "provider_uncertain"),
        (Answer(404), "provider_refused"),
        (Answer(401), "provider_misconfigured"),
        (Answer(503), "provider_unavailable"),
        (Answer(503, b'{"code": "LICENSE_REQUIRED"}'), "provider_misconfigured"),
        (Answer(200, b'{"messages": {"records": 7}}'), "provider_uncertain"),
        (Answer(200, b'{"error": true}'), "provider_uncertain"),
        (Cut(), "provider_uncertain"),
    ],
)
async def test_no_answer_tells_nothing(
    provider: EvolutionProvider, reaction: Reaction, code: str, ids: tuple[str, ...]
) -> None:
    finding, _ = await find(provider, reaction, ids=ids)
    assert finding == CannotTell(code)
