"""Routes of one's own account: sign-up, sign-in, recovery, sessions, profile, and the set-up of an installation."""

from typing import Any

from litestar import Controller, Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED, HTTP_202_ACCEPTED, HTTP_204_NO_CONTENT

from core.accounts import cookies, entering, recovery, services, sessions, setup
from core.accounts.admin_controllers import UserAdministrationController, UserDownloadController
from core.accounts.callers import caller_of
from core.accounts.key_controllers import ApiKeyController
from core.accounts.schemas import (
    AwaitingConfirmation,
    Credentials,
    EmailConfirmation,
    FirstAdministrator,
    ForgottenPassword,
    PasswordChange,
    PasswordReset,
    ProfileUpdate,
    Registration,
    SignedIn,
    TwoFactorAnswer,
    TwoFactorChallenge,
    UserRead,
)
from core.accounts.sessions import Device
from core.accounts.tables import SessionKind
from core.accounts.tokens import csrf_token
from core.accounts.two_factor_controllers import TwoFactorController
from core.pagination import Resource
from core.problems import answer_spec, problem_responses
from core.request import AnyRequest
from core.security import NO_KEY, SCOPE, credential_of, current_user, requires_user


class SignInController(Controller):
    """Become somebody; open to everybody."""

    path = "/api"
    tags = ("accounts",)

    @post(
        "/auth/register",
        operation_id="Register",
        summary="Make an account",
        responses={
            HTTP_201_CREATED: answer_spec(SignedIn, "Signed in."),
            HTTP_202_ACCEPTED: answer_spec(AwaitingConfirmation, "The address has to be confirmed first."),
            **problem_responses(400, 403, 413, 415, 422, 429),
        },
    )
    async def register(self, request: AnyRequest, data: JSONBody[Registration]) -> Response[Any]:
        """Make an account of one's own and sign in; 403 where registration is switched off."""
        found = await entering.register(data, caller_of(request))
        if isinstance(found, AwaitingConfirmation):
            return Response(found, status_code=HTTP_202_ACCEPTED)
        return _signed_in(found, HTTP_201_CREATED, cookie=data.cookie)

    @post(
        "/auth/login",
        operation_id="LogIn",
        summary="Sign in",
        status_code=HTTP_200_OK,
        responses={
            HTTP_200_OK: answer_spec(SignedIn, "Signed in."),
            HTTP_202_ACCEPTED: answer_spec(TwoFactorChallenge, "A code of the second factor has to follow."),
            **problem_responses(400, 403, 413, 415, 422, 429),
        },
    )
    async def log_in(self, request: AnyRequest, data: JSONBody[Credentials]) -> Response[Any]:
        """Sign in with address and password; 422 when they do not match, 403 when the account is suspended."""
        found = await entering.log_in(data, caller_of(request))
        if isinstance(found, TwoFactorChallenge):
            return Response(found, status_code=HTTP_202_ACCEPTED)
        return _signed_in(found, HTTP_200_OK, cookie=data.cookie)

    @post(
        "/auth/two-factor/verify",
        operation_id="VerifyTwoFactor",
        summary="Finish a sign-in",
        status_code=HTTP_200_OK,
        responses={
            HTTP_200_OK: answer_spec(SignedIn, "Signed in."),
            **problem_responses(400, 403, 413, 415, 422, 429),
        },
    )
    async def verify_two_factor(self, request: AnyRequest, data: JSONBody[TwoFactorAnswer]) -> Response[Any]:
        """Finish a sign-in with a code of the authenticator app, or a recovery code."""
        found, kind = await entering.verify_two_factor(data, caller_of(request))
        return _signed_in(found, HTTP_200_OK, cookie=kind is SessionKind.COOKIE)

    @post(
        "/auth/forgot-password",
        operation_id="ForgetPassword",
        summary="Ask for a new password",
        status_code=HTTP_204_NO_CONTENT,
        responses=problem_responses(400, 413, 415, 422, 429),
    )
    async def forget_password(self, data: JSONBody[ForgottenPassword]) -> None:
        """Have a link mailed that sets a new password; the answer is the same for an unknown address."""
        await recovery.request_reset(data)

    @post(
        "/auth/reset-password",
        operation_id="ResetPassword",
        summary="Set a new password",
        status_code=HTTP_204_NO_CONTENT,
        responses=problem_responses(400, 413, 415, 422, 429),
    )
    async def reset_password(self, data: JSONBody[PasswordReset]) -> None:
        """Set a new password by the token of the mail; every sign-in of the account ends."""
        await recovery.reset(data)

    @post(
        "/auth/confirm-email",
        operation_id="ConfirmEmail",
        summary="Confirm an address",
        status_code=HTTP_204_NO_CONTENT,
        responses=problem_responses(400, 413, 415, 422, 429),
    )
    async def confirm_email(self, data: JSONBody[EmailConfirmation]) -> None:
        """Confirm the address of a new account by the token of the mail."""
        await recovery.confirm(data)

    @post(
        "/auth/confirm-email/again",
        operation_id="MailConfirmationAgain",
        summary="Mail the confirmation again",
        status_code=HTTP_204_NO_CONTENT,
        responses=problem_responses(400, 413, 415, 422, 429),
    )
    async def mail_confirmation_again(self, data: JSONBody[ForgottenPassword]) -> None:
        """Have the confirmation mailed once more; the answer is the same for an unknown address."""
        await recovery.request_confirmation_again(data)

    @post(
        "/setup",
        operation_id="SetUp",
        summary="Make the first administrator",
        status_code=HTTP_201_CREATED,
        responses=problem_responses(400, 403, 409, 413, 415, 422, 429),
    )
    async def set_up(self, request: AnyRequest, data: JSONBody[FirstAdministrator]) -> SignedIn:
        """Make the first administrator of an empty installation with the token printed in its terminal."""
        return await setup.set_up(data, caller_of(request))


