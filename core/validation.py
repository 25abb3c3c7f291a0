"""Turn a decoded JSON body into the type a handler asks for, and name every invalid field at once.

msgspec stops at the first error; whoever fills a form wants all of them.
"""

import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum

import msgspec

from core.errors import InvalidInputError
from core.texts import text

MAXIMUM_DEPTH = 32
MAXIMUM_BIGINT = 2**63 - 1
WHOLE = "body"
"""The name under which errors of the body as a whole are told."""

_PLACE = re.compile(r" - at `\$(?P<path>.*)`$")
_FORMS = (
    (re.compile(r"Object missing required field `(?P<name>.+)`"), "required"),
    (re.compile(r"Object contains unknown field `(?P<name>.+)`"), "unknown_field"),
    (re.compile(r"Expected `[^`]*` >= (?P<value>\S+)"), "minimum"),
    (re.compile(r"Expected `[^`]*` <= (?P<value>\S+)"), "maximum"),
    (re.compile(r"Expected `[^`]*` > (?P<value>\S+)"), "above"),
    (re.compile(r"Expected `[^`]*` < (?P<value>\S+)"), "below"),
    (re.compile(r"Expected `[^`]*` that's a multiple of (?P<value>\S+)"), "multiple"),
    (re.compile(r"Expected `str[^`]*` of length >= (?P<value>\d+)"), "min_length"),
    (re.compile(r"Expected `str[^`]*` of length <= (?P<value>\d+)"), "max_length"),
    (re.compile(r"Expected `[^`]*` of length >= (?P<value>\d+)"), "min_items"),
    (re.compile(r"Expected `[^`]*` of length <= (?P<value>\d+)"), "max_items"),
    (re.compile(r"Expected `[^`]*` matching regex"), "form"),
    (re.compile(r"Invalid enum value|Invalid value '"), "choice"),
    (re.compile(r"Invalid RFC3339 encoded datetime|Expected `datetime` with"), "datetime"),
    (re.compile(r"Invalid RFC3339 encoded date$"), "date"),
    (re.compile(r"Invalid decimal string"), "decimal"),
    (re.compile(r"Invalid UUID"), "uuid"),
    (re.compile(r"(Integer value|Number) out of range"), "out_of_range"),
    (re.compile(r"Expected `(?P<expected>[^`]+)`, got"), "type"),
)
_TYPE_NAMES = frozenset(
    {"int", "float", "str", "bool", "array", "object", "null", "decimal", "datetime", "date", "uuid"}
)

FieldErrors = dict[str, list[str]]


def validate(annotation: object, value: object) -> object:
    """Convert decoded JSON to ``annotation``, strictly: ``"1"`` is no number.

    A text field may say more with ``Meta(extra={"text": key, "check": function})``: the key of its refusal in
    ``core.texts``, and a function that must accept the value.

    Raises:
        InvalidInputError: With every invalid field, nested ones as ``messages.0.content``.
    """
    errors, readable = refused_values(value)
    if readable:
        _collect(annotation, value, "", errors)
    if errors:
        raise InvalidInputError(errors)
    try:
        return msgspec.convert(value, annotation, strict=True, str_keys=True)
    except msgspec.ValidationError as error:
        raise InvalidInputError(_explain(error, annotation, "")) from None


def refused_values(value: object) -> tuple[FieldErrors, bool]:
    """Name every place that PostgreSQL could not hold, whatever the field: NUL, huge numbers, deep nesting.

    The second part says whether the rest of the value can be looked at: deep nesting ends the search.
    """
    errors: FieldErrors = {}
    waiting: list[tuple[str, object, int]] = [("", value, 0)]
    while waiting:
        path, item, depth = waiting.pop()
        if depth > MAXIMUM_DEPTH:
            return {path.split(".", 1)[0]: [text("too_deep")]}, False
        if isinstance(item, dict):
            waiting.extend((_join(path, key), inner, depth + 1) for key, inner in reversed(item.items()))
            if any("\0" in key for key in item):
                errors[path or WHOLE] = [text("characters")]
        elif isinstance(item, list):
            waiting.extend((_join(path, index), item[index], depth + 1) for index in reversed(range(len(item))))
        elif isinstance(item, str) and "\0" in item:
            errors[path or WHOLE] = [text("characters")]
        elif isinstance(item, int | float) and abs(item) > MAXIMUM_BIGINT:
            errors[path or WHOLE] = [text("out_of_range")]
    return errors, True


def explain_message(message: str, annotation: object = None) -> str:
    """Say what one of msgspec's messages means, in the words of ``core.texts``; an unknown one stays as it is."""
    plain = _PLACE.sub("", message)
    for form, key in _FORMS:
        found = form.match(plain)
        if found is not None:
            return _word(key, found.groupdict(), annotation)
    return plain


def _word(key: str, found: Mapping[str, str], annotation: object) -> str:
    chosen: str
    match key:
        case "decimal" | "uuid":
            chosen = text("type", expected=key)
        case "type":
            chosen = _explain_type(found["expected"])
        case "form":
            chosen = text(next((str(extra["text"]) for extra in _extras(annotation) if "text" in extra), key))
        case "choice":
            allowed = _choices(annotation)
            chosen = text(key, allowed=allowed) if allowed else text("invalid")
        case "min_length" if found["value"] == "1":
            chosen = text("required")
        case _:
            chosen = text(key, **{name: value for name, value in found.items() if name != "name"})
    return chosen


def _explain_type(expected: str) -> str:
    names = [name.strip() for name in expected.split("|")]
    known = next((name for name in names if name in _TYPE_NAMES), None)
    return text("type", expected=known) if known else text("invalid")


