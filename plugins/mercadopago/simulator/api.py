"""The service's own calls: plans, subscriptions, authorized payments, payments, refunds, users."""

from typing import Any
from urllib.parse import unquote

import msgspec
from litestar import Response, get, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from plugins.mercadopago.simulator import rules, wire
from plugins.mercadopago.simulator.billing import Billing, Emit
from plugins.mercadopago.simulator.state import TEST_DOMAIN, PaymentRow, PlanRow, State, SubscriptionRow
from plugins.mercadopago.simulator.wire import AnyRequest, Refused, fields, page, reply

_KEY = "x-idempotency-key"
_KEY_LENGTH = 64
_SUBSCRIPTION_FILTERS = frozenset({"status", "external_reference", "payer_email", "payer_id", "preapproval_plan_id"})
_INSTALLMENT_FILTERS = frozenset({"preapproval_id", "status", "payer_id"})
_PAYMENT_FILTERS = frozenset({"external_reference", "status"})
_TEST_USERS = 10


class Api:
    """The calls under ``https://api.mercadopago.com``."""

    def __init__(self, state: State, billing: Billing, emit: Emit) -> None:
        self._state = state
        self._billing = billing
        self._emit = emit

    def handlers(self) -> list[HTTPRouteHandler]:
        """Return the routes."""
        return [
            post("/preapproval_plan")(self.create_plan),
            get("/preapproval_plan/{number:str}")(self.show_plan),
            post("/preapproval")(self.create),
            get("/preapproval/search")(self.search),
            get("/preapproval/{number:str}")(self.show),
            put("/preapproval/{number:str}")(self.change),
            get("/authorized_payments/search")(self.search_installments),
            get("/authorized_payments/{number:str}")(self.show_installment),
            get("/v1/payments/search")(self.search_payments),
            get("/v1/payments/{number:str}")(self.show_payment),
            post("/v1/payments/{number:str}/refunds")(self.refund),
            get("/v1/payments/{number:str}/refunds")(self.list_refunds),
            get("/users/me")(self.me),
            post("/users/test")(self.create_test_user),
        ]

    def subscription(self, number: str) -> SubscriptionRow:
        """Return a subscription; raises ``Refused`` where there is none."""
        found = self._state.subscriptions.get(number)
        if found is None:
            raise Refused(404, f"The preapproval with id {number} does not exist", error="not_found")
        return found

    def plan(self, number: str) -> PlanRow:
        """Return a plan; raises ``Refused`` where there is none."""
        found = self._state.plans.get(number)
        if found is None:
            raise Refused(404, f"The template with id {number} does not exist", error="not_found")
        return found

    def payment(self, number: str) -> PaymentRow:
        """Return a payment; raises ``Refused`` where there is none."""
        found = self._state.payments.get(int(number)) if number.isdecimal() else None
        if found is None:
            raise Refused(404, "Payment not found", error="not_found", cause=2000)
        return found

    async def create_plan(self, request: AnyRequest) -> Response[bytes]:
        """POST /preapproval_plan."""
        body = rules.read(await fields(request), rules.PlanBody)
        rules.check_back_url(body.back_url, self._state.options)
        terms = rules.terms_of(body.auto_recurring, self._state.options)
        plan = PlanRow(
            id=self._state.name(),
            reason=body.reason,
            back_url=body.back_url,
            terms=terms,
            created=self._state.now(),
        )
        self._state.plans[plan.id] = plan
        self._emit("subscription_preapproval_plan", plan.id, "created")
        return reply(wire.plan_body(plan, str(request.base_url), self._state), 201)

    async def show_plan(self, request: AnyRequest, number: FromPath[str]) -> Response[bytes]:
        """GET /preapproval_plan/{id}."""
        return reply(wire.plan_body(self.plan(number), str(request.base_url), self._state))

    async def create(self, request: AnyRequest) -> Response[bytes]:
        """POST /preapproval; nothing is promised of an idempotency key, so each call makes one."""
        body = rules.read(await fields(request), rules.SubscriptionBody)
        options = self._state.options
        rules.check_payer(body.payer_email, options)
        if (body.preapproval_plan_id is not None or body.status == "authorized") and not body.card_token_id:
            raise Refused(400, "card_token_id is required")
        if body.preapproval_plan_id is not None:
            plan = self.plan(body.preapproval_plan_id)
            reason, back_url, terms = plan.reason, plan.back_url, plan.terms
        else:
            if body.auto_recurring is None or not body.reason:
                raise Refused(400, "Invalid field -> reason and auto_recurring are required")
            rules.check_back_url(body.back_url, options)
            reason, back_url = body.reason, body.back_url
            terms = rules.terms_of(body.auto_recurring, options)
        made = self.add(reason, back_url, body.payer_email, msgspec.structs.replace(terms))
        made.reference, made.plan_id = body.external_reference, body.preapproval_plan_id
        self._emit("subscription_preapproval", made.id, "created")
        if body.card_token_id:
            self._billing.authorize(made, rules.use_token(body.card_token_id, self._state))
        return reply(wire.subscription_body(made, str(request.base_url), self._state), 201)

    def add(self, reason: str, back_url: str, email: str, terms: Any) -> SubscriptionRow:
        """Add a subscription that waits for its payer."""
        now = self._state.now()
        made = SubscriptionRow(
            id=self._state.name(),
            reason=reason,
            reference=None,
            back_url=back_url,
            payer_email=email,
            terms=terms,
            created=now,
            modified=now,
        )
        self._state.subscriptions[made.id] = made
        return made

    async def search(self, request: AnyRequest) -> Response[bytes]:
        """GET /preapproval/search."""
        base = str(request.base_url)
        rows = [wire.subscription_body(one, base, self._state) for one in self._state.subscriptions.values()]
        email = request.query_params.get("payer_email")
        if email is not None:
            # It is searched by, but not shown.
            owners = {one.id for one in self._state.subscriptions.values() if one.payer_email == email}
            rows = [row | {"payer_email": email} for row in rows if row["id"] in owners]
        return page(request, rows, _SUBSCRIPTION_FILTERS)

    async def show(self, request: AnyRequest, number: FromPath[str]) -> Response[bytes]:
        """GET /preapproval/{id}."""
        return reply(wire.subscription_body(self.subscription(number), str(request.base_url), self._state))

    async def change(self, request: AnyRequest, number: FromPath[str]) -> Response[bytes]:
        """PUT /preapproval/{id}."""
        one = self.subscription(number)
        body = rules.read(await fields(request), rules.ChangeBody)
        if one.status in {"cancelled", "finished"}:
            raise Refused(400, "You can not modify a cancelled preapproval.")
        self._apply(one, body)
        if body.status == "cancelled":
            self._billing.cancel(one)
        else:
            self._billing.touch(one, body.status or "")
        return reply(wire.subscription_body(one, str(request.base_url), self._state))

    def _apply(self, one: SubscriptionRow, body: rules.ChangeBody) -> None:
        if body.status in {"authorized", "paused"} and one.status == "pending":
            raise Refused(400, "You cannot authorize a preapproval, only the payer can")
        if body.back_url is not None:
            rules.check_back_url(body.back_url, self._state.options)
        if body.auto_recurring is not None:
            change = body.auto_recurring
            rules.check_amount(change.transaction_amount, change.currency_id, self._state.options)
            one.terms.transaction_amount = change.transaction_amount
        if body.card_token_id is not None:
            one.holder = rules.use_token(body.card_token_id, self._state)
        one.reference = body.external_reference if body.external_reference is not None else one.reference
        one.back_url = body.back_url or one.back_url
        one.reason = body.reason or one.reason

    async def search_installments(self, request: AnyRequest) -> Response[bytes]:
        """GET /authorized_payments/search."""
        if request.query_params.get("limit", "") == "100":
            raise Refused(400, "Invalid limit")
        rows = [wire.installment_body(one, self._state) for one in self._state.installments.values()]
        rows = rows if self._state.options.lists_installments else []
        return page(request, rows, _INSTALLMENT_FILTERS)

    async def show_installment(self, number: FromPath[str]) -> Response[bytes]:
        """GET /authorized_payments/{id}."""
        found = self._state.installments.get(int(number)) if number.isdecimal() else None
        if found is None:
            raise Refused(404, f"The invoice with id {number} does not exist", error="not_found")
        return reply(wire.installment_body(found, self._state))

    async def search_payments(self, request: AnyRequest) -> Response[bytes]:
        """GET /v1/payments/search."""
        rows = [wire.payment_body(one, self._state) for one in self._state.payments.values()]
        rows = rows if self._state.options.finds_payments else []
        return page(request, rows, _PAYMENT_FILTERS)

    async def show_payment(self, number: FromPath[str]) -> Response[bytes]:
        """GET /v1/payments/{id}."""
        return reply(wire.payment_body(self.payment(number), self._state))

    async def list_refunds(self, number: FromPath[str]) -> Response[bytes]:
        """GET /v1/payments/{id}/refunds."""
        return reply([wire.refund_body(refund, self._state) for refund in self.payment(number).refunds])

    async def refund(self, request: AnyRequest, number: FromPath[str]) -> Response[bytes]:
        """POST /v1/payments/{id}/refunds: the same key gives the first answer again."""
        key = request.headers.get(_KEY, "")
        if not 1 <= len(key) <= _KEY_LENGTH:
            raise Refused(400, "Header X-Idempotency-Key can't be null", cause=4292)
        asked = f"{unquote(number)} ".encode() + await request.body()
        known = self._state.answers.get(key)
        if known is not None:
            if known[0] != asked:
                raise Refused(409, "The idempotency key was used with other parameters", error="conflict")
            return Response(known[1], status_code=201, media_type="application/json")
        body = rules.read(await fields(request), rules.RefundBody)
        made = self._billing.refund(self.payment(number), body.amount)
        answer = reply(wire.refund_body(made, self._state), 201)
        self._state.answers[key] = asked, answer.content
        return answer

    async def me(self) -> Response[bytes]:
        """GET /users/me."""
        tags = ["test_user"] if self._state.options.account == "test" else ["normal"]
        seller = {"id": 823_549_964, "nickname": "SIMULATED", "site_id": self._state.options.site, "tags": tags}
        return reply(seller | {"country_id": self._state.options.currency[:2], "status": {"site_status": "active"}})

    async def create_test_user(self, request: AnyRequest) -> Response[bytes]:
        """POST /users/test: ten at most."""
        site = (await fields(request)).get("site_id")
        if site != self._state.options.site:
            raise Refused(400, "Invalid site_id")
        if len(self._state.test_users) >= _TEST_USERS:
            raise Refused(400, "You can not create more test users")
        number = self._state.number()
        email = f"test_user_{number}{TEST_DOMAIN}"
        user: dict[str, object] = {"id": number, "nickname": f"TEST{number}", "site_status": "active", "email": email}
        self._state.test_users.append(user)
        return reply(user, 201)
