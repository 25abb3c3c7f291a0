"""Whole lives of numbers and messages on the simulator, in both dialects."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

import httpx
import msgspec
import pytest

from core.plugin import (
    Accepted,
    AnyEvent,
    CannotTell,
    Finding,
    ForeignMessageEvent,
    Found,
    IdentityEvent,
    Media,
    MessageInEvent,
    MessageKind,
    MessageStatus,
    MessageStatusEvent,
    MisconfiguredError,
    NumberCheck,
    Outcome,
    OutgoingMessage,
    Prepared,
    Rejected,
    Retryable,
    Secret,
    Sender,
    SenderReport,
    SenderState,
    SenderStatusEvent,
    SenderStopped,
    UnavailableError,
    Unknown,
    WebhookDelivery,
    WebhookTarget,
)
from core.plugin.testing import Answer, ReceivedRequest, ScriptedServer
from plugins.evolution.provider import EvolutionProvider
from plugins.evolution.webhook import receive
from tests.plugins.evolution import simulator_conftest
from tests.plugins.evolution.conftest import SECRET, sender_on
from tests.plugins.evolution.simulator_conftest import ADDRESS, KEY, PHONE, TO, Evolution, Receiver, eventually

start_evolution, hooks = simulator_conftest.start_evolution, simulator_conftest.hooks

Start = Callable[..., Awaitable[Evolution]]


@pytest.fixture(params=["1.7.4", "1.8.2", "2.0.10", "2.3.6", "2.3.7"])
async def evolution(request: pytest.FixtureRequest, start_evolution: Start) -> Evolution:
    return await start_evolution(version=request.param)


@pytest.fixture
async def files() -> AsyncIterator[ScriptedServer]:
    """A place from which a server fetches a file."""
    async with ScriptedServer(Answer(200, b"jpeg")) as server:
        yield server


async def sender_of(provider: EvolutionProvider, evolution: Evolution) -> Sender:
    """Make a sender with the capabilities that the server really has."""
    sender = sender_on(str(evolution.http.base_url).rstrip("/"))
    credentials = provider.Credentials(api_key=Secret(KEY))
    server = msgspec.structs.replace(sender.server, credentials=credentials)
    return msgspec.structs.replace(sender, server=server, capabilities=await provider.capabilities(server))


async def scan(evolution: Evolution) -> None:
    scanned = await evolution.post("/simulator/sessions/snd_17/scan", {"phone": PHONE})
    assert scanned.status_code == 200, scanned.text


async def connect(provider: EvolutionProvider, evolution: Evolution, webhook: str = "https://p.example/w") -> Sender:
    sender = await sender_of(provider, evolution)
    await provider.open(sender, WebhookTarget(webhook))
    await scan(evolution)
    return sender


def prepare(
    provider: EvolutionProvider,
    sender: Sender,
    text: str = "Hello",
    *,
    to: str = TO,
    kind: MessageKind = MessageKind.TEXT,
    media: Media | None = None,
) -> Prepared:
    message = OutgoingMessage(to, kind, text, media)
    prepared = provider.prepare(message, sender, provider.new_client_id())
    return msgspec.structs.replace(prepared, attempted_at=datetime.now(UTC))


def events_of(requests: list[ReceivedRequest]) -> list[AnyEvent]:
    """Translate the deliveries that came; each has to prove itself."""
    found: list[AnyEvent] = []
    for request in requests:
        query = dict(httpx.URL(f"http://p{request.target}").params)
        delivery = WebhookDelivery(
            method="POST", query=query, headers=request.headers, body=request.body, public_url="https://p.example/w"
        )
        result = receive(delivery, Secret(SECRET))
        assert result.genuine
        assert b"apikey" not in result.payload
        found.extend(result.events)
    return found


# A number's life.


async def test_number_signs_in_by_qr(provider: EvolutionProvider, evolution: Evolution) -> None:
    sender = await sender_of(provider, evolution)
    assert await provider.state(sender) == SenderReport(state=SenderState.STOPPED)
    assert (await provider.open(sender, WebhookTarget("https://p.example/w"))).state is SenderState.SIGN_IN
    assert (await provider.challenge(sender)).kind == "qr"
    await scan(evolution)
    assert await provider.state(sender) == SenderReport(
        state=SenderState.CONNECTED, raw="open", address=f"{PHONE}@s.whatsapp.net", name="Simulated phone"
    )


async def test_number_signs_in_by_pairing_code(provider: EvolutionProvider, evolution: Evolution) -> None:
    sender = await sender_of(provider, evolution)
    await provider.open(sender, WebhookTarget("https://p.example/w"))
    assert (await provider.challenge(sender, PHONE)).kind == "pairing_code"
    await scan(evolution)
    await provider.sign_out(sender)
    await provider.open(sender, WebhookTarget("https://p.example/w"))
    assert (await provider.challenge(sender, PHONE)).kind == "pairing_code"


async def test_number_that_is_opened_again_stays_connected(provider: EvolutionProvider, evolution: Evolution) -> None:
    sender = await connect(provider, evolution)
    assert (await provider.open(sender, WebhookTarget("https://p.example/w"))).state is SenderState.CONNECTED


@pytest.mark.parametrize("reason", [401, 428])
async def test_number_that_lost_its_connection_is_opened_again(
    provider: EvolutionProvider, evolution: Evolution, reason: int
) -> None:
    sender = await connect(provider, evolution)
    closed = {"state": "close", "reason": reason, "forget": reason == 401}
    await evolution.post("/simulator/sessions/snd_17/state", closed)
    await provider.open(sender, WebhookTarget("https://p.example/w"))
    await evolution.until("connecting" if reason == 401 else "open")


async def test_stopped_number_tells_nothing_until_it_is_opened(
    provider: EvolutionProvider, evolution: Evolution, hooks: Receiver
) -> None:
    sender = await connect(provider, evolution, hooks.url)
    await hooks.wait("connection.update", 1)
    await provider.stop(sender)
    await provider.stop(sender)
    before = len(hooks.bodies())
    await evolution.post("/simulator/messages", {"session": "snd_17", "from": TO, "text": "unseen"})
    await provider.open(sender, WebhookTarget(hooks.url))
    await evolution.post("/simulator/messages", {"session": "snd_17", "from": TO, "text": "seen"})
    await hooks.wait("messages.upsert", 1)
    came = events_of(hooks.server.requests[before:])
    assert [event.text for event in came if isinstance(event, MessageInEvent)] == ["seen"]


async def test_sign_out_and_remove_are_repeatable(provider: EvolutionProvider, evolution: Evolution) -> None:
    for call in (provider.sign_out, provider.remove):
        sender = await connect(provider, evolution)
        await call(sender)
        await call(sender)
        assert (await provider.state(sender)).state is SenderState.STOPPED


async def test_wrong_key(provider: EvolutionProvider, start_evolution: Start) -> None:
    evolution = await start_evolution(api_key="another")
    with pytest.raises(MisconfiguredError, match="check the credentials of this server"):
        await sender_of(provider, evolution)


# Numbers.


async def test_number_checks(provider: EvolutionProvider, evolution: Evolution) -> None:
    sender = await connect(provider, evolution)
    assert await provider.check_numbers(sender, ["5531988887777", "12132130000", TO]) == {
        "5531988887777": NumberCheck("5531988887777", exists=True, address="553188887777@s.whatsapp.net"),
        "12132130000": NumberCheck("12132130000", exists=False),
        TO: NumberCheck(TO, exists=True, address=ADDRESS),
    }


async def test_number_checks_without_a_connection(provider: EvolutionProvider, evolution: Evolution) -> None:
    sender = await sender_of(provider, evolution)
    await provider.open(sender, WebhookTarget("https://p.example/w"))
    with pytest.raises(UnavailableError, match="The instance is not connected"):
        await provider.check_numbers(sender, [TO])


# A message's life.


@pytest.mark.parametrize("kind", [kind for kind in MessageKind if kind is not MessageKind.TEXT])
async def test_files_go_by_address_and_by_content(
    provider: EvolutionProvider, evolution: Evolution, files: ScriptedServer, kind: MessageKind
) -> None:
    sender = await connect(provider, evolution)
    for media in (
        Media(mimetype="image/jpeg", filename="o.jpg", url=f"{files.url}/o.jpg"),
        Media(mimetype="image/jpeg", filename="o.jpg", content=b"jpeg"),
    ):
        outcome = await provider.send(prepare(provider, sender, "Offer", kind=kind, media=media), sender)
        assert isinstance(outcome, Accepted)
    arrived = (await evolution.phone())["messages"]
    assert [one["file"]["size"] for one in arrived] == [4, 4]


async def test_events_of_a_message(provider: EvolutionProvider, evolution: Evolution, hooks: Receiver) -> None:
    sender = await connect(provider, evolution, hooks.url)
    outcome = await provider.send(prepare(provider, sender, to="5531988887777"), sender)
    assert isinstance(outcome, Accepted)
    assert outcome.address == "553188887777@s.whatsapp.net"
    await hooks.statuses(3)
    await hooks.wait("send.message", 1)
    told = [one for one in events_of(hooks.server.requests) if isinstance(one, MessageStatusEvent)]
    assert {one.ids for one in told} == {outcome.ids}
    assert {one.status for one in told} == {"accepted", "sent", "delivered", "read"}


async def test_events_of_a_number(provider: EvolutionProvider, evolution: Evolution, hooks: Receiver) -> None:
    await connect(provider, evolution, hooks.url)

    async def connected() -> bool:
        return "connected" in states()

    def states() -> set[str]:
        return {one.state for one in events_of(hooks.server.requests) if isinstance(one, SenderStatusEvent)}

    await eventually(connected)
    assert states() == {"starting", "sign_in", "connected"}


async def test_a_hot_loop_is_few_facts(provider: EvolutionProvider, start_evolution: Start, hooks: Receiver) -> None:
    evolution = await start_evolution()
    await connect(provider, evolution, hooks.url)
    await evolution.post("/simulator/sessions/snd_17/network", {"online": False})
    await hooks.wait("connection.update", 30)
    told = [one for one in events_of(hooks.server.requests) if isinstance(one, SenderStatusEvent)]
    # At most two spans of ten seconds, each with connecting, closed and a QR code, and one opening.
    assert len({one.dedupe_key for one in told}) <= 7


async def test_what_people_write(provider: EvolutionProvider, evolution: Evolution, hooks: Receiver) -> None:
    await connect(provider, evolution, hooks.url)
    await evolution.post("/simulator/messages", {"session": "snd_17", "from": TO, "text": "STOP", "lid": True})
    await evolution.post("/simulator/messages", {"session": "snd_17", "to": TO, "text": "typed on the phone"})
    await hooks.wait("messages.upsert", 2)
    came = events_of(hooks.server.requests)
    (message,) = [one for one in came if isinstance(one, MessageInEvent)]
    assert message.text == "STOP"
    assert [one.address for one in came if isinstance(one, ForeignMessageEvent)] == [ADDRESS]
    # Version 1 does not say who is behind a hidden number.
    knows = not evolution.options.is_v1
    assert message.phone == (TO if knows else "")
    assert [one.phone for one in came if isinstance(one, IdentityEvent)] == ([TO] if knows else [])


@pytest.mark.parametrize(
    ("fault", "outcome", "goes_out"),
    [
        ("400_not_on_whatsapp", Rejected("no_whatsapp"), False),
        ("400_engine", Unknown("engine_error"), False),
        ("401", SenderStopped("unauthorized", scope="server"), False),
        ("404", SenderStopped("instance_missing"), False),
        ("429", Retryable("too_many_requests", 60.0, scope="server"), False),
        ("500", Unknown("server_error"), False),
        ("500_connection_closed", Unknown("connection_closed", sender_stopped=True), False),
        ("502", Unknown("unavailable", sender_stopped=True), False),
        ("503", Unknown("unavailable", sender_stopped=True), False),
        ("200_error", Unknown("no_message_id"), False),
        ("boom", Unknown("connection_closed", sender_stopped=True), False),
        ("hang", Unknown("timeout"), False),
        ("licence", SenderStopped("license_required", scope="server"), False),
        ("drop_response", Unknown("connection_lost"), True),
        ("malformed", Unknown("no_message_id"), True),
    ],
)
@pytest.mark.parametrize("version", ["1.8.2", "2.3.7"])
async def test_nothing_is_claimed_that_was_not_proved(
    provider: EvolutionProvider,
    start_evolution: Start,
    version: str,
    fault: str,
    outcome: Outcome,
    goes_out: bool,  # noqa: FBT001 - a table's column
) -> None:
    evolution = await start_evolution(version=version)
    sender = await connect(provider, evolution)
    await evolution.fault(fault)
    prepared = prepare(provider, sender)
    assert await provider.send(prepared, sender) == outcome
    assert (await evolution.phone())["count"] == goes_out
    finding = await provider.reconcile(prepared, sender, ())
    assert isinstance(finding, Found if goes_out else CannotTell)


async def test_upload_that_failed_is_no_send(provider: EvolutionProvider, evolution: Evolution) -> None:
    sender = await connect(provider, evolution)
    await evolution.fault("500_media_upload")
    media = Media(mimetype="image/jpeg", filename="o.jpg", content=b"jpeg")
    prepared = prepare(provider, sender, kind=MessageKind.IMAGE, media=media)
    assert await provider.send(prepared, sender) == Retryable("media_upload_failed")
    assert (await evolution.phone())["count"] == 0


async def test_a_lost_answer_is_found_by_what_was_sent(provider: EvolutionProvider, evolution: Evolution) -> None:
    sender = await connect(provider, evolution)
    await provider.send(prepare(provider, sender, "Another text", to="5531988887777"), sender)
    await evolution.fault("drop_response")
    prepared = prepare(provider, sender, to="5531988887777")
    assert await provider.send(prepared, sender) == Unknown("connection_lost")
    (_, ours) = (await evolution.phone())["messages"]

    finding: Finding = CannotTell("")

    async def read() -> bool:
        nonlocal finding
        finding = await provider.reconcile(prepared, sender, ())
        return isinstance(finding, Found) and finding.status is MessageStatus.READ

    await eventually(read)
    assert finding == Found((ours["id"],), MessageStatus.READ, "553188887777@s.whatsapp.net")
    assert await provider.reconcile(prepared, sender, (ours["id"],)) == finding


async def test_a_server_that_keeps_nothing_proves_nothing(provider: EvolutionProvider, start_evolution: Start) -> None:
    evolution = await start_evolution(saves_messages=False)
    sender = await connect(provider, evolution)
    prepared = prepare(provider, sender)
    outcome = await provider.send(prepared, sender)
    assert isinstance(outcome, Accepted)
    assert await provider.reconcile(prepared, sender, outcome.ids) == CannotTell("not_in_store")
    assert await provider.reconcile(prepared, sender, ()) == CannotTell("not_in_chat")
