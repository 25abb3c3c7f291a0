"""Routes of everybody's subscriptions, of refunds, and of reports."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Stream

from core.idempotency.middleware import IDEMPOTENT_CALL
from core.listing import SearchQuery, SinceQuery, UntilQuery, UserIdQuery, read_moment, read_search
from core.pagination import Cursor, Page, PageQuery, Resource, Scroll
from core.payments import administration, fetches, reports
from core.payments.schemas import (
    CancelWanted,
    FetchFilter,
    GatewayFetchRead,
    PaymentAdministrationRead,
    RefundWanted,
    RevenueRow,
    SubscriptionAdministrationRead,
    SubscriptionFilter,
    SubscriptionRead,
    SubscriptionsRow,
)
from core.plugin import SubscriptionStatus
from core.problems import problem_responses
from core.request import AnyRequest
from core.security import current_user, requires_administrator
from core.spreadsheets import MEDIA_TYPE
from core.validation import MAXIMUM_BIGINT

GatewayQuery = Annotated[str | None, QueryParameter(max_length=60, description="Only those of this gateway.")]


def subscription_filter(
    *,
    gateway: GatewayQuery = None,
    status: Annotated[SubscriptionStatus | None, QueryParameter(description="Only those that stand so.")] = None,
    plan_id: Annotated[
        int | None, QueryParameter(ge=1, le=MAXIMUM_BIGINT, description="Only those for this plan.")
    ] = None,
    since: SinceQuery = None,
    until: UntilQuery = None,
    search: SearchQuery = None,
) -> SubscriptionFilter:
    """Provide what lists of subscriptions filter by; wrong values are 422 and named."""
    return SubscriptionFilter(
        gateway=gateway or None,
        status=status,
        plan_id=plan_id,
        since=read_moment("from", since),
        until=read_moment("to", until),
        search=read_search(search),
    )


FILTERS = {"subscription_filter": Provide(subscription_filter, sync_to_thread=False)}


class SubscriptionAdministrationController(Controller):
    """What everybody subscribes to."""

    path = "/api/admin"
    tags = ("administration",)
    guards = (requires_administrator,)

    @get(
        "/subscriptions",
        operation_id="AdminListSubscriptions",
        summary="List the subscriptions",
        dependencies=FILTERS,
        responses=problem_responses(401, 403, 422),
    )
    async def list_subscriptions(
        self,
        request: AnyRequest,
        page_query: NamedDependency[PageQuery],
        subscription_filter: NamedDependency[SubscriptionFilter],
        user_id: UserIdQuery = None,
        cursor: Cursor = None,
    ) -> Page[SubscriptionAdministrationRead] | Scroll[SubscriptionAdministrationRead]:
        """List everybody's subscriptions, the newest first; `search` looks into gateway_id and user_email.

        Sorts by id, created_at, access_until, amount, status and gateway. With `cursor` the list is not counted: follow
        `meta.next_cursor`.
        """
        wanted = msgspec.structs.replace(subscription_filter, user_id=user_id)
        return await administration.SUBSCRIPTIONS.answer(request, page_query, wanted, cursor)

    @get(
        "/subscriptions.csv",
        operation_id="AdminDownloadSubscriptions",
        summary="Download the subscriptions",
        dependencies=FILTERS,
        media_type=MEDIA_TYPE,
        responses=problem_responses(401, 403, 422),
    )
    async def download_subscriptions(
        self, subscription_filter: NamedDependency[SubscriptionFilter], user_id: UserIdQuery = None
    ) -> Stream:
        """Download subscriptions as CSV (UTF-8), all of them or those of a filter."""
        wanted = msgspec.structs.replace(subscription_filter, user_id=user_id)
        return await administration.SUBSCRIPTIONS.download("subscriptions.csv", wanted)

    @get(
        "/subscriptions/{subscription_id:int}",
        operation_id="AdminShowSubscription",
        summary="Show a subscription",
        responses=problem_responses(401, 403, 404),
    )
    async def show_subscription(self, subscription_id: FromPath[int]) -> Resource[SubscriptionAdministrationRead]:
        """Show one subscription."""
        return Resource(await administration.get_subscription(subscription_id))

    @post(
        "/subscriptions/{subscription_id:int}/fetch",
        operation_id="AdminFetchSubscription",
        summary="Ask the gateway about a subscription",
        status_code=200,
        responses=problem_responses(401, 403, 404),
    )
    async def fetch_subscription(
        self, request: AnyRequest, subscription_id: FromPath[int]
    ) -> Resource[SubscriptionAdministrationRead]:
        """Ask the gateway how a subscription stands now; without an answer it is asked again in the background."""
        return Resource(await administration.fetch_subscription(current_user(request).id, subscription_id))

    @post(
        "/subscriptions/{subscription_id:int}/cancel",
        operation_id="AdminCancelSubscription",
        summary="Cancel a subscription",
        status_code=200,
        middleware=[IDEMPOTENT_CALL],
        responses=problem_responses(400, 401, 402, 403, 404, 409, 413, 415, 422, 502),
    )
    async def cancel_subscription(
        self, request: AnyRequest, subscription_id: FromPath[int], data: JSONBody[CancelWanted]
    ) -> Resource[SubscriptionRead]:
        """Let a subscription end with what is paid for, or at once; nothing is paid back by itself."""
        del request  # the middleware asks for it
        found = await administration.cancel_subscription(subscription_id, at_period_end=data.at_period_end)
        return Resource(found)

    @post(
        "/payments/{payment_id:int}/refund",
        operation_id="AdminRefundPayment",
        summary="Pay a payment back",
        status_code=200,
        middleware=[IDEMPOTENT_CALL],
        responses=problem_responses(400, 401, 402, 403, 404, 409, 413, 415, 422, 502),
    )
    async def refund_payment(
        self, request: AnyRequest, payment_id: FromPath[int], data: JSONBody[RefundWanted]
    ) -> Resource[PaymentAdministrationRead]:
        """Pay a payment back, whole or in part; the subscription goes on unless it is cancelled as well."""
        return Resource(await administration.refund(current_user(request).id, payment_id, data))

    @get(
        "/gateway-fetches",
        operation_id="AdminListGatewayFetches",
        summary="List what waits for a gateway",
        responses=problem_responses(401, 403, 422),
    )
    async def list_fetches(
        self,
        request: AnyRequest,
        page_query: NamedDependency[PageQuery],
        gateway: GatewayQuery = None,
        failed: Annotated[
            bool | None, QueryParameter(description="Only those that were given up, or that were not.")
        ] = None,
    ) -> Page[GatewayFetchRead]:
        """List subscriptions that wait to be fetched, or were given up; sorts by id, due_at and created_at."""
        wanted = FetchFilter(gateway=gateway or None, failed=failed)
        return await administration.FETCHES.answer_page(request, page_query, wanted)

    @post(
        "/gateway-fetches/{fetch_id:int}/replay",
        operation_id="AdminReplayGatewayFetch",
        summary="Fetch once more",
        status_code=204,
        responses=problem_responses(401, 403, 404),
    )
    async def replay_fetch(self, request: AnyRequest, fetch_id: FromPath[int]) -> None:
        """Let a fetch that was given up begin anew."""
        await fetches.replay(current_user(request).id, fetch_id)


class ReportController(Controller):
    """Reports of what came in."""

    path = "/api/admin/reports"
    tags = ("administration",)
    guards = (requires_administrator,)

    @get(
        "/revenue",
        operation_id="AdminShowRevenue",
        summary="Report the revenue",
        responses=problem_responses(401, 403, 422),
    )
    async def show_revenue(
        self, since: SinceQuery = None, until: UntilQuery = None, gateway: GatewayQuery = None
    ) -> Resource[list[RevenueRow]]:
        """Report payments, refunds and failed attempts by month (UTC), gateway and currency."""
        return Resource(await reports.revenue(*_range(since, until), gateway or None))

    @get(
        "/revenue.csv",
        operation_id="AdminDownloadRevenue",
        summary="Download the revenue",
        media_type=MEDIA_TYPE,
        responses=problem_responses(401, 403, 422),
    )
    async def download_revenue(
        self, since: SinceQuery = None, until: UntilQuery = None, gateway: GatewayQuery = None
    ) -> Stream:
        """Download the report of the revenue as CSV (UTF-8)."""
        rows = await reports.revenue(*_range(since, until), gateway or None)
        return await reports.as_csv("revenue.csv", RevenueRow, rows)

    @get(
        "/subscriptions",
        operation_id="AdminShowSubscriptionReport",
        summary="Report the subscriptions",
        responses=problem_responses(401, 403, 422),
    )
    async def show_subscriptions(
        self, since: SinceQuery = None, until: UntilQuery = None, gateway: GatewayQuery = None
    ) -> Resource[list[SubscriptionsRow]]:
        """Report new, lost and active subscriptions by month (UTC) and gateway."""
        return Resource(await reports.subscriptions(*_range(since, until), gateway or None))

    @get(
        "/subscriptions.csv",
        operation_id="AdminDownloadSubscriptionReport",
        summary="Download the report of subscriptions",
        media_type=MEDIA_TYPE,
        responses=problem_responses(401, 403, 422),
    )
    async def download_subscriptions(
        self, since: SinceQuery = None, until: UntilQuery = None, gateway: GatewayQuery = None
    ) -> Stream:
        """Download the report of subscriptions as CSV (UTF-8)."""
        rows = await reports.subscriptions(*_range(since, until), gateway or None)
        return await reports.as_csv("subscriptions-report.csv", SubscriptionsRow, rows)


def _range(since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    return read_moment("from", since), read_moment("to", until)


CONTROLLERS: tuple[type[Controller], ...] = (SubscriptionAdministrationController, ReportController)
