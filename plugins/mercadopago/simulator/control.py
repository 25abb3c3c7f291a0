"""What no Mercado Pago has: its clock, its payers and banks, its webhooks and its troubles, to order."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from litestar import Response, delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from plugins.mercadopago.simulator.api import Api
from plugins.mercadopago.simulator.billing import Billing
from plugins.mercadopago.simulator.faults import Fault, Faults
from plugins.mercadopago.simulator.options import parse_options
from plugins.mercadopago.simulator.pages import Pages
from plugins.mercadopago.simulator.rules import RefundBody, read
from plugins.mercadopago.simulator.state import CardToken, State
from plugins.mercadopago.simulator.webhooks import Webhooks
from plugins.mercadopago.simulator.wire import AnyRequest, Refused, fields, payment_body, reply, written


class Control:
    """The calls under ``/simulator``."""

    def __init__(self, state: State, api: Api, billing: Billing, webhooks: Webhooks, faults: Faults) -> None:
        self._state = state
        self._api = api
        self._billing = billing
        self._webhooks = webhooks
        self._faults = faults
        self.pages = Pages(state, api, billing)

    def handlers(self) -> list[HTTPRouteHandler]:
        """Return the routes."""
        return [
            get("/simulator/clock")(self.clock),
            post("/simulator/clock")(self.move_clock),
            post("/simulator/options")(self.set_options),
            post("/simulator/preapprovals/{number:str}/{act:str}")(self.act),
            post("/simulator/plans/{number:str}/subscribe")(self.subscribe),
            post("/simulator/payments/{number:str}/{act:str}")(self.pay),
            post("/simulator/card_tokens")(self.make_token),
            get("/simulator/webhooks")(self.list_webhooks),
            post("/simulator/webhooks/release")(self.release),
            post("/simulator/webhooks/forge")(self.forge),
            get("/simulator/faults")(self.list_faults),
            post("/simulator/faults")(self.add_fault),
            delete("/simulator/faults", status_code=204)(self.clear_faults),
        ]

    async def clock(self) -> Response[bytes]:
        """Tell the time."""
        return reply({"now": written(self._state.now())})

    async def move_clock(self, request: AnyRequest) -> Response[bytes]:
        """Let time pass: ``seconds``, or ``to`` a moment; all that is due meanwhile happens, each at its own time."""
        order = await fields(request)
        try:
            seconds = timedelta(seconds=float(order.get("seconds", 0)))
            target = datetime.fromisoformat(order["to"]) if "to" in order else self._state.now() + seconds
        except (ValueError, TypeError):
            raise Refused(400, "seconds must be a number, or to a moment") from None
        target = target.replace(tzinfo=target.tzinfo or UTC)
        await self._webhooks.flush()
        while (due := self._next_due()) is not None and due <= target:
            with self._state.stopped_at(due):
                self.run_due()
            await self._webhooks.flush()
        self._state.move_to(target)
        return reply({"now": written(self._state.now())})

    def run_due(self) -> None:
        """Do all that is due now."""
        self._webhooks.repeat_due()
        while self._billing.run_due():
            pass

    def _next_due(self) -> datetime | None:
        due = (self._billing.next_due(), self._webhooks.next_due())
        return min((at for at in due if at is not None), default=None)

    async def set_options(self, request: AnyRequest) -> Response[bytes]:
        """Change options, the others stay."""
        try:
            self._state.options = parse_options(await fields(request), self._state.options)
        except ValueError as error:
            raise Refused(400, str(error)) from None
        return reply(self._state.options)

    async def act(self, request: AnyRequest, number: FromPath[str], act: FromPath[str]) -> Response[bytes]:
        """Let the payer ``authorize`` with a card's ``holder``, change the ``card``, ``pause`` or ``cancel``."""
        one = self._api.subscription(number)
        holder = str((await fields(request)).get("holder", "APRO"))
        match act:
            case "authorize":
                self._billing.authorize(one, holder)
            case "card":
                self._billing.change_card(one, holder)
            case "pause":
                self._billing.touch(one, "paused")
            case "cancel":
                self._billing.cancel(one)
            case _:
                raise Refused(404, "authorize, card, pause and cancel are known", error="not_found")
        await self._webhooks.flush()
        return reply({"id": one.id, "status": one.status})

    async def subscribe(self, request: AnyRequest, number: FromPath[str]) -> Response[bytes]:
        """Let somebody follow a plan's link and pay with a card's ``holder``."""
        holder = str((await fields(request)).get("holder", "APRO"))
        one = self.pages.subscribe(number)
        self._billing.authorize(one, holder)
        await self._webhooks.flush()
        return reply({"id": one.id, "status": one.status}, 201)

    async def pay(self, request: AnyRequest, number: FromPath[str], act: FromPath[str]) -> Response[bytes]:
        """``resolve`` a payment in process, ``refund`` it from the seller's panel, or let a bank ``dispute`` it."""
        payment = self._api.payment(number)
        order = await fields(request)
        match act:
            case "resolve":
                self._billing.resolve(payment, str(order.get("status", "approved")))
            case "refund":
                self._billing.refund(payment, read(order, RefundBody).amount)
            case "dispute":
                status, detail = str(order.get("status", "charged_back")), str(order.get("detail", "settled"))
                self._billing.dispute(payment, status, detail)
            case _:
                raise Refused(404, "resolve, refund and dispute are known", error="not_found")
        await self._webhooks.flush()
        return reply(payment_body(payment, self._state))

    async def make_token(self, request: AnyRequest) -> Response[bytes]:
        """Make a card token, as the payer's browser does; ``cvv`` false is one without security code."""
        order = await fields(request)
        token = CardToken(
            id=self._state.name(), holder=str(order.get("holder", "APRO")), cvv=bool(order.get("cvv", True))
        )
        self._state.tokens[token.id] = token
        return reply({"id": token.id}, 201)

    async def list_webhooks(self) -> Response[bytes]:
        """List all deliveries with their answers."""
        await self._webhooks.flush()
        return reply([_shown(one) for one in self._webhooks.deliveries])

    async def release(self, request: AnyRequest) -> Response[bytes]:
        """Deliver those of ``ids`` in this order, also again; without ``ids`` all that are held back."""
        given = (await fields(request)).get("ids")
        held = [one.id for one in self._webhooks.deliveries if one.held]
        ids = held if given is None else [one for one in given if isinstance(one, int)]
        return reply({"answers": await self._webhooks.release(ids)})

    async def forge(self, request: AnyRequest) -> Response[bytes]:
        """Deliver something false: ``topic``, ``object_id``, ``secret``, ``stamp``, ``unsigned``."""
        return reply({"answer": await self._webhooks.forge(await fields(request))})

    async def list_faults(self) -> Response[bytes]:
        """List the faults in force."""
        return reply(self._faults.orders)

    async def add_fault(self, request: AnyRequest) -> Response[bytes]:
        """Order a fault."""
        try:
            fault = msgspec.convert(await fields(request), Fault)
        except msgspec.ValidationError as error:
            raise Refused(400, str(error)) from None
        self._faults.orders.append(fault)
        return reply(fault, 201)

    async def clear_faults(self) -> None:
        """End all faults."""
        self._faults.orders.clear()


def _shown(one: Any) -> dict[str, object]:
    return msgspec.to_builtins(one) | {"body": one.body.decode()}  # type: ignore[no-any-return]
