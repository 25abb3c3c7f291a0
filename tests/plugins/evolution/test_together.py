"""The provider and the simulator, written apart from the same facts, work together in both dialects."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from core.plugin import (
    Accepted,
    CannotTell,
    Capabilities,
    Found,
    Media,
    MessageInEvent,
    MessageKind,
    MessageStatus,
    MessageStatusEvent,
    MisconfiguredError,
    OutgoingMessage,
    Rejected,
    Secret,
    Sender,
    SenderState,
    Server,
    Unknown,
    WebhookDelivery,
    WebhookTarget,
)
from core.plugin.testing import Answer, ScriptedServer
from plugins.evolution.connection import EvolutionCredentials
from plugins.evolution.provider import EvolutionProvider, Limits
from tests.plugins.evolution.simulator_conftest import (
    ADDRESS,
    KEY,
    PHONE,
    TO,
    Evolution,
    eventually,
    start_evolution,
)

__all__ = ("start_evolution",)

Start = Callable[..., Awaitable[Evolution]]
FILE = Media(mimetype="image/png", filename="o.png", content=b"\x89PNG\r\n\x1a\n")
SECRET = Secret("number-secret")


class Pair:
    """A number of a simulated server, and the provider that serves it."""

    def __init__(self, provider: EvolutionProvider, sender: Sender, evolution: Evolution, hook: ScriptedServer) -> None:
        self.provider, self.sender, self.evolution, self.hook = provider, sender, evolution, hook

    async def send(self, text: str = "Oi", kind: MessageKind = MessageKind.TEXT, to: str = TO) -> Any:
        media = None if kind is MessageKind.TEXT else FILE
        prepared = self.provider.prepare(OutgoingMessage(to, kind, text, media), self.sender, "id")
        return await self.provider.send(prepared, self.sender)

    def events(self) -> list[Any]:
        """Translate every delivery that came, as core would have them translated."""
        found: list[Any] = []
        for request in self.hook.requests:
            path, _, query = request.target.partition("?")
            delivery = WebhookDelivery(
                method="POST",
                query=dict(part.split("=", 1) for part in query.split("&") if part),
                headers=dict(request.headers),
                body=request.body,
                public_url=f"https://p.example{path}",
            )
            result = self.provider.receive(delivery, SECRET)
            assert result.genuine
            assert b"apikey" not in result.payload
            found += result.events
        return found


@pytest.fixture(params=["1.8.2", "2.3.7"])
async def pair(request: pytest.FixtureRequest, start_evolution: Start) -> Any:
    evolution = await start_evolution(version=request.param)
    provider = EvolutionProvider(Limits(text_seconds=2, audio_seconds=2, media_seconds=2, grace_seconds=60))
    server = Server(id=1, url=str(evolution.http.base_url), credentials=EvolutionCredentials(api_key=Secret(KEY)))
    capabilities = await provider.capabilities(server)
    assert capabilities.version == request.param
    sender = Sender(number_id=17, instance="snd_17", server=server, capabilities=capabilities, webhook_secret=SECRET)
    async with ScriptedServer(Answer(200, b"")) as hook:
        made = Pair(provider, sender, evolution, hook)
        opened = await provider.open(sender, WebhookTarget(f"{hook.url}/hooks/17"))
        assert opened.state is SenderState.SIGN_IN
        assert (await provider.challenge(sender)).value.startswith("2@")
        await evolution.post("/simulator/sessions/snd_17/scan", {"phone": PHONE})
        yield made
    await provider.aclose()


async def test_a_number_signs_in(pair: Pair) -> None:
    report = await pair.provider.state(pair.sender)
    assert (report.state, report.address) == (SenderState.CONNECTED, f"{PHONE}@s.whatsapp.net")
    again = await pair.provider.open(pair.sender, WebhookTarget(f"{pair.hook.url}/hooks/17"))
    assert again.state is SenderState.CONNECTED


@pytest.mark.parametrize("kind", [*MessageKind])
async def test_every_kind_arrives(pair: Pair, kind: MessageKind) -> None:
    outcome = await pair.send("Oi", kind)
    assert isinstance(outcome, Accepted)
    assert outcome.address == ADDRESS
    assert len((await pair.evolution.phone())["messages"]) == 1


async def test_who_is_not_there_is_rejected_and_checked_as_such(pair: Pair) -> None:
    absent = "12132130000"
    assert await pair.send(to=absent) == Rejected("no_whatsapp")
    checks = await pair.provider.check_numbers(pair.sender, [TO, absent])
    assert (checks[TO].exists, checks[TO].address, checks[absent].exists) == (True, ADDRESS, False)


async def test_acknowledgements_name_the_message(pair: Pair) -> None:
    outcome = await pair.send()

    async def read() -> bool:
        statuses = [event for event in pair.events() if isinstance(event, MessageStatusEvent)]
        return any(event.ids == outcome.ids and event.status == "read" for event in statuses)

    await eventually(read)
    found = await pair.provider.reconcile(
        pair.provider.prepare(OutgoingMessage(TO, MessageKind.TEXT, "Oi"), pair.sender, "id"), pair.sender, outcome.ids
    )
    assert found == Found(outcome.ids, MessageStatus.READ, ADDRESS)


async def test_a_lost_answer_is_found_by_its_text_and_two_alike_are_not(pair: Pair) -> None:
    begun = datetime.now(UTC) - timedelta(seconds=1)
    prepared = msgspec.structs.replace(
        pair.provider.prepare(OutgoingMessage(TO, MessageKind.TEXT, "Only once"), pair.sender, "id"),
        attempted_at=begun,
    )
    await pair.evolution.fault("drop_response")
    assert isinstance(await pair.provider.send(prepared, pair.sender), Unknown)
    found = await pair.provider.reconcile(prepared, pair.sender, ())
    assert isinstance(found, Found)
    await pair.send("Only once")
    assert await pair.provider.reconcile(prepared, pair.sender, ()) == CannotTell("ambiguous")


async def test_what_people_write_comes_in(pair: Pair) -> None:
    written = {"session": "snd_17", "from": TO, "text": "SAIR"}
    assert (await pair.evolution.post("/simulator/messages", written)).is_success

    async def came() -> bool:
        return any(isinstance(event, MessageInEvent) for event in pair.events())

    await eventually(came)
    (event,) = [event for event in pair.events() if isinstance(event, MessageInEvent)]
    assert (event.phone, event.text) == (TO, "SAIR")


async def test_a_delivery_with_another_secret_changes_nothing(pair: Pair) -> None:
    await pair.send()
    await eventually(lambda: _true(bool(pair.hook.requests)))
    request = pair.hook.requests[0]
    forged = WebhookDelivery(
        method="POST",
        query={"secret": "guessed"},
        headers={"x-recado-secret": "guessed"},
        body=json.dumps(json.loads(request.body)).encode(),
        public_url="https://p.example/hooks/17",
    )
    result = pair.provider.receive(forged, SECRET)
    assert (result.genuine, result.events, result.status) == (False, (), 401)


async def test_a_signed_out_number_says_so(pair: Pair) -> None:
    await pair.provider.sign_out(pair.sender)
    assert (await pair.provider.state(pair.sender)).state is not SenderState.CONNECTED
    await pair.provider.remove(pair.sender)
    assert (await pair.provider.state(pair.sender)).state is SenderState.STOPPED


async def test_a_server_without_its_licence_is_misconfigured(start_evolution: Start) -> None:
    evolution = await start_evolution(version="2.4.0")
    provider = EvolutionProvider(Limits(text_seconds=2, audio_seconds=2, media_seconds=2, grace_seconds=60))
    server = Server(id=1, url=str(evolution.http.base_url), credentials=EvolutionCredentials(api_key=Secret(KEY)))
    with pytest.raises(MisconfiguredError, match="licence"):
        await provider.capabilities(server)
    sender = Sender(
        number_id=1, instance="snd_17", server=server, capabilities=Capabilities(version="2.4.0"), webhook_secret=SECRET
    )
    outcome = await provider.send(provider.prepare(OutgoingMessage(TO, MessageKind.TEXT, "Oi"), sender, "id"), sender)
    assert getattr(outcome, "code", "") == "license_required"
    await provider.aclose()


async def _true(value: bool) -> bool:  # noqa: FBT001 - a condition that is known
    return value
