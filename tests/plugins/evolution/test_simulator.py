"""The simulator answers as Evolution v2 does: the server, its instances, sends and look-ups."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from plugins.evolution.simulator import DEFAULT_PORT, create
from tests.plugins.evolution import simulator_conftest
from tests.plugins.evolution.simulator_conftest import ADDRESS, PHONE, TO, TOKEN, Evolution, eventually

start_evolution, evolution = simulator_conftest.start_evolution, simulator_conftest.evolution

Start = Callable[..., Awaitable[Evolution]]


def error(status: int, name: str, message: object) -> dict[str, object]:
    return {"status": status, "error": name, "response": {"message": message}}


def closed(status: int = 500) -> dict[str, object]:
    return error(status, "Internal Server Error", "Connection Closed")


async def test_root_is_open_and_shows_the_version(evolution: Evolution) -> None:
    async with httpx.AsyncClient(base_url=evolution.http.base_url) as stranger:
        root = (await stranger.get("/")).json()
    assert (root["status"], root["version"]) == (200, "2.3.7")
    assert root["message"] == "Welcome to the Evolution API, it is working!"
    assert {"clientName", "manager", "documentation", "whatsappWebVersion"} <= set(root)


async def test_wrong_key(evolution: Evolution) -> None:
    refused = await evolution.http.post("/verify-creds", headers={"apikey": "another"})
    assert refused.status_code == 401
    assert refused.json() == error(401, "Unauthorized", "Unauthorized")
    assert (await evolution.http.post("/verify-creds")).status_code == 200


async def test_missing_instance_comes_before_the_key(evolution: Evolution) -> None:
    refused = await evolution.http.get("/instance/connectionState/nope", headers={"apikey": "another"})
    assert refused.status_code == 404
    assert refused.json() == error(404, "Not Found", ['The "nope" instance does not exist'])


async def test_a_token_opens_its_own_instance_alone(evolution: Evolution) -> None:
    await evolution.create("snd_17")
    await evolution.create("snd_18", token="another-token")
    own = {"apikey": TOKEN}
    assert (await evolution.http.get("/instance/connectionState/snd_17", headers=own)).status_code == 200
    assert (await evolution.http.get("/instance/connectionState/snd_18", headers=own)).status_code == 401
    assert (await evolution.http.post("/instance/create", headers=own, json={})).status_code == 401
    listed = (await evolution.http.get("/instance/fetchInstances", headers=own)).json()
    assert [one["name"] for one in listed] == ["snd_17"]


async def test_unknown_route(evolution: Evolution) -> None:
    missing = await evolution.http.put("/instance/restart/snd_17")
    assert missing.status_code == 404
    assert missing.json() == error(404, "Not Found", ["Cannot PUT /instance/restart/snd_17"])


async def test_broken_json(evolution: Evolution) -> None:
    refused = await evolution.http.post("/instance/create", content=b'{"instanceName":')
    assert (refused.status_code, refused.json()["error"]) == (400, "Internal Server Error")


async def test_unlicensed_2_4_refuses_everything_but_its_root(start_evolution: Start) -> None:
    evolution = await start_evolution(version="2.4.0")
    assert (await evolution.get("/"))["version"] == "2.4.0"
    refused = await evolution.http.get("/instance/fetchInstances")
    body = refused.json()
    assert (refused.status_code, body["error"], body["code"]) == (503, "service not activated", "LICENSE_REQUIRED")
    assert set(body) == {"error", "code", "register_url", "instance_id", "docs_url", "message"}
    assert (await evolution.send()).status_code == 503


async def test_licensed_2_4_takes_client_ids(start_evolution: Start) -> None:
    evolution = await start_evolution(version="2.4.0", licensed=True)
    await evolution.open()
    sent = await evolution.send(messageId="3EB0A1B2C3D4E5F60718")
    assert sent.json()["key"]["id"] == "3EB0A1B2C3D4E5F60718"


async def test_create(evolution: Evolution) -> None:
    created = await evolution.create(groupsIgnore=True)
    body = created.json()
    assert created.status_code == 201
    instance_id = body["instance"].pop("instanceId")
    assert len(instance_id) == 36
    assert body["instance"] == {
        "instanceName": "snd_17",
        "integration": "WHATSAPP-BAILEYS",
        "webhookWaBusiness": None,
        "accessTokenWaBusiness": "",
        "status": "connecting",
    }
    assert body["hash"] == TOKEN
    assert body["settings"]["groupsIgnore"] is True
    assert (body["qrcode"]["pairingCode"], body["qrcode"]["count"]) == (None, 1)
    assert body["qrcode"]["code"].startswith("2@")
    assert body["qrcode"]["base64"].startswith("data:image/png;base64,")


async def test_create_without_a_qr_code_stays_closed(evolution: Evolution) -> None:
    created = (await evolution.create(qrcode=False, token="")).json()
    assert (created["instance"]["status"], "qrcode" in created) == ("close", False)
    assert len(created["hash"]) == 36


async def test_name_in_use(evolution: Evolution) -> None:
    await evolution.create()
    again = await evolution.create()
    assert again.status_code == 403
    assert again.json() == error(403, "Forbidden", ['This name "snd_17" is already in use.'])


async def test_create_wants_a_name_and_an_integration(evolution: Evolution) -> None:
    nameless = await evolution.post("/instance/create", {"integration": "WHATSAPP-BAILEYS"})
    assert nameless.json() == error(400, "Bad Request", [['instance requires property "instanceName"']])
    refused = await evolution.post("/instance/create", {"instanceName": "snd_17"})
    assert refused.json() == error(400, "Bad Request", ["Invalid integration"])


async def test_connect_shows_the_qr_code_and_when_open_the_state(evolution: Evolution) -> None:
    await evolution.create(qrcode=False)
    shown = await evolution.get("/instance/connect/snd_17")
    assert (shown["pairingCode"], shown["count"], shown["code"][:2]) == (None, 1, "2@")
    assert await evolution.state() == "connecting"
    await evolution.post("/simulator/sessions/snd_17/scan", {"phone": PHONE})
    assert await evolution.get("/instance/connect/snd_17") == {"instance": {"instanceName": "snd_17", "state": "open"}}


async def test_a_pairing_code_is_made_only_from_close(evolution: Evolution) -> None:
    await evolution.create(qrcode=False)
    shown = await evolution.get(f"/instance/connect/snd_17?number={PHONE}")
    assert len(shown["pairingCode"]) == 8
    await evolution.create("snd_18")
    assert (await evolution.get(f"/instance/connect/snd_18?number={PHONE}"))["pairingCode"] is None


async def test_connect_without_a_network(evolution: Evolution) -> None:
    await evolution.open()
    await evolution.post("/simulator/sessions/snd_17/network", {"online": False})

    async def counts() -> bool:
        return bool(await evolution.get("/instance/connect/snd_17") == {"count": 0})

    await eventually(counts)
    await evolution.post("/simulator/sessions/snd_17/network", {"online": True})
    await evolution.until("open")


async def test_fetch_instances(evolution: Evolution) -> None:
    await evolution.open("snd_17")
    await evolution.create("snd_18", qrcode=False)
    (opened,) = await evolution.get("/instance/fetchInstances?instanceName=snd_17")
    assert (opened["name"], opened["connectionStatus"], opened["token"]) == ("snd_17", "open", TOKEN)
    assert (opened["ownerJid"], opened["disconnectionReasonCode"]) == (f"{PHONE}@s.whatsapp.net", None)
    assert len(await evolution.get("/instance/fetchInstances")) == 2
    assert len(await evolution.get(f"/instance/fetchInstances?instanceId={opened['id']}")) == 1
    assert len(await evolution.get(f"/instance/fetchInstances?number={PHONE}")) == 1
    missing = await evolution.http.get("/instance/fetchInstances?instanceName=nope")
    assert missing.json() == error(404, "Not Found", ['Instance "nope" not found'])


async def test_a_phone_that_logs_out_is_remembered(evolution: Evolution) -> None:
    await evolution.open()
    await evolution.post("/simulator/sessions/snd_17/state", {"state": "close", "reason": 401, "forget": True})
    (shown,) = await evolution.get("/instance/fetchInstances")
    assert (shown["connectionStatus"], shown["disconnectionReasonCode"]) == ("close", 401)
    assert '"statusCode":401' in shown["disconnectionObject"]


async def test_restart(evolution: Evolution) -> None:
    await evolution.open()
    restarted = await evolution.http.post("/instance/restart/snd_17")
    assert restarted.json()["instance"]["instanceName"] == "snd_17"
    await evolution.until("open")


async def test_restart_of_a_closed_instance_hides_its_error_in_200(evolution: Evolution) -> None:
    await evolution.create(qrcode=False)
    failed = await evolution.http.post("/instance/restart/snd_17")
    assert (failed.status_code, failed.json()) == (200, {"error": True, "message": "[object Object]"})


async def test_logout(evolution: Evolution) -> None:
    await evolution.open()
    done = (await evolution.http.delete("/instance/logout/snd_17")).json()
    assert done == {"status": "SUCCESS", "error": False, "response": {"message": "Instance logged out"}}
    assert await evolution.state() == "close"
    again = await evolution.http.delete("/instance/logout/snd_17")
    assert again.json() == error(400, "Bad Request", ['The "snd_17" instance is not connected'])


async def test_delete(evolution: Evolution) -> None:
    await evolution.open()
    done = (await evolution.http.delete("/instance/delete/snd_17")).json()
    assert done == {"status": "SUCCESS", "error": False, "response": {"message": "Instance deleted"}}
    assert (await evolution.http.get("/instance/connectionState/snd_17")).status_code == 404


async def test_presence(evolution: Evolution) -> None:
    await evolution.open()
    shown = await evolution.post("/instance/setPresence/snd_17", {"presence": "available"})
    assert (shown.status_code, shown.json()) == (201, {"presence": "available"})
    assert (await evolution.post("/instance/setPresence/snd_17", {"presence": "asleep"})).status_code == 400


async def _acknowledged(evolution: Evolution, message_id: str) -> list[Any]:
    async def read() -> bool:
        return len(await statuses()) == 3

    async def statuses() -> list[Any]:
        found = await evolution.post("/chat/findStatusMessage/snd_17", {"where": {"id": message_id}})
        return list(found.json())

    await eventually(read)
    return await statuses()


async def test_lookup_by_id(evolution: Evolution) -> None:
    await evolution.open()
    message_id = (await evolution.send()).json()["key"]["id"]
    await evolution.send("Another")
    await _acknowledged(evolution, message_id)
    found = await evolution.post(
        "/chat/findMessages/snd_17", {"where": {"key": {"id": message_id}}, "page": 1, "offset": 20}
    )
    messages = found.json()["messages"]
    assert (messages["total"], messages["pages"], messages["currentPage"]) == (1, 1, 1)
    (record,) = messages["records"]
    assert record["key"] == {"remoteJid": ADDRESS, "fromMe": True, "id": message_id}
    assert record["message"] == {"conversation": "Hello"}
    assert record["MessageUpdate"] == [{"status": status} for status in ("SERVER_ACK", "DELIVERY_ACK", "READ")]
    assert record["id"] != message_id


async def test_lookup_by_chat_in_pages_newest_first(evolution: Evolution) -> None:
    await evolution.open()
    for text in ("one", "two", "three"):
        await evolution.send(text)
    await evolution.send("elsewhere", number="12132132131")
    where = {"key": {"remoteJid": ADDRESS, "fromMe": True}}
    pages = []
    for page in (1, 2):
        body = {"where": where, "page": page, "offset": 2}
        pages.append((await evolution.post("/chat/findMessages/snd_17", body)).json()["messages"])
    texts = [[record["message"]["conversation"] for record in page["records"]] for page in pages]
    assert texts == [["three", "two"], ["one"]]
    assert (pages[0]["total"], pages[0]["pages"]) == (3, 2)


async def test_status_rows(evolution: Evolution) -> None:
    await evolution.open()
    message_id = (await evolution.send()).json()["key"]["id"]
    rows = await _acknowledged(evolution, message_id)
    assert [row["status"] for row in rows] == ["SERVER_ACK", "DELIVERY_ACK", "READ"]
    assert {(row["keyId"], row["remoteJid"], row["fromMe"]) for row in rows} == {(message_id, ADDRESS, True)}


async def test_a_server_that_saves_nothing_finds_nothing(start_evolution: Start) -> None:
    evolution = await start_evolution(saves_messages=False)
    await evolution.open()
    message_id = (await evolution.send()).json()["key"]["id"]
    found = await evolution.post("/chat/findMessages/snd_17", {"where": {"key": {"id": message_id}}})
    assert found.json() == {"messages": {"total": 0, "pages": 0, "currentPage": 1, "records": []}}
    assert (await evolution.post("/chat/findStatusMessage/snd_17", {"where": {"id": message_id}})).json() == []


async def test_chats_and_contacts(evolution: Evolution) -> None:
    await evolution.open()
    await evolution.send("one")
    await evolution.send("two", number="12132132131")
    await evolution.send("three")
    chats = (await evolution.post("/chat/findChats/snd_17", {})).json()
    assert [chat["remoteJid"] for chat in chats] == [ADDRESS, "12132132131@s.whatsapp.net"]
    contacts = (await evolution.post("/chat/findContacts/snd_17", {"where": {"remoteJid": ADDRESS}})).json()
    assert [contact["remoteJid"] for contact in contacts] == [ADDRESS]


async def test_phone_counts_repetitions(evolution: Evolution) -> None:
    await evolution.open()
    for _ in range(2):
        await evolution.send()
    phone = await evolution.phone()
    assert (phone["count"], phone["distinct"]) == (2, 1)
    assert phone["duplicates"] == [{"chat_id": ADDRESS, "text": "Hello", "times": 2}]


async def test_page_shows_what_arrived(evolution: Evolution) -> None:
    await evolution.open()
    await evolution.send("<b>Hello</b>")
    page = (await evolution.http.get("/simulator")).text
    assert "1 messages arrived, 0 of them repeated" in page
    assert "&lt;b&gt;Hello&lt;/b&gt;" in page


async def test_page_scans(evolution: Evolution) -> None:
    await evolution.create()
    scanned = await evolution.http.post("/simulator/sessions/snd_17/scan", data={"phone": PHONE})
    assert (scanned.status_code, scanned.headers["location"]) == (303, "/simulator")
    assert await evolution.state() == "open"
    assert (await evolution.post("/simulator/sessions/snd_17/scan", {"phone": PHONE})).status_code == 409


async def test_reset(evolution: Evolution) -> None:
    await evolution.open()
    await evolution.send()
    assert (await evolution.http.delete("/simulator/state")).status_code == 204
    assert (await evolution.phone())["count"] == 0
    assert await evolution.get("/instance/fetchInstances") == []


async def test_no_key_is_asked_for_without_one(start_evolution: Start) -> None:
    evolution = await start_evolution(api_key="")
    stranger = await evolution.http.get("/instance/fetchInstances", headers={"apikey": ""})
    assert stranger.status_code == 200


def test_options_come_from_a_command_line() -> None:
    assert DEFAULT_PORT == 8080
    assert callable(create({"version": "1.8.2", "ack_seconds": "0.5", "ninth_digit": "false"}))


@pytest.mark.parametrize("wrong", [{"motor": "NOWEB"}, {"version": "3.0.0"}, {"seed": "x"}])
def test_wrong_options_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"motor|version|seed"):
        create(wrong)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/instance/create", {"instanceName": "a", "integration": {}}, 400),
        ("/instance/setPresence/snd_17", {"presence": []}, 400),
        ("/chat/sendPresence/snd_17", {"number": TO, "delay": [], "presence": {}}, 400),
        ("/webhook/set/snd_17", {"webhook": {"enabled": True, "url": "https://p.example", "events": [[]]}}, 400),
        ("/message/sendPoll/snd_17", {"number": TO, "name": {}, "selectableCount": 1, "values": 7}, 400),
        ("/message/sendMedia/snd_17", {"number": TO, "mediatype": {}, "media": 1}, 400),
        ("/chat/findMessages/snd_17", {"where": {"key": {"id": {}}}, "page": "x"}, 200),
        ("/instance/create", [], 400),
    ],
)
async def test_odd_bodies(evolution: Evolution, path: str, body: object, status: int) -> None:
    await evolution.open()
    assert (await evolution.post(path, body)).status_code == status
