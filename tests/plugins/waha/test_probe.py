"""Capabilities follow from version, engine and tier."""

import pytest

from core.plugin import MessageKind, RefusedError
from core.plugin.testing import Answer, ScriptedServer
from plugins.waha.provider import WahaProvider
from tests.plugins.waha.conftest import KEY, sender_on


def answer(version: str, engine: str, tier: str = "CORE") -> Answer:
    return Answer(200, f'{{"version":"{version}","engine":"{engine}","tier":"{tier}","browser":null}}'.encode())


@pytest.mark.parametrize(
    ("version", "engine", "tier", "ids", "many"),
    [
        ("2026.7.1", "GOWS", "CORE", True, True),
        ("2026.7.1", "NOWEB", "CORE", True, True),
        ("2026.7.1", "WEBJS", "CORE", False, True),
        ("2026.7.1", "WPP", "CORE", False, True),
        ("2026.6.1", "GOWS", "CORE", True, True),
        ("2026.5.9", "GOWS", "CORE", True, False),
        ("2026.5.9", "GOWS", "PLUS", True, True),
        ("2026.4.3", "NOWEB", "CORE", True, False),
        ("2026.4.2", "NOWEB", "PLUS", False, True),
        ("2026.2.1", "NOWEB", "CORE", False, False),
        ("2026.10.1-beta.2", "GOWS", "CORE", True, True),
        ("latest", "GOWS", "CORE", False, False),
    ],
)
async def test_capabilities(
    provider: WahaProvider,
    version: str,
    engine: str,
    tier: str,
    ids: bool,  # noqa: FBT001 - a table's column
    many: bool,  # noqa: FBT001 - a table's column
) -> None:
    async with ScriptedServer(answer(version, engine, tier)) as server:
        found = await provider.capabilities(sender_on(server.url).server)
        request = server.requests[0]
    assert (request.method, request.target, request.headers["x-api-key"]) == ("GET", "/api/server/version", KEY)
    assert (found.version, found.engine) == (version, engine)
    assert (found.client_message_id, found.lookup_by_id) == (ids, ids)
    assert found.multi_session is many
    all_kinds = (MessageKind.IMAGE, MessageKind.AUDIO, MessageKind.DOCUMENT, MessageKind.VIDEO)
    assert found.media == (all_kinds if many else ())
    assert (found.receipts, found.number_check, found.sign_in) == ("read", "single", ("qr", "pairing_code"))


@pytest.mark.parametrize(
    ("version", "engine", "warning"),
    [
        ("2026.2.1", "GOWS", "WAHA Core before 2026.6.1 connects one number"),
        ("2026.2.1", "GOWS", "WAHA before 2026.4.3 takes no message ids"),
        ("2026.7.1", "WEBJS", "The engine WEBJS takes no message ids"),
        ("2026.7.1", "NOWEB", "three months of the connected number's chats"),
        ("?", "GOWS", "The version of this WAHA cannot be read"),
    ],
)
async def test_warnings(provider: WahaProvider, version: str, engine: str, warning: str) -> None:
    async with ScriptedServer(answer(version, engine)) as server:
        found = await provider.capabilities(sender_on(server.url).server)
    assert any(warning in text for text in found.warnings)


async def test_best_server_has_no_warnings(provider: WahaProvider) -> None:
    async with ScriptedServer(answer("2026.7.1", "GOWS")) as server:
        assert (await provider.capabilities(sender_on(server.url).server)).warnings == ()


async def test_check_says_what_answered(provider: WahaProvider) -> None:
    async with ScriptedServer(answer("2026.7.1", "GOWS")) as server:
        assert await provider.check(sender_on(server.url).server) == "WAHA 2026.7.1, engine GOWS"


async def test_other_service_is_named(provider: WahaProvider) -> None:
    async with ScriptedServer(Answer(200, b"<html>router</html>")) as server:
        with pytest.raises(RefusedError, match="Is there a WAHA server at this address"):
            await provider.check(sender_on(server.url).server)


@pytest.mark.parametrize(
    ("engine", "screenshots", "preview", "lists"),
    [
        ("GOWS", False, True, True),
        ("NOWEB", False, True, True),
        ("WEBJS", True, True, True),
        ("WPP", True, False, True),
        ("OF_A_LATER_VERSION", False, True, False),
    ],
)
@pytest.mark.parametrize("version", ["2026.2.1", "2026.7.1"])
async def test_capabilities_of_the_engine(
    provider: WahaProvider,
    version: str,
    engine: str,
    screenshots: bool,  # noqa: FBT001 - a table's column
    preview: bool,  # noqa: FBT001 - a table's column
    lists: bool,  # noqa: FBT001 - a table's column
) -> None:
    async with ScriptedServer(answer(version, engine)) as server:
        found = await provider.capabilities(sender_on(server.url).server)
    assert (found.screenshots, found.link_preview, found.contacts, found.groups) == (screenshots, preview, lists, lists)
    assert (found.seen, found.typing, found.inbound) == (True, True, "webhook")
