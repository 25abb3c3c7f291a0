"""What the API says about accounts and takes for them."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import UNSET, Meta, UnsetType

from core.accounts.passwords import MAXIMUM_LENGTH, MINIMUM_LENGTH
from core.accounts.tables import Profile, UserStatus
from core.security import ApiScope
from core.texts import LANGUAGES


def is_timezone(name: str) -> bool:
    """Whether ``name`` is a time zone of the tz database."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


Email = Annotated[
    str,
    Meta(
        pattern=r"^\s*[^@\s]+@[^@\s]+\.[^@\s]+\s*$",
        max_length=254,
        examples=["ana@example.com"],
        extra={"text": "email"},
    ),
]
Name = Annotated[str, Meta(pattern=r"\S", max_length=120, examples=["Ana"], extra={"text": "required"})]
Password = Annotated[str, Meta(min_length=MINIMUM_LENGTH, max_length=MAXIMUM_LENGTH, examples=["a long password"])]
GivenPassword = Annotated[str, Meta(max_length=MAXIMUM_LENGTH, examples=["a long password"])]
if TYPE_CHECKING:
    Locale = str
else:
    Locale = Literal[LANGUAGES]
Timezone = Annotated[
    str, Meta(max_length=64, examples=["America/Sao_Paulo"], extra={"text": "timezone", "check": is_timezone})
]
OneTimeToken = Annotated[
    str, Meta(min_length=1, max_length=100, examples=["4fJ0xXrJt0mXl1m4nS3h8q9u2w5y7z1b3d5f7h9j1k2"])
]
Code = Annotated[str, Meta(min_length=1, max_length=20, examples=["492039"])]
PlanId = Annotated[int, Meta(ge=1, examples=[1])]


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """A new account of one's own."""

    email: Email
    name: Name
    password: Password
    locale: Locale = "en"
    timezone: Timezone = "America/Sao_Paulo"
    cookie: bool = False
    """As at the sign-in."""


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What one signs in with."""

    email: Annotated[str, Meta(max_length=254, examples=["ana@example.com"])]
    password: GivenPassword
    cookie: bool = False
    """Keep the token in a cookie that no script reads, as a page in a browser should."""


class ForgottenPassword(msgspec.Struct, frozen=True, kw_only=True):
    """Whose password is forgotten."""

    email: Annotated[str, Meta(max_length=254, examples=["ana@example.com"])]


class PasswordReset(msgspec.Struct, frozen=True, kw_only=True):
    """A new password, and the token of the mail."""

    token: OneTimeToken
    password: Password


class PasswordChange(msgspec.Struct, frozen=True, kw_only=True):
    """A new password for one's own account."""

    current_password: GivenPassword
    password: Password


class EmailConfirmation(msgspec.Struct, frozen=True, kw_only=True):
    """The token of the mail."""

    token: OneTimeToken


class PasswordProof(msgspec.Struct, frozen=True, kw_only=True):
    """The present password, for what a stolen token must not do."""

    password: GivenPassword


