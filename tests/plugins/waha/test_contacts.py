"""People and groups of a connected number, as each engine lists them."""

import json
from collections.abc import Awaitable, Callable

import pytest

from core.plugin import Capabilities, ContactListing, ListedContact, Sender, UnavailableError
from core.plugin.testing import Answer, ScriptedServer
from plugins.waha.contacts import PAGE
from plugins.waha.provider import WahaProvider
from tests.plugins.waha.conftest import PHONE, Waha, connect, sender_on

Start = Callable[..., Awaitable[Waha]]
ENGINES = ("GOWS", "NOWEB", "WEBJS", "WPP")
ANA, BIA, CAIO, DORA, EVA = (f"55119876500{digit}1" for digit in range(1, 6))


async def listed(provider: WahaProvider, sender: Sender) -> list[ListedContact]:
    return [contact async for contact in provider.list_contacts(sender)]


def person(phone: str, name: str) -> ListedContact:
    return ListedContact(address=f"{phone}@c.us", phone=phone, name=name)


async def know(waha: Waha, phone: str, **more: object) -> None:
    answer = await waha.post("/simulator/contacts", {"session": "snd_17", "phone": phone, **more})
    assert answer.status_code == 201, answer.text


async def join(waha: Waha, name: str, *participants: str) -> str:
    answer = await waha.post("/simulator/groups", {"session": "snd_17", "name": name, "participants": participants})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def test_the_provider_lists(provider: WahaProvider) -> None:
    assert isinstance(provider, ContactListing)


@pytest.mark.parametrize("engine", ENGINES)
async def test_address_book_groups_and_chats(provider: WahaProvider, start: Start, engine: str) -> None:
    waha = await start(engine=engine)
    sender = await connect(provider, waha)
    await know(waha, ANA, name="Ana Lima", pushname="aninha")
    await know(waha, BIA, name="Bia", hidden=True)
    await know(waha, CAIO, pushname="caio")
    await know(waha, DORA, pushname="dora in the group alone")
    group = await join(waha, "Clients", ANA, DORA)
    await waha.post("/simulator/messages", {"session": "snd_17", "from": CAIO, "text": "Hi"})
    await waha.post("/simulator/messages", {"session": "snd_17", "from": EVA, "text": "Hi", "lid": True})
    await waha.post("/simulator/messages", {"session": "snd_17", "from": DORA, "group": group, "text": "Hi"})

    found = await listed(provider, sender)

    caio = found[-2]
    # A browser shows a chat without a saved contact under its number.
    assert caio == person(CAIO, CAIO if engine == "WEBJS" else "caio")
    assert found[:3] == [
        person(ANA, "Ana Lima"),
        person(BIA, "Bia"),
        ListedContact(address=group, name="Clients", group=True),
    ]
    assert (found[-1].address, found[-1].phone) == (f"{EVA}@c.us", EVA)
    assert len(found) == 5


@pytest.mark.parametrize("engine", ENGINES)
async def test_the_number_itself_is_left_out(provider: WahaProvider, start: Start, engine: str) -> None:
    waha = await start(engine=engine)
    sender = await connect(provider, waha)
    await know(waha, PHONE, name="Me")
    await waha.post("/simulator/messages", {"session": "snd_17", "from": PHONE, "text": "to myself", "lid": True})
    assert await listed(provider, sender) == []


async def test_a_person_with_two_addresses_is_one(provider: WahaProvider, waha: Waha) -> None:
    sender = await connect(provider, waha)
    await know(waha, ANA, name="Ana")
    for lid in (False, True):
        await waha.post("/simulator/messages", {"session": "snd_17", "from": ANA, "text": "Hi", "lid": lid})
    assert await listed(provider, sender) == [person(ANA, "Ana")]


async def test_a_hidden_number_nobody_knows_keeps_its_address(provider: WahaProvider, waha: Waha) -> None:
    sender = await connect(provider, waha)
    await waha.post("/simulator/messages", {"session": "snd_17", "from": ANA, "text": "Hi", "lid": "unknown"})
    (contact,) = await listed(provider, sender)
    assert contact.address.endswith("@lid")
    assert (contact.phone, contact.group) == ("", False)


@pytest.mark.parametrize("engine", ENGINES)
async def test_more_than_a_page(provider: WahaProvider, start: Start, engine: str) -> None:
    waha = await start(engine=engine)
    sender = await connect(provider, waha)
    for place in range(PAGE + 3):
        await know(waha, f"5531{place:08d}", name=f"Contact {place}")
    found = await listed(provider, sender)
    assert [one.name for one in found] == [f"Contact {place}" for place in range(PAGE + 3)]


