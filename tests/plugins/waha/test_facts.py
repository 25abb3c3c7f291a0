"""What is known of WAHA, example by example: the plugin reads it as told, and the simulator answers in its shape.

From a fact to its tests, in ``test_facts_sending`` and ``test_facts_webhooks`` too; the names before ``::`` are modules
beside this one, without ``test_``. The examples stand in the tests as they were seen on real servers.

Product
- Core before 2026.6.1: ``default`` alone, no files -- simulator::test_core_before_the_merger_knows_default_alone,
  simulator::test_files_need_the_merger_or_plus, media::test_core_before_the_merger_sends_no_files,
  probe::test_capabilities, outcomes::test_second_session_on_an_old_core, facts::test_health
- the engine's name -- facts::test_version
- waits, lock, the longest body -- simulator::test_wrong_status_is_waited_for, outcomes::test_exceptions,
  media::test_a_body_longer_than_waha_takes

Access
- the key -- simulator::test_key_is_asked_for, simulator::test_key_in_the_query, provider::test_server_without_a_key,
  provider::test_wrong_key, facts::test_unauthorized
- ping, health, version, status -- simulator::test_ping_is_open, facts::test_health, facts::test_version,
  facts::test_server_status, upkeep::test_the_examples_of_the_documentation

Sessions
- create -- simulator::test_session_without_start_stays_stopped, simulator::test_session_that_exists,
  simulator::test_session_name_is_checked, provider::test_open_creates_the_session, facts::test_refusals_of_a_session,
  provider::test_open_reads_the_state_after_an_empty_answer, facts::test_the_body_to_create_with
- list, show, replace, delete -- facts::test_session, facts::test_session_that_is_missing,
  simulator::test_delete_is_repeatable, provider::test_open_changes_only_what_differs
- start, stop, restart, logout, me -- facts::test_session_orders, facts::test_start_of_what_runs, facts::test_me,
  provider::test_stop_sign_out_and_remove_are_repeatable, upkeep::test_it_keeps_the_sign_in
- the store -- simulator::test_lookup_needs_the_store_on_noweb, reconcile::test_noweb_without_its_store
- each status -- facts::test_each_status, webhook::test_session_status, simulator::test_qr_codes_run_out
- QR code and pairing code -- facts::test_qr_code, facts::test_pairing_code, simulator::test_qr_in_three_forms,
  simulator::test_qr_in_another_status, provider::test_number_that_is_connected_has_no_qr,
  upkeep::test_a_pairing_code_has_its_own_limit, upkeep::test_of_a_browser

Addresses
- forms -- messages::test_addresses, simulator::test_chat_ids_are_not_validated
- check-exists -- facts::test_number_check, simulator::test_check_exists, provider::test_number_check_at_its_limit,
  simulator::test_brazilian_ninth_digit
- lids -- facts::test_hidden_numbers, provider::test_the_phone_behind_a_hidden_number

Sending
- requests -- facts_sending::test_request, schemas::test_every_kind_of_message
- typing, seen, presence -- facts_sending::test_small_calls, simulator::test_typing_and_seen, upkeep::test_what_is_asked
- answers of each engine -- facts_sending::test_answer_of_each_engine, outcomes::test_accepted_by_each_engine
- ids of our own -- reconcile::test_message_goes_out_under_our_id, simulator::test_client_id_is_ignored,
  simulator::test_same_id_twice_goes_out_twice, facts_sending::test_new_message_id
- look-up -- facts_sending::test_look_up, simulator::test_lookup_by_chat, simulator::test_state_survives_a_restart,
  reconcile::test_late_success_is_found_after_the_grace, reconcile::test_without_ids_the_chat_is_searched
- errors -- facts_sending::test_error, facts_sending::test_error_of_the_simulator, outcomes::test_other_statuses

Webhooks
- repetitions -- simulator_faults::test_refused_webhooks_are_repeated_under_one_id, facts_webhooks::test_retry_after
- headers, signature -- facts_webhooks::test_headers, webhook::test_signature_of_the_documentation
- envelope -- facts_webhooks::test_envelope, webhook::test_dedupe_key_without_an_envelope_id
- payloads -- facts_webhooks::test_payload, facts_webhooks::test_payload_of_the_simulator
- acknowledgements -- webhook::test_acknowledgement, webhook::test_acknowledgement_of_many_names
- every event -- facts_webhooks::test_every_event
- limits of time -- facts_webhooks::test_limits
- restrictions -- restrictions::test_timelock, restrictions::test_capping, restrictions::test_refused_acknowledgement,
  restrictions::test_capped_number

Nothing of ours calls the keys API, ``/api/server/stop`` and ``/environment``, ``/ws``, polls, lists, buttons,
locations, cards, reactions, the converter and the passkey's calls.
"""

