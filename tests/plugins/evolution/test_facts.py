"""Every known body and rule of Evolution API, read by the plugin and answered by the simulator; here is where.

2.1 licence of 2.4: body, every call:
    test_facts.test_licence
    test_refusals.test_missing_licence_needs_a_person
    test_refusals.test_missing_licence_stops_every_number_of_the_server
2.1 notice of the licence's conditions; bodies up to 136 MB:
    test_facts.test_readme_tells_that_evolution_api_is_used
    test_facts.test_longest_body
2.1 published document is wrong on webhooks and restarts:
    test_simulator_webhooks.test_refused_configurations
    test_simulator.test_unknown_route
2.2 key in the header; order of the checks; tokens:
    test_simulator.test_wrong_key
    test_simulator.test_missing_instance_comes_before_the_key
    test_simulator.test_a_token_opens_its_own_instance_alone
2.2 welcome:
    test_facts.test_welcome
2.2 table of errors:
    test_facts.test_errors_are_read
    test_facts.test_errors_are_answered
    test_facts.test_raw_exception_of_a_number_check
2.2 forms of response.message:
    test_facts.test_every_form_of_a_message
2.3 create:
    test_facts_instances.test_create
    test_facts_instances.test_creation_in_the_known_form
    test_simulator.test_create_wants_a_name_and_an_integration
2.3 connect:
    test_facts_instances.test_connect
    test_facts_instances.test_connect_while_open
    test_facts_instances.test_connect_without_a_network
2.3 states, list:
    test_facts_instances.test_connection_state
    test_facts_instances.test_fetch_instances
2.3 restart, logout, delete, setPresence:
    test_facts_instances.test_restart
    test_facts_instances.test_logout_and_delete
    test_simulator.test_presence
2.4 bodies of sends:
    test_facts_messages.test_sends_are_taken
    test_messages.test_text_of_version_2
    test_schemas.test_every_body_fits
2.4 typing, read marks, number checks:
    test_facts_messages.test_typing
    test_facts_messages.test_read_marks
    test_facts_messages.test_number_checks
2.4 delay holds; number check inside; numbers rewritten:
    test_simulator_sends.test_a_delay_holds_the_request
    test_simulator_sends.test_refused_texts
    test_simulator_sends.test_numbers_are_rewritten
2.4 answer:
    test_facts_messages.test_answer_of_a_send
2.5 no client ids before 2.4:
    test_simulator_sends.test_client_ids_are_ignored
    test_simulator.test_licensed_2_4_takes_client_ids
2.5 look-ups:
    test_facts_messages.test_lookup_by_id
    test_facts_messages.test_lookup_by_chat
    test_facts_messages.test_statuses
2.5 table of statuses:
    test_facts_messages.test_table_of_statuses
    test_facts_messages.test_side_events
2.6 configuration:
    test_facts_webhooks.test_configuration
    test_simulator_webhooks.test_configuration_is_nested
2.6 one address for each event; global address; repetitions; JWT; zone; headers of 2.4:
    test_facts_webhooks.test_delivery_rules
2.6 envelope, key in the body:
    test_facts_webhooks.test_envelope
    test_secrets.test_no_event_keeps_the_key
2.6 table of events:
    test_facts_webhooks.test_events_are_read
    test_facts_webhooks.test_events_are_told
2.6 other names:
    test_facts_webhooks.test_other_names_are_counted
2.6 places of a text, hidden numbers:
    test_webhook.test_text_of_an_incoming_message
    test_webhook.test_hidden_number_with_its_phone
2.6 hot loop:
    test_webhook.test_a_storm_is_few_facts
    test_facts_webhooks.test_hot_loop
2.7 table of version 1:
    test_facts_first.test_bodies_of_sends
    test_facts_first.test_create
    test_facts_first.test_webhook
    test_facts_first.test_methods
    test_facts_first.test_fetch_instances
    test_facts_first.test_events
    test_facts_first.test_key_only_where_exposed
    test_facts_first.test_repetitions_are_constant
"""

import importlib
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

import plugins.evolution
from core.plugin import (
    Media,
    MessageKind,
    MisconfiguredError,
    Outcome,
    OutgoingMessage,
    Rejected,
    Retryable,
    SenderStopped,
    UnavailableError,
    Unknown,
)
from core.plugin.testing import Answer, ScriptedServer
from plugins.evolution.messages import prepare_message
from plugins.evolution.outcomes import read_outcome
from plugins.evolution.provider import EvolutionProvider
from plugins.evolution.simulator.app import BODY_BYTES
from tests.plugins.evolution import facts, simulator_conftest
from tests.plugins.evolution.conftest import sender_on
from tests.plugins.evolution.simulator_conftest import TO, Evolution

start_evolution, evolution = simulator_conftest.start_evolution, simulator_conftest.evolution

Start = Callable[..., Awaitable[Evolution]]
PICTURE = Media(mimetype="image/jpeg", filename="o.jpg", content=b"picture")
CLOSED = Unknown("connection_closed", sender_stopped=True)


def outcome_of(status: int, body: bytes, kind: MessageKind = MessageKind.TEXT) -> Outcome:
    media = None if kind is MessageKind.TEXT else PICTURE
    prepared = prepare_message(OutgoingMessage(TO, kind, "Hello", media), sender_on("http://evo"), "3EB0")
    return read_outcome(httpx.Response(status, content=body), prepared)


def test_table_names_tests_that_are_there() -> None:
    named = re.findall(r"^    (\w+)\.(\w+)$", __doc__ or "", re.MULTILINE)
    assert len(named) > 50
    for module, name in named:
        assert callable(getattr(importlib.import_module(f"tests.plugins.evolution.{module}"), name)), (module, name)


