"""Restarts, pictures, read marks, repairs of webhooks, reports of servers."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from core.plugin import (
    Capabilities,
    MisconfiguredError,
    ReadMarks,
    RefusedError,
    Restarting,
    Screenshots,
    Sender,
    SenderState,
    ServerReport,
    ServerReporting,
    UncertainError,
    WebhookRepair,
    WebhookTarget,
)
from core.plugin.testing import Answer, Hang, ScriptedServer
from plugins.waha import sessions
from plugins.waha.provider import WahaProvider
from tests.plugins.waha.conftest import HMAC_KEY, HOOK, TO, Waha, connect, sender_on

Start = Callable[..., Awaitable[Waha]]
PNG = b"\x89PNG\r\n\x1a\n"
BROWSER = Capabilities(engine="WEBJS", screenshots=True)


@pytest.mark.parametrize("group", [ReadMarks, Restarting, Screenshots, WebhookRepair, ServerReporting])
def test_groups_of_the_protocol(provider: WahaProvider, group: type) -> None:
    assert isinstance(provider, group)


class TestRestart:
    async def test_it_keeps_the_sign_in(self, provider: WahaProvider, waha: Waha) -> None:
        sender = await connect(provider, waha)
        assert (await provider.restart(sender)).state is SenderState.STARTING
        await waha.until("snd_17", "WORKING")

    async def test_a_failed_number_comes_back(self, provider: WahaProvider, waha: Waha) -> None:
        sender = await connect(provider, waha)
        await waha.post("/simulator/sessions/snd_17/status", {"status": "FAILED"})
        await provider.restart(sender)
        await waha.until("snd_17", "WORKING")

    async def test_a_number_the_server_does_not_know(self, provider: WahaProvider, waha: Waha) -> None:
        with pytest.raises(RefusedError, match="does not know this number"):
            await provider.restart(sender_on(waha.url))

    async def test_an_empty_answer_is_asked_after(self, provider: WahaProvider) -> None:
        restart = {"/api/sessions/snd_17/restart": Answer(201, b"")}
        async with ScriptedServer(Answer(200, b'{"status": "WORKING"}'), restart) as server:
            assert (await provider.restart(sender_on(server.url))).state is SenderState.CONNECTED
            assert [(one.method, one.target) for one in server.requests] == [
                ("POST", "/api/sessions/snd_17/restart"),
                ("GET", "/api/sessions/snd_17"),
            ]


class TestScreenshot:
    @pytest.mark.parametrize("engine", ["WEBJS", "WPP"])
    async def test_of_a_browser(self, provider: WahaProvider, start: Start, engine: str) -> None:
        sender = await connect(provider, await start(engine=engine))
        assert sender.capabilities.screenshots
        picture = await provider.screenshot(sender)
        assert (picture.mimetype, picture.content[:8]) == ("image/png", PNG)

    @pytest.mark.parametrize("engine", ["GOWS", "NOWEB"])
    async def test_of_an_engine_without_one(self, provider: WahaProvider, start: Start, engine: str) -> None:
        sender = await connect(provider, await start(engine=engine))
        assert not sender.capabilities.screenshots
        with pytest.raises(RefusedError, match=f"The engine {engine} has no browser"):
            await provider.screenshot(sender)

    async def test_of_a_stopped_number(self, provider: WahaProvider, start: Start) -> None:
        sender = await connect(provider, await start(engine="WEBJS"))
        await provider.stop(sender)
        with pytest.raises(RefusedError, match="is not running"):
            await provider.screenshot(sender)

    @pytest.mark.parametrize(
        ("beginning", "mimetype"), [(PNG, "image/png"), (b"\xff\xd8\xff\xe0\x00\x10JFIF", "image/jpeg")]
    )
    async def test_what_is_asked_and_said(self, provider: WahaProvider, beginning: bytes, mimetype: str) -> None:
        """WAHA says that it is a JPEG, whatever it is."""
        answer = Answer(200, beginning + b"...", {"Content-Type": "image/jpeg"})
        async with ScriptedServer(answer) as server:
            picture = await provider.screenshot(sender_on(server.url, BROWSER))
            (request,) = server.requests
        assert (request.method, request.target) == ("GET", "/api/screenshot?session=snd_17")
        assert (picture.mimetype, picture.content) == (mimetype, beginning + b"...")

    @pytest.mark.parametrize("content", [b"", b"<html>", b'{"mimetype": "image/png", "data": ""}'])
    async def test_what_is_no_picture(self, provider: WahaProvider, content: bytes) -> None:
        async with ScriptedServer(Answer(200, content)) as server:
            with pytest.raises(UncertainError, match="no picture"):
                await provider.screenshot(sender_on(server.url, BROWSER))

    async def test_an_engine_without_a_browser_shows_its_code(self, start: Start) -> None:
        """The service's own behaviour, which the provider does not need."""
        waha = await start(engine="NOWEB")
        await waha.post("/api/sessions", {"name": "snd_17", "start": True})
        await waha.until("snd_17", "SCAN_QR_CODE")
        shown = await waha.http.get("/api/screenshot?session=snd_17")
        assert (shown.status_code, shown.content[:8]) == (200, PNG)
        await waha.post("/simulator/sessions/snd_17/scan", {"phone": TO})
        refused = await waha.http.get("/api/screenshot?session=snd_17")
        assert refused.json()["message"] == "Can not get screenshot for non chrome based engine."
        await waha.post("/simulator/sessions/snd_17/status", {"status": "STARTING"})
        assert (await waha.http.get("/api/screenshot?session=snd_17")).status_code == 422


