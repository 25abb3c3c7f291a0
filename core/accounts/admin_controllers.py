"""Routes of the administration of accounts."""

from typing import Annotated

from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Stream

from core.accounts import administration, entering, erasing, services
from core.accounts.callers import caller_of
from core.accounts.schemas import ActAs, SignedIn, UserCreate, UserFilter, UserRead, UserUpdate
from core.accounts.tables import Profile, UserStatus
from core.listing import SearchQuery, SinceQuery, UntilQuery, read_moment, read_search
from core.pagination import Page, PageQuery, Resource
from core.problems import problem_responses
from core.request import AnyRequest
from core.security import current_user, requires_administrator
from core.spreadsheets import MEDIA_TYPE
from core.validation import MAXIMUM_BIGINT


def user_filter(
    *,
    status: Annotated[UserStatus | None, QueryParameter(description="Only users in this status.")] = None,
    profile: Annotated[Profile | None, QueryParameter(description="Only users with this profile.")] = None,
    plan_id: Annotated[
        int | None, QueryParameter(ge=1, le=MAXIMUM_BIGINT, description="Only users with this plan.")
    ] = None,
    since: SinceQuery = None,
    until: UntilQuery = None,
    search: SearchQuery = None,
) -> UserFilter:
    """Provide what lists of users filter by; wrong values are 422 and named."""
    return UserFilter(
        search=read_search(search),
        status=status,
        profile=profile,
        plan_id=plan_id,
        since=read_moment("from", since),
        until=read_moment("to", until),
    )


FILTERS = {"user_filter": Provide(user_filter, sync_to_thread=False)}


class UserAdministrationController(Controller):
    """Everybody's accounts."""

    path = "/api/admin/users"
    tags = ("administration",)
    guards = (requires_administrator,)

    @get(
        operation_id="AdminListUsers",
        summary="List the users",
        dependencies=FILTERS,
        responses=problem_responses(401, 403, 422),
    )
    async def list_users(
        self, request: AnyRequest, page_query: NamedDependency[PageQuery], user_filter: NamedDependency[UserFilter]
    ) -> Page[UserRead]:
        """List users, the newest first; `search` looks at address and name, `from` and `to` at created_at.

        Sorts by id, email, name, status, profile, plan_id, due_access_at, created_at and last_login_at.
        """
        return await administration.USERS.answer_page(request, page_query, user_filter)

    @post(
        operation_id="AdminCreateUser",
        summary="Make a user",
        responses=problem_responses(400, 401, 403, 413, 415, 422),
    )
    async def create_user(self, request: AnyRequest, data: JSONBody[UserCreate]) -> Resource[UserRead]:
        """Make an account for somebody else."""
        return Resource(await administration.add_user(current_user(request).id, data))

    @get(
        "/{user_id:int}",
        operation_id="AdminShowUser",
        summary="Show a user",
        responses=problem_responses(401, 403, 404),
    )
    async def show_user(self, user_id: FromPath[int]) -> Resource[UserRead]:
        """Show one user."""
        return Resource(await services.get_user(user_id))

    @patch(
        "/{user_id:int}",
        operation_id="AdminUpdateUser",
        summary="Change a user",
        responses=problem_responses(400, 401, 403, 404, 409, 413, 415, 422),
    )
    async def update_user(
        self, request: AnyRequest, user_id: FromPath[int], data: JSONBody[UserUpdate]
    ) -> Resource[UserRead]:
        """Change an account; ``status`` suspends or reinstates it at once."""
        return Resource(await administration.update_user(current_user(request).id, user_id, data))

    @delete(
        "/{user_id:int}",
        operation_id="AdminEraseUser",
        summary="Erase a user",
        responses=problem_responses(401, 403, 404, 409),
    )
    async def erase_user(self, request: AnyRequest, user_id: FromPath[int]) -> None:
        """Close an account at once and erase what it holds, for good; payments stay, without a name."""
        await erasing.erase_user(current_user(request).id, user_id)

    @post(
        "/{user_id:int}/logout",
        operation_id="AdminLogOutUser",
        summary="Sign a user out",
        status_code=204,
        responses=problem_responses(401, 403, 404),
    )
    async def log_out_user(self, request: AnyRequest, user_id: FromPath[int]) -> None:
        """End every session of a user at once."""
        await administration.sign_out_user(current_user(request).id, user_id)

    @post(
        "/{user_id:int}/act-as",
        operation_id="AdminActAsUser",
        summary="Act for a user",
        status_code=200,
        responses=problem_responses(400, 401, 403, 404, 409, 413, 415, 422),
    )
    async def act_as(self, request: AnyRequest, user_id: FromPath[int], data: JSONBody[ActAs]) -> SignedIn:
        """Sign in as a user, for an hour; the log says who did it, why, and what was done."""
        return await entering.act_as(current_user(request), user_id, data.reason, caller_of(request))

    @delete(
        "/{user_id:int}/two-factor",
        operation_id="AdminRemoveTwoFactor",
        summary="Take a second factor away",
        responses=problem_responses(401, 403, 404, 409),
    )
    async def remove_two_factor(self, request: AnyRequest, user_id: FromPath[int]) -> None:
        """Take the second factor of a user away who has lost phone and recovery codes."""
        await administration.remove_two_factor(current_user(request).id, user_id)


class UserDownloadController(Controller):
    """Everybody's accounts as a file."""

    path = "/api/admin/users.csv"
    tags = ("administration",)
    guards = (requires_administrator,)

    @get(
        operation_id="AdminDownloadUsers",
        summary="Download the users",
        dependencies=FILTERS,
        media_type=MEDIA_TYPE,
        responses=problem_responses(401, 403, 422),
    )
    async def download_users(self, user_filter: NamedDependency[UserFilter]) -> Stream:
        """Download users as CSV (UTF-8), all of them or those of a filter."""
        return await administration.USERS.download("users.csv", user_filter)
