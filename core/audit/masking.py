"""What may stand in the audit log of a value: no secret, no text without an end."""

from collections.abc import Mapping
from functools import cache

from core.logging import MASK, masked
from core.piccolo_conf import APP_REGISTRY

MAXIMUM_TEXT = 2000
"""Characters of one value; longer ones are cut, which is told."""


def safe(values: Mapping[str, object]) -> dict[str, object]:
    """Return ``values`` with secrets masked: by their names, and by the columns of tables that are declared secret."""
    return {name: _safe(name, value) for name, value in values.items()}


def safe_changes(changes: Mapping[str, object]) -> dict[str, list[object]]:
    """As ``safe``, of pairs of what was and what is; that a secret changed is told, not from what to what."""
    kept: dict[str, list[object]] = {}
    for name, pair in changes.items():
        before, after = pair if isinstance(pair, list | tuple) else (None, pair)
        kept[name] = [_safe(name, before), _safe(name, after)]
    return kept


@cache
def secret_columns() -> frozenset[str]:
    """Return the names of all columns that some table declares secret."""
    tables = [table for app in APP_REGISTRY.app_configs.values() for table in app.table_classes]
    return frozenset(column._meta.name for table in tables for column in table._meta.columns if column._meta.secret)  # noqa: SLF001 - Piccolo offers no other way


def _safe(name: str, value: object) -> object:
    if name in secret_columns() and value not in (None, "", True, False):
        return MASK
    return _cut(masked(name, value))


def _cut(value: object) -> object:
    match value:
        case str():
            return value if len(value) <= MAXIMUM_TEXT else f"{value[:MAXIMUM_TEXT]} ... ({len(value)})"
        case Mapping():
            return {str(key): _cut(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_cut(inner) for inner in value]
    return value
