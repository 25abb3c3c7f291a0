"""What a route declares to take ``Idempotency-Key``: ``middleware=[IDEMPOTENT]``, or ``[IDEMPOTENT_CALL]``.

The semantics are those of draft-ietf-httpapi-idempotency-key-header and of Stripe's API: the same request with the same
key is answered as before, another one is 422, one that still runs 409. An answer is kept when the route decided it;
what was refused before that (unreadable, not signed in, not valid) or failed (5xx) leaves the key free.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from litestar.enums import ScopeType
from litestar.handlers import HTTPRouteHandler
from litestar.middleware import ASGIMiddleware
from litestar.openapi.spec import Operation, Parameter, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.types import ASGIApp, HTTPReceiveMessage, HTTPScope, Message, Receive, Scope, Send

from core.database import unit_of_work
from core.errors import MalformedError
from core.idempotency import services
from core.idempotency.schemas import Answer, Keyed
from core.problems import MEDIA_TYPE, language_of, render, request_id_of
from core.security import CurrentUser

HEADER = "Idempotency-Key"
REPLAYED = "idempotency-replayed"
MAXIMUM_LENGTH = 255
REFUSED_BEFORE = frozenset({400, 401, 403, 412, 413, 415, 422, 429})
"""Answers that were given before the route did anything."""
TRY_AGAIN = "try_again"
"""The code of a conflict that asks for the same request once more."""
FAILED = 500


@dataclass
class IdempotentOperation(Operation):
    """The description of a route that takes the header."""

    def __post_init__(self) -> None:
        """Add the header to the parameters of the route."""
        header = Parameter(
            name=HEADER,
            param_in="header",
            description="Makes a repetition safe: within 24 hours the same request with the same key is carried out"
            " once, and answered as the first time with `Idempotency-Replayed: true`.",
            schema=Schema(type=OpenAPIType.STRING, min_length=1, max_length=MAXIMUM_LENGTH),
            required=False,
        )
        self.parameters = [*(self.parameters or ()), header]


class Idempotency(ASGIMiddleware):
    """Carry a signed-in request out once for each key.

    ``atomic`` routes work in the database alone: what they do and their answer are committed as one unit of work, so
    that a crash leaves both or neither. A route that calls an outside service is not; cut off, it is 409 from then on.
    """

    scopes = (ScopeType.HTTP,)

    def __init__(self, *, atomic: bool) -> None:
        self.atomic = atomic

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Pass a request without a key on; judge one that has a key."""
        user = scope.get("user")
        values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"idempotency-key"]
        if not values or not isinstance(user, CurrentUser):
            await next_app(scope, receive, send)
            return
        key = parse_key(values)
        body = _Body(receive)
        route = scope["route_handler"]
        limit = route.resolve_request_max_body_size() if isinstance(route, HTTPRouteHandler) else None
        if scope["type"] != ScopeType.HTTP or not await body.read(limit):
            await next_app(scope, body.receive, send)
            return
        request = Keyed(
            user_id=user.id,
            key=key,
            method=scope["method"],
            path=scope["path"][:500],
            fingerprint=_fingerprint(scope, body.content),
            atomic=self.atomic,
            holder=secrets.token_hex(16),
        )
        answer = await services.claim(request)
        if answer is not None:
            await _send(answer, send, replayed=True)
            return
        try:
            answer = await self._carry_out(request, scope, body, next_app)
        except Exception as error:  # noqa: BLE001 - Litestar takes the captured answer for one that has been sent
            answer = _told(error, scope)
        await _send(answer, send)

    async def _carry_out(self, request: Keyed, scope: Scope, body: "_Body", next_app: ASGIApp) -> Answer:
        captured = _Captured()
        try:
            if self.atomic:
                await _in_one_unit(request, scope, body, next_app, captured)
            else:
                await next_app(scope, body.receive, captured.send)
        except BaseException:
            # A route that calls others may have done so: its key stays claimed, and is told to be uncertain later.
            if self.atomic:
                await services.release(request)
            raise
        answer = captured.answer()
        if answer.status < MalformedError.status_code and self.atomic:
            return answer
        await (services.keep(request, answer) if is_kept(answer) else services.release(request))
        return answer


