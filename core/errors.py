"""What the platform refuses to do, each with an HTTP status and a stable machine word.

PlatformError
├── MalformedError 400        ├── NotFoundError 404          ├── TooLargeError 413
├── NotSignedInError 401      ├── MethodError 405            ├── ContentTypeError 415
├── PlanLimitError 402        ├── ConflictError 409          ├── InvalidInputError 422
├── PaymentDeclinedError 402
                                                             ├── TooManyRequestsError 429
├── ForbiddenError 403        ├── PreconditionError 412      ├── ProviderFailedError 502
                                                             ├── NotReadyError 503
                                                             └── IdempotencyKeyReusedError 422
"""

from collections.abc import Mapping, Sequence

from core.texts import ENGLISH, Text, error_text, text


class PlatformError(Exception):
    """Base: ``code`` names the case for programs, ``str(error)`` explains it to people in English.

    ``code`` and ``params`` select the text in every language, English too; see ``core.texts``. ``message`` is that text
    as it reads at the place where the error is raised, or one made with ``text`` that is more precise.
    """

    status_code = 500
    title = "Internal error"
    code = "internal_error"
    retry_after: float | None = None
    """Seconds after which the same request may succeed."""

    def __init__(self, message: str, *, code: str | None = None, **params: object) -> None:
        if code is not None:
            self.code = code
        self.params = params
        super().__init__(message if isinstance(message, Text) else error_text(self.code, message, params, ENGLISH))


class MalformedError(PlatformError):
    """The request cannot be read at all."""

    status_code = 400
    title = "Malformed request"
    code = "malformed_request"


class NotSignedInError(PlatformError):
    """No valid credential came with the request."""

    status_code = 401
    title = "Not signed in"
    code = "unauthenticated"

    def __init__(self) -> None:
        super().__init__("Unauthenticated.")


class PlanLimitError(PlatformError):
    """The plan does not allow it; ``plans`` are those that do, the cheapest first, as ``(id, name)``."""

    status_code = 402
    title = "Plan limit reached"
    code = "plan_limit"

    def __init__(
        self, message: str, *, code: str | None = None, plans: Sequence[tuple[int, str]] = (), **params: object
    ) -> None:
        super().__init__(message, code=code, **params)
        self.plans = tuple(plans)


class PaymentDeclinedError(PlatformError):
    """The payer's means of payment was refused; nothing was charged."""

    status_code = 402
    title = "Payment declined"
    code = "payment_declined"

    def __init__(self, reason: str = "") -> None:
        super().__init__("The payment was declined: try another means of payment.", reason=reason)


class ForbiddenError(PlatformError):
    """The credential is valid and not enough."""

    status_code = 403
    title = "Forbidden"
    code = "forbidden"


class NotFoundError(PlatformError):
    """No such row, or another tenant's."""

    status_code = 404
    title = "Not found"
    code = "not_found"

    def __init__(self, what: str, identifier: object = "") -> None:
        told = text("none_found", what=what) if identifier == "" else f"No {what} {identifier} was found."
        super().__init__(told, what=what, identifier=identifier)


class MethodError(PlatformError):
    """The address exists and does not take this method; ``allowed`` names those it takes."""

    status_code = 405
    title = "Method not allowed"
    code = "method_not_allowed"

    def __init__(self, allowed: str) -> None:
        super().__init__(f"This address takes only {allowed}.", allowed=allowed)
        self.allowed = allowed


class ConflictError(PlatformError):
    """The row's present state does not allow it."""

    status_code = 409
    title = "Conflict"
    code = "conflict"


class PreconditionError(PlatformError):
    """``If-Match`` names another version."""

    status_code = 412
    title = "Changed meanwhile"
    code = "precondition_failed"


class TooLargeError(PlatformError):
    """More bytes than allowed."""

    status_code = 413
    title = "Too large"
    code = "too_large"


class ContentTypeError(PlatformError):
    """The body is of another media type than the route takes."""

    status_code = 415
    title = "Unsupported media type"
    code = "unsupported_media_type"

    def __init__(self, expected: str) -> None:
        super().__init__(f"Send the body as {expected}, with that Content-Type.", media_type=expected)


class InvalidInputError(PlatformError):
    """Some fields cannot be accepted; ``errors`` names all of them: field to messages."""

    status_code = 422
    title = "Invalid input"
    code = "invalid_input"

    def __init__(self, errors: Mapping[str, Sequence[str]], message: str = "") -> None:
        self.errors = {field: list(messages) for field, messages in errors.items()}
        first = next((messages[0] for messages in self.errors.values() if messages), "The input is not valid.")
        super().__init__(message or first)
        # The first of them says more than that something is wrong.
        self.args = (message or first,)


class IdempotencyKeyReusedError(PlatformError):
    """The key came with another request before."""

    status_code = 422
    title = "Idempotency key reused"
    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key came with another request before: take a new key for each request.")


class TooManyRequestsError(PlatformError):
    """The caller has to wait; ``retry_after`` says how long, where that is known."""

    status_code = 429
    title = "Too many requests"
    code = "too_many_requests"


class TooManySignInsError(TooManyRequestsError):
    """More people sign in at this moment than passwords can be verified."""

    code = "too_many_sign_ins"
    retry_after = 2.0

    def __init__(self) -> None:
        super().__init__("Too many people are signing in at this moment: try again shortly.")


class ProviderFailedError(PlatformError):
    """An outside service failed; only its provider's name is told, never its answer."""

    status_code = 502
    title = "Provider failed"
    code = "provider_failed"

    def __init__(self, provider: str, *, code: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(f"The service behind {provider} did not do what was asked.", code=code, provider=provider)
        self.retry_after = retry_after


class NotReadyError(PlatformError):
    """Something the platform stands on is not there at the moment."""

    status_code = 503
    title = "Not ready"
    code = "not_ready"
    retry_after = 5.0


class OperatorError(Exception):
    """The process cannot start or go on until whoever runs it changes something; ``str(error)`` says what."""
