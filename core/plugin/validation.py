"""Turn a TOML table into a frozen Struct and name every problem at once.

msgspec stops at the first error; whoever edits platform.toml wants the whole list.
"""

import difflib
import os
import types
import typing
from collections.abc import Mapping
from pathlib import Path

import msgspec

from core.plugin.secret import Secret

_Struct = typing.TypeVar("_Struct", bound=msgspec.Struct)

_WRITTEN: Mapping[object, str] = {
    Secret: '{ env = "NAME" } or { file = "path" }',
    str: "a string in quotes",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
}


class Problem(msgspec.Struct, frozen=True, order=True):
    """One thing wrong in platform.toml: where it stands, what is wrong, what to write."""

    table: str
    key: str
    text: str

    def __str__(self) -> str:
        place = " ".join(part for part in (f"[{self.table}]" if self.table else "", self.key) if part)
        return f"{place}: {self.text}" if place else self.text


def resolve_secret(value: object) -> Secret:
    """Read ``{ env = "NAME" }``, ``{ file = "path" }`` or plain text into a ``Secret``.

    Raises:
        ValueError: The variable or file is missing or empty, or the form is another.
    """
    if isinstance(value, str) and value:
        return Secret(value)
    match value:
        case {"env": str(name), **rest} if not rest:
            text = os.environ.get(name, "")
            if not text:
                raise ValueError(f"the environment variable {name} is not set: export {name}=...")
            return Secret(text)
        case {"file": str(path), **rest} if not rest:
            try:
                text = Path(path).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise ValueError(f"the file {path} cannot be read ({type(error).__name__})") from None
            if not text:
                raise ValueError(f"the file {path} is empty")
            return Secret(text)
    raise ValueError('write { env = "NAME" } or { file = "path" }')


def validate_table(
    kind: type[_Struct], values: Mapping[str, object], table: str
) -> tuple[_Struct | None, list[Problem]]:
    """Build ``kind`` from ``values``; return it, or ``None`` with every problem of the table and its sub-tables."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    problems = [Problem(table, key, _unknown_key(key, fields)) for key in values if key not in fields]
    built: dict[str, object] = {}
    for key, field in fields.items():
        if key not in values:
            if field.required:
                problems.append(Problem(table, key, f"is missing: write {key} = {describe_type(field.type)}"))
            continue
        value, found = _convert_field(field.type, values[key], table, key)
        problems.extend(found)
        if not found:
            built[field.name] = value
    if problems:
        return None, problems
    try:
        return kind(**built), []
    except ValueError as error:
        return None, [Problem(table, "", str(error))]


def describe_type(annotation: object) -> str:
    """Say in TOML what belongs into a field of this type."""
    plain = _plain(annotation)
    origin = typing.get_origin(plain)
    if origin is typing.Literal:
        return " or ".join(f'"{choice}"' for choice in typing.get_args(plain))
    if origin in (list, tuple):
        return "a list: [...]"
    if _inner_struct(annotation) is not None or origin is dict:
        return "a table"
    return _WRITTEN.get(plain, "a value")


def _convert_field(annotation: object, value: object, table: str, key: str) -> tuple[object, list[Problem]]:
    inner = _inner_struct(annotation)
    if inner is not None and isinstance(value, Mapping):
        return validate_table(inner, value, f"{table}.{key}" if table else key)
    listed = _listed_struct(annotation)
    if listed is not None and isinstance(value, list):
        return _convert_list(listed, value, f"{table}.{key}")
    try:
        read: object
        if _is_secret(annotation):
            read = resolve_secret(value)
        elif _is_secret_list(annotation) and isinstance(value, list):
            read = tuple(resolve_secret(one) for one in value)
        else:
            read = msgspec.convert(value, annotation, strict=True)
    except msgspec.ValidationError as error:
        return None, [Problem(table, key, f"{error}; write {describe_type(annotation)}")]
    except ValueError as error:
        return None, [Problem(table, key, str(error))]
    return read, []


def _convert_list(kind: type[msgspec.Struct], values: list[object], table: str) -> tuple[object, list[Problem]]:
    built: list[object] = []
    problems: list[Problem] = []
    for position, value in enumerate(values, start=1):
        if isinstance(value, Mapping):
            item, found = validate_table(kind, value, f"{table} (entry {position})")
            built.append(item)
            problems.extend(found)
        else:
            problems.append(Problem(table, "", f"entry {position} is no table"))
    return tuple(built), problems


def _unknown_key(key: str, fields: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(key, fields, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(fields) or 'none'}"
    return f"is not known; {hint}"


def _plain(annotation: object) -> object:
    """Strip ``Annotated`` and an optional ``None``."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _plain(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        others = [part for part in typing.get_args(annotation) if part is not type(None)]
        return _plain(others[0]) if len(others) == 1 else annotation
    return annotation


def _is_secret(annotation: object) -> bool:
    return _plain(annotation) is Secret


def _is_secret_list(annotation: object) -> bool:
    plain = _plain(annotation)
    return typing.get_origin(plain) in (list, tuple) and _is_secret(typing.get_args(plain)[0])


def _inner_struct(annotation: object) -> type[msgspec.Struct] | None:
    plain = _plain(annotation)
    return plain if isinstance(plain, type) and issubclass(plain, msgspec.Struct) else None


def _listed_struct(annotation: object) -> type[msgspec.Struct] | None:
    plain = _plain(annotation)
    if typing.get_origin(plain) in (list, tuple):
        return _inner_struct(typing.get_args(plain)[0])
    return None
