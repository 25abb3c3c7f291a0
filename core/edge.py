"""What stands around every request, outermost first: its id, its log line, security headers, origin check, rate limit.

These run before routing, so that they hold for unknown addresses too.
"""

import secrets
import time
from collections.abc import Iterable
from urllib.parse import urlsplit

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from core.config import PlatformConfig, ServerConfig
from core.errors import ForbiddenError, MalformedError, PlatformError
from core.logging import log_context
from core.problems import MEDIA_TYPE, language_of, render
from core.rate_limit import RateLimitedError, RateLimiter
from core.security import CurrentUser

METHODS = "GET, POST, PUT, PATCH, DELETE"
REQUEST_HEADERS = "Authorization, Content-Type, Accept-Language, Idempotency-Key, If-Match, Last-Event-ID"
RESPONSE_HEADERS = (
    "X-Request-Id, Retry-After, ETag, Location, Content-Disposition, Idempotency-Replayed,"
    " RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset"
)
PREFLIGHT_SECONDS = 600
HSTS_SECONDS = 31_536_000

PAGE_POLICY = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
ANSWER_POLICY = "default-src 'none'; frame-ancestors 'none'"

Headers = list[tuple[bytes, bytes]]

_log = structlog.get_logger(__name__)


class Origins:
    """Which pages may call the platform from a browser: its own on any host name, and those configured."""

    def __init__(self, server: ServerConfig) -> None:
        self._configured = frozenset(origin.rstrip("/").lower() for origin in server.allowed_origins)
        public = urlsplit(server.public_url)
        self._own = f"{public.scheme}://{public.netloc}".lower() if public.netloc else None

    def allows(self, origin: str, host: str) -> bool:
        """Whether a page of ``origin`` may call us when it reaches us as ``host``.

        The scheme is not compared: behind a proxy that ends TLS we do not know it.
        """
        return origin.lower() == self._own or self.is_configured(origin) or _authority(origin) == _bare(host)

    def is_configured(self, origin: str) -> bool:
        """Whether ``origin`` is another site that the operator has named."""
        return origin.lower() in self._configured


class Edge:
    """The ASGI application around Litestar's own."""

    def __init__(self, app: ASGIApp, config: PlatformConfig, limiter: RateLimiter) -> None:
        self._app = app
        self._limiter = limiter
        self._origins = Origins(config.server)
        self._fixed: Headers = [
            (b"x-content-type-options", b"nosniff"),
            (b"x-frame-options", b"DENY"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-opener-policy", b"same-origin"),
        ]
        if config.server.public_url.startswith("https://"):
            self._fixed.append((b"strict-transport-security", f"max-age={HSTS_SECONDS}".encode()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; only HTTP is known."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        scope["state"]["request_id"] = request_id
        started = time.perf_counter()
        status = 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                present = list(message["headers"])
                message["headers"] = [*present, *self._headers(scope, present, request_id)]
            await send(message)

        with log_context(request_id=request_id):
            try:
                await self._serve(scope, receive, send_with_headers)
            finally:
                _write_log(scope, status, time.perf_counter() - started)

    async def _serve(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        origin, host = _header(scope, b"origin"), _header(scope, b"host")
        if not host and any(name == b"host" for name, _ in scope["headers"]):
            await _refuse(scope, send, MalformedError("The request cannot be read."))
        elif origin and not self._origins.allows(origin, host):
            shown = origin[:200]
            text = f"Pages of {shown} may not call this API."
            await _refuse(scope, send, ForbiddenError(text, code="foreign_origin", origin=shown))
        elif origin and scope["method"] == "OPTIONS" and _header(scope, b"access-control-request-method"):
            await _answer_preflight(send)
        else:
            await self._serve_counted(scope, receive, send)

    async def _serve_counted(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        try:
            async with self._limiter.serving(scope) as headers:

                async def send_with_limits(message: Message) -> None:
                    if message["type"] == "http.response.start":
                        message["headers"] = [*message["headers"], *headers]
                    await send(message)

                await self._app(scope, receive, send_with_limits if headers else send)
        except PlatformError as refusal:
            await _refuse(scope, send, refusal, refusal.headers if isinstance(refusal, RateLimitedError) else ())

    def _headers(self, scope: HTTPScope, present: Headers, request_id: str) -> Headers:
        names = {name.lower(): value for name, value in present}
        is_page = names.get(b"content-type", b"").startswith(b"text/html")
        added = [(b"x-request-id", request_id.encode()), *self._fixed]
        if b"content-security-policy" not in names:
            added.append((b"content-security-policy", (PAGE_POLICY if is_page else ANSWER_POLICY).encode()))
        if b"cache-control" not in names and scope["path"].startswith("/api"):
            added.append((b"cache-control", b"no-store"))
        origin = _header(scope, b"origin")
        if origin and self._origins.is_configured(origin):
            added.append((b"access-control-allow-origin", origin.encode("latin-1")))
            added.append((b"access-control-expose-headers", RESPONSE_HEADERS.encode()))
            added.append((b"vary", b"origin"))
        return added


async def _refuse(
    scope: HTTPScope, send: Send, refusal: PlatformError, more: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    rendered = render(refusal, language=language_of(scope))
    headers = [*more, *((name.encode(), value.encode()) for name, value in rendered.headers.items())]
    headers += [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(rendered.body)).encode())]
    await send({"type": "http.response.start", "status": refusal.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": rendered.body, "more_body": False})


async def _answer_preflight(send: Send) -> None:
    headers: Iterable[tuple[bytes, bytes]] = [
        (b"access-control-allow-methods", METHODS.encode()),
        (b"access-control-allow-headers", REQUEST_HEADERS.encode()),
        (b"access-control-max-age", str(PREFLIGHT_SECONDS).encode()),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _write_log(scope: HTTPScope, status: int, seconds: float) -> None:
    # The template, since paths of webhooks and tickets carry secrets.
    path = scope.get("path_template") or "(unknown)"
    user = scope.get("user")
    level = "debug" if path.startswith("/health") else "info"
    getattr(_log, level)(
        "request",
        method=scope["method"],
        path=path,
        status=status,
        milliseconds=round(seconds * 1000, 1),
        user_id=user.id if isinstance(user, CurrentUser) else None,
    )


def _header(scope: HTTPScope, wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), "")


def _authority(origin: str) -> str:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return "invalid"
    return _bare(parts.netloc) if parts.scheme in {"http", "https"} and parts.netloc else "opaque"


def _bare(authority: str) -> str:
    """Leave out a port that the scheme implies."""
    return authority.lower().removesuffix(":80").removesuffix(":443")