async def test_a_session_that_does_not_run(provider: WahaProvider, waha: Waha) -> None:
    with pytest.raises(UnavailableError, match="its contacts cannot be listed"):
        await listed(provider, sender_on(waha.url))


SESSION = b'{"name": "snd_17", "status": "WORKING", "me": {"id": "5511988887777@c.us", "lid": "99@lid"}}'


async def asked(provider: WahaProvider, **routes: Answer) -> tuple[list[ListedContact], list[str]]:
    """List what a scripted server says; also return what it was asked."""
    paths = {"contacts": "/api/contacts/all", "groups": "/api/snd_17/groups", "chats": "/api/snd_17/chats"}
    answers = {path: Answer(200, b"[]") for path in paths.values()}
    answers |= {paths.get(name, f"/api/snd_17/{name}"): answer for name, answer in routes.items()}
    answers["/api/sessions/snd_17"] = Answer(200, SESSION)
    async with ScriptedServer(Answer(404, b""), answers) as server:
        found = await listed(provider, sender_on(server.url, Capabilities(engine="GOWS")))
        return found, [request.target for request in server.requests]


async def test_what_is_asked(provider: WahaProvider) -> None:
    found, targets = await asked(provider)
    assert found == []
    assert targets == [
        "/api/sessions/snd_17",
        "/api/contacts/all?session=snd_17&sortBy=id&sortOrder=asc&limit=200&offset=0",
        "/api/snd_17/groups?exclude=participants&sortBy=id&sortOrder=asc&limit=200&offset=0",
        "/api/snd_17/chats?sortBy=id&sortOrder=asc&limit=200&offset=0",
    ]


async def test_the_example_of_the_documentation(provider: WahaProvider) -> None:
    """https://waha.devlike.pro/docs/how-to/contacts/, once as it stands there and once of somebody else."""
    mine = (
        '{"id": "11231231231@c.us", "number": "11231231231", "name": "Contact Name", "pushname": "Pushname",'
        ' "shortName": "Shortname", "isMe": true, "isGroup": false, "isWAContact": true, "isMyContact": true,'
        ' "isBlocked": false}'
    )
    other = mine.replace("11231231231", "12132132130").replace('"isMe": true', '"isMe": false')
    found, _ = await asked(provider, contacts=Answer(200, f"[{mine}, {other}]".encode()))
    assert found == [person("12132132130", "Contact Name")]


@pytest.mark.parametrize("row", [None, 7, "x", [], {}, {"id": 7}, {"id": {"user": "1"}}, {"id": "", "name": ["x"]}])
async def test_rows_of_another_shape_are_passed_over(provider: WahaProvider, row: object) -> None:
    answer = Answer(200, json.dumps([row, {"id": f"{ANA}@c.us", "name": "Ana\0", "new": 1}]).encode())
    found, _ = await asked(provider, contacts=answer, groups=answer, chats=answer)
    assert found == [person(ANA, "Ana")]


@pytest.mark.parametrize(
    "address", ["status@broadcast", "123@newsletter", "1700000000@broadcast", "0@c.us", "13135550002@bot", ""]
)
async def test_what_is_no_person(provider: WahaProvider, address: str) -> None:
    answer = Answer(200, json.dumps([{"id": address, "name": "Somebody"}]).encode())
    found, _ = await asked(provider, contacts=answer, chats=answer)
    assert found == []


async def test_a_server_that_knows_no_pages_is_asked_no_third_time(provider: WahaProvider) -> None:
    rows = [{"id": f"5531{place:08d}@c.us", "name": "Somebody"} for place in range(PAGE)]
    found, targets = await asked(provider, contacts=Answer(200, json.dumps(rows).encode()))
    assert len(found) == PAGE
    assert sum("contacts" in target for target in targets) == 2


async def test_a_server_without_a_list_of_hidden_numbers(provider: WahaProvider) -> None:
    rows = Answer(200, b'[{"id": "77@lid", "name": "Hidden"}, {"id": "99@lid", "name": "Me"}]')
    found, targets = await asked(provider, contacts=rows)
    assert found == [ListedContact(address="77@lid", name="Hidden")]
    assert targets[2] == "/api/snd_17/lids?limit=200&offset=0"


@pytest.mark.parametrize("engine", ENGINES)
async def test_capabilities(provider: WahaProvider, start: Start, engine: str) -> None:
    waha = await start(engine=engine)
    found = await provider.capabilities(sender_on(waha.url).server)
    assert (found.contacts, found.groups) == (True, True)
