"""The demo's mail server: a simulated one with a password of one start, whose page shows every mail."""

import secrets
from collections.abc import Iterable
from pathlib import Path

import msgspec
from rich.console import Console

from core.config import PlatformConfig
from core.demo_services import DemoService, has_simulator
from core.plugin.secret import Secret
from core.ports import find_port

PAGE_PORT, SMTP_PORT = 4025, 4587
ADDRESS = "messages@example.com"
_PASSWORD = "RECADO_DEMO_SMTP_PASSWORD"  # noqa: S105 - the variable's name


class DemoMail(msgspec.Struct, frozen=True):
    """The mail server in this start of the demo; the simulator forgets everything when it ends."""

    port: int
    smtp_port: int
    password: Secret
    ca_file: Path
    """Where the simulator writes whom to trust; the plugin reads it when it connects."""
    name: str = "smtp"
    title: str = "mail"

    @property
    def url(self) -> str:
        """Where the mails can be read."""
        return f"http://127.0.0.1:{self.port}"

    def settings(self) -> dict[str, object]:
        """Return the plugin's table; the password stands in the environment."""
        return {
            "host": "127.0.0.1",
            "port": self.smtp_port,
            "username": ADDRESS,
            "password": {"env": _PASSWORD},
            "from_address": ADDRESS,
            "from_name": "Recado",
            "ca_file": str(self.ca_file),
        }

    def secrets(self) -> dict[str, str]:
        """Return that variable of the environment."""
        return {_PASSWORD: self.password.reveal()}

    def command(self, platform_url: str) -> list[str]:
        """Return the arguments with which ``recado`` runs the simulator, which never calls the platform."""
        del platform_url
        options = (
            f"smtp_port={self.smtp_port}",
            f"username={ADDRESS}",
            f"password=env:{_PASSWORD}",
            f"ca_file={self.ca_file}",
        )
        return [
            *("simulate", self.name, "--port", str(self.port)),
            *(word for option in options for word in ("--option", option)),
        ]


def choose(config: PlatformConfig) -> list[DemoMail]:
    """Return the mail server on free ports; none where platform.toml has the plugin, which is left as it is there."""
    if "smtp" in config.plugins or not has_simulator("smtp"):
        return []
    return [
        DemoMail(
            port=find_port("127.0.0.1", PAGE_PORT),
            smtp_port=find_port("127.0.0.1", SMTP_PORT),
            password=Secret(secrets.token_hex(16)),
            ca_file=config.data_folder.absolute() / "mail-simulator-ca.pem",
        )
    ]


def tell(console: Console, services: Iterable[DemoService]) -> None:
    """Say where the mails can be read."""
    for service in services:
        if isinstance(service, DemoMail):
            console.print(f"Mails that the platform sends: [bold]{service.url}[/bold]")
