"""What people and tests order under ``/simulator``: time, cards, disputes, faults and webhooks."""

from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from plugins.stripe.simulator.account import Account
from plugins.stripe.simulator.api import Api
from plugins.stripe.simulator.faults import Fault, Faults
from plugins.stripe.simulator.payments import CARDS
from plugins.stripe.simulator.requests import invalid
from plugins.stripe.simulator.shapes import Obj
from plugins.stripe.simulator.webhooks import Delivery, Orders

GOOD_CARD = "4242424242424242"


class Control:
    """Carries out orders; ``asked`` are the calls of the API so far."""

    def __init__(self, account: Account, api: Api, faults: Faults) -> None:
        self._account = account
        self._api = api
        self._faults = faults
        self.asked: deque[Obj] = deque(maxlen=5_000)
        self._orders: dict[tuple[str, str], Callable[[str, Obj], Any]] = {
            ("GET", "clock"): lambda _, __: self._now(),
            ("POST", "clock"): self._move,
            ("POST", "faults"): self._fault,
            ("DELETE", "faults"): lambda _, __: faults.orders.clear(),
            ("GET", "requests"): lambda _, __: [*self.asked],
            ("GET", "answers"): lambda _, __: [*api.answered],
            ("GET", "deliveries"): lambda _, __: account.webhooks.deliveries,
            ("POST", "webhooks"): self._order_webhooks,
            ("POST", "trick"): self._trick,
            ("POST", "roll"): self._roll,
            ("POST", "pay"): self._pay,
            ("POST", "card"): self._card,
            ("POST", "settle"): self._settle,
            ("POST", "portal_cancel"): self._portal_cancel,
            ("POST", "portal_resume"): self._portal_resume,
            ("POST", "dispute"): self._dispute,
            ("POST", "close_dispute"): self._close_dispute,
        }

    async def carry_out(self, method: str, path: str, body: bytes) -> Any:
        """Carry out ``/simulator/{order}`` or ``/simulator/{order}/{id}``.

        Raises:
            Refused: There is no such order, or it has no sense now.
        """
        name, _, number = path.removeprefix("/simulator/").partition("/")
        order = self._orders.get((method, name))
        try:
            fields = msgspec.json.decode(body or b"{}", type=dict[str, Any])
            if (method, name) == ("POST", "release"):
                return await self._release(fields)
            if order is None:
                raise invalid(f"There is no order {method} {path}", status=404)
            result = order(number, fields)
        except (msgspec.MsgspecError, KeyError, ValueError) as error:
            raise invalid(f"{type(error).__name__}: {error}") from None
        await self._account.webhooks.flush()
        return result

    async def _release(self, fields: Obj) -> Any:
        """Deliver what was held back: all of it, or these events in this order, named by their ids or types."""
        waiting = self._account.webhooks.waiting
        wanted = fields.get("order")
        chosen: list[Delivery] = [*waiting] if wanted is None else []
        for name in wanted or []:
            chosen += [one for one in waiting if name in {one.event, one.type} and one not in chosen]
        await self._account.webhooks.release(chosen)
        return [one.event for one in chosen]

    def _now(self) -> Obj:
        return {"now": self._account.state.now()}

    def _move(self, _: str, fields: Obj) -> Obj:
        if "to" in fields:
            at = fields["to"]
            instant = at if isinstance(at, int) else int(datetime.fromisoformat(at).timestamp())
        else:
            instant = self._account.state.now() + int(fields["seconds"])
        self._account.clock.move_to(instant)
        return self._now()

    def _fault(self, _: str, fields: Obj) -> None:
        self._faults.orders.append(msgspec.convert(fields, Fault))

    def _order_webhooks(self, _: str, fields: Obj) -> Orders:
        self._account.webhooks.orders = msgspec.convert(fields, Orders)
        return self._account.webhooks.orders

    def _trick(self, event: str, fields: Obj) -> None:
        """Deliver an event again, with something wrong about it: ``forged``, ``stale``, ``future``, ``altered``..."""
        self._account.webhooks.enqueue(self._account.state.get("event", event), fields.get("kind", ""))

    def _roll(self, number: str, fields: Obj) -> Obj:
        return {"secret": self._account.webhooks.roll(number, int(fields.get("seconds", 24 * 60 * 60)))}

    def _pay(self, number: str, fields: Obj) -> Obj:
        """Pay a checkout, an invoice, or what a client secret stands for, with a card."""
        card, confirmed = fields.get("card", GOOD_CARD), fields.get("confirm", False)
        number = number or fields["client_secret"].partition("_secret_")[0]
        state = self._account.state
        if number.startswith("cs_"):
            outcome = self._account.checkouts.pay(state.get("checkout.session", number), card, confirmed=confirmed)
            return {"outcome": outcome}
        if number.startswith("seti_"):
            setup = state.get("setup_intent", number)
            self._account.payments.attach(state.objects[setup["customer"]], card)
            setup |= {"status": "succeeded"}
            return {"outcome": "succeeded"}
        if number.startswith("pi_"):
            number = state.private[state.get("payment_intent", number)["id"]]["invoice"]
        invoice = state.get("invoice", number)
        self._account.payments.attach(state.objects[invoice["customer"]], card)
        return {"outcome": self._account.invoices.attempt(invoice, on_session=True, confirmed=confirmed)}

    def _card(self, customer: str, fields: Obj) -> Obj:
        """Give a customer another card."""
        found = self._account.state.get("customer", customer)
        made = self._account.payments.attach(found, fields.get("card", GOOD_CARD))
        if fields.get("confirm") or CARDS[self._account.state.private[made["id"]]["number"]].asks == "never":
            self._account.state.private[made["id"]]["confirmed"] = True
        return {"id": made["id"]}

    def _settle(self, invoice: str, _: Obj) -> None:
        """Mark an invoice as paid outside of Stripe."""
        self._account.invoices.settle_outside(self._account.state.get("invoice", invoice))

    def _portal_cancel(self, subscription: str, _: Obj) -> None:
        self._account.customers.cancel_in_portal(self._account.customers.find(subscription))

    def _portal_resume(self, subscription: str, _: Obj) -> None:
        self._account.customers.renew_in_portal(self._account.customers.find(subscription))

    def _dispute(self, charge: str, fields: Obj) -> Obj:
        found = self._account.state.get("charge", charge)
        return {"id": self._account.payments.dispute(found, fields.get("status", "needs_response"))["id"]}

    def _close_dispute(self, dispute: str, fields: Obj) -> None:
        self._account.payments.close_dispute(self._account.state.get("dispute", dispute), fields["status"])
