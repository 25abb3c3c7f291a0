"""The judge of the whole run notices what it is there for."""

import secrets
from pathlib import Path

import pytest

from core import database
from core.config import PlatformConfig
from tests.factories import PASSWORD
from tests.whole_run import secrets_left


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "run.log"
    path.write_text("nothing of interest", encoding="utf-8")
    return path


async def test_a_clean_run(empty_installation: PlatformConfig, log: Path) -> None:
    assert await secrets_left(empty_installation, log) == []


@pytest.mark.parametrize("kind", ["rcd", "rck"])
async def test_a_token_in_the_log(empty_installation: PlatformConfig, log: Path, kind: str) -> None:
    log.write_text(f"token={kind}_{secrets.token_urlsafe(32)} came", encoding="utf-8")

    assert await secrets_left(empty_installation, log) == ["a token in the log"]


async def test_a_password_in_the_database(empty_installation: PlatformConfig, log: Path) -> None:
    await database.execute(
        "INSERT INTO settings (key, value, description, created_at, updated_at) VALUES ('x', $1, '', now(), now())",
        f"it was {PASSWORD}!",
    )

    assert await secrets_left(empty_installation, log) == ["a password in the database"]


async def test_what_is_encrypted_reads_like_a_token_by_chance(empty_installation: PlatformConfig, log: Path) -> None:
    sealed = f"v1.7fe3c306.rck_{secrets.token_urlsafe(60)}="
    log.write_text(f"it was {sealed}", encoding="utf-8")
    assert await secrets_left(empty_installation, log) == []

    log.write_text(f"it was {sealed},rcd_{secrets.token_urlsafe(32)}", encoding="utf-8")
    assert await secrets_left(empty_installation, log) == ["a token in the log"]
