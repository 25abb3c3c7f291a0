"""Checkout sessions, and what happens on their page."""

import stripe

from plugins.stripe.simulator.catalog import Catalog
from plugins.stripe.simulator.invoices import Invoices, reduction
from plugins.stripe.simulator.payments import CARDS, Outcome, Payments
from plugins.stripe.simulator.requests import invalid
from plugins.stripe.simulator.shapes import Obj, list_of, part
from plugins.stripe.simulator.state import State, new_id
from plugins.stripe.simulator.subscriptions import Subscriptions

LIFE_SECONDS = 24 * 60 * 60
_SHORTEST = 30 * 60


class Checkouts:
    """The hosted page: since 2025-03-31.basil the subscription is made only when it is paid."""

    def __init__(
        self, state: State, catalog: Catalog, payments: Payments, invoices: Invoices, subscriptions: Subscriptions
    ) -> None:
        self._state = state
        self._catalog = catalog
        self._payments = payments
        self._invoices = invoices
        self._subscriptions = subscriptions

    def create(self, params: Obj, _: tuple[str, ...]) -> Obj:
        """``POST /v1/checkout/sessions``."""
        if params.get("mode") != "subscription":
            raise invalid("The simulator sells subscriptions alone.", param="mode")
        for name in ("success_url", "line_items"):
            if not params.get(name):
                raise invalid(f"Missing required param: {name}.", code="parameter_missing", param=name)
        if params.get("discounts") and params.get("allow_promotion_codes"):
            raise invalid("You may only specify one of these parameters: allow_promotion_codes, discounts.")
        if "customer" in params:
            self._state.get("customer", params["customer"], "customer")
        now = self._state.now()
        expires = params.get("expires_at", now + LIFE_SECONDS)
        if not now + _SHORTEST <= expires <= now + LIFE_SECONDS:
            raise invalid(
                "The `expires_at` timestamp must be between 30 minutes and 24 hours from now.", param="expires_at"
            )
        (item, *more) = params["line_items"]
        if more:
            raise invalid("The simulator sells one item in each subscription.", param="line_items")
        price = self._catalog.price_of(item, "line_items[0]")
        coupons = [
            self._coupon(one, f"discounts[{number}]") for number, one in enumerate(params.get("discounts") or [])
        ]
        subtotal = price["unit_amount"] * item.get("quantity", 1)
        total = 0 if (params.get("subscription_data") or {}).get("trial_period_days") else subtotal
        for coupon in coupons:
            total -= reduction(coupon, total)
        number = f"cs_test_{new_id(56)}"
        made = self._state.add(
            stripe.checkout.Session,
            "cs",
            id=number,
            mode="subscription",
            status="open",
            payment_status="unpaid",
            ui_mode="hosted_page",
            url=f"{self._invoices.base_url}/c/pay/{number}",
            expires_at=expires,
            customer=params.get("customer"),
            customer_email=params.get("customer_email"),
            client_reference_id=params.get("client_reference_id"),
            currency=price["currency"],
            locale=params.get("locale"),
            metadata=params.get("metadata") or {},
            amount_subtotal=subtotal,
            amount_total=total,
            success_url=params["success_url"],
            cancel_url=params.get("cancel_url"),
            payment_method_types=["card"],
            payment_method_collection="always",
            discounts=[self._shown(one) for one in params.get("discounts") or []],
        )
        self._state.private[number] = {
            "price": price,
            "quantity": item.get("quantity", 1),
            "subscription": {**(params.get("subscription_data") or {}), "discounts": params.get("discounts")},
        }
        return made

    def expire(self, params: Obj, ids: tuple[str, ...]) -> Obj:  # noqa: ARG002 - a handler
        """``POST /v1/checkout/sessions/{id}/expire``."""
        found = self._state.get("checkout.session", ids[0])
        if found["status"] != "open":
            raise invalid(
                f'Only Checkout Sessions with a status in ["open"] can be expired. This one is {found["status"]}.'
            )
        found |= {"status": "expired", "url": None}
        self._state.emit("checkout.session.expired", found)
        return found

    def pay(self, session: Obj, number: str, *, confirmed: bool = False) -> Outcome:
        """Let the payer pay with a card on the page; a decline leaves the session open."""
        if session["status"] != "open":
            raise invalid(f"This session is {session['status']}.")
        private = self._state.private[session["id"]]
        customer = self._customer(session)
        method = self._payments.attach(customer, number)
        paid = None
        if session["amount_total"]:
            paid = private.get("intent") or self._payments.intent(
                customer["id"], session["amount_total"], session["currency"]
            )
            private["intent"] = paid
            outcome = self._payments.collect(paid, method, on_session=True, confirmed=confirmed)
            if outcome != "succeeded":
                return outcome
        elif CARDS[self._state.private[method["id"]]["number"]].asks != "never" and not confirmed:
            return "action"
        self._state.private[method["id"]]["confirmed"] = True
        wanted = private["subscription"]
        made = self._subscriptions.begin(customer, private["price"], wanted, quantity=private["quantity"], paid=paid)
        made["default_payment_method"] = method["id"]
        session |= {"status": "complete", "subscription": made["id"], "invoice": made["latest_invoice"], "url": None}
        session["payment_status"] = "paid" if paid else "no_payment_required"
        self._state.emit("checkout.session.completed", session)
        return "succeeded"

    def line_items(self, session: Obj) -> Obj:
        """Return what a session sells."""
        private = self._state.private[session["id"]]
        line = part(
            stripe.LineItem,
            id=f"li_{new_id()}",
            price=private["price"],
            quantity=private["quantity"],
            currency=session["currency"],
            amount_subtotal=session["amount_subtotal"],
            amount_total=session["amount_total"],
        )
        return list_of([line], f"/v1/checkout/sessions/{session['id']}/line_items")

    def _customer(self, session: Obj) -> Obj:
        if not session["customer"]:
            made = self._state.add(stripe.Customer, "cus", email=session["customer_email"], metadata={})
            self._state.emit("customer.created", made)
            session["customer"] = made["id"]
        return self._state.objects[session["customer"]]

    def _coupon(self, wanted: Obj, where: str) -> Obj:
        if "promotion_code" in wanted:
            promotion = self._state.get("promotion_code", wanted["promotion_code"], f"{where}[promotion_code]")
            if not promotion["active"]:
                raise invalid("This promotion code is not active.", param=f"{where}[promotion_code]")
            wanted = {"coupon": promotion["promotion"]["coupon"]}
        return self._state.get("coupon", wanted.get("coupon", ""), f"{where}[coupon]")

    def _shown(self, wanted: Obj) -> Obj:
        values = {name: wanted.get(name) for name in ("coupon", "promotion_code")}
        return part(stripe.checkout.Session.Discount, **values)
