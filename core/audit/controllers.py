"""Routes of the audit log."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency, Provide
from litestar.params import QueryParameter
from litestar.response import Stream

from core.audit import queries
from core.audit.schemas import LogFilter, LogRead, OwnLogRead
from core.errors import InvalidInputError
from core.pagination import Cursor, Page, PageQuery, Scroll, build_page, build_scroll
from core.problems import problem_responses
from core.request import AnyRequest
from core.security import current_user, requires_administrator, requires_user
from core.texts import text

EntityIdQuery = Annotated[int | None, QueryParameter(ge=1, le=2**63 - 1, description="The id of the row it is about.")]
UserIdQuery = Annotated[
    int | None, QueryParameter(ge=1, le=2**63 - 1, description="Only what was done in this user's name or account.")
]
ActorIdQuery = Annotated[
    int | None, QueryParameter(ge=1, le=2**63 - 1, description="Only what this person did, in whoever's name.")
]
SearchQuery = Annotated[str | None, QueryParameter(max_length=200, description="Text that the lines must contain.")]
ActionQuery = Annotated[
    str | None, QueryParameter(max_length=80, description="The action or its beginning, such as `campaign.`.")
]
EntityQuery = Annotated[str | None, QueryParameter(max_length=40, description="What it is about, such as `contact`.")]
_MOMENT = {"format": "date-time"}
SinceQuery = Annotated[str | None, QueryParameter(name="from", description="The first moment.", schema_extra=_MOMENT)]
UntilQuery = Annotated[
    str | None, QueryParameter(name="to", description="The first moment after it.", schema_extra=_MOMENT)
]
"""Plain texts: Litestar would call a wrong one by another name in its error."""


def log_filter(
    *,
    action: ActionQuery = None,
    entity: EntityQuery = None,
    entity_id: EntityIdQuery = None,
    since: SinceQuery = None,
    until: UntilQuery = None,
) -> LogFilter:
    """Provide what every list of the log filters by; wrong values are 422 and named."""
    return LogFilter(
        action=action or None,
        entity=entity or None,
        entity_id=entity_id,
        since=_moment("from", since),
        until=_moment("to", until),
    )


def _moment(name: str, written: str | None) -> datetime | None:
    if not written:
        return None
    try:
        found: datetime = msgspec.convert(written, Annotated[datetime, msgspec.Meta(tz=True)])
    except msgspec.ValidationError:
        raise InvalidInputError({name: [text("datetime")]}) from None
    return found


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
        user_id = current_user(request).id
        wanted = msgspec.structs.replace(log_filter, account_id=user_id, search=page_query.search)
        if cursor is None:
            lines, total = await queries.list_logs(page_query, wanted, queries.read_own_log)
            return build_page(lines, total, page_query, request)
        lines, following = await queries.scroll_logs(page_query.per_page, wanted, cursor, queries.read_own_log)
        return build_scroll(lines, page_query.per_page, following, request)


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
        wanted = msgspec.structs.replace(log_filter, user_id=user_id, actor_id=actor_id, search=page_query.search)
        if cursor is None:
            lines, total = await queries.list_logs(page_query, wanted, queries.read_log)
            return build_page(lines, total, page_query, request)
        lines, following = await queries.scroll_logs(page_query.per_page, wanted, cursor, queries.read_log)
        return build_scroll(lines, page_query.per_page, following, request)

    @get(
        "/logs.csv",
        operation_id="AdminDownloadLogs",
        summary="Download the log",
        media_type="text/csv",
        responses=problem_responses(401, 403, 422),
    )
    async def download_logs(
        self,
        log_filter: NamedDependency[LogFilter],
        user_id: UserIdQuery = None,
        actor_id: ActorIdQuery = None,
        search: SearchQuery = None,
    ) -> Stream:
        """Download the lines as CSV (UTF-8), all of them or those of a filter."""
        wanted_text = (search or "").strip() or None
        wanted = msgspec.structs.replace(log_filter, user_id=user_id, actor_id=actor_id, search=wanted_text)
        return Stream(
            queries.export_logs(wanted),
            media_type="text/csv",
            headers={"Content-Disposition": 'attachment; filename="logs.csv"'},
        )


CONTROLLERS: tuple[type[Controller], ...] = (LogController, LogAdministrationController)
