"""Campaign routes: parse, call a service, return a schema."""

from typing import Annotated, Any

from litestar import Controller, Request, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter
from litestar.response import Stream

from core.campaigns import editing, queries, resolving, services
from core.campaigns.entropy_controllers import CampaignEntropyController
from core.campaigns.merge_controllers import ContactMergeController
from core.campaigns.result_controllers import CampaignResultController
from core.campaigns.schemas import (
    CampaignCreate,
    CampaignFilter,
    CampaignListed,
    CampaignRead,
    CampaignUpdate,
    Duplicate,
    ResolveMany,
    Retry,
)
from core.campaigns.tables import CampaignStatus
from core.campaigns.timeline_controllers import ContactTimelineController
from core.campaigns.versions import expecting
from core.idempotency.middleware import IDEMPOTENT
from core.listing import SearchQuery, read_search
from core.pagination import Page, PageQuery, Resource
from core.plans.guards import has_room
from core.problems import problem_responses
from core.security import SCOPE, current_user, requires_user
from core.spreadsheets import MEDIA_TYPE
from core.versions import TAGGED, IfMatch, versioned

CampaignId = Annotated[int, PathParameter(ge=1, le=2**63 - 1, description="The campaign's id.")]
CampaignStatusQuery = Annotated[CampaignStatus | None, QueryParameter(description="Only campaigns in this status.")]
HttpRequest = Request[Any, Any, Any]


