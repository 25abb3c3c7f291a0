"""The simulator answers as WAHA does: the examples of its documentation and of live servers."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.plugin.testing import ScriptedServer
from plugins.waha.simulator import DEFAULT_PORT, create
from tests.plugins.waha.conftest import PHONE, Waha, eventually

Start = Callable[..., Awaitable[Waha]]
TO = "12132132130@c.us"


def text(to: str = TO, **more: object) -> dict[str, object]:
    return {"session": "snd_17", "chatId": to, "text": "Hello Ana", "linkPreview": False, **more}


def events(receiver: ScriptedServer, name: str) -> list[Any]:
    bodies = [json.loads(request.body) for request in receiver.requests]
    return [body for body in bodies if body["event"] == name]


async def test_key_is_asked_for(waha: Waha) -> None:
    async with httpx.AsyncClient(base_url=waha.url) as stranger:
        refused = await stranger.get("/api/server/version")
    assert refused.status_code == 401
    assert refused.json() == {"message": "Unauthorized", "statusCode": 401}


async def test_ping_is_open(waha: Waha) -> None:
    async with httpx.AsyncClient(base_url=waha.url) as stranger:
        assert (await stranger.get("/ping")).json() == {"message": "pong"}


@pytest.mark.parametrize(("version", "status"), [("2026.2.1", 401), ("2026.4.3", 200)])
async def test_key_in_the_query(start: Start, version: str, status: int) -> None:
    waha = await start(version=version)
    async with httpx.AsyncClient(base_url=waha.url) as stranger:
        assert (await stranger.get("/api/server/version?x-api-key=simulated-key")).status_code == status


async def test_version(start: Start) -> None:
    waha = await start(version="2026.2.1", engine="NOWEB")
    assert (await waha.http.get("/api/server/version")).json() == {
        "version": "2026.2.1",
        "engine": "NOWEB",
        "tier": "CORE",
        "browser": None,
        "platform": "linux/x64",
        "worker": {"id": None},
    }


async def test_session_without_start_stays_stopped(waha: Waha) -> None:
    created = await waha.post("/api/sessions", {"name": "snd_17"})
    assert (created.status_code, created.content) == (201, b"")
    assert (await waha.http.get("/api/sessions/snd_17")).json()["status"] == "STOPPED"
    assert (await waha.http.get("/api/sessions")).json() == []
    assert len((await waha.http.get("/api/sessions?all=true")).json()) == 1


async def test_session_that_exists(waha: Waha) -> None:
    await waha.post("/api/sessions", {"name": "snd_17"})
    again = await waha.post("/api/sessions", {"name": "snd_17"})
    assert again.status_code == 422
    assert again.json()["message"] == "Session 'snd_17' already exists. Use PUT to update it."


async def test_session_name_is_checked(waha: Waha) -> None:
    refused = await waha.post("/api/sessions", {"name": "a b"})
    assert refused.status_code == 400
    assert refused.json()["error"] == "Bad Request"


async def test_core_before_the_merger_knows_default_alone(start: Start) -> None:
    waha = await start(version="2026.2.1")
    assert (await waha.post("/api/sessions", {"name": "snd_17"})).status_code == 422
    assert (await waha.post("/api/sessions", {"name": "default"})).status_code == 422
    assert (await waha.http.get("/api/sessions/default")).json()["status"] == "STOPPED"


async def test_qr_in_three_forms(waha: Waha) -> None:
    await waha.post("/api/sessions", {"name": "snd_17", "start": True})
    await waha.until("snd_17", "SCAN_QR_CODE")
    png = await waha.http.get("/api/snd_17/auth/qr")
    assert png.headers["content-type"] == "image/png"
    assert png.content.startswith(b"\x89PNG")
    as_json = await waha.http.get("/api/snd_17/auth/qr", headers={"Accept": "application/json"})
    assert as_json.json()["mimetype"] == "image/png"
    raw = await waha.http.get("/api/snd_17/auth/qr?format=raw")
    assert raw.json()["value"].startswith("2@")


async def test_qr_in_another_status(waha: Waha) -> None:
    await waha.working_session()
    refused = await waha.http.get("/api/snd_17/auth/qr")
    assert refused.status_code == 422
    assert refused.json()["status"] == "WORKING"


@pytest.mark.parametrize(
    "config", ["x", {"webhooks": 7}, {"webhooks": [{"url": "ftp://x"}]}, {"webhooks": [{"events": []}]}, {"noweb": 1}]
)
async def test_odd_configuration_is_refused(waha: Waha, config: object) -> None:
    assert (await waha.post("/api/sessions", {"name": "snd_17", "config": {"a": 1}})).status_code == 201
    assert (await waha.http.put("/api/sessions/snd_17", json={"config": config})).status_code == 400
    assert (await waha.http.get("/api/sessions/snd_17")).status_code == 200


async def test_qr_codes_run_out(start: Start, receiver: ScriptedServer) -> None:
    waha = await start(qr_seconds=0.01)
    webhooks = [{"url": receiver.url, "events": ["session.status"]}]
    await waha.post("/api/sessions", {"name": "snd_17", "start": True, "config": {"webhooks": webhooks}})
    await waha.until("snd_17", "FAILED")

    async def told() -> bool:
        return len(events(receiver, "session.status")) == 8

    await eventually(told)
    seen = [event["payload"]["status"] for event in events(receiver, "session.status")]
    assert sorted(seen) == ["FAILED", *["SCAN_QR_CODE"] * 6, "STARTING"]


async def test_working_session_shows_its_account(waha: Waha) -> None:
    await waha.working_session()
    session = (await waha.http.get("/api/sessions/snd_17")).json()
    assert session["status"] == "WORKING"
    assert session["me"]["id"] == f"{PHONE}@c.us"
    assert session["engine"] == {"engine": "GOWS"}


async def test_stop_keeps_the_account_and_logout_does_not(waha: Waha) -> None:
    await waha.working_session()
    assert (await waha.post("/api/sessions/snd_17/stop", {})).json()["status"] == "STOPPED"
    await waha.post("/api/sessions/snd_17/start", {})
    await waha.until("snd_17", "WORKING")
    await waha.post("/api/sessions/snd_17/logout", {})
    await waha.until("snd_17", "SCAN_QR_CODE")


async def test_delete_is_repeatable(waha: Waha) -> None:
    await waha.working_session()
    for _ in range(2):
        deleted = await waha.http.delete("/api/sessions/snd_17")
        assert (deleted.status_code, deleted.content) == (200, b"")
    missing = await waha.http.get("/api/sessions/snd_17")
    assert (missing.status_code, missing.json()["message"]) == (404, "Session not found")


async def test_send_on_noweb(start: Start) -> None:
    waha = await start(engine="NOWEB")
    await waha.working_session()
    sent = await waha.post("/api/sendText", text(id="3EB0A1B2C3D4E5F60718"))
    body = sent.json()
    assert sent.status_code == 201
    assert body["key"] == {"remoteJid": "12132132130@s.whatsapp.net", "fromMe": True, "id": "3EB0A1B2C3D4E5F60718"}
    assert body["status"] == "PENDING"


async def test_send_on_gows(waha: Waha) -> None:
    await waha.working_session()
    sent = await waha.post("/api/sendText", text(id="3EB0A1B2C3D4E5F60718"))
    assert sent.json()["id"] == "true_12132132130@c.us_3EB0A1B2C3D4E5F60718"


@pytest.mark.parametrize(
    "options", [{"engine": "WEBJS"}, {"engine": "NOWEB", "version": "2026.4.2", "tier": "PLUS"}, {"engine": "WPP"}]
)
async def test_client_id_is_ignored(start: Start, options: dict[str, str]) -> None:
    waha = await start(**options)
    await waha.working_session()
    await waha.post("/api/sendText", text(id="3EB0A1B2C3D4E5F60718"))
    arrived = (await waha.phone())["messages"]
    assert len(arrived) == 1
    assert arrived[0]["id"] != "3EB0A1B2C3D4E5F60718"


async def test_same_id_twice_goes_out_twice(waha: Waha) -> None:
    await waha.working_session()
    for _ in range(2):
        await waha.post("/api/sendText", text(id="3EB0A1B2C3D4E5F60718"))
    phone = await waha.phone()
    assert (phone["count"], phone["distinct"]) == (2, 1)
    assert phone["duplicates"] == [{"chat_id": TO, "text": "Hello Ana", "times": 2}]


async def test_chat_ids_are_not_validated(waha: Waha) -> None:
    await waha.working_session()
    assert (await waha.post("/api/sendText", text("+1 213 213 2130@c.us"))).status_code == 201
    assert (await waha.post("/api/sendText", text("12132130000@c.us"))).status_code == 201
    assert (await waha.phone())["count"] == 0
    assert (await waha.post("/api/sendText", text("12132132130"))).status_code == 201
    assert (await waha.phone())["count"] == 1


async def test_wrong_status(waha: Waha) -> None:
    await waha.post("/api/sessions", {"name": "snd_17", "start": True})
    await waha.until("snd_17", "SCAN_QR_CODE")
    refused = await waha.post("/api/sendText", text())
    assert refused.status_code == 422
    assert refused.json() == {
        "error": "Session status is not as expected. Try again later or restart the session",
        "session": "snd_17",
        "status": "SCAN_QR_CODE",
        "expected": ["WORKING"],
    }


async def test_wrong_status_is_waited_for(start: Start) -> None:
    waha = await start(patience_seconds=5)
    await waha.working_session()
    await waha.post("/simulator/sessions/snd_17/status", {"status": "STARTING"})
    sending = asyncio.create_task(waha.post("/api/sendText", text()))
    await waha.post("/simulator/sessions/snd_17/status", {"status": "WORKING"})
    assert (await sending).status_code == 201


async def test_missing_session(waha: Waha) -> None:
    refused = await waha.post("/api/sendText", text())
    assert refused.status_code == 422
    assert refused.json() == {"error": 'Session "snd_17" does not exist', "session": "snd_17"}


async def test_missing_text_is_a_type_error(waha: Waha) -> None:
    await waha.working_session()
    failed = await waha.post("/api/sendText", {"session": "snd_17", "chatId": TO})
    assert failed.status_code == 500
    assert failed.json()["exception"]["name"] == "TypeError"
    assert failed.json()["request"]["body"]["chatId"] == TO


async def test_files_need_the_merger_or_plus(start: Start) -> None:
    waha = await start(version="2026.2.1")
    body = {"session": "default", "chatId": TO, "file": {"mimetype": "image/jpeg", "url": "http://127.0.0.1/a.jpg"}}
    refused = await waha.post("/api/sendImage", body)
    assert refused.status_code == 422
    assert "available only in Plus version" in refused.json()["message"]


async def test_check_exists(waha: Waha) -> None:
    await waha.working_session()
    path = "/api/contacts/check-exists?session=snd_17&phone="
    assert (await waha.http.get(path + "12132132130")).json() == {"numberExists": True, "chatId": TO}
    assert (await waha.http.get(path + "12132130000")).json() == {"numberExists": False}


@pytest.mark.parametrize(
    ("phone", "account"),
    [
        ("5531988887777", "553188887777"),
        ("553188887777", "553188887777"),
        ("5511988887777", "5511988887777"),
        ("551188887777", "5511988887777"),
        ("551133334444", "551133334444"),
    ],
)
async def test_brazilian_ninth_digit(waha: Waha, phone: str, account: str) -> None:
    await waha.working_session()
    found = await waha.http.get(f"/api/contacts/check-exists?session=snd_17&phone={phone}")
    assert found.json()["chatId"] == f"{account}@c.us"
    await waha.post("/api/sendText", text(f"{phone}@c.us"))
    assert (await waha.phone())["count"] == (1 if phone == account else 0)


async def test_lookup_by_id(waha: Waha) -> None:
    await waha.working_session()
    await waha.post("/api/sendText", text(id="3EB0AAAABBBBCCCC2222"))
    found = (await waha.http.get("/api/snd_17/chats/all/messages/3EB0AAAABBBBCCCC2222?downloadMedia=false")).json()
    assert found["id"] == "true_12132132130@c.us_3EB0AAAABBBBCCCC2222"
    assert (found["fromMe"], found["source"], found["body"]) == (True, "api", "Hello Ana")
    missing = await waha.http.get("/api/snd_17/chats/all/messages/3EB0FFFF")
    assert (missing.status_code, missing.json()["message"]) == (404, "Message not found")


async def test_lookup_needs_the_store_on_noweb(start: Start) -> None:
    waha = await start(engine="NOWEB")
    await waha.post("/api/sessions", {"name": "snd_17", "start": True, "config": {}})
    await waha.until("snd_17", "SCAN_QR_CODE")
    await waha.post("/simulator/sessions/snd_17/scan", {"phone": PHONE})
    assert (await waha.http.get("/api/snd_17/chats/all/messages/3EB0AAAA")).status_code == 400


async def test_lookup_by_chat(waha: Waha) -> None:
    await waha.working_session()
    for number in ("12132132130", "12132132131"):
        await waha.post("/api/sendText", text(f"{number}@c.us"))
    filters = "filter.fromMe=true&filter.timestamp.gte=1&sortBy=timestamp&sortOrder=desc"
    one = (await waha.http.get(f"/api/snd_17/chats/{TO}/messages?limit=50&{filters}")).json()
    assert [message["from"] for message in one] == [TO]
    both = (await waha.http.get(f"/api/snd_17/chats/all/messages?limit=50&{filters}")).json()
    assert len(both) == 2
    assert (await waha.http.get("/api/snd_17/chats/all/messages?filter.timestamp.lte=1")).json() == []


async def test_restricted_session_refuses_new_chats(waha: Waha, receiver: ScriptedServer) -> None:
    await waha.working_session(webhook=receiver.url)
    await waha.post("/api/sendText", text())
    await waha.post("/simulator/sessions/snd_17/restrict", {"seconds": 3600})
    assert (await waha.post("/api/sendText", text())).status_code == 201
    refused = await waha.post("/api/sendText", text("12132132131@c.us"))
    assert refused.json()["exception"]["message"] == "2 UNKNOWN: server returned error 463"

    async def told() -> bool:
        return any("data" in event["payload"] for event in events(receiver, "session.status"))

    await eventually(told)


def tear(file: Path) -> None:
    """Leave half a line, as a process that is killed while it writes."""
    with file.open("ab") as torn:
        torn.write(b'{"arrival": {"sess')


async def test_state_survives_a_restart(start: Start, tmp_path: Path) -> None:
    file = str(tmp_path / "simulator.jsonl")
    first = await start(file=file)
    await first.working_session()
    await first.post("/api/sendText", text(id="3EB0AAAABBBBCCCC2222"))
    tear(Path(file))
    second = await start(file=file)
    await second.until("snd_17", "WORKING")
    assert (await second.phone())["count"] == 1
    found = (await second.http.get("/api/snd_17/chats/all/messages/3EB0AAAABBBBCCCC2222")).json()
    assert found["source"] == "app"


async def test_reset(waha: Waha) -> None:
    await waha.working_session()
    await waha.post("/api/sendText", text())
    assert (await waha.http.delete("/simulator/state")).status_code == 204
    assert (await waha.phone())["count"] == 0
    assert (await waha.http.get("/api/sessions?all=true")).json() == []


async def test_page_shows_what_arrived(waha: Waha) -> None:
    await waha.working_session()
    await waha.post("/api/sendText", text() | {"text": "<b>Hello</b>"})
    page = (await waha.http.get("/")).text
    assert "1 messages arrived, 0 of them repeated" in page
    assert "&lt;b&gt;Hello&lt;/b&gt;" in page


async def test_page_scans(waha: Waha) -> None:
    await waha.post("/api/sessions", {"name": "snd_17", "start": True})
    await waha.until("snd_17", "SCAN_QR_CODE")
    scanned = await waha.http.post("/simulator/sessions/snd_17/scan", data={"phone": PHONE})
    assert (scanned.status_code, scanned.headers["location"]) == (303, "/")
    await waha.until("snd_17", "WORKING")


async def test_typing_and_seen(waha: Waha) -> None:
    await waha.working_session()
    for path in ("/api/startTyping", "/api/stopTyping"):
        assert (await waha.post(path, {"session": "snd_17", "chatId": TO})).json() == {"result": True}
    assert (await waha.post("/api/sendSeen", {"session": "snd_17", "chatId": TO})).json() == {"ids": []}


def test_options_come_from_a_command_line() -> None:
    assert DEFAULT_PORT == 3000
    assert callable(create({"engine": "NOWEB", "patience_seconds": "0.5", "ninth_digit": "false"}))


@pytest.mark.parametrize("wrong", [{"motor": "NOWEB"}, {"engine": "ROCKET"}, {"seed": "x"}])
def test_wrong_options_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"motor|engine|seed"):
        create(wrong)
