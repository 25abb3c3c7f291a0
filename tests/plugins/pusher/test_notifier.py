"""The notifier and real browsers' connections at a simulated service."""

import json
import logging
import time

import httpx
import pytest

from core.plugin import (
    MisconfiguredError,
    ProviderError,
    RefusedError,
    Secret,
    UnavailableError,
    UncertainError,
)
from plugins.pusher.notifier import App, PusherNotifier
from plugins.pusher.origins import parse_origin
from tests.plugins.pusher.conftest import (
    APP_ID,
    KEY,
    SECRET,
    Service,
    Start,
    event,
    event_of_size,
    hand_over,
    notification,
)

CHANNEL = "private-user-7"


async def test_a_browser_receives_the_notification_of_its_user(service: Service) -> None:
    browser, other = await service.browser_of(7), await service.browser_of(8)
    told = event("notification.created", data={"title": "<b>Olá</b> 👋"})

    await service.notifier.send(notification(told), hand_over)
    await service.notifier.publish([event("campaign.started", user_id=8, number=2)])

    assert await browser.next() == {
        "event": "notification.created",
        "channel": CHANNEL,
        "data": bytes(told.body).decode(),
    }
    assert (await other.next())["event"] == "campaign.started"


async def test_a_browser_receives_a_batch_in_its_order(service: Service) -> None:
    browser = await service.browser_of(7)

    await service.notifier.publish([event(number=number, data={"number": number}) for number in range(25)])

    frames = [await browser.next() for _ in range(25)]
    assert [json.loads(frame["data"])["data"]["number"] for frame in frames] == [*range(25)]
    assert {frame["channel"] for frame in frames} == {CHANNEL}


async def test_twenty_five_events_are_three_requests(service: Service) -> None:
    await service.notifier.publish([event(number=number) for number in range(25)])

    requests = [one["request"] for one in await service.published()]
    assert [requests.count(number) for number in sorted(set(requests))] == [10, 10, 5]


async def test_no_events_are_no_request(service: Service) -> None:
    await service.fault("down")

    await service.notifier.publish([])

    assert len((await service.http.get("/simulator/faults")).json()) == 1


async def test_progress_of_one_call_is_told_once(service: Service) -> None:
    progress = [event("campaign.progress", number=number, data={"campaign_id": 1}) for number in range(25)]

    await service.notifier.publish([*progress, event(number=99)])

    assert [json.loads(one["data"])["id"] for one in await service.published()] == ["evt_24", "evt_99"]


async def test_core_hears_of_the_handing_over_before_the_service_does(service: Service) -> None:
    seen: list[list[dict[str, object]]] = []

    async def look() -> None:
        seen.append(await service.published())

    await service.notifier.send(notification(event()), look)

    assert seen == [[]]
    assert len(await service.published()) == 1


async def test_a_notification_that_is_too_large_is_refused_before_it_is_sent(service: Service) -> None:
    heard: list[bool] = []

    async def hear() -> None:
        heard.append(True)

    with pytest.raises(RefusedError, match="Pusher takes 10240 at most"):
        await service.notifier.send(notification(event_of_size(10_752)), hear)
    assert (heard, await service.published()) == ([], [])


async def test_the_service_too_refuses_what_is_too_large(start: Start) -> None:
    service = await start(max_data_bytes=5_000)

    with pytest.raises(RefusedError) as refused:
        await service.notifier.send(notification(event_of_size(5_001)), hand_over)

    assert refused.value.http_status == 413


async def test_a_live_event_that_is_too_large_is_left_out_and_logged(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "plugins.pusher"):
        await service.notifier.publish([event(number=1), event_of_size(10_752, number=2), event(number=3)])

    assert [json.loads(one["data"])["id"] for one in await service.published()] == ["evt_1", "evt_3"]
    why = "The event campaign.completed has 10752 bytes, and Pusher takes 10240 at most."
    assert [record.getMessage() for record in caplog.records] == [f"Event evt_2 of user 7 is left out: {why}"]


async def test_a_notification_without_an_event_is_refused(service: Service) -> None:
    with pytest.raises(RefusedError, match="without an event"):
        await service.notifier.send(notification(None), hand_over)


@pytest.mark.parametrize(
    "channel",
    [
        *("private-user-8", "private-user-77", "private-user-", "private-user-7 ", "private-user-7\n", "", "user-7"),
        *("presence-user-7", "private-encrypted-user-7", "private-cache-user-7", "private-user-\uff17"),
        *("PRIVATE-USER-7", "private-user-7:x", "private-user-07", "private-user-7,private-user-8"),
    ],
)
def test_another_channel_is_refused(channel: str) -> None:
    with pytest.raises(RefusedError) as refused:
        make_notifier().authorize(7, "1.2", channel)
    assert refused.value.provider_code == "foreign_channel"


@pytest.mark.parametrize(
    "socket_id", ["", "1:evil", "1.2:private-user-7", "1.2\n", "1.2\x00", "\u0661.\u0662", "1.2::user::{}", "1"]
)
def test_what_is_no_connection_is_refused(socket_id: str) -> None:
    with pytest.raises(RefusedError) as refused:
        make_notifier().authorize(7, socket_id, CHANNEL)
    assert refused.value.provider_code == "socket_id"


