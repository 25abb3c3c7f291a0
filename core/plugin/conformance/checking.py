"""What every contract shares: how a check fails, why one does not apply, and an event loop of its own."""

import asyncio
import copy
import json
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, NoReturn, TypeVar
from unittest import SkipTest

import msgspec

from core.plugin.secret import Secret

CANARY = "canary-that-no-message-may-repeat"
"""Stands in the bodies of scripted failures; a text that shows it would show a person's number elsewhere."""
NUMBER_SECRET = Secret("secret-of-the-number-under-test")
NOWHERE = "http://127.0.0.1:9"
"""A URL for calls that must not use the network."""
SPARE_SECONDS = 2.0
"""How much longer than its own limit a call may take before a check gives up on it."""

_T = TypeVar("_T")
_ODD_VALUES: tuple[object, ...] = (None, True, -1, 1e300, 2**70, "", "odd", [], {}, [[]], {"odd": {}})


class Contract:
    """Base of the contracts: its checks are the methods whose names start with ``test_``, run by pytest or without.

    The first line of a check's docstring says what it proves.
    """


def expect(condition: bool, text: str) -> None:  # noqa: FBT001 - reads as a sentence
    """Raise ``AssertionError(text)`` unless ``condition`` holds."""
    if not condition:
        raise AssertionError(text)


def not_applicable(why: str) -> NoReturn:
    """End a check that says nothing of this plugin; pytest shows it as skipped."""
    raise SkipTest(why)


def run(scenario: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine on a loop of its own that never becomes anybody's current loop."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(scenario)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def failure(status: int) -> bytes:
    """Make the JSON body of a failure, with ``CANARY`` where services repeat the request."""
    return msgspec.json.encode({"statusCode": status, "message": CANARY, "exception": {"message": CANARY}})


def with_wrong_types(body: bytes) -> Iterator[bytes]:
    """Yield the JSON of ``body`` with each value in turn replaced by others; nothing where it is no JSON."""
    for place, whole in _places(body):
        for odd in _ODD_VALUES:
            yield json.dumps(_replaced(whole, place, odd)).encode()


def with_changed_texts(body: bytes, change: Callable[[str], str]) -> Iterator[bytes]:
    """Yield the JSON of ``body`` with each of its strings in turn changed; nothing where it is no JSON."""
    for place, whole in _places(body):
        if isinstance(text := _at(whole, place), str):
            yield json.dumps(_replaced(whole, place, change(text))).encode()


def nested(depth: int) -> tuple[bytes, ...]:
    """Make JSON that is nested so deep: lists, objects, and a list that is never closed."""
    return b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth, b"[" * depth


def _places(body: bytes) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    try:
        whole = json.loads(body)
    except (ValueError, RecursionError):
        return
    waiting: list[tuple[str | int, ...]] = [()]
    while waiting:
        place = waiting.pop(0)
        yield place, whole
        found = _at(whole, place)
        if isinstance(found, dict):
            waiting += [(*place, key) for key in found]
        elif isinstance(found, list):
            waiting += [(*place, position) for position in range(len(found))]


def _at(whole: Any, place: tuple[str | int, ...]) -> Any:
    for step in place:
        whole = whole[step]
    return whole


def _replaced(whole: Any, place: tuple[str | int, ...], value: object) -> Any:
    if not place:
        return value
    changed = copy.deepcopy(whole)
    _at(changed, place[:-1])[place[-1]] = value
    return changed
