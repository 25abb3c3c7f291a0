"""Routes of one's own account: sign-up, sign-in, sessions, profile, and the set-up of an installation."""

from litestar import Controller, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED

from core.accounts import services, sessions, setup
from core.accounts.admin_controllers import UserAdministrationController
from core.accounts.schemas import Credentials, FirstAdministrator, ProfileUpdate, Registration, SignedIn, UserRead
from core.accounts.services import Caller
from core.accounts.sessions import Device
from core.client_address import client_address
from core.pagination import Resource
from core.problems import problem_responses
from core.request import AnyRequest
from core.runtime import config
from core.security import current_user, requires_user


class SignInController(Controller):
    """Become somebody; open to everybody."""

    path = "/api"
    tags = ("accounts",)

    @post(
        "/auth/register",
        operation_id="Register",
        summary="Make an account",
        responses=problem_responses(400, 403, 413, 415, 422),
    )
    async def register(self, request: AnyRequest, data: JSONBody[Registration]) -> SignedIn:
        """Make an account of one's own and sign in; 403 where registration is switched off."""
        return await services.register(data, _caller(request))

    @post(
        "/auth/login",
        operation_id="LogIn",
        summary="Sign in",
        status_code=HTTP_200_OK,
        responses=problem_responses(400, 403, 413, 415, 422),
    )
    async def log_in(self, request: AnyRequest, data: JSONBody[Credentials]) -> SignedIn:
        """Sign in with address and password; 422 when they do not match, 403 when the account is suspended."""
        return await services.log_in(data, _caller(request))

    @post(
        "/setup",
        operation_id="SetUp",
        summary="Make the first administrator",
        status_code=HTTP_201_CREATED,
        responses=problem_responses(400, 403, 409, 413, 415, 422),
    )
    async def set_up(self, request: AnyRequest, data: JSONBody[FirstAdministrator]) -> SignedIn:
        """Make the first administrator of an empty installation with the token printed in its terminal."""
        return await setup.set_up(data, _caller(request))


class AccountController(Controller):
    """One's own account and its sessions."""

    path = "/api/auth"
    tags = ("accounts",)
    guards = (requires_user,)

    @get("/me", operation_id="ShowMe", summary="Show my account", responses=problem_responses(401, 403))
    async def show_me(self, request: AnyRequest) -> Resource[UserRead]:
        """Show the account of this token."""
        return Resource(await services.get_user(current_user(request).id))

    @patch(
        "/me",
        operation_id="UpdateMe",
        summary="Change my account",
        responses=problem_responses(400, 401, 403, 413, 415, 422),
    )
    async def update_me(self, request: AnyRequest, data: JSONBody[ProfileUpdate]) -> Resource[UserRead]:
        """Change name, language or time zone; what is left out stays."""
        return Resource(await services.update_profile(current_user(request), data))

    @post("/logout", operation_id="LogOut", summary="Sign out", status_code=204, responses=problem_responses(401, 403))
    async def log_out(self, request: AnyRequest) -> None:
        """End this token at once, everywhere."""
        await services.log_out(current_user(request))

    @post(
        "/logout-all",
        operation_id="LogOutEverywhere",
        summary="Sign out everywhere",
        status_code=204,
        responses=problem_responses(401, 403),
    )
    async def log_out_everywhere(self, request: AnyRequest) -> None:
        """End every token of this account at once, this one too."""
        await services.log_out_everywhere(current_user(request))

    @get("/sessions", operation_id="ListSessions", summary="List my sessions", responses=problem_responses(401, 403))
    async def list_sessions(self, request: AnyRequest) -> Resource[list[Device]]:
        """List the devices signed in to this account, the latest used first."""
        return Resource(await sessions.list_devices(current_user(request)))

    @delete(
        "/sessions",
        operation_id="DeleteOtherSessions",
        summary="Sign out elsewhere",
        responses=problem_responses(401, 403),
    )
    async def delete_other_sessions(self, request: AnyRequest) -> None:
        """End every token of this account but this one."""
        await services.log_out_elsewhere(current_user(request))

    @delete(
        "/sessions/{session_id:int}",
        operation_id="DeleteSession",
        summary="Sign out a device",
        responses=problem_responses(401, 403, 404),
    )
    async def delete_session(self, request: AnyRequest, session_id: FromPath[int]) -> None:
        """End one session of this account."""
        await services.revoke_device(current_user(request), session_id)


def _caller(request: AnyRequest) -> Caller:
    address = client_address(request.scope, config().server.trusted_proxies)
    return Caller(address=address, user_agent=request.headers.get("user-agent", ""))


CONTROLLERS: tuple[type[Controller], ...] = (SignInController, AccountController, UserAdministrationController)
