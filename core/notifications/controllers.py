"""Routes of the alarms."""

from typing import Annotated

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from core.notifications import alarms
from core.notifications.schemas import AlarmRead
from core.pagination import Page, PageQuery, build_page
from core.problems import language_of, problem_responses
from core.request import AnyRequest
from core.security import requires_administrator


class AlarmController(Controller):
    """What an administrator has to look at."""

    path = "/api/admin/alarms"
    tags = ("administration",)
    guards = (requires_administrator,)

    @get(operation_id="AdminListAlarms", summary="List the alarms", responses=problem_responses(401, 403, 422))
    async def list_alarms(
        self,
        request: AnyRequest,
        page_query: NamedDependency[PageQuery],
        standing: Annotated[
            bool | None, QueryParameter(description="Only alarms whose cause lasts, or that are over.")
        ] = None,
    ) -> Page[AlarmRead]:
        """List the alarms, the newest first; sorts by id, raised_at and noticed_at."""
        language = language_of(request.scope)
        found, total = await alarms.list_alarms(page_query, language, standing=standing)
        return build_page(found, total, page_query, request)


CONTROLLERS: tuple[type[Controller], ...] = (AlarmController,)
