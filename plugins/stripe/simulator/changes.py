"""Changes of subscriptions: another price with its proration, and the ways to end and to go on."""

from typing import Any

import msgspec
import stripe

from plugins.stripe.simulator.catalog import Catalog
from plugins.stripe.simulator.invoices import Invoices, divided
from plugins.stripe.simulator.periods import after
from plugins.stripe.simulator.requests import invalid
from plugins.stripe.simulator.shapes import Obj, list_of, part
from plugins.stripe.simulator.state import State, new_id
from plugins.stripe.simulator.subscriptions import INCOMPLETE_SECONDS, OVER, Subscriptions, plan_of

_PENDING = frozenset(
    {"items", "payment_behavior", "proration_behavior", "proration_date", "off_session", "expand", "trial_end"}
)
"""What may be changed with ``pending_if_incomplete`` (https://docs.stripe.com/billing/subscriptions/pending-updates)."""


class Change(msgspec.Struct):
    """A change of price, worked out and not yet made."""

    item: Obj
    """The new values of the item."""
    lines: list[Obj]
    at: int
    """From when it is charged in proportion."""
    anchor: int | None
    """When the new periods begin, where they are of another length."""


class Changes:
    """``POST /v1/subscriptions/{id}`` and previews of it."""

    def __init__(self, state: State, catalog: Catalog, invoices: Invoices, subscriptions: Subscriptions) -> None:
        self._state = state
        self._catalog = catalog
        self._invoices = invoices
        self._subscriptions = subscriptions

    def update(self, params: Obj, ids: tuple[str, ...]) -> Obj:
        """Change a subscription."""
        found = self._state.get("subscription", ids[0])
        if found["status"] in OVER and params.keys() - {"cancellation_details", "metadata", "expand"}:
            raise invalid("A canceled subscription can only update its cancellation_details and metadata.")
        if {"cancel_at", "cancel_at_period_end"} <= params.keys():
            raise invalid("You may only specify one of these parameters: cancel_at, cancel_at_period_end.")
        if params.get("payment_behavior") == "pending_if_incomplete" and (other := params.keys() - _PENDING):
            message = "When payment_behavior is pending_if_incomplete, these cannot be changed: "
            raise invalid(message + ", ".join(sorted(other)), param=min(other))
        before = {**found, "items": list_of([dict(one) for one in found["items"]["data"]], "/v1/subscription_items")}
        self._set(found, params)
        if "items" in params:
            self._change(found, params)
        changed = {name: before[name] for name in before if before[name] != found[name]}
        if changed:
            self._subscriptions.tell(found, changed)
        return found

    def preview(self, params: Obj, _: tuple[str, ...]) -> Obj:
        """``POST /v1/invoices/create_preview``: what the next invoice would be, or the one of a change at once."""
        if "subscription" not in params:
            raise invalid("Missing required param: subscription.", code="parameter_missing", param="subscription")
        found = self._state.get("subscription", params["subscription"], "subscription")
        if found["status"] in OVER:
            raise invalid("No upcoming invoices for customer", code="invoice_upcoming_none")
        details = params.get("subscription_details") or {}
        change = self._work_out(found, details, "subscription_details[items]") if "items" in details else None
        item = found["items"]["data"][0] | (change.item if change else {})
        lines = [*change.lines] if change else []
        at_once = details.get("proration_behavior") == "always_invoice" or (change and change.anchor)
        if not at_once:
            lines = [*self._state.private[found["id"]].get("lines", []), *lines]
            start = item["current_period_end"]
            period = (start, after(start, item["price"]["recurring"], found["billing_cycle_anchor"]))
            amount = item["price"]["unit_amount"] * item["quantity"]
            lines.append(self._invoices.line(item, amount, period, price=item["price"]))
        values = self._invoices.compose(found, lines, "upcoming")
        if change and details.get("proration_behavior") != "none":
            values["parent"]["subscription_details"]["subscription_proration_date"] = change.at
        return part(stripe.Invoice, id=f"upcoming_in_{new_id()}", status="draft", created=self._state.now(), **values)

    def _set(self, found: Obj, params: Obj) -> None:
        """Change what needs no money."""
        now = self._state.now()
        item = found["items"]["data"][0]
        if "cancel_at_period_end" in params:
            ends = params["cancel_at_period_end"]
            found |= {"cancel_at_period_end": ends, "cancel_at": item["current_period_end"] if ends else None}
            found["canceled_at"] = now if ends else None
        if "cancel_at" in params:
            at = params["cancel_at"] or None
            at = item["current_period_end"] if isinstance(at, str) else at
            found |= {"cancel_at": at, "cancel_at_period_end": False, "canceled_at": now if at else None}
        if "metadata" in params:
            merged = found["metadata"] | (params["metadata"] or {})
            found["metadata"] = {name: value for name, value in merged.items() if value}
        for name in ("description", "default_payment_method", "pause_collection"):
            if name in params:
                found[name] = params[name] or None
        if found["pause_collection"] is not None:
            found["pause_collection"] = part(stripe.Subscription.PauseCollection) | found["pause_collection"]
        if "cancellation_details" in params:
            details = found["cancellation_details"] or part(stripe.Subscription.CancellationDetails)
            found["cancellation_details"] = details | params["cancellation_details"]
        if "trial_end" in params and found["status"] == "trialing":
            ends = now if params["trial_end"] == "now" else params["trial_end"]
            found["trial_end"] = item["current_period_end"] = ends

    def _work_out(self, found: Obj, params: Obj, where: str) -> Change:
        wanted = params["items"]
        item = found["items"]["data"][0]
        if len(wanted) != 1 or wanted[0].get("id") != item["id"]:
            # The service would add a second item, and charge both.
            raise invalid(
                "The simulator sells one item in each subscription: name it by its id.", param=f"{where}[0][id]"
            )
        price = item["price"]
        if "price" in wanted[0] or "price_data" in wanted[0]:
            price = self._catalog.price_of(wanted[0], f"{where}[0]")
        if price["currency"] != found["currency"]:
            raise invalid("All prices of a subscription have one currency.", param=f"{where}[0][price]")
        # As with the service, a new price without a quantity is for one.
        quantity = wanted[0].get("quantity", 1 if price is not item["price"] else item["quantity"])
        behavior = params.get("proration_behavior", "create_prorations")
        start, end = item["current_period_start"], item["current_period_end"]
        at = params.get("proration_date", min(max(self._state.now(), start), end))
        if not start <= at <= end:
            raise invalid("The proration date must be within the current period.", param="proration_date")
        values: Obj = {"price": price, "plan": plan_of(price), "quantity": quantity}
        if found["status"] == "trialing":
            return Change(values, [], at, None)
        old, new = item["price"]["unit_amount"] * item["quantity"], price["unit_amount"] * quantity
        unused = self._invoices.line(
            item, -divided(old * (end - at), end - start), (at, end), price=item["price"], proration=True
        )
        if price["recurring"]["interval"] == item["price"]["recurring"]["interval"]:
            rest = divided(new * (end - at), end - start)
            line = self._invoices.line(item | values, rest, (at, end), price=price, proration=True)
            return Change(values, [] if behavior == "none" else [unused, line], at, None)
        now = self._state.now()
        values |= {"current_period_start": now, "current_period_end": after(now, price["recurring"])}
        full = self._invoices.line(item | values, new, (now, values["current_period_end"]), price=price)
        return Change(values, [full] if behavior == "none" else [unused, full], at, now)

    def _change(self, found: Obj, params: Obj) -> None:
        change = self._work_out(found, params, "items")
        private = self._state.private[found["id"]]
        item = found["items"]["data"][0]
        invoiced = change.lines and (change.anchor or params.get("proration_behavior") == "always_invoice")
        if not invoiced:
            item |= change.item
            private.setdefault("lines", []).extend(change.lines)
            return
        pending = params.get("payment_behavior") == "pending_if_incomplete"
        before = found["latest_invoice"]
        if not pending:
            item |= change.item
            found["billing_cycle_anchor"] = change.anchor or found["billing_cycle_anchor"]
        invoice = self._invoices.draft(found, [*change.lines], "subscription_update")
        invoice["parent"]["subscription_details"]["subscription_proration_date"] = params.get("proration_date")
        if pending:
            private |= {"change": {"item": change.item, "invoice": invoice["id"], "anchor": change.anchor}}
            private["before"] = before
        self._collect(found, invoice, change if pending else None)

    def _collect(self, found: Obj, invoice: Obj, change: Change | None) -> None:
        self._invoices.finalize(invoice)
        outcome: Any = "succeeded"
        if invoice["status"] == "open":
            outcome = self._invoices.attempt(invoice, on_session=False)
        if change and outcome != "succeeded":
            item = found["items"]["data"][0] | change.item
            found["pending_update"] = part(
                stripe.Subscription.PendingUpdate,
                expires_at=self._state.now() + INCOMPLETE_SECONDS,
                subscription_items=[item],
            )
