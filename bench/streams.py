"""The memory of one API process with two thousand open connections of ``GET /api/events``, each told an event."""

import asyncio
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from bench.dispatch import free_port
from bench.lanes import peak_mb
from bench.webhooks import server
from core import database
from core.accounts import sessions
from core.events.catalogue import CampaignProgress, seal
from core.live import stream

CONNECTIONS = 2_000
USERS = 200
UNLIMITED = "[limits]\nper_minute = 1000000\n"


class Streams(msgspec.Struct, frozen=True):
    """What was measured, in megabytes."""

    before_mb: float
    rss_mb: float
    """The most, with every connection open and told."""


async def measure() -> Streams:
    """Open the connections from a process of their own, tell each user an event, and look."""
    rows = await database.fetch(
        "INSERT INTO users (email, name, password, status) SELECT $1 || n || '@example.org', 'Bench', 'x', 'active'"
        " FROM generate_series(1, $2::int) AS n RETURNING id",
        secrets.token_hex(6),
        USERS,
    )
    users: list[int] = [row["id"] for row in rows]
    tokens = [await sessions.open_session(user_id, address="", user_agent="bench") for user_id in users]
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="recado-bench-") as folder:
        settings = Path(folder) / "platform.toml"
        settings.write_text(UNLIMITED)
        command = ("-m", "core.cli", "api", "--port", str(port))
        with server(*command, port=port, RECADO_CONFIG=str(settings)) as process:
            before_mb = peak_mb(process.pid)
            with subprocess.Popen(  # noqa: S603, ASYNC220 - the bench's own script, started once
                [sys.executable, "-m", "bench.listeners", f"http://127.0.0.1:{port}/api/events", str(CONNECTIONS)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            ) as listeners:
                await asyncio.to_thread(_expect, listeners, "open", " ".join(tokens))
                await stream.publish([(user_id, seal(_event())) for user_id in users])
                await asyncio.to_thread(_expect, listeners, "told")
                return Streams(before_mb, peak_mb(process.pid))
    raise AssertionError


def _event() -> CampaignProgress:
    counts = dict.fromkeys(("accepted", "sent", "delivered", "read", "failed", "skipped", "unknown"), 1_000)
    return CampaignProgress(campaign_id=1, status=2, status_reason="", progress=50, total=14_000, **counts)


def _expect(process: subprocess.Popen[str], word: str, line: str = "") -> None:
    """Write a line and wait for a word."""
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the listeners have no pipes")
    if line:
        process.stdin.write(f"{line}\n")
        process.stdin.flush()
    answer = process.stdout.readline().strip()
    if answer != word:
        raise RuntimeError(f"the listeners said {answer!r} instead of {word!r}")