import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from core.plugin import (
    Capabilities,
    Challenge,
    MisconfiguredError,
    NumberCheck,
    RefusedError,
    SenderReport,
    SenderState,
)
from core.plugin.testing import Answer, ScriptedServer
from plugins.waha.provider import WahaProvider
from tests.plugins.waha.conftest import HOOK, PHONE, TO, Waha, connect, misfits, sender_on

Start = Callable[..., Awaitable[Waha]]
HERE = Path(__file__).parent

VERSION = (
    b'{"version":"2026.2.1","engine":"NOWEB","tier":"CORE","browser":null,"platform":"linux/x64","worker":{"id":null}}'
)
UNAUTHORIZED = b'{"message":"Unauthorized","statusCode":401}'
SESSION = (
    b'{"name":"s1","status":"WORKING","config":{"metadata":{"sender_id":"17"},"noweb":{"markOnline":true,'
    b'"store":{"enabled":true,"fullSync":false}},"webhooks":[{"url":"https://p.example/hooks/waha/17",'
    b'"events":["session.status"]}]},"me":{"id":"5511988887777@c.us","pushName":"Shop","lid":"999000111222333@lid"},'
    b'"presence":null,"timestamps":{"activity":1795441639817},"engine":{"engine":"NOWEB"}}'
)
CREATE = (
    b'{"name":"snd_17","start":true,"config":{"metadata":{"sender_id":"17","tenant":"a"},'
    b'"proxy":{"server":"host:3128","username":"u","password":"p"},'
    b'"ignore":{"status":true,"groups":true,"channels":true,"broadcast":true},'
    b'"noweb":{"markOnline":false,"store":{"enabled":true,"fullSync":false}},"webjs":{"tagsEventsOn":true},'
    b'"webhooks":[{"url":"https://p.example/hooks/waha/17","events":["session.status","message","message.any",'
    b'"message.ack"],"hmac":{"key":"<random 32 bytes>"},'
    b'"retries":{"policy":"exponential","delaySeconds":2,"attempts":10},'
    b'"customHeaders":[{"name":"X-Sender","value":"17"}]}]}}'
)
NAME_REFUSED = b'{"message":["name must be a string"],"error":"Bad Request","statusCode":400}'
EXISTS = b'{"message":"Session \'snd_17\' already exists. Use PUT to update it.","statusCode":422}'
MISSING = b'{"message":"Session not found","error":"Not Found","statusCode":404}'


def fits(example: bytes, answer: Any) -> None:
    assert misfits(json.loads(example), answer) == []


def test_the_table_names_tests_that_exist() -> None:
    named = re.findall(r"(\w+)::(test_\w+)", __doc__ or "")
    assert len(named) > 80
    for module, name in named:
        text = (HERE / f"test_{module}.py").read_text(encoding="utf-8")
        assert f"def {name}(" in text, f"{module}::{name}"


# Access.


async def test_unauthorized(provider: WahaProvider, waha: Waha) -> None:
    waha.http.headers["X-Api-Key"] = "wrong"
    refused = await waha.http.get("/api/sessions")
    assert (refused.status_code, refused.json()) == (401, json.loads(UNAUTHORIZED))
    async with ScriptedServer(Answer(401, UNAUTHORIZED)) as server:
        with pytest.raises(MisconfiguredError):
            await provider.capabilities(sender_on(server.url).server)


async def test_health(start: Start) -> None:
    healthy = await (await start()).http.get("/health")
    fits(b'{"status":"ok","info":{},"error":{},"details":{}}', healthy.json())
    old = await (await start(version="2026.2.1")).http.get("/health")
    assert old.status_code == 422
    assert "available only in Plus version" in old.json()["message"]


async def test_version(provider: WahaProvider, start: Start) -> None:
    waha = await start(version="2026.2.1", engine="NOWEB")
    for path in ("/api/server/version", "/api/version"):
        assert (await waha.http.get(path)).json() == json.loads(VERSION)
    async with ScriptedServer(Answer(200, VERSION)) as server:
        found = await provider.capabilities(sender_on(server.url).server)
    assert (found.version, found.engine, found.client_message_id, found.multi_session, found.media) == (
        "2026.2.1",
        "NOWEB",
        False,
        False,
        (),
    )


