"""Cards, payments, charges, refunds and disputes."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
import stripe

from plugins.stripe.simulator.requests import Refused, invalid, no_such
from plugins.stripe.simulator.shapes import Obj, part
from plugins.stripe.simulator.state import State, new_id

Outcome = Literal["succeeded", "declined", "action"]


class Card(msgspec.Struct, frozen=True):
    """How one of Stripe's test cards behaves (https://docs.stripe.com/testing)."""

    declines: str = ""
    """The decline code of every charge."""
    renews: bool = True
    """Whether charges without the payer succeed."""
    asks: Literal["never", "once", "always"] = "never"
    """Whether the bank wants the payer to confirm: only the first time, or each time."""


CARDS: Mapping[str, Card] = {
    "4242424242424242": Card(),
    "4000000000000341": Card(renews=False),
    "4000000000000002": Card(declines="generic_decline"),
    "4000000000009995": Card(declines="insufficient_funds"),
    "4000000000000069": Card(declines="expired_card"),
    "4000002500003155": Card(asks="once"),
    "4000002760003184": Card(asks="always"),
}
TOKENS: Mapping[str, str] = {
    "pm_card_visa": "4242424242424242",
    "pm_card_chargeCustomerFail": "4000000000000341",
    "pm_card_chargeDeclined": "4000000000000002",
    "pm_card_authenticationRequired": "4000002760003184",
}
_CODES = {"expired_card": "expired_card"}


