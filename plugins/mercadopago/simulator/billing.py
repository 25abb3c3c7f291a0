"""What happens to subscriptions by itself: charges on their day, attempts again, the end.

An installment that is refused is tried four times more within ten days; after the last it stays ``processed`` with a
rejected payment, and some such installments cancel the subscription. The first one of all cancels it at once.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

from plugins.mercadopago.reading import after
from plugins.mercadopago.simulator.state import InstallmentRow, PaymentRow, RefundRow, State, SubscriptionRow
from plugins.mercadopago.simulator.wire import Refused

Emit = Callable[[str, str, str], None]
"""Tell of a topic, an object's id and an action."""

HOLDERS = {
    "APRO": ("approved", "accredited"),
    "CONT": ("in_process", "pending_contingency"),
    "CALL": ("rejected", "cc_rejected_call_for_authorize"),
    "FUND": ("rejected", "cc_rejected_insufficient_amount"),
    "SECU": ("rejected", "cc_rejected_bad_filled_security_code"),
    "EXPI": ("rejected", "cc_rejected_bad_filled_date"),
    "FORM": ("rejected", "cc_rejected_bad_filled_other"),
    "OTHE": ("rejected", "cc_rejected_other_reason"),
}
"""What the name on a test card decides (https://www.mercadopago.com.br/developers/en/docs/checkout-api/\
additional-content/your-integrations/test/cards)."""
BAD_FORMS = frozenset({"SECU", "EXPI", "FORM"})
"""Cards that already fail when the payer enters them."""

_RETRIES = 4
_RETRY_DAYS = 2.5
_REFUND_DAYS = timedelta(days=180)
_VALIDATION = Decimal(1)


