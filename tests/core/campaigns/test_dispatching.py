import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from core.campaigns import dispatching
from core.campaigns.dispatching import keep_dispatching
from core.runtime import Runtime, set_runtime
from tests.core.campaigns.making import running, states
from tests.core.campaigns.sink import BARE, Sink
from tests.factories import Member
from tests.outages import without_database


@asynccontextmanager
async def _watching(runtime: Runtime) -> AsyncIterator[None]:
    """Let this process look at the lanes while the block runs, as a worker does."""
    stopping = asyncio.Event()
    set_runtime(msgspec.structs.replace(runtime, stopping=stopping))
    watch = asyncio.create_task(keep_dispatching())
    try:
        yield
    finally:
        stopping.set()
        await watch
        set_runtime(runtime)


async def _sent(campaign_id: int) -> None:
    async with asyncio.timeout(10):
        while set(await states(campaign_id)) != {"sent"}:  # noqa: ASYNC110 - what is awaited happens in the database
            await asyncio.sleep(0.01)


class TestKeepDispatching:
    async def test_sends_what_is_due_without_any_message(
        self, user: Member, runtime: Runtime, sink: Sink, sink_url: str
    ) -> None:
        async with _watching(runtime):
            made = await running(user, url=sink_url, capabilities=BARE, contacts=5)
            await _sent(made.id)
        assert len(sink.posts) == 5

    async def test_goes_on_after_the_database_was_away(
        self, user: Member, runtime: Runtime, sink: Sink, sink_url: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with _watching(runtime):
            async with without_database(), asyncio.timeout(10):
                while "dispatch_failed" not in caplog.text:  # noqa: ASYNC110 - a log has no event
                    await asyncio.sleep(0.01)
            made = await running(user, url=sink_url, capabilities=BARE)
            await _sent(made.id)
        assert len(sink.posts) == 3


class TestDispatch:
    async def test_a_second_call_leaves_the_first_at_work(self, user: Member, sink: Sink, sink_url: str) -> None:
        gate = asyncio.Event()
        sink.gates.append(gate)
        made = await running(user, url=sink_url, capabilities=BARE, contacts=1)
        first = asyncio.create_task(dispatching.dispatch())
        await asyncio.wait_for(sink.changed.wait(), 10)
        assert await dispatching.dispatch() is False
        assert not first.done()
        gate.set()
        assert await first is False
        assert (await states(made.id), len(sink.posts)) == (["sent"], 1)
