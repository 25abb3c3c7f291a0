"""The provider against a scripted server: sends, number checks, typing."""

import asyncio
import json
from typing import Any

import pytest

from core.plugin import (
    Accepted,
    Media,
    MessageKind,
    MisconfiguredError,
    NumberCheck,
    OutgoingMessage,
    Prepared,
    RefusedError,
    Sender,
    UnavailableError,
    UncertainError,
    Unknown,
)
from core.plugin.testing import Answer, Cut, Hang, ScriptedServer
from plugins.evolution.provider import EvolutionProvider
from tests.plugins.evolution.conftest import KEY, VERSIONS, sender_on

TO = "12132132130"
PRESENCE = "/chat/sendPresence/snd_17"
CHECK = "/chat/whatsappNumbers/snd_17"
OFFLINE = Answer(400, b'{"data": null, "isBoom": true, "output": {"statusCode": 428, "payload": {}}}')


def prepare(provider: EvolutionProvider, sender: Sender, media: Media | None = None) -> Prepared:
    kind = MessageKind.IMAGE if media else MessageKind.TEXT
    return provider.prepare(OutgoingMessage(TO, kind, "Hello", media), sender, provider.new_client_id())


def body_of(server: ScriptedServer) -> Any:
    (request,) = server.requests
    return json.loads(request.body)


@pytest.mark.parametrize("version", VERSIONS)
async def test_send_writes_what_was_prepared(provider: EvolutionProvider, version: str) -> None:
    answer = Answer(201, b'{"key": {"id": "3EB0AA", "remoteJid": "12132132130@s.whatsapp.net"}}')
    async with ScriptedServer(answer) as server:
        sender = sender_on(server.url + "/", version)
        prepared = prepare(provider, sender)
        assert await provider.send(prepared, sender) == Accepted(("3EB0AA",), "12132132130@s.whatsapp.net")
        (request,) = server.requests
    assert (request.method, request.target, request.body) == ("POST", "/message/sendText/snd_17", prepared.body)
    assert (request.headers["apikey"], request.headers["content-type"]) == (KEY, "application/json")


async def test_a_file_has_more_time_than_a_text(provider: EvolutionProvider) -> None:
    media = Media(mimetype="image/jpeg", filename="o.jpg", content=b"jpeg")
    async with ScriptedServer(Hang()) as server:
        sender = sender_on(server.url)
        text = asyncio.create_task(provider.send(prepare(provider, sender), sender))
        image = asyncio.create_task(provider.send(prepare(provider, sender, media), sender))
        done, _ = await asyncio.wait((text, image), return_when=asyncio.FIRST_COMPLETED)
        assert done == {text}
        assert (await text, await image) == (Unknown("timeout"), Unknown("timeout"))


@pytest.mark.parametrize("version", VERSIONS)
async def test_numbers_are_checked_together(provider: EvolutionProvider, version: str) -> None:
    answer = [
        {
            "jid": "553188887777@s.whatsapp.net",
            "exists": True,
            "number": "5531988887777",
            "name": "Ana",
            "lid": "7@lid",
        },
        {"jid": "12132130000@s.whatsapp.net", "exists": False, "number": "12132130000"},
        {"jid": "12132132130@s.whatsapp.net", "exists": True},
    ]
    numbers = ["5531988887777", "12132130000", TO, "447700900000"]
    async with ScriptedServer(Answer(200, json.dumps(answer).encode())) as server:
        found = await provider.check_numbers(sender_on(server.url, version), numbers)
        assert [(one.method, one.target) for one in server.requests] == [("POST", CHECK)]
        assert body_of(server) == {"numbers": numbers}
    assert found == {
        "5531988887777": NumberCheck("5531988887777", exists=True, address="553188887777@s.whatsapp.net"),
        "12132130000": NumberCheck("12132130000", exists=False),
        TO: NumberCheck(TO, exists=True, address="12132132130@s.whatsapp.net"),
    }


