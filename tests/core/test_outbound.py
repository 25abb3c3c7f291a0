import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from litestar import Litestar, Request, get
from litestar.params import FromQuery
from litestar.response import Redirect, Response, Stream

from core import outbound
from core.config import OutboundConfig
from core.errors import InvalidInputError
from core.outbound import MAXIMUM_REDIRECTS, OutboundError, check_url, find_problem, is_public, parse_url
from core.runtime import Runtime
from tests.conftest import Serve

OPEN = OutboundConfig()
LOOPBACK = OutboundConfig(allowed_networks=("127.0.0.0/8",))


@pytest.fixture
async def rules(runtime: Runtime) -> AsyncIterator[Callable[[OutboundConfig], None]]:
    """Set where tenants' addresses may lead, for one test."""
    before = runtime.config

    def put(wanted: OutboundConfig) -> None:
        runtime.config = msgspec.structs.replace(before, outbound=wanted)

    put(OPEN)
    yield put
    runtime.config = before


class TestIsPublic:
    @pytest.mark.parametrize(
        "address", ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::808:808"]
    )
    def test_public(self, address: str) -> None:
        assert is_public(ipaddress.ip_address(address))

    @pytest.mark.parametrize(
        "address",
        [
            "0.0.0.0",  # noqa: S104 - nothing listens there
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.168.1.1",
            "198.18.0.1",
            "203.0.113.5",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::7f00:1",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2002:7f00:1::",
            "3fff::1",
        ],
    )
    def test_not_public(self, address: str) -> None:
        assert not is_public(ipaddress.ip_address(address))


class TestParse:
    @pytest.mark.parametrize(
        "given",
        ["https://example.com/a.png?x=1", "http://example.com:8080/", "https://8.8.8.8/", "https://münchen.de/"],
    )
    def test_takes_web_addresses(self, given: str) -> None:
        assert parse_url(given, OPEN).scheme in {"http", "https"}

    @pytest.mark.parametrize(
        "given",
        [
            "",
            "example.com",
            "ftp://example.com/",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "https://",
            "https:///path",
            "https://user@example.com/",
            "https://user:pass@example.com/",
            "https://example.com\\@127.0.0.1/",
            "https://exa mple.com/",
            "https://example.com/\r\nHost: x",
            "https://example.com:0/",
            "https://example.com:99999/",
            "https://[::1",
            "https://example.com/" + "a" * 2_000,
        ],
    )
    def test_refuses_what_is_no_web_address(self, given: str) -> None:
        with pytest.raises(InvalidInputError) as caught:
            parse_url(given, OPEN)
        assert [getattr(problem, "key", None) for problem in caught.value.errors["url"]] == ["public_address"]

    @pytest.mark.parametrize(
        "host",
        [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "0x7f000001",
            "10.0.0.1.",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[fe80::1%25eth0]",
            "169.254.169.254",
        ],
    )
    def test_refuses_private_addresses_however_written(self, host: str) -> None:
        with pytest.raises(InvalidInputError) as caught:
            parse_url(f"http://{host}/", OPEN)
        assert set(caught.value.errors) == {"url"}

    def test_allows_what_the_platform_allows(self) -> None:
        assert parse_url("http://10.1.2.3/", OutboundConfig(allowed_networks=("10.1.0.0/16",))).host == "10.1.2.3"
        assert parse_url("http://[fd00::5]/", OutboundConfig(allowed_networks=("fd00::/8",))).host == "fd00::5"
        with pytest.raises(InvalidInputError):
            parse_url("http://10.2.2.3/", OutboundConfig(allowed_networks=("10.1.0.0/16",)))


@pytest.mark.usefixtures("rules")
class TestCheck:
    async def test_a_name_that_leads_inside_is_refused(self) -> None:
        with pytest.raises(InvalidInputError) as caught:
            await check_url("http://localhost/", "webhook_url")
        assert set(caught.value.errors) == {"webhook_url"}

    async def test_an_allowed_name_may_lead_inside(self, rules: Callable[[OutboundConfig], None]) -> None:
        rules(OutboundConfig(allowed_hosts=("LocalHost.",)))
        assert await find_problem("http://localhost/") is None
        rules(LOOPBACK)
        assert await find_problem("http://localhost/") is None

    async def test_an_address_needs_no_name_server(self) -> None:
        assert await find_problem("https://8.8.8.8/") is None
        assert await find_problem("https://127.0.0.1/") is not None


