"""Capabilities follow from the version; the key and the licence are tried."""

import json

import pytest

from core.plugin import MessageKind, MisconfiguredError, RefusedError, ServerReport, UnavailableError, UncertainError
from core.plugin.testing import Answer, ScriptedServer
from plugins.evolution.provider import EvolutionProvider
from tests.plugins.evolution.conftest import KEY, sender_on

LICENSE = Answer(
    503,
    b'{"error": "service not activated", "code": "LICENSE_REQUIRED", "register_url": "https://x", "instance_id": "i",'
    b' "docs_url": "https://y", "message": "private"}',
)
NO_INSTANCE = Answer(404, b'{"status": 404, "error": "Not Found", "response": {"message": ["Instance not found"]}}')
CHECK = "/instance/fetchInstances?instanceName=recado-probe"


def welcome(version: object) -> Answer:
    body = {
        "status": 200,
        "message": "Welcome to the Evolution API, it is working!",
        "version": version,
        "clientName": "evolution_exchange",
        "manager": "http://evolution:8080/manager",
        "documentation": "https://doc.evolution-api.com",
        "whatsappWebVersion": "2.3000.1",
    }
    return Answer(200, json.dumps(body).encode())


@pytest.mark.parametrize("version", ["1.7.4", "1.8.2", "2.0.10", "2.3.7", "2.4.0-rc1"])
@pytest.mark.parametrize("known_key", [NO_INSTANCE, Answer(200, b"[]")])
async def test_capabilities(provider: EvolutionProvider, version: str, known_key: Answer) -> None:
    async with ScriptedServer(welcome(version), {CHECK: known_key}) as server:
        found = await provider.capabilities(sender_on(server.url).server)
        asked = [(request.method, request.target, request.headers["apikey"]) for request in server.requests]
    assert asked == [("GET", "/", KEY), ("GET", CHECK, KEY)]
    assert found.version == version
    assert (found.client_message_id, found.lookup_by_id, found.multi_session) == (False, False, True)
    assert found.media == (MessageKind.IMAGE, MessageKind.AUDIO, MessageKind.DOCUMENT, MessageKind.VIDEO)
    assert (found.receipts, found.number_check, found.sign_in) == ("read", "bulk", ("qr", "pairing_code"))
    assert (found.typing, found.seen, found.link_preview, found.contacts, found.groups) == (True,) * 5
    assert not found.screenshots


@pytest.mark.parametrize(
    ("version", "warning"),
    [
        ("1.6.1", "before 1.7 was never tried"),
        ("1.8.2", "Evolution API 1 is no longer developed"),
        ("2.3.7", "takes no message ids"),
        ("2.4.0", "whenever its licence is not active"),
    ],
)
async def test_warnings(provider: EvolutionProvider, version: str, warning: str) -> None:
    async with ScriptedServer(welcome(version)) as server:
        found = await provider.capabilities(sender_on(server.url).server)
    assert any(warning in text for text in found.warnings)


async def test_the_present_version_has_one_warning(provider: EvolutionProvider) -> None:
    async with ScriptedServer(welcome("2.3.7")) as server:
        assert len((await provider.capabilities(sender_on(server.url).server)).warnings) == 1


@pytest.mark.parametrize("routes", [{"/": LICENSE}, {"/": welcome("2.4.0"), CHECK: LICENSE}])
async def test_a_missing_licence_needs_a_person(provider: EvolutionProvider, routes: dict[str, Answer]) -> None:
    async with ScriptedServer(LICENSE, routes) as server:
        with pytest.raises(MisconfiguredError, match="until its licence is activated") as caught:
            await provider.capabilities(sender_on(server.url).server)
    assert (caught.value.http_status, caught.value.provider_code) == (503, "LICENSE_REQUIRED")
    assert "private" not in str(caught.value)


async def test_a_busy_server_is_no_missing_licence(provider: EvolutionProvider) -> None:
    async with ScriptedServer(Answer(503, b"<html>")) as server:
        with pytest.raises(UnavailableError, match="answered 503 while asking for Evolution API's version"):
            await provider.capabilities(sender_on(server.url).server)


async def test_the_version_is_open_and_the_key_is_wrong(provider: EvolutionProvider) -> None:
    refusal = Answer(401, b'{"status": 401, "error": "Unauthorized", "response": {"message": "Unauthorized"}}')
    async with ScriptedServer(welcome("2.3.7"), {CHECK: refusal}) as server:
        with pytest.raises(MisconfiguredError, match="check the credentials of this server"):
            await provider.capabilities(sender_on(server.url).server)


@pytest.mark.parametrize("version", ["3.0.0", "0.9", "latest", ""])
async def test_other_versions_are_refused(provider: EvolutionProvider, version: str) -> None:
    async with ScriptedServer(welcome(version)) as server:
        with pytest.raises(RefusedError, match="no Evolution API of version 1 or 2"):
            await provider.capabilities(sender_on(server.url).server)


async def test_check_says_what_answered(provider: EvolutionProvider) -> None:
    async with ScriptedServer(welcome("2.3.7")) as server:
        assert await provider.check(sender_on(server.url).server) == "Evolution API 2.3.7"


@pytest.mark.parametrize("answer", [Answer(200, b"<html>router</html>"), welcome(7), Answer(404)])
async def test_other_service_is_named(provider: EvolutionProvider, answer: Answer) -> None:
    async with ScriptedServer(answer) as server:
        with pytest.raises(RefusedError, match="Is there an Evolution API server at this address"):
            await provider.check(sender_on(server.url).server)


# What a server holds.

LIST = "/instance/fetchInstances"
SECOND_LIST = [
    {"name": "a", "connectionStatus": "open", "token": "instance-token", "ownerJid": None},
    {"name": "b", "connectionStatus": "connecting", "token": "instance-token"},
    {"name": "c", "connectionStatus": "close"},
    {"name": "d", "connectionStatus": 7},
]
FIRST_LIST = [
    {"instance": {"instanceName": "a", "status": "open", "apikey": "instance-token"}},
    {"instance": {"instanceName": "b", "status": "open"}},
    {"instance": {"instanceName": "c", "status": "close"}},
]


@pytest.mark.parametrize(
    ("version", "listed", "sessions", "connected"),
    [("2.3.7", SECOND_LIST, 4, 1), ("1.8.2", FIRST_LIST, 3, 2), ("2.3.7", [], 0, 0)],
)
async def test_server_report(
    provider: EvolutionProvider, version: str, listed: object, sessions: int, connected: int
) -> None:
    routes = {LIST: Answer(200, json.dumps(listed).encode())}
    async with ScriptedServer(welcome(version), routes) as server:
        found = await provider.server_report(sender_on(server.url).server)
        assert [request.target for request in server.requests] == ["/", LIST]
    assert found == ServerReport(version=version, sessions=sessions, connected=connected)
    assert (found.memory_bytes, found.started_at) == (None, None)
    assert "instance-token" not in repr(found)


@pytest.mark.parametrize("body", [b"{}", b'{"error": true}', b"<html>", b"[7]"])
async def test_server_report_that_cannot_be_read(provider: EvolutionProvider, body: bytes) -> None:
    async with ScriptedServer(welcome("2.3.7"), {LIST: Answer(200, body)}) as server:
        with pytest.raises(UncertainError, match="counting the instances"):
            await provider.server_report(sender_on(server.url).server)


async def test_server_report_of_something_else(provider: EvolutionProvider) -> None:
    async with ScriptedServer(Answer(404)) as server:
        with pytest.raises(RefusedError, match="Is there an Evolution API server at this address"):
            await provider.server_report(sender_on(server.url).server)
