"""Routes of the administration of servers and numbers."""

from typing import Annotated

from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Stream

from core.listing import SearchQuery, SinceQuery, UntilQuery, UserIdQuery, read_moment, read_search
from core.numbers import administration, health, moving, servers, services
from core.numbers.schemas import (
    NumberAdministrationFilter,
    NumberAdministrationRead,
    NumberGrant,
    NumberMove,
    NumberRead,
    ServerCreate,
    ServerFilter,
    ServerHealthRead,
    ServerRead,
    ServerUpdate,
)
from core.pagination import Cursor, Page, PageQuery, Resource, Scroll, build_page
from core.plugin import SenderState
from core.problems import problem_responses
from core.request import AnyRequest
from core.security import requires_administrator
from core.spreadsheets import MEDIA_TYPE
from core.validation import MAXIMUM_BIGINT

ProviderQuery = Annotated[
    str | None, QueryParameter(max_length=60, description="Only those of this provider, such as `waha`.")
]


def server_filter(
    *,
    provider: ProviderQuery = None,
    status: Annotated[
        bool | None, QueryParameter(description="Only servers that answered when last asked, or that did not.")
    ] = None,
    search: SearchQuery = None,
) -> ServerFilter:
    """Provide what lists of servers filter by."""
    return ServerFilter(provider=provider or None, status=status, search=read_search(search))


def number_filter(  # noqa: PLR0913 - one for each parameter of the address
    *,
    user_id: UserIdQuery = None,
    server_id: Annotated[
        int | None, QueryParameter(ge=1, le=MAXIMUM_BIGINT, description="Only numbers of this server.")
    ] = None,
    provider: ProviderQuery = None,
    connection: Annotated[SenderState | None, QueryParameter(description="Only numbers in this state.")] = None,
    status_connection: Annotated[
        bool | None, QueryParameter(description="Only numbers that are connected, or that are not.")
    ] = None,
    status: Annotated[
        bool | None, QueryParameter(description="Only numbers that campaigns may send from, or may not.")
    ] = None,
    extra: Annotated[
        bool | None, QueryParameter(description="Only numbers beyond their user's plan, or within it.")
    ] = None,
    since: SinceQuery = None,
    until: UntilQuery = None,
    search: SearchQuery = None,
) -> NumberAdministrationFilter:
    """Provide what lists of everybody's numbers filter by; wrong values are 422 and named."""
    return NumberAdministrationFilter(
        user_id=user_id,
        server_id=server_id,
        provider=provider or None,
        connection=connection,
        status=status,
        status_connection=status_connection,
        extra=extra,
        since=read_moment("from", since),
        until=read_moment("to", until),
        search=read_search(search),
    )


SERVER_FILTERS = {"server_filter": Provide(server_filter, sync_to_thread=False)}
NUMBER_FILTERS = {"number_filter": Provide(number_filter, sync_to_thread=False)}


class ServerAdministrationController(Controller):
    """Add, change and probe servers."""

    path = "/api/admin/servers"
    tags = ("administration",)
    guards = (requires_administrator,)

    @get(
        operation_id="AdminListServers",
        summary="List the servers",
        dependencies=SERVER_FILTERS,
        responses=problem_responses(401, 403, 422),
    )
    async def list_servers(
        self, request: AnyRequest, page_query: NamedDependency[PageQuery], server_filter: NamedDependency[ServerFilter]
    ) -> Page[ServerRead]:
        """List all servers with their state and what they can do; `search` looks at name and url.

        Sorts by id, name, provider, status, capacity, numbers, numbers_connected, checked_at and created_at.
        """
        return await servers.SERVERS.answer_page(request, page_query, server_filter)

    @post(
        operation_id="AdminCreateServer",
        summary="Add a server",
        responses=problem_responses(400, 401, 403, 413, 415, 422),
    )
    async def create_server(self, data: JSONBody[ServerCreate]) -> Resource[ServerRead]:
        """Add a server and probe it; one that does not answer is added with ``status`` false and the reason."""
        return Resource(await health.note_server(await servers.create_server(data)))

    @get(
        "/{server_id:int}",
        operation_id="AdminShowServer",
        summary="Show a server",
        responses=problem_responses(401, 403, 404),
    )
    async def show_server(self, server_id: FromPath[int]) -> Resource[ServerRead]:
        """Show one server; secrets are masked."""
        return Resource(await servers.get_server(server_id))

    @patch(
        "/{server_id:int}",
        operation_id="AdminUpdateServer",
        summary="Change a server",
        responses=problem_responses(400, 401, 403, 404, 413, 415, 422, 502),
    )
    async def update_server(self, server_id: FromPath[int], data: JSONBody[ServerUpdate]) -> Resource[ServerRead]:
        """Change a server; a secret sent as ``***`` stays as it is. A new url or key is probed at once."""
        return Resource(await servers.update_server(server_id, data))

    @delete(
        "/{server_id:int}",
        operation_id="AdminDeleteServer",
        summary="Delete a server",
        responses=problem_responses(401, 403, 404, 409),
    )
    async def delete_server(self, server_id: FromPath[int]) -> None:
        """Delete a server that holds no numbers."""
        await servers.delete_server(server_id)

    @post(
        "/{server_id:int}/probe",
        operation_id="AdminProbeServer",
        summary="Probe a server",
        status_code=200,
        responses=problem_responses(401, 403, 404),
    )
    async def probe_server(self, server_id: FromPath[int]) -> Resource[ServerRead]:
        """Ask the server what it can do; its ``status`` says whether it answered."""
        return Resource(await health.examine_server(server_id))

    @get(
        "/{server_id:int}/health",
        operation_id="AdminListServerHealth",
        summary="List how a server was",
        responses=problem_responses(401, 403, 404, 422),
    )
    async def list_health(
        self, request: AnyRequest, server_id: FromPath[int], page_query: NamedDependency[PageQuery]
    ) -> Page[ServerHealthRead]:
        """List what was seen of a server in the last 14 days, the newest first; sorts by checked_at."""
        found, total = await health.list_health(server_id, page_query)
        return build_page(found, total, page_query, request)


