import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TO_ANOTHER_THREAD = """
import signal, threading, time
from core.signals import caught

def tell():
    time.sleep(0.2)
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

with caught(signal.SIGTERM, signal.SIGINT) as wait:
    threading.Thread(target=tell).start()
    wait()
print("ended")
"""
BEFORE_THE_WAITING = """
import os, signal
from core.signals import caught

with caught(signal.SIGTERM) as wait:
    os.kill(os.getpid(), signal.SIGTERM)
    wait()
print("ended")
"""
AFTERWARDS = """
import os, signal
from core.signals import caught

with caught(signal.SIGTERM):
    pass
os.kill(os.getpid(), signal.SIGTERM)
"""
BESIDE_A_SERVER = """
import asyncio, os, signal
from core.signals import also_on

async def main():
    ended, told = asyncio.Event(), []
    signal.signal(signal.SIGTERM, lambda *_: told.append("server"))
    with also_on(signal.SIGTERM, call=ended.set):
        os.kill(os.getpid(), signal.SIGTERM)
        await ended.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    print(*told)

asyncio.run(main())
"""
OUTSIDE_THE_MAIN_THREAD = """
import asyncio, signal, threading
from core.signals import also_on

async def main():
    with also_on(signal.SIGTERM, call=print):
        print("inside")

thread = threading.Thread(target=lambda: asyncio.run(main()))
thread.start()
thread.join()
"""


def _run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=20, check=False
    )


@pytest.mark.parametrize("script", [TO_ANOTHER_THREAD, BEFORE_THE_WAITING])
def test_no_signal_is_missed(script: str) -> None:
    done = _run(script)
    assert (done.returncode, done.stdout) == (0, "ended\n"), done.stderr


def test_a_signal_does_afterwards_what_it_did_before() -> None:
    assert _run(AFTERWARDS).returncode == -signal.SIGTERM


def test_whoever_caught_a_signal_before_still_does() -> None:
    done = _run(BESIDE_A_SERVER)
    assert (done.returncode, done.stdout) == (0, "server server\n"), done.stderr


def test_another_thread_catches_nothing() -> None:
    done = _run(OUTSIDE_THE_MAIN_THREAD)
    assert (done.returncode, done.stdout) == (0, "inside\n"), done.stderr
