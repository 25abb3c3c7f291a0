"""What the demo runs beside its messaging server: simulated services whose plugins it enables for what it starts.

They are enabled in what ``recado up --demo`` starts and nowhere else, and never where real users are.
"""

from collections.abc import Iterable
from typing import Protocol

import msgspec

from core.config import DEMO_PLUGINS
from core.errors import OperatorError
from core.plugin.places import find_module, locate


class DemoService(Protocol):
    """One simulated service in this start of the demo."""

    @property
    def name(self) -> str:
        """Name of the plugin."""
        ...

    @property
    def title(self) -> str:
        """Name of the service."""
        ...

    @property
    def url(self) -> str:
        """Where the simulator answers and has its pages."""
        ...

    def settings(self) -> dict[str, object]:
        """Return the plugin's table; secrets stand in the environment."""
        ...

    def secrets(self) -> dict[str, str]:
        """Return those variables of the environment."""
        ...

    def command(self, platform_url: str) -> list[str]:
        """Return the arguments with which ``recado`` runs the simulator."""
        ...


def variables(services: Iterable[DemoService]) -> dict[str, str]:
    """Return the environment with which the platform's processes enable them; nothing where there are none."""
    chosen = [*services]
    if not chosen:
        return {}
    tables = {service.name: service.settings() for service in chosen}
    found = {DEMO_PLUGINS: msgspec.json.encode(tables).decode()}
    return found | {name: value for service in chosen for name, value in service.secrets().items()}


def has_simulator(name: str) -> bool:
    """Say whether there is a plugin of this name with a simulator."""
    try:
        return find_module(locate(name), "simulator") is not None
    except OperatorError:
        return False
