import asyncio
import itertools
from collections import Counter
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from conftest import TOKEN, Telegram
from recado_telegram.connection import TelegramCredentials
from recado_telegram.simulator import create, create_stage


def _said(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["description"]


async def test_each_form_of_parameters_is_read(telegram: Telegram) -> None:
    http, path = telegram.http, f"/bot{TOKEN}/sendMessage"
    fields = {"chat_id": "1001", "text": "Olá"}
    answers = [
        await http.get(path, params=fields),
        await http.post(path, json=fields),
        await http.post(path, data=fields),
        await http.post(path, files={name: (None, value) for name, value in fields.items()}),
    ]
    assert [answer.json()["result"]["text"] for answer in answers] == ["Olá"] * 4


async def test_refusals_are_told_in_telegrams_words(telegram: Telegram) -> None:
    assert _said(await telegram.http.get("/bot4242:other/getMe")) == (401, "Unauthorized")
    assert _said(await telegram.http.get("/botnone/getMe")) == (401, "Unauthorized: invalid token specified")
    assert _said(await telegram.call("sendNothing")) == (404, "Not Found: method not found")
    assert _said(await telegram.call("sendMessage", text="a")) == (400, "Bad Request: chat_id is empty")
    assert _said(await telegram.call("sendMessage", chat_id=1001)) == (400, "Bad Request: message text is empty")
    assert _said(await telegram.call("sendPhoto", chat_id=1001)) == (
        400,
        "Bad Request: there is no photo in the request",
    )


async def test_a_429_says_in_header_and_body_how_long_to_wait(telegram: Telegram) -> None:
    await telegram.http.post("/simulator/faults", json={"kind": "429", "retry_after": 30})
    answer = await telegram.call("sendMessage", chat_id=1001, text="a")
    assert _said(answer) == (429, "Too Many Requests: retry after 30")
    assert (answer.json()["parameters"], answer.headers["retry-after"]) == ({"retry_after": 30}, "30")
    assert (await telegram.call("sendMessage", chat_id=1001, text="a")).status_code == 429


async def test_an_offset_confirms_what_is_below_it(telegram: Telegram) -> None:
    for text in ("a", "b"):
        await telegram.service.write(1001, text)
    everything = (await telegram.call("getUpdates")).json()["result"]
    assert [update["message"]["text"] for update in everything] == ["/start", "a", "b"]
    assert len((await telegram.call("getUpdates", limit=2)).json()["result"]) == 2
    after = (await telegram.call("getUpdates", offset=everything[1]["update_id"] + 1)).json()["result"]
    assert after == (await telegram.call("getUpdates", offset=0)).json()["result"] == everything[2:]


async def test_a_negative_offset_forgets_all_but_the_last(telegram: Telegram) -> None:
    await telegram.service.write(1001, "last")
    last = (await telegram.call("getUpdates", offset=-1)).json()["result"]
    assert [update["message"]["text"] for update in last] == ["last"]
    assert (await telegram.call("getUpdates")).json()["result"] == last


async def test_an_offset_from_another_life_counts_for_the_beginning(telegram: Telegram) -> None:
    everything = (await telegram.call("getUpdates")).json()["result"]
    assert (await telegram.call("getUpdates", offset=2**30)).json()["result"] == everything


async def test_updates_are_kept_of_the_kinds_that_are_allowed(telegram: Telegram) -> None:
    await telegram.call("getUpdates", allowed_updates=["message"])
    await telegram.http.post("/simulator/updates", json={"kind": "callback_query", "content": {"id": "1"}})
    assert len((await telegram.call("getUpdates")).json()["result"]) == 1
    await telegram.call("getUpdates", allowed_updates=[])
    await telegram.http.post("/simulator/updates", json={"kind": "callback_query", "content": {"id": "2"}})
    assert len((await telegram.call("getUpdates")).json()["result"]) == 2


async def test_a_second_poll_ends_the_first(telegram: Telegram) -> None:
    begin = telegram.service.polls
    last = (await telegram.call("getUpdates")).json()["result"][-1]["update_id"]
    waiting = asyncio.create_task(telegram.call("getUpdates", offset=last + 1, timeout=30))
    while telegram.service.polls < begin + 2:  # noqa: ASYNC110 - the server gives no event
        await asyncio.sleep(0.01)
    await telegram.call("getUpdates", offset=last + 1)
    assert _said(await waiting)[0] == 409


async def test_who_blocked_the_bot_may_come_back(telegram: Telegram) -> None:
    await telegram.http.post("/simulator/people/1001/block")
    assert _said(await telegram.call("sendMessage", chat_id=1001, text="a"))[0] == 403
    await telegram.http.post("/simulator/people", json={"id": 1001})
    assert (await telegram.call("sendMessage", chat_id=1001, text="a")).status_code == 200


async def test_a_stage_reaches_everybody_at_its_own_time() -> None:
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    stage = create_stage({"any": ""}, now=lambda: moment)
    assert isinstance(stage.credentials, TelegramCredentials)
    path = f"/bot{stage.credentials.token.reveal()}/sendMessage"
    transport = httpx.ASGITransport(app=stage.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://telegram.test") as http:
        answers = [await http.post(path, json={"chat_id": chat, "text": "a"}) for chat in range(1, 40)]
    assert {answer.json()["result"]["date"] for answer in answers} == {int(moment.timestamp())}


async def test_a_stage_deals_out_the_faults_it_is_asked_for() -> None:
    moments = (datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=10 * turn) for turn in itertools.count())
    stage = create_stage({"any": ""}, faults=0.5, seed=1, now=lambda: next(moments))
    assert isinstance(stage.credentials, TelegramCredentials)
    path = f"/bot{stage.credentials.token.reveal()}/sendMessage"
    transport = httpx.ASGITransport(app=stage.app)
    seen: Counter[int] = Counter()
    async with httpx.AsyncClient(transport=transport, base_url="http://telegram.test") as http:
        for chat in range(1, 201):
            answer = await http.post(path, json={"chat_id": chat, "text": "a"})
            seen[answer.status_code if answer.content != b"{" else 0] += 1
    assert set(seen) == {0, 200, 429}
    assert 30 <= seen[0] <= 70
    assert 30 <= seen[429] <= 70


def test_wrong_options_are_named() -> None:
    with pytest.raises(ValueError, match="per_second"):
        create({"per_second": "none"})
