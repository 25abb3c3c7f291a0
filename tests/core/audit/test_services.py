"""The audit log."""

import msgspec
import pytest

from core import database
from core.audit.services import record
from tests.factories import Member


async def lines_of(user: Member) -> list[tuple[str, str, object]]:
    rows = await database.fetch("SELECT action, description, data FROM logs WHERE user_id = $1 ORDER BY id", user.id)
    return [(row["action"], row["description"], msgspec.json.decode(row["data"])) for row in rows]


async def test_record(user: Member) -> None:
    await record("plan.created", user_id=user.id, description="By hand", facts={"plan_id": 3})
    assert await lines_of(user) == [("plan.created", "By hand", {"plan_id": 3})]


async def test_record_of_the_platform(user: Member) -> None:
    await record(f"test.{user.email}", user_id=None)
    row = await database.fetch_row("SELECT user_id, data FROM logs WHERE action = $1", f"test.{user.email}")
    assert row is not None
    assert (row["user_id"], row["data"]) == (None, "{}")


async def test_record_falls_with_its_unit_of_work(user: Member) -> None:
    async def fail() -> None:
        async with database.unit_of_work():
            await record("user.updated", user_id=user.id)
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        await fail()
    assert await lines_of(user) == []
