"""Deliveries over HTTP: what is genuine is stored once and before the answer, what is not changes nothing."""

import asyncio

import httpx
import msgspec
import pytest

from core import database
from core.plugin import Secret
from core.settings.services import put_setting, remove_setting
from core.webhooks import applying, log, probe
from core.webhooks.controllers import MAXIMUM_BYTES
from tests.core.downloads import rows_of
from tests.core.numbers.messaging import Waha, add_number, add_server
from tests.core.webhooks.deliveries import Hook, acknowledgement, deliver, hook_of, incoming, status, stored


@pytest.fixture
async def hook(admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha) -> Hook:
    """The webhook of a fresh number."""
    return await hook_of(await add_number(tenant, (await add_server(admin, waha))["id"]))


async def test_a_genuine_delivery_is_stored_before_it_is_answered(client: httpx.AsyncClient, hook: Hook) -> None:
    answer = await deliver(client, hook, acknowledgement("3EB0A1"))
    assert answer.status_code == 200
    events = await stored(hook)
    assert [event["kind"] for event in events] == ["message_status"]
    assert msgspec.json.decode(events[0]["event"])["ids"] == ["3EB0A1"]
    assert events[0]["applied_at"] is None


async def test_a_replayed_delivery_is_stored_once(client: httpx.AsyncClient, hook: Hook) -> None:
    body = acknowledgement("3EB0A2")
    answers = await asyncio.gather(*(deliver(client, hook, body) for _ in range(5)))
    assert [answer.status_code for answer in answers] == [200] * 5
    assert len(await stored(hook)) == 1


async def test_many_deliveries_at_once_are_all_stored(client: httpx.AsyncClient, hook: Hook) -> None:
    bodies = [acknowledgement(f"3EB0{number:04X}") for number in range(100)]
    answers = await asyncio.gather(*(deliver(client, hook, body) for body in bodies))
    assert {answer.status_code for answer in answers} == {200}
    assert len(await stored(hook)) == 100


async def test_a_wrong_signature_changes_nothing(client: httpx.AsyncClient, hook: Hook) -> None:
    body = status("WORKING")
    forged = msgspec.structs.replace(hook, secret="guessed")
    answer = await deliver(client, forged, body)
    assert answer.status_code == 401
    assert await stored(hook) == []
    await applying.apply("events")
    assert await database.fetch_value("SELECT connection FROM numbers WHERE id = $1", hook.number_id) == "stopped"


async def test_a_delivery_without_signature_is_refused(client: httpx.AsyncClient, hook: Hook) -> None:
    answer = await client.post(hook.path, content=status("WORKING"))
    assert answer.status_code == 401
    assert await stored(hook) == []


@pytest.mark.parametrize("token", ["unknown", "x" * 43, "probe-" + "x" * 32, "a.b", "%00" * 20])
async def test_an_unknown_token_is_not_found(client: httpx.AsyncClient, hook: Hook, token: str) -> None:
    body = acknowledgement("3EB0A3")
    answer = await client.post(f"/api/webhooks/waha/{token}", content=body, headers=hook.sign(body))
    assert answer.status_code == 404


async def test_a_token_opens_its_own_plugins_route_alone(client: httpx.AsyncClient, hook: Hook) -> None:
    body = acknowledgement("3EB0A4")
    answer = await client.post(f"/api/webhooks/evolution/{hook.token}", content=body, headers=hook.sign(body))
    assert answer.status_code == 404
    assert await stored(hook) == []


async def test_the_verification_by_get_is_judged_too(client: httpx.AsyncClient, hook: Hook) -> None:
    assert (await client.get(hook.path)).status_code == 401


async def test_a_long_body_is_refused(client: httpx.AsyncClient, hook: Hook) -> None:
    body = incoming("3A01", "x" * MAXIMUM_BYTES)
    answer = await deliver(client, hook, body)
    assert answer.status_code == 413
    assert await stored(hook) == []


async def test_a_body_just_below_the_limit_is_taken(client: httpx.AsyncClient, hook: Hook) -> None:
    answer = await deliver(client, hook, incoming("3A01", "x" * (MAXIMUM_BYTES - 1000)))
    assert answer.status_code == 200
    assert [event["kind"] for event in await stored(hook)] == ["message_in"]


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b"{}", b'{"event": "message.ack", "payload": 5}', b'{"event":'])
async def test_what_cannot_be_understood_is_answered_and_dropped(
    client: httpx.AsyncClient, hook: Hook, body: bytes
) -> None:
    assert (await deliver(client, hook, body)).status_code == 200
    assert await stored(hook) == []


async def test_signs_that_the_database_cannot_hold_are_left_out(client: httpx.AsyncClient, hook: Hook) -> None:
    answer = await deliver(client, hook, incoming("3A02", "a\0b"))
    assert answer.status_code == 200
    assert msgspec.json.decode((await stored(hook))[0]["event"])["text"] == "ab"


