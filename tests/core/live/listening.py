"""Somebody who listens to events over a real connection, and things that happen to tell."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec

from core.events.catalogue import EVENTS, Envelope, JobProgress, MessageReceived, StreamReset, seal
from core.live import stream

SECONDS = 15.0
_places = itertools.count(1)


class Heard(msgspec.Struct, frozen=True):
    """One event as it came."""

    id: str
    type: str
    envelope: Envelope

    @property
    def body(self) -> msgspec.Struct:
        """The typed body; raises where it has not exactly the documented shape."""
        return msgspec.json.decode(self.envelope.data, type=EVENTS[self.type], strict=True)


class Listening:
    """One connection that was answered with 200."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.comments: list[str] = []
        self._lines = answer.aiter_lines()

    async def next(self) -> Heard:
        """Wait for the next event; ``StopAsyncIteration`` where the stream is over."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(SECONDS):
            while True:
                line = await anext(self._lines)
                name, _, value = line.partition(":")
                if not line and "event" in fields:
                    envelope = msgspec.json.decode(fields["data"], type=Envelope)
                    assert envelope.type == fields["event"]
                    return Heard(fields["id"], fields["event"], envelope)
                if line and not name:
                    self.comments.append(value.strip())
                elif line:
                    fields[name] = value.removeprefix(" ")

    async def comment(self, text: str) -> None:
        """Wait for a comment."""
        async with asyncio.timeout(SECONDS):
            while (await anext(self._lines)) != f": {text}":
                pass

    async def retry_told(self) -> str:
        """Wait for the time after which a browser is to come again."""
        async with asyncio.timeout(SECONDS):
            while not (line := await anext(self._lines)).startswith("retry: "):
                pass
        return line.removeprefix("retry: ")

    async def opened(self) -> Heard:
        """Wait for the first event, which is about the connection itself."""
        heard = await self.next()
        assert heard.type == "stream.opened"
        return heard

    async def jobs(self, count: int) -> list[int]:
        """Return the numbers of the next events, all of which ``happen`` made."""
        return [getattr((await self.next()).body, "job_id") for _ in range(count)]  # noqa: B009 - a body of any type

    async def jobs_and_resets(self, count: int) -> tuple[list[int], int]:
        """Do as ``jobs``, and count how often the page was told meanwhile, or before, to fetch again."""
        found: list[int] = []
        resets = 0
        while len(found) < count:
            body = (await self.next()).body
            if isinstance(body, StreamReset):
                resets += 1
            else:
                assert isinstance(body, JobProgress)
                found.append(body.job_id)
        return found, resets

    async def ended(self) -> None:
        """Wait until the server ends the stream; what it still tells is passed over."""
        async with asyncio.timeout(SECONDS):
            try:
                while True:
                    await self.next()
            except StopAsyncIteration:
                return


@asynccontextmanager
async def listening(
    url: str, token: str = "", *, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
) -> AsyncIterator[Listening]:
    """Listen while the block runs."""
    own = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        httpx.AsyncClient(base_url=url, headers=own, timeout=httpx.Timeout(SECONDS, read=None)) as client,
        client.stream("GET", "/api/events", params=params, headers=headers) as answer,
    ):
        if answer.status_code != 200:
            await answer.aread()
            raise AssertionError((answer.status_code, answer.text))
        yield Listening(answer)


async def refused(url: str, token: str = "", **more: Any) -> tuple[int, str]:
    """Ask to listen, and return the refusal."""
    own = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        httpx.AsyncClient(base_url=url, headers=own) as client,
        client.stream("GET", "/api/events", **more) as answer,
    ):
        assert answer.status_code != 200
        await answer.aread()
        return answer.status_code, answer.json()["code"]


def progress(job_id: int) -> JobProgress:
    return JobProgress(job_id=job_id, kind="walk", subject_id=None, status="running", done=1, total=2)


def message_received(number_id: int, text: str) -> MessageReceived:
    """An event of whatever size."""
    known = {"number_id": number_id, "contact_id": None, "sender": "5511900001234", "name": "Lua", "text": text}
    return msgspec.convert({**known, "received_at": datetime.now(UTC)}, MessageReceived)


async def happen(user_id: int, count: int = 1) -> list[int]:
    """Tell events of a user, each with a number that no other has; return the numbers."""
    found = [next(_places) for _ in range(count)]
    await stream.publish([(user_id, seal(progress(place))) for place in found])
    return found