class Payments:
    """Moves the simulated money."""

    def __init__(self, state: State) -> None:
        self._state = state

    def attach(self, customer: Obj, number: str) -> Obj:
        """Give a customer a card, which pays from now on.

        Raises:
            Refused: It is none of the test cards.
        """
        number = TOKENS.get(number, number).replace(" ", "")
        if number not in CARDS:
            error = {"type": "card_error", "code": "incorrect_number", "message": "Your card number is incorrect."}
            raise Refused(402, error)
        card = part(stripe.PaymentMethod.Card, brand="visa", exp_month=12, exp_year=2034, last4=number[-4:])
        made = self._state.add(
            stripe.PaymentMethod, "pm", type="card", card=card, customer=customer["id"], allow_redisplay="always"
        )
        self._state.private[made["id"]] = {"number": number, "confirmed": False}
        settings = customer["invoice_settings"] or part(stripe.Customer.InvoiceSettings)
        customer["invoice_settings"] = settings | {"default_payment_method": made["id"]}
        return made

    def card_of(self, customer: Obj) -> Obj | None:
        """Return the customer's means of payment."""
        settings = customer["invoice_settings"] or {}
        return self._state.objects.get(settings.get("default_payment_method") or "")

    def intent(self, customer: str, amount: int, currency: str) -> Obj:
        """Make a payment that waits for a card."""
        number = new_id()
        return self._state.add(
            stripe.PaymentIntent,
            "pi",
            id=f"pi_{number}",
            amount=amount,
            currency=currency,
            customer=customer,
            client_secret=f"pi_{number}_secret_{new_id()}",
            status="requires_payment_method",
            payment_method_types=["card"],
            setup_future_usage="off_session",
        )

    def collect(self, intent: Obj, method: Obj | None, *, on_session: bool, confirmed: bool = False) -> Outcome:
        """Charge a card; ``confirmed`` when the payer said yes to the bank."""
        if method is None:
            return self._decline(intent, None, "", "payment_method_missing")
        known = self._state.private[method["id"]]
        card = CARDS[known["number"]]
        intent["payment_method"] = method["id"]
        asks = card.asks == "always" or (card.asks == "once" and not known["confirmed"])
        if asks and not confirmed:
            intent["status"] = "requires_action"
            intent["next_action"] = part(stripe.PaymentIntent.NextAction, type="use_stripe_sdk", use_stripe_sdk={})
            self._state.emit("payment_intent.requires_action", intent)
            return "action"
        known["confirmed"] = known["confirmed"] or confirmed
        if card.declines or not (card.renews or on_session):
            return self._decline(intent, method, _CODES.get(card.declines, "card_declined"), card.declines)
        charge = self._charge(intent, method, status="succeeded", paid=True, captured=True)
        charge["amount_captured"] = charge["amount"]
        charge["receipt_url"] = f"https://pay.stripe.com/receipts/{charge['id']}"
        intent |= {"status": "succeeded", "amount_received": intent["amount"], "next_action": None}
        intent["last_payment_error"] = None
        self._state.emit("charge.succeeded", charge)
        self._state.emit("payment_intent.succeeded", intent)
        return "succeeded"

    def _decline(self, intent: Obj, method: Obj | None, code: str, reason: str) -> Outcome:
        charge = None
        if method is not None:
            message = "Your card was declined."
            charge = self._charge(intent, method, status="failed", failure_code=code, failure_message=message)
            charge["outcome"] |= {"type": "issuer_declined", "reason": reason or "generic_decline"}
            self._state.emit("charge.failed", charge)
        intent["status"] = "requires_payment_method"
        intent["next_action"] = None
        intent["last_payment_error"] = part(
            stripe.PaymentIntent.LastPaymentError,
            type="card_error",
            code=code or "payment_intent_authentication_failure",
            decline_code=reason or "generic_decline",
            charge=charge["id"] if charge else None,
            message="Your card was declined.",
        )
        self._state.emit("payment_intent.payment_failed", intent)
        return "declined"

    def _charge(self, intent: Obj, method: Obj, **values: Any) -> Obj:
        made = self._state.add(
            stripe.Charge,
            "ch",
            amount=intent["amount"],
            currency=intent["currency"],
            customer=intent["customer"],
            payment_intent=intent["id"],
            payment_method=method["id"],
            outcome=part(stripe.Charge.Outcome, type="authorized", network_status="approved_by_network"),
            payment_method_details=part(stripe.Charge.PaymentMethodDetails, type="card"),
            **values,
        )
        intent["latest_charge"] = made["id"]
        return made

    def refund(self, params: Obj, _: tuple[str, ...]) -> Obj:
        """Pay a charge back, whole or in part."""
        charge = self._charge_of(params)
        left = charge["amount"] - charge["amount_refunded"]
        amount = params.get("amount", left)
        if charge["status"] != "succeeded":
            raise invalid(f"This charge ({charge['id']}) has not succeeded, so it cannot be refunded.")
        if not left:
            raise invalid(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
        if not 0 < amount <= left:
            raise invalid(
                f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})", param="amount"
            )
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        made = self._state.add(
            stripe.Refund,
            "re",
            amount=amount,
            currency=charge["currency"],
            charge=charge["id"],
            payment_intent=charge["payment_intent"],
            status="succeeded",
            reason=params.get("reason"),
            metadata=params.get("metadata", {}),
        )
        self._state.emit("charge.refunded", charge)
        self._state.emit("refund.created", made)
        return made

    def _charge_of(self, params: Obj) -> Obj:
        if "charge" in params:
            return self._state.get("charge", params["charge"], "charge")
        if "payment_intent" not in params:
            raise invalid("One of the following params should be provided for this request: payment_intent or charge.")
        intent = self._state.get("payment_intent", params["payment_intent"], "payment_intent")
        if not intent["latest_charge"]:
            raise no_such("charge", intent["id"], "payment_intent")
        return self._state.objects[intent["latest_charge"]]

    def dispute(self, charge: Obj, status: str = "needs_response") -> Obj:
        """Let the payer's bank ask for the money of a charge back."""
        charge["disputed"] = True
        made = self._state.add(
            stripe.Dispute,
            "du",
            amount=charge["amount"],
            currency=charge["currency"],
            charge=charge["id"],
            payment_intent=charge["payment_intent"],
            reason="fraudulent",
            status=status,
        )
        self._state.emit("charge.dispute.created", made)
        return made

    def close_dispute(self, dispute: Obj, status: str) -> None:
        """End a dispute as ``won`` or ``lost``."""
        dispute["status"] = status
        self._state.emit("charge.dispute.closed", dispute)
