"""The simulator answers as the documentation says, whoever calls it."""

import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from plugins.pusher.simulator import OPTIONS, create
from tests.plugins.pusher.conftest import APP_ID, KEY, SECRET, Service, Start

EVENT: dict[str, Any] = {"name": "a", "channel": "news", "data": "{}"}
UNKNOWN = "X" * 40


async def call(
    service: Service, method: str, resource: str, given: object = None, *, app_id: str = APP_ID, **query: str
) -> httpx.Response:
    """Call the API as a stranger's client would, ``query`` over what is right and part of the signature."""
    body = b"" if given is None else json.dumps(given).encode()
    path = f"/apps/{app_id}/{resource}"
    right = {"auth_key": KEY, "auth_timestamp": str(int(time.time())), "auth_version": "1.0"}
    signed = right | ({"body_md5": hashlib.md5(body, usedforsecurity=False).hexdigest()} if body else {}) | query
    text = f"{method}\n{path}\n" + "&".join(f"{name}={signed[name]}" for name in sorted(signed))
    signed["auth_signature"] = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
    return await service.http.request(method, f"{path}?{urlencode(signed)}", content=body)


async def test_an_event_reaches_all_its_channels(service: Service) -> None:
    names = [f"channel-{number}" for number in range(100)]

    answer = await call(service, "POST", "events", {"name": "a", "channels": names, "data": "x"})

    assert (answer.status_code, answer.json()) == (200, {})
    assert [one["channel"] for one in await service.published()] == names


@pytest.mark.parametrize(
    ("event", "status"),
    [
        (EVENT | {"data": "x" * 10_240}, 200),
        (EVENT | {"data": "x" * 10_241}, 413),
        (EVENT | {"data": {"no": "text"}}, 400),
        (EVENT | {"name": "x" * 200}, 200),
        (EVENT | {"name": "x" * 201}, 400),
        (EVENT | {"name": ""}, 400),
        (EVENT | {"channel": "x" * 164}, 200),
        (EVENT | {"channel": "x" * 165}, 400),
        (EVENT | {"channel": "no spaces"}, 400),
        (EVENT | {"channel": "azAZ09_-=@,.;"}, 200),
        (EVENT | {"channels": []}, 400),
        (EVENT | {"channels": ["x"] * 101}, 400),
        (EVENT | {"channels": ["private-encrypted-a", "b"]}, 400),
        (EVENT | {"socket_id": "1.2"}, 200),
        (EVENT | {"socket_id": "1.2:x"}, 400),
        ({"name": "a", "data": "{}"}, 400),
        ([], 400),
    ],
)
async def test_the_limits_of_an_event(service: Service, event: object, status: int) -> None:
    assert (await call(service, "POST", "events", event)).status_code == status


async def test_a_batch_has_ten_events_at_most(service: Service) -> None:
    assert (await call(service, "POST", "batch_events", {"batch": [EVENT] * 10})).status_code == 200
    assert (await call(service, "POST", "batch_events", {"batch": [EVENT] * 11})).status_code == 400


async def test_one_wrong_event_refuses_the_batch(service: Service) -> None:
    batch = [EVENT, EVENT | {"data": "x" * 10_752}]

    assert (await call(service, "POST", "batch_events", {"batch": batch})).status_code == 413
    assert await service.published() == []


@pytest.mark.parametrize(
    "query",
    [
        {"auth_key": "another"},
        {"auth_version": "2.0"},
        {"auth_timestamp": "1353088179"},
        {"auth_timestamp": "now"},
        {"auth_timestamp": "99999999999"},
        {"body_md5": "0" * 32},
    ],
)
async def test_who_cannot_prove_themselves(service: Service, query: dict[str, str]) -> None:
    answer = await call(service, "POST", "events", EVENT, **query)

    assert answer.status_code == 401
    assert SECRET not in answer.text


async def test_times_within_ten_minutes_are_taken(service: Service) -> None:
    now = int(time.time())
    codes = [
        (await call(service, "GET", "channels", auth_timestamp=str(now + away))).status_code
        for away in (-590, 590, -620, 620)
    ]

    assert codes == [200, 200, 401, 401]


async def test_a_signature_holds_every_parameter(service: Service) -> None:
    answer = await call(service, "GET", "channels", filter_by_prefix="private-&x")
    altered = str(answer.request.url).replace("filter_by_prefix=private", "filter_by_prefix=presence")

    assert answer.status_code == 200
    assert (await service.http.get(altered)).status_code == 401


async def test_an_app_that_there_is_not(service: Service) -> None:
    assert (await call(service, "POST", "events", EVENT, app_id="2")).status_code == 404


async def test_channels_in_use(service: Service) -> None:
    for channel in ("news", "news", "sport"):
        await (await service.browser()).subscribe(channel)

    counted = await call(service, "GET", "channels", filter_by_prefix="n", info="subscription_count")

    assert counted.json() == {"channels": {"news": {"subscription_count": 2}}}
    assert (await call(service, "GET", "channels")).json() == {"channels": {"news": {}, "sport": {}}}
    assert (await call(service, "GET", "channels/sport")).json() == {"occupied": True}
    assert (await call(service, "GET", "channels/none")).json() == {"occupied": False}
    assert (await call(service, "GET", "channels", info="user_count")).status_code == 400


