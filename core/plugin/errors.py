"""What a provider call may raise, named by what the caller does next.

ProviderError
├── UnavailableError      not done, the same call may work later
│   └── LimitReachedError none of this account will, until ``retry_after``
├── RefusedError          the service will never do this
├── MisconfiguredError    credentials, licence or settings must change first
└── UncertainError        no answer, so it may have been done

``MessagingProvider.send`` raises none of these: it returns an outcome.
"""


class ProviderError(Exception):
    """A call to an outside service failed; ``str(error)`` is safe to log, never a response body."""

    code = "provider_error"

    def __init__(self, message: str, *, http_status: int | None = None, provider_code: str = "") -> None:
        super().__init__(message)
        self.http_status = http_status
        self.provider_code = provider_code


class UnavailableError(ProviderError):
    """The service could not be reached or is busy; ``retry_after`` is in seconds.

    ``of_recipient`` says that it answers, and has nothing against other recipients: a full mailbox, for instance.
    """

    code = "provider_unavailable"

    def __init__(
        self,
        message: str,
        *,
        http_status: int | None = None,
        provider_code: str = "",
        retry_after: float | None = None,
        of_recipient: bool = False,
    ) -> None:
        super().__init__(message, http_status=http_status, provider_code=provider_code)
        self.retry_after = retry_after
        self.of_recipient = of_recipient


class LimitReachedError(UnavailableError):
    """The account's allowance is used up; ``retry_after`` seconds say when there is more."""

    code = "provider_limit_reached"


class RefusedError(ProviderError):
    """The service answered that it will not do this."""

    code = "provider_refused"


class MisconfiguredError(ProviderError):
    """The service refuses our credentials or settings: a person must change them."""

    code = "provider_misconfigured"


class UncertainError(ProviderError):
    """The request was written and no usable answer came back."""

    code = "provider_uncertain"
