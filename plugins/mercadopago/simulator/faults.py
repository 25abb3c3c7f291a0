"""What goes wrong, on request: each fault strikes the next calls that fit."""

from typing import Annotated, Literal

import msgspec

_Kind = Literal["500_before", "500_after", "cut_before", "cut_after", "hang_before", "hang_after", "429", "html"]
"""``before``: the call does nothing; ``after``: its work is done, and its answer lost."""


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One order of trouble."""

    kind: _Kind
    match: str = ""
    """Start of method and path, such as ``POST /preapproval``; empty fits every call."""
    count: Annotated[int, msgspec.Meta(ge=1)] = 1
    skip: Annotated[int, msgspec.Meta(ge=0)] = 0
    """So many calls that fit pass first."""
    struck: int = 0

    @property
    def is_late(self) -> bool:
        """Whether the call's work is done first."""
        return self.kind.endswith("_after")


class Faults:
    """The faults in force."""

    def __init__(self) -> None:
        self.orders: list[Fault] = []

    def take(self, call: str) -> Fault | None:
        """Use up one fault that fits ``METHOD /path``."""
        fault = next((one for one in self.orders if call.startswith(one.match)), None)
        if fault is None:
            return None
        if fault.skip:
            fault.skip -= 1
            return None
        fault.struck += 1
        if fault.struck >= fault.count:
            self.orders.remove(fault)
        return fault