class TwoFactorRead(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a second factor is asked for at the sign-in."""

    enabled: bool
    recovery_codes_left: int


class TwoFactorSecret(msgspec.Struct, frozen=True, kw_only=True):
    """What an authenticator app needs."""

    secret: Annotated[str, Meta(examples=["JBSWY3DPEHPK3PXP"])]
    uri: Annotated[str, Meta(examples=["otpauth://totp/Recado:ana%40example.com?secret=JBSWY3DPEHPK3PXP"])]
    """The same as the text of a QR code."""


class TwoFactorCode(msgspec.Struct, frozen=True, kw_only=True):
    """A code of the authenticator app."""

    code: Code


class RecoveryCodes(msgspec.Struct, frozen=True, kw_only=True):
    """Codes that take the place of the app's, each once; they are shown here and never again."""

    recovery_codes: tuple[str, ...]


class TwoFactorAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The second step of a sign-in."""

    challenge: OneTimeToken
    code: Code
    """Of the authenticator app, or a recovery code."""


class TwoFactorChallenge(msgspec.Struct, frozen=True, kw_only=True):
    """The sign-in goes on with a code: ``POST /api/auth/two-factor/verify``."""

    challenge: str
    expires_in: Annotated[int, Meta(description="Seconds.", examples=[300])] = msgspec.field(name="expiresIn")


class ApiKeyCreate(msgspec.Struct, frozen=True, kw_only=True):
    """A new API key."""

    name: Name
    scopes: Annotated[tuple[ApiScope, ...], Meta(min_length=1, max_length=3, examples=[["read", "send"]])]
    """``read`` reads, ``send`` starts, pauses and tries out what is there, ``manage`` changes everything else."""
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None
    """Absent, it works until it is deleted."""


class ApiKeyRead(msgspec.Struct, frozen=True, kw_only=True):
    """An API key; the key itself is not kept."""

    id: int
    name: str
    prefix: Annotated[str, Meta(examples=["rck_4fJ0xXrJ"])]
    """How it begins, to tell it from others."""
    scopes: tuple[ApiScope, ...]
    last_used_at: datetime | None
    expires_at: datetime | None
    created_at: datetime


class ApiKeyCreated(ApiKeyRead, frozen=True, kw_only=True):
    """A new API key with the key itself, which is shown here and never again."""

    key: Annotated[str, Meta(examples=["rck_4fJ0xXrJt0mXl1m4nS3h8q9u2w5y7z1b3d5f7h9j1k2"])]


class FirstAdministrator(msgspec.Struct, frozen=True, kw_only=True):
    """The first administrator of an installation, and the token printed in its terminal."""

    token: Annotated[str, Meta(max_length=200, examples=["printed by recado up"])]
    email: Email
    name: Name
    password: Password


class UserRead(msgspec.Struct, frozen=True, kw_only=True):
    """A user."""

    id: int
    email: Email
    name: Name
    profile: Profile
    status: UserStatus
    plan_id: int | None
    locale: Locale
    timezone: Timezone
    due_access_at: datetime | None
    canceled_at: datetime | None
    last_login_at: datetime | None
    email_confirmed_at: datetime | None
    created_at: datetime
    updated_at: datetime


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """The token for ``Authorization: Bearer``; it is shown once and slides while it is used.

    With ``cookie`` the token is in the cookie alone, and every change has to bring ``csrf_token`` as ``X-CSRF-Token``.
    """

    token: Annotated[str, Meta(examples=["rcd_4fJ0xXrJt0mXl1m4nS3h8q9u2w5y7z1b3d5f7h9j1k2"])]
    user: UserRead
    csrf_token: str | UnsetType = UNSET
    expires_in: Annotated[
        int, Meta(description="Seconds without use after which the token ends.", examples=[604800])
    ] = msgspec.field(name="expiresIn")


class AwaitingConfirmation(msgspec.Struct, frozen=True, kw_only=True):
    """The account is made, and can be used once its address is confirmed by the link that was mailed."""

    email: Email
    confirmation: Literal["mailed"] = "mailed"


class ActAs(msgspec.Struct, frozen=True, kw_only=True):
    """Why an administrator acts for a user; it is kept in the log."""

    reason: Annotated[str, Meta(min_length=3, max_length=255, examples=["The import hangs, ticket 4711"])]


class ProfileUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """Changes of one's own account; what is left out stays."""

    name: Name | UnsetType = UNSET
    locale: Locale | UnsetType = UNSET
    timezone: Timezone | UnsetType = UNSET


class UserCreate(msgspec.Struct, frozen=True, kw_only=True):
    """An account that an administrator makes; without ``plan_id`` it has the plan of new users."""

    email: Email
    name: Name
    password: Password
    profile: Profile = Profile.USER
    plan_id: PlanId | None = None
    locale: Locale = "en"
    timezone: Timezone = "America/Sao_Paulo"


class UserUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """An administrator's changes of an account; what is left out stays."""

    email: Email | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    profile: Profile | UnsetType = UNSET
    status: UserStatus | UnsetType = UNSET
    plan_id: PlanId | UnsetType = UNSET
    due_access_at: Annotated[datetime, Meta(tz=True)] | UnsetType | None = UNSET
    locale: Locale | UnsetType = UNSET
    timezone: Timezone | UnsetType = UNSET
