"""Subscriptions: how they begin, renew, fail and end."""

import stripe

from plugins.stripe.simulator.catalog import Catalog
from plugins.stripe.simulator.invoices import DAY, Invoices
from plugins.stripe.simulator.payments import Outcome, Payments
from plugins.stripe.simulator.periods import after
from plugins.stripe.simulator.requests import Refused, invalid, no_such
from plugins.stripe.simulator.shapes import Obj, list_of, part
from plugins.stripe.simulator.state import State, new_id

INCOMPLETE_SECONDS = 23 * 60 * 60
"""How long a first payment, or a change that waits for its payment, may take."""
OVER = frozenset({"canceled", "incomplete_expired"})


class Subscriptions:
    """The subscriptions of the account."""

    def __init__(self, state: State, catalog: Catalog, payments: Payments, invoices: Invoices) -> None:
        self._state = state
        self._catalog = catalog
        self._payments = payments
        self._invoices = invoices
        invoices.on_settled = self._settled

    def create(self, params: Obj, _: tuple[str, ...]) -> Obj:
        """``POST /v1/subscriptions``."""
        customer = self._state.get("customer", params["customer"], "customer")
        items = params.get("items") or []
        if len(items) != 1:
            raise invalid("The simulator sells one item in each subscription.", param="items")
        behavior = params.get("payment_behavior", "allow_incomplete")
        price = self._catalog.price_of(items[0], "items[0]")
        made = self.begin(customer, price, params, quantity=items[0].get("quantity", 1))
        if made["status"] == "trialing":
            if behavior == "default_incomplete" and self._payments.card_of(customer) is None:
                made["pending_setup_intent"] = self._setup(customer)["id"]
            return made
        invoice = self._state.objects[made["latest_invoice"]]
        if behavior == "default_incomplete" or invoice["status"] == "paid":
            return made
        outcome = self._invoices.attempt(invoice, on_session=not params.get("off_session", False))
        if behavior == "error_if_incomplete" and outcome != "succeeded":
            self._drop(made, invoice)
            error = {"type": "card_error", "code": "card_declined", "decline_code": "generic_decline"}
            raise Refused(402, error | {"message": "Your card was declined."})
        return made

    def begin(self, customer: Obj, price: Obj, params: Obj, *, quantity: int = 1, paid: Obj | None = None) -> Obj:
        """Make a subscription: in its trial, or with a first invoice that is not paid yet."""
        now = self._state.now()
        trial_end = params.get("trial_end")
        if days := params.get("trial_period_days"):
            trial_end = now + days * DAY
        trial_end = None if trial_end == "now" else trial_end
        ends = trial_end or after(now, price["recurring"])
        number = f"sub_{new_id()}"
        made = self._state.add(
            stripe.Subscription,
            "sub",
            id=number,
            customer=customer["id"],
            currency=price["currency"],
            status="trialing" if trial_end else "incomplete",
            metadata=dict(params.get("metadata") or {}),
            items=list_of(
                [self._item(number, price, quantity, now, ends)], f"/v1/subscription_items?subscription={number}"
            ),
            start_date=now,
            billing_cycle_anchor=ends if trial_end else now,
            billing_mode=part(stripe.Subscription.BillingMode, type="flexible"),
            trial_start=now if trial_end else None,
            trial_end=trial_end,
            discounts=self._catalog.apply(params.get("discounts") or [], customer["id"], number),
            payment_settings=part(stripe.Subscription.PaymentSettings) | (params.get("payment_settings") or {}),
            description=params.get("description"),
        )
        settings = (params.get("trial_settings") or {}).get("end_behavior", {})
        self._state.private[number]["without_card"] = settings.get("missing_payment_method", "create_invoice")
        item = made["items"]["data"][0]
        amount = 0 if trial_end else price["unit_amount"] * quantity
        line = self._invoices.line(item, amount, (now, ends), price=price)
        self._state.emit("customer.subscription.created", made)
        self._invoices.finalize(self._invoices.draft(made, [line], "subscription_create"), paid)
        return made

    def renew(self, found: Obj) -> None:
        """Begin the next period; its invoice stays a draft for an hour, and for ever where nobody pays any more."""
        if found["cancel_at_period_end"] or (found["cancel_at"] and found["cancel_at"] <= self._state.now()):
            self.end(found, "cancellation_requested")
            return
        item = found["items"]["data"][0]
        previous = {"items": list_of([dict(item)], "/v1/subscription_items")}
        start = item["current_period_end"]
        if found["status"] == "trialing":
            customer = self._state.objects[found["customer"]]
            behavior = self._state.private[found["id"]].get("without_card", "create_invoice")
            if self._payments.card_of(customer) is None and behavior != "create_invoice":
                if behavior == "cancel":
                    self.end(found, "cancellation_requested")
                else:
                    found["status"] = "paused"
                    self._state.emit("customer.subscription.paused", found)
                return
            found["status"] = "active"
        ends = after(start, item["price"]["recurring"], found["billing_cycle_anchor"])
        item |= {"current_period_start": start, "current_period_end": ends}
        amount = item["price"]["unit_amount"] * item["quantity"]
        lines = [*self._state.private[found["id"]].pop("lines", [])]
        lines.append(self._invoices.line(item, amount, (start, ends), price=item["price"]))
        invoice = self._invoices.draft(found, lines, "subscription_cycle")
        if found["status"] == "unpaid":
            invoice |= {"auto_advance": False, "automatically_finalizes_at": None}
        self.tell(found, previous)

    def end(self, found: Obj, reason: str = "") -> Obj:
        """End a subscription; nothing is paid back."""
        now = self._state.now()
        found |= {"status": "canceled", "ended_at": now, "canceled_at": found["canceled_at"] or now}
        found["pending_update"] = None
        details = found["cancellation_details"] or part(stripe.Subscription.CancellationDetails)
        found["cancellation_details"] = details | ({"reason": reason} if reason else {})
        for invoice in self._open_invoices(found):
            invoice |= {"next_payment_attempt": None, "auto_advance": False}
        self._state.emit("customer.subscription.deleted", found)
        return found

    def cancel(self, params: Obj, ids: tuple[str, ...]) -> Obj:  # noqa: ARG002 - a handler
        """``DELETE /v1/subscriptions/{id}``; one that is over is not found."""
        found = self._state.get("subscription", ids[0])
        if found["status"] in OVER:
            raise no_such("subscription", ids[0])
        if found["status"] == "incomplete":
            self.expire(found)
            return found
        return self.end(found, "cancellation_requested")

    def resume(self, params: Obj, ids: tuple[str, ...]) -> Obj:  # noqa: ARG002 - a handler
        """``POST /v1/subscriptions/{id}/resume``: a paused one begins a new period."""
        found = self._state.get("subscription", ids[0])
        if found["status"] != "paused":
            raise invalid(f"Subscription {found['id']} is {found['status']}, so it cannot be resumed.")
        now = self._state.now()
        item = found["items"]["data"][0]
        found |= {"billing_cycle_anchor": now, "status": "active"}
        item |= {"current_period_start": now, "current_period_end": after(now, item["price"]["recurring"])}
        period = (now, item["current_period_end"])
        line = self._invoices.line(item, item["price"]["unit_amount"] * item["quantity"], period, price=item["price"])
        invoice = self._invoices.draft(found, [line], "subscription_update")
        self._invoices.finalize(invoice)
        if invoice["status"] == "open":
            self._invoices.attempt(invoice, on_session=False)
        self._state.emit("customer.subscription.resumed", found)
        return found

    def expire(self, found: Obj) -> None:
        """Give up on a first payment after 23 hours."""
        found |= {"status": "incomplete_expired", "ended_at": self._state.now()}
        for invoice in self._open_invoices(found):
            self._invoices.void({}, (invoice["id"],))
        self.tell(found, {"status": "incomplete"})

    def expire_update(self, found: Obj) -> None:
        """Give up on a change that was not paid."""
        found["pending_update"] = None
        number = self._state.private[found["id"]].pop("change")["invoice"]
        self._invoices.void({}, (number,))
        found["latest_invoice"] = self._state.private[found["id"]].pop("before", found["latest_invoice"])
        self._state.emit("customer.subscription.pending_update_expired", found)

    def advance(self, invoice: Obj) -> None:
        """Finalise a renewal's draft after its hour, and try to collect it."""
        self._invoices.finalize(invoice)
        if invoice["status"] == "open":
            self._invoices.attempt(invoice, on_session=False)

    def tell(self, found: Obj, previous: Obj) -> None:
        """Say that a subscription has changed."""
        self._state.emit("customer.subscription.updated", found, previous)

    def _settled(self, invoice: Obj, outcome: Outcome) -> None:
        """Move the subscription on with its invoice."""
        details = invoice["parent"]["subscription_details"]
        found = self._state.objects.get(details["subscription"])
        if found is None or found["status"] in OVER:
            return
        before = found["status"]
        change = self._state.private[found["id"]].get("change")
        if change and change["invoice"] == invoice["id"]:
            if outcome == "succeeded":
                self.apply_change(found)
            return
        if outcome == "succeeded":
            if before in {"incomplete", "past_due", "unpaid"} and invoice["id"] == found["latest_invoice"]:
                found["status"] = "active"
        elif invoice["billing_reason"] != "subscription_create":
            self._failed(found, invoice)
        if found["status"] != before and found["status"] != "canceled":
            self.tell(found, {"status": before})

    def _failed(self, found: Obj, invoice: Obj) -> None:
        """Plan the next attempt, or give up: https://docs.stripe.com/billing/revenue-recovery/smart-retries."""
        days = self._state.options.retries
        attempts = invoice["attempt_count"]
        found["status"] = "past_due"
        if attempts <= len(days):
            first = self._state.private[invoice["id"]].setdefault("first", self._state.now())
            invoice["next_payment_attempt"] = max(first + days[attempts - 1] * DAY, self._state.now() + 1)
            return
        invoice["next_payment_attempt"] = None
        if self._state.options.after_retries == "canceled":
            self.end(found, "payment_failed")
        else:
            found["status"] = self._state.options.after_retries

    def apply_change(self, found: Obj) -> None:
        """Let a change that was paid count."""
        change = self._state.private[found["id"]].pop("change")
        item = found["items"]["data"][0]
        previous = {"items": list_of([dict(item)], "/v1/subscription_items")}
        item |= change["item"]
        waited, found["pending_update"] = found["pending_update"], None
        if change["anchor"]:
            found["billing_cycle_anchor"] = change["anchor"]
        if waited:
            self._state.emit("customer.subscription.pending_update_applied", found)
        self.tell(found, previous)

    def _drop(self, made: Obj, invoice: Obj) -> None:
        for thing in (made, invoice):
            del self._state.objects[thing["id"]]

    def _open_invoices(self, found: Obj) -> list[Obj]:
        return [
            one
            for one in self._state.every("invoice")
            if one["parent"]["subscription_details"]["subscription"] == found["id"] and one["status"] == "open"
        ]

    def _setup(self, customer: Obj) -> Obj:
        number = f"seti_{new_id()}"
        return self._state.add(
            stripe.SetupIntent,
            "seti",
            id=number,
            customer=customer["id"],
            client_secret=f"{number}_secret_{new_id()}",
            status="requires_payment_method",
            usage="off_session",
            payment_method_types=["card"],
        )

    def _item(self, subscription: str, price: Obj, quantity: int, start: int, end: int) -> Obj:
        return part(
            stripe.SubscriptionItem,
            id=f"si_{new_id()}",
            created=start,
            subscription=subscription,
            price=price,
            plan=plan_of(price),
            quantity=quantity,
            current_period_start=start,
            current_period_end=end,
        )


def plan_of(price: Obj) -> Obj:
    """Return the older form of a price, which items still have."""
    return part(
        stripe.Plan,
        id=price["id"],
        amount=price["unit_amount"],
        amount_decimal=price["unit_amount_decimal"],
        currency=price["currency"],
        created=price["created"],
        interval=price["recurring"]["interval"],
        interval_count=price["recurring"]["interval_count"],
        product=price["product"],
        active=True,
    )
