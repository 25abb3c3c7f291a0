"""The demo's realtime service: a simulated Pusher with keys of one start, whose page shows every live event."""

import secrets
from collections.abc import Iterable

import msgspec
from rich.console import Console

from core.config import PlatformConfig
from core.demo_services import DemoService, has_simulator
from core.plugin.secret import Secret
from core.ports import find_port

PORT = 6001
_SECRET = "RECADO_DEMO_PUSHER_SECRET"  # noqa: S105 - the variable's name


class DemoRealtime(msgspec.Struct, frozen=True):
    """The realtime service in this start of the demo; the simulator forgets everything when it ends."""

    port: int
    key: str
    secret: Secret
    name: str = "pusher"
    title: str = "Pusher"
    app_id: str = "1"

    @property
    def url(self) -> str:
        """Where the simulator answers and has its page."""
        return f"http://127.0.0.1:{self.port}"

    def settings(self) -> dict[str, object]:
        """Return the plugin's table; the secret stands in the environment."""
        return {"app_id": self.app_id, "key": self.key, "secret": {"env": _SECRET}, "host": self.url}

    def secrets(self) -> dict[str, str]:
        """Return that variable of the environment."""
        return {_SECRET: self.secret.reveal()}

    def command(self, platform_url: str) -> list[str]:
        """Return the arguments with which ``recado`` runs the simulator, which never calls the platform."""
        del platform_url
        options = (f"app_id={self.app_id}", f"key={self.key}", f"secret=env:{_SECRET}")
        return [
            *("simulate", self.name, "--port", str(self.port)),
            *(word for option in options for word in ("--option", option)),
        ]


def choose(config: PlatformConfig) -> list[DemoRealtime]:
    """Return the service on a free port; none where platform.toml has the plugin, which is left as it is there."""
    if "pusher" in config.plugins or not has_simulator("pusher"):
        return []
    key, secret = secrets.token_hex(10), Secret(secrets.token_hex(10))
    return [DemoRealtime(port=find_port("127.0.0.1", PORT), key=key, secret=secret)]


def tell(console: Console, services: Iterable[DemoService]) -> None:
    """Say where live events can be read."""
    for service in services:
        if isinstance(service, DemoRealtime):
            console.print(f"Live events, as {service.title} tells browsers of them: [bold]{service.url}[/bold]")
