"""Handing a message's file to a provider: by our signed address, or as content within the request."""

import asyncio
import ipaddress
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import msgspec

from core import database
from core.media import links, store
from core.outbound import is_public
from core.plugin import Media
from core.runtime import config

SMALL_BYTES = 2**20
"""What ``delivery = "auto"`` puts into the request itself."""
KEPT_BYTES = 2**25
"""Content kept in memory, since one file goes to many recipients."""
ROOM_BYTES = 2**26
"""Content within requests that are out at the same time."""
REMEMBERED_SECONDS = 5.0
REMEMBERED_FILES = 1_000


class MissingMediaError(Exception):
    """The message's file was deleted, or its content is not in the store any more."""


class Attachment(msgspec.Struct, frozen=True):
    """The file of a message."""

    id: int
    path: str
    filename: str
    content_type: str
    size: int


class _Room:
    """Bounds what is in memory at once: whoever finds it full waits."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._free = size
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def take(self, wanted: int) -> AsyncIterator[None]:
        """Hold ``wanted`` bytes while the block runs; one alone may be larger than all the room."""
        held = min(wanted, self._size)
        async with self._changed:
            await self._changed.wait_for(lambda: self._free >= held)
            self._free -= held
        try:
            yield
        finally:
            async with self._changed:
                self._free += held
                self._changed.notify_all()


_room = _Room(ROOM_BYTES)
_attachments: dict[tuple[int, str | None], tuple[float, Attachment | None]] = {}
_seen: dict[str, float] = {}
_contents: OrderedDict[str, bytes] = OrderedDict()


async def find_attachment(message_id: int, path: str | None) -> Attachment | None:
    """Return the file of a campaign's message as of some seconds ago, ``None`` when it is not there.

    ``path`` is the message's ``media_path``: whoever has read a changed message does not get the old file.
    """
    now = time.monotonic()
    until, found = _attachments.get((message_id, path), (0.0, None))
    if until > now:
        return found
    row = await database.fetch_row(
        "SELECT f.id, f.path, f.filename, f.content_type, f.size FROM messages m JOIN media f ON f.id = m.media_id"
        " WHERE m.id = $1 AND f.state = 'ready' AND f.deleted_at IS NULL",
        message_id,
    )
    found = None if row is None else Attachment(**dict(row))
    if len(_attachments) >= REMEMBERED_FILES:
        _attachments.clear()
    _attachments[message_id, path] = (now + REMEMBERED_SECONDS, found)
    return found


@asynccontextmanager
async def attached(message_id: int, path: str | None) -> AsyncIterator[Media]:
    """Give what a provider needs of a message's file, for as long as the block runs.

    Raises:
        MissingMediaError: It is gone.
        StoreDownError: Nobody can say at the moment.
    """
    file = await find_attachment(message_id, path)
    if file is None:
        raise MissingMediaError
    if not goes_within(file):
        await _ensure_there(file)
        yield by_address(file)
        return
    async with _room.take(file.size):
        content = await _content(file)
        yield Media(mimetype=file.content_type, filename=file.filename, content=content)


async def described(message_id: int, path: str | None) -> Media:
    """Return a message's file for a look-up, which needs no content; one that is gone has only its place."""
    file = await find_attachment(message_id, path)
    return Media(mimetype="application/octet-stream", filename="file") if file is None else by_address(file)


def by_address(file: Attachment) -> Media:
    """Return a file with a signed address."""
    return Media(mimetype=file.content_type, filename=file.filename, url=links.sign(file.id))


def goes_within(file: Attachment) -> bool:
    """Whether a file goes as content: as configured, else when it is small or our own address leads nowhere.

    A messaging server in a container, or on another machine, finds something else under a loopback address; and newer
    ones refuse to fetch from private addresses.
    """
    present = config()
    if present.media.delivery != "auto":
        return present.media.delivery == "content"
    return file.size <= SMALL_BYTES or is_private(present.server.base_url)


def is_private(url: str) -> bool:
    """Whether an address is written as one of this machine or of a private network."""
    host = urlsplit(url).hostname or ""
    try:
        return not is_public(ipaddress.ip_address(host))
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def forget() -> None:
    """Drop what is remembered."""
    _attachments.clear()
    _seen.clear()
    _contents.clear()


async def _ensure_there(file: Attachment) -> None:
    """Ask the store once in some seconds, not for each recipient."""
    now = time.monotonic()
    if _seen.get(file.path, 0.0) > now:
        return
    try:
        await store.ensure_there(file.path)
    except store.MissingFileError:
        raise MissingMediaError from None
    if len(_seen) >= REMEMBERED_FILES:
        _seen.clear()
    _seen[file.path] = now + REMEMBERED_SECONDS


async def _content(file: Attachment) -> bytes:
    kept = _contents.get(file.path)
    if kept is not None:
        _contents.move_to_end(file.path)
        return kept
    try:
        content = await store.read(file.path)
    except store.MissingFileError:
        raise MissingMediaError from None
    if len(content) <= KEPT_BYTES:
        _contents[file.path] = content
        while sum(map(len, _contents.values())) > KEPT_BYTES:
            _contents.popitem(last=False)
    return content