class TestReadMarks:
    @pytest.mark.parametrize("engine", ["GOWS", "NOWEB", "WEBJS", "WPP"])
    async def test_unread_messages_are_marked(self, provider: WahaProvider, start: Start, engine: str) -> None:
        waha = await start(engine=engine)
        sender = await connect(provider, waha)
        assert sender.capabilities.seen
        said = await waha.post("/simulator/messages", {"session": "snd_17", "from": TO, "text": "Hi"})
        await provider.mark_seen(sender, TO)
        again = await waha.post("/api/sendSeen", {"session": "snd_17", "chatId": f"{TO}@c.us"})
        assert again.json() == {"ids": None if engine == "WPP" else []}
        assert said.json()["id"].startswith(f"false_{TO}@c.us_")

    async def test_what_is_asked(self, provider: WahaProvider) -> None:
        async with ScriptedServer(Answer(201, b'{"ids": ["false_12132132130@c.us_3AAA"]}')) as server:
            await provider.mark_seen(sender_on(server.url), TO)
            (request,) = server.requests
        assert (request.method, request.target) == ("POST", "/api/sendSeen")
        assert json.loads(request.body) == {"session": "snd_17", "chatId": "12132132130@c.us"}

    async def test_old_messages_stay_unread(self, waha: Waha) -> None:
        await waha.working_session()
        said = (await waha.post("/simulator/messages", {"session": "snd_17", "from": TO, "text": "Hi"})).json()
        seen = await waha.post("/api/sendSeen", {"session": "snd_17", "chatId": f"{TO}@c.us"})
        assert seen.json() == {"ids": [said["id"]]}


