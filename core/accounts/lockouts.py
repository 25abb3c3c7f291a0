"""Failed sign-ins make the next try wait, longer each time, for the account and for the address they came from.

Counted are the hashes of what was tried, so an account that does not exist is locked like one that does.
"""

import hashlib

import msgspec

from core import database
from core.errors import TooManyRequestsError

ACCOUNT_FREE = 5
ADDRESS_FREE = 20
"""So many failures in a row cost nothing; an address may be that of a whole office."""
FIRST_SECONDS = 2.0
LONGEST_SECONDS = 900.0
FORGOTTEN_AFTER = "24 hours"

_COUNT = f"""
INSERT INTO sign_in_failures AS f (subject, failures, failed_at) VALUES ($1, 1, now())
ON CONFLICT (subject) DO UPDATE SET
    failures = CASE WHEN f.failed_at < now() - interval '{FORGOTTEN_AFTER}' THEN 1 ELSE f.failures + 1 END,
    failed_at = now()
RETURNING failures
"""
_LOCK = "UPDATE sign_in_failures SET locked_until = now() + make_interval(secs => $2) WHERE subject = $1"


class SignInLockedError(TooManyRequestsError):
    """Too many sign-ins failed."""

    code = "sign_in_locked"

    def __init__(self, seconds: float) -> None:
        shown = max(1, round(seconds))
        super().__init__(f"Too many sign-ins failed: try again in {shown} seconds.", seconds=shown)
        self.retry_after = seconds


class Subjects(msgspec.Struct, frozen=True):
    """What a sign-in is counted on."""

    account: bytes
    address: bytes


def subjects_of(email: str, address: str) -> Subjects:
    """Return what a sign-in with ``email`` from ``address`` is counted on."""
    return Subjects(_hash("account", email.strip().lower()), _hash("address", address))


async def ensure_open(subjects: Subjects) -> None:
    """Refuse a sign-in that has to wait, before anything else is looked at; raises ``SignInLockedError``."""
    seconds = await database.fetch_value(
        "SELECT max(extract(epoch FROM locked_until - now()))::float8 FROM sign_in_failures"
        " WHERE subject = ANY($1::bytea[]) AND locked_until > now()",
        [subjects.account, subjects.address],
    )
    if isinstance(seconds, float):
        raise SignInLockedError(seconds)


async def note_failure(subjects: Subjects) -> None:
    """Count a failure, and lock from the sixth of an account or the twenty-first of an address on."""
    for subject, free in ((subjects.account, ACCOUNT_FREE), (subjects.address, ADDRESS_FREE)):
        failures = await database.fetch_value(_COUNT, subject)
        seconds = delay_after(int(str(failures)), free)
        if seconds:
            await database.execute(_LOCK, subject, seconds)


async def note_success(subjects: Subjects) -> None:
    """Forget the failures of an account; those of the address stay, or one account of one's own would clear them."""
    await database.execute("DELETE FROM sign_in_failures WHERE subject = $1", subjects.account)


async def clean_up() -> int:
    """Delete failures that are too old to count; return how many."""
    return await database.execute(
        f"DELETE FROM sign_in_failures WHERE failed_at < now() - interval '{FORGOTTEN_AFTER}'"
    )


def delay_after(failures: int, free: int) -> float:
    """Return how many seconds to wait after so many failures in a row, of which ``free`` cost nothing."""
    over = failures - free
    return 0.0 if over < 1 else min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** (over - 1))


def _hash(kind: str, value: str) -> bytes:
    return hashlib.sha256(f"{kind}:{value}".encode()).digest()
