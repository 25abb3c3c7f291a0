"""Routes of the administration of jobs."""

from typing import Annotated

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from core.jobs import administration
from core.jobs.schemas import JobAdministrationRead
from core.jobs.tables import JobStatus
from core.pagination import Page, PageQuery, Resource, build_page
from core.problems import problem_responses
from core.request import AnyRequest
from core.security import current_user, requires_administrator
from core.validation import MAXIMUM_BIGINT


class JobAdministrationController(Controller):
    """Everybody's long work in the background."""

    path = "/api/admin/jobs"
    tags = ("administration",)
    guards = (requires_administrator,)

    @get(operation_id="AdminListJobs", summary="List all jobs", responses=problem_responses(401, 403, 422))
    async def list_jobs(
        self,
        request: AnyRequest,
        page_query: NamedDependency[PageQuery],
        kind: Annotated[str | None, QueryParameter(max_length=40, description="Only jobs of this kind.")] = None,
        status: Annotated[JobStatus | None, QueryParameter(description="Only jobs that stand so.")] = None,
        user_id: Annotated[
            int | None, QueryParameter(ge=1, le=MAXIMUM_BIGINT, description="Only jobs of this user.")
        ] = None,
    ) -> Page[JobAdministrationRead]:
        """List the jobs of all users, the newest first; sorts by created_at, finished_at and status."""
        found, total = await administration.list_all(page_query, kind, status, user_id)
        return build_page(found, total, page_query, request)

    @post(
        "/{job_id:int}/retry",
        operation_id="AdminRetryJob",
        summary="Retry a failed job",
        status_code=200,
        responses=problem_responses(401, 403, 404, 409),
    )
    async def retry(self, request: AnyRequest, job_id: FromPath[int]) -> Resource[JobAdministrationRead]:
        """Have a failed job go on from its last checkpoint."""
        return Resource(await administration.retry(current_user(request).id, job_id))
