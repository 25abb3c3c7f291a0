"""Which services the demo runs, how they are enabled, and its realtime service at work."""

import asyncio
import io
import os
import sys
from pathlib import Path

import httpx
import msgspec
import pytest
from rich.console import Console

from core import database, demo, demo_realtime, demo_services
from core.config import DEMO_PLUGINS, PlatformConfig, load_config
from core.demo_realtime import DemoRealtime
from core.plugin import Broadcasting, LiveEvent
from core.plugin.loader import load_providers
from core.plugin.secret import Secret
from tests.factories import make_user

SIMULATOR = "http://127.0.0.1:3999"


async def test_an_empty_installation_gets_them_all(empty_installation: PlatformConfig) -> None:
    services = await demo.prepare(empty_installation, SIMULATOR)
    await database.open_pool(empty_installation, size=4)

    assert {"stripe", "mercadopago", "pusher"} <= {service.name for service in services}
    assert len({service.url for service in services}) == len(services)


async def test_where_real_users_are_there_are_none(empty_installation: PlatformConfig) -> None:
    await make_user()

    assert await demo.prepare(empty_installation, SIMULATOR) == ()
    await database.open_pool(empty_installation, size=4)


def test_no_services_change_no_environment() -> None:
    assert demo_services.variables([]) == {}


def test_a_plugin_without_simulator_has_none() -> None:
    assert demo_services.has_simulator("pusher")
    assert not demo_services.has_simulator("no_such_plugin")


def test_the_plugin_of_platform_toml_stays_as_it_is_there() -> None:
    assert demo_realtime.choose(PlatformConfig(plugins={"pusher": {"enabled": False}})) == []


async def test_the_simulator_and_the_plugin_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (service,) = demo_realtime.choose(PlatformConfig())
    environment = demo_services.variables([service])
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    file = tmp_path / "platform.toml"
    file.write_text("")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "core.cli", *service.command("http://127.0.0.1:8000")),
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert service.url in (await process.stdout.readline()).decode()
        providers = load_providers(load_config(file).plugins)
        notifier = providers.notifiers_by_name["pusher"]
        assert isinstance(notifier, Broadcasting)
        body = msgspec.Raw(b'{"data":{"text":"to be seen"}}')
        await notifier.publish([LiveEvent(id="evt_1", type="campaign.started", user_id=1, body=body)])
        checked = await notifier.check()
        await providers.aclose()
        async with httpx.AsyncClient() as browser:
            page = (await browser.get(service.url)).text
    finally:
        process.terminate()
        await process.communicate()

    assert checked == f"Pusher app 1 at {service.url}, 0 channels in use"
    assert "to be seen" in page
    # The secret stands in a variable of its own, not in the table or the command.
    assert service.secret.reveal() not in environment[DEMO_PLUGINS] + " ".join(service.command("")) + page


def test_it_says_where_events_can_be_read() -> None:
    printed = io.StringIO()
    service = DemoRealtime(port=6001, key="k", secret=Secret("s"))

    demo_realtime.tell(Console(file=printed, width=200), [service])

    assert printed.getvalue() == "Live events, as Pusher tells browsers of them: http://127.0.0.1:6001\n"