IDEMPOTENT = Idempotency(atomic=True)
IDEMPOTENT_CALL = Idempotency(atomic=False)


def parse_key(values: Sequence[str]) -> str:
    """Return the key; it may stand in double quotes, as the draft writes it, or bare, as most clients do.

    Raises:
        MalformedError: There are several, or it is no 1 to 255 printable ASCII characters.
    """
    key = values[0].strip()
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if len(values) > 1 or not 0 < len(key) <= MAXIMUM_LENGTH or not (key.isascii() and key.isprintable()):
        raise MalformedError(
            f"The header Idempotency-Key takes one key of 1 to {MAXIMUM_LENGTH} printable ASCII characters.",
            code="idempotency_key_malformed",
            maximum=MAXIMUM_LENGTH,
        )
    return key


def is_kept(answer: Answer) -> bool:
    """Whether a repetition gets this answer again."""
    if answer.status >= FAILED or answer.status in REFUSED_BEFORE:
        return False
    return f'"code":"{TRY_AGAIN}"'.encode() not in answer.body or answer.status < MalformedError.status_code


class _RefusedError(Exception):
    """Rolls back the unit of work of a request that was refused."""


async def _in_one_unit(request: Keyed, scope: Scope, body: "_Body", next_app: ASGIApp, captured: "_Captured") -> None:
    """Carry the request out and keep its answer in one unit of work; nothing of a refused one stays."""
    try:
        async with unit_of_work():
            await next_app(scope, body.receive, captured.send)
            await services.keep(request, captured.accepted())
    except _RefusedError:
        return


class _Body:
    """The request's body, read ahead and then given to the route."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._ahead: list[HTTPReceiveMessage] = []
        self.content = b""

    async def read(self, limit: int | None) -> bool:
        """Read all of it, and say whether it came whole and is not longer than the route takes."""
        parts: list[bytes] = []
        length = 0
        while True:
            message = await self._receive()
            self._ahead.append(message)  # type: ignore[arg-type]
            if message["type"] != "http.request":
                return False
            parts.append(message["body"])
            length += len(message["body"])
            if limit is not None and length > limit:
                return False
            if not message["more_body"]:
                self.content = b"".join(parts)
                return True

    async def receive(self) -> HTTPReceiveMessage:
        """Give the route what was read ahead, then what comes after it."""
        if self._ahead:
            return self._ahead.pop(0)
        message: HTTPReceiveMessage = await self._receive()  # type: ignore[assignment]
        return message


class _Captured:
    """An answer that is not sent before it is kept."""

    def __init__(self) -> None:
        self._status = FAILED
        self._headers: dict[str, str] = {}
        self._parts: list[bytes] = []

    async def send(self, message: Message) -> None:
        """Take one message of the route."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            pairs = ((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in message["headers"])
            self._headers = {name: value for name, value in pairs if name != "content-length"}
        elif message["type"] == "http.response.body":
            self._parts.append(message["body"])

    def answer(self) -> Answer:
        """Return what the route answered."""
        return Answer(status=self._status, headers=self._headers, body=b"".join(self._parts))

    def accepted(self) -> Answer:
        """Return what the route answered, or raise ``_RefusedError`` when it did not do what was asked."""
        if self._status >= MalformedError.status_code:
            raise _RefusedError
        return self.answer()


def _fingerprint(scope: HTTPScope, content: bytes) -> bytes:
    media_type = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    head = (scope["method"], scope["path"], scope["query_string"].decode("latin-1"), media_type.decode("latin-1"))
    return hashlib.sha256(msgspec.json.encode(head) + content).digest()


def _told(error: Exception, scope: Scope) -> Answer:
    rendered = render(error, language=language_of(scope), request_id=request_id_of(scope))
    headers = {**rendered.headers, "content-type": MEDIA_TYPE}
    return Answer(status=rendered.details.status, headers=headers, body=rendered.body)


async def _send(answer: Answer, send: Send, *, replayed: bool = False) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    if replayed:
        headers.append((REPLAYED.encode(), b"true"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})
