"""Routes of a tenant's webhook endpoints and what is delivered to them."""

from typing import Annotated

from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from core.pagination import Cursor, Page, PageQuery, Resource, Scroll
from core.problems import problem_responses
from core.request import AnyRequest
from core.security import current_user, requires_user
from core.webhooks.outgoing import deliveries, endpoints
from core.webhooks.outgoing.schemas import (
    DeliveryFilter,
    DeliveryRead,
    EndpointCreate,
    EndpointFilter,
    EndpointRead,
    EndpointSecret,
    EndpointUpdate,
)
from core.webhooks.tables import DeliveryStatus, EndpointStatus


class WebhookEndpointController(Controller):
    """Where a tenant is told of events."""

    path = "/api/webhook-endpoints"
    tags = ("webhooks",)
    guards = (requires_user,)

    @get(
        operation_id="ListWebhookEndpoints",
        summary="List your webhook endpoints",
        responses=problem_responses(401, 403, 422),
    )
    async def list_endpoints(
        self,
        request: AnyRequest,
        page_query: NamedDependency[PageQuery],
        status: Annotated[EndpointStatus | None, QueryParameter(description="Only active or disabled ones.")] = None,
    ) -> Page[EndpointRead]:
        """List your webhook endpoints, the newest first, forward addresses of numbers among them.

        Sorts by id, name and created_at.
        """
        wanted = EndpointFilter(user_id=current_user(request).id, status=status, search=page_query.search)
        return await endpoints.ENDPOINTS.answer_page(request, page_query, wanted)

    @post(
        operation_id="CreateWebhookEndpoint",
        summary="Add a webhook endpoint",
        responses=problem_responses(400, 401, 403, 409, 413, 415, 422),
    )
    async def create_endpoint(self, request: AnyRequest, data: JSONBody[EndpointCreate]) -> Resource[EndpointSecret]:
        """Add a webhook endpoint; the secret is shown in this answer alone.

        There is no `Idempotency-Key`: an answer that is kept would hold the secret. A repetition makes a second
        endpoint, which the list shows.
        """
        return Resource(await endpoints.create_endpoint(current_user(request).id, data))

    @get(
        "/{endpoint_id:int}",
        operation_id="ShowWebhookEndpoint",
        summary="Show a webhook endpoint",
        responses=problem_responses(401, 403, 404),
    )
    async def show_endpoint(self, request: AnyRequest, endpoint_id: FromPath[int]) -> Resource[EndpointRead]:
        """Show one webhook endpoint and whether it works."""
        return Resource(await endpoints.get_endpoint(current_user(request).id, endpoint_id))

    @patch(
        "/{endpoint_id:int}",
        operation_id="UpdateWebhookEndpoint",
        summary="Change a webhook endpoint",
        responses=problem_responses(400, 401, 403, 404, 413, 415, 422),
    )
    async def update_endpoint(
        self, request: AnyRequest, endpoint_id: FromPath[int], data: JSONBody[EndpointUpdate]
    ) -> Resource[EndpointRead]:
        """Rename a webhook endpoint, or change its address or its events; what is on its way goes to the new address.

        Failures at the old address do not count at the new one. A disabled endpoint stays so until it is enabled. Those
        of a number's forward address are changed with the number.
        """
        return Resource(await endpoints.update_endpoint(current_user(request).id, endpoint_id, data))

    @delete(
        "/{endpoint_id:int}",
        operation_id="DeleteWebhookEndpoint",
        summary="Delete a webhook endpoint",
        responses=problem_responses(401, 403, 404),
    )
    async def delete_endpoint(self, request: AnyRequest, endpoint_id: FromPath[int]) -> None:
        """Delete a webhook endpoint and its deliveries; one of a number ends its forward address."""
        await endpoints.delete_endpoint(current_user(request).id, endpoint_id)

    @post(
        "/{endpoint_id:int}/secret",
        operation_id="RollWebhookSecret",
        summary="Roll the secret",
        status_code=200,
        responses=problem_responses(401, 403, 404),
    )
    async def roll_secret(self, request: AnyRequest, endpoint_id: FromPath[int]) -> Resource[EndpointSecret]:
        """Give a webhook endpoint a new secret, shown in this answer alone.

        For 24 hours deliveries carry two signatures, of the new secret and of the one before. Rolled again meanwhile,
        the earlier ones go on signing, each until its own 24 hours are over, up to three of them.
        """
        return Resource(await endpoints.roll_secret(current_user(request).id, endpoint_id))

    @post(
        "/{endpoint_id:int}/enable",
        operation_id="EnableWebhookEndpoint",
        summary="Enable a webhook endpoint",
        status_code=200,
        responses=problem_responses(401, 403, 404),
    )
    async def enable_endpoint(self, request: AnyRequest, endpoint_id: FromPath[int]) -> Resource[EndpointRead]:
        """Deliver to a webhook endpoint again; what failed meanwhile can be replayed."""
        return Resource(await endpoints.enable_endpoint(current_user(request).id, endpoint_id))

    @post(
        "/{endpoint_id:int}/disable",
        operation_id="DisableWebhookEndpoint",
        summary="Disable a webhook endpoint",
        status_code=200,
        responses=problem_responses(401, 403, 404),
    )
    async def disable_endpoint(self, request: AnyRequest, endpoint_id: FromPath[int]) -> Resource[EndpointRead]:
        """Deliver nothing more to a webhook endpoint; its open deliveries end."""
        return Resource(await endpoints.disable_endpoint(current_user(request).id, endpoint_id))


