"""Requests as Stripe takes them: forms with brackets, checked against the library's parameters; and its refusals."""

import re
from collections.abc import Mapping
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin
from urllib.parse import parse_qsl

from stripe._stripe_object import UntypedStripeObject

from plugins.stripe.simulator.shapes import Obj, bare, fields, is_typeddict

_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")


class Refused(Exception):  # noqa: N818 - carries an answer, is no error of the simulator
    """Ends a request with an error in Stripe's shape."""

    def __init__(self, status: int, error: Obj) -> None:
        super().__init__(str(error.get("message", "")))
        self.status = status
        self.error = error


def invalid(message: str, *, code: str = "", param: str = "", status: int = 400) -> Refused:
    """Make an ``invalid_request_error``."""
    error = {"message": message, "type": "invalid_request_error"}
    if code:
        error |= {"code": code, "doc_url": f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"}
    return Refused(status, error | ({"param": param} if param else {}))


def no_such(what: str, number: str, param: str = "") -> Refused:
    """Make the refusal of an id that does not exist: 404 for the object itself, 400 for one that a parameter names."""
    status = 400 if param else 404
    return invalid(f"No such {what}: '{number}'", code="resource_missing", param=param or "id", status=status)


def read_form(text: str) -> Obj:
    """Read ``a[b][0]=c`` into nested objects; lists stay objects with numbers as names until their type is known."""
    whole: Obj = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        match = _KEY.fullmatch(name)
        if not match:
            raise invalid(f"Invalid parameter name: {name[:40]}")
        steps = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
        place = whole
        for step in steps[:-1]:
            place = place.setdefault(step or str(len(place)), {})
            if not isinstance(place, dict):
                raise invalid(f"Invalid {match[1]}", param=match[1])
        place[steps[-1] or str(len(place))] = value
    return whole


def read_params(given: Mapping[str, Any], kind: type | None, path: str = "") -> Obj:
    """Turn texts into the types of ``kind``, a class of ``stripe.params``.

    Raises:
        Refused: A parameter is unknown, missing or of another type.
    """
    known = fields(kind) if kind else {}
    for name in given:
        if name not in known:
            raise invalid(
                f"Received unknown parameter: {_named(path, name)}", code="parameter_unknown", param=_named(path, name)
            )
    read: Obj = {}
    for name, hint in known.items():
        inner, required = bare(hint)
        where = _named(path, name)
        if name in given:
            read[name] = _read(given[name], inner, where)
        elif required:
            raise invalid(f"Missing required param: {where}.", code="parameter_missing", param=where)
    return read


def _named(path: str, name: str) -> str:
    return f"{path}[{name}]" if path else name


def _read(value: Any, kind: Any, where: str) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in {Union, UnionType}:
        return _read_union(value, arguments, where)
    if origin is Literal:
        if value in arguments:
            return value
        raise invalid(f"Invalid {where}: must be one of {', '.join(map(str, arguments))}", param=where)
    if is_typeddict(kind):
        return read_params(_mapping(value, where), kind, where)
    if origin is list:
        numbered = _mapping(value, where)
        if any(not name.isdecimal() for name in numbered):
            raise invalid("Invalid array", param=where)
        return [_read(numbered[name], arguments[0], f"{where}[{name}]") for name in sorted(numbered, key=int)]
    if origin in {dict, UntypedStripeObject}:
        return {name: _read(one, arguments[-1], _named(where, name)) for name, one in _mapping(value, where).items()}
    if isinstance(value, dict):
        raise invalid(f"Invalid {getattr(kind, '__name__', 'value')}", param=where)
    return _read_plain(value, kind, where)


def _read_union(value: Any, arguments: tuple[Any, ...], where: str) -> Any:
    choices = [one for one in arguments if one is not type(None)]
    literals = [one for one in choices if get_origin(one) is Literal]
    if literals and isinstance(value, str):
        if any(value in get_args(one) for one in literals):
            return value
        rest = [one for one in choices if get_origin(one) is not Literal]
        # A text beside words other than the empty one only says that more words may come.
        if any(get_args(one) != ("",) for one in literals):
            rest = [one for one in rest if one is not str]
        choices = rest or literals
    refusals: list[Refused] = []
    for one in choices:
        try:
            return _read(value, one, where)
        except Refused as refusal:
            refusals.append(refusal)
    raise refusals[-1]


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if isinstance(value, dict):
        return value
    raise invalid("Invalid object" if value else f"You passed an empty string for '{where}'.", param=where)


def _read_plain(value: str, kind: Any, where: str) -> Any:
    if kind is bool:
        if value not in {"true", "false"}:
            raise invalid(f"Invalid boolean: {value}", param=where)
        return value == "true"
    if kind is int:
        if not re.fullmatch(r"-?[0-9]{1,15}", value):
            raise invalid(f"Invalid integer: {value}", code="parameter_invalid_integer", param=where)
        return int(value)
    if kind is str and not value and "metadata" not in where:
        message = (
            f"You passed an empty string for '{where}'. We assume empty values are an attempt to unset a parameter;"
            f" however '{where}' cannot be unset. You should remove '{where}' from your request or supply a non-empty"
            " value."
        )
        raise invalid(message, code="parameter_invalid_empty", param=where)
    return value