class NumberAdministrationController(Controller):
    """Everybody's numbers: which there are, beyond plans, and where they are."""

    path = "/api/admin/numbers"
    tags = ("administration",)
    guards = (requires_administrator,)

    @get(
        operation_id="AdminListNumbers",
        summary="List everybody's numbers",
        dependencies=NUMBER_FILTERS,
        responses=problem_responses(401, 403, 422),
    )
    async def list_numbers(
        self,
        request: AnyRequest,
        page_query: NamedDependency[PageQuery],
        number_filter: NamedDependency[NumberAdministrationFilter],
        cursor: Cursor = None,
    ) -> Page[NumberAdministrationRead] | Scroll[NumberAdministrationRead]:
        """List the numbers of all users, the newest first; `search` looks at name, number, instance and user_email.

        `from` and `to` look at created_at. Sorts by id, name, number, connection, user_id, server_id, last_event_at and
        created_at. With `cursor` the list is not counted: follow `meta.next_cursor`.
        """
        return await administration.NUMBERS.answer(request, page_query, number_filter, cursor)

    @post(
        operation_id="AdminGrantNumber",
        summary="Grant a number",
        responses=problem_responses(400, 401, 403, 409, 413, 415, 422),
    )
    async def grant_number(self, data: JSONBody[NumberGrant]) -> Resource[NumberRead]:
        """Add a number to a user that does not count against the plan."""
        return Resource(await services.grant_number(data))

    @post(
        "/{number_id:int}/move",
        operation_id="AdminMoveNumber",
        summary="Move a number to another server",
        status_code=200,
        responses=problem_responses(400, 401, 403, 404, 409, 413, 415, 422),
    )
    async def move_number(self, number_id: FromPath[int], data: JSONBody[NumberMove]) -> Resource[NumberRead]:
        """Put a number on another server of its provider; it is taken off the old one and has to be signed in again."""
        return Resource(await moving.move_number(number_id, data.server_id))


class DownloadController(Controller):
    """Servers and numbers as files."""

    path = "/api/admin"
    tags = ("administration",)
    guards = (requires_administrator,)

    @get(
        "/servers.csv",
        operation_id="AdminDownloadServers",
        summary="Download the servers",
        dependencies=SERVER_FILTERS,
        media_type=MEDIA_TYPE,
        responses=problem_responses(401, 403, 422),
    )
    async def download_servers(self, server_filter: NamedDependency[ServerFilter]) -> Stream:
        """Download servers as CSV (UTF-8), all of them or those of a filter; secrets are masked."""
        return await servers.SERVERS.download("servers.csv", server_filter)

    @get(
        "/numbers.csv",
        operation_id="AdminDownloadNumbers",
        summary="Download everybody's numbers",
        dependencies=NUMBER_FILTERS,
        media_type=MEDIA_TYPE,
        responses=problem_responses(401, 403, 422),
    )
    async def download_numbers(self, number_filter: NamedDependency[NumberAdministrationFilter]) -> Stream:
        """Download the numbers of all users as CSV (UTF-8), all of them or those of a filter."""
        return await administration.NUMBERS.download("numbers.csv", number_filter)


ADMINISTRATION: tuple[type[Controller], ...] = (
    ServerAdministrationController,
    NumberAdministrationController,
    DownloadController,
)