async def test_a_connection_may_be_left_out(service: Service) -> None:
    mine, other = await service.browser(), await service.browser()
    for browser in (mine, other):
        await browser.subscribe("news")

    await call(service, "POST", "events", EVENT | {"socket_id": mine.socket_id})
    await call(service, "POST", "events", EVENT | {"name": "b"})

    assert [(await mine.next())["event"], (await other.next())["event"]] == ["b", "a"]


@pytest.mark.parametrize("auth", ["", "x", f"{KEY}:", f"{KEY}:{UNKNOWN}", f"other:{UNKNOWN}", f"{KEY}:é"])
async def test_a_private_channel_wants_a_permission(service: Service, auth: str) -> None:
    answer = await (await service.browser()).subscribe("private-user-7", auth)

    assert answer == {
        "event": "pusher:subscription_error",
        "channel": "private-user-7",
        "data": {"type": "AuthError", "error": "The connection is unauthorized.", "status": 401},
    }


async def test_what_is_not_imitated_is_refused(service: Service) -> None:
    for channel in ("presence-user-7", "private-encrypted-user-7", ""):
        assert (await (await service.browser()).subscribe(channel))["event"] == "pusher:subscription_error"


async def test_a_ping_is_answered(service: Service) -> None:
    browser = await service.browser()
    await browser.socket.send_json({"event": "pusher:ping", "data": {}})

    assert await browser.next() == {"event": "pusher:pong", "data": "{}"}


async def test_who_unsubscribes_hears_no_more(service: Service) -> None:
    browser = await service.browser()
    for channel in ("news", "sport"):
        await browser.subscribe(channel)
    await browser.order("pusher:unsubscribe", channel="news")
    # What was ordered before it is done when this is answered.
    await browser.order("pusher:ping")
    await browser.next()

    for channel in ("news", "sport"):
        await call(service, "POST", "events", EVENT | {"channel": channel})

    assert (await browser.next())["channel"] == "sport"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"event": 1}', '{"event": "client-typing", "data": {}}'])
async def test_what_makes_no_sense_is_answered_with_an_error(service: Service, text: str) -> None:
    browser = await service.browser()
    await browser.socket.send_str(text)

    assert (await browser.next())["event"] == "pusher:error"


async def test_nobody_subscribes_twice(service: Service) -> None:
    browser = await service.browser()
    await browser.subscribe("news")

    assert (await browser.subscribe("news"))["data"]["message"] == "Existing subscription to channel news"


@pytest.mark.parametrize(
    ("key", "query", "code"), [("other", "?protocol=7", 4001), (KEY, "", 4008), (KEY, "?protocol=99", 4007)]
)
async def test_connections_that_cannot_be(service: Service, key: str, query: str, code: int) -> None:
    browser = await service.connect(key, query)

    assert (await browser.next())["data"]["code"] == code
    await browser.socket.receive(timeout=10)
    assert browser.socket.close_code == code


async def test_browsers_can_be_asked_to_connect_again(service: Service) -> None:
    browser = await service.browser()

    assert (await service.http.delete("/simulator/connections")).json() == {"disconnected": 1}
    await browser.socket.receive(timeout=10)
    assert browser.socket.close_code == 4200


async def test_a_browser_that_left_is_forgotten(service: Service) -> None:
    browser, other = await service.browser(), await service.browser()
    await browser.socket.close()

    while len(found := (await service.http.get("/simulator/connections")).json()) > 1:
        pass
    assert found == {other.socket_id: []}


async def test_the_page_shows_what_was_published_escaped(service: Service) -> None:
    data = '<script>alert(1)</script> Olá "👋" {0} %s'
    await call(service, "POST", "events", EVENT | {"data": data})

    async with httpx.AsyncClient() as stranger:
        page = await stranger.get(service.url)

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "&lt;script&gt;alert(1)&lt;/script&gt; Olá &quot;👋&quot; {0} %s" in page.text
    assert "<script" not in page.text
    assert SECRET not in page.text


async def test_orders_need_the_secret(service: Service) -> None:
    async with httpx.AsyncClient(base_url=service.url) as stranger:
        codes = [
            (await stranger.get("/simulator/published")).status_code,
            (await stranger.post("/simulator/faults", json={"kind": "down"})).status_code,
        ]

    assert codes == [401, 401]


async def test_faults_end(service: Service) -> None:
    await service.fault("down", count=2)
    codes = [(await call(service, "GET", "channels")).status_code for _ in range(3)]
    await service.fault("quota", count=9)
    await service.http.delete("/simulator/faults")

    assert codes == [503, 503, 200]
    assert (await call(service, "GET", "channels")).status_code == 200
    assert (await service.http.post("/simulator/faults", json={"kind": "rain"})).status_code == 400


async def test_the_time_of_silence_is_an_option(start: Start) -> None:
    service = await start(activity_timeout=30)

    established = await (await service.connect()).next()

    assert json.loads(established["data"])["activity_timeout"] == 30


@pytest.mark.parametrize("options", [{"appid": "1"}, {"activity_timeout": "soon"}, {"max_batch": "0"}])
def test_options_that_there_are_not(options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        create(options)


def test_options_of_the_command_line_are_texts() -> None:
    assert {"app_id", "key", "secret", "activity_timeout", "max_data_bytes", "max_batch"} == OPTIONS
    create({"app_id": "1", "max_batch": "3"})
