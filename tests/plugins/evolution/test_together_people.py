"""Contacts, groups, read marks, restarts and webhooks: the provider on the simulator, in both dialects."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from core.plugin import (
    Accepted,
    ListedContact,
    MessageKind,
    MisconfiguredError,
    OutgoingMessage,
    RefusedError,
    Retryable,
    Sender,
    SenderState,
    ServerReport,
    UnavailableError,
    WebhookTarget,
)
from plugins.evolution.provider import EvolutionProvider
from tests.plugins.evolution import simulator_conftest
from tests.plugins.evolution.simulator_conftest import ADDRESS, PHONE, TO, Evolution, Receiver
from tests.plugins.evolution.test_lives import connect, events_of, sender_of

start_evolution, hooks = simulator_conftest.start_evolution, simulator_conftest.hooks

Start = Callable[..., Awaitable[Evolution]]
GROUP = "120363012345678901@g.us"
HOOK = WebhookTarget("https://p.example/w")


@pytest.fixture(params=["1.7.4", "1.8.2", "2.0.10", "2.3.6", "2.3.7"])
async def evolution(request: pytest.FixtureRequest, start_evolution: Start) -> Evolution:
    return await start_evolution(version=request.param)


async def write(evolution: Evolution, text: str = "Oi", sender: str = TO, **more: object) -> str:
    """Let a person write; return the message's id."""
    body = {"session": "snd_17", "from": sender, "text": text, **more}
    written = await evolution.post("/simulator/messages", body)
    assert written.status_code == 201, written.text
    return str(written.json()["id"])


async def join(evolution: Evolution, name: str = "Team", **more: object) -> None:
    made = await evolution.post("/simulator/groups", {"session": "snd_17", "name": name, "address": GROUP, **more})
    assert made.status_code == 201, made.text


async def know(evolution: Evolution, address: str, name: str = "") -> None:
    body = {"session": "snd_17", "address": address, "name": name}
    assert (await evolution.post("/simulator/contacts", body)).status_code == 201


async def list_all(provider: EvolutionProvider, sender: Sender) -> list[ListedContact]:
    return [one async for one in provider.list_contacts(sender)]


async def send(provider: EvolutionProvider, sender: Sender, to: str, text: str = "Hello") -> Any:
    prepared = provider.prepare(OutgoingMessage(to, MessageKind.TEXT, text), sender, provider.new_client_id())
    return await provider.send(prepared, sender)


# Contacts.


async def test_people_and_groups_are_listed(provider: EvolutionProvider, evolution: Evolution) -> None:
    sender = await connect(provider, evolution)
    await write(evolution)
    await know(evolution, "12132132131@s.whatsapp.net", "12132132131")
    for nobody in ("status@broadcast", "1203@newsletter", "120363999999999999@g.us"):
        await know(evolution, nobody, "Nobody")
    await join(evolution)
    assert await list_all(provider, sender) == [
        ListedContact(address=ADDRESS, phone=TO, name="Ana"),
        ListedContact(address="12132132131@s.whatsapp.net", phone="12132132131"),
        ListedContact(address=GROUP, name="Team", group=True),
    ]


async def test_hidden_numbers_are_told_by_their_phone_where_it_is_known(
    provider: EvolutionProvider, evolution: Evolution
) -> None:
    sender = await connect(provider, evolution)
    await write(evolution, lid=True)
    await write(evolution, sender="12132132131", lid="hidden")
    found = await list_all(provider, sender)
    assert [one.name for one in found] == ["Ana", "Ana"]
    assert [one.phone for one in found] == ["" if evolution.options.is_v1 else TO, ""]
    assert found[1].address.endswith("@lid")


