"""The route of a contact's timeline; it tells of campaigns, so it stands with them."""

from typing import Annotated, Any

from litestar import Controller, Request, get
from litestar.params import PathParameter, QueryParameter

from core.campaigns import timeline
from core.campaigns.timeline import TimelineEntry
from core.pagination import DEFAULT_PER_PAGE, MAXIMUM_PER_PAGE, Scroll, build_scroll
from core.problems import problem_responses
from core.security import current_user, requires_user

ContactId = Annotated[int, PathParameter(ge=1, le=2**63 - 1, description="The contact's id.")]
HttpRequest = Request[Any, Any, Any]


class ContactTimelineController(Controller):
    """What happened with a contact."""

    path = "/api/contacts/{contact_id:int}/timeline"
    tags = ("contacts",)
    guards = (requires_user,)

    @get(
        operation_id="ShowContactTimeline",
        summary="Show what happened with a contact",
        responses=problem_responses(401, 403, 404, 422),
    )
    async def show_timeline(
        self,
        request: HttpRequest,
        contact_id: ContactId,
        per_page: Annotated[
            int, QueryParameter(ge=1, le=MAXIMUM_PER_PAGE, description="Entries at once.")
        ] = DEFAULT_PER_PAGE,
        cursor: Annotated[
            str, QueryParameter(max_length=200, description="Where the part before ended; empty to begin.")
        ] = "",
    ) -> Scroll[TimelineEntry]:
        """List all messages of all campaigns with what became of them, opt-outs and blocks, the latest first."""
        user_id = current_user(request).id
        entries, following = await timeline.read_timeline(user_id, contact_id, limit=per_page, cursor=cursor)
        return build_scroll(entries, per_page, following, request)
