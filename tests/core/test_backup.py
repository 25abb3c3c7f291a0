import stat
from pathlib import Path

import pytest

from core import database
from core.accounts.services import create_user
from core.backup import back_up, ensure_alone, restore
from core.config import PlatformConfig
from core.errors import OperatorError

CAMPAIGN = """
INSERT INTO campaigns (user_id, name, status, status_reason, schedule_date) VALUES ($1, $2, $3, $4, $5::timestamptz)
"""


async def _campaigns() -> dict[str, tuple[int, str]]:
    rows = await database.fetch("SELECT name, status, status_reason FROM campaigns")
    return {row["name"]: (row["status"], row["status_reason"]) for row in rows}


async def _fill() -> None:
    user = await create_user("owner@example.com", "Owner", "correct horse battery")
    now = await database.fetch_value("SELECT now()")
    later = await database.fetch_value("SELECT now() + interval '1 day'")
    await database.execute(CAMPAIGN, user.id, "running", 2, "sending", None)
    await database.execute(CAMPAIGN, user.id, "paused", 3, "paused_by_user", None)
    await database.execute(CAMPAIGN, user.id, "due", 1, "scheduled", now)
    await database.execute(CAMPAIGN, user.id, "later", 1, "scheduled", later)
    await database.execute("INSERT INTO settings (key, value) VALUES ('system_identifier', '1')")


async def test_a_restore_brings_the_rows_back_and_pauses_what_would_send(
    empty_installation: PlatformConfig, tmp_path: Path
) -> None:
    await _fill()
    await back_up(empty_installation, tmp_path / "all.dump", bundled=True)
    await database.execute("DELETE FROM campaigns")

    paused = await restore(empty_installation, tmp_path / "all.dump", bundled=True)

    assert paused == 2
    assert await _campaigns() == {
        "running": (3, "database_restored"),
        "paused": (3, "paused_by_user"),
        "due": (1, "database_restored"),
        "later": (1, "scheduled"),
    }


async def test_every_later_start_takes_the_database_for_another(
    empty_installation: PlatformConfig, tmp_path: Path
) -> None:
    await _fill()
    await back_up(empty_installation, tmp_path / "all.dump", bundled=True)

    await restore(empty_installation, tmp_path / "all.dump", bundled=True)

    stored = await database.fetch_value("SELECT value FROM settings WHERE key = 'system_identifier'")
    assert stored == "restored"


async def test_a_dump_is_for_its_owner_alone(empty_installation: PlatformConfig, tmp_path: Path) -> None:
    target = tmp_path / "all.dump"

    await back_up(empty_installation, target, bundled=True)

    assert stat.S_IMODE(target.stat().st_mode) == 0o600


async def test_a_file_that_exists_is_kept(empty_installation: PlatformConfig, tmp_path: Path) -> None:
    target = tmp_path / "all.dump"
    target.write_text("precious")

    with pytest.raises(OperatorError, match="exists already: name another file"):
        await back_up(empty_installation, target, bundled=True)

    assert target.read_text() == "precious"


async def test_what_is_no_dump_changes_nothing(empty_installation: PlatformConfig, tmp_path: Path) -> None:
    await _fill()
    source = tmp_path / "letter.txt"
    source.write_text("Dear database")

    with pytest.raises(OperatorError, match="pg_restore failed, and nothing was changed"):
        await restore(empty_installation, source, bundled=True)

    assert len(await _campaigns()) == 4


async def test_a_missing_file_is_told(empty_installation: PlatformConfig, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="There is no file"):
        await restore(empty_installation, tmp_path / "none.dump", bundled=True)


async def test_nothing_is_restored_under_a_running_platform(empty_installation: PlatformConfig) -> None:
    await database.fetch_value("SELECT 1")

    with pytest.raises(OperatorError, match="Recado is running on this database"):
        await ensure_alone(empty_installation)
