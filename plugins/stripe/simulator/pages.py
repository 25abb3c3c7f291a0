"""Stripe's pages as far as a payer needs them: a checkout, an invoice, and the customer portal; plain HTML."""

from collections.abc import Mapping
from decimal import Decimal
from html import escape

import msgspec

from plugins.stripe.amounts import EXPONENTS
from plugins.stripe.simulator.account import Account
from plugins.stripe.simulator.control import GOOD_CARD
from plugins.stripe.simulator.payments import CARDS, Outcome
from plugins.stripe.simulator.requests import Refused, invalid
from plugins.stripe.simulator.shapes import Obj
from plugins.stripe.simulator.subscriptions import OVER

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title><meta name="viewport" content="width=device-width">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 32rem; padding: 0 1rem }}
button {{ font: inherit; margin: .3rem .3rem .3rem 0; padding: .5rem 1rem }}
.wrong {{ color: #b00020 }}
</style>
<h1>{title}</h1>
<p>This page imitates Stripe. No money moves.</p>{body}
</html>
"""
_NAMES: Mapping[str, str] = {
    "4242424242424242": "Pay",
    "4000000000000341": "Pay; renewals fail",
    "4000000000000002": "Declined",
    "4000000000009995": "Insufficient funds",
    "4000000000000069": "Expired card",
    "4000002500003155": "The bank asks once",
    "4000002760003184": "The bank asks always",
}
_WRONG: Mapping[Outcome, str] = {"declined": "Your card was declined. Try another one.", "action": ""}


class Page(msgspec.Struct, frozen=True):
    """A page, or where the browser goes on."""

    body: str = ""
    location: str = ""


class Pages:
    """Shows pages and takes their forms."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def show(self, path: str, form: Mapping[str, str] | None) -> Page:
        """Return the page at ``path``; a form that was sent is carried out first.

        Raises:
            Refused: There is no such page.
        """
        match path.strip("/").split("/"):
            case ["c", "pay", number]:
                return self._checkout(self._account.state.get("checkout.session", number), form)
            case ["i", number]:
                return self._invoice(self._account.state.get("invoice", number), form)
            case ["p", "session", number]:
                return self._portal(self._account.state.get("billing_portal.session", number), form)
        raise invalid("There is no such page.", status=404)

    def _checkout(self, session: Obj, form: Mapping[str, str] | None) -> Page:
        wrong: Outcome = "succeeded"
        if session["status"] != "open":
            return _page("Checkout", f"<p>This checkout is {escape(session['status'])}.</p>")
        if form is not None:
            if form.get("action") == "abandon":
                return Page(location=session["cancel_url"] or session["success_url"])
            try:
                wrong = self._account.checkouts.pay(session, form.get("card", ""), confirmed="confirm" in form)
            except Refused as refusal:
                return _page("Checkout", f'<p class="wrong">{escape(str(refusal))}</p>{_cards()}')
            if wrong == "succeeded":
                return Page(location=session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"]))
        amount = _amount(session["amount_total"], session["currency"])
        back = '<form method="post"><button name="action" value="abandon">Go back without paying</button></form>'
        return _page("Checkout", f"<p>Due now: <strong>{amount}</strong></p>{_asked(wrong, form)}{back}")

    def _invoice(self, invoice: Obj, form: Mapping[str, str] | None) -> Page:
        wrong: Outcome = "succeeded"
        if form is not None and invoice["status"] == "open":
            customer = self._account.state.objects[invoice["customer"]]
            self._account.payments.attach(customer, form.get("card", ""))
            wrong = self._account.invoices.attempt(invoice, on_session=True, confirmed="confirm" in form)
        amount = _amount(invoice["amount_due"], invoice["currency"])
        shown = f"<p>{escape(invoice['number'] or '')}: <strong>{amount}</strong>, {escape(invoice['status'])}</p>"
        return _page("Invoice", shown + (_asked(wrong, form) if invoice["status"] == "open" else ""))

    def _portal(self, session: Obj, form: Mapping[str, str] | None) -> Page:
        customer = self._account.state.objects[session["customer"]]
        said = ""
        if form is not None:
            try:
                said = self._in_portal(customer, form)
            except Refused as refusal:
                said = str(refusal)
        rows = []
        for one in self._account.state.every("subscription", customer=customer["id"]):
            over, ending = one["status"] in OVER, one["cancel_at"] or one["cancel_at_period_end"]
            action, name = ("resume", "Go on") if ending else ("cancel", "Cancel at the end of the period")
            button = f'<button name="{action}" value="{escape(one["id"])}">{name}</button>'
            rows.append(f"<li>{escape(one['id'])}: {escape(one['status'])} {'' if over else button}</li>")
        forms = f'<form method="post"><ul>{"".join(rows)}</ul></form><h2>Change the card</h2>{_cards()}'
        back = escape(session["return_url"] or "", quote=True)
        link = f'<p><a href="{back}">Back</a></p>' if back.startswith(("http://", "https://")) else ""
        return _page("Customer portal", f"<p>{escape(said)}</p>{forms}{link}")

    def _in_portal(self, customer: Obj, form: Mapping[str, str]) -> str:
        if "card" in form:
            self._account.payments.attach(customer, form["card"])
            return "The card was changed."
        number = form.get("cancel") or form.get("resume") or ""
        found = self._account.customers.find(number)
        if found["customer"] != customer["id"]:
            raise invalid("There is no such subscription.", status=404)
        if "cancel" in form:
            self._account.customers.cancel_in_portal(found)
            return "It ends with its period."
        self._account.customers.renew_in_portal(found)
        return "It goes on."


def _asked(wrong: Outcome, form: Mapping[str, str] | None) -> str:
    """Return the buttons of the cards, or the bank's question."""
    if wrong == "action":
        card = escape((form or {}).get("card", ""), quote=True)
        return (
            '<p>Your bank wants to know whether it is you.</p><form method="post">'
            f'<input type="hidden" name="card" value="{card}"><button name="confirm" value="yes">It is me</button>'
            "</form>"
        )
    return (f'<p class="wrong">{_WRONG[wrong]}</p>' if wrong in _WRONG else "") + _cards()


def _cards() -> str:
    buttons = (
        f'<button name="card" value="{number}">{escape(_NAMES[number])} ({number[-4:]})</button>' for number in CARDS
    )
    field = f'<input name="card" value="{GOOD_CARD}" inputmode="numeric" aria-label="Card number">'
    own = f'<form method="post">{field} <button>Use this card</button></form>'
    return f'<form method="post">{"".join(buttons)}</form>{own}'


def _amount(number: int, currency: str) -> str:
    code = currency.upper()
    return escape(f"{Decimal(number).scaleb(-EXPONENTS.get(code, 2))} {code}")


def _page(title: str, body: str) -> Page:
    return Page(_PAGE.format(title=escape(title), body=body))
