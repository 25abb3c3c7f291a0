"""Routes of plans: what everybody may read, and their administration."""

from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from core.pagination import Page, PageQuery, Resource, build_page
from core.plans import services
from core.plans.schemas import PlanCreate, PlanRead, PlanUpdate
from core.problems import problem_responses
from core.request import AnyRequest
from core.security import current_user, requires_administrator


class PlanController(Controller):
    """The plans on offer."""

    path = "/api/plans"
    tags = ("plans",)

    @get(operation_id="ListPlans", summary="List the plans", responses=problem_responses(422))
    async def list_plans(self, request: AnyRequest, page_query: NamedDependency[PageQuery]) -> Page[PlanRead]:
        """List the plans on offer, the cheapest first; sorts by name, value, created_at and id."""
        plans, total = await services.list_plans(page_query)
        return build_page(plans, total, page_query, request)


class PlanAdministrationController(Controller):
    """Make and change plans."""

    path = "/api/admin/plans"
    tags = ("administration",)
    guards = (requires_administrator,)

    @get(operation_id="AdminListPlans", summary="List the plans", responses=problem_responses(401, 403, 422))
    async def list_plans(self, request: AnyRequest, page_query: NamedDependency[PageQuery]) -> Page[PlanRead]:
        """List all plans; sorts by name, value, created_at and id."""
        plans, total = await services.list_plans(page_query)
        return build_page(plans, total, page_query, request)

    @post(
        operation_id="AdminCreatePlan",
        summary="Make a plan",
        responses=problem_responses(400, 401, 403, 413, 415, 422),
    )
    async def create_plan(self, request: AnyRequest, data: JSONBody[PlanCreate]) -> Resource[PlanRead]:
        """Make a plan."""
        return Resource(await services.create_plan(current_user(request).id, data))

    @get(
        "/{plan_id:int}",
        operation_id="AdminShowPlan",
        summary="Show a plan",
        responses=problem_responses(401, 403, 404),
    )
    async def show_plan(self, plan_id: FromPath[int]) -> Resource[PlanRead]:
        """Show one plan."""
        return Resource(await services.get_plan(plan_id))

    @patch(
        "/{plan_id:int}",
        operation_id="AdminUpdatePlan",
        summary="Change a plan",
        responses=problem_responses(400, 401, 403, 404, 413, 415, 422),
    )
    async def update_plan(
        self, request: AnyRequest, plan_id: FromPath[int], data: JSONBody[PlanUpdate]
    ) -> Resource[PlanRead]:
        """Change a plan; its users have the new limits at once."""
        return Resource(await services.update_plan(current_user(request).id, plan_id, data))

    @delete(
        "/{plan_id:int}",
        operation_id="AdminDeletePlan",
        summary="Delete a plan",
        responses=problem_responses(401, 403, 404, 409),
    )
    async def delete_plan(self, request: AnyRequest, plan_id: FromPath[int]) -> None:
        """Delete a plan that nobody has and that new users do not get."""
        await services.delete_plan(current_user(request).id, plan_id)


CONTROLLERS: tuple[type[Controller], ...] = (PlanController, PlanAdministrationController)
