"""The second factor: codes of an authenticator app (TOTP, RFC 6238), and recovery codes for when the phone is gone."""

import re
import secrets
import time

import asyncpg
import msgspec
import pyotp

from core import database
from core.accounts import one_time, sessions
from core.accounts.passwords import verify_password
from core.accounts.schemas import RecoveryCodes, TwoFactorRead, TwoFactorSecret
from core.accounts.tables import TokenPurpose
from core.accounts.tokens import digest
from core.audit import services as audit
from core.crypto import decrypt, encrypt
from core.errors import ConflictError, InvalidInputError
from core.security import CurrentUser
from core.texts import text

ISSUER = "Recado"
SEAL = "user_two_factors.secret"
STEP_SECONDS = 30
TOLERANCE = 1
"""Steps before and after the present one whose code is taken: clocks differ."""
RECOVERY_CODES = 10
MOST_ATTEMPTS = 5
"""Wrong codes that one challenge takes."""


async def show(user: CurrentUser) -> TwoFactorRead:
    """Say whether the user has a second factor, and how many recovery codes are left."""
    row = await _row(user.id)
    confirmed = row is not None and row["confirmed_at"] is not None
    left = len(msgspec.json.decode(row["recovery_hashes"])) if row is not None and confirmed else 0
    return TwoFactorRead(enabled=confirmed, recovery_codes_left=left)


async def begin(user: CurrentUser, password: str) -> TwoFactorSecret:
    """Make a secret for the user's authenticator app; it counts once a code of it was shown.

    Raises:
        InvalidInputError: The password is not the user's.
        ConflictError: There is a second factor already.
    """
    await _ensure_password(user.id, password)
    secret = pyotp.random_base32()
    row = await database.fetch_row(
        "INSERT INTO user_two_factors AS t (user_id, secret, recovery_hashes, last_step, created_at)"
        " VALUES ($1, $2, '[]', 0, now()) ON CONFLICT (user_id) DO UPDATE SET secret = excluded.secret, last_step = 0"
        " WHERE t.confirmed_at IS NULL RETURNING id",
        user.id,
        encrypt(secret, purpose=SEAL),
    )
    if row is None:
        raise ConflictError("Two-factor sign-in is on already: switch it off first.", code="two_factor_on")
    uri = pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name=ISSUER)
    return TwoFactorSecret(secret=secret, uri=uri)


async def confirm(user: CurrentUser, code: str) -> RecoveryCodes:
    """Switch the second factor on with the first code; the recovery codes are told here and never again.

    Raises:
        ConflictError: Nothing was begun, or it is on already.
        InvalidInputError: The code does not fit.
    """
    async with database.unit_of_work():
        row = await _row(user.id, lock=True)
        if row is None or row["confirmed_at"] is not None:
            raise ConflictError("Begin with POST /api/auth/two-factor.", code="two_factor_not_begun")
        step = fitting_step(decrypt(row["secret"], purpose=SEAL), code, row["last_step"])
        if step is None:
            raise _wrong_code()
        codes = await _renew_codes(user.id)
        await database.execute(
            "UPDATE user_two_factors SET confirmed_at = now(), last_step = $2 WHERE user_id = $1", user.id, step
        )
        await sessions.forget_user(user.id)
        await audit.record("two_factor.enabled", user_id=user.id)
    return codes


async def renew_codes(user: CurrentUser, password: str) -> RecoveryCodes:
    """Replace the recovery codes; raises as ``disable``."""
    await _ensure_password(user.id, password)
    async with database.unit_of_work():
        await _ensure_on(user.id)
        codes = await _renew_codes(user.id)
        await audit.record("two_factor.recovery_codes_renewed", user_id=user.id)
    return codes


async def disable(user: CurrentUser, password: str) -> None:
    """Switch the second factor off.

    Raises:
        InvalidInputError: The password is not the user's.
        ConflictError: It is off already.
    """
    await _ensure_password(user.id, password)
    async with database.unit_of_work():
        await _ensure_on(user.id)
        await remove(user.id)
        await audit.record("two_factor.disabled", user_id=user.id)


