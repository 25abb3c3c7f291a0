"""Routes of what becomes of a campaign: recipients, report, explanations."""

from typing import Annotated, Any

import msgspec
from litestar import Controller, Request, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import JSONBody, PathParameter, QueryParameter
from litestar.response import Stream

from core.campaigns import explain, flight_plan, queries, recipients, reports, resolving
from core.campaigns.preview import preview
from core.campaigns.recipients import RecipientFilter
from core.campaigns.report_schemas import Report
from core.campaigns.schemas import (
    Explanation,
    FlightPlan,
    Preview,
    RecipientRead,
    Resolve,
)
from core.campaigns.tables import RecipientState
from core.errors import InvalidInputError
from core.pagination import Cursor, Page, PageQuery, Resource, Scroll, build_page, build_scroll
from core.plans.services import ensure_feature
from core.problems import language_of, problem_responses
from core.security import SCOPE, current_user, requires_user
from core.spreadsheets import MEDIA_TYPE, download, write_structs
from core.texts import text

CampaignId = Annotated[int, PathParameter(ge=1, le=2**63 - 1, description="The campaign's id.")]
RecipientId = Annotated[int, PathParameter(ge=1, le=2**63 - 1, description="The recipient row's id.")]
MessageIdQuery = Annotated[int | None, QueryParameter(ge=1, le=2**63 - 1, description="Only rows of this message.")]
NumberIdQuery = Annotated[
    int | None, QueryParameter(ge=1, le=2**63 - 1, description="Only rows of this sending number.")
]
ContactIdQuery = Annotated[int | None, QueryParameter(ge=1, le=2**63 - 1, description="For this contact.")]
StatesQuery = Annotated[
    list[str] | None,
    QueryParameter(
        name="state",
        description="Only rows in this state; given several times, in one of them.",
        max_items=20,
        schema_extra={"items": {"type": "string", "enum": [*map(str, RecipientState)]}},
    ),
]
"""Plain texts: Litestar keeps the name ``state`` for itself and would name another field in its error."""
HttpRequest = Request[Any, Any, Any]


class Receipts(msgspec.Struct, frozen=True):
    """The filter by what came back."""

    delivered: bool | None
    readed: bool | None
    replied: bool | None
    needs_attention: bool | None


def receipts(
    *,
    delivered: Annotated[bool | None, QueryParameter(description="Only rows that were delivered, or were not.")] = None,
    readed: Annotated[bool | None, QueryParameter(description="Only rows read, or those not.")] = None,
    replied: Annotated[bool | None, QueryParameter(description="Only rows answered, or those not.")] = None,
    needs_attention: Annotated[
        bool | None, QueryParameter(description="Only rows a person has to decide about, or all the others.")
    ] = None,
) -> Receipts:
    """Provide the filter by what came back."""
    return Receipts(delivered, readed, replied, needs_attention)


def recipient_filter(
    *,
    receipts: NamedDependency[Receipts],
    states: StatesQuery = None,
    reason: Annotated[str | None, QueryParameter(max_length=60, description="Only rows with this reason.")] = None,
    message_id: MessageIdQuery = None,
    number_id: NumberIdQuery = None,
    contact_id: Annotated[
        int | None, QueryParameter(ge=1, le=2**63 - 1, description="Only rows of this contact.")
    ] = None,
) -> RecipientFilter:
    """Provide the filter of recipient rows to handlers; wrong values are 422 and named."""
    try:
        chosen = tuple(RecipientState(state) for state in states or () if state)
    except ValueError:
        raise InvalidInputError({"state": [text("choice", allowed=", ".join(RecipientState))]}) from None
    return RecipientFilter(
        states=chosen,
        reason=reason or None,
        message_id=message_id,
        number_id=number_id,
        contact_id=contact_id,
        **msgspec.structs.asdict(receipts),
    )


FILTERS = {
    "receipts": Provide(receipts, sync_to_thread=False),
    "recipient_filter": Provide(recipient_filter, sync_to_thread=False),
}