async def test_the_permission_of_one_connection_does_not_let_another_in(service: Service) -> None:
    mine, other = await service.browser(), await service.browser()
    auth = service.notifier.authorize(7, mine.socket_id, CHANNEL)["auth"]

    answer = await other.subscribe(CHANNEL, auth)

    assert answer["event"] == "pusher:subscription_error"
    assert (answer["data"]["type"], answer["data"]["status"]) == ("AuthError", 401)


async def test_the_check_says_which_app_answers(service: Service) -> None:
    await service.browser_of(7)

    assert await service.notifier.check() == f"Pusher app {APP_ID} at {service.url}, 1 channels in use"


@pytest.mark.parametrize(
    ("given", "status"), [({"secret": Secret("wrong")}, 401), ({"key": "wrong"}, 401), ({"app_id": "9"}, 404)]
)
async def test_wrong_settings_are_for_an_administrator(service: Service, given: dict[str, str], status: int) -> None:
    notifier = service.make_notifier(**given)

    for call in (notifier.send(notification(event()), hand_over), notifier.publish([event()]), notifier.check()):
        with pytest.raises(MisconfiguredError) as misconfigured:
            await call
        assert misconfigured.value.http_status == status


@pytest.mark.parametrize(
    ("fault", "kind", "status"),
    [
        ("down", UnavailableError, 503),
        ("busy", UnavailableError, 429),
        ("500", UncertainError, 500),
        ("cut", UncertainError, None),
        ("cut_after", UncertainError, None),
        ("quota", MisconfiguredError, 403),
    ],
)
async def test_troubles_of_the_service(
    service: Service, fault: str, kind: type[ProviderError], status: int | None
) -> None:
    await service.fault(fault, count=2)

    for call in (service.notifier.send(notification(event()), hand_over), service.notifier.publish([event()])):
        with pytest.raises(ProviderError) as failed:
            await call
        assert (type(failed.value), failed.value.http_status) == (kind, status)
    assert len(await service.published()) == (2 if fault == "cut_after" else 0)


async def test_a_busy_service_says_when(service: Service) -> None:
    await service.fault("busy")

    with pytest.raises(UnavailableError) as busy:
        await service.notifier.send(notification(event()), hand_over)

    assert busy.value.retry_after == 7


async def test_what_follows_a_request_that_failed_is_not_sent(service: Service) -> None:
    await service.fault("down")

    with pytest.raises(UnavailableError):
        await service.notifier.publish([event(number=number) for number in range(25)])

    assert await service.published() == []


async def test_a_service_that_hangs_holds_up_nobody(service: Service) -> None:
    notifier = service.make_notifier(timeout_seconds=0.2)
    await service.fault("hang", count=2)
    began = time.monotonic()

    for call in (notifier.send(notification(event()), hand_over), notifier.publish([event()])):
        with pytest.raises(UncertainError, match=r"no answer within 0\.2 s"):
            await call

    assert time.monotonic() - began < 5


async def test_an_altered_body_is_not_taken(service: Service) -> None:
    request = service.notifier._request("POST", "events", b'{"name":"a","channel":"c","data":"{}"}')

    async with httpx.AsyncClient() as other:
        answer = await other.post(request.url, content=b'{"name":"b","channel":"c","data":"{}"}')

    assert answer.status_code == 401
    assert await service.published() == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ("https", "ws-sa1.pusher.com", "443")),
        ({"cluster": "eu"}, ("https", "ws-eu.pusher.com", "443")),
        ({"server": "http://127.0.0.1:6001"}, ("http", "127.0.0.1", "6001")),
        ({"server": "http://soketi:6001", "public": "https://live.example"}, ("https", "live.example", "443")),
        ({"server": "http://live.example"}, ("http", "live.example", "80")),
        ({"server": "http://[::1]:6001"}, ("http", "[::1]", "6001")),
    ],
)
def test_what_a_browser_is_told(given: dict[str, str], expected: tuple[str, str, str]) -> None:
    told = make_notifier(**given).connection(7)

    assert (told["scheme"], told["host"], told["port"]) == expected
    assert told["key"] == KEY
    assert told["channel"] == CHANNEL
    assert sorted(told) == ["channel", "cluster", "host", "key", "port", "scheme"]


def test_the_api_is_that_of_the_cluster_with_tls() -> None:
    assert str(make_app().origin) == "https://api-sa1.pusher.com"
    assert str(make_app(cluster="us2").origin) == "https://api-us2.pusher.com"


async def test_no_secret_is_shown(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await service.fault("quota")
    with pytest.raises(MisconfiguredError) as refused:
        await service.notifier.send(notification(event()), hand_over)
    await service.notifier.publish([event_of_size(10_752)])

    shown = repr(service.notifier) + repr(vars(service.notifier)) + str(refused.value) + caplog.text
    shown += str(service.notifier.connection(7))
    assert SECRET not in shown


def make_app(**given: str) -> App:
    read = {name: parse_origin(name, text) if "://" in text else text for name, text in given.items()}
    return App(app_id=APP_ID, key=KEY, secret=Secret(SECRET), **read)  # type: ignore[arg-type]


def make_notifier(**given: str) -> PusherNotifier:
    return PusherNotifier(make_app(**given))
