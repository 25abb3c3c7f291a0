"""Who is calling: a credential becomes a ``CurrentUser``, and guards say which routes need one.

How a credential is verified is not known here: ``core.app`` hands an ``Authenticator`` to the middleware.
"""

from http.cookies import CookieError, SimpleCookie
from typing import Any, Literal, Protocol

import msgspec
from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.handlers import BaseRouteHandler
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from core.errors import ForbiddenError, NotSignedInError, PlatformError
from core.runtime import config
from core.trail import following

Connection = ASGIConnection[Any, Any, Any, Any]

ADMINISTRATOR = "administrator"
SESSION_COOKIE = "recado_session"
CSRF_COOKIE = "recado_csrf"
CSRF_HEADER = b"x-csrf-token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

ApiScope = Literal["read", "send", "manage"]
SCOPE = "scope"
"""Key of a route's ``opt``: the scope an API key needs; by default ``read`` to read and ``manage`` for the rest."""
NO_KEY = "none"
"""Value of a route's ``SCOPE`` that no API key may call."""


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
    """0 with an API key."""
    kind: str = "bearer"
    """``bearer``, ``cookie`` or ``api_key``."""
    scopes: tuple[str, ...] = ()
    """What an API key may do."""
    key_id: int | None = None
    actor_id: int | None = None
    """The administrator who acts for this user."""
    two_factor: bool = False
    """A second factor is asked for at the sign-in."""

    @property
    def is_administrator(self) -> bool:
        """Whether the administration is open to this user."""
        return self.profile == ADMINISTRATOR


class Credential(msgspec.Struct, frozen=True):
    """What came with a request to prove who is calling."""

    token: str
    by_cookie: bool = False
    csrf: str = ""
    changes: bool = False
    """The request may change something."""


class Authenticator(Protocol):
    """Turns a credential into its user."""

    async def __call__(self, credential: Credential, known: object = None) -> CurrentUser:
        """Return the credential's user; ``known`` is what a cache held of it, where it was asked already.

        Raises:
            NotSignedInError: The credential is unknown, expired or revoked.
            ForbiddenError: It is valid and the account is suspended, or a change lacks its CSRF token.
        """
        ...


class AuthenticationMiddleware(ASGIMiddleware):
    """Verify the credential, if one came; a guard refuses the request where the outcome is not enough.

    The outcome is kept instead of raised, so that a stale token does not close the public routes.
    """

    scopes = (ScopeType.HTTP,)

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Put the user, or the reason why there is none, into the scope."""
        scope["user"] = None
        scope["auth"] = NotSignedInError()
        credential = credential_of(scope)
        if credential is not None:
            try:
                scope["user"] = await self._authenticator(credential, scope["state"].get("known_credential"))
            except PlatformError as error:
                scope["auth"] = error
        with following(scope):
            await next_app(scope, receive, send)


def credential_of(scope: Scope) -> Credential | None:
    """Return the token of the ``Authorization: Bearer`` header, else that of the session cookie."""
    cookies = csrf = ""
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, token = value.decode("latin-1").partition(" ")
            if scheme.lower() == "bearer" and token.strip():
                return Credential(token.strip())
        elif name == b"cookie":
            cookies = value.decode("latin-1")
        elif name == CSRF_HEADER:
            csrf = value.decode("latin-1")
    token = _cookie(cookies, SESSION_COOKIE) if SESSION_COOKIE in cookies else ""
    changes = scope.get("method", "") not in SAFE_METHODS
    return Credential(token, by_cookie=True, csrf=csrf, changes=changes) if token else None


def current_user(connection: Connection) -> CurrentUser:
    """Return who is calling; raises what the guards raise when nobody is."""
    user = connection.scope.get("user")
    if isinstance(user, CurrentUser):
        return user
    refusal = connection.scope.get("auth")
    raise refusal if isinstance(refusal, PlatformError) else NotSignedInError


async def requires_user(connection: Connection, handler: BaseRouteHandler) -> None:
    """Guard: 401 without a valid credential, 403 while the account is suspended or a key lacks the route's scope.

    Guards are coroutines because Litestar runs plain functions on another thread.
    """
    user = current_user(connection)
    if user.kind == "api_key":
        _ensure_scope(user, needed_scope(handler, str(connection.scope.get("method", ""))))


async def requires_administrator(connection: Connection, _handler: BaseRouteHandler) -> None:
    """Guard: as ``requires_user``, and 403 unless the user administers the platform, in person."""
    user = current_user(connection)
    if not user.is_administrator:
        raise ForbiddenError("Only an administrator may do this.", code="administrator_required")
    if user.kind == "api_key":
        raise _no_key()
    if not user.two_factor and config().accounts.administrators_need_two_factor:
        raise ForbiddenError(
            "Administrators need two-factor sign-in: switch it on (POST /api/auth/two-factor).",
            code="two_factor_required",
        )


def needed_scope(handler: BaseRouteHandler, method: str) -> str:
    """Return the scope an API key needs for a route: ``read``, ``send``, ``manage``, or ``NO_KEY``."""
    return str(handler.opt.get(SCOPE) or ("read" if method in SAFE_METHODS else "manage"))


def _ensure_scope(user: CurrentUser, needed: str) -> None:
    if needed == NO_KEY:
        raise _no_key()
    if needed not in user.scopes:
        raise ForbiddenError(f"This API key lacks the scope {needed}.", code="scope_missing", scope=needed)


def _no_key() -> ForbiddenError:
    return ForbiddenError("This cannot be done with an API key: sign in.", code="api_key_not_allowed")


def _cookie(header: str, wanted: str) -> str:
    try:
        found = SimpleCookie(header).get(wanted)
    except CookieError:
        return ""
    return found.value if found is not None else ""
