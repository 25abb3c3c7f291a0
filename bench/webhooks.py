"""Acknowledgements verified and durably stored by one API process, beside a handler that only verifies."""

import contextlib
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator

from bench.dispatch import free_port, make_tenant, measure
from core import database

ROUNDS = 5
COUNT = 15_000
CONCURRENCY = 64
START_SECONDS = 30.0


async def measure_rounds() -> AsyncIterator[tuple[float, float]]:
    """Yield the acknowledgements per second of the platform and of the bare handler, a round at a time.

    Raises:
        RuntimeError: Something that was answered with 200 is not stored.
    """
    tenant = await make_tenant("http://127.0.0.1:9")
    token = await database.fetch_value("SELECT webhook_token FROM numbers WHERE id = $1", tenant.number_id)
    platform_port, bare_port = free_port(), free_port()
    with (
        server("-m", "core.cli", "api", "--port", str(platform_port), port=platform_port),
        server("-m", "bench.verifier", str(bare_port), port=bare_port),
    ):
        for place in range(1, ROUNDS + 1):
            platform = _acks(f"http://127.0.0.1:{platform_port}/api/webhooks/waha/{token}")
            yield platform, _acks(f"http://127.0.0.1:{bare_port}/{token}")
            stored = await database.fetch_value(
                "SELECT count(*) FROM webhook_events WHERE number_id = $1", tenant.number_id
            )
            if stored != place * COUNT:
                raise RuntimeError(f"{place * COUNT} were acknowledged, and {stored} are stored")


def ratio(rounds: list[tuple[float, float]]) -> float:
    """Return the platform's median rate as a part of the bare handler's."""
    return statistics.median(platform / bare for platform, bare in rounds)


def _acks(url: str) -> float:
    return measure("bench.acks", url, str(COUNT), str(CONCURRENCY))


@contextlib.contextmanager
def server(*command: str, port: int, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server of this machine's Python while the block lasts."""
    environment = os.environ | {"RECADO_LOG_LEVEL": "warning", "RECADO_PUBLIC_URL": f"http://127.0.0.1:{port}"}
    environment |= variables
    with subprocess.Popen([sys.executable, *command], env=environment) as process:  # noqa: S603 - the bench's own
        try:
            _wait_for(port)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)


def _wait_for(port: int) -> None:
    """Return once somebody listens."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"nobody listens on port {port}")
