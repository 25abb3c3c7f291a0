"""Two worker processes against one: a service that takes 50 ms, and a fixed number of messages in the air for each."""

import contextlib
import os
import statistics
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from bench.dispatch import Tenant, make_number, make_tenant, run_platform, sink, worker_process

PAIRS = 3
NUMBERS = 4
MESSAGES = 5_000
SETTLE_SECONDS = 5.0
"""By then each process has taken up its share, so that the pair compares sending and not starting."""
SLOTS = 16
LATENCY_SECONDS = 0.05


async def measure_pairs() -> AsyncIterator[tuple[float, float]]:
    """Yield the messages per second of one worker and of two, a pair at a time."""
    with tempfile.TemporaryDirectory() as folder, sink(LATENCY_SECONDS) as sink_url, _slots(Path(folder)):
        tenant = await make_tenant(sink_url)
        number_ids = [
            tenant.number_id,
            *[await make_number(tenant.user_id, tenant.server_id) for _ in range(1, NUMBERS)],
        ]
        for _ in range(PAIRS):
            yield await _run(tenant, number_ids, 1), await _run(tenant, number_ids, 2)


@contextlib.contextmanager
def _slots(folder: Path) -> Iterator[None]:
    """Give each worker process a fixed number of messages in the air."""
    settings = folder / "platform.toml"
    usual = Path(os.environ.get("RECADO_CONFIG", "platform.toml")).read_text(encoding="utf-8")
    settings.write_text(f"{usual}\n[worker]\nsend_slots = {SLOTS}\n", encoding="utf-8")
    before = os.environ.get("RECADO_CONFIG")
    os.environ["RECADO_CONFIG"] = str(settings)
    try:
        yield
    finally:
        del os.environ["RECADO_CONFIG"]
        if before is not None:
            os.environ["RECADO_CONFIG"] = before


async def _run(tenant: Tenant, number_ids: list[int], workers: int) -> float:
    with contextlib.ExitStack() as stack:
        for _ in range(workers):
            stack.enter_context(worker_process())
        return await run_platform(tenant, number_ids, messages=MESSAGES, settle_seconds=SETTLE_SECONDS)


def ratio(pairs: list[tuple[float, float]]) -> float:
    """Return the median advantage of two workers."""
    return statistics.median(two / one for one, two in pairs)
