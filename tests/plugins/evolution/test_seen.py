"""What a person wrote since our last message is marked as read."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from core.plugin import RefusedError, UncertainError
from core.plugin.testing import Answer, ScriptedServer
from plugins.evolution.provider import EvolutionProvider
from tests.plugins.evolution.conftest import VERSIONS, sender_on

ANA = "12132132130@s.whatsapp.net"
HIDDEN = "77@lid"
MESSAGES = "/chat/findMessages/snd_17"
MARK = "/chat/markMessageAsRead/snd_17"
DONE = Answer(201, b'{"message": "Read messages", "read": "success"}')


def record(message_id: str, *, mine: bool = False, chat: str = ANA, alternative: str = "", status: str = "") -> Any:
    key = {"id": message_id, "fromMe": mine, "remoteJid": chat}
    key |= {"remoteJidAlt": alternative} if alternative else {}
    updates = [{"status": status}] if status else []
    return {"id": "row", "key": key, "message": {}, "messageTimestamp": 1795441640, "MessageUpdate": updates}


def page(version: str, records: Sequence[object]) -> Answer:
    found = {"messages": {"total": 1, "pages": 1, "currentPage": 1, "records": records}}
    return Answer(200, json.dumps(records if version == "1.8.2" else found).encode())


def calls_of(server: ScriptedServer) -> list[tuple[str, str, Any]]:
    return [(one.method, one.target, json.loads(one.body)) for one in server.requests]


@pytest.mark.parametrize(
    ("version", "method", "name", "paging"),
    [
        ("1.8.2", "PUT", "read_messages", {"limit": 50}),
        ("2.3.7", "POST", "readMessages", {"page": 1, "offset": 50}),
    ],
)
async def test_messages_of_one_chat_are_marked(
    provider: EvolutionProvider, version: str, method: str, name: str, paging: dict[str, int]
) -> None:
    async with ScriptedServer(DONE, {MESSAGES: page(version, [record("3A2"), record("3A1")])}) as server:
        await provider.mark_seen(sender_on(server.url, version), "12132132130")
        keys = [{"remoteJid": ANA, "fromMe": False, "id": one} for one in ("3A2", "3A1")]
        assert calls_of(server) == [
            ("POST", MESSAGES, {"where": {"key": {"remoteJid": ANA}}, **paging}),
            (method, MARK, {name: keys}),
        ]


@pytest.mark.parametrize(
    ("records", "marked"),
    [
        ([record("3A2"), record("3EB0", mine=True), record("3A1")], ["3A2"]),
        ([record("3EB0", mine=True), record("3A2"), record("3A1"), record("3EB1", mine=True)], ["3A2", "3A1"]),
        ([record("3A3", status="READ"), record("3A2", status="DELIVERY_ACK"), record("3A1", status="PLAYED")], ["3A2"]),
        ([record("3A2", chat="12132132131@s.whatsapp.net"), record("3A1")], ["3A1"]),
        ([7, {"key": {}}, record("3A1")], ["3A1"]),
    ],
)
async def test_which_messages_are_marked(
    provider: EvolutionProvider, records: Sequence[object], marked: list[str]
) -> None:
    async with ScriptedServer(DONE, {MESSAGES: page("2.3.7", records)}) as server:
        await provider.mark_seen(sender_on(server.url), ANA)
        assert [key["id"] for key in calls_of(server)[-1][2]["readMessages"]] == marked


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("records", [[], [record("3EB0", mine=True)], [record("3A1", status="READ")]])
async def test_nothing_to_mark_marks_nothing(
    provider: EvolutionProvider, version: str, records: Sequence[object]
) -> None:
    async with ScriptedServer(DONE, {MESSAGES: page(version, records)}) as server:
        await provider.mark_seen(sender_on(server.url, version), ANA)
        assert {target for _, target, _ in calls_of(server)} == {MESSAGES}


async def test_chat_that_is_kept_under_its_hidden_number(provider: EvolutionProvider) -> None:
    elsewhere = record("3A9", chat="12132132131@s.whatsapp.net")
    async with ScriptedServer(DONE, {MESSAGES: page("2.3.7", [elsewhere])}) as server:
        await provider.mark_seen(sender_on(server.url), ANA)
        asked = [body["where"]["key"] for _, _, body in calls_of(server)]
        assert asked == [{"remoteJid": ANA}, {"remoteJidAlt": ANA}]
        server.requests.clear()
        server.routes[MESSAGES] = page("2.3.7", [record("3A1", chat=HIDDEN, alternative=ANA), elsewhere])
        await provider.mark_seen(sender_on(server.url), ANA)
        keys = [{"remoteJid": HIDDEN, "fromMe": False, "id": "3A1"}]
        assert calls_of(server)[-1] == ("POST", MARK, {"readMessages": keys})


@pytest.mark.parametrize(("answer", "error"), [(Answer(500), UncertainError), (Answer(404), RefusedError)])
@pytest.mark.parametrize("path", [MESSAGES, MARK])
async def test_mark_that_failed_says_so(
    provider: EvolutionProvider, path: str, answer: Answer, error: type[Exception]
) -> None:
    routes = {MESSAGES: page("2.3.7", [record("3A1")]), path: answer}
    async with ScriptedServer(DONE, routes) as server:
        with pytest.raises(error):
            await provider.mark_seen(sender_on(server.url), ANA)