async def test_a_delivery_can_concern_its_own_number_alone(
    client: httpx.AsyncClient, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha
) -> None:
    server = await add_server(admin, waha)
    mine = await hook_of(await add_number(tenant, server["id"]))
    other = await hook_of(await add_number(tenant, server["id"]))
    await deliver(client, mine, status("WORKING", session=other.instance))
    await applying.apply("events")
    connections = [
        await database.fetch_value("SELECT connection FROM numbers WHERE id = $1", hook.number_id)
        for hook in (mine, other)
    ]
    assert connections == ["connected", "stopped"]


async def test_a_deleted_number_takes_no_more_events(
    client: httpx.AsyncClient, tenant: httpx.AsyncClient, hook: Hook
) -> None:
    await tenant.delete(f"/api/numbers/{hook.number_id}")
    assert (await deliver(client, hook, acknowledgement("3EB0A5"))).status_code == 404


async def test_refused_deliveries_are_logged_without_the_token(
    client: httpx.AsyncClient, admin: httpx.AsyncClient, hook: Hook
) -> None:
    await client.post(hook.path, content=b"secret words")
    answer = await admin.get("/api/admin/webhooks-log", params={"response_code": 401, "per_page": 100})
    entries = [entry for entry in answer.json()["data"] if entry["payload"] == {"number_id": hook.number_id}]
    assert len(entries) == 1
    assert entries[0]["url"] == "/api/webhooks/waha/***"
    assert hook.token not in answer.text
    assert "secret words" not in answer.text


async def test_genuine_deliveries_are_logged_where_the_setting_asks(client: httpx.AsyncClient, hook: Hook) -> None:
    await deliver(client, hook, acknowledgement("3EB0A6"))
    await put_setting(log.KEEP_GENUINE_SETTING, "true")
    log.switch.forget()
    try:
        await deliver(client, hook, acknowledgement("3EB0A7"))
    finally:
        await remove_setting(log.KEEP_GENUINE_SETTING)
        log.switch.forget()
    payloads = await database.fetch(
        "SELECT payload FROM webhooks_log WHERE (payload->>'number_id')::bigint = $1", hook.number_id
    )
    assert [msgspec.json.decode(row["payload"])["payload"]["payload"]["id"] for row in payloads] == [
        "true_5511912345678@c.us_3EB0A7"
    ]


@pytest.mark.parametrize(
    ("query", "fitting"),
    [
        ({"response_code": "401"}, True),
        ({"response_code": "503"}, False),
        ({"type": "wah"}, True),
        ({"type": "evolution"}, False),
        ({"search": "SIGNATURE"}, True),
        ({"search": "nothing of it"}, False),
        ({"from": "2026-01-01T00:00:00Z"}, True),
        ({"to": "2026-01-01T00:00:00Z"}, False),
        ({"cursor": ""}, True),
        ({"sort": "response_code"}, True),
    ],
)
async def test_the_log_is_narrowed(
    client: httpx.AsyncClient, admin: httpx.AsyncClient, hook: Hook, query: dict[str, str], *, fitting: bool
) -> None:
    await client.post(hook.path, content=b"refused")
    asked = {"number_id": str(hook.number_id), **query}
    listed = (await admin.get("/api/admin/webhooks-log", params=asked)).json()["data"]
    assert [entry["payload"] for entry in listed] == [{"number_id": hook.number_id}] * fitting
    if not {"cursor", "sort"} & set(query):
        rows = rows_of(await admin.get("/api/admin/webhooks-log.csv", params=asked), "webhooks-log.csv")
        assert [row["id"] for row in rows] == [str(entry["id"]) for entry in listed]


@pytest.mark.parametrize(("name", "value"), [("response_code", "7"), ("number_id", "x"), ("from", ""), ("sort", "url")])
async def test_what_the_log_cannot_be_filtered_by_is_named(admin: httpx.AsyncClient, name: str, value: str) -> None:
    answer = await admin.get("/api/admin/webhooks-log", params={name: value})
    assert (answer.status_code, list(answer.json()["errors"])) == (422, [name])


async def test_the_log_is_for_administrators(tenant: httpx.AsyncClient) -> None:
    for path in ("webhooks-log", "webhooks-log.csv"):
        assert (await tenant.get(f"/api/admin/{path}")).status_code == 403


async def test_a_trial_address_is_ticked_off_by_a_genuine_delivery(client: httpx.AsyncClient) -> None:
    token = await probe.expect("waha", Secret("trial"))
    trial = Hook(0, token, "trial", "")
    forged = Hook(0, token, "guessed", "")
    assert (await deliver(client, forged, status("STARTING"))).status_code == 401
    assert await probe.wait_for_call(token, 0.01) is False
    assert (await deliver(client, trial, status("STARTING"))).status_code == 200
    assert await probe.wait_for_call(token, 1) is True
    assert (
        await database.fetch_value("SELECT count(*) FROM webhook_events WHERE number_id = 0 AND plugin = 'waha'") == 0
    )
    await probe.close(token)
    assert (await deliver(client, trial, status("STARTING"))).status_code == 404
