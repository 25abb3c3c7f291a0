"""What the exceptions of libraries, plugins and the database mean to a caller, in the platform's own terms."""

import re
from collections.abc import Callable, Iterator

import asyncpg
import structlog
from litestar.exceptions import HTTPException, MethodNotAllowedException, ValidationException
from redis.exceptions import RedisError

from core.database import DatabaseNotConfiguredError
from core.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    MalformedError,
    MethodError,
    NotFoundError,
    NotReadyError,
    NotSignedInError,
    PlatformError,
    ProviderFailedError,
    TooLargeError,
)
from core.plugin.errors import ProviderError, UnavailableError
from core.plugin.registry import NoSuchProviderError
from core.texts import text
from core.validation import WHOLE, explain_message

_MISSING_PARAMETER = re.compile(r"Missing required \w+ parameter '(?P<name>[^']+)'")

_log = structlog.get_logger(__name__)


def as_platform_error(error: Exception, request_id: str) -> PlatformError:
    """Say in the platform's own terms what an exception of any library means to the caller."""
    match error:
        case PlatformError():
            return error
        case ValidationException():
            return _invalid_parameters(error)
        case HTTPException():
            return _http_error(error, request_id)
        case NoSuchProviderError():
            return ProviderFailedError(error.name, code="no_such_provider")
        case ProviderError():
            wait = error.retry_after if isinstance(error, UnavailableError) else None
            return ProviderFailedError(_provider_of(error), retry_after=wait)
    return _storage_error(error) or _internal_error(request_id)


def _storage_error(error: Exception) -> PlatformError | None:
    """Judge an exception of the database or of Redis; ``None`` when it is a fault of the platform itself."""
    match error:
        case asyncpg.UniqueViolationError():
            return ConflictError("This exists already.", code="already_exists")
        case asyncpg.DeadlockDetectedError() | asyncpg.SerializationError() | asyncpg.LockNotAvailableError():
            return ConflictError("Another change happened at the same time: try again.", code="try_again")
        case asyncpg.DataError():
            # A service should have refused it; the statement changed nothing.
            _log.warning("value_refused_by_database", exc_info=error)
            return InvalidInputError({})
        case RedisError():
            return NotReadyError("Something the platform stands on does not answer: redis.", missing="redis")
        case _ if _is_database_gone(error):
            return NotReadyError("Something the platform stands on does not answer: database.", missing="database")
    return None


def _is_database_gone(error: Exception) -> bool:
    if isinstance(error, asyncpg.InterfaceError):
        return "clos" in str(error)
    if isinstance(error, OSError | TimeoutError):
        return any(name.startswith("asyncpg") for name in _modules(error))
    return isinstance(error, _DATABASE_GONE)


_DATABASE_GONE = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    DatabaseNotConfiguredError,
)


def _provider_of(error: ProviderError) -> str:
    """Name the plugin that raised an error which no service has named."""
    inside = [name.split(".")[1] for name in _modules(error) if name.startswith("plugins.")]
    return inside[-1] if inside else "this provider"


def _modules(error: Exception) -> Iterator[str]:
    traceback = error.__traceback__
    while traceback is not None:
        yield str(traceback.tb_frame.f_globals.get("__name__", ""))
        traceback = traceback.tb_next


def _http_error(error: HTTPException, request_id: str) -> PlatformError:
    """Translate what Litestar itself refuses."""
    if isinstance(error, MethodNotAllowedException):
        allowed = next((value for name, value in (error.headers or {}).items() if name.lower() == "allow"), "")
        return MethodError(", ".join(sorted(allowed.split(", "))))
    known = _KNOWN_STATUS.get(error.status_code)
    if known is not None:
        return known()
    if error.status_code >= PlatformError.status_code:
        return _internal_error(request_id)
    return MalformedError("The request cannot be read.")


class UnknownRouteError(NotFoundError):
    """No route has this address."""

    code = "unknown_route"

    def __init__(self) -> None:
        PlatformError.__init__(self, "No such address was found.")


_KNOWN_STATUS: dict[int, Callable[[], PlatformError]] = {
    401: NotSignedInError,
    403: lambda: ForbiddenError("This is not allowed."),
    404: UnknownRouteError,
    413: lambda: TooLargeError("The request's body is too large."),
}


def _internal_error(request_id: str) -> PlatformError:
    return PlatformError(f"Something went wrong on our side. The request's id is {request_id}.", request_id=request_id)


def _invalid_parameters(error: ValidationException) -> PlatformError:
    """Name the parameters that Litestar found wrong."""
    missing = _MISSING_PARAMETER.search(str(error.detail))
    if missing is not None:
        return InvalidInputError({missing["name"]: [text("required")]})
    found: dict[str, list[str]] = {}
    for item in error.extra or ():
        if isinstance(item, dict):
            found.setdefault(str(item.get("key") or WHOLE), []).append(explain_message(str(item.get("message", ""))))
    return InvalidInputError(found or {WHOLE: [text("invalid")]})
