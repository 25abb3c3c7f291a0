"""The payment page, and the list of subscriptions: plain HTML that needs no script."""

from html import escape
from urllib.parse import urlencode

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler

from plugins.mercadopago.simulator.api import Api
from plugins.mercadopago.simulator.billing import Billing
from plugins.mercadopago.simulator.state import State, SubscriptionRow, Terms
from plugins.mercadopago.simulator.wire import AnyRequest, Refused

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 40rem; padding: 0 1rem }}
button, a.button {{ display: block; width: 100%; margin: .5rem 0; padding: .6rem; font: inherit }}
td, th {{ border-bottom: 1px solid #8884; padding: .3rem .6rem; text-align: left }}
</style>
<h1>{title}</h1>
<p>Simulated Mercado Pago: no money moves.</p>
{content}
</html>
"""
_CARDS = (
    ("APRO", "Pay with a good card"),
    ("FUND", "Pay with a card without funds: declined with the first charge"),
    ("SECU", "Pay with a wrong security code: declined at once"),
)


class Pages:
    """What a payer sees."""

    def __init__(self, state: State, api: Api, billing: Billing) -> None:
        self._state = state
        self._api = api
        self._billing = billing

    def handlers(self) -> list[HTTPRouteHandler]:
        """Return the routes."""
        return [
            get("/")(self.overview),
            get("/subscriptions/checkout")(self.show),
            post("/subscriptions/checkout")(self.pay),
        ]

    async def overview(self) -> Response[str]:
        """List the subscriptions."""
        rows = "".join(
            f"<tr><td>{escape(one.reason)}</td><td>{escape(str(one.reference))}</td><td>{one.status}</td>"
            f'<td><a href="/subscriptions/checkout?preapproval_id={one.id}">{one.id}</a></td></tr>'
            for one in self._state.subscriptions.values()
        )
        now = self._state.now().isoformat(timespec="seconds")
        head = "<tr><th>Plan</th><th>Reference</th><th>Status</th><th>Id</th></tr>"
        return _html("Subscriptions", f"<p>It is {now}.</p><table>{head}{rows}</table>")

    async def show(self, request: AnyRequest) -> Response[str]:
        """Show what is to be paid, and the cards."""
        if request.query_params.get("activation") == "true":
            return _html("This page does not exist", "", 404)
        reason, terms, back_url, status = self._asked(request)
        return self._draw(reason, terms, back_url, status, "")

    async def pay(self, request: AnyRequest) -> Response[str]:
        """Pay with the chosen card, and go back to the seller."""
        reason, terms, back_url, status = self._asked(request)
        form = await request.form()
        number = request.query_params.get("preapproval_id")
        try:
            one = (
                self._api.subscription(number)
                if number
                else self.subscribe(request.query_params["preapproval_plan_id"])
            )
            self._authorize(one, str(form.get("holder", "")))
        except Refused as refusal:
            return self._draw(reason, terms, back_url, status, str(refusal.body["message"]))
        return _redirect(back_url, {"preapproval_id": one.id})

    def subscribe(self, plan_id: str) -> SubscriptionRow:
        """Make the subscription of somebody who follows a plan's link."""
        plan = self._api.plan(plan_id)
        made = self._api.add(plan.reason, plan.back_url, "", plan.terms)
        made.plan_id = plan.id
        return made

    def _authorize(self, one: SubscriptionRow, holder: str) -> None:
        try:
            self._billing.authorize(one, holder)
        except Refused:
            if one.plan_id is not None and one.status == "pending":
                # Of a plan there is a subscription only when its card was taken.
                del self._state.subscriptions[one.id]
            raise

    def _asked(self, request: AnyRequest) -> tuple[str, Terms, str, str]:
        number = request.query_params.get("preapproval_id")
        if number:
            one = self._api.subscription(number)
            return one.reason, one.terms, one.back_url, one.status
        plan = self._api.plan(request.query_params.get("preapproval_plan_id", ""))
        return plan.reason, plan.terms, plan.back_url, "pending"

    def _draw(self, reason: str, terms: Terms, back_url: str, status: str, problem: str) -> Response[str]:
        price = f"{terms.transaction_amount} {terms.currency_id} every {terms.frequency} {terms.frequency_type}"
        told = f'<p role="alert">{escape(problem)}</p>' if problem else ""
        cards = "".join(f'<button name="holder" value="{name}">{text}</button>' for name, text in _CARDS)
        form = f'<form method="post">{cards}</form>' if status == "pending" else f"<p>It is {escape(status)}.</p>"
        leave = f'<a class="button" href="{escape(back_url)}">Leave without paying</a>'
        return _html(reason, f"<p>{escape(price)}</p>{told}{form}{leave}", 422 if problem else 200)


def _html(title: str, content: str, status: int = 200) -> Response[str]:
    text = _PAGE.format(title=escape(title), content=content)
    return Response(text, status_code=status, media_type="text/html")


def _redirect(url: str, more: dict[str, str]) -> Response[str]:
    joined = f"{url}{'&' if '?' in url else '?'}{urlencode(more)}"
    return Response("", status_code=303, headers={"Location": joined})
