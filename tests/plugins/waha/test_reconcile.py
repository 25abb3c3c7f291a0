"""A message's life on the simulator: sent, lost, found again, or nobody can tell."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from core.plugin import (
    Absent,
    Accepted,
    CannotTell,
    Capabilities,
    Finding,
    Found,
    Media,
    MessageKind,
    MessageStatus,
    MessageStatusEvent,
    Outcome,
    Sender,
    SenderStopped,
    Unknown,
)
from core.plugin.testing import Answer, ScriptedServer
from plugins.waha.provider import WahaProvider
from tests.plugins.waha.conftest import (
    PHONE,
    TO,
    Waha,
    connect,
    delivery_of,
    eventually,
    prepare,
    sender_of,
    sender_on,
)

Start = Callable[..., Awaitable[Waha]]


@pytest.mark.parametrize("engine", ["GOWS", "NOWEB"])
async def test_message_goes_out_under_our_id(provider: WahaProvider, start: Start, engine: str) -> None:
    waha = await start(engine=engine)
    sender = await connect(provider, waha)
    prepared = prepare(provider, sender)
    assert await provider.send(prepared, sender) == Accepted((prepared.client_id,), "12132132130@c.us")
    assert [one["id"] for one in (await waha.phone())["messages"]] == [prepared.client_id]


@pytest.mark.parametrize("engine", ["WEBJS", "WPP"])
async def test_message_goes_out_under_their_id(provider: WahaProvider, start: Start, engine: str) -> None:
    waha = await start(engine=engine)
    sender = await connect(provider, waha)
    outcome = await provider.send(prepare(provider, sender), sender)
    assert isinstance(outcome, Accepted)
    assert outcome.ids == ((await waha.phone())["messages"][0]["id"],)


async def test_picture_goes_out(provider: WahaProvider, waha: Waha) -> None:
    sender = await connect(provider, waha)
    media = Media(mimetype="image/jpeg", filename="o.jpg", content=b"jpeg")
    assert isinstance(await provider.send(prepare(provider, sender, "Offer", media=media), sender), Accepted)
    assert (await waha.phone())["messages"][0]["kind"] == "image"


async def test_acknowledgements_come_back(provider: WahaProvider, waha: Waha, receiver: ScriptedServer) -> None:
    sender = await connect(provider, waha, receiver.url)
    prepared = prepare(provider, sender)
    await provider.send(prepared, sender)
    seen: set[str] = set()

    async def read() -> bool:
        for request in receiver.requests:
            result = provider.receive(delivery_of(request), sender.webhook_secret)
            assert result.genuine
            statuses = [event for event in result.events if isinstance(event, MessageStatusEvent)]
            seen.update(event.status for event in statuses if event.ids == (prepared.client_id,))
        return seen == {"accepted", "sent", "delivered", "read"}

    await eventually(read)


@pytest.mark.parametrize("kind", ["401", "463", "429", "rate_overlimit", "status_422"])
async def test_certain_failures_reached_nobody(provider: WahaProvider, waha: Waha, kind: str) -> None:
    sender = await connect(provider, waha)
    await waha.fault(kind)
    assert not isinstance(await provider.send(prepare(provider, sender), sender), Accepted | Unknown)
    assert (await waha.phone())["count"] == 0


@pytest.mark.parametrize(
    ("kind", "executed"),
    [
        ("drop_response", False),
        ("malformed", False),
        ("500", True),
        ("500_connection_closed", True),
        ("503", True),
        ("502", True),
        ("deadline_exceeded", True),
    ],
)
async def test_uncertain_failures_are_found_again(
    provider: WahaProvider,
    waha: Waha,
    kind: str,
    executed: bool,  # noqa: FBT001 - a table's column
) -> None:
    sender = await connect(provider, waha)
    await waha.fault(kind, executed=executed)
    prepared = prepare(provider, sender)
    assert isinstance(await provider.send(prepared, sender), Unknown)
    finding = await provider.reconcile(prepared, sender, ())
    assert isinstance(finding, Found)
    assert (finding.ids, finding.address) == ((prepared.client_id,), "12132132130@c.us")


async def test_late_success_is_found_after_the_grace(provider: WahaProvider, waha: Waha) -> None:
    sender = await connect(provider, waha)
    await waha.fault("late_success", seconds=1.5)
    prepared = prepare(provider, sender)
    assert await provider.send(prepared, sender) == Unknown("timeout")

    async def found() -> bool:
        return isinstance(await provider.reconcile(prepared, sender, ()), Found)

    await eventually(found)
    assert (await waha.phone())["count"] == 1


async def test_message_that_never_went_is_absent(provider: WahaProvider, waha: Waha) -> None:
    sender = await connect(provider, waha)
    await provider.send(prepare(provider, sender, "an older one"), sender)
    await waha.fault("500")
    lost = prepare(provider, sender)
    assert await provider.send(lost, sender) == Unknown("server_error")
    timed = msgspec.structs.replace(lost, attempted_at=datetime.now(UTC))
    for prepared in (lost, timed):
        assert await provider.reconcile(prepared, sender, ()) == Absent()


async def test_store_that_is_younger_than_the_message_proves_nothing(provider: WahaProvider, waha: Waha) -> None:
    sender = await connect(provider, waha)
    lost = msgspec.structs.replace(prepare(provider, sender), attempted_at=datetime.now(UTC) - timedelta(minutes=5))
    assert await provider.reconcile(lost, sender, ()) == CannotTell("store_too_young")
    await provider.send(prepare(provider, sender, "a newer one"), sender)
    assert await provider.reconcile(lost, sender, ()) == CannotTell("store_too_young")


async def test_accepted_message_that_is_gone_proves_nothing(provider: WahaProvider, waha: Waha) -> None:
    sender = await connect(provider, waha)
    await provider.send(prepare(provider, sender, "an older one"), sender)
    assert await provider.reconcile(prepare(provider, sender), sender, ("3EB0FF",)) == CannotTell("not_in_store")


async def test_failed_message_is_found_as_failed(provider: WahaProvider, waha: Waha) -> None:
    sender = await connect(provider, waha)
    await waha.fault("failed_ack")
    prepared = prepare(provider, sender)
    await provider.send(prepared, sender)

    async def failed() -> bool:
        found = await provider.reconcile(prepared, sender, (prepared.client_id,))
        return isinstance(found, Found) and found.status is MessageStatus.FAILED

    await eventually(failed)


async def test_noweb_without_its_store(provider: WahaProvider, start: Start) -> None:
    waha = await start(engine="NOWEB")
    sender = await sender_of(provider, waha)
    await waha.post("/api/sessions", {"name": "snd_17", "start": True, "config": {}})
    await waha.until("snd_17", "SCAN_QR_CODE")
    await waha.post("/simulator/sessions/snd_17/scan", {"phone": PHONE})
    finding = await provider.reconcile(prepare(provider, sender), sender, ())
    assert finding == CannotTell("store_not_available")


async def test_session_that_is_gone(provider: WahaProvider, waha: Waha) -> None:
    sender = sender_on(waha.url)
    assert await provider.reconcile(prepare(provider, sender), sender, ()) == CannotTell("store_not_available")


async def test_other_404_is_not_absence(provider: WahaProvider) -> None:
    async with ScriptedServer(Answer(404, b'{"message": "Session not found", "statusCode": 404}')) as server:
        sender = sender_on(server.url)
        assert await provider.reconcile(prepare(provider, sender), sender, ()) == CannotTell("session_missing")


async def test_webjs_finds_an_accepted_message_by_its_serialized_id(provider: WahaProvider, start: Start) -> None:
    waha = await start(engine="WEBJS")
    sender = await connect(provider, waha)
    prepared = prepare(provider, sender)
    outcome = await provider.send(prepared, sender)
    assert isinstance(outcome, Accepted)
    finding = await provider.reconcile(prepared, sender, outcome.ids)
    assert isinstance(finding, Found)
    assert finding.ids == outcome.ids


async def by_text(provider: WahaProvider, waha: Waha, sender: Sender, *texts: str) -> Finding:
    """Send ``texts``, then look for "Hello" as if its answer had been lost."""
    prepared = prepare(provider, sender)
    attempted_at = datetime.now(UTC)
    for text in texts:
        outcome: Outcome = await provider.send(prepare(provider, sender, text), sender)
        assert isinstance(outcome, Accepted)
    await waha.post("/simulator/messages", {"session": "snd_17", "from": TO, "text": "Hello"})
    return await provider.reconcile(msgspec.structs.replace(prepared, attempted_at=attempted_at), sender, ())


@pytest.mark.parametrize(
    ("texts", "finding"),
    [
        (("Hello", "Something else"), Found),
        (("Something else",), CannotTell("not_in_chat")),
        (("Hello", "Hello"), CannotTell("ambiguous")),
    ],
)
async def test_without_ids_the_chat_is_searched(
    provider: WahaProvider, start: Start, texts: tuple[str, ...], finding: object
) -> None:
    waha = await start(engine="WEBJS")
    sender = await connect(provider, waha)
    found = await by_text(provider, waha, sender, *texts)
    assert found == finding if isinstance(finding, CannotTell) else isinstance(found, Found)


async def test_without_ids_and_times_nothing_can_be_told(provider: WahaProvider, start: Start) -> None:
    waha = await start(engine="WEBJS")
    sender = await connect(provider, waha)
    assert await provider.reconcile(prepare(provider, sender), sender, ()) == CannotTell("no_message_id")


async def test_send_holds_its_limit(provider: WahaProvider, waha: Waha) -> None:
    sender = await connect(provider, waha)
    await waha.fault("hang")
    begun = asyncio.get_running_loop().time()
    assert await provider.send(prepare(provider, sender), sender) == Unknown("timeout")
    assert asyncio.get_running_loop().time() - begun < provider.send_timeout(MessageKind.TEXT) + 0.5


async def test_restricted_number_keeps_its_chats(provider: WahaProvider, waha: Waha) -> None:
    sender = await connect(provider, waha)
    await provider.send(prepare(provider, sender), sender)
    await waha.post("/simulator/sessions/snd_17/restrict", {"seconds": 3600})
    stranger = prepare(provider, sender, to="12132132131")
    assert await provider.send(stranger, sender) == SenderStopped("new_contacts_restricted", scope="new_contacts")
    assert isinstance(await provider.send(prepare(provider, sender, "again"), sender), Accepted)


def test_capabilities_survive_their_storage() -> None:
    """Core stores them as JSON with the server."""
    found = Capabilities(engine="GOWS", media=(MessageKind.IMAGE,), warnings=("one",))
    assert msgspec.json.decode(msgspec.json.encode(found), type=Capabilities) == found
