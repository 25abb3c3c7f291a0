"""The HTTP client every plugin uses: an ``httpx.AsyncClient`` on the aiohttp transport, with two ways to call.

``Client.post_once`` is for sends: it never raises and says whether a failed request was certainly not written.
``Client.call`` is for everything else: it raises a ``ProviderError``. Neither repeats a POST.

Plain httpx reached 465-705 requests a second on two cores, httpx on aiohttp 2,000-3,400; the API stays httpx's.
Idle connections are closed after 4 s: Node servers close theirs at 5 s, and a POST written into a closing
connection would be a false *unknown*.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Collection, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TypeVar

import aiohttp
import httpx
import msgspec
from httpx_aiohttp import AiohttpTransport

from core.plugin.errors import MisconfiguredError, ProviderError, RefusedError, UnavailableError, UncertainError
from core.plugin.messaging import Retryable, Unknown

IDLE_SECONDS = 4.0
CONNECT_SECONDS = 5.0
POOL_SECONDS = 10.0
"""The longest a request waits for a free connection, its opening included."""
DEFAULT_LIMIT_SECONDS = 20.0
DEFAULT_TIMEOUT = httpx.Timeout(DEFAULT_LIMIT_SECONDS, connect=CONNECT_SECONDS, pool=POOL_SECONDS)

# The deadline of the whole exchange is an asyncio.timeout: a read timeout alone never ends a body that trickles.
_EXTENSIONS = {"timeout": {"connect": CONNECT_SECONDS, "pool": POOL_SECONDS, "read": None, "write": None}}
# aiohttp signs in with the user name of a URL; httpx would too, and aiohttp refuses to do it twice.
_NO_AUTH = httpx.Auth()
_FAILURES = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, aiohttp.ClientError, OSError)
_UNWRITTEN = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ServerFingerprintMismatch,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
)

PART_BYTES = 2**18
"""A longer body goes out in parts of this size, so that writing it does not hold up the other requests."""

_T = TypeVar("_T")


class Client(httpx.AsyncClient):
    """An ``httpx.AsyncClient`` that also knows what a failure means; made by ``build_client``."""

    async def post_once(
        self, url: str, *, content: bytes, headers: Mapping[str, str], limit_seconds: float
    ) -> httpx.Response | Retryable | Unknown:
        """POST ``content`` once and return the whole response, or the outcome of a failed exchange.

        The path of every send: it passes over what httpx adds per request (base URL, default headers, cookies,
        redirects), so ``url`` is absolute and ``headers`` are complete. ``limit_seconds`` bounds the whole exchange.
        """
        try:
            request = _post(_parse(url), headers, content)
            async with asyncio.timeout(limit_seconds):
                response = await self._transport.handle_async_request(request)
                try:
                    await response.aread()
                except BaseException:
                    await response.aclose()
                    raise
        except TimeoutError:
            return Unknown("timeout")
        except _FAILURES as error:
            return Retryable("unreachable", scope="server") if never_written(error) else Unknown("connection_lost")
        return response

    async def call(
        self,
        request: httpx.Request,
        *,
        doing: str,
        limit_seconds: float = DEFAULT_LIMIT_SECONDS,
        accept: Collection[int] = (),
    ) -> httpx.Response:
        """Send what ``build_request`` made; return a response of status 2xx or of a status in ``accept``.

        ``doing`` completes the sentence "... failed while ..." of an error, for example ``"starting the session"``.
        ``limit_seconds`` bounds the whole exchange.

        Raises:
            UnavailableError: Not done: the service cannot be reached, answers 429 or 503, or a GET or HEAD failed
                in any other way that may pass.
            MisconfiguredError: 401, 403 or a redirect.
            RefusedError: Any other 4xx, or 501.
            UncertainError: It may have been done: no answer in time, a lost connection, another 5xx.
        """
        place = _Place(_origin(request.url), doing, request.method in {"GET", "HEAD"})
        request.extensions = {**request.extensions, **_EXTENSIONS}
        try:
            async with asyncio.timeout(limit_seconds):
                response = await self.send(request, auth=_NO_AUTH)
        except TimeoutError:
            raise place.no_answer(f"no answer within {limit_seconds:g} s") from None
        except _FAILURES as error:
            if never_written(error):
                raise UnavailableError(
                    f"{place.origin} could not be reached while {doing}: check its address and that it runs"
                ) from None
            raise place.no_answer("the connection was lost") from None
        if response.is_success or response.status_code in accept:
            return response
        raise place.refusal(response)


class _Place(msgspec.Struct, frozen=True):
    """Where a call went and what it was for, as errors say it; never the path, the query or a body."""

    origin: str
    doing: str
    only_reads: bool

    def no_answer(self, what: str, http_status: int | None = None) -> ProviderError:
        text = f"{self.origin}: {what} while {self.doing}"
        if self.only_reads:
            return UnavailableError(text, http_status=http_status)
        return UncertainError(f"{text}; it may have been done", http_status=http_status)

    def refusal(self, response: httpx.Response) -> ProviderError:
        status = response.status_code
        text = f"{self.origin} answered {status} while {self.doing}"
        if status in {401, 403}:
            return MisconfiguredError(f"{text}: check the credentials of this server", http_status=status)
        if status in {429, 503}:
            return UnavailableError(f"{text}: try again later", http_status=status, retry_after=retry_after(response))
        if response.is_redirect:
            return MisconfiguredError(f"{text}: enter the address it redirects to", http_status=status)
        if status == httpx.codes.NOT_IMPLEMENTED or (
            response.is_client_error and status != httpx.codes.REQUEST_TIMEOUT
        ):
            return RefusedError(text, http_status=status)
        return self.no_answer(f"answered {status}", status)


def build_client(
    *,
    base_url: str = "",
    headers: Mapping[str, str] | None = None,
    timeout: httpx.Timeout = DEFAULT_TIMEOUT,
    max_connections: int = 256,
) -> Client:
    """Return a client that follows no redirects, reads no proxy settings and repeats no POST.

    It may be built before an event loop runs; the connection pool is opened with the first request.
    """

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=max_connections, keepalive_timeout=IDLE_SECONDS)
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    return Client(
        base_url=base_url,
        headers=headers,
        timeout=timeout,
        # The sessions verify servers by aiohttp's own context; this one is never used, and the default costs 40 ms.
        transport=AiohttpTransport(client=session, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)),
        trust_env=False,
    )


def never_written(error: BaseException) -> bool:
    """Say whether the request of a failed exchange certainly never left this machine.

    httpx's classes cannot tell: ``httpx_aiohttp.transport`` maps every ``aiohttp.ClientConnectionError``, also a
    connection lost after the request was written, to ``httpx.ConnectTimeout``. The cause can.
    """
    return isinstance(error.__cause__ or error, (*_UNWRITTEN, httpx.InvalidURL))


def retry_after(response: httpx.Response) -> float | None:
    """Return the seconds of a ``Retry-After`` header, given as seconds or as a date, or ``None``."""
    value = response.headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


def decode(response: httpx.Response, kind: type[_T], doing: str) -> _T:
    """Decode a JSON response.

    Raises:
        UncertainError: It is no JSON, or not of the shape ``kind``; the message never holds the body.
    """
    try:
        return msgspec.json.decode(response.content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        origin = _origin(response.request.url)
        text = f"{origin} gave an answer that cannot be read while {doing}: check that the address is right"
        raise UncertainError(text, http_status=response.status_code) from None


def _post(url: httpx.URL, headers: Mapping[str, str], content: bytes) -> httpx.Request:
    if len(content) <= PART_BYTES:
        return httpx.Request("POST", url, headers=headers, content=content, extensions=_EXTENSIONS)
    long = {**headers, "content-length": str(len(content))}
    return httpx.Request("POST", url, headers=long, content=_parts(content), extensions=_EXTENSIONS)


async def _parts(content: bytes) -> AsyncIterator[bytes]:
    whole = memoryview(content)
    for start in range(0, len(whole), PART_BYTES):
        yield bytes(whole[start : start + PART_BYTES])


@lru_cache(maxsize=1024)
def _parse(url: str) -> httpx.URL:
    return httpx.URL(url)


def _origin(url: httpx.URL) -> str:
    """Return scheme, host and port, without the user name and password a URL may carry."""
    return f"{url.scheme}://{url.netloc.decode('ascii')}"
