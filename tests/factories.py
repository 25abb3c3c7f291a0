"""Rows for tests: plain functions with random names, so that tests which share a database do not meet."""

import secrets

import msgspec

from core.accounts import sessions
from core.accounts.schemas import UserRead
from core.accounts.services import NewUser, insert_user
from core.accounts.tables import Profile
from core.database import unit_of_work

PASSWORD = "correct horse battery"
PASSWORD_HASH = "$argon2id$v=19$m=19456,t=2,p=1$I8SmH2RZQ0yR+IBHP0vvhg$zu9dVpGHQgZCD2meFbOkoESDvZkGebfl4TW6FfctC+A"
"""Of ``PASSWORD``; hashing anew for every row would take most of the run."""


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A user, and a bearer token of theirs."""

    row: UserRead
    token: str

    @property
    def id(self) -> int:
        """The user's id."""
        return self.row.id

    @property
    def email(self) -> str:
        """The user's address."""
        return self.row.email


def random_email() -> str:
    return f"{secrets.token_hex(8)}@example.com"


async def make_user(
    *, profile: Profile = Profile.USER, plan_id: int | None = None, password_hash: str = PASSWORD_HASH
) -> UserRead:
    """Insert a user whose password is ``PASSWORD``."""
    name = f"User {secrets.token_hex(4)}"
    async with unit_of_work():
        return await insert_user(
            NewUser(email=random_email(), name=name, password_hash=password_hash, profile=profile, plan_id=plan_id)
        )


async def make_member(*, profile: Profile = Profile.USER, plan_id: int | None = None) -> Member:
    """Insert a user and sign them in."""
    row = await make_user(profile=profile, plan_id=plan_id)
    return Member(row=row, token=await sessions.open_session(row.id, address="127.0.0.1", user_agent="tests"))
