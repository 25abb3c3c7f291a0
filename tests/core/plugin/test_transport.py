"""The transport: what a failed exchange proves, and what an error may say."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest

from core.plugin import (
    MisconfiguredError,
    ProviderError,
    RefusedError,
    Retryable,
    UnavailableError,
    UncertainError,
    Unknown,
)
from core.plugin.testing import CANARY, Answer, Cut, Drip, Hang, Reaction, ScriptedServer, unreachable_url
from core.plugin.transport import Client, build_client, decode, never_written, retry_after


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with build_client() as made:
        yield made


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as running:
        yield running


async def post(client: Client, url: str, limit_seconds: float = 5.0) -> httpx.Response | Retryable | Unknown:
    headers = {"Content-Type": "application/json"}
    return await client.post_once(f"{url}/send", content=b"{}", headers=headers, limit_seconds=limit_seconds)


async def failure_of(client: Client, method: str, url: str, limit_seconds: float = 5.0) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await client.call(client.build_request(method, url), doing="asking", limit_seconds=limit_seconds)
    return caught.value


async def raised(client: Client, url: str) -> Exception:
    with pytest.raises(httpx.HTTPError) as caught:
        await client.post(url, content=b"{}", timeout=httpx.Timeout(0.2, connect=5, pool=5))
    return caught.value


async def test_refused_connection_was_never_written(client: Client) -> None:
    assert never_written(await raised(client, unreachable_url()))


async def test_unknown_host_was_never_written(client: Client) -> None:
    assert never_written(await raised(client, "http://no-such-host.invalid/"))


async def test_full_pool_was_never_written(server: ScriptedServer) -> None:
    server.reaction = Hang()
    async with build_client(max_connections=1) as client:
        holding = asyncio.create_task(client.post(server.url, content=b"{}", timeout=5))
        while not server.requests:  # noqa: ASYNC110 - the server has no event
            await asyncio.sleep(0.005)
        with pytest.raises(httpx.HTTPError) as caught:
            await client.post(server.url, content=b"{}", timeout=httpx.Timeout(5, pool=0.1))
        assert never_written(caught.value)
        assert len(server.requests) == 1
        holding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await holding


@pytest.mark.parametrize("reaction", [Cut(), Hang()])
async def test_lost_answer_may_have_been_written(client: Client, server: ScriptedServer, reaction: Reaction) -> None:
    server.reaction = reaction
    assert not never_written(await raised(client, server.url))
    assert len(server.requests) == 1


async def test_httpx_class_does_not_tell(client: Client, server: ScriptedServer) -> None:
    """The trap: the connection was cut after the request, and httpx says that connecting took too long."""
    server.reaction = Cut()
    error = await raised(client, server.url)
    assert isinstance(error, httpx.ConnectTimeout)
    assert not never_written(error)


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_no_post_is_repeated_on_a_dropped_connection(client: Client, server: ScriptedServer, method: str) -> None:
    """A kept connection that ends with the next request: aiohttp repeats a GET there, and must not repeat a POST."""
    await client.get(server.url)
    server.reaction = Cut()
    with pytest.raises(httpx.HTTPError) as caught:
        await client.request(method, server.url, content=b"{}")
    assert not never_written(caught.value)
    assert [request.method for request in server.requests] == ["GET", method]


async def test_idle_connection_is_closed_before_the_server_does(server: ScriptedServer) -> None:
    async with build_client() as client:
        await client.get(server.url)
        transport = client._transport
        assert transport.client.connector._keepalive_timeout == 4.0  # type: ignore[attr-defined]


async def test_post_once_returns_the_response(client: Client, server: ScriptedServer) -> None:
    server.reaction = Answer(422, b'{"error": "x"}')
    answer = await post(client, server.url)
    assert isinstance(answer, httpx.Response)
    assert (answer.status_code, answer.content) == (422, b'{"error": "x"}')
    received = server.requests[0]
    assert (received.method, received.target, received.body) == ("POST", "/send", b"{}")
    assert received.headers["content-type"] == "application/json"


async def test_post_once_sends_a_long_body_whole(client: Client, server: ScriptedServer) -> None:
    content = bytes(range(256)) * 8_000
    answer = await client.post_once(server.url, content=content, headers={"x-kind": "long"}, limit_seconds=5)
    assert isinstance(answer, httpx.Response)
    received = server.requests[0]
    assert received.body == content
    assert received.headers["content-length"] == str(len(content))
    assert "transfer-encoding" not in received.headers
    assert received.headers["x-kind"] == "long"


async def test_post_once_keeps_its_connection(client: Client, server: ScriptedServer) -> None:
    for _ in range(3):
        await post(client, server.url)
    assert len(server._connections) == 1


async def test_post_once_follows_no_redirect(client: Client, server: ScriptedServer) -> None:
    server.reaction = Answer(302, b"", {"Location": "/elsewhere"})
    answer = await post(client, server.url)
    assert isinstance(answer, httpx.Response)
    assert answer.status_code == 302
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("reaction", "outcome"),
    [
        (Cut(), Unknown("connection_lost")),
        (Hang(), Unknown("timeout")),
        (Drip(), Unknown("timeout")),
    ],
)
async def test_post_once_when_the_answer_is_lost(
    client: Client, server: ScriptedServer, reaction: Reaction, outcome: Unknown
) -> None:
    server.reaction = reaction
    assert await post(client, server.url, 0.2) == outcome
    assert len(server.requests) == 1


@pytest.mark.parametrize("url", ["http://no-such-host.invalid", "http://", "ftp://host", "http://host:99999"])
async def test_post_once_to_nowhere(client: Client, url: str) -> None:
    assert await post(client, url) == Retryable("unreachable", scope="server")


async def test_post_once_when_refused(client: Client) -> None:
    assert await post(client, unreachable_url()) == Retryable("unreachable", scope="server")


async def test_post_once_when_the_answer_is_no_http(client: Client) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await post(client, f"http://127.0.0.1:{port}") == Unknown("connection_lost")


async def test_cancelled_send_leaves_no_connection_behind(client: Client, server: ScriptedServer) -> None:
    server.reaction = Drip()
    sending = asyncio.create_task(post(client, server.url))
    while not server.requests:  # noqa: ASYNC110 - the server has no event
        await asyncio.sleep(0.005)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    async with asyncio.timeout(2):
        while server._connections:  # noqa: ASYNC110 - the server has no event
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("method", "status", "kind"),
    [
        ("GET", 401, MisconfiguredError),
        ("POST", 403, MisconfiguredError),
        ("GET", 302, MisconfiguredError),
        ("POST", 429, UnavailableError),
        ("POST", 503, UnavailableError),
        ("GET", 404, RefusedError),
        ("POST", 422, RefusedError),
        ("POST", 501, RefusedError),
        ("GET", 500, UnavailableError),
        ("GET", 408, UnavailableError),
        ("POST", 500, UncertainError),
        ("DELETE", 502, UncertainError),
        ("POST", 408, UncertainError),
    ],
)
async def test_call_maps_statuses(
    client: Client, server: ScriptedServer, method: str, status: int, kind: type[ProviderError]
) -> None:
    server.reaction = Answer(status, CANARY.encode(), {"Location": f"http://x/{CANARY}"})
    error = await failure_of(client, method, f"{server.url}/secret-path?token=secret")
    assert type(error) is kind
    assert error.http_status == status
    assert str(error).startswith(server.url)
    assert CANARY not in str(error)
    assert "secret" not in str(error)


async def test_call_hands_on_retry_after(client: Client, server: ScriptedServer) -> None:
    server.reaction = Answer(503, b"", {"Retry-After": "7"})
    error = await failure_of(client, "POST", server.url)
    assert isinstance(error, UnavailableError)
    assert error.retry_after == 7.0


async def test_call_accepts_the_statuses_it_is_told(client: Client, server: ScriptedServer) -> None:
    server.reaction = Answer(404)
    response = await client.call(client.build_request("GET", server.url), doing="asking", accept=(404,))
    assert response.status_code == 404


@pytest.mark.parametrize("reaction", [Cut(), Hang(), Drip()])
@pytest.mark.parametrize(("method", "kind"), [("GET", UnavailableError), ("POST", UncertainError)])
async def test_call_without_an_answer(
    client: Client, server: ScriptedServer, method: str, kind: type[ProviderError], reaction: Reaction
) -> None:
    server.reaction = reaction
    assert type(await failure_of(client, method, server.url, 0.2)) is kind


async def test_call_to_nowhere(client: Client) -> None:
    url = unreachable_url()
    error = await failure_of(client, "POST", url)
    assert type(error) is UnavailableError
    assert str(error) == f"{url} could not be reached while asking: check its address and that it runs"


async def test_errors_hide_the_password_of_a_url(client: Client, server: ScriptedServer) -> None:
    server.reaction = Answer(500)
    error = await failure_of(client, "GET", server.url.replace("http://", "http://somebody:hunter2@"))
    assert "hunter2" not in str(error)
    assert "somebody" not in str(error)
    assert server.requests[0].headers["authorization"] == "Basic c29tZWJvZHk6aHVudGVyMg=="


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), ("0", 0.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("soon", None), ("-5", None), ("", None)],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert retry_after(httpx.Response(429, headers={"Retry-After": value})) == seconds


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[1]", b'{"value": 7}', b"[" * 5000])
def test_decode_refuses_what_it_cannot_read(body: bytes) -> None:
    class Shape(msgspec.Struct):
        value: str

    response = httpx.Response(200, content=body, request=httpx.Request("GET", "http://host:3000/path"))
    with pytest.raises(UncertainError) as caught:
        decode(response, Shape, "asking")
    assert str(caught.value).startswith("http://host:3000 gave an answer that cannot be read while asking")
