"""Passwords: argon2id for ours, bcrypt for those that came from the old system; hashed away from the event loop."""

import asyncio
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

import bcrypt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from core.errors import InvalidInputError, TooManySignInsError
from core.texts import text

MINIMUM_LENGTH = 8
MAXIMUM_LENGTH = 200
MINIMUM_SCORE = 2
"""Of zxcvbn's 0 to 4: withstands an attack over the network that is not slowed down (10^6 to 10^8 guesses)."""
JUDGED_LENGTH = 72
"""zxcvbn takes long for longer texts, and a password with a weak beginning of this length is strong."""
BCRYPT_BYTES = 72
"""PHP's bcrypt looks no further than this, so neither may we where its hashes are verified."""
MOST_WAITING = 16
"""Hashes that may wait for one of the threads: what comes beyond is refused instead of holding everybody up."""

# OWASP's second profile for argon2id: 19 MiB, 2 passes, 1 lane.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|1[0-5])\$[./A-Za-z0-9]{53}")

# Two at a time leave the machine to other requests, however many people sign in.
THREADS = 2
_THREADS = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="passwords")
_running = 0

_T = TypeVar("_T")


async def hash_password(password: str) -> str:
    """Return the argon2id hash of ``password``; raises ``TooManySignInsError`` as the other two do."""
    return await _in_thread(lambda: _HASHER.hash(password))


async def verify_password(password: str, stored: str | None) -> bool:
    """Whether ``password`` belongs to the hash ``stored``; takes as long when there is none."""
    return await _in_thread(lambda: _verify(password, stored))


async def ensure_strong(password: str, known: Sequence[str], *, field: str = "password") -> None:
    """Refuse a password that is guessed early; ``known`` is what an attacker knows: name and address of the user.

    Raises:
        InvalidInputError: It is one that others use, or is made of what is known.
    """
    hints = [part for entry in known for part in (entry, *re.split(r"\W+", entry)) if part]
    # Its lists of words take 12 MB, which a process in which nobody chooses a password does without.
    from zxcvbn import zxcvbn  # type: ignore[import-untyped] # no types are published with it

    judged = await _in_thread(lambda: zxcvbn(password[:JUDGED_LENGTH], user_inputs=hints))
    if judged["score"] < MINIMUM_SCORE:
        raise InvalidInputError({field: [text("password_weak")]})


def needs_rehash(stored: str) -> bool:
    """Whether ``stored`` should be replaced by ``hash_password`` at the next sign-in."""
    try:
        return _HASHER.check_needs_rehash(stored)
    except InvalidHashError:
        return True


async def _in_thread(work: Callable[[], _T]) -> _T:
    global _running  # noqa: PLW0603 - one process, one queue
    if _running >= THREADS + MOST_WAITING:
        raise TooManySignInsError
    _running += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(_THREADS, work)
    finally:
        _running -= 1


def _verify(password: str, stored: str | None) -> bool:
    if stored is not None and _BCRYPT.fullmatch(stored):
        return bcrypt.checkpw(password.encode()[:BCRYPT_BYTES], stored.encode())
    try:
        return _HASHER.verify(stored or _nobodys_hash(), password) and bool(stored)
    except (VerificationError, InvalidHashError):
        return False


@lru_cache(maxsize=1)
def _nobodys_hash() -> str:
    """A hash that no password fits; it makes the answer for an unknown address take its time."""
    return _HASHER.hash("nobody's password")
