"""What is old goes by the settings, in portions; what is not old, or not over, stays."""

from datetime import UTC, datetime, timedelta

import pytest

from core import database, retention
from core.retention import RULES, kept_days
from core.runtime import Runtime
from core.settings.services import put_setting, remove_setting
from tests.factories import Member

NOW = datetime.now(UTC)
BY_KEY = {rule.key: rule for rule in RULES}


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


@pytest.fixture(autouse=True)
async def nothing_set(runtime: Runtime) -> None:
    """Other tests set these, too."""
    del runtime  # opens the pool
    await database.execute("DELETE FROM settings WHERE starts_with(key, 'retention.')")


async def _log(user: Member, days: float) -> None:
    await database.execute(
        "INSERT INTO logs (user_id, account_id, action, created_at) VALUES ($1, $1, $2, $3)",
        user.id,
        f"test.{days}",
        ago(days),
    )


async def _logs(user: Member) -> list[str]:
    rows = await database.fetch("SELECT action FROM logs WHERE account_id = $1 ORDER BY id", user.id)
    return [row["action"] for row in rows]


async def test_logs_are_kept_for_a_year_by_default(user: Member) -> None:
    for days in (400, 366, 364, 1):
        await _log(user, days)
    await retention.sweep(NOW)
    assert await _logs(user) == ["test.364", "test.1"]


async def test_a_setting_decides(user: Member) -> None:
    for days in (20, 9):
        await _log(user, days)
    await put_setting("retention.logs_days", "10")
    try:
        await retention.sweep(NOW)
        assert await _logs(user) == ["test.9"]
    finally:
        await remove_setting("retention.logs_days")


@pytest.mark.parametrize(("written", "days"), [("", 0), ("soon", 0), ("-1", 0), ("1", 7), ("30", 30), ("0", 0)])
async def test_days_of_a_rule(user: Member, written: str, days: int) -> None:
    del user  # opens the pool
    await put_setting("retention.recipients_days", written)
    try:
        assert await kept_days(BY_KEY["retention.recipients_days"]) == days
    finally:
        await remove_setting("retention.recipients_days")


async def test_jobs_go_once_they_have_ended_and_those_of_imports_stay(user: Member) -> None:
    made: dict[str, int] = {}
    for name, status, finished in (
        ("old", "done", ago(91)),
        ("fresh", "failed", ago(89)),
        ("open", "running", None),
        ("import", "done", ago(91)),
    ):
        made[name] = int(
            str(
                await database.fetch_value(
                    "INSERT INTO jobs (user_id, kind, status, finished_at, lease_until)"
                    " VALUES ($1, 'test', $2, $3, now() + interval '1 hour') RETURNING id",
                    user.id,
                    status,
                    finished,
                )
            )
        )
    await database.execute(
        "INSERT INTO imports (user_id, job_id, filename, path) VALUES ($1, $2, 'a.csv', 'imports/x')",
        user.id,
        made["import"],
    )
    await retention.sweep(NOW)
    rows = await database.fetch("SELECT id FROM jobs WHERE user_id = $1", user.id)
    assert {row["id"] for row in rows} == {made["fresh"], made["open"], made["import"]}
    await database.execute("DELETE FROM jobs WHERE user_id = $1", user.id)


async def test_notifications_go_once_nothing_of_them_is_left_to_tell(user: Member) -> None:
    made = {}
    for key, created, planned in (("old", 31, True), ("fresh", 29, True), ("open", 31, True), ("waiting", 31, False)):
        made[key] = await database.fetch_value(
            "INSERT INTO notifications (key, kind, user_id, created_at, planned_at) VALUES ($1, 'test', $2, $3, $4)"
            " RETURNING id",
            f"{user.id}:{key}",
            user.id,
            ago(created),
            ago(created) if planned else None,
        )
    for key, status in (("old", "sent"), ("open", "pending")):
        await database.execute(
            "INSERT INTO notification_deliveries (key, notification_id, user_id, kind, channel, status, due_at,"
            " created_at) VALUES ($1, $2, $3, 'test', 'email', $4, now(), now())",
            f"{user.id}:{key}",
            made[key],
            user.id,
            status,
        )
    await retention.sweep(NOW)
    rows = await database.fetch("SELECT key FROM notifications WHERE user_id = $1 ORDER BY key", user.id)
    assert [row["key"].partition(":")[2] for row in rows] == ["fresh", "open", "waiting"]
    left = await database.fetch("SELECT key FROM notification_deliveries WHERE user_id = $1", user.id)
    assert [row["key"].partition(":")[2] for row in left] == ["open"]
    # Nobody else's test is to find what waits here.
    await database.execute("DELETE FROM notifications WHERE user_id = $1", user.id)
    await database.execute("DELETE FROM notification_deliveries WHERE user_id = $1", user.id)


async def test_the_webhooks_log_goes_after_thirty_days(user: Member) -> None:
    for days in (31, 29):
        await database.execute(
            "INSERT INTO webhooks_log (type, created_at) VALUES ($1, $2)", f"retention:{user.id}:{days}", ago(days)
        )
    await retention.sweep(NOW)
    rows = await database.fetch("SELECT type FROM webhooks_log WHERE starts_with(type, $1)", f"retention:{user.id}:")
    assert [row["type"] for row in rows] == [f"retention:{user.id}:29"]


async def test_more_than_one_portion_goes_at_a_turn(user: Member) -> None:
    count = 2 * retention.PORTION + 1
    await database.execute(
        "INSERT INTO logs (user_id, account_id, action, created_at)"
        " SELECT $1, $1, 'test.many', $2 FROM generate_series(1, $3)",
        user.id,
        ago(500),
        count,
    )
    assert await retention.sweep(NOW) >= count
    assert await _logs(user) == []


def test_no_portion_is_larger_than_five_thousand_rows() -> None:
    assert retention.PORTION <= 5_000
