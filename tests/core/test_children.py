import asyncio
import os
import signal
import time

import pytest

from core import children
from core.children import Child, ending
from core.errors import OperatorError


@pytest.fixture
def env() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": os.getcwd()}  # noqa: PTH109 - as the test run found the code


async def test_a_child_that_never_runs_is_given_up(
    env: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "FIRST_WAIT_SECONDS", 0.01)

    with pytest.raises(OperatorError, match=r"The API cannot run \(exit code 1\); its own messages stand above\."):
        await Child("API", ["no-such-command"], env).keep()

    told = capsys.readouterr().out.splitlines()
    assert told == [
        "The API ended (exit code 1); starting it again in 0.01 s",
        "The API ended (exit code 1); starting it again in 0.02 s",
    ]


async def test_a_child_that_ran_is_started_again_for_ever(
    env: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(children, "STEADY_SECONDS", 0.0)
    child = Child("API", ["--version"], env)
    keeping = asyncio.create_task(child.keep())
    until = time.monotonic() + 30
    told = ""

    while told.count("ended") < 4:
        assert time.monotonic() < until
        await asyncio.sleep(0.05)
        told += capsys.readouterr().out
    await child.stop(5)
    await keeping

    assert set(told.splitlines()) == {"The API ended (exit code 0); starting it again in 0.01 s"}


async def test_a_child_that_waits_is_restarted_at_once(
    env: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "FIRST_WAIT_SECONDS", 1000.0)
    child = Child("API", ["--version"], env)
    keeping = asyncio.create_task(child.keep())
    told = ""

    async with asyncio.timeout(50):
        for count in (1, 2, 3, 4):
            while told.count("ended") < count:
                await asyncio.sleep(0.05)
                told += capsys.readouterr().out
            await child.restart(5)
    await child.stop(5)
    await keeping

    assert set(told.splitlines()) == {"The API ended (exit code 0); starting it again in 1000 s"}


@pytest.mark.parametrize(
    ("code", "text"), [(3, "exit code 3"), (-signal.SIGKILL, "SIGKILL"), (-4096, "exit code -4096")]
)
def test_how_a_process_ended(code: int, text: str) -> None:
    assert ending(code) == text
