"""Invoices: their lines, their coupons, and how they are paid."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import stripe

from plugins.stripe.simulator.payments import Outcome, Payments
from plugins.stripe.simulator.requests import Refused, invalid
from plugins.stripe.simulator.shapes import Obj, list_of, part
from plugins.stripe.simulator.state import State, new_id

DAY = 24 * 60 * 60
DRAFT_SECONDS = 60 * 60
"""How long a renewal's invoice stays a draft."""
Settled = Callable[[Obj, Outcome], None]


def divided(number: int, divisor: int) -> int:
    """Divide whole numbers, half away from zero: amounts are never floats."""
    sign = -1 if number < 0 else 1
    return sign * ((abs(number) * 2 + divisor) // (divisor * 2))


def reduction(coupon: Obj, amount: int) -> int:
    """Return how much a coupon takes off an amount."""
    if coupon["amount_off"] is not None:
        return min(int(coupon["amount_off"]), amount)
    return divided(amount * int(Decimal(str(coupon["percent_off"])) * 100), 10_000)


class Invoices:
    """Makes invoices and collects them; ``on_settled`` hears how each attempt ended."""

    def __init__(self, state: State, payments: Payments) -> None:
        self._state = state
        self._payments = payments
        self.base_url = ""
        self.on_settled: Settled = lambda *_: None

    def line(self, item: Obj, amount: int, period: tuple[int, int], *, price: Obj, proration: bool = False) -> Obj:
        """Make a line about an item of a subscription."""
        details = part(
            stripe.InvoiceLineItem.Parent.SubscriptionItemDetails,
            proration=proration,
            subscription=item["subscription"],
            subscription_item=item["id"],
        )
        return part(
            stripe.InvoiceLineItem,
            id=f"il_{new_id()}",
            amount=amount,
            subtotal=amount,
            currency=price["currency"],
            description=f"{'Unused or remaining time' if proration else '1 of'} {price['id']}",
            period={"start": period[0], "end": period[1]},
            quantity=item["quantity"],
            discountable=True,
            parent=part(
                stripe.InvoiceLineItem.Parent, type="subscription_item_details", subscription_item_details=details
            ),
            pricing=part(
                stripe.InvoiceLineItem.Pricing,
                type="price_details",
                price_details={"price": price["id"], "product": price["product"]},
                unit_amount_decimal=str(price["unit_amount"]),
            ),
            subscription=item["subscription"],
        )

    def compose(self, subscription: Obj, lines: list[Obj], reason: str) -> Obj:
        """Return the values of an invoice with these lines, its coupons taken off."""
        item = subscription["items"]["data"][0]
        subtotal = sum(one["amount"] for one in lines)
        taken = self._taken_off(subscription, max(subtotal, 0))
        total = subtotal - sum(one["amount"] for one in taken)
        customer = self._state.objects[subscription["customer"]]
        credit = min(max(-(customer["balance"] or 0), 0), max(total, 0))
        return {
            "billing_reason": reason,
            "customer": customer["id"],
            "customer_email": customer["email"],
            "customer_name": customer["name"],
            "currency": subscription["currency"],
            "lines": list_of(lines, "/v1/invoices/lines"),
            "subtotal": subtotal,
            "total": total,
            "total_discount_amounts": taken,
            "discounts": [one["discount"] for one in taken],
            "starting_balance": customer["balance"] or 0,
            "amount_due": max(total, 0) - credit,
            "amount_remaining": max(total, 0) - credit,
            "period_start": item["current_period_start"],
            "period_end": item["current_period_end"],
            "auto_advance": True,
            "metadata": {},
            "parent": part(
                stripe.Invoice.Parent,
                type="subscription_details",
                subscription_details=part(
                    stripe.Invoice.Parent.SubscriptionDetails,
                    subscription=subscription["id"],
                    metadata=dict(subscription["metadata"]),
                ),
            ),
        }

    def draft(self, subscription: Obj, lines: list[Obj], reason: str) -> Obj:
        """Make a draft."""
        values = self.compose(subscription, lines, reason)
        made = self._state.add(stripe.Invoice, "in", status="draft", **values)
        made["automatically_finalizes_at"] = made["created"] + DRAFT_SECONDS
        for one in made["lines"]["data"]:
            one["invoice"] = made["id"]
        for number in made["discounts"]:
            self._state.private[number]["used"] += 1
        subscription["latest_invoice"] = made["id"]
        self._state.emit("invoice.created", made)
        return made

    def finalize(self, invoice: Obj, made: Obj | None = None) -> None:
        """Fix an invoice; one with nothing due is paid by that."""
        now = self._state.now()
        customer = self._state.objects[invoice["customer"]]
        customer["balance"] = (customer["balance"] or 0) + max(invoice["total"], 0) - invoice["amount_due"]
        customer["balance"] += min(invoice["total"], 0)
        invoice |= {"status": "open", "automatically_finalizes_at": None, "ending_balance": customer["balance"]}
        invoice["number"] = f"SIM-{len(self._state.every('invoice')):04}"
        invoice["hosted_invoice_url"] = f"{self.base_url}/i/{invoice['id']}"
        invoice["effective_at"] = now
        invoice["status_transitions"]["finalized_at"] = now
        self._state.emit("invoice.finalized", invoice)
        if invoice["amount_due"] <= 0:
            self._pay(invoice)
            return
        # A payment on the page of a checkout is made before there is an invoice.
        intent = made or self._payments.intent(customer["id"], invoice["amount_due"], invoice["currency"])
        self._state.private[intent["id"]]["invoice"] = invoice["id"]
        payment = part(stripe.InvoicePayment.Payment, type="payment_intent", payment_intent=intent["id"])
        self._link(invoice, payment, "open")
        if made:
            self._pay(invoice)

    def attempt(self, invoice: Obj, *, on_session: bool, confirmed: bool = False, method: Obj | None = None) -> Outcome:
        """Try to collect an open invoice, then tell the subscription."""
        if invoice["status"] == "paid":
            return "succeeded"
        if invoice["status"] != "open":
            raise invalid(f"Invoice is {invoice['status']}, so it cannot be paid.", code="invoice_not_open")
        customer = self._state.objects[invoice["customer"]]
        intent = self.intent_of(invoice)
        chosen = method or self._payments.card_of(customer)
        outcome = self._payments.collect(intent, chosen, on_session=on_session, confirmed=confirmed)
        invoice["attempted"] = True
        if outcome != "action" or not on_session:
            invoice["attempt_count"] += 1
        if outcome == "succeeded":
            self._pay(invoice)
            return outcome
        if outcome == "action":
            self._state.emit("invoice.payment_action_required", invoice)
        self.on_settled(invoice, outcome)
        if outcome == "declined" or not on_session:
            self._state.emit("invoice.payment_failed", invoice)
        return outcome

    def pay(self, params: Obj, ids: tuple[str, ...]) -> Obj:
        """``POST /v1/invoices/{id}/pay``."""
        invoice = self._state.get("invoice", ids[0])
        if invoice["status"] == "paid":
            raise invalid("Invoice is already paid")
        if params.get("paid_out_of_band"):
            self.settle_outside(invoice)
        elif self.attempt(invoice, on_session=not params.get("off_session", False)) != "succeeded":
            error = {"type": "card_error", "code": "card_declined", "decline_code": "generic_decline"}
            raise Refused(402, error | {"message": "Your card was declined."})
        return invoice

    def settle_outside(self, invoice: Obj) -> None:
        """Mark an invoice as paid by other means; no charge belongs to it."""
        for link in self.links(invoice):
            link |= {"status": "canceled"}
        record = part(stripe.InvoicePayment.Payment, type="payment_record", payment_record=f"pr_{new_id()}")
        self._link(invoice, record, "paid")
        invoice["amount_paid_off_stripe"] = invoice["amount_due"]
        self._pay(invoice)

    def void(self, params: Obj, ids: tuple[str, ...]) -> Obj:  # noqa: ARG002 - a handler
        """``POST /v1/invoices/{id}/void``."""
        invoice = self._state.get("invoice", ids[0])
        if invoice["status"] not in {"open", "uncollectible"}:
            raise invalid(f"You can only pass in open invoices. This invoice is {invoice['status']}.")
        invoice |= {"status": "void", "next_payment_attempt": None}
        invoice["status_transitions"]["voided_at"] = self._state.now()
        for link in self.links(invoice):
            link["status"] = "canceled"
        self._state.emit("invoice.voided", invoice)
        return invoice

    def links(self, invoice: Obj) -> list[Obj]:
        """Return what pays an invoice."""
        return self._state.every("invoice_payment", invoice=invoice["id"])

    def intent_of(self, invoice: Obj) -> Obj:
        """Return the payment of an open invoice."""
        found = next(one for one in self.links(invoice) if one["payment"]["type"] == "payment_intent")
        return self._state.objects[found["payment"]["payment_intent"]]

    def secret_of(self, invoice: Obj) -> Any:
        """Return what confirms the payment of an open invoice in the browser."""
        if invoice["status"] != "open":
            return None
        return {"client_secret": self.intent_of(invoice)["client_secret"], "type": "payment_intent"}

    def _pay(self, invoice: Obj) -> None:
        now = self._state.now()
        invoice |= {"status": "paid", "amount_paid": invoice["amount_due"], "amount_remaining": 0, "attempted": True}
        invoice["next_payment_attempt"] = None
        invoice["status_transitions"]["paid_at"] = now
        for link in self.links(invoice):
            if link["status"] != "canceled":
                link |= {"status": "paid", "amount_paid": link["amount_requested"]}
        self._state.emit("invoice.paid", invoice)
        self._state.emit("invoice.payment_succeeded", invoice)
        self.on_settled(invoice, "succeeded")

    def _link(self, invoice: Obj, payment: Obj, status: str) -> None:
        self._state.add(
            stripe.InvoicePayment,
            "inpay",
            invoice=invoice["id"],
            payment=payment,
            amount_requested=invoice["amount_due"],
            currency=invoice["currency"],
            is_default=True,
            status=status,
        )

    def _taken_off(self, subscription: Obj, amount: int) -> list[Obj]:
        taken = []
        for number in subscription["discounts"]:
            coupon = self._state.objects[self._state.objects[number]["source"]["coupon"]]
            used = self._state.private[number]["used"]
            months = {"once": 1, "repeating": coupon["duration_in_months"] or 0}.get(coupon["duration"])
            if months is not None and used >= months:
                continue
            off = reduction(coupon, amount)
            amount -= off
            taken.append({"amount": off, "discount": number})
        return taken
