"""Where services deliver their events, and what an administrator sees of it."""

from typing import Annotated

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, PathParameter, QueryParameter
from litestar.response import Stream

from core.client_address import client_address
from core.listing import SearchQuery, SinceQuery, UntilQuery, read_moment, read_search
from core.pagination import Cursor, Page, PageQuery, Scroll
from core.plugin import WebhookDelivery
from core.problems import problem_responses
from core.request import AnyRequest
from core.runtime import config
from core.security import current_user, requires_administrator
from core.spreadsheets import MEDIA_TYPE
from core.validation import MAXIMUM_BIGINT
from core.webhooks import gateways, queries, services
from core.webhooks.schemas import WebhookLogFilter, WebhookLogRead

MAXIMUM_BYTES = 2 * 1024 * 1024
_PATH = "/{plugin:str}/{token:str}"
_ANY = "*/*"
"""The media type that the description gives: each service reads another."""
PluginName = Annotated[str, PathParameter(description="The plugin of the service that delivers.")]
Token = Annotated[str, PathParameter(description="The secret of the number's webhook address.")]


def log_filter(
    *,
    type: Annotated[  # noqa: A002
        str | None, QueryParameter(max_length=60, description="The type or its beginning, such as `waha`.")
    ] = None,
    response_code: Annotated[
        int | None, QueryParameter(ge=100, le=599, description="Only deliveries answered with this status.")
    ] = None,
    number_id: Annotated[
        int | None, QueryParameter(ge=1, le=MAXIMUM_BIGINT, description="Only what was delivered for this number.")
    ] = None,
    since: SinceQuery = None,
    until: UntilQuery = None,
    search: SearchQuery = None,
) -> WebhookLogFilter:
    """Provide what lists of deliveries filter by; wrong values are 422 and named."""
    return WebhookLogFilter(
        type=type or None,
        response_code=response_code,
        number_id=number_id,
        since=read_moment("from", since),
        until=read_moment("to", until),
        search=read_search(search),
    )


FILTERS = {"log_filter": Provide(log_filter, sync_to_thread=False)}


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
        responses=problem_responses(401, 404, 413, 429, 503),
    )
    async def receive(self, request: AnyRequest, plugin: PluginName, token: Token) -> Response[bytes]:
        """Take a delivery of a messaging service; it is stored before it is answered."""
        return await _receive(request, plugin, token)

    @post(
        "/{plugin:str}",
        operation_id="ReceiveGatewayWebhook",
        status_code=200,
        media_type=_ANY,
        responses=problem_responses(401, 404, 413, 429, 503),
    )
    async def receive_gateway(self, request: AnyRequest, plugin: PluginName) -> Response[bytes]:
        """Take a delivery of a payment gateway, which its signature proves; it is stored before it is answered."""
        answer = await gateways.receive(plugin, await _delivery(request), _sender(request))
        return Response(answer.body, status_code=answer.status, media_type=answer.content_type)

    @get(_PATH, operation_id="VerifyWebhook", media_type=_ANY, responses=problem_responses(401, 404, 429, 503))
    async def verify(self, request: AnyRequest, plugin: PluginName, token: Token) -> Response[bytes]:
        """Answer a service that verifies the address before it delivers."""
        return await _receive(request, plugin, token)


class WebhookLogController(Controller):
    """The log of deliveries."""

    path = "/api/admin"
    tags = ("administration",)
    guards = (requires_administrator,)

    @get(
        "/webhooks-log",
        operation_id="AdminListWebhooksLog",
        summary="List deliveries",
        dependencies=FILTERS,
        responses=problem_responses(401, 403, 422),
    )
    async def list_webhooks_log(
        self,
        request: AnyRequest,
        page_query: NamedDependency[PageQuery],
        log_filter: NamedDependency[WebhookLogFilter],
        cursor: Cursor = None,
    ) -> Page[WebhookLogRead] | Scroll[WebhookLogRead]:
        """List deliveries in and out that failed, the newest first; those that arrived where a setting keeps them.

        `search` looks into type, payload and answer. Sorts by id, created_at, type and response_code. With `cursor` the
        list is not counted: follow `meta.next_cursor`.
        """
        return await queries.WEBHOOKS_LOG.answer(request, page_query, log_filter, cursor)

    @get(
        "/webhooks-log.csv",
        operation_id="AdminDownloadWebhooksLog",
        summary="Download deliveries",
        dependencies=FILTERS,
        media_type=MEDIA_TYPE,
        responses=problem_responses(401, 403, 422),
    )
    async def download_webhooks_log(self, log_filter: NamedDependency[WebhookLogFilter]) -> Stream:
        """Download the log of deliveries as CSV (UTF-8), all of it or the entries of a filter."""
        return await queries.WEBHOOKS_LOG.download("webhooks-log.csv", log_filter)

    @post(
        "/webhooks-log/{entry_id:int}/replay",
        operation_id="AdminReplayWebhook",
        summary="Apply or send an event again",
        status_code=204,
        responses=problem_responses(401, 403, 404, 409),
    )
    async def replay(self, request: AnyRequest, entry_id: FromPath[int]) -> None:
        """Apply an event once more that was given up after its handler failed every time, or send one out once more."""
        await queries.replay(current_user(request).id, entry_id)


async def _receive(request: AnyRequest, plugin: str, token: str) -> Response[bytes]:
    sender = _sender(request)
    target = await services.find_target(plugin, token, sender)
    answer = await services.receive(target, token, await _delivery(request), sender)
    return Response(answer.body, status_code=answer.status, media_type=answer.content_type)


def _sender(request: AnyRequest) -> str:
    return client_address(request.scope, config().server.trusted_proxies)


async def _delivery(request: AnyRequest) -> WebhookDelivery:
    query = request.scope["query_string"].decode("latin-1")
    address = f"{config().server.base_url}{request.url.path}"
    return WebhookDelivery(
        method=request.method,
        query=dict(request.query_params.items()),
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in request.scope["headers"]},
        body=await request.body(),
        public_url=f"{address}?{query}" if query else address,
    )


CONTROLLERS: tuple[type[Controller], ...] = (WebhookController, WebhookLogController)
