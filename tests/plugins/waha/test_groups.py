"""Messages to groups: where they go, under which ids, and how far they came."""

import json
from collections.abc import Awaitable, Callable

import pytest

from core.plugin import (
    Accepted,
    CannotTell,
    ForeignMessageEvent,
    Found,
    MessageKind,
    MessageStatus,
    MessageStatusEvent,
    OutgoingMessage,
    Sender,
    WebhookTarget,
)
from core.plugin.testing import ScriptedServer
from plugins.waha.provider import WahaProvider
from tests.plugins.waha.conftest import PHONE, TO, Waha, connect, delivery_of, eventually, prepare

Start = Callable[..., Awaitable[Waha]]
ENGINES = ("GOWS", "NOWEB", "WEBJS", "WPP")
PEOPLE = ["5531988880001", "5531988880002", PHONE]


async def group_of(waha: Waha) -> str:
    answer = await waha.post("/simulator/groups", {"session": "snd_17", "name": "Clients", "participants": PEOPLE})
    return str(answer.json()["id"])


def statuses(provider: WahaProvider, sender: Sender, receiver: ScriptedServer) -> list[MessageStatusEvent]:
    """Return what core keeps of the deliveries: one event for each dedupe key."""
    found: dict[str, MessageStatusEvent] = {}
    for request in receiver.requests:
        for event in provider.receive(delivery_of(request), sender.webhook_secret).events:
            if isinstance(event, MessageStatusEvent):
                found.setdefault(event.dedupe_key, event)
    return list(found.values())


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_text_reaches_the_group(provider: WahaProvider, start: Start, engine: str) -> None:
    waha = await start(engine=engine)
    sender = await connect(provider, waha)
    group = await group_of(waha)
    prepared = prepare(provider, sender, "Hello all", to=group)
    assert json.loads(prepared.body)["chatId"] == group

    outcome = await provider.send(prepared, sender)
    (arrived,) = (await waha.phone())["messages"]
    assert (arrived["chat_id"], arrived["text"]) == (group, "Hello all")
    assert outcome == Accepted((arrived["id"],), group)
    assert (arrived["id"] == prepared.client_id) is (engine in {"GOWS", "NOWEB"})


@pytest.mark.parametrize("engine", ENGINES)
async def test_the_first_phone_counts_for_the_group(
    provider: WahaProvider, start: Start, receiver: ScriptedServer, engine: str
) -> None:
    waha = await start(engine=engine)
    sender = await connect(provider, waha, receiver.url)
    group = await group_of(waha)
    outcome = await provider.send(prepare(provider, sender, to=group), sender)
    assert isinstance(outcome, Accepted)

    async def read() -> bool:
        return {"accepted", "delivered", "read"} <= {one.status for one in statuses(provider, sender, receiver)}

    await eventually(read)
    found = statuses(provider, sender, receiver)
    assert {(one.ids, one.address) for one in found} == {(outcome.ids, group)}
    # However many have it, each step is told once.
    assert len({one.status for one in found}) == len(found)


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_message_of_a_group_is_found_again(provider: WahaProvider, start: Start, engine: str) -> None:
    waha = await start(engine=engine)
    sender = await connect(provider, waha)
    prepared = prepare(provider, sender, to=await group_of(waha))
    outcome = await provider.send(prepared, sender)
    assert isinstance(outcome, Accepted)
    found = await provider.reconcile(prepared, sender, outcome.ids)
    assert isinstance(found, Found)
    assert (found.ids, found.address) == (outcome.ids, prepared.message.address)
    assert found.status >= MessageStatus.ACCEPTED


async def test_a_browser_that_does_not_list_it_proves_nothing(provider: WahaProvider, start: Start) -> None:
    waha = await start(engine="WEBJS")
    sender = await connect(provider, waha)
    prepared = prepare(provider, sender, to=await group_of(waha))
    assert await provider.reconcile(prepared, sender, ("3EB0FF",)) == CannotTell("not_in_store")


async def test_a_restriction_of_new_contacts_leaves_groups_alone(provider: WahaProvider, waha: Waha) -> None:
    sender = await connect(provider, waha)
    group = await group_of(waha)
    await waha.post("/simulator/sessions/snd_17/restrict", {"seconds": 3600})
    assert isinstance(await provider.send(prepare(provider, sender, to=group), sender), Accepted)


