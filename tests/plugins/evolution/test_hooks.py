"""A webhook that is not ours any more is set again, and only then."""

from typing import Any

import pytest

from core.plugin import RefusedError, UnavailableError, WebhookTarget
from core.plugin.testing import Answer, ScriptedServer
from plugins.evolution.provider import EvolutionProvider
from tests.plugins.evolution.conftest import SECRET, sender_on
from tests.plugins.evolution.test_instances import (
    EVENTS,
    FIND,
    FIRST_URL,
    HOOK,
    LIST,
    NOBODY,
    SECOND_HOOK,
    SET,
    STATE,
    body_at,
    calls_of,
    in_state,
    listed,
    reply,
    scripted,
)

SECOND: dict[str, Any] = {
    "id": "row",
    "url": HOOK.url,
    "enabled": True,
    "events": EVENTS,
    "headers": {"X-Recado-Secret": SECRET},
    "webhookByEvents": False,
    "webhookBase64": False,
    "createdAt": "2026-11-23T13:48:02.630Z",
    "instanceId": "uuid",
}
FIRST: dict[str, Any] = {
    "url": FIRST_URL,
    "enabled": True,
    "events": EVENTS[::-1],
    "webhook_by_events": False,
    "webhook_base64": False,
}
ALIKE = {"2.3.7": SECOND, "1.8.2": FIRST}
DIFFERENCES: list[tuple[str, dict[str, object]]] = [
    ("2.3.7", {"url": "https://other.example/w"}),
    ("2.3.7", {"url": None}),
    ("2.3.7", {"enabled": False, "events": []}),
    ("2.3.7", {"events": EVENTS[:-1]}),
    ("2.3.7", {"events": [*EVENTS, "CALL"]}),
    ("2.3.7", {"events": "MESSAGES_UPSERT"}),
    ("2.3.7", {"events": [[]]}),
    ("2.3.7", {"headers": {"X-Recado-Secret": "other"}}),
    ("2.3.7", {"headers": None}),
    ("2.3.7", {"headers": {"X-Recado-Secret": SECRET, "jwt_key": "x"}}),
    ("2.3.7", {"webhookByEvents": True}),
    ("2.3.7", {"webhookBase64": True}),
    ("1.8.2", {"url": HOOK.url}),
    ("1.8.2", {"enabled": False}),
    ("1.8.2", {"events": []}),
    ("1.8.2", {"webhook_by_events": True}),
    ("1.8.2", {"webhook_base64": True}),
]


def server_with(version: str, present: Answer, state: str = "open") -> ScriptedServer:
    owner = "5511988887777@s.whatsapp.net"
    return scripted({FIND: present, SET: reply({}, 201), STATE: in_state(state), LIST: listed(version, owner)})


@pytest.mark.parametrize("version", ["2.3.7", "1.8.2"])
async def test_webhook_that_is_ours_is_left(provider: EvolutionProvider, version: str) -> None:
    async with server_with(version, reply(ALIKE[version])) as server:
        assert await provider.repair_webhook(sender_on(server.url, version), HOOK) is False
        assert calls_of(server) == [("GET", FIND)]


async def test_what_an_older_server_does_not_tell_counts_as_off(provider: EvolutionProvider) -> None:
    present = {name: FIRST[name] for name in ("url", "enabled", "events")}
    async with server_with("1.8.2", reply(present)) as server:
        assert await provider.repair_webhook(sender_on(server.url, "1.8.2"), HOOK) is False


@pytest.mark.parametrize(("version", "difference"), DIFFERENCES)
async def test_webhook_that_differs_is_set_again(
    provider: EvolutionProvider, version: str, difference: dict[str, object]
) -> None:
    async with server_with(version, reply({**ALIKE[version], **difference})) as server:
        assert await provider.repair_webhook(sender_on(server.url, version), HOOK) is True
        assert calls_of(server)[-1] == ("POST", SET)
        body = body_at(server, SET)
    if version == "1.8.2":
        assert body == {**FIRST, "events": EVENTS}
    else:
        assert body == {"webhook": SECOND_HOOK}


@pytest.mark.parametrize("present", [Answer(200, b"null"), Answer(200, b"")])
async def test_webhook_that_was_never_set(provider: EvolutionProvider, present: Answer) -> None:
    async with server_with("2.3.7", present) as server:
        assert await provider.repair_webhook(sender_on(server.url), HOOK) is True


@pytest.mark.parametrize("state", ["close", "refused"])
async def test_closed_number_has_nothing_to_repair(provider: EvolutionProvider, state: str) -> None:
    async with server_with("2.3.7", reply(None), state) as server:
        assert await provider.repair_webhook(sender_on(server.url), HOOK) is False
        assert ("POST", SET) not in calls_of(server)


async def test_unknown_number_has_nothing_to_repair(provider: EvolutionProvider) -> None:
    async with scripted({FIND: NOBODY, STATE: NOBODY}) as server:
        assert await provider.repair_webhook(sender_on(server.url), HOOK) is False


async def test_something_else_is_no_unknown_number(provider: EvolutionProvider) -> None:
    async with scripted({}) as server:
        with pytest.raises(RefusedError, match="no Evolution API"):
            await provider.repair_webhook(sender_on(server.url), HOOK)


async def test_a_server_that_does_not_answer_is_not_repaired(provider: EvolutionProvider) -> None:
    async with scripted({FIND: Answer(500)}) as server:
        with pytest.raises(UnavailableError):
            await provider.repair_webhook(sender_on(server.url), HOOK)


@pytest.mark.parametrize(("version", "in_header"), [("2.0.10", False), ("2.1.1", False), ("2.1.2", True), ("", True)])
async def test_secret_stands_in_the_address_where_no_header_is_kept(
    provider: EvolutionProvider,
    version: str,
    in_header: bool,  # noqa: FBT001 - a table's column
) -> None:
    async with server_with("2.3.7", reply(None)) as server:
        await provider.repair_webhook(sender_on(server.url, version), WebhookTarget(f"{HOOK.url}?a=b"))
        hook = body_at(server, SET)["webhook"]
    expected = f"{HOOK.url}?a=b" if in_header else f"{HOOK.url}?a=b&secret=number%2Fsecret"
    assert (hook["url"], hook["headers"]) == (expected, {"X-Recado-Secret": SECRET} if in_header else {})