def _collect(annotation: object, value: object, path: str, errors: FieldErrors) -> None:
    """Add the errors of ``value`` and of everything inside it."""
    plain = _plain(annotation)
    if isinstance(plain, type) and issubclass(plain, msgspec.Struct) and isinstance(value, Mapping):
        _collect_fields(plain, value, path, errors)
        return
    item = _item_type(plain)
    if item is not None and isinstance(value, list) and _struct_inside(item):
        for index, inner in enumerate(value):
            _collect(item, inner, _join(path, index), errors)
        # The items are told one by one; what remains is the list's own length.
        annotation = _without_items(annotation)
    if value is None and annotation is not plain and _allows_none(annotation):
        return
    try:
        converted = msgspec.convert(value, annotation, strict=True, str_keys=True)
    except msgspec.ValidationError as error:
        for name, messages in _explain(error, annotation, path).items():
            errors.setdefault(name, messages)
        return
    if isinstance(converted, datetime) and not _has_utc(converted):
        errors.setdefault(path or WHOLE, [text("out_of_range")])
    for extra in _extras(annotation):
        check = extra.get("check")
        if isinstance(value, str) and callable(check) and not check(value):
            errors.setdefault(path or WHOLE, [text(str(extra["text"]))])


def _has_utc(moment: datetime) -> bool:
    """Whether a moment at the very edge of the calendar exists in UTC too."""
    try:
        moment.astimezone(UTC)
    except OverflowError:
        return False
    return True


def _collect_fields(kind: type[msgspec.Struct], value: Mapping[str, object], path: str, errors: FieldErrors) -> None:
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    before = len(errors)
    for name, field in fields.items():
        if name in value:
            _collect(field.type, value[name], _join(path, name), errors)
        elif field.required:
            errors[_join(path, name)] = [text("required")]
    if kind.__struct_config__.forbid_unknown_fields:
        known = {*fields, kind.__struct_config__.tag_field}
        errors.update({_join(path, name): [text("unknown_field")] for name in value if name not in known})
    if len(errors) == before:
        # All fields are good; the Struct's own check of them together is left.
        try:
            msgspec.convert(value, kind, strict=True, str_keys=True)
        except msgspec.ValidationError as error:
            errors.update(_explain(error, kind, path))


def _explain(error: msgspec.ValidationError, annotation: object, path: str) -> FieldErrors:
    """Name the place of an error of msgspec and translate it."""
    message = str(error)
    place = _PLACE.search(message)
    inside = re.sub(r"\[(\d+|\.\.\.)\]", r".\1", place["path"]).strip(".") if place else ""
    where = _join(path, inside.replace("....", "")) if inside else path
    missing = _FORMS[0][0].match(message) or _FORMS[1][0].match(message)
    if missing is not None:
        where = _join(where, missing["name"])
    cause = error.__cause__
    if isinstance(cause, InvalidInputError):
        return {_join(where, name): list(messages) for name, messages in cause.errors.items()}
    if isinstance(cause, ValueError) and cause.args and isinstance(cause.args[0], str):
        return {where or WHOLE: [cause.args[0]]}
    return {where or WHOLE: [explain_message(message, annotation if not inside else None)]}


def _join(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)


def _plain(annotation: object) -> object:
    """Strip ``Annotated`` and the ``None`` or ``UNSET`` of an optional field."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _plain(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        others = [part for part in typing.get_args(annotation) if part not in (type(None), msgspec.UnsetType)]
        return _plain(others[0]) if len(others) == 1 else annotation
    return annotation


def _allows_none(annotation: object) -> bool:
    if typing.get_origin(annotation) is typing.Annotated:
        return _allows_none(typing.get_args(annotation)[0])
    return type(None) in typing.get_args(annotation)


def _item_type(plain: object) -> object | None:
    arguments = typing.get_args(plain)
    origin = typing.get_origin(plain)
    variadic = origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis  # noqa: PLR2004 - (item, ...)
    sequence = origin is list or (isinstance(origin, type) and origin is not tuple and issubclass(origin, Sequence))
    return arguments[0] if arguments and (variadic or sequence) else None


def _struct_inside(annotation: object) -> bool:
    plain = _plain(annotation)
    if isinstance(plain, type) and issubclass(plain, msgspec.Struct):
        return True
    item = _item_type(plain)
    return item is not None and _struct_inside(item)


def _without_items(annotation: object) -> object:
    """Return the list's type with items of any kind, its own limits kept."""
    if typing.get_origin(annotation) is typing.Annotated:
        inner, *limits = typing.get_args(annotation)
        return typing.Annotated[(_without_items(inner), *limits)]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.Union[tuple(_without_items(part) for part in typing.get_args(annotation))]  # noqa: UP007
    return annotation if _item_type(annotation) is None else list[object]


def _extras(annotation: object) -> Iterator[dict[str, object]]:
    """Yield what ``Meta(extra=...)`` says of a field: the ``text`` of its refusal, and its ``check``."""
    if typing.get_origin(annotation) is typing.Annotated:
        inner, *limits = typing.get_args(annotation)
        yield from (limit.extra for limit in limits if isinstance(limit, msgspec.Meta) and limit.extra)
        yield from _extras(inner)
    elif typing.get_origin(annotation) in (typing.Union, types.UnionType):
        for part in typing.get_args(annotation):
            yield from _extras(part)


def _choices(annotation: object) -> str:
    plain = _plain(annotation)
    if isinstance(plain, type) and issubclass(plain, Enum):
        return ", ".join(str(member.value) for member in plain)
    if typing.get_origin(plain) is typing.Literal:
        return ", ".join(str(choice) for choice in typing.get_args(plain))
    return ""
