"""What the API says about accounts and takes for them."""

from datetime import datetime
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import UNSET, Meta, UnsetType

from core.accounts.passwords import MAXIMUM_LENGTH, MINIMUM_LENGTH
from core.accounts.tables import Profile, UserStatus


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
Locale = Literal["en", "pt-BR", "es"]
Timezone = Annotated[
    str, Meta(max_length=64, examples=["America/Sao_Paulo"], extra={"text": "timezone", "check": is_timezone})
]
PlanId = Annotated[int, Meta(ge=1, examples=[1])]


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """A new account of one's own."""

    email: Email
    name: Name
    password: Password
    locale: Locale = "en"
    timezone: Timezone = "America/Sao_Paulo"


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What one signs in with."""

    email: Annotated[str, Meta(max_length=254, examples=["ana@example.com"])]
    password: GivenPassword


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
    created_at: datetime
    updated_at: datetime


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """The token for ``Authorization: Bearer``; it is shown once and slides while it is used."""

    token: Annotated[str, Meta(examples=["rcd_4fJ0xXrJt0mXl1m4nS3h8q9u2w5y7z1b3d5f7h9j1k2"])]
    user: UserRead
    expires_in: Annotated[
        int, Meta(description="Seconds without use after which the token ends.", examples=[604800])
    ] = msgspec.field(name="expiresIn")


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
