"""Who is calling: the bearer token becomes a ``CurrentUser``, and guards say which routes need one.

How a token is verified is not known here: ``core.app`` hands an ``Authenticator`` to the middleware.
"""

from typing import Any, Protocol

import msgspec
from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.handlers import BaseRouteHandler
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from core.errors import ForbiddenError, NotSignedInError, PlatformError

Connection = ASGIConnection[Any, Any, Any, Any]

ADMINISTRATOR = "administrator"


class CurrentUser(msgspec.Struct, frozen=True, kw_only=True):
    """The signed-in user as of this request."""

    id: int
    email: str
    name: str
    profile: str
    """``user`` or ``administrator``."""
    plan_id: int | None
    locale: str
    timezone: str
    session_id: int

    @property
    def is_administrator(self) -> bool:
        """Whether the administration is open to this user."""
        return self.profile == ADMINISTRATOR


class Authenticator(Protocol):
    """Turns a bearer token into its user."""

    async def __call__(self, token: str) -> CurrentUser:
        """Return the token's user.

        Raises:
            NotSignedInError: The token is unknown, expired or revoked.
            ForbiddenError: It is valid and the account is suspended.
        """
        ...


class AuthenticationMiddleware(ASGIMiddleware):
    """Verify the bearer token, if one came; a guard refuses the request where the outcome is not enough.

    The outcome is kept instead of raised, so that a stale token does not close the public routes.
    """

    scopes = (ScopeType.HTTP,)

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Put the user, or the reason why there is none, into the scope."""
        scope["user"] = None
        scope["auth"] = NotSignedInError()
        token = bearer_token(scope)
        if token:
            try:
                scope["user"] = await self._authenticator(token)
            except PlatformError as error:
                scope["auth"] = error
        await next_app(scope, receive, send)


def bearer_token(scope: Scope) -> str:
    """Return the token of the ``Authorization: Bearer`` header, or an empty string."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, token = value.decode("latin-1").partition(" ")
            return token.strip() if scheme.lower() == "bearer" else ""
    return ""


def current_user(connection: Connection) -> CurrentUser:
    """Return who is calling; raises what the guards raise when nobody is."""
    user = connection.scope.get("user")
    if isinstance(user, CurrentUser):
        return user
    refusal = connection.scope.get("auth")
    raise refusal if isinstance(refusal, PlatformError) else NotSignedInError


async def requires_user(connection: Connection, _handler: BaseRouteHandler) -> None:
    """Guard: 401 without a valid token, 403 while the account is suspended.

    Guards are coroutines because Litestar runs plain functions on another thread.
    """
    current_user(connection)


async def requires_administrator(connection: Connection, _handler: BaseRouteHandler) -> None:
    """Guard: as ``requires_user``, and 403 unless the user administers the platform."""
    if not current_user(connection).is_administrator:
        raise ForbiddenError("Only an administrator may do this.", code="administrator_required")
