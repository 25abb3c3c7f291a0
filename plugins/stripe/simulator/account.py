"""One simulated account: all of its parts, and what each address of the API does."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import stripe
from stripe import params as p
from stripe.params import billing_portal, checkout

from plugins.stripe.simulator.answers import Answers
from plugins.stripe.simulator.catalog import Catalog
from plugins.stripe.simulator.changes import Changes
from plugins.stripe.simulator.checkout import Checkouts
from plugins.stripe.simulator.clock import Clock
from plugins.stripe.simulator.customers import Customers
from plugins.stripe.simulator.invoices import Invoices
from plugins.stripe.simulator.options import Options
from plugins.stripe.simulator.payments import Payments
from plugins.stripe.simulator.requests import invalid
from plugins.stripe.simulator.shapes import Obj, fields, list_of, part
from plugins.stripe.simulator.state import State
from plugins.stripe.simulator.subscriptions import Subscriptions
from plugins.stripe.simulator.webhooks import Webhooks

Handler = Callable[[Obj, tuple[str, ...]], Any]


class Route(msgspec.Struct, frozen=True):
    """One address: the class of its parameters, those that are imitated, and what it does."""

    method: str
    path: str
    """``*`` stands for an id."""
    params: Any
    done: frozenset[str]
    handler: Handler


def _post(path: str, params: Any, done: str, handler: Handler) -> Route:
    return Route("POST", path, params, frozenset(done.split()), handler)


class Account:
    """A simulated account."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.state = State(options)
        self.webhooks = Webhooks(self.state)
        self.payments = Payments(self.state)
        self.invoices = Invoices(self.state, self.payments)
        self.catalog = Catalog(self.state)
        self.subscriptions = Subscriptions(self.state, self.catalog, self.payments, self.invoices)
        self.changes = Changes(self.state, self.catalog, self.invoices, self.subscriptions)
        self.checkouts = Checkouts(self.state, self.catalog, self.payments, self.invoices, self.subscriptions)
        self.customers = Customers(self.state, self.subscriptions, self.invoices)
        self.clock = Clock(self.state, self.invoices, self.subscriptions, self.checkouts, self.webhooks)
        self.answers = Answers(self.state)
        self.answers.includes = {
            ("invoice", "payments"): lambda one: list_of(self.invoices.links(one), "/v1/invoice_payments"),
            ("invoice", "confirmation_secret"): self.invoices.secret_of,
            ("charge", "refunds"): lambda one: list_of(self.state.every("refund", charge=one["id"]), "/v1/refunds"),
            ("checkout.session", "line_items"): self.checkouts.line_items,
            ("customer", "subscriptions"): self.customers.subscriptions_of,
        }
        if options.webhook_url:
            self.webhooks.add(options.webhook_url, options.webhook_secret)
        self.routes = [
            *self._catalog_routes(),
            *self._subscription_routes(),
            *self._money_routes(),
            *self._reading(),
        ]

    def _catalog_routes(self) -> Iterator[Route]:
        yield _post(
            "/v1/customers",
            p.CustomerCreateParams,
            "email name phone description metadata preferred_locales",
            self.customers.create,
        )
        yield _post(
            "/v1/customers/*",
            p.CustomerUpdateParams,
            "email name phone description metadata preferred_locales balance",
            self.customers.update,
        )
        yield Route("DELETE", "/v1/customers/*", p.CustomerDeleteParams, frozenset(), self.customers.delete)
        yield _post(
            "/v1/products", p.ProductCreateParams, "id name active description metadata", self.catalog.create_product
        )
        yield _post(
            "/v1/products/*", p.ProductUpdateParams, "name active description metadata", self.catalog.update_product
        )
        price = (
            "active currency lookup_key metadata nickname product product_data recurring transfer_lookup_key"
            " unit_amount"
        )
        yield _post("/v1/prices", p.PriceCreateParams, price, self.catalog.create_price)
        yield _post(
            "/v1/prices/*", p.PriceUpdateParams, "active lookup_key metadata nickname", self.catalog.update_price
        )
        coupon = "id name percent_off amount_off currency duration duration_in_months metadata"
        yield _post("/v1/coupons", p.CouponCreateParams, coupon, self.catalog.create_coupon)
        yield _post(
            "/v1/promotion_codes",
            p.PromotionCodeCreateParams,
            "active code promotion metadata",
            self.catalog.create_promotion,
        )

    def _subscription_routes(self) -> Iterator[Route]:
        session = (
            "mode success_url cancel_url line_items customer customer_email client_reference_id metadata locale"
            " discounts allow_promotion_codes subscription_data expires_at"
        )
        yield _post("/v1/checkout/sessions", checkout.SessionCreateParams, session, self.checkouts.create)
        yield _post("/v1/checkout/sessions/*/expire", checkout.SessionExpireParams, "", self.checkouts.expire)
        begin = (
            "customer items payment_behavior payment_settings metadata trial_period_days trial_end trial_settings"
            " discounts"
            " description off_session"
        )
        yield _post("/v1/subscriptions", p.SubscriptionCreateParams, begin, self.subscriptions.create)
        update = (
            "items payment_behavior proration_behavior proration_date cancel_at_period_end cancel_at metadata"
            " description default_payment_method pause_collection cancellation_details trial_end off_session"
        )
        yield _post("/v1/subscriptions/*", p.SubscriptionUpdateParams, update, self.changes.update)
        yield Route("DELETE", "/v1/subscriptions/*", p.SubscriptionCancelParams, frozenset(), self.subscriptions.cancel)
        yield _post("/v1/subscriptions/*/resume", p.SubscriptionResumeParams, "", self.subscriptions.resume)

    def _money_routes(self) -> Iterator[Route]:
        yield _post(
            "/v1/invoices/create_preview",
            p.InvoiceCreatePreviewParams,
            "customer subscription subscription_details",
            self.changes.preview,
        )
        yield _post("/v1/invoices/*/pay", p.InvoicePayParams, "paid_out_of_band off_session", self.invoices.pay)
        yield _post("/v1/invoices/*/void", p.InvoiceVoidInvoiceParams, "", self.invoices.void)
        yield _post(
            "/v1/refunds", p.RefundCreateParams, "charge payment_intent amount reason metadata", self.payments.refund
        )
        yield _post(
            "/v1/billing_portal/sessions",
            billing_portal.SessionCreateParams,
            "customer return_url locale",
            self.customers.open_portal,
        )
        endpoint = "url enabled_events api_version description metadata"
        yield _post("/v1/webhook_endpoints", p.WebhookEndpointCreateParams, endpoint, self.webhooks.create)
        yield _post(
            "/v1/webhook_endpoints/*",
            p.WebhookEndpointUpdateParams,
            "url enabled_events description disabled",
            self.webhooks.update,
        )
        yield Route(
            "DELETE", "/v1/webhook_endpoints/*", p.WebhookEndpointDeleteParams, frozenset(), self.webhooks.delete
        )

    def _reading(self) -> Iterator[Route]:
        yield Route("GET", "/v1/account", p.AccountRetrieveCurrentParams, frozenset(), self._account)
        yield Route(
            "GET", "/v1/subscriptions/search", p.SubscriptionSearchParams, frozenset({"query", "limit"}), self._search
        )
        yield self._list("prices", p.PriceListParams, "active product currency type lookup_keys", self.catalog.prices)
        yield self._list("promotion_codes", p.PromotionCodeListParams, "active code", self.catalog.promotions)
        yield self._list(
            "invoice_payments", p.InvoicePaymentListParams, "payment invoice status", self._invoice_payments
        )
        yield self._list("subscriptions", p.SubscriptionListParams, "customer status price", self._subscriptions)
        yield self._list("invoices", p.InvoiceListParams, "customer subscription status", self._invoices)
        for name, kind, listing, retrieval, filters in (
            ("customers", "customer", p.CustomerListParams, p.CustomerRetrieveParams, "email"),
            ("products", "product", p.ProductListParams, p.ProductRetrieveParams, "active"),
            ("prices", "price", None, p.PriceRetrieveParams, ""),
            ("coupons", "coupon", p.CouponListParams, p.CouponRetrieveParams, ""),
            ("promotion_codes", "promotion_code", None, p.PromotionCodeRetrieveParams, ""),
            (
                "checkout/sessions",
                "checkout.session",
                checkout.SessionListParams,
                checkout.SessionRetrieveParams,
                "customer status subscription",
            ),
            ("subscriptions", "subscription", None, p.SubscriptionRetrieveParams, ""),
            ("invoices", "invoice", None, p.InvoiceRetrieveParams, ""),
            ("payment_intents", "payment_intent", p.PaymentIntentListParams, p.PaymentIntentRetrieveParams, "customer"),
            ("setup_intents", "setup_intent", p.SetupIntentListParams, p.SetupIntentRetrieveParams, "customer"),
            ("charges", "charge", p.ChargeListParams, p.ChargeRetrieveParams, "customer payment_intent"),
            ("refunds", "refund", p.RefundListParams, p.RefundRetrieveParams, "charge payment_intent"),
            ("disputes", "dispute", p.DisputeListParams, p.DisputeRetrieveParams, "charge payment_intent"),
            ("webhook_endpoints", "webhook_endpoint", p.WebhookEndpointListParams, p.WebhookEndpointRetrieveParams, ""),
            ("events", "event", p.EventListParams, p.EventRetrieveParams, "type"),
        ):
            if listing is not None:
                yield self._list(name, listing, filters, self._filter(kind, filters))
            yield Route("GET", f"/v1/{name}/*", retrieval, frozenset(), self._retrieve(kind))

    def _list(self, name: str, params: Any, filters: str, find: Handler) -> Route:
        def handler(given: Obj, ids: tuple[str, ...]) -> Obj:
            found = find(given, ids)
            if "created" in given:
                found = [one for one in found if _is_within(one["created"], given["created"])]
            return self.answers.page(found, given, f"/v1/{name}")

        known = {"limit", "starting_after", "ending_before", *filters.split(), "created"} & fields(params).keys()
        return Route("GET", f"/v1/{name}", params, frozenset(known), handler)

    def _filter(self, kind: str, filters: str) -> Handler:
        names = filters.split()
        return lambda given, _: self.state.every(kind, **{name: given[name] for name in names if name in given})

    def _retrieve(self, kind: str) -> Handler:
        return lambda _, ids: self.state.get(kind, ids[0])

    def _account(self, _: Obj, __: tuple[str, ...]) -> Obj:
        profile = part(stripe.Account.BusinessProfile, name=self.options.account_name)
        return part(stripe.Account, id="acct_simulated", business_profile=profile, charges_enabled=True, country="BR")

    def _subscriptions(self, given: Obj, _: tuple[str, ...]) -> list[Obj]:
        found = self.state.every("subscription", **{name: given[name] for name in ("customer",) if name in given})
        match given.get("status"):
            case "all":
                return found
            case None:
                return [one for one in found if one["status"] not in {"canceled", "incomplete_expired"}]
            case "ended":
                return [one for one in found if one["status"] in {"canceled", "incomplete_expired"}]
            case wanted:
                return [one for one in found if one["status"] == wanted]

    def _invoices(self, given: Obj, _: tuple[str, ...]) -> list[Obj]:
        found = self.state.every("invoice", **{name: given[name] for name in ("customer", "status") if name in given})
        wanted = given.get("subscription")
        return [one for one in found if wanted in {None, one["parent"]["subscription_details"]["subscription"]}]

    def _invoice_payments(self, given: Obj, _: tuple[str, ...]) -> list[Obj]:
        found = self.state.every("invoice_payment", **{n: given[n] for n in ("invoice", "status") if n in given})
        wanted = given.get("payment", {}).get("payment_intent")
        return [one for one in found if wanted in {None, one["payment"]["payment_intent"]}]

    def _search(self, given: Obj, _: tuple[str, ...]) -> Obj:
        """Search by one value of the metadata, the only query that is imitated."""
        parts = given["query"].split("'")
        if len(parts) != 5 or parts[0] != "metadata[" or parts[2] != "]:":  # noqa: PLR2004 - metadata['a']:'b'
            raise invalid("The simulator searches by metadata['name']:'value' alone.", param="query")
        found = [one for one in self.state.every("subscription") if one["metadata"].get(parts[1]) == parts[3]]
        page = self.answers.page(found, given, "/v1/subscriptions/search")
        return page | {"object": "search_result", "next_page": None}


def _is_within(created: int, wanted: Any) -> bool:
    if isinstance(wanted, int):
        return created == wanted
    low = max(wanted.get("gte", 0), wanted.get("gt", -1) + 1)
    return bool(low <= created <= min(wanted.get("lte", created), wanted.get("lt", created + 1) - 1))
