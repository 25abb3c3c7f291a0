"""The first administrator: made with a one-time token that is printed in the terminal of an empty installation."""

import hashlib
import hmac
import secrets

from core import database
from core.accounts.callers import Caller
from core.accounts.entering import sign_in
from core.accounts.passwords import ensure_strong, hash_password
from core.accounts.schemas import FirstAdministrator, SignedIn
from core.accounts.services import NewUser, insert_user
from core.accounts.tables import Profile
from core.audit import services as audit
from core.errors import ConflictError, ForbiddenError
from core.settings import services as settings

TOKEN_KEY = "setup_token_hash"  # noqa: S105 - the name of a setting, which holds only a hash


async def has_administrator() -> bool:
    """Whether the installation has an administrator already."""
    found = await database.fetch_row(
        "SELECT 1 FROM users WHERE profile = 'administrator' AND deleted_at IS NULL LIMIT 1"
    )
    return found is not None


async def create_setup_token() -> str:
    """Return a new token for the first administrator; it ends any earlier one and is stored only as a hash.

    Raises:
        ConflictError: There is an administrator already.
    """
    async with database.unit_of_work():
        if await has_administrator():
            raise _already_set_up()
        token = secrets.token_urlsafe(24)
        await settings.put_setting(TOKEN_KEY, _hash(token), "Hash of the one-time token for the first administrator")
    return token


async def set_up(new: FirstAdministrator, caller: Caller) -> SignedIn:
    """Make the first administrator and sign in; the token is used up with it.

    Raises:
        ConflictError: There is an administrator already.
        ForbiddenError: The token is not the one that was printed last.
        InvalidInputError: The password is weak.
    """
    # Looked at twice: before the costly hashing, and then with the row locked, so that of two requests one is late.
    await _check(new.token)
    await ensure_strong(new.password, (new.email, new.name))
    hashed = await hash_password(new.password)
    async with database.unit_of_work():
        await _check(new.token)
        user = await insert_user(
            NewUser(email=new.email, name=new.name, password_hash=hashed, profile=Profile.ADMINISTRATOR)
        )
        await settings.remove_setting(TOKEN_KEY)
        await audit.record("installation.set_up", user_id=user.id)
        return await sign_in(user.id, caller)


async def _check(token: str) -> None:
    expected = await settings.lock_setting(TOKEN_KEY)
    if expected is None:
        if await has_administrator():
            raise _already_set_up()
        raise _wrong_token()
    if not hmac.compare_digest(expected, _hash(token)):
        raise _wrong_token()


def _already_set_up() -> ConflictError:
    return ConflictError("This installation has an administrator already.", code="already_set_up")


def _wrong_token() -> ForbiddenError:
    return ForbiddenError("The set-up token does not match, or was used already.", code="setup_token")


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
