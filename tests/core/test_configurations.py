from typing import Any

import httpx
import msgspec
import pytest

from core.campaigns.pacing import DEFAULT_PACING, Pacing
from core.contacts.opt_out_settings import DEFAULT_WORDS
from tests.conftest import ClientOf
from tests.factories import Member

PATH = "/api/configurations"


async def _pacing(client: httpx.AsyncClient) -> Pacing:
    return msgspec.convert((await client.get(PATH)).json()["data"]["pacing"], Pacing)


async def test_begin_with_the_platforms_own(api: ClientOf, user: Member) -> None:
    async with api(user) as client:
        assert await _pacing(client) == DEFAULT_PACING


async def test_what_is_set_is_in_force_until_it_is_taken_back(api: ClientOf, user: Member, other_user: Member) -> None:
    async with api(user) as client, api(other_user) as stranger:
        answer = await client.patch(PATH, json={"pacing": {"delay_min": 5, "delay_max": 9, "per_day": 40}})
        assert answer.status_code == 200
        own = Pacing(delay_min=5, delay_max=9, per_day=40)
        assert await _pacing(client) == own
        await client.patch(PATH, json={})
        assert await _pacing(client) == own
        assert await _pacing(stranger) == DEFAULT_PACING
        await client.patch(PATH, json={"pacing": None})
        assert await _pacing(client) == DEFAULT_PACING


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"pacing": {"delay_min": 5, "delay_max": 1}}, {"pacing.delay_max"}),
        ({"pacing": {"per_day": 0}}, {"pacing.per_day"}),
        ({"pacing": {"windows": [{"start": "10:00", "end": "09:00"}]}}, {"pacing.windows.0.end"}),
        ({"pacing": {"holidays": {"country": "XX"}}}, {"pacing.holidays.country"}),
        ({"pacing": {"surprise": 1}}, {"pacing.surprise"}),
        ({"opt_out": {"words": "sair"}}, {"opt_out.words"}),
        ({"opt_out": {"words": [""]}}, {"opt_out.words.0"}),
        ({"opt_out": {"words": ["x" * 61]}}, {"opt_out.words.0"}),
        ({"opt_out": {"words": ["ab"] * 51}}, {"opt_out.words"}),
        ({"opt_out": {"confirmation": "x" * 1001}}, {"opt_out.confirmation"}),
        ({"entropy": {"max_share": 0}}, {"entropy.max_share"}),
        ({"entropy": {"max_share": 1.5}}, {"entropy.max_share"}),
        ({"entropy": {"surprise": 1}}, {"entropy.surprise"}),
        ({"surprise": 1}, {"surprise"}),
        ({"timezone": "Mars/Olympus"}, {"timezone"}),
        ({"locale": "tlh"}, {"locale"}),
        ({"country": "XX"}, {"country"}),
        ({"notifications": {"muted": ["password_changed"]}}, {"notifications.muted.0"}),
    ],
)
async def test_bad_input_names_its_fields_and_changes_nothing(
    api: ClientOf, user: Member, body: dict[str, Any], named: set[str]
) -> None:
    async with api(user) as client:
        answer = await client.patch(PATH, json=body)
        assert answer.status_code == 422, answer.text
        assert set(answer.json()["errors"]) == named
        assert await _pacing(client) == DEFAULT_PACING


async def test_opt_out_words_are_ones_own(api: ClientOf, user: Member, other_user: Member) -> None:
    wanted = {"words": ["chega", "não quero"], "confirmation": "Pronto."}
    async with api(user) as client, api(other_user) as stranger:
        answer = await client.patch(PATH, json={"opt_out": wanted})
        assert answer.json()["data"]["opt_out"] == wanted
        assert (await client.patch(PATH, json={})).json()["data"]["opt_out"] == wanted
        ours = {"words": list(DEFAULT_WORDS), "confirmation": ""}
        assert (await stranger.get(PATH)).json()["data"]["opt_out"] == ours
        assert (await client.patch(PATH, json={"opt_out": None})).json()["data"]["opt_out"] == ours


async def test_the_limit_of_uniform_texts_is_ones_own(api: ClientOf, user: Member, other_user: Member) -> None:
    async with api(user) as client, api(other_user) as stranger:
        for wanted in ({"max_share": 0.2}, {"max_share": None}, {"max_share": 1.0}):
            answer = await client.patch(PATH, json={"entropy": wanted})
            assert answer.json()["data"]["entropy"] == wanted
            assert (await client.patch(PATH, json={})).json()["data"]["entropy"] == wanted
        assert (await stranger.get(PATH)).json()["data"]["entropy"] == {"max_share": None}
        assert (await client.patch(PATH, json={"entropy": None})).json()["data"]["entropy"] == {"max_share": None}


async def test_need_a_sign_in(client: httpx.AsyncClient) -> None:
    assert (await client.get(PATH)).status_code == 401
    assert (await client.patch(PATH, json={})).status_code == 401


async def test_zone_and_language_are_those_of_the_account(api: ClientOf, user: Member) -> None:
    async with api(user) as client:
        answer = await client.patch(PATH, json={"timezone": "Europe/Lisbon", "locale": "pt-BR"})
        assert (answer.json()["data"]["timezone"], answer.json()["data"]["locale"]) == ("Europe/Lisbon", "pt-BR")
        account = (await client.get("/api/auth/me")).json()["data"]
    assert (account["timezone"], account["locale"]) == ("Europe/Lisbon", "pt-BR")


async def test_numbers_without_a_country_code_are_of_the_accounts_country(api: ClientOf, user: Member) -> None:
    async with api(user) as client:
        assert (await client.get(PATH)).json()["data"]["country"] == "BR"
        await client.patch(PATH, json={"country": "PT"})
        made = await client.post("/api/contacts", json={"number": "912 345 678"})
        assert made.json()["data"]["number"] == "351912345678"
        other = await client.post("/api/contacts", json={"number": "(11) 98765-4321", "country": "BR"})
        assert other.json()["data"]["number"] == "5511987654321"
        blocked = await client.post("/api/block-contacts", json={"number": "912 345 679"})
        assert blocked.json()["data"]["number"] == "351912345679"
        upload = await client.post("/api/imports", files={"file": ("a.csv", b"phone\n912345680\n", "text/csv")})
        assert upload.json()["data"]["default_country"] == "PT"


async def test_what_one_is_told_is_ones_own_choice(api: ClientOf, user: Member) -> None:
    async with api(user) as client:
        everything = {"email": True, "realtime": True, "muted": [], "kinds": {}}
        assert (await client.get(PATH)).json()["data"]["notifications"] == everything
        chosen = {"email": False, "realtime": True, "muted": ["campaign_started"], "kinds": {}}
        answer = await client.patch(PATH, json={"notifications": chosen})
        assert answer.json()["data"]["notifications"] == chosen
        assert (await client.patch(PATH, json={"notifications": None})).json()["data"]["notifications"] == everything


async def test_one_unfit_value_changes_nothing_at_all(api: ClientOf, user: Member) -> None:
    async with api(user) as client:
        answer = await client.patch(PATH, json={"timezone": "Europe/Lisbon", "country": "XX"})
        assert answer.status_code == 422
        assert (await client.get(PATH)).json()["data"]["timezone"] == "America/Sao_Paulo"
