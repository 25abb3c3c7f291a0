"""Tickets for ``GET /api/events``: a browser's ``EventSource`` sends no bearer, but a ticket in the address.

It works once and not for long, since addresses are logged on their way.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable
from typing import Final, TypeVar
from urllib.parse import parse_qs

import msgspec
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send
from redis.exceptions import RedisError

from core.errors import NotReadyError, NotSignedInError
from core.live.schemas import TicketRead
from core.runtime import runtime
from core.security import CurrentUser

PATH: Final = "/api/events"
LASTS_SECONDS: Final = 45
LIMIT_SECONDS: Final = 2.0
LENGTH: Final = 43
PARAMETER: Final = "ticket"
BY_TICKET: Final = "by_ticket"
"""Set in the state of a request that came in with one."""

_T = TypeVar("_T")


async def issue(user: CurrentUser) -> TicketRead:
    """Make a ticket for who is calling, with what their credential may do.

    Raises:
        NotReadyError: Redis, which holds tickets, does not answer.
    """
    ticket = secrets.token_urlsafe(32)
    await _answer(runtime().redis.set(_key_of(ticket), msgspec.msgpack.encode(user), ex=LASTS_SECONDS))
    return TicketRead(ticket=ticket, expires_in=LASTS_SECONDS)


async def redeem(ticket: str) -> CurrentUser:
    """Return whose ticket it is; it works no more then.

    Raises:
        NotSignedInError: It was used, is too old, or never was one.
        NotReadyError: Redis does not answer.
    """
    found = await _answer(runtime().redis.getdel(_key_of(ticket))) if len(ticket) == LENGTH else None
    if not isinstance(found, bytes):
        raise NotSignedInError
    return msgspec.msgpack.decode(found, type=CurrentUser)


def ticket_key(scope: HTTPScope) -> str | None:
    """Return where Redis keeps the ticket that a request for the stream brings, ``None`` where it brings none."""
    if scope["path"] != PATH or scope["method"] != "GET":
        return None
    ticket = _ticket_of(scope)
    return None if ticket is None else _key_of(ticket)


class TicketMiddleware(ASGIMiddleware):
    """Let a ticket in the address take the place of another credential."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Put the ticket's user, or the reason why there is none, into the scope."""
        ticket = _ticket_of(scope)
        if ticket is not None:
            scope["user"] = None
            try:
                scope["user"] = await redeem(ticket)
                scope["state"][BY_TICKET] = True
            except (NotSignedInError, NotReadyError) as error:
                scope["auth"] = error
        await next_app(scope, receive, send)


async def _answer(asking: Awaitable[_T]) -> _T:
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            return await asking
    except (RedisError, OSError, TimeoutError):
        raise NotReadyError(
            "Redis, which holds tickets, does not answer: try again shortly.", code="tickets_away"
        ) from None


def _ticket_of(scope: Scope) -> str | None:
    return next(iter(parse_qs(scope["query_string"].decode("latin-1")).get(PARAMETER, ())), None)


def _key_of(ticket: str) -> str:
    return f"recado:live:ticket:{hashlib.sha256(ticket.encode()).hexdigest()}"