async def test_server_status(waha: Waha) -> None:
    status = (await waha.http.get("/api/server/status")).json()
    fits(b'{"startTimestamp":1723788847247,"uptime":3600000,"worker":{"id":null}}', status)


# Sessions.


async def test_session(provider: WahaProvider, start: Start) -> None:
    waha = await start(engine="NOWEB")
    await waha.post("/api/sessions", {"name": "s1", "start": True, "config": json.loads(SESSION)["config"]})
    await waha.until("s1", "SCAN_QR_CODE")
    await waha.post("/simulator/sessions/s1/scan", {"phone": PHONE})
    fits(SESSION, (await waha.http.get("/api/sessions/s1")).json())
    listed = (await waha.http.get("/api/sessions?all=true")).json()
    assert misfits([json.loads(SESSION)], listed) == []
    async with ScriptedServer(Answer(200, SESSION)) as server:
        assert await provider.state(sender_on(server.url)) == SenderReport(
            state=SenderState.CONNECTED, raw="WORKING", address="5511988887777@c.us", name="Shop"
        )


async def test_the_body_to_create_with(waha: Waha) -> None:
    created = await waha.http.post("/api/sessions", content=CREATE)
    assert created.status_code == 201
    assert created.json()["config"] == json.loads(CREATE)["config"]
    await waha.until("snd_17", "SCAN_QR_CODE")


async def test_refusals_of_a_session(provider: WahaProvider, waha: Waha) -> None:
    refused = await waha.post("/api/sessions", {"name": "a b"})
    assert refused.status_code == 400
    fits(NAME_REFUSED, refused.json())
    await waha.post("/api/sessions", {"name": "snd_17"})
    again = await waha.post("/api/sessions", {"name": "snd_17"})
    assert (again.status_code, again.json()["message"]) == (422, json.loads(EXISTS)["message"])
    async with ScriptedServer(Answer(400, NAME_REFUSED)) as server:
        with pytest.raises(RefusedError, match="answered 400 while creating the session"):
            await provider.open(sender_on(server.url), HOOK)
    async with ScriptedServer(Answer(422, EXISTS), {"/api/sessions/snd_17": Answer(200, SESSION)}) as server:
        assert (await provider.open(sender_on(server.url), HOOK)).state is SenderState.CONNECTED


async def test_session_that_is_missing(provider: WahaProvider, waha: Waha) -> None:
    missing = await waha.http.get("/api/sessions/snd_17")
    assert (missing.status_code, missing.json()) == (404, json.loads(MISSING))
    async with ScriptedServer(Answer(404, MISSING)) as server:
        assert await provider.state(sender_on(server.url)) == SenderReport(state=SenderState.STOPPED)


async def test_session_orders(waha: Waha) -> None:
    await waha.working_session()
    for verb in ("stop", "start", "restart", "logout"):
        answer = await waha.post(f"/api/sessions/snd_17/{verb}", {})
        assert answer.status_code == 201
        fits(b'{"name":"s1","status":"WORKING","config":{},"engine":{"engine":"GOWS"}}', answer.json())
        assert (await waha.post(f"/api/sessions/other/{verb}", {})).status_code == 404


@pytest.mark.parametrize(("version", "status"), [("2026.2.1", 422), ("2026.7.1", 201)])
async def test_start_of_what_runs(provider: WahaProvider, start: Start, version: str, status: int) -> None:
    waha = await start(version=version)
    sender = await connect(provider, waha)
    name = "snd_17" if sender.capabilities.multi_session else "default"
    assert (await waha.post(f"/api/sessions/{name}/start", {})).status_code == status