@pytest.mark.parametrize("version", ["2.0.10", "2.3.7"])
async def test_every_page_is_read(
    provider: EvolutionProvider, start_evolution: Start, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setattr("plugins.evolution.contacts.PAGE", 3)
    evolution = await start_evolution(version=version)
    sender = await connect(provider, evolution)
    addresses = [f"1213213213{place}@s.whatsapp.net" for place in range(8)]
    for address in (*addresses, *addresses[:2]):
        await know(evolution, address)
    assert [one.address for one in await list_all(provider, sender)] == addresses


async def test_groups_need_a_connection(provider: EvolutionProvider, evolution: Evolution) -> None:
    sender = await connect(provider, evolution)
    await evolution.post("/simulator/sessions/snd_17/state", {"state": "close", "reason": 428})
    with pytest.raises(UnavailableError, match="is not connected, so its groups cannot be listed"):
        await list_all(provider, sender)


# Groups.


async def test_group_is_written_to_and_its_receipts_come(
    provider: EvolutionProvider, evolution: Evolution, hooks: Receiver
) -> None:
    sender = await connect(provider, evolution, hooks.url)
    await join(evolution)
    outcome = await send(provider, sender, GROUP)
    assert isinstance(outcome, Accepted)
    assert outcome.address == GROUP
    assert sorted(await hooks.statuses(3)) == ["DELIVERY_ACK", "READ", "SERVER_ACK"]
    (arrived,) = (await evolution.phone())["messages"]
    assert (arrived["chat_id"], arrived["text"]) == (GROUP, "Hello")


async def test_what_is_written_in_a_group_is_no_event(
    provider: EvolutionProvider, evolution: Evolution, hooks: Receiver
) -> None:
    sender = await connect(provider, evolution, hooks.url)
    await join(evolution)
    await write(evolution, "STOP", group=GROUP)
    await hooks.wait("messages.upsert", 1)
    assert [type(event).__name__ for event in events_of(hooks.server.requests)] == ["SenderStatusEvent"] * len(
        [one for one in hooks.bodies() if one["event"] in {"connection.update", "qrcode.updated"}]
    )
    assert [one.address for one in await list_all(provider, sender)] == [GROUP]


async def test_group_that_is_not_there_was_not_written_to(provider: EvolutionProvider, evolution: Evolution) -> None:
    sender = await connect(provider, evolution)
    assert await send(provider, sender, GROUP) == Retryable("group_unknown")
    assert (await evolution.phone())["count"] == 0


async def test_instance_that_ignored_groups_hears_them_once_it_is_opened(
    provider: EvolutionProvider, evolution: Evolution, hooks: Receiver
) -> None:
    sender = await sender_of(provider, evolution)
    ignoring: dict[str, Any] = {"groups_ignore": True} if evolution.options.is_v1 else {"groupsIgnore": True}
    await evolution.open(webhook=hooks.url, **ignoring)
    await join(evolution)
    if evolution.options.is_v1:
        assert await list_all(provider, sender) == []
        assert await send(provider, sender, GROUP) == Retryable("group_unknown")
    else:
        await send(provider, sender, GROUP)
        assert await hooks.statuses(1) == ["SERVER_ACK"]
    await provider.open(sender, HOOK)
    assert isinstance(await send(provider, sender, GROUP), Accepted)
    assert [one.name for one in await list_all(provider, sender) if one.group] == ["Team"]


# Link previews.


@pytest.mark.parametrize("wanted", [False, True])
async def test_link_is_shown_as_it_is_wanted(
    provider: EvolutionProvider,
    evolution: Evolution,
    wanted: bool,  # noqa: FBT001 - a setting
) -> None:
    sender = await connect(provider, evolution)
    message = OutgoingMessage(TO, MessageKind.TEXT, "See https://p.example", link_preview=wanted)
    assert isinstance(await provider.send(provider.prepare(message, sender, "id"), sender), Accepted)
    (arrived,) = (await evolution.phone())["messages"]
    assert arrived["link_preview"] is wanted
    assert ("[link preview]" in (await evolution.http.get("/simulator")).text) is wanted


# Read marks.


@pytest.mark.parametrize("hidden", [False, True])
async def test_what_came_is_marked_as_read(
    provider: EvolutionProvider,
    evolution: Evolution,
    hidden: bool,  # noqa: FBT001 - a table's column
) -> None:
    sender = await connect(provider, evolution)
    await write(evolution, "first", lid=hidden)
    await send(provider, sender, TO)
    ids = [await write(evolution, text, lid=hidden) for text in ("second", "third")]
    elsewhere = await write(evolution, "elsewhere", sender="12132132131")
    address = ADDRESS
    if hidden and evolution.options.is_v1:
        address = next(one.address for one in await list_all(provider, sender) if one.address.endswith("@lid"))
    await provider.mark_seen(sender, address)
    seen = (await evolution.phone())["seen"]
    assert seen[:2] == ids[::-1]
    assert elsewhere not in seen
    assert hidden or len(seen) == 2


async def test_nothing_came(provider: EvolutionProvider, evolution: Evolution) -> None:
    sender = await connect(provider, evolution)
    await provider.mark_seen(sender, ADDRESS)
    assert (await evolution.phone())["seen"] == []


# Restarts.


async def test_number_is_restarted(provider: EvolutionProvider, evolution: Evolution) -> None:
    sender = await connect(provider, evolution)
    report = await provider.restart(sender)
    assert report.state in {SenderState.CONNECTED, SenderState.STARTING}
    await evolution.until("open")


async def test_closed_number_is_connected_by_a_restart(provider: EvolutionProvider, evolution: Evolution) -> None:
    sender = await connect(provider, evolution)
    await evolution.post("/simulator/sessions/snd_17/state", {"state": "close", "reason": 428})
    await provider.restart(sender)
    await evolution.until("open")


async def test_missing_number_is_not_restarted(provider: EvolutionProvider, evolution: Evolution) -> None:
    sender = await sender_of(provider, evolution)
    with pytest.raises(RefusedError, match="does not know this number"):
        await provider.restart(sender)


# Webhooks.


async def test_webhook_is_repaired_once(provider: EvolutionProvider, evolution: Evolution, hooks: Receiver) -> None:
    sender = await connect(provider, evolution, hooks.url)
    target = WebhookTarget(hooks.url)
    assert await provider.repair_webhook(sender, target) is False
    other = {"enabled": True, "url": "https://other.example", "events": []}
    changed = await evolution.post("/webhook/set/snd_17", other if evolution.options.is_v1 else {"webhook": other})
    assert changed.status_code == 201
    assert [await provider.repair_webhook(sender, target) for _ in range(2)] == [True, False]
    before = len(hooks.server.requests)
    await write(evolution)
    await hooks.wait("messages.upsert", 1)
    assert len(events_of(hooks.server.requests[before:])) == 1


async def test_webhook_of_a_closed_number_is_left(provider: EvolutionProvider, evolution: Evolution) -> None:
    sender = await connect(provider, evolution)
    await evolution.post("/simulator/sessions/snd_17/state", {"state": "close", "reason": 401, "forget": True})
    assert await provider.repair_webhook(sender, WebhookTarget("https://p.example/another")) is False
    unknown = msgspec.structs.replace(sender, instance="nobody")
    assert await provider.repair_webhook(unknown, HOOK) is False


# The server.


async def test_server_is_reported(provider: EvolutionProvider, evolution: Evolution) -> None:
    sender = await connect(provider, evolution)
    await evolution.create("another", qrcode=False)
    version = evolution.options.version
    assert await provider.server_report(sender.server) == ServerReport(version=version, sessions=2, connected=1)


async def test_report_of_a_server_without_its_licence(provider: EvolutionProvider, start_evolution: Start) -> None:
    evolution = await start_evolution(version="2.4.0", licensed=True)
    sender = await connect(provider, evolution)
    await evolution.fault("licence", match={"path": "/"}, count=-1)
    with pytest.raises(MisconfiguredError, match="licence"):
        await provider.server_report(sender.server)


async def test_page_shows_groups_and_what_reached_them(evolution: Evolution) -> None:
    await evolution.open()
    await evolution.post("/settings/set/snd_17", _hearing(evolution))
    await join(evolution, "<Team>", members=[TO, PHONE])
    await evolution.send("To the group", number=GROUP)
    page = (await evolution.http.get("/simulator")).text
    assert f"<td>&lt;Team&gt;</td><td>{GROUP}</td><td>{TO}, {PHONE}</td><td>snd_17</td>" in page
    assert f"<td>{GROUP}</td><td>&lt;Team&gt;</td><td>To the group</td>" in page


def _hearing(evolution: Evolution) -> dict[str, bool]:
    first = ("reject_call", "groups_ignore", "always_online", "read_messages", "read_status", "sync_full_history")
    second = ("rejectCall", "groupsIgnore", "alwaysOnline", "readMessages", "readStatus", "syncFullHistory")
    return dict.fromkeys(first if evolution.options.is_v1 else second, False)