@get("/file")
async def _file(request: Request[Any, Any, Any]) -> Response[bytes]:
    headers = {name: request.headers.get(name, "") for name in ("cookie", "authorization", "accept-encoding")}
    return Response(b"content", media_type="text/plain", headers={f"seen-{name}": got for name, got in headers.items()})


@get("/hop")
async def _hop(request: Request[Any, Any, Any], left: FromQuery[int]) -> Redirect:
    del request
    return Redirect(f"/hop?left={left - 1}" if left > 1 else "/file")


@get("/away")
async def _away(request: Request[Any, Any, Any], to: FromQuery[str]) -> Redirect:
    del request
    return Redirect(to)


@get("/packed")
async def _packed(request: Request[Any, Any, Any]) -> Response[bytes]:
    del request
    return Response(b"\x1f\x8b", headers={"Content-Encoding": "gzip"})


@get("/slow")
async def _slow(request: Request[Any, Any, Any]) -> Stream:
    del request

    async def parts() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.sleep(30)

    return Stream(parts())


@pytest.fixture
async def base_url(serve: Serve) -> str:
    return await serve(Litestar([_file, _hop, _away, _packed, _slow], openapi_config=None))


async def _fetch(url: str, seconds: float = 5.0) -> tuple[int, bytes]:
    async with outbound.get(url, seconds=seconds) as found:
        return found.status, b"".join([part async for part in found.body()])


async def _refusal(url: str, seconds: float = 5.0) -> tuple[str, bool]:
    with pytest.raises(OutboundError) as caught:
        await _fetch(url, seconds)
    assert "127.0.0.1" not in str(caught.value)
    return caught.value.code, caught.value.temporary