class CampaignController(Controller):
    """Campaigns of the signed-in user."""

    path = "/api/campaigns"
    tags = ("campaigns",)
    guards = (requires_user,)

    @get(operation_id="ListCampaigns", summary="List the campaigns", responses=problem_responses(401, 403, 422))
    async def list_campaigns(
        self, request: HttpRequest, page_query: NamedDependency[PageQuery], status: CampaignStatusQuery = None
    ) -> Page[CampaignListed]:
        """List campaigns, newest first; ``search`` looks into names."""
        wanted = CampaignFilter(user_id=current_user(request).id, status=status, search=page_query.search)
        return await queries.CAMPAIGNS.answer_page(request, page_query, wanted)

    @post(
        operation_id="CreateCampaign",
        guards=[has_room("campaigns")],
        summary="Make a campaign",
        response_headers=TAGGED,
        middleware=[IDEMPOTENT],
        responses=problem_responses(401, 403, 402, 409, 422),
    )
    async def create_campaign(
        self, request: HttpRequest, data: JSONBody[CampaignCreate]
    ) -> Response[Resource[CampaignRead]]:
        """Make a campaign as a draft."""
        user_id = current_user(request).id
        return await self._read(user_id, await editing.create_campaign(user_id, data))

    @get(
        "/{campaign_id:int}",
        operation_id="ShowCampaign",
        summary="Show a campaign",
        response_headers=TAGGED,
        responses=problem_responses(401, 403, 404),
    )
    async def get_campaign(self, request: HttpRequest, campaign_id: CampaignId) -> Response[Resource[CampaignRead]]:
        """Return a campaign with its messages and progress."""
        return await self._read(current_user(request).id, campaign_id)

    @patch(
        "/{campaign_id:int}",
        operation_id="UpdateCampaign",
        summary="Change a campaign",
        response_headers=TAGGED,
        responses=problem_responses(401, 402, 403, 404, 409, 422),
    )
    async def update_campaign(
        self, request: HttpRequest, campaign_id: CampaignId, data: JSONBody[CampaignUpdate], if_match: IfMatch = None
    ) -> Response[Resource[CampaignRead]]:
        """Change a draft, or of a running campaign what is not leased yet; fields that are absent stay.

        `If-Match` keeps it from undoing what another person did.
        """
        user_id = current_user(request).id
        async with expecting(user_id, campaign_id, if_match):
            await editing.update_campaign(user_id, campaign_id, data)
        return await self._read(user_id, campaign_id)

    @delete(
        "/{campaign_id:int}",
        operation_id="DeleteCampaign",
        summary="Delete a campaign",
        responses=problem_responses(401, 403, 404, 409),
    )
    async def delete_campaign(self, request: HttpRequest, campaign_id: CampaignId, if_match: IfMatch = None) -> None:
        """Delete a campaign that is not sending."""
        user_id = current_user(request).id
        async with expecting(user_id, campaign_id, if_match):
            await editing.delete_campaign(user_id, campaign_id)

    @post(
        "/{campaign_id:int}/start",
        operation_id="StartCampaign",
        opt={SCOPE: "send"},
        summary="Start a campaign",
        response_headers=TAGGED,
        status_code=202,
        middleware=[IDEMPOTENT],
        responses=problem_responses(401, 403, 402, 404, 409, 422),
    )
    async def start_campaign(
        self, request: HttpRequest, campaign_id: CampaignId, if_match: IfMatch = None
    ) -> Response[Resource[CampaignRead]]:
        """Start now, or at ``schedule_date`` when that lies ahead; the audience is frozen in the background."""
        user_id = current_user(request).id
        async with expecting(user_id, campaign_id, if_match):
            await services.start_campaign(user_id, campaign_id)
        return await self._read(user_id, campaign_id)

    @post(
        "/{campaign_id:int}/pause",
        operation_id="PauseCampaign",
        opt={SCOPE: "send"},
        summary="Pause a campaign",
        response_headers=TAGGED,
        status_code=200,
        responses=problem_responses(401, 403, 404, 409),
    )
    async def pause_campaign(
        self, request: HttpRequest, campaign_id: CampaignId, if_match: IfMatch = None
    ) -> Response[Resource[CampaignRead]]:
        """Send nothing more until it is resumed."""
        user_id = current_user(request).id
        async with expecting(user_id, campaign_id, if_match):
            await services.pause_campaign(user_id, campaign_id)
        return await self._read(user_id, campaign_id)

    @post(
        "/{campaign_id:int}/resume",
        operation_id="ResumeCampaign",
        opt={SCOPE: "send"},
        summary="Resume a campaign",
        response_headers=TAGGED,
        status_code=200,
        responses=problem_responses(401, 403, 404, 409),
    )
    async def resume_campaign(
        self, request: HttpRequest, campaign_id: CampaignId, if_match: IfMatch = None
    ) -> Response[Resource[CampaignRead]]:
        """Go on where it was paused."""
        user_id = current_user(request).id
        async with expecting(user_id, campaign_id, if_match):
            await services.resume_campaign(user_id, campaign_id)
        return await self._read(user_id, campaign_id)

    @post(
        "/{campaign_id:int}/cancel",
        operation_id="CancelCampaign",
        opt={SCOPE: "send"},
        summary="Cancel a campaign",
        response_headers=TAGGED,
        status_code=200,
        responses=problem_responses(401, 403, 404, 409),
    )
    async def cancel_campaign(
        self, request: HttpRequest, campaign_id: CampaignId, if_match: IfMatch = None
    ) -> Response[Resource[CampaignRead]]:
        """End the campaign; what is pending is skipped."""
        user_id = current_user(request).id
        async with expecting(user_id, campaign_id, if_match):
            await services.cancel_campaign(user_id, campaign_id)
        return await self._read(user_id, campaign_id)

    @post(
        "/{campaign_id:int}/retry",
        operation_id="RetryCampaign",
        opt={SCOPE: "send"},
        summary="Retry what failed",
        response_headers=TAGGED,
        status_code=202,
        middleware=[IDEMPOTENT],
        responses=problem_responses(401, 403, 404, 409, 422),
    )
    async def retry_campaign(
        self,
        request: HttpRequest,
        campaign_id: CampaignId,
        data: JSONBody[Retry | None] = None,
        if_match: IfMatch = None,
    ) -> Response[Resource[CampaignRead]]:
        """Send failed messages again with what was frozen, all or those of some reasons or classes."""
        user_id = current_user(request).id
        async with expecting(user_id, campaign_id, if_match):
            await resolving.retry_failed(user_id, campaign_id, data)
        return await self._read(user_id, campaign_id)

    @post(
        "/{campaign_id:int}/resolve",
        operation_id="ResolveCampaign",
        opt={SCOPE: "send"},
        summary="Resolve every recipient in doubt",
        response_headers=TAGGED,
        status_code=202,
        middleware=[IDEMPOTENT],
        responses=problem_responses(401, 403, 404, 409, 422),
    )
    async def resolve_campaign(
        self, request: HttpRequest, campaign_id: CampaignId, data: JSONBody[ResolveMany], if_match: IfMatch = None
    ) -> Response[Resource[CampaignRead]]:
        """Decide of all messages whose outcome stayed unknown: send them again, or assume they were sent."""
        user_id = current_user(request).id
        async with expecting(user_id, campaign_id, if_match):
            await resolving.resolve_many(user_id, campaign_id, data)
        return await self._read(user_id, campaign_id)

    @post(
        "/{campaign_id:int}/duplicate",
        operation_id="DuplicateCampaign",
        summary="Copy a campaign",
        response_headers=TAGGED,
        middleware=[IDEMPOTENT],
        responses=problem_responses(401, 403, 402, 404, 422),
    )
    async def duplicate_campaign(
        self, request: HttpRequest, campaign_id: CampaignId, data: JSONBody[Duplicate | None] = None
    ) -> Response[Resource[CampaignRead]]:
        """Make a draft with everything of the campaign but its date and its results."""
        user_id = current_user(request).id
        name = data.name if data is not None else None
        return await self._read(user_id, await editing.duplicate_campaign(user_id, campaign_id, name))

    async def _read(self, user_id: int, campaign_id: int) -> Response[Resource[CampaignRead]]:
        return versioned(await queries.get_campaign(user_id, campaign_id))


class CampaignDownloadController(Controller):
    """Campaigns of the signed-in user as a file."""

    path = "/api/campaigns.csv"
    tags = ("campaigns",)
    guards = (requires_user,)

    @get(
        operation_id="DownloadCampaigns",
        summary="Download the campaigns",
        media_type=MEDIA_TYPE,
        responses=problem_responses(401, 403, 422),
    )
    async def download_campaigns(
        self, request: HttpRequest, status: CampaignStatusQuery = None, search: SearchQuery = None
    ) -> Stream:
        """Download the campaigns with their totals as CSV (UTF-8), all of them or those of a filter."""
        wanted = CampaignFilter(user_id=current_user(request).id, status=status, search=read_search(search))
        return await queries.CAMPAIGNS.download("campaigns.csv", wanted)


CONTROLLERS = (
    CampaignController,
    CampaignDownloadController,
    CampaignResultController,
    CampaignEntropyController,
    ContactTimelineController,
    ContactMergeController,
)