class AccountController(Controller):
    """One's own account and its sessions."""

    path = "/api/auth"
    tags = ("accounts",)
    guards = (requires_user,)
    opt = {SCOPE: NO_KEY}  # noqa: RUF012 - Litestar's attribute

    @get(
        "/me",
        operation_id="ShowMe",
        summary="Show my account",
        opt={SCOPE: "read"},
        responses=problem_responses(401, 403),
    )
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

    @post(
        "/password",
        operation_id="ChangePassword",
        summary="Change my password",
        status_code=HTTP_204_NO_CONTENT,
        responses=problem_responses(400, 401, 403, 413, 415, 422, 429),
    )
    async def change_password(self, request: AnyRequest, data: JSONBody[PasswordChange]) -> None:
        """Change one's password; every other sign-in of the account ends."""
        await recovery.change(current_user(request), data)

    @post(
        "/refresh",
        operation_id="RefreshToken",
        summary="Replace this token",
        status_code=HTTP_200_OK,
        responses={HTTP_200_OK: answer_spec(SignedIn, "The new token."), **problem_responses(401, 403)},
    )
    async def refresh(self, request: AnyRequest) -> Response[Any]:
        """Replace this token by a new one; the old one ends, and ends the whole sign-in if it is used again."""
        found = await services.refresh(current_user(request), credential_of(request.scope))
        return _signed_in(found, HTTP_200_OK, cookie=current_user(request).kind == "cookie")

    @post("/logout", operation_id="LogOut", summary="Sign out", status_code=204, responses=problem_responses(401, 403))
    async def log_out(self, request: AnyRequest) -> Response[None]:
        """End this token at once, everywhere."""
        await services.log_out(current_user(request))
        return _signed_out()

    @post(
        "/logout-all",
        operation_id="LogOutEverywhere",
        summary="Sign out everywhere",
        status_code=204,
        responses=problem_responses(401, 403),
    )
    async def log_out_everywhere(self, request: AnyRequest) -> Response[None]:
        """End every token of this account at once, this one too."""
        await services.log_out_everywhere(current_user(request))
        return _signed_out()

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


def _signed_in(found: SignedIn, status_code: int, *, cookie: bool) -> Response[Any]:
    """Answer a sign-in; with ``cookie`` the token is in no place that a script can read."""
    if not cookie:
        return Response(found, status_code=status_code)
    shown = SignedIn(token="", user=found.user, expires_in=found.expires_in, csrf_token=csrf_token(found.token))
    response: Response[Any] = Response(shown, status_code=status_code)
    cookies.set_cookies(response, found.token, found.expires_in)
    return response


def _signed_out() -> Response[None]:
    response: Response[None] = Response(None, status_code=HTTP_204_NO_CONTENT)
    cookies.clear_cookies(response)
    return response


CONTROLLERS: tuple[type[Controller], ...] = (
    SignInController,
    AccountController,
    TwoFactorController,
    ApiKeyController,
    UserAdministrationController,
    UserDownloadController,
)
