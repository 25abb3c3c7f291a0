"""Routes of one's own second factor."""

from litestar import Controller, get, post
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK, HTTP_204_NO_CONTENT

from core.accounts import two_factor
from core.accounts.schemas import PasswordProof, RecoveryCodes, TwoFactorCode, TwoFactorRead, TwoFactorSecret
from core.pagination import Resource
from core.problems import problem_responses
from core.request import AnyRequest
from core.security import NO_KEY, SCOPE, current_user, requires_user


class TwoFactorController(Controller):
    """Codes of an authenticator app at the sign-in; whatever changes them asks for the password."""

    path = "/api/auth/two-factor"
    tags = ("accounts",)
    guards = (requires_user,)
    opt = {SCOPE: NO_KEY}  # noqa: RUF012 - Litestar's attribute

    @get(operation_id="ShowTwoFactor", summary="Show my second factor", responses=problem_responses(401, 403))
    async def show(self, request: AnyRequest) -> Resource[TwoFactorRead]:
        """Say whether a second factor is asked for, and how many recovery codes are left."""
        return Resource(await two_factor.show(current_user(request)))

    @post(
        operation_id="BeginTwoFactor",
        summary="Begin a second factor",
        status_code=HTTP_200_OK,
        responses=problem_responses(400, 401, 403, 409, 413, 415, 422, 429),
    )
    async def begin(self, request: AnyRequest, data: JSONBody[PasswordProof]) -> Resource[TwoFactorSecret]:
        """Make the secret for an authenticator app; it counts once a code of it was confirmed."""
        return Resource(await two_factor.begin(current_user(request), data.password))

    @post(
        "/confirm",
        operation_id="ConfirmTwoFactor",
        summary="Switch the second factor on",
        status_code=HTTP_200_OK,
        responses=problem_responses(400, 401, 403, 409, 413, 415, 422),
    )
    async def confirm(self, request: AnyRequest, data: JSONBody[TwoFactorCode]) -> Resource[RecoveryCodes]:
        """Switch the second factor on with a first code; the answer has the recovery codes, this once."""
        return Resource(await two_factor.confirm(current_user(request), data.code))

    @post(
        "/recovery-codes",
        operation_id="RenewRecoveryCodes",
        summary="Replace the recovery codes",
        status_code=HTTP_200_OK,
        responses=problem_responses(400, 401, 403, 409, 413, 415, 422, 429),
    )
    async def renew(self, request: AnyRequest, data: JSONBody[PasswordProof]) -> Resource[RecoveryCodes]:
        """Replace the recovery codes by new ones."""
        return Resource(await two_factor.renew_codes(current_user(request), data.password))

    @post(
        "/disable",
        operation_id="DisableTwoFactor",
        summary="Switch the second factor off",
        status_code=HTTP_204_NO_CONTENT,
        responses=problem_responses(400, 401, 403, 409, 413, 415, 422, 429),
    )
    async def disable(self, request: AnyRequest, data: JSONBody[PasswordProof]) -> None:
        """Switch the second factor off."""
        await two_factor.disable(current_user(request), data.password)
