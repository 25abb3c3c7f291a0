"""Routes of servers and numbers."""

from dataclasses import dataclass
from typing import Annotated, Any

from litestar import Controller, MediaType, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, Operation, Schema
from litestar.params import FromPath, JSONBody, QueryParameter

from core.idempotency.middleware import IDEMPOTENT
from core.numbers import checks, connecting, servers, services
from core.numbers.admin_controllers import ADMINISTRATION
from core.numbers.schemas import (
    ChallengeRead,
    CheckCreate,
    CheckRead,
    NumberCreate,
    NumberRead,
    NumberUpdate,
    NumberUpdated,
    ServerFilter,
    ServerSummary,
)
from core.pagination import Page, PageQuery, Resource, build_page
from core.plans.guards import has_room
from core.problems import problem_responses
from core.request import AnyRequest
from core.security import SCOPE, current_user, requires_user
from core.validation import MAXIMUM_BIGINT

_PNG = "image/png"


@dataclass
class PictureOperation(Operation):
    """Describes a route that answers a picture where ``Accept`` asks for one."""

    def __post_init__(self) -> None:
        """Say that it may be a picture."""
        answer = (self.responses or {}).get("200")
        if isinstance(answer, OpenAPIResponse):
            answer.content = {**(answer.content or {}), _PNG: OpenAPIMediaType(schema=Schema())}


class ServerController(Controller):
    """The servers a number can be put on."""

    path = "/api/servers"
    tags = ("numbers",)
    guards = (requires_user,)

    @get(operation_id="ListServers", summary="List the servers", responses=problem_responses(401, 403, 422))
    async def list_servers(self, request: AnyRequest, page_query: NamedDependency[PageQuery]) -> Page[ServerSummary]:
        """List the servers a number can be put on; sorts by id, name and created_at."""
        wanted = ServerFilter(search=page_query.search)
        return await servers.SUMMARIES.answer_page(request, page_query, wanted)


class NumberController(Controller):
    """The tenant's sending numbers."""

    path = "/api/numbers"
    tags = ("numbers",)
    guards = (requires_user,)

    @get(operation_id="ListNumbers", summary="List your numbers", responses=problem_responses(401, 403, 422))
    async def list_numbers(
        self,
        request: AnyRequest,
        page_query: NamedDependency[PageQuery],
        status_connection: Annotated[
            bool | None, QueryParameter(description="Only numbers that are connected, or that are not.")
        ] = None,
        server_id: Annotated[
            int | None, QueryParameter(ge=1, le=MAXIMUM_BIGINT, description="Only numbers of this server.")
        ] = None,
    ) -> Page[NumberRead]:
        """List your numbers; sorts by id, name and created_at."""
        wanted = services.NumberFilter(status_connection=status_connection, server_id=server_id)
        found, total = await services.list_numbers(current_user(request).id, page_query, wanted)
        return build_page(found, total, page_query, request)

    @post(
        operation_id="CreateNumber",
        guards=[has_room("numbers")],
        summary="Add a number",
        middleware=[IDEMPOTENT],
        responses=problem_responses(400, 401, 402, 403, 409, 413, 415, 422),
    )
    async def create_number(self, request: AnyRequest, data: JSONBody[NumberCreate]) -> Resource[NumberRead]:
        """Add a number on a server; connect it next."""
        return Resource(await services.create_number(current_user(request).id, data))

    @get(
        "/{number_id:int}",
        operation_id="ShowNumber",
        summary="Show a number",
        responses=problem_responses(401, 403, 404),
    )
    async def show_number(self, request: AnyRequest, number_id: FromPath[int]) -> Resource[NumberRead]:
        """Show one number and its connection."""
        return Resource(await services.get_number(current_user(request).id, number_id))

    @patch(
        "/{number_id:int}",
        operation_id="UpdateNumber",
        summary="Change a number",
        responses=problem_responses(400, 401, 403, 404, 413, 415, 422),
    )
    async def update_number(
        self, request: AnyRequest, number_id: FromPath[int], data: JSONBody[NumberUpdate]
    ) -> Resource[NumberUpdated]:
        """Rename a number, take it out of use, or have its events told to an address of your own.

        The secret of that address is shown in the answer that first sets it, and never again: roll it at
        `POST /api/webhook-endpoints/{endpoint_id}/secret`.
        """
        return Resource(await services.update_number(current_user(request).id, number_id, data))

    @delete(
        "/{number_id:int}",
        operation_id="DeleteNumber",
        summary="Delete a number",
        responses=problem_responses(401, 403, 404),
    )
    async def delete_number(self, request: AnyRequest, number_id: FromPath[int]) -> None:
        """Delete a number here and on its server; a server that does not answer is asked again later."""
        await services.delete_number(current_user(request).id, number_id)


