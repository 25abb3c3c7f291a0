"""Routes of payments: one's own, and everybody's for administrators."""

from typing import Annotated

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream

from core.listing import SearchQuery, SinceQuery, UntilQuery, UserIdQuery, read_moment, read_search
from core.pagination import Cursor, Page, PageQuery, Resource, Scroll
from core.payments import admin_controllers, queries, subscription_controllers
from core.payments.queries import OWN_PAYMENTS, PAYMENTS
from core.payments.schemas import PaymentAdministrationRead, PaymentFilter, PaymentRead
from core.payments.tables import PaymentStatus
from core.problems import problem_responses
from core.request import AnyRequest
from core.security import current_user, requires_administrator, requires_user
from core.spreadsheets import MEDIA_TYPE


def payment_filter(
    *,
    gateway: Annotated[str | None, QueryParameter(max_length=60, description="Only those of this gateway.")] = None,
    status: Annotated[PaymentStatus | None, QueryParameter(description="Only those that stand so.")] = None,
    currency: Annotated[str | None, QueryParameter(max_length=3, description="Only those in this currency.")] = None,
    since: SinceQuery = None,
    until: UntilQuery = None,
    search: SearchQuery = None,
) -> PaymentFilter:
    """Provide what lists of payments filter by; wrong values are 422 and named."""
    return PaymentFilter(
        gateway=gateway or None,
        status=status,
        currency=currency or None,
        since=read_moment("from", since),
        until=read_moment("to", until),
        search=read_search(search),
    )


FILTERS = {"payment_filter": Provide(payment_filter, sync_to_thread=False)}


class PaymentController(Controller):
    """What the signed-in user paid."""

    path = "/api/payments"
    tags = ("plans",)
    guards = (requires_user,)

    @get(
        operation_id="ListPayments",
        summary="List one's payments",
        dependencies=FILTERS,
        responses=problem_responses(401, 403, 422),
    )
    async def list_payments(
        self,
        request: AnyRequest,
        page_query: NamedDependency[PageQuery],
        payment_filter: NamedDependency[PaymentFilter],
        cursor: Cursor = None,
    ) -> Page[PaymentRead] | Scroll[PaymentRead]:
        """List one's payments, the newest first; `search` looks into transaction_id.

        Sorts by id, created_at, amount, gateway, status and currency. With `cursor` the list is not counted: follow
        `meta.next_cursor`.
        """
        wanted = msgspec.structs.replace(payment_filter, user_id=current_user(request).id)
        return await OWN_PAYMENTS.answer(request, page_query, wanted, cursor)

    @get(
        "/{payment_id:int}",
        operation_id="ShowPayment",
        summary="Show a payment",
        responses=problem_responses(401, 403, 404),
    )
    async def show_payment(self, request: AnyRequest, payment_id: FromPath[int]) -> Resource[PaymentRead]:
        """Show one of one's payments."""
        return Resource(await queries.get_own_payment(current_user(request).id, payment_id))


class PaymentAdministrationController(Controller):
    """What everybody paid."""

    path = "/api/admin"
    tags = ("administration",)
    guards = (requires_administrator,)

    @get(
        "/payments",
        operation_id="AdminListPayments",
        summary="List the payments",
        dependencies=FILTERS,
        responses=problem_responses(401, 403, 422),
    )
    async def list_payments(
        self,
        request: AnyRequest,
        page_query: NamedDependency[PageQuery],
        payment_filter: NamedDependency[PaymentFilter],
        user_id: UserIdQuery = None,
        cursor: Cursor = None,
    ) -> Page[PaymentAdministrationRead] | Scroll[PaymentAdministrationRead]:
        """List everybody's payments, the newest first; `search` looks into transaction_id.

        Sorts by id, created_at, amount, gateway, status and currency. With `cursor` the list is not counted: follow
        `meta.next_cursor`.
        """
        wanted = msgspec.structs.replace(payment_filter, user_id=user_id)
        return await PAYMENTS.answer(request, page_query, wanted, cursor)

    @get(
        "/payments.csv",
        operation_id="AdminDownloadPayments",
        summary="Download the payments",
        dependencies=FILTERS,
        media_type=MEDIA_TYPE,
        responses=problem_responses(401, 403, 422),
    )
    async def download_payments(
        self, payment_filter: NamedDependency[PaymentFilter], user_id: UserIdQuery = None
    ) -> Stream:
        """Download payments as CSV (UTF-8), all of them or those of a filter."""
        return await PAYMENTS.download("payments.csv", msgspec.structs.replace(payment_filter, user_id=user_id))

    @get(
        "/payments/{payment_id:int}",
        operation_id="AdminShowPayment",
        summary="Show a payment",
        responses=problem_responses(401, 403, 404),
    )
    async def show_payment(self, payment_id: FromPath[int]) -> Resource[PaymentAdministrationRead]:
        """Show one payment, with what the gateway said of it."""
        return Resource(await queries.get_payment(payment_id))


CONTROLLERS: tuple[type[Controller], ...] = (
    PaymentController,
    PaymentAdministrationController,
    *subscription_controllers.CONTROLLERS,
    *admin_controllers.CONTROLLERS,
)
