"""The audit log."""

import msgspec
import pytest

from core import database
from core.audit.services import differences, record
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


async def test_record_names_the_row_by_its_fact(user: Member) -> None:
    await record("plan.updated", user_id=user.id, facts={"plan_id": 7})
    row = await database.fetch_row("SELECT entity, entity_id, account_id FROM logs WHERE user_id = $1", user.id)
    assert row is not None
    assert tuple(row) == ("plan", 7, user.id)


async def test_a_line_about_a_user_belongs_to_their_account(user: Member, administrator: Member) -> None:
    await record("user.updated", user_id=administrator.id, facts={"user_id": user.id})
    row = await database.fetch_row("SELECT entity_id, account_id FROM logs WHERE user_id = $1", administrator.id)
    assert row is not None
    assert tuple(row) == (user.id, user.id)


async def test_secrets_are_masked_by_name_and_by_column(user: Member) -> None:
    changes = {
        "api_token": ["planted-1", "planted-2"],
        "webhook_secret": [None, "planted-3"],
        "credentials": ["planted-4", {"x": "planted-5"}],
        "settings": [{"password": "planted-6"}, {"password": ""}],
        "url": ["", "https://u:planted-7@host/"],
        "name": ["a", "b"],
    }
    await record("server.updated", user_id=user.id, facts={"key_hash": "planted-8"}, changes=changes)
    row = await database.fetch_row("SELECT data::text, changes::text FROM logs WHERE user_id = $1", user.id)
    assert row is not None
    assert "planted" not in row["data"] + row["changes"]
    assert msgspec.json.decode(row["changes"])["credentials"] == ["***", "***"]
    assert msgspec.json.decode(row["changes"])["name"] == ["a", "b"]


def test_differences_are_those_of_the_fields_that_changed() -> None:
    before = {"name": "a", "color": "#1", "updated_at": 1}
    assert differences(before, {"name": "b", "color": "#1", "updated_at": 2}) == {"name": ["a", "b"]}
    assert differences(before, {"name": "b", "color": "#2"}, "color") == {"color": ["#1", "#2"]}


async def test_a_long_text_is_cut(user: Member) -> None:
    await record("campaign.updated", user_id=user.id, changes={"text": ["", "x" * 5000]})
    kept = await database.fetch_value("SELECT changes->'text'->>1 FROM logs WHERE user_id = $1", user.id)
    assert kept == "x" * 2000 + " ... (5000)"
