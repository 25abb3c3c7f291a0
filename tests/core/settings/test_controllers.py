"""A tenant's own configurations."""

from typing import Any

import pytest

from core.settings.schemas import DEFAULT_WORDS
from tests.conftest import ClientOf
from tests.factories import Member

PATH = "/api/configurations"


async def test_defaults(api: ClientOf, user: Member) -> None:
    async with api(user) as client:
        answer = await client.get(PATH)
    assert answer.json()["data"] == {"opt_out": {"words": list(DEFAULT_WORDS), "confirmation": ""}}


async def test_a_part_is_replaced(api: ClientOf, user: Member, other_user: Member) -> None:
    wanted = {"words": ["chega", "não quero"], "confirmation": "Pronto."}
    async with api(user) as client, api(other_user) as stranger:
        answer = await client.patch(PATH, json={"opt_out": wanted})
        assert answer.json()["data"]["opt_out"] == wanted
        assert (await client.patch(PATH, json={})).json()["data"]["opt_out"] == wanted
        assert (await stranger.get(PATH)).json()["data"]["opt_out"]["words"] == list(DEFAULT_WORDS)


@pytest.mark.parametrize(
    "body",
    [
        {"opt_out": {"words": "sair"}},
        {"opt_out": {"words": [""]}},
        {"opt_out": {"words": ["x" * 61]}},
        {"opt_out": {"words": ["ab"] * 51}},
        {"opt_out": {"confirmation": "x" * 1001}},
        {"opt_out": {"typo": 1}},
        {"opt_in": {}},
        {"opt_out": None},
    ],
)
async def test_bad_input_changes_nothing(api: ClientOf, user: Member, body: dict[str, Any]) -> None:
    async with api(user) as client:
        answer = await client.patch(PATH, json=body)
        assert answer.status_code == 422
        assert answer.json()["errors"]
        assert (await client.get(PATH)).json()["data"]["opt_out"]["words"] == list(DEFAULT_WORDS)
