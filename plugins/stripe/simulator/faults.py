"""What goes wrong with the API, on request: each fault strikes a number of fitting calls."""

from typing import Literal

import msgspec

Kind = Literal["500_after", "500_before", "cut_after", "cut_before", "hang", "401", "403", "409", "429", "html"]
ERRORS: dict[str, tuple[int, dict[str, str]]] = {
    "500": (500, {"type": "api_error", "message": "An unknown error occurred"}),
    "401": (401, {"type": "invalid_request_error", "message": "Invalid API Key provided: sk_test_****"}),
    "403": (
        403,
        {"type": "invalid_request_error", "message": "The provided key does not have the required permissions."},
    ),
    "409": (409, {"type": "idempotency_error", "code": "idempotency_key_in_use", "message": "In use."}),
    "429": (429, {"type": "invalid_request_error", "code": "rate_limit", "message": "Request rate limit exceeded."}),
}


class Fault(msgspec.Struct, forbid_unknown_fields=True):
    """One order of trouble; ``_after`` means that the work was done and only its answer is lost."""

    kind: Kind
    count: int = 1
    method: str = ""
    """Empty: any."""
    path: str = "/v1"
    """How the path begins."""


class Faults:
    """The faults in force."""

    def __init__(self) -> None:
        self.orders: list[Fault] = []

    def take(self, method: str, path: str) -> Fault | None:
        """Use up one fault that fits, if there is one."""
        for order in self.orders:
            if order.method in {"", method} and path.startswith(order.path):
                order.count -= 1
                if order.count <= 0:
                    self.orders.remove(order)
                return order
        return None
