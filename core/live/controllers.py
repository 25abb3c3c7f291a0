"""Routes of live events and of the realtime services that tell them too."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import parse_qsl

from litestar import Controller, Litestar, Response, get, post
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody
from litestar.params import JSONBody, QueryParameter
from litestar.types import ASGIApp, Receive, Scope, Send

from core.errors import InvalidInputError, MalformedError
from core.live import realtime, tickets
from core.live.connection import transport_of
from core.live.hub import Hub
from core.live.listener import Listener
from core.live.schemas import ChannelRequest, RealtimeRead, TicketRead
from core.live.stream import NOWHERE, parse_event_id
from core.pagination import Resource
from core.problems import problem_responses
from core.request import JSON, AnyRequest, PlatformRequest
from core.security import SCOPE, current_user, requires_user
from core.texts import text

HUB = "live_events"
"""Under which name the application keeps the connections of its process."""
EVENT_STREAM = "text/event-stream"
FORM = "application/x-www-form-urlencoded"
HEADER = "last-event-id"


class EventStream(Response[bytes]):
    """An answer that goes on for as long as both sides want."""

    def __init__(self, hub: Hub, listener: Listener) -> None:
        super().__init__(b"", media_type=EVENT_STREAM)
        self._hub = hub
        self._listener = listener

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIApp:  # type: ignore[override] # Litestar only calls it
        """Return what answers, without the headers that Litestar would add."""

        async def answer(_scope: Scope, receive: Receive, send: Send) -> None:
            await self._hub.serve(self._listener, receive, send)

        return answer


class EventController(Controller):
    """What happens to an account, as it happens."""

    path = tickets.PATH
    tags = ("live events",)
    guards = (requires_user,)

    @get(
        operation_id="ListenToEvents",
        summary="Listen to events",
        media_type=EVENT_STREAM,
        middleware=[tickets.TicketMiddleware()],
        responses=problem_responses(401, 403, 422, 429, 503),
    )
    async def listen(
        self,
        request: AnyRequest,
        last_event_id: Annotated[
            str | None,
            QueryParameter(
                description="Go on after this event; the header `Last-Event-ID`, which browsers send when they"
                " connect again, wins."
            ),
        ] = None,
        ticket: Annotated[
            str | None,
            QueryParameter(
                description="Takes the place of another credential; see `POST /api/events/ticket`.", max_length=100
            ),
        ] = None,
    ) -> EventStream:
        """Answer with server-sent events for as long as the connection stands.

        Each has its type as `event`, the envelope as `data`, and an `id` to go on after. The first one is
        `stream.opened`, or `stream.reset` where events since the given id are kept no more. A comment shows every 15
        seconds that the connection stands.
        """
        del ticket  # read before anything else is done
        asked = parse_event_id(last_event_id) if last_event_id else None
        if last_event_id and asked is None:
            raise InvalidInputError({"last_event_id": [text("event_id")]})
        again = request.headers.get(HEADER)
        if again:
            asked = parse_event_id(again) or NOWHERE
        user, hub = current_user(request), hub_of(request.app)
        if tickets.BY_TICKET in request.scope["state"]:
            await hub.ensure_alive(user)
        return EventStream(hub, hub.listener(user, asked, transport_of(request.scope)))

    @post(
        "/ticket",
        operation_id="IssueEventTicket",
        summary="Get a ticket for the stream of events",
        opt={SCOPE: "read"},
        responses=problem_responses(401, 403, 503),
    )
    async def issue_ticket(self, request: AnyRequest) -> Resource[TicketRead]:
        """Make a ticket that opens `GET /api/events?ticket=...` once, within 45 seconds.

        For pages of another site: a browser's `EventSource` sends cookies to its own site alone, and never a token.
        """
        return Resource(await tickets.issue(current_user(request)))


@dataclass
class FormOrJsonOperation(Operation):
    """Describes a body that may be a form too."""

    def __post_init__(self) -> None:
        """Say that it holds the same."""
        if isinstance(self.request_body, RequestBody):
            self.request_body.content[FORM] = OpenAPIMediaType(schema=self.request_body.content[JSON].schema)


class FormOrJson(PlatformRequest):
    """A request whose body may be a form too, as pusher-js sends it."""

    async def _decoded(self) -> object:
        if self.content_type[0].lower() != FORM:
            return await super()._decoded()
        try:
            return dict(parse_qsl((await self.body()).decode(), keep_blank_values=True))
        except ValueError:
            raise MalformedError(text("form_unreadable")) from None


class RealtimeController(Controller):
    """Realtime services that tell the same events."""

    path = "/api/realtime"
    tags = ("live events",)
    guards = (requires_user,)

    @get(operation_id="ShowRealtime", summary="Show the realtime services", responses=problem_responses(401, 403))
    async def show_realtime(self, request: AnyRequest) -> Resource[RealtimeRead]:
        """Show what a browser needs to connect to each service that is switched on: its key, host and channel."""
        return Resource(realtime.connections_of(current_user(request).id))

    @post(
        "/auth",
        operation_id="AuthorizeChannel",
        summary="Permit a connection to a channel",
        status_code=200,
        opt={SCOPE: "read"},
        request_class=FormOrJson,
        operation_class=FormOrJsonOperation,
        responses=problem_responses(400, 401, 403, 404, 413, 415, 422),
    )
    async def authorize(
        self,
        request: AnyRequest,
        data: JSONBody[ChannelRequest],
        notifier: Annotated[
            str | None, QueryParameter(description="Which service, where there are several.", max_length=60)
        ] = None,
    ) -> Mapping[str, str]:
        """Permit a connection to listen to the caller's own channel; pusher-js calls this (`channelAuthorization`)."""
        return realtime.authorize(current_user(request).id, notifier, data)


def hub_of(app: Litestar) -> Hub:
    """Return the connections of an application's process."""
    hub = app.state[HUB]
    if not isinstance(hub, Hub):
        raise TypeError(f"the application keeps no Hub as {HUB}")
    return hub


CONTROLLERS: tuple[type[Controller], ...] = (EventController, RealtimeController)
