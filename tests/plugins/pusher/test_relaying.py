"""Live events on their way from the platform through Pusher to a browser."""

import asyncio
import json
from typing import Any

import msgspec
import pytest

from core.events.catalogue import JobProgress, seal
from core.live import relaying, stream
from core.runtime import Runtime, set_runtime
from tests.core.live.services import plugged_in
from tests.plugins.pusher.conftest import Service


@pytest.mark.parametrize("fault", ["down", "500", "cut", "cut_after"])
async def test_a_page_learns_the_last_progress_after_a_trouble(
    runtime: Runtime, service: Service, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relaying, "RETRY_SECONDS", 0.02)
    await runtime.redis.delete(stream.RELAYED, "recado:live:relaying:pusher", "recado:live:relayed:pusher")
    browser, stopping = await service.browser_of(7), asyncio.Event()
    async with plugged_in(runtime, service.notifier):
        set_runtime(msgspec.structs.replace(runtime, stopping=stopping))
        relays = [asyncio.create_task(relaying.keep_relaying()) for _ in range(2)]
        try:
            await service.fault(fault)
            for done in (99, 100):
                await stream.publish([(7, seal(_progress(done)))])
            told = [_done(await browser.next())]
            while told[-1] != 100:
                told.append(_done(await browser.next()))
        finally:
            stopping.set()
            await asyncio.gather(*relays)
            set_runtime(runtime)
    assert told == sorted(told)


def _progress(done: int) -> JobProgress:
    return JobProgress(job_id=5, kind="walk", subject_id=None, status="running", done=done, total=100)


def _done(frame: dict[str, Any]) -> int:
    done: int = json.loads(frame["data"])["data"]["done"]
    return done
