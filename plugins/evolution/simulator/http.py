"""The little of HTTP that the simulator needs, as a plain ASGI application, and Evolution's error bodies."""

import re
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class Request(msgspec.Struct):
    """One request; ``names`` are the named parts of its path."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    names: Mapping[str, str] = {}

    def fields(self) -> dict[str, Any]:
        """Return the body's fields, JSON or a page's form; raises ``Refused`` where it is neither."""
        if self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return dict(parse_qsl(self.body.decode("utf-8", "replace")))
        try:
            return msgspec.json.decode(self.body or b"{}", type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            # Express' own error has no name, so that Evolution takes its default beside the status 400.
            message = f"Unexpected token in JSON at position {len(self.body)}"
            raise Refused(error_reply(400, message, "Internal Server Error")) from None


class Reply(msgspec.Struct, frozen=True):
    """A response; ``cut`` breaks the connection within the body."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json; charset=utf-8"
    headers: Mapping[str, str] = {}
    cut: bool = False


class Refused(Exception):  # noqa: N818 - carries an answer, is no error of the simulator
    """Ends a request with ``reply``."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


class Hung(Exception):  # noqa: N818 - is no error of the simulator
    """Leaves a request without an answer until its client goes away."""


Handler = Callable[[Request], Awaitable[Reply]]


def json_reply(value: object, status: int = 200) -> Reply:
    """Encode ``value`` as the body."""
    return Reply(status, msgspec.json.encode(value))


def error_reply(status: int, message: object, error: str = "") -> Reply:
    """Evolution's error body; ``message`` is a text, or a list of texts, lists or objects."""
    name = error or HTTPStatus(status).phrase
    return json_reply({"status": status, "error": name, "response": {"message": message}}, status)


def invalid(*messages: str) -> Reply:
    """The 400 of a body that breaks the schema: a list within a list."""
    return error_reply(400, [list(messages)])


class Router:
    """Finds handlers by method and path; ``{name}`` stands for one part of a path."""

    def __init__(self) -> None:
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = []

    def add(self, method: str, path: str, handler: Handler) -> None:
        """Let ``handler`` answer ``method path``."""
        self._routes.append((method, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)), handler))

    def find(self, request: Request) -> Handler:
        """Return the handler of ``request`` and note the named parts; raises ``Refused`` where there is none."""
        for method, pattern, handler in self._routes:
            match = pattern.fullmatch(request.path) if method == request.method else None
            if match:
                request.names = {name: unquote(value) for name, value in match.groupdict().items()}
                return handler
        raise Refused(error_reply(404, [f"Cannot {request.method} {request.path}"]))


async def read_request(scope: Scope, receive: Receive) -> Request:
    """Collect a request from ASGI."""
    body, more = bytearray(), True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").partition("?")[0]
    query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
    return Request(scope["method"], path, query, headers, bytes(body))


async def write_reply(reply: Reply, send: Send) -> None:
    """Hand a reply to ASGI; a cut one promises more bytes than it has, and the server closes the connection."""
    length = len(reply.body) + (1000 if reply.cut else 0)
    headers = {"content-type": reply.content_type, "content-length": str(length), **reply.headers}
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": pairs})
    await send({"type": "http.response.body", "body": reply.body, "more_body": reply.cut})
