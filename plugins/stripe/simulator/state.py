"""Everything the simulated account holds, and its clock."""

import secrets
import string
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import stripe

from plugins.stripe.simulator.options import Options
from plugins.stripe.simulator.requests import no_such
from plugins.stripe.simulator.shapes import INCLUDABLE, Obj, fields, part

_LETTERS = string.ascii_letters + string.digits
Listener = Callable[[Obj], None]


class State:
    """Objects by id in the order in which they were made, and beside each what the API does not show of it."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.objects: dict[str, Obj] = {}
        self.private: dict[str, dict[str, Any]] = {}
        self.on_event: Listener = lambda _: None
        self._ahead = 0
        self._instant: int | None = None

    def now(self) -> int:
        """Return the account's time: the machine's, moved on by what was ordered."""
        return int(time.time()) + self._ahead if self._instant is None else self._instant

    def move_to(self, instant: int) -> None:
        """Let the account's time go on from ``instant``, which may not lie behind."""
        self._ahead += max(instant - self.now(), 0)

    @contextmanager
    def at(self, instant: int) -> Iterator[None]:
        """Let everything in the block happen at ``instant``."""
        before, self._instant = self._instant, instant
        try:
            yield
        finally:
            self._instant = before

    def add(self, kind: type, prefix: str, **values: Any) -> Obj:
        """Make an object of ``kind`` and keep it."""
        if "created" in fields(kind):
            values.setdefault("created", self.now())
        number = values.pop("id", "") or f"{prefix}_{new_id()}"
        made = part(kind, id=number, **values)
        self.objects[number] = made
        self.private[number] = {}
        return made

    def get(self, what: str, number: str, param: str = "") -> Obj:
        """Return an object; ``param`` names the parameter that holds the id.

        Raises:
            Refused: There is none of this kind, or it was deleted.
        """
        found = self.objects.get(number)
        if found is None or found["object"] != what or (found.get("deleted") and param):
            raise no_such(what.replace("_", " ").replace("checkout.session", "checkout.session"), number, param)
        return found

    def every(self, what: str, **equal: Any) -> list[Obj]:
        """Return the objects of a kind with these values, the newest first."""
        return [
            one
            for one in reversed(self.objects.values())
            if one["object"] == what and all(one.get(name) == value for name, value in equal.items())
        ]

    def emit(self, name: str, thing: Obj, previous: Obj | None = None) -> None:
        """Record an event about an object as it is now, and let it be delivered."""
        shown = {key: value for key, value in thing.items() if key not in INCLUDABLE.get(thing["object"], ())}
        facts: Obj = {"object": _copied(shown)}
        if previous is not None:
            facts["previous_attributes"] = previous
        event = self.add(
            stripe.Event,
            "evt",
            type=name,
            api_version=stripe.api_version,
            data=facts,
            pending_webhooks=0,
            request=part(stripe.Event.Request),
        )
        self.on_event(event)


def new_id(length: int = 24) -> str:
    """Return the random part of an id."""
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copied(one) for name, one in value.items()}
    return [_copied(one) for one in value] if isinstance(value, list) else value
