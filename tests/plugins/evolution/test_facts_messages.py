"""Known bodies of sends, checks and look-ups in version 2."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import pytest

from core.plugin import (
    Accepted,
    Found,
    MessageKind,
    MessageStatus,
    NumberCheck,
    OutgoingMessage,
    Secret,
    WebhookDelivery,
)
from core.plugin.testing import Answer, ScriptedServer
from plugins.evolution.lookup import furthest, read_status
from plugins.evolution.messages import prepare_message
from plugins.evolution.outcomes import read_outcome
from plugins.evolution.provider import EvolutionProvider
from plugins.evolution.webhook import receive
from tests.plugins.evolution import facts, simulator_conftest
from tests.plugins.evolution.conftest import sender_on
from tests.plugins.evolution.simulator_conftest import ADDRESS, TO, Evolution, eventually

start_evolution, evolution = simulator_conftest.start_evolution, simulator_conftest.evolution

FILE = base64.b64encode(b"file").decode()
TEXT = OutgoingMessage(TO, MessageKind.TEXT, "Hello")
SENDS: list[tuple[str, dict[str, Any]]] = [
    ("sendText", {"text": "Hello", "delay": 0, "linkPreview": False, "quoted": {"key": {"id": "3EB0AA"}}}),
    *(
        ("sendMedia", {"mediatype": kind, "mimetype": "a/b", "media": FILE, "fileName": "o.jpg", "caption": "Offer"})
        for kind in ("image", "document", "video", "audio")
    ),
    ("sendWhatsAppAudio", {"audio": FILE, "encoding": True}),
    ("sendPtv", {"video": FILE}),
    ("sendSticker", {"sticker": FILE}),
    ("sendPoll", {"name": "Which day?", "selectableCount": 1, "values": ["Mon", "Tue"]}),
    ("sendLocation", {"latitude": 1.5, "longitude": 2.5, "name": "Shop", "address": "Main St 1"}),
    ("sendList", {"title": "Choose", "footerText": "f", "buttonText": "b", "sections": []}),
    ("sendButtons", {"title": "Choose", "buttons": []}),
    ("sendContact", {"contact": [{"fullName": "Ana", "phoneNumber": TO}]}),
]


@pytest.mark.parametrize(("name", "body"), SENDS)
async def test_sends_are_taken(evolution: Evolution, name: str, body: dict[str, Any]) -> None:
    await evolution.open()
    answer = await evolution.post(f"/message/{name}/snd_17", {"number": TO, **body})
    known: dict[str, Any] = json.loads(facts.SENT)
    facts.assert_answer(answer, 201, json.dumps({**known, "message": {}}).encode())


async def test_answer_of_a_send(evolution: Evolution) -> None:
    prepared = prepare_message(TEXT, sender_on("http://evo"), "3EB0")
    outcome = read_outcome(httpx.Response(201, content=facts.SENT), prepared)
    assert outcome == Accepted(("3EB01C622C26014C47E80B",), ADDRESS)
    await evolution.open()
    answer = await evolution.send()
    facts.assert_answer(answer, 201, facts.SENT)
    assert answer.json()["status"] == "PENDING"


async def test_typing(provider: EvolutionProvider, evolution: Evolution) -> None:
    async with ScriptedServer(Answer(201, b'{"presence":"composing"}')) as server:
        await provider.show_typing(sender_on(server.url), TO, active=True)
        (request,) = server.requests
    facts.assert_form(b'{"number":"12132132130","delay":1200,"presence":"composing"}', json.loads(request.body))
    await evolution.open()
    shown = await evolution.post("/chat/sendPresence/snd_17", {"number": TO, "delay": 0, "presence": "composing"})
    facts.assert_answer(shown, 201, b'{"presence":"composing"}')


async def test_read_marks(evolution: Evolution) -> None:
    await evolution.open()
    body = {"readMessages": [{"remoteJid": ADDRESS, "fromMe": False, "id": "3A01"}]}
    marked = await evolution.post("/chat/markMessageAsRead/snd_17", body)
    facts.assert_answer(marked, 201, b'{"message":"Read messages","read":"success"}')
    for odd in ({}, {"readMessages": [{"id": "3A01"}]}, {"read_messages": body["readMessages"]}):
        assert (await evolution.post("/chat/markMessageAsRead/snd_17", odd)).status_code == 400


async def test_number_checks(provider: EvolutionProvider, evolution: Evolution) -> None:
    numbers = [TO, "12132130000"]
    async with ScriptedServer(Answer(200, facts.CHECKED)) as server:
        found = await provider.check_numbers(sender_on(server.url), numbers)
        assert json.loads(server.requests[0].body) == {"numbers": numbers}
    assert found == {
        TO: NumberCheck(TO, exists=True, address=ADDRESS),
        "12132130000": NumberCheck("12132130000", exists=False),
    }
    await evolution.open()
    checked = await evolution.post("/chat/whatsappNumbers/snd_17", {"numbers": numbers})
    assert checked.json() == json.loads(facts.CHECKED)


# Look-ups.


async def find(provider: EvolutionProvider, ids: tuple[str, ...]) -> tuple[object, Any]:
    async with ScriptedServer(Answer(200, facts.FOUND)) as server:
        sender = sender_on(server.url)
        prepared = provider.prepare(TEXT, sender, "3EB0")
        begun = datetime.fromtimestamp(1795442276, UTC)
        prepared = msgspec.structs.replace(prepared, attempted_at=begun)
        return await provider.reconcile(prepared, sender, ids), json.loads(server.requests[0].body)


async def acknowledged(evolution: Evolution) -> str:
    """Send a text and wait until it is read."""
    await evolution.open()
    message_id = str((await evolution.send()).json()["key"]["id"])

    async def is_read() -> bool:
        rows = await evolution.post("/chat/findStatusMessage/snd_17", {"where": {"id": message_id}})
        return [row["status"] for row in rows.json()][-1:] == ["READ"]

    await eventually(is_read)
    return message_id


async def test_lookup_by_id(provider: EvolutionProvider, evolution: Evolution) -> None:
    finding, asked = await find(provider, ("3EB0AA",))
    assert finding == Found(("3EB0AA",), MessageStatus.DELIVERED, ADDRESS)
    facts.assert_form(b'{"where":{"key":{"id":"3EB0AA"}},"page":1,"offset":20}', asked)
    message_id = await acknowledged(evolution)
    question = {"where": {"key": {"id": message_id}}, "page": 1, "offset": 20}
    facts.assert_answer(await evolution.post("/chat/findMessages/snd_17", question), 200, facts.FOUND)


async def test_lookup_by_chat(provider: EvolutionProvider, evolution: Evolution) -> None:
    finding, asked = await find(provider, ())
    assert finding == Found(("3EB0AA",), MessageStatus.DELIVERED, ADDRESS)
    assert asked["where"] == {"key": {"remoteJid": ADDRESS, "fromMe": True}}
    message_id = await acknowledged(evolution)
    await evolution.post("/simulator/messages", {"session": "snd_17", "from": TO, "text": "Oi"})
    found = (await evolution.post("/chat/findMessages/snd_17", asked)).json()["messages"]["records"]
    assert [record["key"]["id"] for record in found] == [message_id]
    asked["where"]["key"]["fromMe"] = False
    unfiltered = (await evolution.post("/chat/findMessages/snd_17", asked)).json()["messages"]["records"]
    assert {record["key"]["fromMe"] for record in unfiltered} == {True, False}


async def test_statuses(evolution: Evolution) -> None:
    message_id = await acknowledged(evolution)
    rows = await evolution.post("/chat/findStatusMessage/snd_17", {"where": {"id": message_id}})
    facts.assert_answer(rows, 200, facts.STATUSES)


TABLE = [
    (0, "ERROR", MessageStatus.FAILED),
    (1, "PENDING", MessageStatus.ACCEPTED),
    (2, "SERVER_ACK", MessageStatus.SENT),
    (3, "DELIVERY_ACK", MessageStatus.DELIVERED),
    (4, "READ", MessageStatus.READ),
    (5, "PLAYED", MessageStatus.READ),
]


@pytest.mark.parametrize(("number", "word", "status"), TABLE)
def test_table_of_statuses(number: int, word: str, status: MessageStatus) -> None:
    assert (read_status(number), read_status(word)) == (status, status)


@pytest.mark.parametrize("word", ["DELETED", "EDITED"])
def test_side_events(word: str) -> None:
    assert read_status(word) is None
    assert furthest([word, "SERVER_ACK"]) is MessageStatus.SENT
    body = facts.envelope("messages.update", facts.UPDATE.replace(b"SERVER_ACK", word.encode()))
    delivery = WebhookDelivery(
        method="POST", query={"secret": "s"}, headers={}, body=body, public_url="https://p.example"
    )
    assert receive(delivery, Secret("s")).events == ()
