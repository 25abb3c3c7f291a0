"""A server that waits for its licence, and one that hides an error in a success: what every call makes of them."""

from collections.abc import Awaitable, Callable, Mapping

import pytest
import structlog

from core.plugin import (
    CannotTell,
    Media,
    MessageKind,
    MisconfiguredError,
    OutgoingMessage,
    Prepared,
    ProviderError,
    Sender,
    SenderStopped,
    UncertainError,
    Unknown,
    WebhookTarget,
)
from core.plugin.testing import Answer, ScriptedServer
from plugins.evolution.provider import EvolutionProvider
from tests.plugins.evolution.conftest import VERSIONS, sender_on
from tests.plugins.evolution.test_instances import LIST, STATE, in_state

TO = "12132132130"
LICENSE = Answer(
    503,
    b'{"error":"service not activated","code":"LICENSE_REQUIRED","register_url":"https://r.example",'
    b'"instance_id":"private-id","docs_url":"https://d.example","message":"private text"}',
)
HIDDEN = Answer(200, b'{"error": true, "message": "[object Object]"}')
HOOK = WebhookTarget("https://p.example/w")
FILE = Media(mimetype="a/b", filename="o.bin", content=b"file")


async def _list_contacts(provider: EvolutionProvider, sender: Sender) -> None:
    async for _ in provider.list_contacts(sender):
        pass


Call = Callable[[EvolutionProvider, Sender], Awaitable[object]]
CALLS: Mapping[str, Call] = {
    "capabilities": lambda provider, sender: provider.capabilities(sender.server),
    "check": lambda provider, sender: provider.check(sender.server),
    "server_report": lambda provider, sender: provider.server_report(sender.server),
    "open": lambda provider, sender: provider.open(sender, HOOK),
    "challenge": lambda provider, sender: provider.challenge(sender),
    "pairing_code": lambda provider, sender: provider.challenge(sender, TO),
    "state": lambda provider, sender: provider.state(sender),
    "stop": lambda provider, sender: provider.stop(sender),
    "sign_out": lambda provider, sender: provider.sign_out(sender),
    "remove": lambda provider, sender: provider.remove(sender),
    "restart": lambda provider, sender: provider.restart(sender),
    "repair_webhook": lambda provider, sender: provider.repair_webhook(sender, HOOK),
    "list_contacts": _list_contacts,
    "check_numbers": lambda provider, sender: provider.check_numbers(sender, [TO]),
    "show_typing": lambda provider, sender: provider.show_typing(sender, TO, active=True),
    "find_phone": lambda provider, sender: provider.find_phone(sender, "77@lid"),
    "mark_seen": lambda provider, sender: provider.mark_seen(sender, TO),
}
OF_SERVERS = ("capabilities", "check", "server_report")
ASKED = [(version, call) for version in VERSIONS for call in CALLS if (version, call) != ("1.8.2", "find_phone")]
"""Version 1 knows no phone behind a hidden number, so it is not asked."""
WORDLESS = {"aclose", "new_client_id", "prepare", "receive", "seeded_servers", "send_timeout"}
OUTCOMES = {"reconcile", "send"}


def prepare(provider: EvolutionProvider, sender: Sender, kind: MessageKind) -> Prepared:
    media = None if kind is MessageKind.TEXT else FILE
    return provider.prepare(OutgoingMessage(TO, kind, "Hello", media), sender, provider.new_client_id())


def test_no_call_is_forgotten() -> None:
    offered = {
        name for name in dir(EvolutionProvider) if not name.startswith("_") and name not in {"Credentials", "name"}
    }
    assert offered - WORDLESS - OUTCOMES == set(CALLS) - {"pairing_code"}


@pytest.mark.parametrize(("version", "call"), ASKED)
async def test_missing_licence_needs_a_person(provider: EvolutionProvider, version: str, call: str) -> None:
    async with ScriptedServer(LICENSE) as server:
        with pytest.raises(MisconfiguredError, match="until its licence is activated") as caught:
            await CALLS[call](provider, sender_on(server.url, version))
        assert len(server.requests) == 1
    assert (caught.value.http_status, caught.value.provider_code) == (503, "LICENSE_REQUIRED")
    assert "private" not in str(caught.value)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", list(MessageKind))
async def test_missing_licence_stops_every_number_of_the_server(
    provider: EvolutionProvider, version: str, kind: MessageKind
) -> None:
    async with ScriptedServer(LICENSE) as server:
        sender = sender_on(server.url, version)
        prepared = prepare(provider, sender, kind)
        assert await provider.send(prepared, sender) == SenderStopped("license_required", scope="server")
        assert await provider.reconcile(prepared, sender, ("3EB0AA",)) == CannotTell("provider_misconfigured")
        assert len(server.requests) == 2


async def test_licence_that_ends_between_two_questions(provider: EvolutionProvider) -> None:
    async with ScriptedServer(Answer(404), {STATE: in_state("open"), LIST: LICENSE}) as server:
        with pytest.raises(MisconfiguredError, match="licence"):
            await provider.state(sender_on(server.url))


@pytest.mark.parametrize(("version", "call"), [(version, call) for version, call in ASKED if call not in OF_SERVERS])
async def test_error_inside_a_success_is_no_success(provider: EvolutionProvider, version: str, call: str) -> None:
    async with ScriptedServer(HIDDEN) as server:
        with pytest.raises(UncertainError, match="with an error inside") as caught:
            await CALLS[call](provider, sender_on(server.url, version))
    assert "object Object" not in str(caught.value)


@pytest.mark.parametrize("call", OF_SERVERS)
async def test_server_whose_welcome_is_an_error_is_none(provider: EvolutionProvider, call: str) -> None:
    async with ScriptedServer(HIDDEN) as server:
        with pytest.raises(ProviderError, match="Is there an Evolution API server at this address"):
            await CALLS[call](provider, sender_on(server.url))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", list(MessageKind))
async def test_error_inside_the_answer_to_a_send_proves_nothing(
    provider: EvolutionProvider, version: str, kind: MessageKind
) -> None:
    async with ScriptedServer(HIDDEN) as server:
        sender = sender_on(server.url, version)
        prepared = prepare(provider, sender, kind)
        assert await provider.send(prepared, sender) == Unknown("no_message_id")
        assert await provider.reconcile(prepared, sender, ("3EB0AA",)) == CannotTell("provider_uncertain")


@pytest.mark.parametrize("call", CALLS)
async def test_no_call_names_the_key(provider: EvolutionProvider, call: str, caplog: pytest.LogCaptureFixture) -> None:
    """Neither an error nor what is logged on the way holds the global key, whatever the server answers."""
    for answer in (Answer(401), Answer(500, b"global-key"), Answer(200, b'{"apikey": "global-key"}'), HIDDEN):
        async with ScriptedServer(answer) as server:
            sender = sender_on(server.url)
            with structlog.testing.capture_logs() as logs:
                told = ""
                try:
                    await CALLS[call](provider, sender)
                except ProviderError as error:
                    told = f"{error!r} {error} {error.provider_code}"
            assert "global-key" not in f"{told} {sender!r} {logs}"
            assert all(request.headers["apikey"] == "global-key" for request in server.requests)
    assert "global-key" not in caplog.text
