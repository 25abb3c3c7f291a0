"""The shapes of Stripe's requests and objects, taken from the types of the installed library.

What a request may hold stands in ``stripe.params``, what an answer holds in the classes of the resources. Both are
generated from Stripe's own description of the API, so what they do not know the service does not know either.
"""

import builtins
import functools
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from types import NoneType, UnionType
from typing import Any, Literal, NotRequired, Required, Union, get_args, get_origin

import stripe
from stripe._object_classes import OBJECT_CLASSES
from stripe._stripe_object import UntypedStripeObject

Obj = dict[str, Any]
"""An object of the API, as JSON has it."""
INCLUDABLE: Mapping[str, frozenset[str]] = {
    "charge": frozenset({"refunds"}),
    "checkout.session": frozenset({"line_items"}),
    "coupon": frozenset({"applies_to"}),
    "customer": frozenset({"sources", "subscriptions", "tax", "tax_ids", "cash_balance", "invoice_credit_balance"}),
    "invoice": frozenset({"payments", "confirmation_secret", "total_pretax_credit_amounts"}),
    "price": frozenset({"tiers"}),
    "webhook_endpoint": frozenset({"secret"}),
}
"""Fields that an answer has only where they are asked for, or, of a secret, at its creation."""
_ALWAYS_ABSENT = frozenset({"deleted"})


def part(kind: type, /, **values: Any) -> Obj:
    """Make an object of ``kind``, or a part of one, with every field: what is not given is null, empty or zero."""
    made = {name: _empty(hint) for name, hint in fields(kind).items() if name not in _absent(kind)}
    if unknown := values.keys() - made.keys() - _absent(kind):
        raise ValueError(f"{kind.__qualname__} has no {', '.join(sorted(unknown))}")
    return made | values


def list_of(data: list[Any], url: str, *, has_more: bool = False) -> Obj:
    """Make a list object."""
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def misfits(value: Any, kind: Any = None, where: str = "") -> Iterator[str]:
    """Yield what an answer has that the library's types do not allow; without ``kind`` its field ``object`` says it."""
    kind = class_of(value) if kind is None else kind
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any or isinstance(kind, typing.TypeVar):
        return
    if origin in {Union, UnionType}:
        yield from _of_union(value, arguments, where)
    elif origin is Literal:
        if value not in arguments:
            yield f"{where}: {value!r} is none of the known values"
    elif origin in _CONTAINERS:
        yield from _CONTAINERS[origin](value, arguments[-1], where)
    elif isinstance(kind, type) and issubclass(kind, stripe.StripeObject):
        yield from _of_object(value, kind, where)
    elif not _is_plain(value, kind):
        yield f"{where}: {type(value).__name__} instead of {getattr(kind, '__name__', kind)}"


def class_of(value: Any) -> type:
    """Return the library's class of an object, by its field ``object``."""
    named = value.get("object") if isinstance(value, dict) else None
    if named in {"list", "search_result"}:
        return stripe.ListObject[Any]
    if named not in OBJECT_CLASSES:
        raise ValueError(f"{named!r} is no object of the API")
    module, name = OBJECT_CLASSES[named]
    return typing.cast("type", getattr(__import__(module, fromlist=[name]), name))


@functools.cache
def fields(kind: type) -> Mapping[str, Any]:
    """Return the fields of a class of the library with their types; private ones are none."""
    read: type = kind
    if is_typeddict(kind):
        # Beside its own parameters each has those of a call, whose types cannot all be resolved.
        own = {n: hint for n, hint in kind.__annotations__.items() if n not in stripe.RequestOptions.__annotations__}
        read = type(kind.__name__, (), {"__annotations__": own, "__module__": kind.__module__})
    hints = typing.get_type_hints(read, localns=typing.cast("dict[str, Any]", _Names(kind)), include_extras=True)
    return {
        name: hint
        for name, hint in hints.items()
        if not name.startswith("_") and get_origin(hint) is not typing.ClassVar
    }


def is_typeddict(kind: Any) -> bool:
    """Whether it is a class of parameters; ``typing`` does not see those of ``typing_extensions``."""
    return isinstance(kind, type) and issubclass(kind, dict) and hasattr(kind, "__total__")


def is_optional(hint: Any) -> bool:
    """Whether null is allowed."""
    return get_origin(hint) in {Union, UnionType} and NoneType in get_args(hint)


