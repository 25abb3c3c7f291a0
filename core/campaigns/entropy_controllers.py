"""Routes of the entropy meter."""

from typing import Annotated, Any

from litestar import Controller, Request, get, post
from litestar.params import PathParameter

from core.campaigns import entropy
from core.campaigns.entropy_schemas import EntropyRead
from core.jobs.schemas import JobRead
from core.pagination import Resource
from core.problems import problem_responses
from core.security import current_user, requires_user

CampaignId = Annotated[int, PathParameter(ge=1, le=2**63 - 1, description="The campaign's id.")]
HttpRequest = Request[Any, Any, Any]


class CampaignEntropyController(Controller):
    """How uniform a campaign's texts are."""

    path = "/api/campaigns/{campaign_id:int}/entropy"
    tags = ("campaigns",)
    guards = (requires_user,)

    @post(
        operation_id="MeasureEntropy",
        summary="Measure how uniform the texts are",
        status_code=202,
        responses=problem_responses(401, 403, 404, 409, 422),
    )
    async def measure_entropy(self, request: HttpRequest, campaign_id: CampaignId) -> Resource[JobRead]:
        """Count the different texts of each message, and whom the most frequent one goes to, in the background.

        Of a large audience 10,000 contacts are looked at. Asking again while it is at work gives the same job.
        """
        return Resource(await entropy.request_measurement(current_user(request).id, campaign_id))

    @get(
        operation_id="ShowEntropy",
        summary="Show how uniform the texts are",
        responses=problem_responses(401, 403, 404),
    )
    async def show_entropy(self, request: HttpRequest, campaign_id: CampaignId) -> Resource[EntropyRead]:
        """Return what was measured last, by request or by a start with a limit, and whether that is still so."""
        return Resource(await entropy.read_measurement(current_user(request).id, campaign_id))