class CampaignResultController(Controller):
    """What becomes of a campaign."""

    path = "/api/campaigns/{campaign_id:int}"
    tags = ("campaigns",)
    guards = (requires_user,)

    @get(
        "/recipients",
        operation_id="ListRecipients",
        summary="List the recipients",
        dependencies=FILTERS,
        responses=problem_responses(401, 403, 404, 422),
    )
    async def list_recipients(
        self,
        request: HttpRequest,
        campaign_id: CampaignId,
        page_query: NamedDependency[PageQuery],
        recipient_filter: NamedDependency[RecipientFilter],
        cursor: Cursor = None,
    ) -> Page[RecipientRead] | Scroll[RecipientRead]:
        """List one row for each message and contact; `search` looks into numbers.

        With `cursor` the list is not counted: follow `meta.next_cursor` until it is null.
        """
        wanted = msgspec.structs.replace(recipient_filter, search=page_query.search)
        user_id = current_user(request).id
        if cursor is None:
            items, total = await recipients.list_recipients(user_id, campaign_id, page_query, wanted)
            return build_page(items, total, page_query, request)
        items, following = await recipients.scroll_recipients(user_id, campaign_id, page_query, wanted, cursor)
        return build_scroll(items, page_query.per_page, following, request)

    @post(
        "/recipients/{recipient_id:int}/resolve",
        opt={SCOPE: "send"},
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
        await resolving.resolve_recipient(user_id, campaign_id, recipient_id, data.action)
        return Resource(await recipients.get_recipient(user_id, campaign_id, recipient_id))

    @get(
        "/recipients/{recipient_id:int}/explain",
        operation_id="ExplainRecipient",
        summary="Explain what happens to a recipient",
        responses=problem_responses(401, 403, 404),
    )
    async def explain_recipient(
        self, request: HttpRequest, campaign_id: CampaignId, recipient_id: RecipientId
    ) -> Resource[Explanation]:
        """Say why a message is not sent right now, with the rules that concern this person alone."""
        user_id = current_user(request).id
        language = language_of(request.scope)
        return Resource(await explain.explain_recipient(user_id, campaign_id, recipient_id, language))

    @get(
        "/preview",
        operation_id="PreviewCampaign",
        summary="Preview the messages",
        responses=problem_responses(401, 403, 404, 422),
    )
    async def preview_campaign(
        self, request: HttpRequest, campaign_id: CampaignId, contact_id: ContactIdQuery = None
    ) -> Resource[list[Preview]]:
        """Show what a contact gets, word for word; without `contact_id`, what a few contacts of the audience get."""
        return Resource(await preview(current_user(request).id, campaign_id, contact_id))

    @get(
        "/report", operation_id="ShowReport", summary="Show the report", responses=problem_responses(401, 402, 403, 404)
    )
    async def get_report(self, request: HttpRequest, campaign_id: CampaignId) -> Resource[Report]:
        """Sum the campaign up."""
        user_id = current_user(request).id
        await queries.find_campaign(user_id, campaign_id)
        await ensure_feature(user_id, "reports", reads=True)
        return Resource(await reports.report(user_id, campaign_id))

    @get(
        "/report.csv",
        operation_id="DownloadReport",
        summary="Download the report",
        dependencies=FILTERS,
        media_type=MEDIA_TYPE,
        responses=problem_responses(401, 402, 403, 404, 422),
    )
    async def download_report(
        self, request: HttpRequest, campaign_id: CampaignId, recipient_filter: NamedDependency[RecipientFilter]
    ) -> Stream:
        """Download the recipient rows as CSV (UTF-8), all of them or those of a filter."""
        user_id = current_user(request).id
        await queries.find_campaign(user_id, campaign_id)
        await ensure_feature(user_id, "reports", reads=True)
        rows = recipients.stream_recipients(campaign_id, recipient_filter)
        return await download(f"campaign-{campaign_id}.csv", write_structs(RecipientRead, rows))

    @get(
        "/explain",
        operation_id="ExplainCampaign",
        summary="Explain what is happening",
        responses=problem_responses(401, 403, 404),
    )
    async def explain_campaign(self, request: HttpRequest, campaign_id: CampaignId) -> Resource[Explanation]:
        """Say why nothing is being sent right now, and when the next message is due."""
        return Resource(await explain.explain(current_user(request).id, campaign_id, language_of(request.scope)))

    @get(
        "/plan",
        operation_id="PlanCampaign",
        summary="Show the flight plan",
        responses=problem_responses(401, 403, 404, 409, 422),
    )
    async def plan_campaign(self, request: HttpRequest, campaign_id: CampaignId) -> Resource[FlightPlan]:
        """Say who is left out and why, and what each number will send on which day, or what remains of it."""
        user_id = current_user(request).id
        return Resource(await flight_plan.plan_campaign(user_id, campaign_id, language_of(request.scope)))
