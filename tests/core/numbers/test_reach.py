"""``recado check`` of messaging servers: they answer us, and they reach our webhook."""

import socket

import httpx
import msgspec
import pytest

from core import database
from core.checks import Checkup
from core.numbers import reach
from core.plugin import Secret, Server
from core.plugin.testing import unreachable_url
from core.runtime import config, providers, runtime
from core.webhooks.receiver import receiving
from plugins.waha.connection import WahaCredentials
from tests.core.numbers.messaging import KEY, StartWaha, Waha, add_server


def _server(url: str) -> Server:
    return Server(id=1, url=url, credentials=WahaCredentials(api_key=Secret(KEY)))


async def test_a_server_that_reaches_the_webhook(waha: Waha, platform: str) -> None:
    result = await reach.check_callback("it", providers().messaging("waha"), _server(waha.url), platform)
    assert (result.level, result.text) == ("ok", f"the server reaches {platform}/api/webhooks/waha/")
    assert (await waha.http.get("/api/sessions?all=true")).json() == []


async def test_a_server_that_cannot_call_back(waha: Waha) -> None:
    running = config()
    nowhere = msgspec.structs.replace(running.server, public_url=unreachable_url())
    provider = providers().messaging("waha")
    runtime().config = msgspec.structs.replace(running, server=nowhere)
    try:
        result = await reach.check_callback("it", provider, _server(waha.url), nowhere.base_url, limit_seconds=1.0)
    finally:
        runtime().config = running
    assert result.level == "problem"
    assert "[server] public_url" in result.text
    assert (await waha.http.get("/api/sessions?all=true")).json() == []


async def test_a_loopback_address_is_told_before_anything_is_tried() -> None:
    provider = providers().messaging("waha")
    result = await reach.check_callback("it", provider, _server("http://waha.example:3000"), "http://127.0.0.1:8000")
    assert result.level == "problem"
    assert result.text == (
        "waha.example cannot call http://127.0.0.1:8000, which is this machine's own: set [server] public_url to an"
        " address that it reaches"
    )


async def test_a_server_with_one_place_is_not_tried(start_waha: StartWaha, platform: str) -> None:
    waha = await start_waha(version="2026.2.1")
    result = await reach.check_callback("it", providers().messaging("waha"), _server(waha.url), platform)
    assert result.level == "warning"


async def test_every_server_of_the_table_has_its_lines(admin: httpx.AsyncClient, waha: Waha) -> None:
    await database.execute("UPDATE servers SET deleted_at = now() WHERE deleted_at IS NULL")
    good = await add_server(admin, waha)
    bad = await add_server(admin, Waha(unreachable_url()))
    results = [result async for result in reach.check_rows(Checkup(config(), providers()))]
    levels = [(result.level, result.name) for result in results]
    assert levels == [
        ("ok", f"waha server {good['name']}"),
        ("ok", f"waha server {good['name']} calls back"),
        ("ok", f"waha server {good['name']} webhooks"),
        ("problem", f"waha server {bad['name']}"),
    ]


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://127.9.9.9", True),
        ("http://localhost", True),
        ("http://[::1]:3000", True),
        ("http://waha:3000", False),
        ("https://recado.example", False),
        ("http://10.0.0.5", False),
    ],
)
def test_loopback_addresses(url: str, *, loopback: bool) -> None:
    assert reach.is_loopback(url) is loopback


async def test_the_short_lived_receiver_knows_the_webhook_route_alone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with receiving("127.0.0.1", port) as ours, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        async with receiving("127.0.0.1", port) as second:
            assert (ours, second) == (True, False)
        assert (await http.post("/api/webhooks/waha/unknown", content=b"{}")).status_code == 404
        assert (await http.get("/api/numbers")).status_code == 404
