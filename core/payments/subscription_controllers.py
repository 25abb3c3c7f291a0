"""Routes of what one pays for: gateways, checkouts and the present subscription."""

from typing import Annotated

from litestar import Controller, Response, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from core.idempotency.middleware import IDEMPOTENT_CALL
from core.pagination import Resource
from core.payments import changing, checkouts, gateways, return_page
from core.payments.addresses import RETURN_PATH
from core.payments.schemas import (
    AccessRead,
    CancelWanted,
    ChangePreviewRead,
    ChangeWanted,
    CheckoutCreate,
    CheckoutRead,
    GatewayRead,
    PortalRead,
    RetryRead,
    StepRead,
    SubscriptionRead,
)
from core.problems import language_of, problem_responses
from core.request import AnyRequest
from core.security import current_user, requires_user


class CheckoutController(Controller):
    """Begin to pay."""

    path = "/api/payments"
    tags = ("plans",)
    guards = (requires_user,)

    @get(
        "/gateways",
        operation_id="ListGateways",
        summary="List the payment gateways",
        responses=problem_responses(401, 403),
    )
    async def list_gateways(self) -> Resource[list[GatewayRead]]:
        """List what can be paid with; an empty list means that an administrator assigns the plans."""
        return Resource(list(gateways.list_gateways()))

    @post(
        "/checkout",
        operation_id="BeginCheckout",
        summary="Subscribe to a plan",
        middleware=[IDEMPOTENT_CALL],
        responses=problem_responses(400, 401, 402, 403, 409, 413, 415, 422, 502),
    )
    async def begin_checkout(self, request: AnyRequest, data: JSONBody[CheckoutCreate]) -> Resource[CheckoutRead]:
        """Begin to subscribe: `step` says where the payer goes on. The same wish again returns the same checkout."""
        return Resource(await checkouts.begin(current_user(request), data))

    @get(
        "/checkouts/{checkout_id:int}",
        operation_id="ShowCheckout",
        summary="Show a checkout",
        responses=problem_responses(401, 403, 404),
    )
    async def show_checkout(self, request: AnyRequest, checkout_id: FromPath[int]) -> Resource[CheckoutRead]:
        """Show how far a checkout is; while it is open the gateway is asked in the background, so poll it."""
        return Resource(await checkouts.get_checkout(current_user(request).id, checkout_id))

    @post(
        "/{payment_id:int}/retry",
        operation_id="RetryPayment",
        summary="Try a failed payment again",
        status_code=200,
        middleware=[IDEMPOTENT_CALL],
        responses=problem_responses(401, 402, 403, 404, 409, 422, 502),
    )
    async def retry_payment(self, request: AnyRequest, payment_id: FromPath[int]) -> Resource[RetryRead]:
        """Pay what failed: on the gateway's page while the subscription lives, else by a new checkout."""
        return Resource(await changing.retry(current_user(request), payment_id))


class SubscriptionController(Controller):
    """The present subscription."""

    path = "/api/subscription"
    tags = ("plans",)
    guards = (requires_user,)

    @get(
        operation_id="ShowSubscription",
        summary="Show one's plan and subscription",
        responses=problem_responses(401, 403),
    )
    async def show_subscription(self, request: AnyRequest) -> Resource[AccessRead]:
        """Show one's plan, until when it counts, and the subscription that pays for it, if any."""
        return Resource(await changing.access_of(current_user(request).id))

    @post(
        "/preview",
        operation_id="PreviewPlanChange",
        summary="Preview a change of plan",
        status_code=200,
        responses=problem_responses(400, 401, 403, 409, 413, 415, 422, 502),
    )
    async def preview_change(self, request: AnyRequest, data: JSONBody[ChangeWanted]) -> Resource[ChangePreviewRead]:
        """Say what another plan would cost, from when it would count, and what one has beyond it."""
        return Resource(await changing.preview_change(current_user(request), data))

    @post(
        "/change",
        operation_id="ChangePlan",
        summary="Change the plan",
        status_code=200,
        middleware=[IDEMPOTENT_CALL],
        responses=problem_responses(400, 401, 402, 403, 409, 413, 415, 422, 502),
    )
    async def change_plan(self, request: AnyRequest, data: JSONBody[ChangeWanted]) -> Resource[StepRead]:
        """Change the plan: a dearer one at once where the gateway can charge the difference, else with the next period.

        What one has beyond a smaller plan stays readable and cannot grow.
        """
        return Resource(await changing.change_plan(current_user(request), data))

    @post(
        "/cancel",
        operation_id="CancelSubscription",
        summary="Cancel the subscription",
        status_code=200,
        middleware=[IDEMPOTENT_CALL],
        responses=problem_responses(400, 401, 402, 403, 409, 413, 415, 422, 502),
    )
    async def cancel(self, request: AnyRequest, data: JSONBody[CancelWanted]) -> Resource[SubscriptionRead]:
        """Let the subscription end with what is paid for, or at once; nothing is paid back."""
        user_id = current_user(request).id
        return Resource(await changing.cancel(user_id, at_period_end=data.at_period_end))

    @post(
        "/resume",
        operation_id="ResumeSubscription",
        summary="Resume the subscription",
        status_code=200,
        middleware=[IDEMPOTENT_CALL],
        responses=problem_responses(401, 402, 403, 409, 422, 502),
    )
    async def resume(self, request: AnyRequest) -> Resource[SubscriptionRead]:
        """Take back a cancellation that has not taken effect, or end a pause."""
        return Resource(await changing.resume(current_user(request).id))

    @post(
        "/portal",
        operation_id="OpenPaymentPortal",
        summary="Open the gateway's page",
        status_code=200,
        responses=problem_responses(401, 403, 409, 502),
    )
    async def portal(self, request: AnyRequest) -> Resource[PortalRead]:
        """Return the address of the gateway's own page, where cards and invoices are; good for some minutes."""
        return Resource(PortalRead(url=await changing.portal(current_user(request).id)))


class ReturnController(Controller):
    """Where payers come back to when the installation has no page of its own for that."""

    include_in_schema = False

    @get(RETURN_PATH, media_type="text/html")
    async def come_back(
        self, request: AnyRequest, outcome: Annotated[str | None, QueryParameter(max_length=10)] = None
    ) -> Response[str]:
        """Say to a payer that the payment is looked at; it tells nobody anything about a checkout."""
        page = await return_page.render(outcome or "", language_of(request.scope))
        return Response(page, media_type="text/html", headers={"Content-Security-Policy": return_page.POLICY})


CONTROLLERS: tuple[type[Controller], ...] = (CheckoutController, SubscriptionController, ReturnController)
