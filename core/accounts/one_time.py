"""Tokens that work once and not for long: for a forgotten password, a new address, the second step of a sign-in."""

import asyncpg

from core import database
from core.accounts.tables import SessionKind, TokenPurpose
from core.accounts.tokens import digest, new_token

LASTS = {
    TokenPurpose.RESET_PASSWORD: 3_600.0,
    TokenPurpose.CONFIRM_EMAIL: 3 * 86_400.0,
    TokenPurpose.TWO_FACTOR: 300.0,
}
"""Seconds."""


async def issue(user_id: int, purpose: TokenPurpose, *, kind: SessionKind = SessionKind.BEARER) -> str:
    """Make a token; what the user had for the same purpose ends, but for the challenges of other devices."""
    token = new_token()
    async with database.unit_of_work():
        if purpose is not TokenPurpose.TWO_FACTOR:
            await database.execute(
                "UPDATE account_tokens SET used_at = now() WHERE user_id = $1 AND purpose = $2 AND used_at IS NULL",
                user_id,
                purpose,
            )
        await database.execute(
            "INSERT INTO account_tokens (user_id, purpose, token_hash, kind, attempts, expires_at, created_at)"
            " VALUES ($1, $2, $3, $4, 0, now() + make_interval(secs => $5), now())",
            user_id,
            purpose,
            digest(token),
            kind,
            LASTS[purpose],
        )
    return token


async def lock(token: str, purpose: TokenPurpose) -> asyncpg.Record | None:
    """Return the row of a token that still works, locked until the unit of work ends; ``None`` without one."""
    return await database.fetch_row(
        "SELECT id, user_id, kind, attempts FROM account_tokens WHERE token_hash = $1 AND purpose = $2"
        " AND used_at IS NULL AND expires_at > now() FOR UPDATE",
        digest(token),
        purpose,
    )


async def use_up(token_id: int) -> None:
    """Have a token work no more."""
    await database.execute("UPDATE account_tokens SET used_at = now() WHERE id = $1", token_id)


async def count_attempt(token_id: int) -> None:
    """Count a wrong code that came with a challenge."""
    await database.execute("UPDATE account_tokens SET attempts = attempts + 1 WHERE id = $1", token_id)


async def clean_up() -> int:
    """Delete tokens that ended a day ago or earlier; return how many."""
    return await database.execute("DELETE FROM account_tokens WHERE expires_at < now() - interval '1 day'")
