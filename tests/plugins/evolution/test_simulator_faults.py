"""The simulator fails as Evolution does, and as a proxy before it or a network does, when it is told to."""

from typing import Any

import httpx
import pytest

from tests.plugins.evolution import simulator_conftest
from tests.plugins.evolution.simulator_conftest import ADDRESS, TO, Evolution, eventually

start_evolution, evolution = simulator_conftest.start_evolution, simulator_conftest.evolution


def error(status: int, name: str, message: object) -> dict[str, object]:
    return {"status": status, "error": name, "response": {"message": message}}


@pytest.mark.parametrize(
    ("kind", "status", "body"),
    [
        ("200_error", 200, {"error": True, "message": "[object Object]"}),
        ("400_engine", 400, error(400, "Bad Request", ["Error: Internal Server Error"])),
        (
            "400_not_on_whatsapp",
            400,
            error(400, "Bad Request", [{"jid": ADDRESS, "exists": False, "number": TO}]),
        ),
        ("401", 401, error(401, "Unauthorized", "Unauthorized")),
        ("404", 404, error(404, "Not Found", ['The "snd_17" instance does not exist'])),
        ("500", 500, error(500, "Internal Server Error", "Internal Server Error")),
        ("500_connection_closed", 500, error(500, "Internal Server Error", "Connection Closed")),
        ("500_media_upload", 500, error(500, "Internal Server Error", "Error: Media upload failed on all hosts")),
    ],
)
async def test_failures_in_evolutions_bodies(evolution: Evolution, kind: str, status: int, body: Any) -> None:
    await evolution.open()
    await evolution.fault(kind)
    failed = await evolution.send()
    assert (failed.status_code, failed.json()) == (status, body)
    assert (await evolution.phone())["count"] == 0
    assert (await evolution.send()).status_code == 201


@pytest.mark.parametrize("kind", ["429", "502", "503"])
async def test_failures_of_a_proxy(evolution: Evolution, kind: str) -> None:
    await evolution.open()
    await evolution.fault(kind, seconds=7)
    failed = await evolution.send()
    assert (failed.status_code, failed.headers["content-type"]) == (int(kind), "text/html")
    assert failed.headers.get("retry-after") == ("7" if kind == "429" else None)


async def test_licence_and_boom(evolution: Evolution) -> None:
    await evolution.open()
    await evolution.fault("licence")
    await evolution.fault("boom")
    assert (await evolution.send()).json()["code"] == "LICENSE_REQUIRED"
    assert (await evolution.send()).json()["output"]["statusCode"] == 428


async def test_malformed_success_goes_out(evolution: Evolution) -> None:
    await evolution.open()
    await evolution.fault("malformed")
    sent = await evolution.send()
    assert (sent.status_code, sent.content) == (201, b'{"key": {"id": ')
    assert (await evolution.phone())["count"] == 1


async def test_a_failure_that_goes_out_all_the_same(evolution: Evolution) -> None:
    await evolution.open()
    await evolution.fault("500_connection_closed", executed=True)
    assert (await evolution.send()).status_code == 500
    assert (await evolution.phone())["count"] == 1


async def test_cut_response(evolution: Evolution) -> None:
    await evolution.open()
    await evolution.fault("drop_response")
    with pytest.raises(httpx.RemoteProtocolError):
        await evolution.send()
    assert (await evolution.phone())["count"] == 1


async def test_late_success_after_the_client_gave_up(evolution: Evolution) -> None:
    await evolution.open()
    await evolution.fault("late_success", seconds=0.5)
    body = {"number": TO, "text": "Hello"}
    with pytest.raises(httpx.ReadTimeout):
        await evolution.http.post("/message/sendText/snd_17", json=body, timeout=0.1)
    assert (await evolution.phone())["count"] == 0

    async def arrived() -> bool:
        return bool((await evolution.phone())["count"] == 1)

    await eventually(arrived)


async def test_late_success_keeps_the_answer(evolution: Evolution) -> None:
    await evolution.open()
    for _ in range(2):
        await evolution.fault("late_success", seconds=0.01)
    assert (await evolution.send()).status_code == 201
    assert (await evolution.send(number="12132130000")).status_code == 400


async def test_hanging_request_sends_nothing(evolution: Evolution) -> None:
    await evolution.open()
    await evolution.fault("hang")
    with pytest.raises(httpx.ReadTimeout):
        await evolution.http.post("/message/sendText/snd_17", json={"number": TO, "text": "Hello"}, timeout=0.1)
    assert (await evolution.phone())["count"] == 0


async def test_faults_strike_what_they_match(evolution: Evolution) -> None:
    await evolution.open()
    await evolution.fault("503", match={"chat_id": "12132132131", "text": "Hel"}, count=-1)
    assert (await evolution.send()).status_code == 201
    assert (await evolution.send("Bye", number="12132132131")).status_code == 201
    for _ in range(3):
        assert (await evolution.send(number="+1 213 213 2131")).status_code == 503
    (order,) = await evolution.get("/simulator/faults")
    assert order["struck"] == 3
    assert (await evolution.http.delete("/simulator/faults")).status_code == 204
    assert (await evolution.send(number="12132132131")).status_code == 201


async def test_faults_of_other_calls_have_a_path(evolution: Evolution) -> None:
    await evolution.open()
    await evolution.fault("500")
    assert (await evolution.post("/chat/whatsappNumbers/snd_17", {"numbers": [TO]})).status_code == 200
    await evolution.fault("200_error", match={"path": "/instance/connect/"})
    assert await evolution.get("/instance/connect/snd_17") == {"error": True, "message": "[object Object]"}
    assert (await evolution.send()).status_code == 500


async def test_unknown_faults_are_refused(evolution: Evolution) -> None:
    assert (await evolution.post("/simulator/faults", {"kind": "bad_luck"})).status_code == 400
