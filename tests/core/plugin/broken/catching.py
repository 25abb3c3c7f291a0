"""Which check catches which broken plugin."""

from collections.abc import Callable

from tests.core.plugin.broken.good import GoodProvider

CAUGHT_BY: dict[type[GoodProvider], set[str]] = {}
"""Each broken plugin, and exactly the checks that fail for it."""


def caught_by(*checks: str) -> Callable[[type[GoodProvider]], type[GoodProvider]]:
    """Say which checks fail for a class, and no others."""

    def add(kind: type[GoodProvider]) -> type[GoodProvider]:
        CAUGHT_BY[kind] = set(checks)
        return kind

    return add