async def remove(user_id: int) -> None:
    """Take a user's second factor away, within the unit of work of the caller."""
    await database.execute("DELETE FROM user_two_factors WHERE user_id = $1", user_id)
    await sessions.forget_user(user_id)


async def is_on(user_id: int) -> bool:
    """Whether the user has to show a second factor."""
    found = await database.fetch_value(
        "SELECT 1 FROM user_two_factors WHERE user_id = $1 AND confirmed_at IS NOT NULL", user_id
    )
    return found is not None


async def take_code(user_id: int, code: str) -> bool:
    """Whether a code is right; one that was used, or is older than the last one used, is not. Locks the row."""
    row = await _row(user_id, lock=True)
    if row is None or row["confirmed_at"] is None:
        return False
    step = fitting_step(decrypt(row["secret"], purpose=SEAL), code, row["last_step"])
    if step is not None:
        await database.execute("UPDATE user_two_factors SET last_step = $2 WHERE user_id = $1", user_id, step)
        return True
    kept: list[str] = msgspec.json.decode(row["recovery_hashes"])
    wanted = digest(_normal(code)).hex()
    if wanted not in kept:
        return False
    kept.remove(wanted)
    await database.execute(
        "UPDATE user_two_factors SET recovery_hashes = $2 WHERE user_id = $1", user_id, database.encode_json(kept)
    )
    await audit.record("two_factor.recovery_code_used", user_id=user_id, facts={"left": len(kept)})
    return True


async def pass_challenge(challenge: str, code: str) -> asyncpg.Record:
    """Return the row of a challenge that ``code`` answers, used up; a wrong code is counted although this raises.

    Raises:
        InvalidInputError: The challenge has ended, or the code does not fit.
    """
    async with database.unit_of_work():
        row = await one_time.lock(challenge, TokenPurpose.TWO_FACTOR)
        if row is None or row["attempts"] >= MOST_ATTEMPTS:
            raise InvalidInputError({"challenge": [text("challenge_ended")]})
        right = await take_code(row["user_id"], code)
        await (one_time.use_up(row["id"]) if right else one_time.count_attempt(row["id"]))
    if not right:
        raise _wrong_code()
    return row


def fitting_step(secret: str, code: str, last_step: int, *, at: float | None = None) -> int | None:
    """Return the time step whose code was given, of those after ``last_step``; ``None`` when it is none of them."""
    totp = pyotp.TOTP(secret)
    present = int((time.time() if at is None else at) // STEP_SECONDS)
    given = re.sub(r"\s", "", code)
    for step in range(present - TOLERANCE, present + TOLERANCE + 1):
        if step > last_step and secrets.compare_digest(totp.generate_otp(step).encode(), given.encode()):
            return step
    return None


async def _renew_codes(user_id: int) -> RecoveryCodes:
    codes = tuple(f"{secrets.token_hex(3)}-{secrets.token_hex(3)}" for _ in range(RECOVERY_CODES))
    hashes = [digest(_normal(code)).hex() for code in codes]
    await database.execute(
        "UPDATE user_two_factors SET recovery_hashes = $2 WHERE user_id = $1", user_id, database.encode_json(hashes)
    )
    return RecoveryCodes(recovery_codes=codes)


async def _ensure_on(user_id: int) -> None:
    row = await _row(user_id, lock=True)
    if row is None or row["confirmed_at"] is None:
        raise ConflictError("Two-factor sign-in is off.", code="two_factor_off")


async def _ensure_password(user_id: int, password: str) -> None:
    stored = await database.fetch_value("SELECT password FROM users WHERE id = $1", user_id)
    if not await verify_password(password, str(stored)):
        raise InvalidInputError({"password": [text("current_password")]})


async def _row(user_id: int, *, lock: bool = False) -> asyncpg.Record | None:
    ending = " FOR UPDATE" if lock else ""
    return await database.fetch_row(f"SELECT * FROM user_two_factors WHERE user_id = $1{ending}", user_id)


def _normal(code: str) -> str:
    return re.sub(r"[\s-]", "", code).lower()


def _wrong_code() -> InvalidInputError:
    return InvalidInputError({"code": [text("two_factor_code")]})