class Billing:
    """Acts for the payers, the banks and the calendar."""

    def __init__(self, state: State, emit: Emit) -> None:
        self._state = state
        self._emit = emit

    def touch(self, one: SubscriptionRow, status: str = "") -> None:
        """Note a change of a subscription and tell of it."""
        one.status = status or one.status
        one.version += 1
        one.modified = self._state.now()
        self._emit("subscription_preapproval", one.id, "updated")

    def authorize(self, one: SubscriptionRow, holder: str) -> None:
        """Let the payer agree with a card: it is proved by a small payment that is given back, and charged later."""
        if one.status != "pending":
            raise Refused(400, f"The subscription is {one.status}")
        if holder not in HOLDERS:
            raise Refused(400, f"holder must be one of {', '.join(HOLDERS)}")
        if holder in BAD_FORMS:
            raise Refused(400, HOLDERS[holder][1])
        now = self._state.now()
        one.holder = holder
        one.anchor = now + timedelta(hours=self._state.options.first_charge_hours, days=one.terms.trial_days)
        self._prove_card(one)
        self._schedule(one)
        self.touch(one, "authorized")

    def change_card(self, one: SubscriptionRow, holder: str) -> None:
        """Let the payer, or a card token, put another card in place."""
        if holder not in HOLDERS:
            raise Refused(400, f"holder must be one of {', '.join(HOLDERS)}")
        one.holder = holder
        self.touch(one)

    def cancel(self, one: SubscriptionRow) -> None:
        """End a subscription for good; what waits to be collected is given up."""
        for row in self._state.installments_of(one.id):
            if row.status in {"scheduled", "recycling"}:
                self._settle(row, "cancelled")
        self.touch(one, "cancelled")

    def next_due(self) -> datetime | None:
        """Return when the next charge is due."""
        return min((row.debit for row in self._waiting()), default=None)

    def run_due(self) -> bool:
        """Do the one charge that is due longest; return whether there was one."""
        now = self._state.now()
        due = [row for row in self._waiting() if row.debit <= now]
        if not due:
            return False
        row = min(due, key=lambda one: (one.debit, one.id))
        subscription = self._state.subscriptions[row.subscription]
        is_first_attempt = row.status == "scheduled"
        ends = subscription.terms.end_date
        if is_first_attempt and ends is not None and row.due >= ends:
            self._settle(row, "cancelled")
            self.touch(subscription, "finished")
            return True
        if is_first_attempt:
            self._schedule(subscription)
        else:
            row.retries += 1
        if subscription.status == "paused":
            self._settle(row, "cancelled")
            return True
        self._charge(subscription, row)
        return True

    def resolve(self, payment: PaymentRow, status: str) -> None:
        """End the examination of a payment in process: ``approved`` or ``rejected``."""
        row = next((one for one in self._state.installments.values() if one.payment == payment.id), None)
        if payment.status != "in_process" or row is None or status not in {"approved", "rejected"}:
            raise Refused(400, "Only a payment in process can become approved or rejected")
        detail = HOLDERS["APRO" if status == "approved" else "OTHE"][1]
        self._conclude(self._state.subscriptions[payment.subscription], row, payment, (status, detail))

    def refund(self, payment: PaymentRow, amount: Decimal | None) -> RefundRow:
        """Pay back the rest, or a part of it."""
        now = self._state.now()
        rest = payment.amount - payment.refunded
        if payment.status != "approved" or payment.approved is None:
            raise Refused(400, "The action requested is not valid for the current payment state", cause=2063)
        if now - payment.approved > _REFUND_DAYS:
            raise Refused(400, "Payment too old to be refunded", cause=2024)
        wanted = rest if amount is None else amount
        if not 0 < wanted <= rest:
            raise Refused(400, "Invalid refund amount", cause=2017)
        refund = RefundRow(id=self._state.number(), payment=payment.id, amount=wanted, created=now)
        payment.refunds.append(refund)
        payment.detail = "partially_refunded"
        if payment.refunded == payment.amount:
            payment.status, payment.detail = "refunded", "refunded"
        self._emit("payment", str(payment.id), "payment.updated")
        return refund

    def dispute(self, payment: PaymentRow, status: str, detail: str) -> None:
        """Let the payer's bank want a payment back (``in_mediation``), or take it (``charged_back``)."""
        if payment.approved is None or status not in {"in_mediation", "charged_back", "approved"}:
            raise Refused(400, "Only a payment that was approved can be disputed")
        payment.status, payment.detail = status, detail
        self._emit("payment", str(payment.id), "payment.updated")

    def _waiting(self) -> list[InstallmentRow]:
        return [row for row in self._state.installments.values() if row.status in {"scheduled", "recycling"}]

    def _settle(self, row: InstallmentRow, status: str) -> None:
        row.status = status
        row.modified = self._state.now()
        self._emit("subscription_authorized_payment", str(row.id), "updated")

    def _schedule(self, one: SubscriptionRow) -> None:
        """Make the installment of the next period; it stays as it is whatever becomes of the one before."""
        assert one.anchor is not None  # noqa: S101 - who authorized has one
        due = after(one.anchor, one.terms.frequency * one.cycle, one.terms.frequency_type)
        now = self._state.now()
        number = self._state.number()
        self._state.installments[number] = InstallmentRow(
            id=number,
            subscription=one.id,
            due=due,
            debit=due,
            created=now,
            modified=now,
            amount=one.terms.transaction_amount,
        )
        one.cycle += 1
        one.next_payment = due
        self._emit("subscription_authorized_payment", str(number), "created")

    def _charge(self, one: SubscriptionRow, row: InstallmentRow) -> None:
        if row.status == "scheduled":
            # A change of price counts from the next charge on.
            row.amount = one.terms.transaction_amount
        payment = self._pay(one, row.amount, "recurring_payment")
        row.payment = payment.id
        self._emit("payment", str(payment.id), "payment.created")
        self._conclude(one, row, payment, HOLDERS[one.holder])

    def _conclude(
        self, one: SubscriptionRow, row: InstallmentRow, payment: PaymentRow, outcome: tuple[str, str]
    ) -> None:
        payment.status, payment.detail = outcome
        if payment.status == "approved":
            payment.approved = self._state.now()
        self._emit("payment", str(payment.id), "payment.updated")
        if payment.status == "in_process":
            self._settle(row, "waiting_for_gateway")
        elif payment.status == "approved":
            self._settle(row, "processed")
        elif not self._has_paid(one):
            self._settle(row, "processed")
            self.cancel(one)
        elif row.retries < _RETRIES:
            row.debit = row.due + timedelta(days=_RETRY_DAYS * (row.retries + 1))
            self._settle(row, "recycling")
        else:
            self._settle(row, "processed")
            one.uncollected += 1
            if one.uncollected >= self._state.options.cancel_after:
                self.cancel(one)

    def _has_paid(self, one: SubscriptionRow) -> bool:
        numbers = [row.payment for row in self._state.installments_of(one.id)]
        return any(number is not None and self._state.payments[number].approved is not None for number in numbers)

    def _pay(self, one: SubscriptionRow, amount: Decimal, operation: str) -> PaymentRow:
        payment = PaymentRow(
            id=self._state.number(),
            subscription=one.id,
            reference=one.reference,
            amount=amount,
            currency=one.terms.currency_id,
            status="pending",
            detail="pending_waiting_payment",
            operation=operation,
            created=self._state.now(),
        )
        self._state.payments[payment.id] = payment
        return payment

    def _prove_card(self, one: SubscriptionRow) -> None:
        payment = self._pay(one, _VALIDATION, "card_validation")
        payment.status, payment.detail, payment.approved = "approved", "accredited", self._state.now()
        self.refund(payment, None)
