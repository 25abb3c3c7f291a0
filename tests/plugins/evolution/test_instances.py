"""A number's instance: exact requests of both dialects, and what their answers mean."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from core.plugin import (
    Challenge,
    MisconfiguredError,
    RefusedError,
    SenderReport,
    SenderState,
    UncertainError,
    WebhookTarget,
)
from core.plugin.testing import Answer, Reaction, ScriptedServer
from plugins.evolution.provider import EvolutionProvider
from tests.plugins.evolution.conftest import SECRET, VERSIONS, sender_on

HOOK = WebhookTarget("https://p.example/api/webhooks/evolution/token")
EVENTS = ["CONNECTION_UPDATE", "QRCODE_UPDATED", "MESSAGES_UPSERT", "MESSAGES_UPDATE", "SEND_MESSAGE"]
CREATE = "/instance/create"
STATE = "/instance/connectionState/snd_17"
LIST = "/instance/fetchInstances"
CONNECT = "/instance/connect/snd_17"
SET = "/webhook/set/snd_17"
FIND = "/webhook/find/snd_17"
FIND_SETTINGS = "/settings/find/snd_17"
SET_SETTINGS = "/settings/set/snd_17"
LOGOUT = "/instance/logout/snd_17"
DELETE = "/instance/delete/snd_17"
DONE = Answer(200, b'{"status": "SUCCESS", "error": false, "response": {"message": "Done"}}')
TAKEN = Answer(403, b'{"status": 403, "response": {"message": ["This name \\"snd_17\\" is already in use."]}}')
NOBODY = Answer(404, b'{"status": 404, "response": {"message": ["The \\"snd_17\\" instance does not exist"]}}')
NOT_CONNECTED = Answer(400, b'{"status": 400, "response": {"message": ["The \\"snd_17\\" instance is not connected"]}}')
STILL_CONNECTED = Answer(400, b'{"status": 400, "response": {"message": ["The instance needs to be disconnected"]}}')
SECOND_HOOK = {
    "enabled": True,
    "url": HOOK.url,
    "byEvents": False,
    "base64": False,
    "headers": {"X-Recado-Secret": SECRET},
    "events": EVENTS,
}
SECOND_SETTINGS = {
    "rejectCall": False,
    "msgCall": "",
    "groupsIgnore": False,
    "alwaysOnline": False,
    "readMessages": False,
    "readStatus": False,
    "syncFullHistory": False,
    "wavoipToken": "",
}
FIRST_SETTINGS = {
    "reject_call": False,
    "msg_call": "",
    "groups_ignore": False,
    "always_online": False,
    "read_messages": False,
    "read_status": False,
    "sync_full_history": False,
}
FIRST_URL = f"{HOOK.url}?secret=number%2Fsecret"


def reply(body: object, status: int = 200) -> Answer:
    return Answer(status, json.dumps(body).encode())


def in_state(state: str) -> Answer:
    return reply({"instance": {"instanceName": "snd_17", "state": state}})


def listed(version: str, owner: str | None = None, code: int | None = None) -> Answer:
    if version == "1.8.2":
        other = {"instance": {"instanceName": "other", "owner": "1@s.whatsapp.net", "apikey": "token"}}
        mine: dict[str, object] = {"instanceName": "snd_17", "profileName": "Shop", "apikey": "token"}
        return reply([other, {"instance": mine | ({"owner": owner} if owner else {})}])
    row = {"id": "uuid", "name": "snd_17", "ownerJid": owner, "profileName": "Shop", "token": "token"}
    return reply([{"name": "other", "ownerJid": "1@s.whatsapp.net"}, {**row, "disconnectionReasonCode": code}])


def calls_of(server: ScriptedServer) -> list[tuple[str, str]]:
    return [(request.method, request.target) for request in server.requests]


def body_at(server: ScriptedServer, target: str) -> Any:
    (request,) = [one for one in server.requests if one.target == target]
    return json.loads(request.body)


def scripted(routes: Mapping[str, Reaction]) -> ScriptedServer:
    """Answer 404 without a body to whatever has no route."""
    return ScriptedServer(Answer(404, b""), routes)


# Open.


async def test_open_creates_the_instance_of_version_2(provider: EvolutionProvider) -> None:
    created = reply({"instance": {"instanceName": "snd_17", "status": "connecting"}, "hash": "token"}, 201)
    async with scripted({CREATE: created}) as server:
        report = await provider.open(sender_on(server.url), HOOK)
        assert calls_of(server) == [("POST", CREATE)]
        assert body_at(server, CREATE) == {
            "instanceName": "snd_17",
            "integration": "WHATSAPP-BAILEYS",
            "qrcode": True,
            "rejectCall": False,
            "groupsIgnore": False,
            "alwaysOnline": False,
            "readMessages": False,
            "syncFullHistory": False,
            "webhook": SECOND_HOOK,
        }
    assert report == SenderReport(state=SenderState.SIGN_IN, raw="created")


async def test_open_creates_the_instance_of_version_1_and_lets_it_hear_groups(provider: EvolutionProvider) -> None:
    created = reply({"instance": {"instanceName": "snd_17", "status": "created"}, "hash": {"apikey": "token"}}, 201)
    routes = {CREATE: created, SET_SETTINGS: reply({"settings": {}}, 201), CONNECT: reply({"code": "2@a", "count": 1})}
    async with scripted(routes) as server:
        report = await provider.open(sender_on(server.url, "1.8.2"), HOOK)
        assert calls_of(server) == [("POST", CREATE), ("POST", SET_SETTINGS), ("GET", CONNECT)]
        assert body_at(server, CREATE) == {
            "instanceName": "snd_17",
            "integration": "WHATSAPP-BAILEYS",
            "qrcode": False,
            "webhook": FIRST_URL,
            "webhook_by_events": False,
            "webhook_base64": False,
            "events": EVENTS,
        }
        assert body_at(server, SET_SETTINGS) == FIRST_SETTINGS
    assert report == SenderReport(state=SenderState.SIGN_IN, raw="created")


@pytest.mark.parametrize(
    ("version", "present", "written"),
    [
        (
            "2.3.7",
            {"id": "row", "groupsIgnore": True, "rejectCall": True, "msgCall": "Later", "wavoipToken": "w", "odd": 1},
            {**SECOND_SETTINGS, "rejectCall": True, "msgCall": "Later", "wavoipToken": "w"},
        ),
        ("2.3.7", {"groupsIgnore": True, "alwaysOnline": "yes", "readStatus": None}, SECOND_SETTINGS),
        ("1.8.2", {"reject_call": False, "msg_call": "", "groups_ignore": True}, FIRST_SETTINGS),
        ("1.8.2", {"groups_ignore": True, "read_messages": True}, {**FIRST_SETTINGS, "read_messages": True}),
    ],
)
async def test_open_again_lets_the_instance_hear_groups(
    provider: EvolutionProvider, version: str, present: object, written: object
) -> None:
    routes = {CREATE: TAKEN, SET: reply({}, 201), FIND_SETTINGS: reply(present), SET_SETTINGS: reply({}, 201)}
    async with scripted({**routes, STATE: in_state("open"), LIST: listed(version)}) as server:
        assert (await provider.open(sender_on(server.url, version), HOOK)).state is SenderState.CONNECTED
        assert body_at(server, SET_SETTINGS) == written


@pytest.mark.parametrize("present", [reply(None), reply({"groupsIgnore": False}), reply({"groupsIgnore": 1}), NOBODY])
async def test_open_again_leaves_settings_that_hear_groups(provider: EvolutionProvider, present: Answer) -> None:
    routes = {CREATE: TAKEN, SET: reply({}, 201), FIND_SETTINGS: present, STATE: in_state("open")}
    async with scripted({**routes, LIST: listed("2.3.7")}) as server:
        assert (await provider.open(sender_on(server.url), HOOK)).state is SenderState.CONNECTED
        assert ("POST", SET_SETTINGS) not in calls_of(server)


async def test_open_again_sets_the_webhook_of_version_2(provider: EvolutionProvider) -> None:
    owner = "5511988887777@s.whatsapp.net"
    routes = {CREATE: TAKEN, SET: reply({"id": 1}, 201), STATE: in_state("open"), LIST: listed("2.3.7", owner)}
    async with scripted(routes) as server:
        report = await provider.open(sender_on(server.url), HOOK)
        assert [target.partition("?")[0] for _, target in calls_of(server)] == [CREATE, SET, FIND_SETTINGS, STATE, LIST]
        assert body_at(server, SET) == {"webhook": SECOND_HOOK}
    assert report == SenderReport(state=SenderState.CONNECTED, raw="open", address=owner, name="Shop")


async def test_open_again_sets_the_webhook_of_version_1(provider: EvolutionProvider) -> None:
    routes = {CREATE: TAKEN, SET: reply({"webhook": {}}, 201), STATE: in_state("connecting"), LIST: listed("1.8.2")}
    async with scripted(routes) as server:
        report = await provider.open(sender_on(server.url, "1.8.2"), HOOK)
        assert body_at(server, SET) == {
            "enabled": True,
            "url": FIRST_URL,
            "webhook_by_events": False,
            "webhook_base64": False,
            "events": EVENTS,
        }
    assert report.state is SenderState.SIGN_IN


async def test_open_again_connects_what_is_closed(provider: EvolutionProvider) -> None:
    routes = {
        CREATE: TAKEN,
        SET: DONE,
        STATE: in_state("close"),
        LIST: listed("2.3.7"),
        CONNECT: reply({"code": "2@a"}),
    }
    async with scripted(routes) as server:
        await provider.open(sender_on(server.url), HOOK)
        assert ("GET", CONNECT) in calls_of(server)


async def test_open_with_the_key_of_an_instance(provider: EvolutionProvider) -> None:
    async with scripted({CREATE: reply({"response": {"message": "The global api key must be set"}}, 403)}) as server:
        with pytest.raises(MisconfiguredError, match="check that its key is the global one"):
            await provider.open(sender_on(server.url), HOOK)


# State.


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("state", "owner", "expected"),
    [
        ("open", "5511988887777:3@s.whatsapp.net", SenderState.CONNECTED),
        ("open", None, SenderState.CONNECTED),
        ("connecting", None, SenderState.SIGN_IN),
        ("connecting", "5511988887777@s.whatsapp.net", SenderState.STARTING),
        ("close", None, SenderState.FAILED),
        ("refused", None, SenderState.FAILED),
        ("brand-new", None, SenderState.NEEDS_PERSON),
    ],
)
async def test_state(
    provider: EvolutionProvider, version: str, state: str, owner: str | None, expected: SenderState
) -> None:
    async with scripted({STATE: in_state(state), LIST: listed(version, owner)}) as server:
        report = await provider.state(sender_on(server.url, version))
        assert calls_of(server) == [("GET", STATE), ("GET", f"{LIST}?instanceName=snd_17")]
    assert (report.state, report.raw) == (expected, state)
    named = expected is SenderState.CONNECTED
    assert report.address == ("5511988887777@s.whatsapp.net" if named and owner else "")
    assert report.name == ("Shop" if named else "")


async def test_state_says_why_it_was_closed(provider: EvolutionProvider) -> None:
    async with scripted({STATE: in_state("close"), LIST: listed("2.3.7", code=401)}) as server:
        assert (await provider.state(sender_on(server.url))).raw == "close 401"


@pytest.mark.parametrize("answer", [Answer(500), Answer(404), reply({"odd": 1}), reply([]), reply([{"name": 7}])])
async def test_state_does_not_need_the_list(provider: EvolutionProvider, answer: Answer) -> None:
    async with scripted({STATE: in_state("open"), LIST: answer}) as server:
        assert await provider.state(sender_on(server.url)) == SenderReport(state=SenderState.CONNECTED, raw="open")


async def test_state_of_an_instance_listed_alone(provider: EvolutionProvider) -> None:
    alone = reply({"instance": {"instanceName": "snd_17", "owner": "5511988887777@s.whatsapp.net"}})
    async with scripted({STATE: in_state("open"), LIST: alone}) as server:
        assert (await provider.state(sender_on(server.url, "1.8.2"))).address == "5511988887777@s.whatsapp.net"


async def test_state_of_a_missing_instance(provider: EvolutionProvider) -> None:
    async with scripted({STATE: NOBODY}) as server:
        assert await provider.state(sender_on(server.url)) == SenderReport(state=SenderState.STOPPED)


async def test_state_asked_of_something_else(provider: EvolutionProvider) -> None:
    async with scripted({}) as server:
        with pytest.raises(RefusedError, match="no Evolution API"):
            await provider.state(sender_on(server.url))


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"instance": {"state": null}}'])
async def test_state_that_cannot_be_read(provider: EvolutionProvider, body: bytes) -> None:
    async with scripted({STATE: Answer(200, body)}) as server:
        with pytest.raises(UncertainError, match="cannot be read while asking for the instance's state"):
            await provider.state(sender_on(server.url))


# Sign in.


@pytest.mark.parametrize("version", VERSIONS)
async def test_qr_code(provider: EvolutionProvider, version: str) -> None:
    code = {"pairingCode": None, "code": "2@abc", "base64": "data:image/png;base64,AA", "count": 1}
    async with scripted({CONNECT: reply(code)}) as server:
        assert await provider.challenge(sender_on(server.url, version)) == Challenge(kind="qr", value="2@abc")
        assert calls_of(server) == [("GET", CONNECT)]


@pytest.mark.parametrize("answer", [{"count": 0}, {"instance": {"instanceName": "snd_17", "state": "open"}}])
async def test_no_qr_code_now(provider: EvolutionProvider, answer: object) -> None:
    async with scripted({CONNECT: reply(answer)}) as server:
        with pytest.raises(RefusedError, match="has no code for this number now"):
            await provider.challenge(sender_on(server.url))


async def test_pairing_code(provider: EvolutionProvider) -> None:
    async with scripted({CONNECT: reply({"pairingCode": "WZYEH1YY", "code": "2@abc", "count": 1})}) as server:
        found = await provider.challenge(sender_on(server.url), "12132132130")
        assert calls_of(server) == [("GET", f"{CONNECT}?number=12132132130")]
    assert found == Challenge(kind="pairing_code", value="WZYEH1YY")


async def test_pairing_code_begins_an_instance_anew_that_shows_its_qr_code(provider: EvolutionProvider) -> None:
    routes = {
        CONNECT: reply({"pairingCode": None, "code": "2@abc"}),
        STATE: in_state("connecting"),
        LIST: listed("2.3.7"),
        LOGOUT: DONE,
    }
    async with scripted(routes) as server:
        with pytest.raises(RefusedError, match="has no code for this number now"):
            await provider.challenge(sender_on(server.url), "12132132130")
        asked = f"{CONNECT}?number=12132132130"
        methods = [(method, target.partition("?instanceName")[0]) for method, target in calls_of(server)]
    assert methods == [("GET", asked), ("GET", STATE), ("GET", LIST), ("DELETE", LOGOUT), ("GET", asked)]


@pytest.mark.parametrize("state", ["connecting", "open"])
async def test_pairing_code_never_loses_a_sign_in(provider: EvolutionProvider, state: str) -> None:
    owned = listed("2.3.7", "5511988887777@s.whatsapp.net")
    routes = {CONNECT: reply({"pairingCode": None}), STATE: in_state(state), LIST: owned}
    async with scripted(routes) as server:
        with pytest.raises(RefusedError, match="cannot be paired now"):
            await provider.challenge(sender_on(server.url), "12132132130")
        assert "DELETE" not in {method for method, _ in calls_of(server)}


# Stop, sign out, remove.


async def test_stop_silences_version_2(provider: EvolutionProvider) -> None:
    present = reply({"id": "x", "enabled": True, "url": HOOK.url, "headers": {"X-Recado-Secret": SECRET}})
    async with scripted({FIND: present, SET: reply({"id": "x"}, 201)}) as server:
        await provider.stop(sender_on(server.url))
        silent = {**SECOND_HOOK, "enabled": False, "headers": {}, "events": []}
        assert body_at(server, SET) == {"webhook": silent}


async def test_stop_silences_version_1(provider: EvolutionProvider) -> None:
    async with scripted({FIND: reply({"enabled": True, "url": FIRST_URL}), SET: reply({}, 201)}) as server:
        await provider.stop(sender_on(server.url, "1.8.2"))
        assert body_at(server, SET) == {
            "enabled": False,
            "url": FIRST_URL,
            "webhook_by_events": False,
            "webhook_base64": False,
            "events": [],
        }


@pytest.mark.parametrize("answer", [NOBODY, reply(None), reply({"enabled": False, "url": HOOK.url}), reply({})])
async def test_stop_is_repeatable(provider: EvolutionProvider, answer: Answer) -> None:
    async with scripted({FIND: answer}) as server:
        await provider.stop(sender_on(server.url))
        assert calls_of(server) == [("GET", FIND)]


@pytest.mark.parametrize(
    ("logout", "delete"), [(DONE, DONE), (DONE, STILL_CONNECTED), (NOT_CONNECTED, DONE), (NOBODY, NOBODY)]
)
async def test_sign_out_forgets_the_sign_in_and_is_repeatable(
    provider: EvolutionProvider, logout: Answer, delete: Answer
) -> None:
    async with scripted({LOGOUT: logout, DELETE: delete}) as server:
        await provider.sign_out(sender_on(server.url))
        assert calls_of(server) == [("DELETE", LOGOUT), ("DELETE", DELETE)]


async def test_sign_out_that_was_refused_says_so(provider: EvolutionProvider) -> None:
    async with scripted({LOGOUT: NOT_CONNECTED, DELETE: STILL_CONNECTED}) as server:
        with pytest.raises(RefusedError, match="answered 400 while signing the number out"):
            await provider.sign_out(sender_on(server.url))


@pytest.mark.parametrize("answer", [DONE, NOBODY])
async def test_remove_is_repeatable(provider: EvolutionProvider, answer: Answer) -> None:
    async with scripted({DELETE: answer}) as server:
        await provider.remove(sender_on(server.url))
        assert calls_of(server) == [("DELETE", DELETE)]


async def test_remove_signs_out_what_is_connected(provider: EvolutionProvider) -> None:
    async with scripted({DELETE: STILL_CONNECTED, LOGOUT: DONE}) as server:
        with pytest.raises(RefusedError, match="answered 400 while deleting the instance"):
            await provider.remove(sender_on(server.url))
        assert calls_of(server) == [("DELETE", DELETE), ("DELETE", LOGOUT), ("DELETE", DELETE)]
