"""Erasing a user: nobody can sign in from the first moment on, and a job removes the rest.

What the law asks to keep stays without a name: that there was an account, and what it paid.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import structlog

from core import database
from core.accounts import sessions
from core.accounts.erasing import account_eraser
from core.accounts.passwords import verify_password
from core.audit import services as audit
from core.campaigns.services import cancel_campaign
from core.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from core.jobs.services import JobContext, create_job, job_handler
from core.live import stream
from core.media import store
from core.notifications.alarms import clear_alarms
from core.numbers.services import delete_number
from core.payments.ending import stop_charging
from core.privacy.holdings import HOLDINGS, Holding
from core.runtime import config
from core.security import CurrentUser
from core.texts import text

KIND = "privacy.erase"
PORTION = 2_000

_NAMELESS = """
UPDATE users SET email = 'erased-' || id || '@erased.invalid', name = '', password = '',
    status = 'canceled', canceled_at = coalesce(canceled_at, now()), deleted_at = now(), last_login_at = NULL,
    updated_at = now()
WHERE id = $1
"""
_NAMELESS_NUMBERS = """
UPDATE numbers SET name = '', number = '', address = '', connection_reason = '', settings = '{}', webhook_url = NULL
WHERE user_id = $1
"""
_AFTERWARDS = (
    _NAMELESS_NUMBERS,
    "UPDATE payments SET gateway_response = '{}', action_url = '', receipt_url = '' WHERE user_id = $1",
    "UPDATE subscriptions SET action_url = '' WHERE user_id = $1",
    "UPDATE logs SET address = '' WHERE user_id = $1",
)
_FILES = """
SELECT path FROM media WHERE user_id = $1 AND path <> '' UNION SELECT path FROM data_exports WHERE user_id = $1
"""
_log = structlog.get_logger(__name__)


async def erase_self(user: CurrentUser, password: str) -> None:
    """Erase one's own account.

    Raises:
        ForbiddenError: An administrator acts for the user.
        InvalidInputError: The password is wrong.
        ConflictError: No active administrator would be left.
    """
    if user.actor_id is not None:
        raise ForbiddenError("Only the user may do this, not somebody who acts for them.", code="not_while_acting")
    stored = await database.fetch_value("SELECT password FROM users WHERE id = $1", user.id)
    if not await verify_password(password, str(stored)):
        raise InvalidInputError({"password": [text("current_password")]})
    await erase_user(user.id, user.id)


@account_eraser
async def erase_user(actor_id: int, user_id: int) -> None:
    """Erase an account; it is closed at once, and a job removes what it holds.

    Raises:
        NotFoundError: There is no such user.
        ConflictError: No active administrator would be left.
    """
    async with database.unit_of_work():
        await _ensure_administrator_left(user_id)
        if (
            await database.fetch_value("SELECT id FROM users WHERE id = $1 AND deleted_at IS NULL FOR UPDATE", user_id)
            is None
        ):
            raise NotFoundError("user", user_id)
        open_campaigns = await database.fetch(
            "SELECT id FROM campaigns WHERE user_id = $1 AND deleted_at IS NULL AND status IN (1, 2, 3) ORDER BY id",
            user_id,
        )
        for row in open_campaigns:
            await cancel_campaign(user_id, row["id"])
        await stop_charging(user_id)
        await sessions.forget_user(user_id)
        await sessions.revoke_all(user_id)
        await clear_alarms("user", [user_id], ["email_refused"])
        await database.execute(
            "UPDATE api_keys SET revoked_at = now() WHERE user_id = $1 AND revoked_at IS NULL", user_id
        )
        await database.execute(_NAMELESS, user_id)
        # Of the platform: the user's own jobs are among what it removes.
        await create_job(KIND, user_id=None, subject_id=user_id, cancelable=False)
        await audit.record("user.erased", user_id=actor_id, entity_id=user_id)


@job_handler(KIND)
async def remove_holdings(context: JobContext) -> dict[str, int]:
    """Take the numbers off their servers and remove files and rows; whatever was cut off is simply done again."""
    user_id = context.subject_id
    numbers = await database.fetch("SELECT id FROM numbers WHERE user_id = $1 AND deleted_at IS NULL", user_id)
    for row in numbers:
        # One whose server does not answer is removed later, as any deleted number.
        await delete_number(user_id, row["id"])
    await _remove_files(user_id)
    removed = 0
    for holding in HOLDINGS:
        removed += await _remove_rows(context, holding, user_id, removed) if holding.erased else 0
    async with database.unit_of_work():
        for statement in _AFTERWARDS:
            await database.execute(statement, user_id)
        await context.checkpoint({}, done=removed)
    # Where Redis is away, what it holds of the user ends within the hour.
    with suppress(*stream.UNAVAILABLE):
        await stream.forget(user_id)
    _log.info("user_erased", user_id=user_id, rows=removed)
    return {"rows": removed}


async def _remove_rows(context: JobContext, holding: Holding, user_id: int, done: int) -> int:
    total = 0
    while True:
        async with database.unit_of_work():
            count = await database.execute(
                f'DELETE FROM "{holding.table}" WHERE ctid = ANY (ARRAY('
                f'SELECT t.ctid FROM "{holding.table}" t WHERE {holding.own} LIMIT $2))',
                user_id,
                PORTION,
            )
            total += count
            await context.checkpoint({}, done=done + total)
        if count < PORTION:
            return total


async def _remove_files(user_id: int) -> None:
    kept = await database.fetch(_FILES, user_id)
    for row in kept:
        await store.remove(row["path"])
    uploads = await database.fetch("SELECT path FROM imports WHERE user_id = $1", user_id)
    await asyncio.to_thread(_unlink, [config().data_folder / row["path"] for row in uploads])


def _unlink(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


async def _ensure_administrator_left(user_id: int) -> None:
    rows = await database.fetch(
        "SELECT id FROM users WHERE profile = 'administrator' AND status = 'active' AND deleted_at IS NULL"
        " ORDER BY id FOR UPDATE"
    )
    if [row["id"] for row in rows] == [user_id]:
        raise ConflictError(
            "The last active administrator must stay an active administrator.", code="last_administrator"
        )