class TestRepair:
    async def test_nothing_to_repair(self, provider: WahaProvider, waha: Waha) -> None:
        sender = await connect(provider, waha)
        before = (await waha.http.get("/api/sessions/snd_17")).json()
        assert await provider.repair_webhook(sender, HOOK) is False
        assert (await waha.http.get("/api/sessions/snd_17")).json() == before

    async def test_a_number_the_server_does_not_know(self, provider: WahaProvider, waha: Waha) -> None:
        assert await provider.repair_webhook(sender_on(waha.url), HOOK) is False

    async def test_a_stopped_number(self, provider: WahaProvider, waha: Waha) -> None:
        sender = await connect(provider, waha)
        await provider.stop(sender)
        assert await provider.repair_webhook(sender, WebhookTarget("https://p.example/moved")) is False
        session = (await waha.http.get("/api/sessions/snd_17")).json()
        assert (session["status"], session["config"]["webhooks"][0]["url"]) == ("STOPPED", HOOK.url)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("url", "https://elsewhere.example"),
            ("events", ["message.ack"]),
            ("hmac", {"key": "another"}),
            ("hmac", None),
            ("retries", {"policy": "constant", "delaySeconds": 2, "attempts": 1}),
        ],
    )
    async def test_each_part_of_the_webhook(self, provider: WahaProvider, name: str, value: object) -> None:
        config = await present_config(provider)
        config["webhooks"][0][name] = value
        assert await repaired(provider, config) == (True, await present_config(provider))

    @pytest.mark.parametrize("changed", [{"metadata": {"number_id": "18"}}, {"webhooks": []}, {"ignore": None}])
    async def test_the_other_parts(self, provider: WahaProvider, changed: dict[str, object]) -> None:
        config = {**await present_config(provider), **changed}
        assert await repaired(provider, config) == (True, await present_config(provider))

    @pytest.mark.parametrize(
        "more",
        [
            {"proxy": {"server": "10.0.0.1:3128"}},
            {"debug": True},
            {"noweb": {"store": {"enabled": False}}},
            {"metadata": {"number_id": "17", "tenant": "a"}},
        ],
    )
    async def test_what_others_set_is_left_alone(self, provider: WahaProvider, more: dict[str, object]) -> None:
        assert await repaired(provider, {**await present_config(provider), **more}) == (False, None)

    async def test_what_others_set_survives_a_repair(self, provider: WahaProvider) -> None:
        more = {"proxy": {"server": "10.0.0.1:3128"}, "client": {"deviceName": "Shop"}}
        changed, config = await repaired(provider, {**await present_config(provider), **more, "webhooks": []})
        assert (changed, config) == (True, {**await present_config(provider), **more})

    async def test_a_masked_secret_restarts_nothing(self, provider: WahaProvider) -> None:
        config = await present_config(provider)
        config["webhooks"][0]["hmac"]["key"] = "***"
        assert await repaired(provider, config) == (False, None)

    async def test_a_session_without_a_configuration(self, provider: WahaProvider) -> None:
        assert (await repaired(provider, None))[0] is True


async def present_config(provider: WahaProvider) -> dict[str, Any]:
    """Return the configuration that a new session is given."""
    created = Answer(201, b'{"name": "snd_17", "status": "STARTING", "config": {}, "me": null}')
    async with ScriptedServer(created) as server:
        await provider.open(sender_on(server.url), HOOK)
        config: dict[str, Any] = json.loads(server.requests[0].body)["config"]
    return config


async def repaired(provider: WahaProvider, config: object) -> tuple[bool, object]:
    """Repair a session that has ``config``; return whether it differed, and what it was given."""
    session = json.dumps({"name": "snd_17", "status": "WORKING", "config": config}).encode()
    async with ScriptedServer(Answer(200, session)) as server:
        changed = await provider.repair_webhook(sender_on(server.url), HOOK)
        puts = [request for request in server.requests if request.method == "PUT"]
    assert HMAC_KEY not in str(changed)
    return changed, json.loads(puts[0].body)["config"] if puts else None