async def test_what_people_write_in_groups_is_no_event(
    provider: WahaProvider, waha: Waha, receiver: ScriptedServer
) -> None:
    sender = await connect(provider, waha, receiver.url)
    group = await group_of(waha)
    await waha.post("/simulator/messages", {"session": "snd_17", "from": TO, "group": group, "text": "STOP"})
    await waha.post("/simulator/messages", {"session": "snd_17", "to": TO, "group": group, "text": "typed"})

    async def both() -> bool:
        return sum(b'"message.any"' in request.body for request in receiver.requests) == 2

    await eventually(both)
    results = [provider.receive(delivery_of(request), sender.webhook_secret) for request in receiver.requests]
    found = [event for result in results for event in result.events if not event.dedupe_key.startswith("evt_")]
    assert [(type(event), getattr(event, "address", "")) for event in found] == [(ForeignMessageEvent, group)]


@pytest.mark.parametrize("engine", ENGINES)
async def test_an_ignored_group_is_acknowledged_by_nobody(
    provider: WahaProvider, start: Start, receiver: ScriptedServer, engine: str
) -> None:
    """Why ``ignore.groups`` is off: WAHA filters receipts by it (``JidFilter`` in ``src/core/utils/jids.ts``)."""
    waha = await start(engine=engine)
    sender = await connect(provider, waha, receiver.url)
    session = (await waha.http.get("/api/sessions/snd_17")).json()
    assert session["config"]["ignore"]["groups"] is False
    session["config"]["ignore"]["groups"] = True
    await waha.http.put("/api/sessions/snd_17", json={"config": session["config"]})
    await waha.until("snd_17", "WORKING")
    group = await group_of(waha)
    await provider.send(prepare(provider, sender, "to the group", to=group), sender)
    await provider.send(prepare(provider, sender, "to a person"), sender)

    async def read() -> bool:
        return any(one.status == "read" for one in statuses(provider, sender, receiver))

    await eventually(read)
    assert {one.address for one in statuses(provider, sender, receiver)} == {f"{TO}@c.us"}
    assert (await waha.phone())["count"] == 2


async def test_a_session_of_an_older_version_is_set_right(provider: WahaProvider, waha: Waha) -> None:
    """One that still ignores groups, and does not ask for their acknowledgements."""
    sender = await connect(provider, waha)
    config = (await waha.http.get("/api/sessions/snd_17")).json()["config"]
    config["ignore"]["groups"] = True
    config["webhooks"][0]["events"] = ["session.status", "message.any", "message.ack"]
    await waha.http.put("/api/sessions/snd_17", json={"config": config})
    await waha.until("snd_17", "WORKING")
    hook = WebhookTarget(config["webhooks"][0]["url"])
    assert await provider.repair_webhook(sender, hook) is True
    await waha.until("snd_17", "WORKING")
    assert await provider.repair_webhook(sender, hook) is False
    session = (await waha.http.get("/api/sessions/snd_17")).json()
    assert session["config"]["ignore"]["groups"] is False
    assert session["config"]["webhooks"][0]["events"][-1] == "message.ack.group"


async def test_the_page_names_the_group(provider: WahaProvider, waha: Waha) -> None:
    sender = await connect(provider, waha)
    group = await group_of(waha)
    link = OutgoingMessage(group, MessageKind.TEXT, "See https://p.example", link_preview=True)
    await provider.send(provider.prepare(link, sender, provider.new_client_id()), sender)
    page = (await waha.http.get("/simulator")).text
    assert f"<td>Clients</td><td>{group}</td><td>snd_17</td><td>3</td><td>1</td>" in page
    assert "<td>Clients</td><td>[link preview] See https://p.example</td>" in page
    assert page == (await waha.http.get("/")).text


async def test_groups_survive_a_restart(start: Start, tmp_path: object) -> None:
    file = f"{tmp_path}/simulator.jsonl"
    first = await start(file=file)
    await first.working_session()
    group = await group_of(first)
    await first.post("/simulator/contacts", {"session": "snd_17", "phone": TO, "name": "Ana", "hidden": True})
    second = await start(file=file)
    await second.until("snd_17", "WORKING")
    assert [one["JID"] for one in (await second.http.get("/api/snd_17/groups")).json()] == [group]
    contacts = (await second.http.get("/api/contacts/all?session=snd_17")).json()
    assert contacts[1]["name"] == "Ana"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("contacts", {"session": "none", "phone": TO}),
        ("contacts", {"session": "snd_17", "phone": "x"}),
        ("groups", {"session": "snd_17", "participants": ["x"]}),
        ("groups", {"session": "snd_17", "participants": "x"}),
        ("messages", {"session": "snd_17", "from": TO, "group": "1@g.us"}),
    ],
)
async def test_odd_orders_are_refused(waha: Waha, path: str, body: dict[str, object]) -> None:
    await waha.working_session()
    assert (await waha.post(f"/simulator/{path}", body)).status_code == 400
