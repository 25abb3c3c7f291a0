"""Where services deliver their events, and what an administrator sees of it."""

from typing import Annotated

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, PathParameter, QueryParameter

from core.pagination import Page, PageQuery, build_page
from core.plugin import WebhookDelivery
from core.problems import problem_responses
from core.request import AnyRequest
from core.runtime import config
from core.security import current_user, requires_administrator
from core.webhooks import queries, services
from core.webhooks.schemas import WebhookLogRead

MAXIMUM_BYTES = 2 * 1024 * 1024
_PATH = "/{plugin:str}/{token:str}"
_ANY = "*/*"
"""The media type that the description gives: each service reads another."""
PluginName = Annotated[str, PathParameter(description="The plugin of the service that delivers.")]
Token = Annotated[str, PathParameter(description="The secret of the number's webhook address.")]


class WebhookController(Controller):
    """Deliveries of messaging services; the token in the path takes the place of a sign-in."""

    path = "/api/webhooks"
    tags = ("webhooks",)
    request_max_body_size = MAXIMUM_BYTES

    @post(
        _PATH,
        operation_id="ReceiveWebhook",
        status_code=200,
        media_type=_ANY,
        responses=problem_responses(401, 404, 413, 503),
    )
    async def receive(self, request: AnyRequest, plugin: PluginName, token: Token) -> Response[bytes]:
        """Take a delivery of a messaging service; it is stored before it is answered."""
        return await _receive(request, plugin, token)

    @get(_PATH, operation_id="VerifyWebhook", media_type=_ANY, responses=problem_responses(401, 404, 503))
    async def verify(self, request: AnyRequest, plugin: PluginName, token: Token) -> Response[bytes]:
        """Answer a service that verifies the address before it delivers."""
        return await _receive(request, plugin, token)


class WebhookLogController(Controller):
    """The log of deliveries."""

    path = "/api/admin/webhooks-log"
    tags = ("administration",)
    guards = (requires_administrator,)

    @get(operation_id="AdminListWebhooksLog", summary="List deliveries", responses=problem_responses(401, 403, 422))
    async def list_webhooks_log(
        self,
        request: AnyRequest,
        page_query: NamedDependency[PageQuery],
        response_code: Annotated[
            int | None, QueryParameter(ge=100, le=599, description="Only deliveries answered with this status.")
        ] = None,
    ) -> Page[WebhookLogRead]:
        """List deliveries that were refused or failed, the newest first; genuine ones where a setting keeps them."""
        entries, total = await queries.list_log(page_query, response_code)
        return build_page(entries, total, page_query, request)

    @post(
        "/{entry_id:int}/replay",
        operation_id="AdminReplayWebhook",
        summary="Apply an event again",
        status_code=204,
        responses=problem_responses(401, 403, 404, 409),
    )
    async def replay(self, request: AnyRequest, entry_id: FromPath[int]) -> None:
        """Apply an event once more that was given up after its handler failed every time."""
        await queries.replay(current_user(request).id, entry_id)


async def _receive(request: AnyRequest, plugin: str, token: str) -> Response[bytes]:
    target = await services.find_target(plugin, token)
    query = request.scope["query_string"].decode("latin-1")
    address = f"{config().server.base_url}{request.url.path}"
    delivery = WebhookDelivery(
        method=request.method,
        query=dict(request.query_params.items()),
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in request.scope["headers"]},
        body=await request.body(),
        public_url=f"{address}?{query}" if query else address,
    )
    answer = await services.receive(target, token, delivery)
    return Response(answer.body, status_code=answer.status, media_type=answer.content_type)


CONTROLLERS: tuple[type[Controller], ...] = (WebhookController, WebhookLogController)
