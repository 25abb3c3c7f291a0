"""Passwords: argon2id for ours, bcrypt for those that came from the old system; hashed away from the event loop."""

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import bcrypt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MINIMUM_LENGTH = 8
MAXIMUM_LENGTH = 200
BCRYPT_BYTES = 72
"""PHP's bcrypt looks no further than this, so neither may we where its hashes are verified."""

# OWASP's second profile for argon2id: 19 MiB, 2 passes, 1 lane.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|1[0-5])\$[./A-Za-z0-9]{53}")

# Two at a time leave the machine to other requests, however many people sign in.
_THREADS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="passwords")


async def hash_password(password: str) -> str:
    """Return the argon2id hash of ``password``."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, _HASHER.hash, password)


async def verify_password(password: str, stored: str | None) -> bool:
    """Whether ``password`` belongs to the hash ``stored``; takes as long when there is none."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, _verify, password, stored)


def needs_rehash(stored: str) -> bool:
    """Whether ``stored`` should be replaced by ``hash_password`` at the next sign-in."""
    try:
        return _HASHER.check_needs_rehash(stored)
    except InvalidHashError:
        return True


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
