"""The little of HTTP that a simulator needs, as a plain ASGI application: the send path stays light."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class Request(msgspec.Struct):
    """One request; ``path_values`` are the named parts of its path."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    path_values: Mapping[str, str] = {}

    def fields(self) -> dict[str, Any]:
        """Return the body's fields, JSON or form; raises ``Refused`` where it is neither."""
        if self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return dict(parse_qsl(self.body.decode("utf-8", "replace")))
        try:
            return msgspec.json.decode(self.body or b"{}", type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Refused(bad_request("Unexpected token in JSON")) from None


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


def bad_request(*messages: str) -> Reply:
    """WAHA's 400."""
    return json_reply({"message": list(messages), "error": "Bad Request", "statusCode": 400}, 400)


def not_found(message: str) -> Reply:
    """WAHA's 404."""
    return json_reply({"message": message, "error": "Not Found", "statusCode": 404}, 404)


def number(query: Mapping[str, object], name: str, default: int) -> int:
    """Return a number of the query, or of a body; raises ``Refused`` where it is none."""
    value = str(query.get(name, default))
    if not value.isdecimal():
        raise Refused(bad_request(f"{name} must be a number"))
    return int(value)


class Router:
    """Finds handlers by method and path; ``{name}`` stands for one part of a path."""

    def __init__(self) -> None:
        self._exact: dict[tuple[str, str], Handler] = {}
        self._patterns: list[tuple[str, re.Pattern[str], Handler]] = []

    def add(self, method: str, path: str, handler: Handler) -> None:
        """Let ``handler`` answer ``method path``; earlier routes win."""
        if "{" not in path:
            self._exact[method, path] = handler
            return
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)
        self._patterns.append((method, re.compile(pattern), handler))

    async def answer(self, request: Request) -> Reply:
        """Call the handler of ``request``."""
        handler = self._exact.get((request.method, request.path))
        if handler is not None:
            return await handler(request)
        for method, pattern, candidate in self._patterns:
            match = pattern.fullmatch(request.path) if method == request.method else None
            if match:
                request.path_values = {name: unquote(value) for name, value in match.groupdict().items()}
                return await candidate(request)
        return not_found(f"Cannot {request.method} {request.path}")


async def read_request(scope: Scope, receive: Receive) -> Request:
    """Collect a request from ASGI."""
    parts: list[bytes] = []
    more = True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    raw_path = scope.get("raw_path") or scope["path"].encode()
    query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
    path = raw_path.decode("latin-1").partition("?")[0]
    return Request(scope["method"], path, query, headers, b"".join(parts))


async def write_reply(reply: Reply, send: Send) -> None:
    """Hand a reply to ASGI; a cut one promises more bytes than it has, and the server closes the connection."""
    length = len(reply.body) + (1000 if reply.cut else 0)
    headers = [(b"content-type", reply.content_type.encode()), (b"content-length", str(length).encode())]
    headers += [(name.encode(), value.encode()) for name, value in reply.headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body, "more_body": reply.cut})
