"""The way to Stripe: one client per event loop, and every error in the words of gateways."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import msgspec
import stripe

from core.plugin import (
    ConfigurationError,
    DeclinedError,
    ProviderError,
    RefusedError,
    RetryableError,
    Secret,
)

RETRIES = 2
"""How often the library repeats what got no answer; a client that is not told repeats nothing."""
_T = TypeVar("_T")
_S = TypeVar("_S", bound=msgspec.Struct)

# Telemetry writes into the home folder, which a container may not have, and reports how the library is used.
stripe.enable_telemetry = False
# Its lines of lower levels repeat the bodies of requests and responses.
logging.getLogger("stripe").setLevel(logging.WARNING)


class _Http(stripe.HTTPXClient):
    """The library's client on httpx, with a limit for the whole of each call.

    The library's own hands the body to a parameter that httpx has deprecated, and a proxy to one that is gone.
    """

    def __init__(self, limit_seconds: float) -> None:
        super().__init__(timeout=limit_seconds)
        self._limit = limit_seconds

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Send one request."""
        try:
            async with asyncio.timeout(self._limit):
                response = await self._client_async.request(
                    method, url, headers=headers, content=post_data or b"", timeout=self._limit
                )
        except (self.httpx.HTTPError, OSError) as error:
            self._handle_request_error(error)
        return response.content, response.status_code, response.headers


class Connection:
    """One account at Stripe."""

    def __init__(
        self, secret_key: Secret, *, url: str = "", timeout_seconds: float = 20.0, retries: int = RETRIES
    ) -> None:
        self._key = secret_key
        self._url = url.rstrip("/")
        self._timeout = timeout_seconds
        self._retries = retries
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[stripe.StripeClient, _Http]]
        self._clients = WeakKeyDictionary()

    @property
    def live(self) -> bool | None:
        """Whether the key moves real money; ``None`` where the key does not say so."""
        found = re.match(r"(?:sk|rk)_(live|test)_", self._key.reveal())
        return found[1] == "live" if found else None

    async def call(self, act: Callable[[stripe.V1Services], Awaitable[_T]], doing: str) -> _T:
        """Do ``act`` with the services of this loop's client.

        Raises:
            DeclinedError: The means of payment was refused.
            RetryableError: The outcome is unknown.
            ConfigurationError: The key is wrong, or may not do this.
            RefusedError: Stripe will never do this.
        """
        try:
            return await act(self._client().v1)
        except stripe.StripeError as error:
            raise explain(error, doing) from None

    async def read(
        self, act: Callable[[stripe.V1Services], Awaitable[stripe.StripeObject]], kind: type[_S], doing: str
    ) -> _S:
        """Do ``act``, and read what we need of the object that comes back."""
        return as_struct(await self.call(act, doing), kind, doing)

    async def find(
        self, act: Callable[[stripe.V1Services], Awaitable[stripe.StripeObject]], kind: type[_S], doing: str
    ) -> _S | None:
        """Do the same, ``None`` where Stripe itself says that there is no such object."""
        try:
            return await self.read(act, kind, doing)
        except RefusedError as error:
            if is_missing(error):
                return None
            raise

    async def rows(
        self, act: Callable[[stripe.V1Services], Awaitable[object]], kind: type[_S], doing: str, *, every: bool = False
    ) -> list[_S]:
        """Do ``act``, which lists objects, and read what we need of each: of the first page, or of ``every`` one."""

        async def collect(v1: stripe.V1Services) -> list[stripe.StripeObject]:
            listed = await act(v1)
            if not isinstance(listed, stripe.ListObject | stripe.SearchResultObject) or "data" not in listed:
                raise RetryableError(f"{doing}: the answer of Stripe is not understood.")
            # The pages that follow are asked for while they are read.
            return [one async for one in listed.auto_paging_iter()] if every else [*listed.data]

        return [as_struct(one, kind, doing) for one in await self.call(collect, doing)]

    async def aclose(self) -> None:
        """Close the client of this loop; those of loops that have ended hold nothing."""
        found = self._clients.pop(asyncio.get_running_loop(), None)
        if found:
            await found[1].close_async()  # type: ignore[no-untyped-call] # the library types all but this

    def _client(self) -> stripe.StripeClient:
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            http = _Http(self._timeout)
            client = stripe.StripeClient(
                self._key.reveal(),
                stripe_version=stripe.api_version,
                base_addresses={"api": self._url} if self._url else {},
                max_network_retries=self._retries,
                http_client=http,
            )
            self._clients[loop] = (client, http)
        return self._clients[loop][0]


def as_struct(found: stripe.StripeObject, kind: type[_S], doing: str) -> _S:
    """Read what we need of an object."""
    try:
        return msgspec.convert(found.to_dict(), kind)
    except (msgspec.ValidationError, AttributeError):
        # JSON that is no object at all has no fields either.
        raise RetryableError(f"{doing}: the answer of Stripe is not understood.") from None


def under(key: str) -> stripe.RequestOptions:
    """Return the options of a call that changes something."""
    return {"idempotency_key": key}


def is_missing(error: ProviderError) -> bool:
    """Whether Stripe itself says that an object does not exist; a proxy's 404 has no such code."""
    return error.http_status == 404 and error.provider_code == "resource_missing"  # noqa: PLR2004 - HTTP


def explain(error: stripe.StripeError, doing: str) -> ProviderError:
    """Say in the words of gateways what an error means; the message repeats nothing of the body.

    https://docs.stripe.com/api/errors and https://docs.stripe.com/error-low-level.
    """
    status = error.http_status
    code = _word(error.code)
    answered = " ".join(filter(None, (str(status or ""), code, _word(error.request_id))))
    kind: type[ProviderError]
    if isinstance(error, stripe.CardError) or status == 402:  # noqa: PLR2004 - HTTP
        kind, code, means = DeclinedError, _word(getattr(error.error, "decline_code", "")) or code, "declined"
    elif isinstance(error, stripe.AuthenticationError | stripe.PermissionError) or status in {401, 403}:
        kind, means = ConfigurationError, "refuses the secret key, or the key may not do this"
    elif isinstance(error, stripe.RateLimitError) or status in {409, 429}:
        kind, means = RetryableError, "is busy"
    elif isinstance(error, stripe.IdempotencyError):
        kind, code, means = RefusedError, code or "idempotency_error", "knows this key with other parameters"
    elif isinstance(error, stripe.InvalidRequestError):
        kind, means = RefusedError, "refuses this"
    else:
        kind, means = RetryableError, "gave no usable answer"
    return kind(f"{doing}: Stripe {means} ({answered or 'no answer'}).", http_status=status, provider_code=code)


def _word(value: object) -> str:
    """Return an identifier that Stripe gave, nothing where it is more than that."""
    return value if isinstance(value, str) and re.fullmatch(r"\w{1,80}", value) else ""
