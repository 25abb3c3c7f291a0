"""The address book and the groups of a number, as both versions list them."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from core.plugin import ListedContact, MisconfiguredError, RefusedError, UnavailableError, UncertainError
from core.plugin.testing import Answer, Hang, Reaction, ScriptedServer
from plugins.evolution.contacts import PAGE
from plugins.evolution.provider import EvolutionProvider
from tests.plugins.evolution.conftest import sender_on

CONTACTS = "/chat/findContacts/snd_17"
CHATS = "/chat/findChats/snd_17"
GROUPS = "/group/fetchAllGroups/snd_17"
LIST = "/instance/fetchInstances"
ANA, BIA, OWN = (f"1213213213{last}@s.whatsapp.net" for last in (0, 1, 9))
HIDDEN = "77@lid"
CLOSED = {"status": 500, "error": "Internal Server Error", "response": {"message": "Connection Closed"}}


def reply(body: object, status: int = 200) -> Answer:
    return Answer(status, json.dumps(body).encode())


def contact(address: str, name: object = "", **more: object) -> dict[str, object]:
    return {"id": "cuid", "remoteJid": address, "pushName": name, "instanceId": "uuid", **more}


def group(address: str, subject: object = "Team", **more: object) -> dict[str, object]:
    return {"id": address, "subject": subject, "size": 3, "announce": False, "isCommunity": False, **more}


def chat(key: object) -> dict[str, object]:
    return {"id": None, "remoteJid": ANA, "lastMessage": {"id": "row", "key": key}}


def server_of(
    contacts: Sequence[object], groups: Reaction | Sequence[object] = (), chats: Sequence[object] = ()
) -> ScriptedServer:
    own = {"name": "snd_17", "ownerJid": OWN.replace("@", ":5@"), "token": "instance-token"}
    routes: dict[str, Reaction] = {CONTACTS: reply(contacts), CHATS: reply(chats), LIST: reply([own])}
    routes[GROUPS] = reply(groups) if isinstance(groups, Sequence) else groups
    return ScriptedServer(Answer(404), routes)


async def list_all(provider: EvolutionProvider, url: str, version: str = "2.3.7") -> list[ListedContact]:
    return [one async for one in provider.list_contacts(sender_on(url, version))]


def asked(server: ScriptedServer) -> list[tuple[str, str, Any]]:
    return [(one.method, one.target, json.loads(one.body or b"null")) for one in server.requests]


def person(address: str, name: str = "") -> ListedContact:
    return ListedContact(address=address, phone=address.partition("@")[0], name=name)


async def test_people_and_groups_of_version_2(provider: EvolutionProvider) -> None:
    async with server_of([contact(ANA, "Ana", isSaved=True), contact(BIA)], [group("1203@g.us")]) as server:
        found = await list_all(provider, server.url)
        assert asked(server) == [
            ("POST", CONTACTS, {"where": {}, "page": 1, "offset": PAGE}),
            ("GET", f"{LIST}?instanceName=snd_17", None),
            ("GET", f"{GROUPS}?getParticipants=false", None),
        ]
    team = ListedContact(address="1203@g.us", name="Team", group=True)
    assert found == [person(ANA, "Ana"), person(BIA), team]


async def test_people_and_groups_of_version_1(provider: EvolutionProvider) -> None:
    rows = [{"_id": "1", "id": ANA, "pushName": "Ana", "owner": "snd_17"}, {"_id": "2", "id": OWN, "owner": "snd_17"}]
    async with server_of(rows, [group("5511-1612@g.us")]) as server:
        server.routes[LIST] = reply({"instance": {"instanceName": "snd_17", "owner": OWN, "apikey": "token"}})
        found = await list_all(provider, server.url, "1.8.2")
        assert asked(server)[0] == ("POST", CONTACTS, {"where": {}})
    assert found == [person(ANA, "Ana"), ListedContact(address="5511-1612@g.us", name="Team", group=True)]


@pytest.mark.parametrize(
    "address", [OWN, "status@broadcast", "1203@newsletter", "1203@g.us", "1@broadcast", "", "Ana", "x@s.whatsapp.net"]
)
async def test_what_is_nobody_is_left_out(provider: EvolutionProvider, address: str) -> None:
    async with server_of([contact(address, "Odd")]) as server:
        assert await list_all(provider, server.url) == []


async def test_nobody_comes_twice_and_a_name_is_kept(provider: EvolutionProvider) -> None:
    rows = [contact(ANA), contact(ANA.replace("@", ":3@"), "Ana"), contact(ANA, "Other")]
    async with server_of(rows) as server:
        assert await list_all(provider, server.url) == [person(ANA, "Ana")]


@pytest.mark.parametrize("name", [None, 7, [], "12132132130", "  "])
async def test_what_is_no_name(provider: EvolutionProvider, name: object) -> None:
    async with server_of([contact(ANA, name)]) as server:
        assert await list_all(provider, server.url) == [person(ANA)]


@pytest.mark.parametrize("row", [7, None, "text", {"remoteJid": 7}, {}, []])
async def test_a_row_that_cannot_be_read_is_passed_over(provider: EvolutionProvider, row: object) -> None:
    async with server_of([row, contact(ANA)], [row, group("1203@g.us"), {"id": "1@s.whatsapp.net"}]) as server:
        found = await list_all(provider, server.url)
    assert [one.address for one in found] == [ANA, "1203@g.us"]


# Hidden numbers.


@pytest.mark.parametrize(
    "key", [{"remoteJid": HIDDEN, "remoteJidAlt": ANA, "id": "3A"}, {"remoteJid": ANA, "remoteJidAlt": HIDDEN}]
)
async def test_hidden_number_whose_phone_is_known(provider: EvolutionProvider, key: object) -> None:
    async with server_of([contact(HIDDEN, "Ana"), contact(ANA)], chats=[chat(key), chat(7), {}, 7]) as server:
        assert await list_all(provider, server.url) == [person(ANA, "Ana")]
        assert ("POST", CHATS, {"where": {}}) in asked(server)


@pytest.mark.parametrize("key", [{"remoteJid": HIDDEN}, {"remoteJid": HIDDEN, "remoteJidAlt": None}, {"id": "3A"}])
async def test_hidden_number_alone(provider: EvolutionProvider, key: object) -> None:
    async with server_of([contact(HIDDEN, "Ana")], chats=[chat(key)]) as server:
        assert await list_all(provider, server.url) == [ListedContact(address=HIDDEN, name="Ana")]


async def test_own_hidden_number_is_left_out(provider: EvolutionProvider) -> None:
    async with server_of([contact(HIDDEN)], chats=[chat({"remoteJid": HIDDEN, "remoteJidAlt": OWN})]) as server:
        assert await list_all(provider, server.url) == []


async def test_version_1_knows_no_pairs_and_is_not_asked(provider: EvolutionProvider) -> None:
    async with server_of([{"id": HIDDEN, "pushName": "Ana"}]) as server:
        assert await list_all(provider, server.url, "1.8.2") == [ListedContact(address=HIDDEN, name="Ana")]
        assert CHATS not in [target for _, target, _ in asked(server)]


# Pages.


def people(count: int, start: int = 0) -> list[dict[str, object]]:
    return [contact(f"1213{start + place:07d}@s.whatsapp.net") for place in range(count)]


@pytest.mark.parametrize(("count", "requests"), [(0, 1), (PAGE - 1, 1), (PAGE, 2), (2 * PAGE + 1, 1)])
async def test_an_older_server_answers_everything_at_once(
    provider: EvolutionProvider, count: int, requests: int
) -> None:
    async with server_of(people(count)) as server:
        assert len(await list_all(provider, server.url, "2.0.10")) == count
        assert [target for _, target, _ in asked(server)].count(CONTACTS) == requests


# Groups.


async def test_a_community_is_no_group(provider: EvolutionProvider) -> None:
    async with server_of([], [group("1@g.us", isCommunity=True), group("2@g.us", None), group("3@g.us", 7)]) as server:
        found = await list_all(provider, server.url)
    assert found == [ListedContact(address=f"{place}@g.us", group=True) for place in (2, 3)]


async def test_version_1_says_nothing_of_groups_it_ignores(provider: EvolutionProvider) -> None:
    async with server_of([], Answer(200, b"")) as server:
        assert await list_all(provider, server.url, "1.8.2") == []


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (reply(CLOSED, 500), UnavailableError, "is not connected, so its groups cannot be listed"),
        (
            reply({"response": {"message": ["Error fetching group", "Error: Connection Closed"]}}, 404),
            UnavailableError,
            "is not connected, so its groups cannot be listed",
        ),
        (reply({"response": {"message": "rate-overlimit"}}, 500), UnavailableError, "answered 500 instead of listing"),
        (
            reply({"response": {"message": ['The "snd_17" instance does not exist']}}, 404),
            RefusedError,
            "does not know this number",
        ),
        (Answer(401), MisconfiguredError, "while listing groups"),
        (Answer(200, b"{}"), UncertainError, "while listing groups"),
        (Answer(200, b'{"error": true}'), UncertainError, "with an error inside while listing groups"),
    ],
)
async def test_groups_that_cannot_be_listed(
    provider: EvolutionProvider, answer: Answer, error: type[Exception], text: str
) -> None:
    async with server_of([contact(ANA)], answer) as server:
        with pytest.raises(error, match=text):
            await list_all(provider, server.url)


async def test_groups_have_their_own_time(provider: EvolutionProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plugins.evolution.contacts.GROUPS_SECONDS", 0.1)
    async with server_of([], Hang()) as server:
        with pytest.raises(UnavailableError, match=r"no answer within 0\.1 s while listing groups"):
            await list_all(provider, server.url)


@pytest.mark.parametrize(
    ("answer", "error"),
    [(Answer(500), UncertainError), (Answer(404), RefusedError), (reply({"error": True}), UncertainError)],
)
async def test_contacts_that_cannot_be_listed(
    provider: EvolutionProvider, answer: Answer, error: type[Exception]
) -> None:
    async with ScriptedServer(answer) as server:
        with pytest.raises(error, match="while listing contacts"):
            await list_all(provider, server.url)