class NumberConnectionController(Controller):
    """Sign numbers in and out, and try them."""

    path = "/api/numbers/{number_id:int}"
    tags = ("numbers",)
    guards = (requires_user,)

    @post(
        "/connect",
        operation_id="ConnectNumber",
        summary="Connect a number",
        status_code=200,
        responses=problem_responses(401, 403, 404, 409, 502),
    )
    async def connect(self, request: AnyRequest, number_id: FromPath[int]) -> Resource[NumberRead]:
        """Start the number on its server; while ``connection`` is ``sign_in`` it waits for a scan of its QR code."""
        return Resource(await connecting.connect(current_user(request).id, number_id))

    @post(
        "/disconnect",
        operation_id="DisconnectNumber",
        summary="Disconnect a number",
        status_code=200,
        responses=problem_responses(401, 403, 404, 409, 502),
    )
    async def disconnect(self, request: AnyRequest, number_id: FromPath[int]) -> Resource[NumberRead]:
        """Stop the number and keep its sign-in."""
        return Resource(await connecting.disconnect(current_user(request).id, number_id))

    @post(
        "/logout",
        operation_id="LogOutNumber",
        summary="Log a number out",
        status_code=200,
        responses=problem_responses(401, 403, 404, 409, 502),
    )
    async def log_out(self, request: AnyRequest, number_id: FromPath[int]) -> Resource[NumberRead]:
        """Forget the number's sign-in; it needs a new QR scan afterwards."""
        return Resource(await connecting.sign_out(current_user(request).id, number_id))

    @post(
        "/restart",
        operation_id="RestartNumber",
        summary="Restart a number",
        status_code=200,
        responses=problem_responses(401, 403, 404, 409, 502),
    )
    async def restart(self, request: AnyRequest, number_id: FromPath[int]) -> Resource[NumberRead]:
        """Stop and start the number on its server; its sign-in is kept."""
        return Resource(await connecting.restart(current_user(request).id, number_id))

    @get(
        "/screenshot",
        operation_id="ShowNumberScreenshot",
        summary="Show a number's browser",
        media_type="image/*",
        responses={
            200: ResponseSpec(bytes, description="The picture.", media_type="image/*"),
            **problem_responses(401, 403, 404, 409, 502),
        },
    )
    async def show_screenshot(self, request: AnyRequest, number_id: FromPath[int]) -> Response[bytes]:
        """Show what the number's browser shows, on servers that run one."""
        picture = await connecting.screenshot(current_user(request).id, number_id)
        return Response(picture.content, media_type=picture.mimetype, headers={"cache-control": "no-store"})

    @get(
        "/qr",
        operation_id="ShowNumberQr",
        summary="Show the sign-in code",
        media_type=MediaType.JSON,
        operation_class=PictureOperation,
        responses={
            200: ResponseSpec(Resource[ChallengeRead], description="The code; as image/png where Accept asks for it."),
            **problem_responses(401, 403, 404, 409, 422, 502),
        },
    )
    async def show_qr(
        self,
        request: AnyRequest,
        number_id: FromPath[int],
        phone: Annotated[
            str | None,
            QueryParameter(max_length=32, description="Answer a pairing code for this phone instead of a QR code."),
        ] = None,
    ) -> Response[Any]:
        """Answer the QR code as a PNG picture, or as JSON where ``Accept`` prefers it; a pairing code as JSON."""
        found = await connecting.challenge(current_user(request).id, number_id, phone)
        wants_picture = request.accept.best_match([_PNG, MediaType.JSON], default=_PNG) == _PNG
        if found.kind == "qr" and wants_picture:
            return Response(connecting.draw_qr(found.value), media_type=_PNG, headers={"vary": "accept"})
        return Response(Resource(found), media_type=MediaType.JSON, headers={"vary": "accept"})

    @post(
        "/check",
        operation_id="CheckPhone",
        opt={SCOPE: "send"},
        summary="Look a phone number up",
        status_code=200,
        responses=problem_responses(400, 401, 403, 404, 409, 413, 415, 422, 502),
    )
    async def check(
        self, request: AnyRequest, number_id: FromPath[int], data: JSONBody[CheckCreate]
    ) -> Resource[CheckRead]:
        """Say whether a phone number uses the service; answers are remembered for up to 30 days."""
        return Resource(await checks.check_phone(current_user(request).id, number_id, data.phone))


CONTROLLERS: tuple[type[Controller], ...] = (
    ServerController,
    NumberController,
    NumberConnectionController,
    *ADMINISTRATION,
)
