"""Password hashes, ours and the old system's."""

import asyncio

import bcrypt
import pytest

from core.accounts.passwords import (
    MOST_WAITING,
    THREADS,
    ensure_strong,
    hash_password,
    needs_rehash,
    verify_password,
)
from core.errors import InvalidInputError, TooManySignInsError

# As PHP's password_hash("correct horse battery") writes it, with cost 4 to be quick.
BCRYPT = bcrypt.hashpw(b"correct horse battery", bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$")


async def test_own_hash() -> None:
    stored = await hash_password("correct horse battery")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await verify_password("correct horse battery", stored)
    assert not await verify_password("wrong", stored)
    assert not needs_rehash(stored)


async def test_hash_of_the_old_system() -> None:
    assert await verify_password("correct horse battery", BCRYPT)
    assert not await verify_password("wrong", BCRYPT)
    assert needs_rehash(BCRYPT)


async def test_long_password_of_the_old_system() -> None:
    """PHP looked at 72 bytes only, so a longer password verifies by its beginning, even inside a character."""
    password = "é" * 50
    stored = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$")
    assert await verify_password(password, stored)


async def test_weaker_hash_is_replaced() -> None:
    assert needs_rehash("$argon2id$v=19$m=8192,t=1,p=1$c29tZXNhbHQ$3q2+7w")


@pytest.mark.parametrize("stored", [None, "", "plain text", "$2y$10$short", "$argon2id$broken", "$2y$99$" + "a" * 53])
async def test_no_password_fits_an_unusable_hash(stored: str | None) -> None:
    assert not await verify_password("", stored)
    assert not await verify_password("nobody's password", stored)


async def test_a_short_queue_and_the_rest_is_refused() -> None:
    outcomes = await asyncio.gather(*(verify_password("x", None) for _ in range(100)), return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, TooManySignInsError)]
    assert len(refused) == 100 - THREADS - MOST_WAITING
    assert outcomes.count(False) == THREADS + MOST_WAITING
    assert await verify_password("x", None) is False


@pytest.mark.parametrize("password", ["password1", "qwerty12345", "aaaaaaaaaaaa", "anabraga"])
async def test_what_is_guessed_soon_is_weak(password: str) -> None:
    with pytest.raises(InvalidInputError):
        await ensure_strong(password, ("ana.braga@example.com", "Ana Braga"))


@pytest.mark.parametrize("password", ["correct horse battery", "x8#kP2m!qL", "é" * 3 + "strange lamp" + "z" * 170])
async def test_what_takes_long_to_guess_is_not(password: str) -> None:
    await ensure_strong(password, ("ana@example.com", "Ana"))
