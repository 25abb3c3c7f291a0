"""The account's time: what happens when, by the schedules of the real service."""

from collections.abc import Callable, Iterator

from plugins.stripe.simulator.checkout import Checkouts
from plugins.stripe.simulator.invoices import DAY, Invoices
from plugins.stripe.simulator.shapes import Obj
from plugins.stripe.simulator.state import State
from plugins.stripe.simulator.subscriptions import INCOMPLETE_SECONDS, OVER, Subscriptions
from plugins.stripe.simulator.webhooks import Webhooks

_Due = tuple[int, Callable[[], object]]
_NOTICE = 3 * DAY
"""How long before its end a trial is announced."""


class Clock:
    """Moves the account's time on, and lets everything happen that is due by then, in order."""

    def __init__(
        self, state: State, invoices: Invoices, subscriptions: Subscriptions, checkouts: Checkouts, webhooks: Webhooks
    ) -> None:
        self._state = state
        self._invoices = invoices
        self._subscriptions = subscriptions
        self._checkouts = checkouts
        self._webhooks = webhooks

    def catch_up(self) -> None:
        """Do what is due by now."""
        self._run_until(self._state.now())

    def move_to(self, instant: int) -> None:
        """Do what is due until ``instant``, each at its own time, and go on from there."""
        self._run_until(instant)
        self._state.move_to(instant)

    def _run_until(self, instant: int) -> None:
        while True:
            due = min(self._due(), key=lambda one: one[0], default=None)
            if due is None or due[0] > instant:
                return
            with self._state.at(due[0]):
                due[1]()

    def _due(self) -> Iterator[_Due]:
        for one in self._webhooks.due():
            yield one.retry_at or 0, lambda one=one: self._webhooks.retry(one)  # type: ignore[misc] # bound for later
        for thing in [*self._state.objects.values()]:
            if thing["object"] == "subscription" and thing["status"] not in OVER:
                yield from self._of_subscription(thing)
            elif thing["object"] == "invoice":
                yield from self._of_invoice(thing)
            elif thing["object"] == "checkout.session" and thing["status"] == "open":
                yield thing["expires_at"], lambda thing=thing: self._checkouts.expire({}, (thing["id"],))  # type: ignore[misc] # bound for later

    def _of_subscription(self, found: Obj) -> Iterator[_Due]:
        if found["status"] == "incomplete":
            yield found["created"] + INCOMPLETE_SECONDS, lambda: self._subscriptions.expire(found)
            return
        if found["status"] == "paused":
            return
        ends = found["items"]["data"][0]["current_period_end"]
        if found["cancel_at"] and found["cancel_at"] < ends:
            yield found["cancel_at"], lambda: self._subscriptions.end(found, "cancellation_requested")
        if found["pending_update"]:
            yield found["pending_update"]["expires_at"], lambda: self._subscriptions.expire_update(found)
        private = self._state.private[found["id"]]
        if found["status"] == "trialing" and not private.get("announced"):
            yield max(ends - _NOTICE, found["created"]), lambda: self._announce(found)
        yield ends, lambda: self._subscriptions.renew(found)

    def _of_invoice(self, invoice: Obj) -> Iterator[_Due]:
        if invoice["status"] == "draft" and invoice["automatically_finalizes_at"]:
            yield invoice["automatically_finalizes_at"], lambda: self._subscriptions.advance(invoice)
        elif invoice["status"] == "open" and invoice["next_payment_attempt"]:
            yield invoice["next_payment_attempt"], lambda: self._invoices.attempt(invoice, on_session=False)

    def _announce(self, found: Obj) -> None:
        self._state.private[found["id"]]["announced"] = True
        self._state.emit("customer.subscription.trial_will_end", found)