class TestGet:
    async def test_reads_what_is_allowed(self, rules: Callable[[OutboundConfig], None], base_url: str) -> None:
        rules(LOOPBACK)
        assert await _fetch(f"{base_url}/file") == (200, b"content")
        assert (await _fetch(f"{base_url}/nothing"))[0] == 404

    async def test_shows_nothing_of_ours(self, rules: Callable[[OutboundConfig], None], base_url: str) -> None:
        rules(LOOPBACK)
        async with outbound.get(f"{base_url}/file", seconds=5) as found:
            seen = {name: found.headers[f"seen-{name}"] for name in ("cookie", "authorization", "accept-encoding")}
        assert seen == {"cookie": "", "authorization": "", "accept-encoding": "identity"}

    async def test_an_address_inside_is_not_called(
        self, rules: Callable[[OutboundConfig], None], base_url: str
    ) -> None:
        rules(OPEN)
        assert await _refusal(f"{base_url}/file") == ("forbidden_address", False)

    async def test_a_name_is_judged_by_the_socket_it_leads_to(
        self, rules: Callable[[OutboundConfig], None], base_url: str
    ) -> None:
        named = base_url.replace("127.0.0.1", "localhost")
        rules(OPEN)
        assert await _refusal(f"{named}/file") == ("forbidden_address", False)
        rules(OutboundConfig(allowed_hosts=("localhost",)))
        assert await _fetch(f"{named}/file") == (200, b"content")

    async def test_redirects_are_followed_and_counted(
        self, rules: Callable[[OutboundConfig], None], base_url: str
    ) -> None:
        rules(LOOPBACK)
        assert await _fetch(f"{base_url}/hop?left={MAXIMUM_REDIRECTS}") == (200, b"content")
        assert await _refusal(f"{base_url}/hop?left={MAXIMUM_REDIRECTS + 1}") == ("too_many_redirects", False)

    @pytest.mark.parametrize(
        "target", ["http://127.0.0.1:9/", "http://169.254.169.254/", "file:///etc/passwd", "http://0/"]
    )
    async def test_each_redirect_is_judged(
        self, rules: Callable[[OutboundConfig], None], base_url: str, target: str
    ) -> None:
        rules(OutboundConfig(allowed_hosts=("localhost",)))
        named = base_url.replace("127.0.0.1", "localhost")
        assert await _refusal(f"{named}/away?to={target}") == ("forbidden_address", False)

    async def test_a_packed_answer_is_not_unpacked(
        self, rules: Callable[[OutboundConfig], None], base_url: str
    ) -> None:
        rules(LOOPBACK)
        assert await _refusal(f"{base_url}/packed") == ("compressed", False)

    async def test_the_whole_exchange_has_a_limit(self, rules: Callable[[OutboundConfig], None], base_url: str) -> None:
        rules(LOOPBACK)
        assert await _refusal(f"{base_url}/slow", 0.3) == ("timeout", True)

    async def test_nobody_there(self, rules: Callable[[OutboundConfig], None]) -> None:
        rules(LOOPBACK)
        with socket.create_server(("127.0.0.1", 0)) as held:
            port = held.getsockname()[1]
        assert await _refusal(f"http://127.0.0.1:{port}/") == ("unreachable", True)

    async def test_no_http(self, rules: Callable[[OutboundConfig], None]) -> None:
        rules(LOOPBACK)

        async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 mail.example ESMTP\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            assert await _refusal(f"http://127.0.0.1:{port}/") == ("unreadable", False)

    async def test_a_connection_lost_within_the_body(self, rules: Callable[[OutboundConfig], None]) -> None:
        rules(LOOPBACK)

        async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(cut, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            assert await _refusal(f"http://127.0.0.1:{port}/") == ("unreachable", True)


class Sink:
    """Takes what is posted and answers as it is told."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.heard = b""
        self.over = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard = await reader.readuntil(b"\r\n\r\n")
        length = int(self.heard.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        self.heard += await reader.readexactly(length)
        writer.write(self.answer)
        # Whoever asked ends it, perhaps without having read everything.
        with contextlib.suppress(OSError):
            await reader.read()
        writer.close()
        self.over.set()


async def _post(sink: Sink, keep: int = 100, seconds: float = 5.0) -> outbound.Answer:
    async with await asyncio.start_server(sink, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook?key=1"
        try:
            headers = {"Content-Type": "application/json"}
            return await outbound.post(url, b'{"a":1}', headers, seconds=seconds, keep=keep)
        finally:
            if sink.heard:
                await sink.over.wait()


class TestPost:
    async def test_sends_the_very_bytes(self, rules: Callable[[OutboundConfig], None]) -> None:
        rules(LOOPBACK)
        sink = Sink(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok")
        assert await _post(sink) == (201, b"ok")
        assert sink.heard.startswith(b"POST /hook?key=1 HTTP/1.1\r\n")
        assert sink.heard.endswith(b'\r\n\r\n{"a":1}')
        assert b"Content-Type: application/json\r\n" in sink.heard

    async def test_an_address_inside_is_not_called(self, rules: Callable[[OutboundConfig], None]) -> None:
        rules(OPEN)
        sink = Sink(b"")
        with pytest.raises(OutboundError) as caught:
            await _post(sink)
        assert (caught.value.code, sink.heard) == ("forbidden_address", b"")

    async def test_a_name_is_judged_by_the_socket_it_leads_to(self, rules: Callable[[OutboundConfig], None]) -> None:
        rules(OPEN)
        with pytest.raises(OutboundError) as caught:
            await outbound.post("http://localhost:9/", b"{}", {}, seconds=5.0, keep=10)
        assert caught.value.code == "forbidden_address"

    async def test_a_redirect_is_an_answer(self, rules: Callable[[OutboundConfig], None]) -> None:
        rules(LOOPBACK)
        sink = Sink(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n")
        assert await _post(sink) == (302, b"")

    async def test_only_the_beginning_of_the_body_is_read(self, rules: Callable[[OutboundConfig], None]) -> None:
        rules(LOOPBACK)
        sink = Sink(b"HTTP/1.1 500 Broken\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000)
        assert await _post(sink, keep=100) == (500, b"x" * 100)

    async def test_a_body_that_never_ends_changes_nothing_of_the_status(
        self, rules: Callable[[OutboundConfig], None]
    ) -> None:
        rules(LOOPBACK)
        sink = Sink(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        assert await _post(sink, seconds=0.3) == (200, b"")

    async def test_no_answer_in_time(self, rules: Callable[[OutboundConfig], None]) -> None:
        rules(LOOPBACK)
        with pytest.raises(OutboundError) as caught:
            await _post(Sink(b""), seconds=0.3)
        assert (caught.value.code, caught.value.temporary) == ("timeout", True)