def bare(hint: Any) -> tuple[Any, bool]:
    """Return the type of a field of parameters, and whether it is required."""
    if get_origin(hint) in {NotRequired, Required}:
        return get_args(hint)[0], get_origin(hint) is Required
    return hint, True


class _Names(Mapping[str, Any]):
    """What annotations may name beside the module's own names: nested classes, and every class of the library."""

    def __init__(self, owner: type) -> None:
        self._owner = owner

    def __getitem__(self, name: str) -> Any:
        found = vars(self._owner).get(name)
        if isinstance(found, type):
            return found
        if name in _classes():
            return _classes()[name]
        modules = [sys.modules[one.__module__] for one in self._owner.__mro__]
        if any(name in vars(one) for one in (*modules, builtins, typing)):
            raise KeyError(name)
        # An alias that only type checkers see.
        return Any

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


@functools.cache
def _classes() -> Mapping[str, type]:
    found: dict[str, type] = {}
    for module, name in OBJECT_CLASSES.values():
        found.setdefault(name, getattr(__import__(module, fromlist=[name]), name))
    return found


def _absent(kind: type) -> frozenset[str]:
    named = getattr(kind, "OBJECT_NAME", "")
    # The library cannot read null where it expects objects by name.
    by_name = getattr(kind, "_inner_class_dicts", ())
    return _ALWAYS_ABSENT | INCLUDABLE.get(named, frozenset()) | frozenset(by_name)


def _empty(hint: Any) -> Any:  # noqa: PLR0911 - one line for each kind of type
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in {Union, UnionType}:
        return None if NoneType in arguments else _empty(arguments[0])
    if origin is Literal:
        return arguments[0]
    if origin is list:
        return []
    if origin in {dict, UntypedStripeObject}:
        return {}
    if origin is stripe.ListObject:
        return list_of([], "/v1")
    if isinstance(hint, type) and issubclass(hint, stripe.StripeObject):
        return part(hint)
    return None if hint is Any else hint()


def _of_union(value: Any, arguments: tuple[Any, ...], where: str) -> Iterator[str]:
    if value is None:
        if NoneType not in arguments:
            yield f"{where}: null"
        return
    choices = [one for one in arguments if one is not NoneType]
    if any(get_origin(one) is Literal for one in choices) and isinstance(value, str):
        # The library leaves its enums open; what we say is always one of the words that it knows.
        choices = [one for one in choices if one is not str]
    found = [[*misfits(value, one, where)] for one in choices]
    if all(found):
        yield from min(found, key=len)


def _of_list(value: Any, kind: Any, where: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{where}: {type(value).__name__} instead of a list"
        return
    for number, one in enumerate(value):
        yield from misfits(one, kind, f"{where}[{number}]")


def _of_mapping(value: Any, kind: Any, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where}: {type(value).__name__} instead of an object"
        return
    for name, one in value.items():
        yield from misfits(one, kind, f"{where}.{name}")


def _of_page(value: Any, kind: Any, where: str) -> Iterator[str]:
    if not isinstance(value, dict) or value.keys() - {"next_page"} != {"object", "data", "has_more", "url"}:
        yield f"{where}: no list object"
        return
    for number, one in enumerate(value["data"]):
        yield from misfits(one, None if kind is Any else kind, f"{where}.data[{number}]")


def _of_object(value: Any, kind: type, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where}: {type(value).__name__} instead of {kind.__qualname__}"
        return
    known = fields(kind)
    for name in value.keys() - known.keys():
        yield f"{where}.{name}: unknown to {kind.__qualname__}"
    if value.get("deleted"):
        return
    for name, hint in known.items():
        if name in value:
            yield from misfits(value[name], hint, f"{where}.{name}")
        elif not is_optional(hint) and name not in _absent(kind):
            yield f"{where}.{name}: missing"


def _is_plain(value: Any, kind: Any) -> bool:
    if kind is Decimal:
        return isinstance(value, str)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is kind if isinstance(kind, type) else True


_CONTAINERS: Mapping[Any, Callable[[Any, Any, str], Iterator[str]]] = {
    list: _of_list,
    dict: _of_mapping,
    UntypedStripeObject: _of_mapping,
    stripe.ListObject: _of_page,
}
