"""Mappings that are kept for the next file."""

import pytest

from core import database
from core.contacts.importing import saved_mappings
from core.contacts.importing.mapping import Column, FileMap
from core.contacts.importing.saved_mappings import find_mapping, keep_mapping
from tests.factories import Member


def _map(*fields: str) -> FileMap:
    return FileMap([Column(field, field) for field in fields], header=True)


async def _keep(user_id: int, keys: list[str], *fields: str) -> None:
    async with database.unit_of_work():
        await keep_mapping(user_id, keys, _map(*fields))


async def test_a_mapping_is_found_by_its_headers_in_any_order_and_without_the_reasons(user: Member) -> None:
    await _keep(user.id, ["fone", "apelido", "recadoreason"], "number", "name", "ignore")

    assert await find_mapping(user.id, ["apelido", "fone"]) == {"fone": "number", "apelido": "name"}
    assert await find_mapping(user.id, ["apelido", "fone", "rua"]) is None


async def test_the_mapping_unused_for_longest_goes(user: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_mappings, "MAXIMUM_MAPPINGS", 2)
    for key in ("a", "b", "a", "c"):
        await _keep(user.id, [key], "number")
    found = [await find_mapping(user.id, [key]) for key in ("a", "b", "c")]

    assert found == [{"a": "number"}, None, {"c": "number"}]
