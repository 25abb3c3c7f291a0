"""What goes wrong, on request: each fault strikes the next calls of the API."""

from typing import Annotated, Literal

import msgspec

Kind = Literal["down", "busy", "500", "quota", "cut", "cut_after", "hang"]
"""``down`` 503, ``busy`` 429 with ``Retry-After: 7``, ``quota`` 403; ``cut`` loses the connection before the call's
work is done, ``cut_after`` when it is; ``hang`` never answers."""


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One order of trouble."""

    kind: Kind
    count: Annotated[int, msgspec.Meta(ge=1)] = 1


class Faults:
    """The faults in force."""

    def __init__(self) -> None:
        self.orders: list[Fault] = []

    def take(self) -> Kind | None:
        """Use up one."""
        if not self.orders:
            return None
        fault = self.orders[0]
        fault.count -= 1
        if not fault.count:
            self.orders.pop(0)
        return fault.kind
