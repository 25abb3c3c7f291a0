"""Routes of jobs."""

from typing import Annotated, Literal

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from core.jobs import services
from core.jobs.admin_controllers import JobAdministrationController
from core.jobs.schemas import JobRead
from core.pagination import Page, PageQuery, Resource, build_page
from core.problems import problem_responses
from core.request import AnyRequest
from core.security import current_user, requires_user

Status = Literal["waiting", "running", "done", "failed", "canceled"]


class JobController(Controller):
    """The tenant's long work in the background."""

    path = "/api/jobs"
    tags = ("jobs",)
    guards = (requires_user,)

    @get(operation_id="ListJobs", summary="List the jobs", responses=problem_responses(401, 403, 422))
    async def list_jobs(
        self,
        request: AnyRequest,
        page_query: NamedDependency[PageQuery],
        kind: Annotated[str | None, QueryParameter(max_length=40, description="Only jobs of this kind.")] = None,
        status: Annotated[Status | None, QueryParameter(description="Only jobs that stand so.")] = None,
    ) -> Page[JobRead]:
        """List the tenant's jobs, newest first; sorts by created_at, finished_at and status."""
        jobs, total = await services.list_jobs(current_user(request).id, page_query, kind, status)
        return build_page(jobs, total, page_query, request)

    @get("/{job_id:int}", operation_id="ShowJob", summary="Show a job", responses=problem_responses(401, 403, 404))
    async def show_job(self, request: AnyRequest, job_id: FromPath[int]) -> Resource[JobRead]:
        """Show one job and its progress."""
        return Resource(await services.get_job(current_user(request).id, job_id))

    @post(
        "/{job_id:int}/cancel",
        operation_id="CancelJob",
        summary="End a job",
        status_code=200,
        responses=problem_responses(401, 403, 404, 409),
    )
    async def cancel_job(self, request: AnyRequest, job_id: FromPath[int]) -> Resource[JobRead]:
        """End a job at its next checkpoint; what it did so far stays."""
        return Resource(await services.cancel_job(current_user(request).id, job_id))


CONTROLLERS: tuple[type[Controller], ...] = (JobController, JobAdministrationController)
