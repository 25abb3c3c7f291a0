"""Answers: what is expanded in them, and lists page by page."""

from collections.abc import Callable
from typing import Any

from plugins.stripe.simulator.requests import invalid
from plugins.stripe.simulator.shapes import INCLUDABLE, Obj, class_of, fields, list_of
from plugins.stripe.simulator.state import State

Include = Callable[[Obj], Any]
_DEEPEST = 4


class Answers:
    """Makes answers of objects; ``includes`` makes the fields that are there only when they are asked for."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.includes: dict[tuple[str, str], Include] = {}

    def page(self, found: list[Obj], params: Obj, url: str) -> Obj:
        """Return the page of ``found`` that is asked for: at most ``limit`` after or before one of them."""
        limit = params.get("limit", 10)
        if not 1 <= limit <= 100:  # noqa: PLR2004 - https://docs.stripe.com/api/pagination
            raise invalid(f"Invalid limit: {limit} is not between 1 and 100", param="limit")
        numbers = [one["id"] for one in found]
        begin = 0
        if after := params.get("starting_after"):
            if after not in numbers:
                raise invalid(f"No such object: '{after}'", code="resource_missing", param="starting_after")
            begin = numbers.index(after) + 1
        if before := params.get("ending_before"):
            end = numbers.index(before) if before in numbers else 0
            begin, found = max(end - limit, 0), found[:end]
        chosen = found[begin : begin + limit]
        return list_of([*chosen], url, has_more=len(found) > begin + limit)

    def shown(self, thing: Obj, expand: list[str]) -> Any:
        """Return a copy of an object or a list with what is to be expanded.

        Raises:
            Refused: A path leads nowhere, or too deep.
        """
        copied = _copied(thing)
        for path in expand:
            steps = path.split(".")
            if len(steps) > _DEEPEST:
                raise invalid("You cannot expand more than 4 levels of a property.", param="expand[0]")
            self._expand(copied, steps, path)
        return copied

    def _expand(self, thing: Any, steps: list[str], path: str) -> None:
        if isinstance(thing, list):
            for one in thing:
                self._expand(one, steps, path)
            return
        if not isinstance(thing, dict) or not steps:
            return
        first, *rest = steps
        named = thing.get("object", "")
        if first in INCLUDABLE.get(named, ()) and first not in thing:
            include = self.includes.get((named, first))
            thing[first] = include(self._state.objects.get(thing["id"], thing)) if include else None
        elif first not in thing:
            if named and first in fields(class_of(thing)):
                return
            raise invalid(f"This property cannot be expanded ({path}).", param="expand[0]")
        value = thing[first]
        if isinstance(value, str):
            found = self._state.objects.get(value)
            if found is None:
                raise invalid(f"This property cannot be expanded ({path}).", param="expand[0]")
            thing[first] = _copied(found)
        elif isinstance(value, list) and value and all(isinstance(one, str) for one in value):
            thing[first] = [_copied(self._state.objects[one]) for one in value]
        self._expand(thing[first], rest, path)


def _copied(value: Any) -> Any:
    """Copy a value, so that what is expanded in it stands in one answer alone."""
    if isinstance(value, dict):
        return {name: _copied(one) for name, one in value.items()}
    return [_copied(one) for one in value] if isinstance(value, list) else value