async def test_the_only_answer_is_that_of_the_only_number(provider: EvolutionProvider) -> None:
    async with ScriptedServer(Answer(200, b'[{"jid": "553188887777@s.whatsapp.net", "exists": true}]')) as server:
        found = await provider.check_numbers(sender_on(server.url, "1.7.0"), ["5531988887777"])
    address = "553188887777@s.whatsapp.net"
    assert found == {"5531988887777": NumberCheck("5531988887777", exists=True, address=address)}


async def test_many_numbers_are_checked_in_portions(provider: EvolutionProvider) -> None:
    async with ScriptedServer(Answer(200, b"[]")) as server:
        assert await provider.check_numbers(sender_on(server.url), [str(number) for number in range(201)]) == {}
        assert [len(json.loads(request.body)["numbers"]) for request in server.requests] == [100, 100, 1]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (OFFLINE, "The instance is not connected"),
        (
            Answer(500, b'{"status": 500, "response": {"message": "Connection Closed"}}'),
            "The instance is not connected",
        ),
        (
            Answer(500, b'{"status": 500, "response": {"message": "rate-overlimit"}}'),
            "answered 500 instead of checking",
        ),
        (Answer(503), "answered 503 while checking numbers"),
    ],
)
async def test_numbers_cannot_be_checked_now(provider: EvolutionProvider, answer: Answer, text: str) -> None:
    async with ScriptedServer(answer) as server:
        with pytest.raises(UnavailableError, match=text):
            await provider.check_numbers(sender_on(server.url), [TO])


async def test_number_check_of_a_missing_instance(provider: EvolutionProvider) -> None:
    async with ScriptedServer(Answer(404)) as server:
        with pytest.raises(RefusedError, match="answered 404 while checking numbers"):
            await provider.check_numbers(sender_on(server.url), [TO])


async def test_number_check_without_a_licence(provider: EvolutionProvider) -> None:
    async with ScriptedServer(Answer(503, b'{"code": "LICENSE_REQUIRED"}')) as server:
        with pytest.raises(MisconfiguredError, match="licence"):
            await provider.check_numbers(sender_on(server.url), [TO])


@pytest.mark.parametrize(
    ("version", "body"),
    [
        ("2.3.7", {"number": TO, "delay": 15000, "presence": "composing"}),
        ("1.8.2", {"number": TO, "options": {"delay": 15000, "presence": "composing"}}),
    ],
)
async def test_typing(provider: EvolutionProvider, version: str, body: object) -> None:
    async with ScriptedServer(Answer(201, b'{"presence": "composing"}')) as server:
        await provider.show_typing(sender_on(server.url, version), TO, active=True)
        assert [(one.method, one.target) for one in server.requests] == [("POST", PRESENCE)]
        assert body_of(server) == body


async def test_typing_that_the_server_holds_is_shown(
    provider: EvolutionProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plugins.evolution.provider.TYPING_SECONDS", 0.1)
    async with ScriptedServer(Hang()) as server:
        await provider.show_typing(sender_on(server.url), TO, active=True)
        assert len(server.requests) == 1


async def test_typing_ends_with_the_message_and_needs_no_call(provider: EvolutionProvider) -> None:
    async with ScriptedServer() as server:
        await provider.show_typing(sender_on(server.url), TO, active=False)
        assert server.requests == []


async def test_typing_that_fails_says_so(provider: EvolutionProvider) -> None:
    async with ScriptedServer(Answer(500)) as server:
        with pytest.raises(UncertainError, match="answered 500 while showing the typing sign"):
            await provider.show_typing(sender_on(server.url), TO, active=True)


async def test_a_success_with_an_error_inside_is_none(provider: EvolutionProvider) -> None:
    async with ScriptedServer(Answer(200, b'{"error": true, "message": "[object Object]"}')) as server:
        with pytest.raises(UncertainError, match="with an error inside while connecting the instance") as caught:
            await provider.challenge(sender_on(server.url))
    assert "object Object" not in str(caught.value)


async def test_errors_name_no_key(provider: EvolutionProvider) -> None:
    async with ScriptedServer(Cut()) as server:
        with pytest.raises(UnavailableError) as caught:
            await provider.state(sender_on(server.url))
    assert KEY not in str(caught.value)
