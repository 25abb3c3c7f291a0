"""What goes wrong, on request: each fault strikes a number of fitting requests, messages or webhooks."""

from collections.abc import Callable, Collection
from typing import Annotated, Literal, get_args

import msgspec

from plugins.evolution.simulator.addresses import address_of
from plugins.evolution.simulator.http import Hung, Reply, error_reply, json_reply
from plugins.evolution.simulator.state import State

RequestKind = Literal[
    "200_error",
    "400_engine",
    "400_not_on_whatsapp",
    "401",
    "404",
    "429",
    "500",
    "500_connection_closed",
    "500_media_upload",
    "502",
    "503",
    "boom",
    "drop_response",
    "hang",
    "late_success",
    "licence",
    "malformed",
]
AckKind = Literal["duplicate_acks", "failed_ack", "late_acks", "no_acks", "out_of_order_acks", "update_without_status"]
WebhookKind = Literal["duplicate_webhooks", "late_webhooks", "lost_webhooks"]

REQUEST_KINDS: frozenset[str] = frozenset(get_args(RequestKind))
ACK_KINDS: frozenset[str] = frozenset(get_args(AckKind))
WEBHOOK_KINDS: frozenset[str] = frozenset(get_args(WebhookKind))


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which requests; empty fields fit all. ``text`` is a part of the text, ``path`` the start of the path.

    Without a path only sends are struck. ``chat_id`` is a number or an address; of webhooks ``text`` is the event.
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
    """Delay of ``late_success``, ``late_acks`` and ``late_webhooks``; ``Retry-After`` of 429."""
    executed: bool = False
    """Whether the request does its work all the same."""
    struck: int = 0

    @property
    def goes_out(self) -> bool:
        """Whether the request does its work before its answer goes wrong."""
        return self.executed or self.kind in {"drop_response", "late_success", "malformed"}


class Faults:
    """The faults in force."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.orders: list[Fault] = []

    def take(self, kinds: Collection[str], where: Match, *, is_send: bool = True) -> Fault | None:
        """Use up one fault of ``kinds`` that fits, if there is one."""
        for order in self.orders:
            if order.kind not in kinds or not _fits(order.match, where, is_send=is_send):
                continue
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
        and (not match.chat_id or address_of(match.chat_id) == address_of(where.chat_id))
        and match.text in where.text
    )


def failure_reply(fault: Fault, where: Match) -> Reply:
    """Return the answer of a fault, in Evolution's bodies or in a proxy's; raises ``Hung`` for the one without."""
    if fault.kind == "hang":
        raise Hung
    build = _ANSWERS.get(fault.kind)
    return build(where) if build else _proxy_reply(fault)


def _proxy_reply(fault: Fault) -> Reply:
    """Evolution knows no limit of its own: these are the answers of a proxy before it."""
    titles = {"429": "Too Many Requests", "502": "Bad Gateway", "503": "Service Temporarily Unavailable"}
    page = f"<html><h1>{fault.kind} {titles[fault.kind]}</h1></html>".encode()
    headers = {"Retry-After": f"{fault.seconds:.0f}"} if fault.kind == "429" else {}
    return Reply(int(fault.kind), page, "text/html", headers)


def no_instance(name: str) -> Reply:
    """The 404 of an instance that does not exist, which comes before any look at the key."""
    return error_reply(404, [f'The "{name}" instance does not exist'])


def connection_closed() -> Reply:
    """The 500 of a send through an instance that is not open."""
    return error_reply(500, "Connection Closed")


def not_on_whatsapp(address: str, number: str) -> Reply:
    """The 400 of a send to a number without an account: certainly not sent."""
    return error_reply(400, [{"jid": address, "exists": False, "number": number}])


def no_group(*, is_old: bool) -> Reply:
    """The answer of a send to a group that WhatsApp tells nothing of: certainly not sent."""
    if is_old:
        return error_reply(500, "Cannot read properties of undefined (reading 'id')")
    return error_reply(400, ["[object Object]"])


def hidden_error() -> Reply:
    """The failure that comes with 200: an exception that was made a text."""
    return json_reply({"error": True, "message": "[object Object]"})


def boom() -> Reply:
    """The raw exception of the library beneath, where Evolution does not catch it."""
    payload = {"statusCode": 428, "error": "Precondition Required", "message": "Connection Closed"}
    output = {"statusCode": 428, "payload": payload, "headers": {}}
    return json_reply({"data": None, "isBoom": True, "isServer": False, "output": output}, 400)


def licence_required() -> Reply:
    """The 503 of every business route from 2.4 on, until a licence is activated."""
    body = {
        "error": "service not activated",
        "code": "LICENSE_REQUIRED",
        "register_url": "http://localhost:8080/manager/license",
        "instance_id": "simulated",
        "docs_url": "https://docs.evolutionfoundation.com.br",
        "message": "This server has no licence yet. Activate it before you use it.",
    }
    return json_reply(body, 503)


_ANSWERS: dict[str, Callable[[Match], Reply]] = {
    "200_error": lambda _: hidden_error(),
    "400_engine": lambda _: error_reply(400, ["Error: Internal Server Error"]),
    "400_not_on_whatsapp": lambda where: not_on_whatsapp(address_of(where.chat_id), where.chat_id),
    "401": lambda _: error_reply(401, "Unauthorized"),
    "404": lambda where: no_instance(where.session),
    "500": lambda _: error_reply(500, "Internal Server Error"),
    "500_connection_closed": lambda _: connection_closed(),
    "500_media_upload": lambda _: error_reply(500, "Error: Media upload failed on all hosts"),
    "boom": lambda _: boom(),
    "drop_response": lambda _: Reply(201, b'{"key":', cut=True),
    "licence": lambda _: licence_required(),
    "malformed": lambda _: Reply(201, b'{"key": {"id": '),
}
