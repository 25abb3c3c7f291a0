"""Accounts: make them, sign out, and change one's own."""

from collections.abc import Mapping

import msgspec
from msgspec import UNSET

from core import database
from core.accounts import sessions
from core.accounts.passwords import hash_password
from core.accounts.schemas import ProfileUpdate, SignedIn, UserRead
from core.accounts.tables import Profile, UserStatus
from core.audit import services as audit
from core.errors import InvalidInputError, NotFoundError, NotSignedInError
from core.notifications.alarms import clear_alarms
from core.plans import services as plans
from core.security import Credential, CurrentUser
from core.texts import text

COLUMNS = (
    "id, email, name, profile, status, plan_id, locale, timezone, due_access_at, canceled_at, last_login_at,"
    " email_confirmed_at, created_at, updated_at"
)


class NewUser(msgspec.Struct, frozen=True, kw_only=True):
    """An account about to be made; its password is hashed already."""

    email: str
    name: str
    password_hash: str
    profile: Profile = Profile.USER
    plan_id: int | None = None
    locale: str = "en"
    timezone: str = "America/Sao_Paulo"
    confirmed: bool = True
    """Nobody has to prove that the address is theirs."""


async def create_user(
    email: str, name: str, password: str, *, profile: Profile = Profile.USER, plan_id: int | None = None
) -> UserRead:
    """Make an account from the command line or the demo; raises what ``insert_user`` raises."""
    hashed = await hash_password(password)
    async with database.unit_of_work():
        return await insert_user(
            NewUser(email=email, name=name, password_hash=hashed, profile=profile, plan_id=plan_id)
        )


async def insert_user(new: NewUser) -> UserRead:
    """Make an account, within the unit of work of the caller.

    Without a plan a user gets the plan of new users, an administrator none. Passwords are hashed before a unit of
    work is opened, which would hold a connection meanwhile.

    Raises:
        InvalidInputError: The address is taken, or there is no such plan.
    """
    plan_id = new.plan_id
    if plan_id is None and new.profile == Profile.USER:
        plan_id = await plans.default_plan_id()
    await ensure_plan(plan_id)
    row = await database.fetch_row(
        "INSERT INTO users (email, name, password, profile, status, plan_id, locale, timezone, email_confirmed_at,"
        " created_at, updated_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, CASE WHEN $9 THEN now() END, now(), now())"
        f" ON CONFLICT (lower(email)) WHERE deleted_at IS NULL DO NOTHING RETURNING {COLUMNS}",
        new.email.strip(),
        new.name.strip(),
        new.password_hash,
        new.profile,
        UserStatus.ACTIVE,
        plan_id,
        new.locale,
        new.timezone,
        new.confirmed,
    )
    if row is None:
        raise InvalidInputError({"email": [text("taken")]})
    return read_user(row)


async def refresh(user: CurrentUser, credential: Credential | None) -> SignedIn:
    """Replace the token that came with a request by a new one."""
    if credential is None:
        raise NotSignedInError
    token = await sessions.refresh(user, credential.token)
    return SignedIn(token=token, user=await get_user(user.id), expires_in=sessions.session_seconds())


async def log_out(user: CurrentUser) -> None:
    """End the session of this request."""
    async with database.unit_of_work():
        await sessions.sign_out(user.id, user.session_id)
        await audit.record("user.signed_out", user_id=user.id)


async def log_out_everywhere(user: CurrentUser) -> None:
    """End every session of the user."""
    async with database.unit_of_work():
        await sessions.revoke_all(user.id)
        await audit.record("user.signed_out_everywhere", user_id=user.id)


async def log_out_elsewhere(user: CurrentUser) -> None:
    """End every session of the user but that of this request."""
    async with database.unit_of_work():
        await sessions.revoke_others(user.id, user.session_id)
        await audit.record("user.signed_out_elsewhere", user_id=user.id)


async def revoke_device(user: CurrentUser, session_id: int) -> None:
    """End one of the user's sessions, or raise ``NotFoundError``."""
    async with database.unit_of_work():
        if not await sessions.revoke(user.id, session_id):
            raise NotFoundError("session", session_id)
        await audit.record("session.revoked", user_id=user.id, facts={"session_id": session_id})


async def get_user(user_id: int) -> UserRead:
    """Return a user, or raise ``NotFoundError``."""
    row = await database.fetch_row(f"SELECT {COLUMNS} FROM users WHERE id = $1 AND deleted_at IS NULL", user_id)
    if row is None:
        raise NotFoundError("user", user_id)
    return read_user(row)


async def update_profile(user: CurrentUser, changes: ProfileUpdate) -> UserRead:
    """Change one's own account."""
    fields = {name: value for name, value in msgspec.structs.asdict(changes).items() if value is not UNSET}
    async with database.unit_of_work():
        return await change_user(user.id, fields)


async def change_user(user_id: int, fields: Mapping[str, object], *, actor_id: int | None = None) -> UserRead:
    """Set columns of a user, within the unit of work of the caller, who has checked them.

    ``actor_id`` is who does it, absent the user.

    Raises:
        NotFoundError: There is no such user.
        InvalidInputError: The address is taken.
    """
    before = await get_user(user_id)
    trimmed = {name: value.strip() if isinstance(value, str) else value for name, value in fields.items()}
    if "email" in trimmed:
        await _ensure_free(user_id, trimmed["email"])
    assignments = "".join(f"{name} = ${index}, " for index, name in enumerate(trimmed, start=2))
    row = await database.fetch_row(
        f"UPDATE users SET {assignments}updated_at = now() WHERE id = $1 AND deleted_at IS NULL RETURNING {COLUMNS}",
        user_id,
        *trimmed.values(),
    )
    if row is None:
        raise NotFoundError("user", user_id)
    await sessions.forget_user(user_id)
    changed = read_user(row)
    if changed.email != before.email:
        await clear_alarms("user", [user_id], ["email_refused"])
    await audit.record(
        "user.updated",
        user_id=user_id if actor_id is None else actor_id,
        entity_id=user_id,
        changes=audit.differences(before, changed),
    )
    return changed


async def ensure_plan(plan_id: int | None) -> None:
    """Refuse a plan that does not exist, and keep one that does until the unit of work ends."""
    if plan_id is None:
        return
    if await database.fetch_row("SELECT 1 FROM plans WHERE id = $1 FOR KEY SHARE", plan_id) is None:
        raise InvalidInputError({"plan_id": [text("no_such_plan")]})


def read_user(row: Mapping[str, object]) -> UserRead:
    """Turn a row with ``COLUMNS`` into what the API shows."""
    return msgspec.convert(dict(row), UserRead)


async def _ensure_free(user_id: int, email: object) -> None:
    taken = await database.fetch_row(
        "SELECT 1 FROM users WHERE lower(email) = lower($2) AND id <> $1 AND deleted_at IS NULL", user_id, email
    )
    if taken is not None:
        raise InvalidInputError({"email": [text("taken")]})
