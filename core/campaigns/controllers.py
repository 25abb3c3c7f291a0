"""Campaign routes: parse, call a service, return a schema."""

import csv
import io
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from litestar import Controller, Request, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter
from litestar.response import Stream

from core.campaigns import explain, queries, services
from core.campaigns.schemas import (
    CampaignCreate,
    CampaignListed,
    CampaignRead,
    CampaignUpdate,
    Explanation,
    RecipientRead,
    Report,
    Resolve,
)
from core.campaigns.tables import CampaignStatus, RecipientState
from core.campaigns.versions import expecting
from core.errors import InvalidInputError
from core.idempotency.middleware import IDEMPOTENT
from core.pagination import Page, PageQuery, Resource, build_page
from core.problems import language_of, problem_responses
from core.security import current_user, requires_user
from core.texts import text
from core.versions import TAGGED, IfMatch, versioned

CampaignId = Annotated[int, PathParameter(ge=1, le=2**63 - 1, description="The campaign's id.")]
RecipientId = Annotated[int, PathParameter(ge=1, le=2**63 - 1, description="The recipient row's id.")]
CampaignStatusQuery = Annotated[CampaignStatus | None, QueryParameter(description="Only campaigns in this status.")]
MessageIdQuery = Annotated[int | None, QueryParameter(ge=1, le=2**63 - 1, description="Only rows of this message.")]
RecipientStateQuery = Annotated[
    str | None,
    QueryParameter(
        name="state", description="Only rows in this state.", schema_extra={"enum": [*map(str, RecipientState)]}
    ),
]
"""A plain text: Litestar keeps the name ``state`` for itself and would name another field in its error."""
HttpRequest = Request[Any, Any, Any]

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


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
        items, total = await queries.list_campaigns(current_user(request).id, page_query, status)
        return build_page(items, total, page_query, request)

    @post(
        operation_id="CreateCampaign",
        summary="Make a campaign",
        response_headers=TAGGED,
        middleware=[IDEMPOTENT],
        responses=problem_responses(401, 403, 402, 422),
    )
    async def create_campaign(
        self, request: HttpRequest, data: JSONBody[CampaignCreate]
    ) -> Response[Resource[CampaignRead]]:
        """Make a campaign as a draft."""
        user_id = current_user(request).id
        return await self._read(user_id, await services.create_campaign(user_id, data))

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
        responses=problem_responses(401, 403, 404, 409, 422),
    )
    async def update_campaign(
        self, request: HttpRequest, campaign_id: CampaignId, data: JSONBody[CampaignUpdate], if_match: IfMatch = None
    ) -> Response[Resource[CampaignRead]]:
        """Change a draft; fields that are absent stay. `If-Match` keeps it from undoing what another person did."""
        user_id = current_user(request).id
        async with expecting(user_id, campaign_id, if_match):
            await services.update_campaign(user_id, campaign_id, data)
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
            await services.delete_campaign(user_id, campaign_id)

    @post(
        "/{campaign_id:int}/start",
        operation_id="StartCampaign",
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
        summary="Retry what failed",
        response_headers=TAGGED,
        status_code=202,
        middleware=[IDEMPOTENT],
        responses=problem_responses(401, 403, 404, 409),
    )
    async def retry_campaign(
        self, request: HttpRequest, campaign_id: CampaignId, if_match: IfMatch = None
    ) -> Response[Resource[CampaignRead]]:
        """Send failed messages again with what was frozen, but for numbers without WhatsApp."""
        user_id = current_user(request).id
        async with expecting(user_id, campaign_id, if_match):
            await services.retry_failed(user_id, campaign_id)
        return await self._read(user_id, campaign_id)

    async def _read(self, user_id: int, campaign_id: int) -> Response[Resource[CampaignRead]]:
        return versioned(await queries.get_campaign(user_id, campaign_id))


class CampaignResultController(Controller):
    """What becomes of a campaign."""

    path = "/api/campaigns/{campaign_id:int}"
    tags = ("campaigns",)
    guards = (requires_user,)

    @get(
        "/recipients",
        operation_id="ListRecipients",
        summary="List the recipients",
        responses=problem_responses(401, 403, 404, 422),
    )
    async def list_recipients(
        self,
        request: HttpRequest,
        campaign_id: CampaignId,
        page_query: NamedDependency[PageQuery],
        recipient_state: RecipientStateQuery = None,
        message_id: MessageIdQuery = None,
    ) -> Page[RecipientRead]:
        """List one row for each message and contact; ``search`` looks into numbers."""
        user_id = current_user(request).id
        state = _parse_state(recipient_state)
        items, total = await queries.list_recipients(user_id, campaign_id, page_query, state, message_id)
        return build_page(items, total, page_query, request)

    @post(
        "/recipients/{recipient_id:int}/resolve",
        operation_id="ResolveRecipient",
        summary="Resolve a recipient in doubt",
        status_code=200,
        responses=problem_responses(401, 403, 404, 409, 422),
    )
    async def resolve_recipient(
        self, request: HttpRequest, campaign_id: CampaignId, recipient_id: RecipientId, data: JSONBody[Resolve]
    ) -> Resource[RecipientRead]:
        """Decide of a message whose outcome stayed unknown: send it again, or assume it was sent."""
        user_id = current_user(request).id
        await services.resolve_recipient(user_id, campaign_id, recipient_id, data.action)
        return Resource(await queries.get_recipient(user_id, campaign_id, recipient_id))

    @get("/report", operation_id="ShowReport", summary="Show the report", responses=problem_responses(401, 403, 404))
    async def get_report(self, request: HttpRequest, campaign_id: CampaignId) -> Resource[Report]:
        """Sum the campaign up."""
        return Resource(await queries.report(current_user(request).id, campaign_id))

    @get(
        "/report.csv",
        operation_id="DownloadReport",
        summary="Download the report",
        media_type="text/csv",
        responses=problem_responses(401, 403, 404),
    )
    async def download_report(self, request: HttpRequest, campaign_id: CampaignId) -> Stream:
        """Download every recipient row as CSV (UTF-8)."""
        user_id = current_user(request).id
        await queries.report(user_id, campaign_id)
        name = f"campaign-{campaign_id}.csv"
        return Stream(
            _csv_lines(user_id, campaign_id),
            media_type="text/csv",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    @get(
        "/explain",
        operation_id="ExplainCampaign",
        summary="Explain what is happening",
        responses=problem_responses(401, 403, 404),
    )
    async def explain_campaign(self, request: HttpRequest, campaign_id: CampaignId) -> Resource[Explanation]:
        """Say why nothing is being sent right now, and when the next message is due."""
        found = await explain.explain(current_user(request).id, campaign_id)
        return Resource(explain.translate(found, language_of(request.scope)))


def _parse_state(given: str | None) -> RecipientState | None:
    try:
        return RecipientState(given) if given else None
    except ValueError:
        raise InvalidInputError({"state": [text("choice", allowed=", ".join(RecipientState))]}) from None


async def _csv_lines(user_id: int, campaign_id: int) -> AsyncIterator[str]:
    names = RecipientRead.__struct_fields__
    yield ",".join(names) + "\r\n"
    async for rows in queries.stream_recipients(user_id, campaign_id):
        buffer = io.StringIO()
        writer = csv.writer(buffer)
        for row in rows:
            writer.writerow([_cell(value) for value in msgspec.to_builtins(row).values()])
        yield buffer.getvalue()


def _cell(value: object) -> object:
    """Write booleans as the API does, and neutralise what a spreadsheet would run as a formula."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return "'" + value
    return value


CONTROLLERS = (CampaignController, CampaignResultController)