class WebhookDeliveryController(Controller):
    """What was delivered to an endpoint."""

    path = "/api/webhook-endpoints/{endpoint_id:int}"
    tags = ("webhooks",)
    guards = (requires_user,)

    @post(
        "/test",
        operation_id="TestWebhookEndpoint",
        summary="Send a test event",
        status_code=202,
        responses=problem_responses(401, 403, 404, 409),
    )
    async def send_test(self, request: AnyRequest, endpoint_id: FromPath[int]) -> Resource[DeliveryRead]:
        """Send the event `webhook.test` to an endpoint; the list of deliveries shows what came of it."""
        return Resource(await deliveries.send_test(current_user(request).id, endpoint_id))

    @get(
        "/deliveries",
        operation_id="ListWebhookDeliveries",
        summary="List the deliveries of an endpoint",
        responses=problem_responses(401, 403, 404, 422),
    )
    async def list_deliveries(
        self,
        request: AnyRequest,
        endpoint_id: FromPath[int],
        page_query: NamedDependency[PageQuery],
        status: Annotated[
            DeliveryStatus | None, QueryParameter(description="Only pending, delivered or failed ones.")
        ] = None,
        type: Annotated[  # noqa: A002
            str | None, QueryParameter(max_length=60, description="The event's type or its beginning.")
        ] = None,
        cursor: Cursor = None,
    ) -> Page[DeliveryRead] | Scroll[DeliveryRead]:
        """List the deliveries of an endpoint, the newest first; sorts by id and created_at.

        With `cursor` the list is not counted: follow `meta.next_cursor`.
        """
        await endpoints.get_endpoint(current_user(request).id, endpoint_id)
        wanted = DeliveryFilter(endpoint_id=endpoint_id, status=status, type=type or None)
        return await deliveries.DELIVERIES.answer(request, page_query, wanted, cursor)

    @post(
        "/deliveries/{delivery_id:int}/replay",
        operation_id="ReplayWebhookDelivery",
        summary="Send a delivery again",
        status_code=202,
        responses=problem_responses(401, 403, 404, 409),
    )
    async def replay(
        self, request: AnyRequest, endpoint_id: FromPath[int], delivery_id: FromPath[int]
    ) -> Resource[DeliveryRead]:
        """Send a delivery once more under the same `Webhook-Id`, now and, if that fails, for another 24 hours.

        One that still waits is attempted now, and its own 24 hours go on.
        """
        return Resource(await deliveries.replay(current_user(request).id, endpoint_id, delivery_id))


CONTROLLERS: tuple[type[Controller], ...] = (WebhookEndpointController, WebhookDeliveryController)