async def test_me(waha: Waha) -> None:
    await waha.post("/api/sessions", {"name": "snd_17", "start": True})
    await waha.until("snd_17", "SCAN_QR_CODE")
    unknown = await waha.http.get("/api/sessions/snd_17/me")
    assert (unknown.status_code, unknown.content) == (200, b"")
    await waha.post("/simulator/sessions/snd_17/scan", {"phone": PHONE})
    me = (await waha.http.get("/api/sessions/snd_17/me")).json()
    fits(b'{"id":"5511988887777@c.us","pushName":"Shop","lid":"999000111222333@lid"}', me)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("STOPPED", SenderState.STOPPED),
        ("STARTING", SenderState.STARTING),
        ("SCAN_QR_CODE", SenderState.SIGN_IN),
        ("PASSKEY_REQUIRED", SenderState.NEEDS_PERSON),
        ("PASSKEY_CONFIRMATION_REQUIRED", SenderState.NEEDS_PERSON),
        ("WORKING", SenderState.CONNECTED),
        ("FAILED", SenderState.FAILED),
        ("OF_A_LATER_VERSION", SenderState.NEEDS_PERSON),
        ("", SenderState.NEEDS_PERSON),
    ],
)
async def test_each_status(provider: WahaProvider, waha: Waha, status: str, state: SenderState) -> None:
    sender = await connect(provider, waha)
    await waha.post("/simulator/sessions/snd_17/status", {"status": status})
    report = await provider.state(sender)
    assert (report.state, report.raw) == (state, status)


async def test_qr_code(provider: WahaProvider, waha: Waha) -> None:
    await waha.post("/api/sessions", {"name": "snd_17", "start": True})
    await waha.until("snd_17", "SCAN_QR_CODE")
    fits(b'{"value":"2@x"}', (await waha.http.get("/api/snd_17/auth/qr?format=raw")).json())
    as_json = await waha.http.get("/api/snd_17/auth/qr", headers={"Accept": "application/json"})
    fits(b'{"mimetype":"image/png","data":"iVBORw0KGgo="}', as_json.json())
    async with ScriptedServer(Answer(200, b'{"value":"2@x"}')) as server:
        assert await provider.challenge(sender_on(server.url)) == Challenge(kind="qr", value="2@x")


async def test_pairing_code(provider: WahaProvider, waha: Waha) -> None:
    await waha.post("/api/sessions", {"name": "snd_17", "start": True})
    await waha.until("snd_17", "SCAN_QR_CODE")
    answer = await waha.http.post("/api/snd_17/auth/request-code", content=b'{"phoneNumber":"12132132130"}')
    assert answer.status_code == 201
    assert re.fullmatch(r"\w{4}-\w{4}", answer.json()["code"])
    async with ScriptedServer(Answer(201, b'{"code":"ABCD-1234"}')) as server:
        challenge = await provider.challenge(sender_on(server.url), TO)
        assert json.loads(server.requests[0].body) == {"phoneNumber": "12132132130"}
    assert challenge == Challenge(kind="pairing_code", value="ABCD-1234")


# Addresses.


@pytest.mark.parametrize(
    ("example", "number", "checked"),
    [
        (b'{"numberExists":true,"chatId":"12132132130@c.us"}', TO, NumberCheck(TO, exists=True, address=f"{TO}@c.us")),
        (b'{"numberExists":false}', "12132130000", NumberCheck("12132130000", exists=False)),
    ],
)
async def test_number_check(
    provider: WahaProvider, waha: Waha, example: bytes, number: str, checked: NumberCheck
) -> None:
    await waha.working_session()
    path = f"/api/contacts/check-exists?phone={number}&session=snd_17"
    assert (await waha.http.get(path)).json() == json.loads(example)
    async with ScriptedServer(Answer(200, example)) as server:
        assert await provider.check_numbers(sender_on(server.url), [number]) == {number: checked}
        assert server.requests[0].target == path


@pytest.mark.parametrize(
    ("example", "phone"),
    [
        (b'{"lid":"123123123@lid","pn":"123456789@c.us"}', "123456789"),
        (b'{"lid":"123123123@lid","pn":null}', ""),
    ],
)
async def test_hidden_numbers(provider: WahaProvider, waha: Waha, example: bytes, phone: str) -> None:
    await waha.working_session()
    lid = (await waha.http.get(f"/api/snd_17/lids/pn/{TO}")).json()["lid"]
    known = (await waha.http.get(f"/api/snd_17/lids/{lid}")).json()
    fits(b'{"lid":"123123123@lid","pn":"123456789@c.us"}', known)
    assert known in (await waha.http.get("/api/snd_17/lids?limit=100&offset=0")).json()
    assert (await waha.http.get("/api/snd_17/lids/1")).json() == {"lid": "1@lid", "pn": None}
    async with ScriptedServer(Answer(200, example)) as server:
        sender = sender_on(server.url, Capabilities(engine="GOWS"))
        assert await provider.find_phone(sender, "123123123@lid") == phone
        assert server.requests[0].target == "/api/snd_17/lids/123123123@lid"
