"""What goes wrong, on request: each fault strikes a number of fitting requests or messages."""

from collections.abc import Collection
from typing import Annotated, Literal, get_args

import msgspec

from plugins.waha.simulator.http import Hung, Reply, Request, json_reply
from plugins.waha.simulator.state import State

RequestKind = Literal[
    "401",
    "429",
    "463",
    "500",
    "500_connection_closed",
    "502",
    "503",
    "deadline_exceeded",
    "drop_response",
    "hang",
    "late_success",
    "malformed",
    "media_unreachable",
    "rate_overlimit",
    "status_422",
]
AckKind = Literal["duplicate_acks", "failed_ack", "late_acks", "no_acks", "out_of_order_acks", "restricted_ack"]
WebhookKind = Literal["duplicate_webhooks", "lost_webhooks"]

REQUEST_KINDS: frozenset[str] = frozenset(get_args(RequestKind))
ACK_KINDS: frozenset[str] = frozenset(get_args(AckKind))
WEBHOOK_KINDS: frozenset[str] = frozenset(get_args(WebhookKind))

_EXCEPTIONS: dict[str, dict[str, object]] = {
    "463": {"message": "2 UNKNOWN: server returned error 463", "name": "Error", "code": 2},
    "500": {"message": "Something went wrong", "name": "Error"},
    "500_connection_closed": {"message": "Connection Closed", "name": "Error"},
    "deadline_exceeded": {
        "message": "4 DEADLINE_EXCEEDED: Deadline exceeded after 30.001s",
        "name": "Error",
        "code": 4,
    },
    "media_unreachable": {"message": "connect ECONNREFUSED 127.0.0.1:80", "name": "Error", "code": "ECONNREFUSED"},
    "rate_overlimit": {"message": "rate-overlimit", "name": "Error", "data": 429},
}


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which requests; empty fields fit all. ``text`` is a part of the text, ``path`` the start of the path.

    Without a path only sends are struck.
    """

    session: str = ""
    chat_id: str = ""
    text: str = ""
    path: str = ""


class Fault(msgspec.Struct, forbid_unknown_fields=True):
    """One order of trouble; ``count`` -1 never ends."""

    kind: RequestKind | AckKind | WebhookKind
    count: int = 1
    match: Match = Match()
    share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    """The share of fitting requests that it strikes."""
    seconds: float = 60.0
    """Delay of ``late_success`` and ``late_acks``; ``Retry-After`` of 429."""
    executed: bool = False
    """For 5xx: whether the message goes out all the same."""
    status: str = "STARTING"
    """The session's status in the body of ``status_422``."""
    struck: int = 0


class Faults:
    """The faults in force."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.orders: list[Fault] = []

    def take(self, kinds: Collection[str], where: Match, *, is_send: bool = True) -> Fault | None:
        """Use up one fault of ``kinds`` that fits, if there is one."""
        for order in self.orders:
            if order.kind in kinds and _fits(order.match, where, is_send=is_send):
                if order.share < 1 and self._state.random.random() >= order.share:
                    continue
                order.struck += 1
                order.count -= 1 if order.count > 0 else 0
                if order.count == 0:
                    self.orders.remove(order)
                return order
        return None


def _fits(match: Match, where: Match, *, is_send: bool) -> bool:
    return (
        (where.path.startswith(match.path) if match.path else is_send)
        and match.session in {"", where.session}
        and match.chat_id in {"", where.chat_id}
        and match.text in where.text
    )


def failure_reply(fault: Fault, request: Request, state: State) -> Reply:
    """Return the answer of a fault, in WAHA's bodies or in a proxy's; raises ``Hung`` for the one without."""
    match fault.kind:
        case "401":
            reply = unauthorized()
        case "429":
            body = msgspec.json.encode({"message": "Too Many Requests", "statusCode": 429})
            reply = Reply(429, body, headers={"Retry-After": f"{fault.seconds:.0f}"})
        case "502" | "503":
            title = "Bad Gateway" if fault.kind == "502" else "Service Temporarily Unavailable"
            reply = Reply(int(fault.kind), f"<html><h1>{fault.kind} {title}</h1></html>".encode(), "text/html")
        case "status_422":
            reply = wrong_status(str(request.fields().get("session", "")), fault.status)
        case "drop_response":
            reply = Reply(201, b'{"key":', cut=True)
        case "malformed":
            reply = Reply(201, b'{"key": {"id": ')
        case "hang":
            raise Hung
        case _:
            reply = exception_reply(_EXCEPTIONS[fault.kind], request, state)
    return reply


def exception_reply(exception: dict[str, object], request: Request, state: State) -> Reply:
    """WAHA's 500, which echoes the whole request and a stack."""
    body = {
        "statusCode": 500,
        "timestamp": state.now().isoformat(timespec="milliseconds"),
        "exception": {**exception, "stack": "Error\n    at process.processTicksAndRejections"},
        "request": {"path": request.path, "method": request.method, "body": request.fields(), "query": request.query},
        "version": {"version": state.options.version, "engine": state.options.engine, "tier": state.options.tier},
    }
    return json_reply(body, 500)


def unauthorized() -> Reply:
    """WAHA's 401."""
    return json_reply({"message": "Unauthorized", "statusCode": 401}, 401)


def wrong_status(session: str, status: str, expected: str = "WORKING") -> Reply:
    """WAHA's 422 for a session that is not what a call needs."""
    text = "Session status is not as expected. Try again later or restart the session"
    return json_reply({"error": text, "session": session, "status": status, "expected": [expected]}, 422)
