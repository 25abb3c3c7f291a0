"""Passwords that were forgotten or are changed, and addresses that are confirmed."""

import hashlib

from core import database
from core.accounts import lockouts, one_time, sessions
from core.accounts.passwords import ensure_strong, hash_password, verify_password
from core.accounts.schemas import EmailConfirmation, ForgottenPassword, PasswordChange, PasswordReset
from core.accounts.tables import TokenPurpose, UserStatus
from core.accounts.tokens import digest
from core.announcing import announce
from core.audit import services as audit
from core.errors import InvalidInputError, NotFoundError
from core.events.catalogue import PasswordChanged
from core.notifications import outbox
from core.notifications.kinds import ResetLink
from core.runtime import config
from core.security import CurrentUser
from core.texts import text

EVERY_MINUTES = 2
"""A forgotten password is mailed no more often, however often it is asked for."""


async def request_reset(wanted: ForgottenPassword) -> None:
    """Have a link mailed that sets a new password; nothing tells whether the address has an account."""
    async with database.unit_of_work():
        row = await database.fetch_row(
            "SELECT id FROM users WHERE lower(email) = lower($1) AND deleted_at IS NULL AND status = 'active'"
            " FOR UPDATE",
            wanted.email.strip(),
        )
        if row is None or await _mailed_lately(row["id"]):
            return
        link = await make_reset_link(row["id"])
        key = f"password_reset:{_fingerprint(link)}"
        await outbox.put("password_reset", row["id"], key, ResetLink(link=link))
        await audit.record("password.reset_requested", user_id=row["id"])


async def make_reset_link(user_id: int) -> str:
    """Return the link by which a user sets a new password; it works once, for an hour, and ends earlier ones."""
    token = await one_time.issue(user_id, TokenPurpose.RESET_PASSWORD)
    return f"{config().server.base_url}/reset-password#token={token}"


async def reset_link_for(email: str) -> str:
    """Return a link for the account of an address, for ``recado password-reset``; raises ``NotFoundError``."""
    user_id = await database.fetch_value(
        "SELECT id FROM users WHERE lower(email) = lower($1) AND deleted_at IS NULL", email.strip()
    )
    if not isinstance(user_id, int):
        raise NotFoundError("user", email)
    link = await make_reset_link(user_id)
    await audit.record("password.reset_requested", user_id=None, account_id=user_id)
    return link


async def reset(wanted: PasswordReset) -> None:
    """Set a new password by a mailed token, and end every session of the account.

    Raises:
        InvalidInputError: The token has ended or was used, or the password is weak.
    """
    row = await database.fetch_row(
        "SELECT u.email, u.name FROM account_tokens t JOIN users u ON u.id = t.user_id"
        " WHERE t.token_hash = $1 AND t.purpose = 'reset_password' AND t.used_at IS NULL AND t.expires_at > now()",
        digest(wanted.token),
    )
    if row is None:
        raise _ended()
    await ensure_strong(wanted.password, (row["email"], row["name"]))
    hashed = await hash_password(wanted.password)
    async with database.unit_of_work():
        token = await one_time.lock(wanted.token, TokenPurpose.RESET_PASSWORD)
        if token is None:
            raise _ended()
        await one_time.use_up(token["id"])
        # Whoever got the mail owns the address.
        await database.execute(
            "UPDATE users SET password = $2, email_confirmed_at = coalesce(email_confirmed_at, now()),"
            " updated_at = now() WHERE id = $1",
            token["user_id"],
            hashed,
        )
        await sessions.revoke_all(token["user_id"])
        await lockouts.note_success(lockouts.subjects_of(row["email"], ""))
        await _tell_changed(token["user_id"], wanted.token)
        await audit.record("password.reset", user_id=token["user_id"])


async def change(user: CurrentUser, wanted: PasswordChange) -> None:
    """Change one's own password; every other session of the account ends.

    Raises:
        InvalidInputError: The present password is wrong, or the new one is weak.
    """
    stored = str(await database.fetch_value("SELECT password FROM users WHERE id = $1", user.id))
    if not await verify_password(wanted.current_password, stored):
        raise InvalidInputError({"current_password": [text("current_password")]})
    await ensure_strong(wanted.password, (user.email, user.name))
    hashed = await hash_password(wanted.password)
    async with database.unit_of_work():
        await database.execute("UPDATE users SET password = $2, updated_at = now() WHERE id = $1", user.id, hashed)
        await sessions.revoke_others(user.id, user.session_id)
        await _tell_changed(user.id, hashed)
        await audit.record("password.changed", user_id=user.id)


async def request_confirmation(user_id: int) -> None:
    """Have a link mailed that confirms the address of an account, within the unit of work of the caller."""
    token = await one_time.issue(user_id, TokenPurpose.CONFIRM_EMAIL)
    link = f"{config().server.base_url}/confirm-email#token={token}"
    key = f"confirm_email:{_fingerprint(token)}"
    await outbox.put("confirm_email", user_id, key, ResetLink(link=link))


async def confirm(wanted: EmailConfirmation) -> None:
    """Confirm an address by a mailed token; raises ``InvalidInputError`` for one that has ended or was used."""
    async with database.unit_of_work():
        token = await one_time.lock(wanted.token, TokenPurpose.CONFIRM_EMAIL)
        if token is None:
            raise _ended()
        await one_time.use_up(token["id"])
        await database.execute(
            "UPDATE users SET email_confirmed_at = coalesce(email_confirmed_at, now()) WHERE id = $1", token["user_id"]
        )
        await audit.record("email.confirmed", user_id=token["user_id"])


async def request_confirmation_again(wanted: ForgottenPassword) -> None:
    """Mail the confirmation once more; nothing tells whether the address has an account that waits for one."""
    async with database.unit_of_work():
        row = await database.fetch_row(
            "SELECT id FROM users WHERE lower(email) = lower($1) AND deleted_at IS NULL AND status = $2"
            " AND email_confirmed_at IS NULL FOR UPDATE",
            wanted.email.strip(),
            UserStatus.ACTIVE,
        )
        if row is not None and not await _mailed_lately(row["id"]):
            await request_confirmation(row["id"])


async def _mailed_lately(user_id: int) -> bool:
    found = await database.fetch_value(
        "SELECT 1 FROM notifications WHERE user_id = $1 AND kind IN ('password_reset', 'confirm_email')"
        f" AND created_at > now() - interval '{EVERY_MINUTES} minutes'",
        user_id,
    )
    return found is not None


async def _tell_changed(user_id: int, secret: str) -> None:
    await announce(user_id, PasswordChanged(), f"password_changed:{_fingerprint(secret)}")


def _fingerprint(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _ended() -> InvalidInputError:
    return InvalidInputError({"token": [text("token_ended")]})
