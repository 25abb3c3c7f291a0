"""The demo's mail server: which ports and password it has, how it is enabled, and a mail that can be read."""

import asyncio
import io
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

import httpx
import msgspec
import pytest
from rich.console import Console

from core import database, demo, demo_mail, demo_services
from core.config import DEMO_PLUGINS, PlatformConfig, load_config
from core.demo_mail import DemoMail
from core.plugin import Notification
from core.plugin.loader import load_providers
from core.plugin.secret import Secret
from tests.factories import make_user

SIMULATOR = "http://127.0.0.1:3999"


async def test_an_empty_installation_gets_it(empty_installation: PlatformConfig) -> None:
    services = await demo.prepare(empty_installation, SIMULATOR)
    await database.open_pool(empty_installation, size=4)

    assert [service.name for service in services if isinstance(service, DemoMail)] == ["smtp"]


async def test_where_real_users_are_no_mail_is_caught(empty_installation: PlatformConfig) -> None:
    await make_user()

    assert await demo.prepare(empty_installation, SIMULATOR) == ()
    await database.open_pool(empty_installation, size=4)


def test_the_plugin_of_platform_toml_stays_as_it_is_there() -> None:
    assert demo_mail.choose(PlatformConfig(plugins={"smtp": {"enabled": False}})) == []


def test_taken_ports_are_not_chosen() -> None:
    with socket.socket() as page, socket.socket() as mail:
        for taken, port in ((page, demo_mail.PAGE_PORT), (mail, demo_mail.SMTP_PORT)):
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):  # Then another has it.
                taken.bind(("127.0.0.1", port))
                taken.listen()
        (service,) = demo_mail.choose(PlatformConfig())

    assert service.port != demo_mail.PAGE_PORT
    assert service.smtp_port != demo_mail.SMTP_PORT
    assert service.url == f"http://127.0.0.1:{service.port}"


async def test_a_mail_of_the_plugin_can_be_read_on_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = demo_mail.choose(PlatformConfig())
    service = msgspec.structs.replace(found, ca_file=tmp_path / "new" / "ca.pem")
    environment = demo_services.variables([service])
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    file = tmp_path / "platform.toml"
    file.write_text("")
    # As in the demo, the plugin is loaded before the simulator wrote whom to trust.
    providers = load_providers(load_config(file).plugins)
    notifier = providers.notifiers_by_name["smtp"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "core.cli", *service.command("http://127.0.0.1:8000")),
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert service.url in (await process.stdout.readline()).decode()
        async with httpx.AsyncClient(base_url=service.url, trust_env=False) as browser:
            # It answers when its lifespan has begun, and mail is taken from then on.
            assert "No mail yet" in (await browser.get("/")).text
            await notifier.send(
                Notification(
                    key="1", kind="campaign_completed", user_id=1, recipient="demo@example.com", subject="To be read"
                ),
                _hand_over,
            )
            checked = await notifier.check()
            page = (await browser.get("/")).text
        await providers.aclose()
    finally:
        process.terminate()
        await process.communicate()

    assert checked == f"127.0.0.1:{service.smtp_port} (STARTTLS) accepts messages@example.com"
    assert "To be read" in page
    # The password stands in a variable of its own, not in the table or the command.
    assert service.password.reveal() not in environment[DEMO_PLUGINS] + " ".join(service.command("")) + page


def test_it_says_where_mails_can_be_read() -> None:
    printed = io.StringIO()
    service = DemoMail(port=4025, smtp_port=4587, password=Secret("s"), ca_file=Path("ca.pem"))

    demo_mail.tell(Console(file=printed, width=200), [service])

    assert printed.getvalue() == "Mails that the platform sends: http://127.0.0.1:4025\n"


async def _hand_over() -> None:
    pass
