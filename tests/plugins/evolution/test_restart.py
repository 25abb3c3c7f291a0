"""A number that hangs is restarted once, in the way of its version."""

import pytest

from core.plugin import MisconfiguredError, RefusedError, SenderState, UncertainError
from core.plugin.testing import Answer, Reaction
from plugins.evolution.provider import EvolutionProvider
from tests.plugins.evolution.conftest import sender_on
from tests.plugins.evolution.test_instances import (
    CONNECT,
    LIST,
    NOBODY,
    STATE,
    calls_of,
    in_state,
    listed,
    reply,
    scripted,
)

RESTART = "/instance/restart/snd_17"
OWNER = "5511988887777@s.whatsapp.net"
HIDDEN = Answer(200, b'{"error": true, "message": "[object Object]"}')
OPEN = {"instance": {"instanceName": "snd_17", "state": "open"}}


def routes(version: str, restarted: Reaction, state: str = "open", code: int | None = None) -> dict[str, Reaction]:
    lists = {LIST: listed(version, OWNER, code), CONNECT: reply({"count": 0})}
    return {RESTART: restarted, STATE: in_state(state), **lists}


@pytest.mark.parametrize(("version", "method"), [("1.8.2", "PUT"), ("2.3.7", "POST")])
@pytest.mark.parametrize("answer", [reply(OPEN), reply({"code": "2@a", "count": 1}), Answer(200, b"")])
async def test_restart(provider: EvolutionProvider, version: str, method: str, answer: Answer) -> None:
    async with scripted(routes(version, answer)) as server:
        report = await provider.restart(sender_on(server.url, version))
        assert calls_of(server)[0] == (method, RESTART)
        assert [target for _, target in calls_of(server)].count(RESTART) == 1
        assert ("GET", CONNECT) not in calls_of(server)
    assert (report.state, report.address) == (SenderState.CONNECTED, OWNER)


async def test_restart_shows_what_comes_of_it(provider: EvolutionProvider) -> None:
    async with scripted(routes("2.3.7", reply({"count": 0}), "connecting")) as server:
        assert (await provider.restart(sender_on(server.url))).state is SenderState.STARTING


@pytest.mark.parametrize(("version", "answer"), [("2.3.7", HIDDEN), ("1.8.2", reply({"instance": {"state": "close"}}))])
async def test_restart_connects_what_is_closed(provider: EvolutionProvider, version: str, answer: Answer) -> None:
    async with scripted(routes(version, answer, "close")) as server:
        await provider.restart(sender_on(server.url, version))
        assert calls_of(server).count(("GET", CONNECT)) == 1


async def test_restart_does_not_connect_what_was_signed_out(provider: EvolutionProvider) -> None:
    async with scripted(routes("2.3.7", HIDDEN, "close", 401)) as server:
        report = await provider.restart(sender_on(server.url))
        assert ("GET", CONNECT) not in calls_of(server)
    assert (report.state, report.raw) == (SenderState.FAILED, "close 401")


@pytest.mark.parametrize("state", ["open", "connecting"])
async def test_restart_that_failed_inside_a_success_says_so(provider: EvolutionProvider, state: str) -> None:
    async with scripted(routes("2.3.7", HIDDEN, state)) as server:
        with pytest.raises(UncertainError, match="with an error inside while restarting the instance") as caught:
            await provider.restart(sender_on(server.url))
    assert "object Object" not in str(caught.value)


async def test_restart_of_a_missing_instance(provider: EvolutionProvider) -> None:
    async with scripted({RESTART: NOBODY}) as server:
        with pytest.raises(RefusedError, match="does not know this number"):
            await provider.restart(sender_on(server.url))
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("answer", "error"), [(Answer(500), UncertainError), (Answer(401), MisconfiguredError), (Answer(400), RefusedError)]
)
async def test_restart_that_was_refused(provider: EvolutionProvider, answer: Answer, error: type[Exception]) -> None:
    async with scripted({RESTART: answer}) as server:
        with pytest.raises(error):
            await provider.restart(sender_on(server.url))
        assert len(server.requests) == 1
