"""Every error as one body: RFC 9457 problem details with Laravel's ``message`` and ``errors`` and our ``code``."""

from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.types import ExceptionHandlersMap, Scope
from msgspec import UNSET, UnsetType

from core.errors import (
    ConflictError,
    ContentTypeError,
    ForbiddenError,
    InvalidInputError,
    MalformedError,
    MethodError,
    NotFoundError,
    NotReadyError,
    NotSignedInError,
    PlanLimitError,
    PlatformError,
    PreconditionError,
    ProviderFailedError,
    TooLargeError,
    TooManyRequestsError,
)
from core.foreign_errors import as_platform_error
from core.request import is_missing_body, missing_body
from core.texts import ENGLISH, Text, error_text, localize, negotiate, title_text

MEDIA_TYPE = "application/problem+json"

_log = structlog.get_logger(__name__)


class PlanOffer(msgspec.Struct, frozen=True, kw_only=True):
    """A plan that allows what the present one does not."""

    id: int
    name: str


class ProblemDetails(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every error: ``code`` is a stable word, the texts follow ``Accept-Language``."""

    type: str
    title: str
    status: int
    detail: str
    message: str
    """The same as ``detail``, under the name that Laravel gave it."""
    errors: dict[str, list[str]]
    """Field to messages; empty unless fields are at fault."""
    code: str
    limit: str | UnsetType = UNSET
    """With 402: what the plan limits."""
    allowed: int | UnsetType = UNSET
    """With 402: how many of it the plan allows."""
    plans: tuple[PlanOffer, ...] | UnsetType = UNSET
    """With 402: the plans that allow it, the cheapest first."""


class Rendered(msgspec.Struct, frozen=True):
    """An error ready to be sent."""

    details: ProblemDetails
    headers: dict[str, str]

    @property
    def body(self) -> bytes:
        """The JSON text of the details."""
        return msgspec.json.encode(self.details)


def render(error: Exception, *, language: str = ENGLISH, request_id: str = "") -> Rendered:
    """Turn any exception into the body and headers that tell it; what is nobody's mistake is logged."""
    known = as_platform_error(error, request_id)
    if known.status_code == PlatformError.status_code:
        _log.error("request_failed", exc_info=error, request_id=request_id)
    errors = known.errors if isinstance(known, InvalidInputError) else {}
    detail = detail_of(known, language)
    details = ProblemDetails(
        type="about:blank",
        title=title_text(type(known).code, known.title, language),
        status=known.status_code,
        detail=detail,
        message=detail,
        errors={name: [localize(message, language) for message in found] for name, found in errors.items()},
        code=known.code,
        **_offers(known),
    )
    return Rendered(details, {**_headers(known), "content-language": language, "vary": "accept-language"})


def language_of(scope: Scope) -> str:
    """Return the language the caller asks for."""
    return next(
        (negotiate(value.decode("latin-1")) for name, value in scope["headers"] if name == b"accept-language"), ENGLISH
    )


def request_id_of(scope: Scope) -> str:
    """Return the id this request has in the log."""
    return str(scope.get("state", {}).get("request_id", ""))


def handle(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Litestar's exception handler for everything."""
    language = language_of(request.scope)
    told = missing_body(request) if is_missing_body(error) else error
    rendered = render(told, language=language, request_id=request_id_of(request.scope))
    return Response(rendered.body, status_code=rendered.details.status, media_type=MEDIA_TYPE, headers=rendered.headers)


EXCEPTION_HANDLERS: ExceptionHandlersMap = {HTTPException: handle, Exception: handle}


def problem_responses(*statuses: int) -> dict[int, ResponseSpec]:
    """Return the ``responses`` of a route that may answer with ``statuses``, for its OpenAPI description."""
    return {
        status: ResponseSpec(
            ProblemDetails,
            generate_examples=False,
            description=_BY_STATUS[status].title,
            media_type=MEDIA_TYPE,
            examples=[Example(value=msgspec.to_builtins(example_of(status)))],
        )
        for status in statuses
    }


def answer_spec(kind: type, description: str) -> ResponseSpec:
    """Return what describes one of several good answers of a route, for its OpenAPI description."""
    return ResponseSpec(kind, generate_examples=False, description=description)


def example_of(status: int) -> ProblemDetails:
    """Return the body that an error of ``status`` may have."""
    kind = _BY_STATUS[status]
    errors = {"name": ["This field is required."]} if kind is InvalidInputError else {}
    message = "This field is required." if errors else f"{kind.title}."
    return ProblemDetails(
        type="about:blank",
        title=kind.title,
        status=status,
        detail=message,
        message=message,
        errors=errors,
        code=kind.code,
    )


_BY_STATUS = {
    kind.status_code: kind
    for kind in (
        MalformedError,
        NotSignedInError,
        PlanLimitError,
        ForbiddenError,
        NotFoundError,
        MethodError,
        ConflictError,
        PreconditionError,
        TooLargeError,
        ContentTypeError,
        TooManyRequestsError,
        InvalidInputError,
        ProviderFailedError,
        NotReadyError,
    )
}


def detail_of(error: PlatformError, language: str) -> str:
    """Return what an error says, in ``language``."""
    first = error.args[0]
    if isinstance(first, Text):
        return localize(first, language)
    return str(first) if language == ENGLISH else error_text(error.code, str(first), error.params, language)


def _offers(error: PlatformError) -> dict[str, Any]:
    """Return the extension members of a reached limit (RFC 9457, section 3.2)."""
    if not isinstance(error, PlanLimitError):
        return {}
    members: dict[str, Any] = {name: error.params[name] for name in ("limit", "allowed") if name in error.params}
    members["plans"] = tuple(PlanOffer(id=plan_id, name=name) for plan_id, name in error.plans)
    return members


def _headers(error: PlatformError) -> dict[str, str]:
    if isinstance(error, NotSignedInError):
        return {"www-authenticate": "Bearer"}
    if isinstance(error, MethodError):
        return {"allow": error.allowed}
    if error.retry_after is not None:
        return {"retry-after": str(max(1, round(error.retry_after)))}
    return {}