class TestReport:
    async def test_a_server_with_numbers(self, provider: WahaProvider, start: Start) -> None:
        waha = await start(engine="NOWEB", metrics_bytes=210_000_000)
        sender = await connect(provider, waha)
        await waha.post("/api/sessions", {"name": "stopped"})
        found = await provider.server_report(sender.server)
        assert found == ServerReport(
            version="2026.7.1",
            engine="NOWEB",
            started_at=found.started_at,
            memory_bytes=210_000_000,
            sessions=2,
            connected=1,
        )
        assert found.started_at is not None
        assert abs((datetime.now(UTC) - found.started_at).total_seconds()) < 60

    async def test_metrics_are_off_by_default(self, provider: WahaProvider, start: Start) -> None:
        waha = await start(engine="NOWEB")
        assert (await provider.server_report(sender_on(waha.url).server)).memory_bytes is None

    @pytest.mark.parametrize("engine", ["GOWS", "WEBJS", "WPP"])
    async def test_a_part_of_the_memory_is_not_told(self, provider: WahaProvider, start: Start, engine: str) -> None:
        waha = await start(engine=engine, metrics_bytes=1)
        found = await provider.server_report(sender_on(waha.url).server)
        assert (found.engine, found.memory_bytes, found.sessions, found.connected) == (engine, None, 0, 0)

    async def test_the_examples_of_the_documentation(self, provider: WahaProvider) -> None:
        version = b'{"version":"2026.2.1","engine":"NOWEB","tier":"CORE","browser":null,"worker":{"id":null}}'
        metrics = (
            b"# HELP waha_process_resident_memory_bytes Resident memory size in bytes.\n"
            b"# TYPE waha_process_resident_memory_bytes gauge\n"
            b'waha_process_resident_memory_bytes{app="x"} 1.5e+08\n'
        )
        routes = {
            "/api/server/version": Answer(200, version),
            "/api/server/status": Answer(
                200, b'{"startTimestamp":1723788847247,"uptime":3600000,"worker":{"id":null}}'
            ),
            "/api/sessions": Answer(200, b'[{"name":"a","status":"WORKING"},{"name":"b","status":"NEW"},{}]'),
            "/metrics": Answer(200, metrics),
        }
        async with ScriptedServer(Answer(404), routes) as server:
            found = await provider.server_report(sender_on(server.url).server)
            targets = [request.target for request in server.requests]
        assert found == ServerReport(
            version="2026.2.1",
            engine="NOWEB",
            started_at=datetime.fromtimestamp(1723788847.247, UTC),
            memory_bytes=150_000_000,
            sessions=3,
            connected=1,
        )
        assert targets == ["/api/server/version", "/api/sessions?all=true", "/api/server/status", "/metrics"]

    @pytest.mark.parametrize("status", [401, 403, 404])
    async def test_what_is_not_told(self, provider: WahaProvider, status: int) -> None:
        routes = {
            "/api/server/version": Answer(200, b'{"version":"2026.2.1","engine":"NOWEB"}'),
            "/api/sessions": Answer(200, b"[]"),
            "/api/server/status": Answer(200, b"{}") if status == 401 else Answer(404),
            "/metrics": Answer(status),
        }
        async with ScriptedServer(Answer(404), routes) as server:
            found = await provider.server_report(sender_on(server.url).server)
        assert (found.started_at, found.memory_bytes, found.sessions) == (None, None, 0)

    async def test_a_wrong_key(self, provider: WahaProvider, start: Start) -> None:
        waha = await start(api_key="another")
        with pytest.raises(MisconfiguredError):
            await provider.server_report(sender_on(waha.url).server)


@pytest.mark.slow
async def test_a_pairing_code_has_its_own_limit(provider: WahaProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """WAHA hangs for more than a minute while WhatsApp is out of reach."""
    assert sessions.PAIRING_SECONDS == 20.0
    monkeypatch.setattr(sessions, "PAIRING_SECONDS", 0.5)
    async with ScriptedServer(Hang()) as server:
        with pytest.raises(UncertainError, match=r"no answer within 0\.5 s while asking for a pairing code"):
            await provider.challenge(sender_on(server.url), TO)


def test_capabilities_survive_their_storage() -> None:
    sender: Sender = sender_on("http://waha:3000", BROWSER)
    assert msgspec.json.decode(msgspec.json.encode(sender.capabilities), type=Capabilities) == BROWSER
