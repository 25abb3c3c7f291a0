"""Requests to addresses that tenants give: only to the public internet, whatever the address looks like.

Every address is judged when the connection is opened, on the very socket that is used, so that a name which resolves
to something else the second time (DNS rebinding), a redirect or an unusual spelling of an address changes nothing.
``check_url`` refuses most of it earlier, when a tenant saves the address.

Which addresses are public: IANA's special-purpose registries (RFC 6890), for IPv6 the global unicast block of RFC 4291.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import aiohttp
from yarl import URL

from core.config import OutboundConfig
from core.errors import InvalidInputError
from core.lookups import Resolver, look_up
from core.runtime import config
from core.texts import Text, text

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAXIMUM_LENGTH = 2_000
MAXIMUM_REDIRECTS = 5
CONNECT_SECONDS = 10.0
LOOKUP_SECONDS = 5.0
HEADER_BYTES = 8_190
CHUNK_BYTES = 2**16
USER_AGENT = "Recado"

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""RFC 6052: an IPv4 address behind a translator; it is as public as the address inside."""
_GLOBAL = ipaddress.IPv6Network("2000::/3")
_CLOSED_IPV4 = tuple(
    ipaddress.IPv4Network(block)
    for block in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
# Within the global block: protocol assignments with Teredo, documentation, 6to4. Mapped and local forms are outside.
_CLOSED_IPV6 = tuple(ipaddress.IPv6Network(block) for block in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*", re.IGNORECASE)
# Also what browsers and other parsers read as something else than yarl does.
_REFUSED = re.compile(r"[\x00-\x20\x7f-\xa0\\\u2028\u2029]|^[a-z]+://[^/?#]*@", re.IGNORECASE)


class OutboundError(Exception):
    """A request to a tenant's address brought nothing; ``code`` says why, ``temporary`` whether it may pass."""

    def __init__(self, code: str, message: Text, *, temporary: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.temporary = temporary


class Response:
    """An answer whose body has not been read: ``status``, ``headers``, and the body as it comes."""

    def __init__(self, found: aiohttp.ClientResponse, url: URL) -> None:
        self.status = found.status
        self.headers: Mapping[str, str] = found.headers
        self.url = url
        self._found = found

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the body in parts; whoever reads it counts it."""
        async for part in self._found.content.iter_chunked(CHUNK_BYTES):
            yield part


class Answer(NamedTuple):
    """What was answered to a POST: its status and how its body begins."""

    status: int
    body: bytes


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in block for block in _CLOSED_IPV4)
    if address in _NAT64:
        return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _GLOBAL and not any(address in block for block in _CLOSED_IPV6)


def parse_url(given: str, rules: OutboundConfig) -> URL:
    """Read an address as it will be called; names are not resolved.

    Raises:
        InvalidInputError: Under the field ``url``: it is no web address, carries a user name, or is an address of a
            network that is not public.
    """
    try:
        url = URL(given)
        host, port = url.raw_host, url.port
    except ValueError:
        raise InvalidInputError({"url": [text("public_address")]}) from None
    if len(given) > MAXIMUM_LENGTH or _REFUSED.search(given) or url.scheme not in {"http", "https"} or not host:
        raise InvalidInputError({"url": [text("public_address")]})
    if not port or url.user is not None or url.password is not None:
        raise InvalidInputError({"url": [text("public_address")]})
    literal = _literal(host)
    is_name = literal is None and not _ends_in_number(host)
    if is_name or (literal is not None and _is_allowed(literal, host, rules)):
        return url
    raise InvalidInputError({"url": [text("private_address")]})


async def check_url(given: str, field: str) -> None:
    """Refuse, when it is saved, an address that may not be called; a name that nobody can resolve just now passes.

    Raises:
        InvalidInputError: Naming ``field``.
    """
    problem = await find_problem(given)
    if problem is not None:
        raise InvalidInputError({field: [problem]})


async def find_problem(given: str) -> Text | None:
    """Say what is wrong with an address that a tenant saves, ``None`` when nothing is."""
    rules = config().outbound
    try:
        url = parse_url(given, rules)
    except InvalidInputError as error:
        first = error.errors["url"][0]
        return first if isinstance(first, Text) else text("public_address")
    host = _plain(url.raw_host or "")
    if _literal(host) is not None:
        return None
    try:
        found = await asyncio.wait_for(look_up(host, url.port), timeout=LOOKUP_SECONDS)
    except (socket.gaierror, UnicodeError) as error:
        temporary = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
        return None if temporary else text("unknown_host")
    except TimeoutError:
        return None
    addresses = [_address_of(entry[4]) for entry in found]
    allowed = any(_is_allowed(address, host, rules) for address in addresses)
    return None if allowed else text("private_address")


@asynccontextmanager
async def get(given: str, *, seconds: float) -> AsyncIterator[Response]:
    """GET an address and follow its redirects, each judged anew; the whole exchange takes at most ``seconds``.

    No cookie, no credential, no proxy of the environment; the body comes as it is sent, so no answer grows while it is
    unpacked.

    Raises:
        OutboundError: Also while the block reads the body.
    """
    rules = config().outbound
    try:
        async with asyncio.timeout(seconds):
            url = _parse_or_refuse(given, rules)
            for _ in range(MAXIMUM_REDIRECTS + 1):
                async with _request("GET", url, rules) as found:
                    if found.headers.get("Content-Encoding", "identity").lower() not in {"", "identity"}:
                        raise OutboundError("compressed", text("outbound_compressed"))
                    target = _redirect(found, url, rules)
                    if target is None:
                        yield Response(found, url)
                        return
                    url = target
            raise OutboundError("too_many_redirects", text("outbound_redirects", value=MAXIMUM_REDIRECTS))
    except TimeoutError:
        raise OutboundError("timeout", text("outbound_timeout", limit_seconds=f"{seconds:g}"), temporary=True) from None
    except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
        raise OutboundError("unreachable", text("outbound_lost"), temporary=True) from None


async def post(given: str, content: bytes, headers: Mapping[str, str], *, seconds: float, keep: int) -> Answer:
    """POST ``content`` to an address, without following a redirect; the whole exchange takes at most ``seconds``.

    Of the answer's body the first ``keep`` bytes are read; one that is cut off or comes too slowly changes nothing of
    the status, which has been given by then.

    Raises:
        OutboundError: No answer came.
    """
    rules = config().outbound
    status, body = 0, b""
    try:
        async with asyncio.timeout(seconds):
            url = _parse_or_refuse(given, rules)
            async with _request("POST", url, rules, content=content, headers=headers) as found:
                status = found.status
                body = await _beginning(found, keep)
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        if not status:
            raise _unanswered(error, seconds) from None
    return Answer(status, body)


def _unanswered(error: Exception, seconds: float) -> OutboundError:
    if isinstance(error, TimeoutError):
        return OutboundError("timeout", text("outbound_timeout", limit_seconds=f"{seconds:g}"), temporary=True)
    return OutboundError("unreachable", text("outbound_lost"), temporary=True)


async def _beginning(found: aiohttp.ClientResponse, most: int) -> bytes:
    content = b""
    while len(content) < most and (part := await found.content.read(most - len(content))):
        content += part
    return content


def _parse_or_refuse(given: str, rules: OutboundConfig) -> URL:
    try:
        return parse_url(given, rules)
    except InvalidInputError as error:
        raise OutboundError("forbidden_address", error.args[0]) from None


@asynccontextmanager
async def _request(
    method: str, url: URL, rules: OutboundConfig, *, content: bytes = b"", headers: Mapping[str, str] | None = None
) -> AsyncIterator[aiohttp.ClientResponse]:
    """Open one connection for one request, so that the socket's address is judged for this very host."""
    guard = _Guard(url.raw_host or "", rules)
    connector = aiohttp.TCPConnector(
        resolver=Resolver(), use_dns_cache=False, force_close=True, socket_factory=guard.open
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        max_line_size=HEADER_BYTES,
        max_field_size=HEADER_BYTES,
        timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS),
        headers={"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"},
    ) as session:
        try:
            response = await session.request(method, url, allow_redirects=False, data=content or None, headers=headers)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise guard.explain(error) from None
        async with response:
            yield response


def _redirect(found: aiohttp.ClientResponse, url: URL, rules: OutboundConfig) -> URL | None:
    location = found.headers.get("Location", "")
    if found.status not in {301, 302, 303, 307, 308} or not location:
        return None
    try:
        target = url.join(URL(location))
    except ValueError:
        raise OutboundError("forbidden_address", text("outbound_nowhere")) from None
    return _parse_or_refuse(str(target), rules)


class _Guard:
    """Opens sockets to addresses that may be called, and knows whether one was refused."""

    def __init__(self, host: str, rules: OutboundConfig) -> None:
        self._host = host
        self._rules = rules
        self._refused = False

    def open(self, address: tuple[Any, ...]) -> socket.socket:
        """Be aiohttp's ``socket_factory``: called with each address that is about to be connected."""
        family, kind, protocol, _, place = address
        if not _is_allowed(_address_of(place), self._host, self._rules):
            self._refused = True
            raise OSError("this address is not public")
        return socket.socket(family, kind, protocol)

    def explain(self, error: Exception) -> OutboundError:
        """Say why no answer came, without the text of what failed."""
        if self._refused:
            return OutboundError("forbidden_address", text("outbound_network"))
        if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
            return OutboundError("certificate", text("outbound_certificate"))
        if isinstance(error, aiohttp.ClientResponseError | ValueError):
            return OutboundError("unreadable", text("outbound_unreadable"))
        return OutboundError("unreachable", text("outbound_unreachable"), temporary=True)


def _is_allowed(address: Address, host: str, rules: OutboundConfig) -> bool:
    if is_public(address) or _plain(host) in rules.hosts:
        return True
    return any(address in network for network in rules.networks if network.version == address.version)


def _address_of(place: tuple[Any, ...]) -> Address:
    """Return the address of a socket's address, without the zone of a link."""
    return ipaddress.ip_address(str(place[0]).partition("%")[0])


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(_plain(host).partition("%")[0])
    except ValueError:
        return None


def _ends_in_number(host: str) -> bool:
    """Whether resolvers may read a name as an address: ``127.1``, ``2130706433``, ``0x7f.1``, ``0177.0.0.1``."""
    return _NUMBER.fullmatch(_plain(host).rpartition(".")[2]) is not None


def _plain(host: str) -> str:
    return host.lower().removesuffix(".")
