"""Customers and the customer portal."""

import stripe

from plugins.stripe.simulator.invoices import Invoices
from plugins.stripe.simulator.requests import invalid, no_such
from plugins.stripe.simulator.shapes import Obj, list_of, part
from plugins.stripe.simulator.state import State, new_id
from plugins.stripe.simulator.subscriptions import OVER, Subscriptions


class Customers:
    """Who pays."""

    def __init__(self, state: State, subscriptions: Subscriptions, invoices: Invoices) -> None:
        self._state = state
        self._subscriptions = subscriptions
        self._invoices = invoices

    def create(self, params: Obj, _: tuple[str, ...]) -> Obj:
        """``POST /v1/customers``."""
        made = self._state.add(
            stripe.Customer,
            "cus",
            email=params.get("email"),
            name=params.get("name"),
            phone=params.get("phone"),
            description=params.get("description"),
            metadata=params.get("metadata") or {},
            preferred_locales=params.get("preferred_locales") or [],
            invoice_settings=part(stripe.Customer.InvoiceSettings),
        )
        self._state.emit("customer.created", made)
        return made

    def update(self, params: Obj, ids: tuple[str, ...]) -> Obj:
        """``POST /v1/customers/{id}``."""
        found = self._state.get("customer", ids[0], "id")
        names = ("email", "name", "phone", "description", "preferred_locales", "balance")
        found |= {name: params[name] for name in names if name in params}
        found["metadata"] |= params.get("metadata") or {}
        self._state.emit("customer.updated", found)
        return found

    def delete(self, params: Obj, ids: tuple[str, ...]) -> Obj:  # noqa: ARG002 - a handler
        """``DELETE /v1/customers/{id}``: their subscriptions end."""
        found = self._state.get("customer", ids[0])
        for one in self._state.every("subscription", customer=found["id"]):
            if one["status"] not in OVER:
                self._subscriptions.end(one, "cancellation_requested")
        self._state.emit("customer.deleted", found)
        stub = {"id": found["id"], "object": "customer", "deleted": True}
        self._state.objects[found["id"]] = stub
        return stub

    def subscriptions_of(self, customer: Obj) -> Obj:
        """Return the customer's subscriptions that are not over."""
        found = [one for one in self._state.every("subscription", customer=customer["id"]) if one["status"] not in OVER]
        return list_of(found, f"/v1/customers/{customer['id']}/subscriptions")

    def open_portal(self, params: Obj, _: tuple[str, ...]) -> Obj:
        """``POST /v1/billing_portal/sessions``."""
        if "customer" not in params:
            raise invalid("Missing required param: customer.", code="parameter_missing", param="customer")
        customer = self._state.get("customer", params["customer"], "customer")
        if not self._state.options.portal:
            raise invalid(
                "No configuration provided and your test mode default configuration has not been created. Provide a"
                " configuration or create your default by saving your customer portal settings in test mode at"
                " https://dashboard.stripe.com/test/settings/billing/portal."
            )
        number = f"bps_{new_id()}"
        return self._state.add(
            stripe.billing_portal.Session,
            "bps",
            id=number,
            customer=customer["id"],
            configuration=f"bpc_{new_id()}",
            return_url=params.get("return_url"),
            locale=params.get("locale"),
            url=f"{self._invoices.base_url}/p/session/{number}",
        )

    def cancel_in_portal(self, subscription: Obj) -> None:
        """Let the payer cancel: in flexible billing mode the portal sets ``cancel_at`` alone."""
        ends = subscription["items"]["data"][0]["current_period_end"]
        before = {"cancel_at": subscription["cancel_at"], "canceled_at": subscription["canceled_at"]}
        subscription |= {"cancel_at": ends, "canceled_at": self._state.now()}
        self._subscriptions.tell(subscription, before)

    def renew_in_portal(self, subscription: Obj) -> None:
        """Let the payer take a cancellation back."""
        before = {"cancel_at": subscription["cancel_at"], "cancel_at_period_end": subscription["cancel_at_period_end"]}
        subscription |= {"cancel_at": None, "cancel_at_period_end": False, "canceled_at": None}
        self._subscriptions.tell(subscription, before)

    def find(self, number: str) -> Obj:
        """Return the subscription of that id that is not over."""
        found = self._state.get("subscription", number)
        if found["status"] in OVER:
            raise no_such("subscription", number)
        return found
