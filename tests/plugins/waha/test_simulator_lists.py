"""Contacts, groups and chats of the simulator, in the shape of each engine."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.plugins.waha.conftest import PHONE, Waha, misfits

Start = Callable[..., Awaitable[Waha]]
ANA, BIA = "5511987650011", "5511987650021"
BROWSER_CONTACT = {
    "id": "11231231231@c.us",
    "number": "11231231231",
    "pushname": "Pushname",
    "isMe": True,
    "isGroup": False,
    "isWAContact": True,
    "isMyContact": True,
    "isBlocked": False,
}
CONTACTS: dict[str, Any] = {
    "GOWS": {"id": "11231231231@c.us", "name": "Contact Name", "pushname": "Pushname"},
    "NOWEB": {"id": "11231231231@c.us", "pushname": "Pushname"},
    "WEBJS": BROWSER_CONTACT,
    "WPP": BROWSER_CONTACT,
}
GROUPS: dict[str, Any] = {
    "GOWS": [
        {"JID": "1@g.us", "OwnerJID": "", "Name": "", "Topic": "", "Participants": [{"JID": "", "PhoneNumber": ""}]}
    ],
    "NOWEB": {},
    "WEBJS": [
        {
            "id": {"server": "g.us", "user": "1", "_serialized": "1@g.us"},
            "name": "",
            "isGroup": True,
            "groupMetadata": {"subject": "", "participants": [{"id": "1@lid"}]},
        }
    ],
    "WPP": [{"id": "1@g.us", "name": "", "isGroup": True, "groupMetadata": {"subject": ""}}],
}
CHATS: dict[str, Any] = {
    "GOWS": {"id": "1@c.us", "name": "", "conversationTimestamp": 1},
    "NOWEB": {"id": "1@c.us", "conversationTimestamp": 1, "unreadCount": 0},
    "WEBJS": {"id": {"_serialized": "1@c.us"}, "name": "", "isGroup": False, "timestamp": 1},
    "WPP": {"id": "1@c.us", "isGroup": False, "t": 1},
}
ENGINES = tuple(CONTACTS)


async def filled(start: Start, engine: str) -> Waha:
    waha = await start(engine=engine)
    await waha.working_session()
    await waha.post("/simulator/contacts", {"session": "snd_17", "phone": ANA, "name": "Ana Lima"})
    await waha.post("/simulator/contacts", {"session": "snd_17", "phone": BIA, "name": "Bia", "hidden": True})
    await waha.post("/simulator/groups", {"session": "snd_17", "name": "Clients", "participants": [ANA, BIA]})
    await waha.post("/simulator/messages", {"session": "snd_17", "from": ANA, "text": "Hi"})
    return waha


@pytest.mark.parametrize("engine", ENGINES)
async def test_contacts(start: Start, engine: str) -> None:
    waha = await filled(start, engine)
    rows = (await waha.http.get("/api/contacts/all?session=snd_17")).json()
    people = [row for row in rows if not row["id"].endswith("@g.us")]
    assert misfits([CONTACTS[engine]], people) == []
    assert [row["id"] for row in people[:2]] == [f"{PHONE}@c.us", f"{ANA}@c.us"]
    assert people[2]["id"].endswith("@lid")
    # The browser engines hold groups among the contacts.
    assert len(rows) - len(people) == (1 if engine in {"WEBJS", "WPP"} else 0)
    second = (await waha.http.get("/api/contacts/all?session=snd_17&limit=1&offset=1")).json()
    assert second == rows[1:2]


@pytest.mark.parametrize("engine", ENGINES)
async def test_groups(start: Start, engine: str) -> None:
    waha = await filled(start, engine)
    found = (await waha.http.get("/api/snd_17/groups")).json()
    assert misfits(GROUPS[engine], found) == []
    if engine == "NOWEB":
        ((name, group),) = found.items()
        assert (group["id"], group["subject"], len(group["participants"])) == (name, "Clients", 2)
    slim = (await waha.http.get("/api/snd_17/groups?exclude=participants")).text
    assert "articipants" not in slim
    assert "Clients" in slim


@pytest.mark.parametrize("engine", ENGINES)
async def test_chats(start: Start, engine: str) -> None:
    waha = await filled(start, engine)
    rows = (await waha.http.get("/api/snd_17/chats?limit=50")).json()
    assert misfits([CHATS[engine]], rows) == []
    ids = [row["id"]["_serialized"] if engine == "WEBJS" else row["id"] for row in rows]
    assert ids[:2] == [f"{ANA}@c.us", "status@broadcast"]
    assert ids[2].endswith("@newsletter")


@pytest.mark.parametrize("path", ["/api/contacts/all?session=snd_17", "/api/snd_17/chats", "/api/snd_17/lids"])
async def test_noweb_needs_its_store(start: Start, path: str) -> None:
    waha = await start(engine="NOWEB")
    await waha.post("/api/sessions", {"name": "snd_17", "start": True, "config": {}})
    await waha.until("snd_17", "SCAN_QR_CODE")
    await waha.post("/simulator/sessions/snd_17/scan", {"phone": PHONE})
    assert (await waha.http.get(path)).status_code == 400
    assert (await waha.http.get("/api/snd_17/groups")).json() == {}


@pytest.mark.parametrize("variant", [{"version": "2026.2.1"}, {"version": "2026.2.1", "tier": "PLUS"}, {}])
async def test_every_variant_lists(start: Start, variant: dict[str, str]) -> None:
    """Free Core before the merger, Plus, and Core since."""
    waha = await start(**variant)
    name = "default" if variant == {"version": "2026.2.1"} else "snd_17"
    config = {"noweb": {"store": {"enabled": True}}}
    await waha.post("/api/sessions", {"name": name, "start": True, "config": config})
    await waha.post(f"/api/sessions/{name}/start", {})
    await waha.until(name, "SCAN_QR_CODE")
    await waha.post(f"/simulator/sessions/{name}/scan", {"phone": PHONE})
    assert [one["id"] for one in (await waha.http.get(f"/api/contacts/all?session={name}")).json()] == [f"{PHONE}@c.us"]
    assert (await waha.http.get(f"/api/{name}/groups")).json() == []
    assert len((await waha.http.get(f"/api/{name}/chats")).json()) == 2
