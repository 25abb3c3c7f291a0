"""``platform.example.toml``, made from the Settings classes so that it never falls behind them."""

import importlib
import pkgutil
import textwrap
import typing
from collections.abc import Iterator

import msgspec

from core.config import PlatformConfig
from core.plugin.loader import find_plugin_class
from core.plugin.validation import describe_type

WIDTH = 110

_HEAD = """\
# Every setting of Recado with its default. Copy what you change into platform.toml.
#
# Secrets are written { env = "NAME" } or { file = "path" }. The presence of a table [plugins.<name>] switches the
# plugin on; enabled = false keeps its settings and switches it off. `recado check` says whether all is well.
"""


def example_config() -> str:
    """Return the text of ``platform.example.toml``: core's tables, then every plugin in the folder ``plugins``."""
    parts = [_HEAD]
    for field in msgspec.structs.fields(PlatformConfig):
        kind = field.type
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            parts.append(_table(field.encode_name, kind, comment=""))
    # By name, as in the loader: core knows no plugin.
    folder = importlib.import_module("plugins").__path__
    for module in sorted(pkgutil.iter_modules(folder), key=lambda found: found.name):
        plugin_class, _, problems = find_plugin_class(module.name)
        if plugin_class is not None and not problems:
            parts.append(_table(f"plugins.{module.name}", plugin_class.Settings, comment="# "))
    return "\n".join(parts)


def _table(name: str, kind: type[msgspec.Struct], *, comment: str) -> str:
    about = (kind.__doc__ or "").strip().split("\n\n")[0]
    lines = [*_comment(" ".join(about.split()).replace("``", "`")), f"{comment}[{name}]"]
    later: list[str] = []
    for field in msgspec.structs.fields(kind):
        inner = _listed(field.type)
        if inner is not None:
            later += ["", _array_entry(f"{name}.{field.encode_name}", inner, _meta(field.type))]
            continue
        lines += _comment(_meta(field.type).description or "")
        # A key with a default is shown as a comment, so that a copy of the file changes nothing.
        mark = comment if field.required else "# "
        lines.append(f"{mark}{field.encode_name} = {_shown(field)}")
    return "\n".join([*lines, *later, ""])


def _array_entry(name: str, kind: type[msgspec.Struct], meta: msgspec.Meta) -> str:
    lines = [*_comment(meta.description or ""), f"# [[{name}]]"]
    for field in msgspec.structs.fields(kind):
        lines += [*_comment(_meta(field.type).description or ""), f"# {field.encode_name} = {_shown(field)}"]
    return "\n".join(lines)


def _comment(text: str) -> Iterator[str]:
    return (f"# {line}" for line in textwrap.wrap(text, WIDTH))


def _shown(field: msgspec.structs.FieldInfo) -> str:
    examples = _meta(field.type).examples
    if examples:
        return _toml(examples[0])
    if field.default is not msgspec.NODEFAULT and field.default is not None:
        return _toml(field.default)
    if field.default_factory is not msgspec.NODEFAULT:
        return _toml(field.default_factory())
    written = describe_type(field.type)
    return written.split(" or ")[0] if written.startswith(("{", '"')) else '"..."'


def _toml(value: object) -> str:
    """Write a plain value as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list | tuple | frozenset | set):
        return f"[{', '.join(_toml(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_toml(item)}' for key, item in value.items())} }}"
    return msgspec.json.encode(str(value)).decode()


def _meta(annotation: object) -> msgspec.Meta:
    if typing.get_origin(annotation) is typing.Annotated:
        return next(
            (item for item in typing.get_args(annotation)[1:] if isinstance(item, msgspec.Meta)), msgspec.Meta()
        )
    return msgspec.Meta()


def _listed(annotation: object) -> type[msgspec.Struct] | None:
    """The Struct of a list of tables, ``None`` for anything else."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _listed(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (list, tuple):
        inner = typing.get_args(annotation)[0]
        return inner if isinstance(inner, type) and issubclass(inner, msgspec.Struct) else None
    return None
