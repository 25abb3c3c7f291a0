"""Two thousand sign-ins at once against the API's own process: others get their answers meanwhile."""

import asyncio
from collections import Counter

import msgspec
import pytest

from core.accounts.passwords import MOST_WAITING, THREADS
from core.rate_limit import MOST_SIGN_INS
from tests.e2e.conftest import Platform
from tests.factories import random_email

SIGN_INS = 2_000
AT_ONCE = 500
"""Connections; each of them signs in four times."""


async def _sign_in(port: int, times: int) -> list[int]:
    """Sign in again and again on one connection, without a client's overhead; return the statuses."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    found = []
    for _ in range(times):
        body = msgspec.json.encode({"email": random_email(), "password": "not the password"})
        head = (
            f"POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        )
        writer.write(f"{head}\r\n\r\n".encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        await reader.readexactly(int(answer.partition("content-length:")[2].split("\r\n", 1)[0]))
        found.append(int(answer.split(" ", 2)[1]))
    writer.close()
    return found


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_others_get_their_answers_while_two_thousand_sign_in(platform: Platform) -> None:
    flood = [asyncio.create_task(_sign_in(platform.port, SIGN_INS // AT_ONCE)) for _ in range(AT_ONCE)]
    answered_meanwhile = 0
    while not all(task.done() for task in flood):
        answer = await platform.http.get("/api/auth/me")
        assert answer.status_code == 200
        answered_meanwhile += not all(task.done() for task in flood)
    statuses = Counter(status for task in flood for status in task.result())
    assert answered_meanwhile > 0
    assert set(statuses) == {422, 429}
    assert sum(statuses.values()) == SIGN_INS
    # Never more than these were served, or hashed, at a time.
    assert statuses[422] <= (MOST_SIGN_INS + THREADS + MOST_WAITING) * (SIGN_INS // AT_ONCE)
