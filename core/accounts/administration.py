"""What administrators do with accounts."""

import msgspec
from msgspec import UNSET

from core import database
from core.accounts import sessions, two_factor
from core.accounts.passwords import ensure_strong, hash_password
from core.accounts.schemas import UserCreate, UserRead, UserUpdate
from core.accounts.services import COLUMNS, NewUser, change_user, ensure_plan, get_user, insert_user, read_user
from core.accounts.tables import Profile, UserStatus
from core.audit import services as audit
from core.errors import ConflictError
from core.listing import Listing

USERS = Listing(
    kind=UserRead,
    read=read_user,
    columns=COLUMNS,
    source="users",
    always="deleted_at IS NULL",
    conditions={
        "search": "strpos(lower(email || ' ' || name), lower({})) > 0",
        "status": "status = {}",
        "profile": "profile = {}",
        "plan_id": "plan_id = {}",
        "since": "created_at >= {}",
        "until": "created_at < {}",
    },
    sorts={
        "id": "id",
        "email": "lower(email)",
        "name": "lower(name)",
        "status": "status",
        "profile": "profile",
        "plan_id": "plan_id",
        "due_access_at": "due_access_at",
        "created_at": "created_at",
        "last_login_at": "last_login_at",
    },
)
"""Everybody's accounts; `plan_id` is the plan they have."""


async def add_user(actor_id: int, new: UserCreate) -> UserRead:
    """Make an account for somebody else; raises ``InvalidInputError`` for a weak password or a taken address."""
    await ensure_strong(new.password, (new.email, new.name))
    hashed = await hash_password(new.password)
    async with database.unit_of_work():
        user = await insert_user(
            NewUser(
                email=new.email,
                name=new.name,
                password_hash=hashed,
                profile=new.profile,
                plan_id=new.plan_id,
                locale=new.locale,
                timezone=new.timezone,
            )
        )
        await audit.record("user.created", user_id=actor_id, facts={"user_id": user.id, "profile": user.profile})
    return user


async def update_user(actor_id: int, user_id: int, changes: UserUpdate) -> UserRead:
    """Change an account; suspending it ends its sessions' right at once.

    Raises:
        ConflictError: No active administrator would be left.
    """
    fields = {name: value for name, value in msgspec.structs.asdict(changes).items() if value is not UNSET}
    async with database.unit_of_work():
        if isinstance(changes.plan_id, int):
            await ensure_plan(changes.plan_id)
        await _ensure_administrator_left(user_id, changes)
        user = await change_user(user_id, fields, actor_id=actor_id)
        if changes.status is not UNSET:
            user = await _stamp_cancellation(user_id)
    return user


async def sign_out_user(actor_id: int, user_id: int) -> None:
    """End every session of a user."""
    async with database.unit_of_work():
        await get_user(user_id)
        await sessions.revoke_all(user_id)
        await audit.record("user.signed_out_everywhere", user_id=actor_id, facts={"user_id": user_id})


async def remove_two_factor(actor_id: int, user_id: int) -> None:
    """Take a user's second factor away; raises ``NotFoundError``, and ``ConflictError`` where there is none."""
    async with database.unit_of_work():
        await get_user(user_id)
        if not await two_factor.is_on(user_id):
            raise ConflictError("Two-factor sign-in is off.", code="two_factor_off")
        await two_factor.remove(user_id)
        await audit.record("two_factor.removed", user_id=actor_id, account_id=user_id, facts={"user_id": user_id})


async def _stamp_cancellation(user_id: int) -> UserRead:
    rows = await database.fetch(
        "UPDATE users SET canceled_at = CASE WHEN status = 'canceled' THEN coalesce(canceled_at, now()) END"
        f" WHERE id = $1 RETURNING {COLUMNS}",
        user_id,
    )
    return read_user(rows[0])


async def _ensure_administrator_left(user_id: int, changes: UserUpdate) -> None:
    demoted = changes.profile not in (UNSET, Profile.ADMINISTRATOR)
    suspended = changes.status not in (UNSET, UserStatus.ACTIVE)
    if not (demoted or suspended):
        return
    # All of them are locked, so that two administrators cannot suspend each other at the same moment.
    rows = await database.fetch(
        "SELECT id FROM users WHERE profile = 'administrator' AND status = 'active' AND deleted_at IS NULL"
        " ORDER BY id FOR UPDATE"
    )
    if [row["id"] for row in rows] == [user_id]:
        raise ConflictError(
            "The last active administrator must stay an active administrator.", code="last_administrator"
        )
