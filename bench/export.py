"""The download of a million contacts through its route, beside a bare ``COPY`` of the same contacts."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from litestar import Litestar
from litestar.status_codes import HTTP_200_OK

from bench import lists
from core import database
from core.accounts import sessions
from core.app import create_app
from core.config import PlatformConfig
from core.contacts.variables import remember_names

ROUNDS = 5
BARE = "SELECT number, name, variables, labels FROM contacts WHERE user_id = $1 AND deleted_at IS NULL"


class Round(msgspec.Struct, frozen=True):
    """Seconds for the same contacts."""

    platform: float
    bare: float
    """Of ``COPY`` as it is, in its own format."""
    bare_csv: float
    """The same as CSV."""
    workbook: float | None
    """Of the first round alone: it takes many times as long."""


async def measure_rounds(config: PlatformConfig) -> AsyncIterator[Round]:
    """Make the contacts and yield what each round takes."""
    user_id = await make_contacts()
    token = await sessions.open_session(user_id, address="", user_agent="bench")
    app = create_app(config)
    for place in range(ROUNDS):
        workbook = await _download(app, "/api/contacts.xlsx", token) if place == 0 else None
        platform = await _download(app, "/api/contacts.csv", token)
        yield Round(platform, await _copy(user_id, "text"), await _copy(user_id, "csv"), workbook)


async def make_contacts() -> int:
    """Write a tenant with a million contacts; return the tenant."""
    user_id, _, _ = await lists.make_contacts(lists.MANY)
    await remember_names(user_id, ["cidade"])
    await database.execute("VACUUM ANALYZE contacts")
    return user_id


async def _download(app: Litestar, path: str, token: str) -> float:
    """Return the seconds of a file, as a server would get it from the application."""
    size = 0
    asked = False
    ended = asyncio.Event()

    async def receive() -> Any:
        nonlocal asked
        if asked:
            await ended.wait()
            return {"type": "http.disconnect"}
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        nonlocal size
        if message["type"] == "http.response.start" and message["status"] != HTTP_200_OK:
            raise ValueError(f"{path} answers {message['status']}")
        size += len(message.get("body", b""))
        if message["type"] == "http.response.body" and not message.get("more_body"):
            ended.set()

    scope: Any = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1"), (b"authorization", f"Bearer {token}".encode())],
        "client": ("127.0.0.1", 5),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
    begun = time.perf_counter()
    await app(scope, receive, send)
    taken = time.perf_counter() - begun
    if size < lists.MANY:
        raise ValueError(f"{path} has {size} bytes")
    return taken


async def _copy(user_id: int, form: str) -> float:
    async def drop(_piece: bytes) -> None:
        pass

    begun = time.perf_counter()
    async with database.connection() as connection:
        await connection.copy_from_query(BARE, user_id, output=drop, format=form)
    return time.perf_counter() - begun