# 2.1, versions.


async def test_licence(provider: EvolutionProvider, start_evolution: Start) -> None:
    async with ScriptedServer(Answer(503, facts.LICENSE)) as server:
        with pytest.raises(MisconfiguredError, match="licence"):
            await provider.capabilities(sender_on(server.url).server)
    assert outcome_of(503, facts.LICENSE) == SenderStopped("license_required", scope="server")
    evolution = await start_evolution(version="2.4.0")
    facts.assert_answer(await evolution.send(), 503, facts.LICENSE)
    facts.assert_answer(await evolution.http.get("/instance/fetchInstances"), 503, facts.LICENSE)
    assert (await evolution.http.get("/")).status_code == 200


def test_readme_tells_that_evolution_api_is_used() -> None:
    text = (Path(plugins.evolution.__file__).parent / "README.md").read_text(encoding="utf-8")
    assert "Apache licence 2.0 with conditions of its own" in text


def test_longest_body() -> None:
    assert BODY_BYTES == 136 * 1024 * 1024


# 2.2, errors.


async def test_welcome(provider: EvolutionProvider, evolution: Evolution) -> None:
    async with ScriptedServer(Answer(404), {"/": Answer(200, facts.WELCOME)}) as server:
        server.routes["/instance/fetchInstances"] = Answer(200, b"[]")
        assert (await provider.capabilities(sender_on(server.url).server)).version == "2.3.6"
    facts.assert_answer(await evolution.http.get("/"), 200, facts.WELCOME)


@pytest.mark.parametrize(
    ("status", "body", "kind", "outcome"),
    [
        (401, facts.UNAUTHORIZED, MessageKind.TEXT, SenderStopped("unauthorized", scope="server")),
        (404, facts.NO_INSTANCE, MessageKind.TEXT, SenderStopped("instance_missing")),
        (403, facts.NAME_TAKEN, MessageKind.TEXT, SenderStopped("forbidden")),
        (400, facts.INVALID, MessageKind.TEXT, Rejected("bad_request")),
        (400, facts.NO_WHATSAPP, MessageKind.TEXT, Rejected("no_whatsapp")),
        (400, facts.ENGINE, MessageKind.TEXT, Unknown("engine_error")),
        (500, facts.CLOSED, MessageKind.TEXT, CLOSED),
        (500, facts.UPLOAD, MessageKind.IMAGE, Retryable("media_upload_failed")),
        (400, facts.BOOM, MessageKind.TEXT, CLOSED),
        (200, facts.HIDDEN_ERROR, MessageKind.TEXT, Unknown("no_message_id")),
        (400, facts.BAD_JSON, MessageKind.TEXT, Unknown("engine_error")),
        (503, facts.LICENSE, MessageKind.TEXT, SenderStopped("license_required", scope="server")),
    ],
)
def test_errors_are_read(status: int, body: bytes, kind: MessageKind, outcome: Outcome) -> None:
    assert outcome_of(status, body, kind) == outcome


async def test_errors_are_answered(evolution: Evolution) -> None:
    http = evolution.http
    facts.assert_answer(await http.post("/verify-creds", headers={"apikey": "other"}), 401, facts.UNAUTHORIZED)
    missing = await http.get("/instance/connectionState/nope")
    assert (missing.status_code, missing.json()) == (404, json.loads(facts.NO_INSTANCE))
    await evolution.open()
    taken = await evolution.create()
    assert (taken.status_code, taken.json()) == (403, json.loads(facts.NAME_TAKEN))
    invalid = await evolution.post("/message/sendText/snd_17", {"number": TO})
    assert (invalid.status_code, invalid.json()) == (400, json.loads(facts.INVALID))
    absent = await evolution.send(number="12132130000")
    assert (absent.status_code, absent.json()) == (400, json.loads(facts.NO_WHATSAPP))
    for fault, status, body in (
        ("400_engine", 400, facts.ENGINE),
        ("500_connection_closed", 500, facts.CLOSED),
        ("500_media_upload", 500, facts.UPLOAD),
        ("200_error", 200, facts.HIDDEN_ERROR),
    ):
        await evolution.fault(fault)
        failed = await evolution.send()
        assert (failed.status_code, failed.json()) == (status, json.loads(body))
    facts.assert_answer(await http.post("/instance/create", content=b"{"), 400, facts.BAD_JSON)


async def test_raw_exception_of_a_number_check(provider: EvolutionProvider, evolution: Evolution) -> None:
    async with ScriptedServer(Answer(400, facts.BOOM)) as server:
        with pytest.raises(UnavailableError, match="is not connected"):
            await provider.check_numbers(sender_on(server.url), [TO])
    await evolution.create()
    answer = await evolution.post("/chat/whatsappNumbers/snd_17", {"numbers": [TO]})
    facts.assert_answer(answer, 400, facts.BOOM)
    assert answer.json()["output"]["statusCode"] == 428


@pytest.mark.parametrize(
    ("message", "outcome"),
    [
        ("Connection Closed", CLOSED),
        (["Error: Connection Closed"], CLOSED),
        ([["instance requires property"]], Rejected("bad_request")),
        ([{"exists": False}], Rejected("no_whatsapp")),
    ],
)
def test_every_form_of_a_message(message: object, outcome: Outcome) -> None:
    body = {"status": 400, "error": "Bad Request", "response": {"message": message}}
    assert outcome_of(400, json.dumps(body).encode()) == outcome
