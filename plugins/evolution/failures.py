"""The forms in which an Evolution API server says that something went wrong."""

from collections.abc import Iterable
from typing import TypeVar

import httpx
import msgspec

LICENSE_REQUIRED = "LICENSE_REQUIRED"
"""From 2.4 on every business route answers 503 with this code until a person activates the server's licence."""
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_OFFLINE = 428
_T = TypeVar("_T")


class _Output(msgspec.Struct):
    status: object = msgspec.field(name="statusCode", default=None)


class _Inner(msgspec.Struct):
    message: object = None


class _Body(msgspec.Struct):
    """What is read of a failure; each part is optional and may be anything."""

    code: object = None
    error: object = None
    is_boom: object = msgspec.field(name="isBoom", default=None)
    output: msgspec.Raw = msgspec.Raw(b"{}")
    response: msgspec.Raw = msgspec.Raw(b"{}")


class Failure(msgspec.Struct, frozen=True):
    """A failure's body, as far as it proves something; it may hold personal data and is never kept."""

    texts: tuple[str, ...] = ()
    """The strings of ``response.message``."""
    invalid: bool = False
    """It is a list of lists: the request did not fit the server's schema, and nothing was done."""
    not_on_whatsapp: bool = False
    """It is a list with ``exists: false``: the look-up before a send found no account."""
    offline: bool = False
    """The engine's own error 428: the instance is not connected."""
    license_required: bool = False

    def says(self, part: str) -> bool:
        """Whether a text contains ``part``, in any spelling of capitals."""
        return any(part.lower() in text.lower() for text in self.texts)


def read_failure(body: bytes) -> Failure:
    """Read ``response.message``, which is a text or a list of texts, lists or objects; never raises."""
    found = read_part(body, _Body)
    if found is None:
        return Failure()
    inner, output = read_part(found.response, _Inner), read_part(found.output, _Output)
    message = inner.message if inner else None
    parts = message if isinstance(message, list) else [message]
    return Failure(
        texts=tuple(_texts(parts)),
        invalid=any(isinstance(part, list) for part in parts),
        not_on_whatsapp=any(isinstance(part, dict) and part.get("exists") is False for part in parts),
        offline=found.is_boom is True and output is not None and output.status == _OFFLINE,
        license_required=found.code == LICENSE_REQUIRED,
    )


def needs_license(response: httpx.Response) -> bool:
    """Whether the server refuses every call until its licence is activated."""
    is_unavailable = response.status_code == httpx.codes.SERVICE_UNAVAILABLE
    return is_unavailable and read_failure(response.content).license_required


def hides_error(response: httpx.Response) -> bool:
    """Whether a success has ``"error": true`` inside, as the answers to connecting and restarting may have."""
    found = read_part(response.content, _Body)
    return found is not None and found.error is True


def _texts(parts: Iterable[object]) -> Iterable[str]:
    for part in parts:
        if isinstance(part, str):
            yield part
        elif isinstance(part, list):
            yield from (inner for inner in part if isinstance(inner, str))


def read_part(raw: bytes | msgspec.Raw, kind: type[_T]) -> _T | None:
    """Decode what differs between versions; nothing, where it has another shape."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except UNREADABLE:
        return None
