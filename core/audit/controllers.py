"""Routes of the audit log."""

from typing import Annotated

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency, Provide
from litestar.params import QueryParameter
from litestar.response import Stream

from core.audit.queries import LOGS, OWN_LOGS
from core.audit.schemas import LogFilter, LogRead, OwnLogRead
from core.listing import SearchQuery, SinceQuery, UntilQuery, read_moment, read_search
from core.pagination import Cursor, Page, PageQuery, Scroll
from core.problems import problem_responses
from core.request import AnyRequest
from core.security import current_user, requires_administrator, requires_user
from core.spreadsheets import MEDIA_TYPE

EntityIdQuery = Annotated[int | None, QueryParameter(ge=1, le=2**63 - 1, description="The id of the row it is about.")]
UserIdQuery = Annotated[
    int | None, QueryParameter(ge=1, le=2**63 - 1, description="Only what was done in this user's name or account.")
]
ActorIdQuery = Annotated[
    int | None, QueryParameter(ge=1, le=2**63 - 1, description="Only what this person did, in whoever's name.")
]
ActionQuery = Annotated[
    str | None, QueryParameter(max_length=80, description="The action or its beginning, such as `campaign.`.")
]
EntityQuery = Annotated[str | None, QueryParameter(max_length=40, description="What it is about, such as `contact`.")]


def log_filter(
    *,
    action: ActionQuery = None,
    entity: EntityQuery = None,
    entity_id: EntityIdQuery = None,
    since: SinceQuery = None,
    until: UntilQuery = None,
    search: SearchQuery = None,
) -> LogFilter:
    """Provide what every list of the log filters by; wrong values are 422 and named."""
    return LogFilter(
        action=action or None,
        entity=entity or None,
        entity_id=entity_id,
        since=read_moment("from", since),
        until=read_moment("to", until),
        search=read_search(search),
    )


FILTERS = {"log_filter": Provide(log_filter, sync_to_thread=False)}


class LogController(Controller):
    """What was done in the signed-in user's account."""

    path = "/api/logs"
    tags = ("accounts",)
    guards = (requires_user,)

    @get(
        operation_id="ListOwnLogs",
        summary="List what was done in one's account",
        dependencies=FILTERS,
        responses=problem_responses(401, 403, 422),
    )
    async def list_own_logs(
        self,
        request: AnyRequest,
        page_query: NamedDependency[PageQuery],
        log_filter: NamedDependency[LogFilter],
        cursor: Cursor = None,
    ) -> Page[OwnLogRead] | Scroll[OwnLogRead]:
        """List what was done in one's account, by oneself and by administrators, the newest first.

        Sorts by id, created_at, action and entity. With `cursor` the list is not counted: follow `meta.next_cursor`.
        """
        wanted = msgspec.structs.replace(log_filter, account_id=current_user(request).id)
        return await OWN_LOGS.answer(request, page_query, wanted, cursor)


class LogAdministrationController(Controller):
    """What was done on the platform."""

    path = "/api/admin"
    tags = ("administration",)
    guards = (requires_administrator,)
    dependencies = FILTERS

    @get("/logs", operation_id="AdminListLogs", summary="List the log", responses=problem_responses(401, 403, 422))
    async def list_logs(
        self,
        request: AnyRequest,
        page_query: NamedDependency[PageQuery],
        log_filter: NamedDependency[LogFilter],
        user_id: UserIdQuery = None,
        actor_id: ActorIdQuery = None,
        cursor: Cursor = None,
    ) -> Page[LogRead] | Scroll[LogRead]:
        """List who did what to which row, the newest first; `search` looks into actions, facts and changes.

        Sorts by id, created_at, action and entity. With `cursor` the list is not counted: follow `meta.next_cursor`.
        """
        wanted = msgspec.structs.replace(log_filter, user_id=user_id, actor_id=actor_id)
        return await LOGS.answer(request, page_query, wanted, cursor)

    @get(
        "/logs.csv",
        operation_id="AdminDownloadLogs",
        summary="Download the log",
        media_type=MEDIA_TYPE,
        responses=problem_responses(401, 403, 422),
    )
    async def download_logs(
        self, log_filter: NamedDependency[LogFilter], user_id: UserIdQuery = None, actor_id: ActorIdQuery = None
    ) -> Stream:
        """Download the lines as CSV (UTF-8), all of them or those of a filter."""
        return await LOGS.download("logs.csv", msgspec.structs.replace(log_filter, user_id=user_id, actor_id=actor_id))


CONTROLLERS: tuple[type[Controller], ...] = (LogController, LogAdministrationController)
