"""``GET /api/events`` over real connections, and what opens it."""

import asyncio
from contextlib import AsyncExitStack

import httpx
import msgspec
import pytest
from litestar import Litestar

from core import database
from core.accounts import sessions
from core.accounts.liveness import living
from core.accounts.tables import SessionKind, UserStatus
from core.app import create_app
from core.events.catalogue import NewDevice, StreamOpened, StreamReset, seal
from core.live import hub, stream
from core.live.controllers import HUB, hub_of
from core.live.hub import MOST_OF_USER, Hub
from core.live.stream import Position
from core.runtime import Runtime
from core.security import SESSION_COOKIE
from tests.conftest import ClientOf, Serve
from tests.core.contacts.making import add
from tests.core.live.listening import happen, listening, refused
from tests.core.walking import session_id
from tests.factories import Member
from tests.outages import without_redis


@pytest.fixture
async def quick(runtime: Runtime) -> Litestar:
    """An application that shows signs of life, and looks whether sign-ins stand, every tenth of a second."""
    app = create_app(runtime.config)
    app.state[HUB] = Hub(living, beat_seconds=0.1, review_seconds=0.1)
    return app


@pytest.fixture
async def url(app: Litestar, serve: Serve) -> str:
    return await serve(app)


class TestListen:
    async def test_tells_what_happens_in_its_order(self, url: str, user: Member) -> None:
        async with listening(url, user.token) as one:
            opened = await one.opened()
            told = await happen(user.id, 5)
            assert await one.jobs(5) == told
        assert opened.body == StreamOpened(resumed=False)

    async def test_is_an_event_stream_that_no_proxy_holds_back(self, url: str, user: Member) -> None:
        async with listening(url, user.token) as one:
            await one.opened()
            headers = one.answer.headers
        assert headers["content-type"] == "text/event-stream; charset=utf-8"
        assert headers.get_list("cache-control") == ["no-cache, no-transform"]
        assert headers["x-accel-buffering"] == "no"
        assert headers["x-content-type-options"] == "nosniff"
        assert "ratelimit-remaining" in headers
        assert one.comments == ["connected"]

    async def test_every_connection_of_a_user_hears_it_and_nobody_elses(
        self, url: str, user: Member, other_user: Member
    ) -> None:
        async with (
            listening(url, user.token) as one,
            listening(url, user.token) as two,
            listening(url, other_user.token) as stranger,
        ):
            for connection in (one, two, stranger):
                await connection.opened()
            told = await happen(user.id)
            strange = await happen(other_user.id)
            assert await one.jobs(1) == told
            assert await two.jobs(1) == told
            assert await stranger.jobs(1) == strange

    async def test_what_is_published_twice_is_told_once(self, url: str, user: Member) -> None:
        envelope = seal(NewDevice(address="203.0.113.7", user_agent="Firefox\r\n\u202eevil"))
        async with listening(url, user.token) as one:
            await one.opened()
            for _ in range(2):
                await stream.publish([(user.id, envelope)])
            after = await happen(user.id)
            heard = await one.next()
            assert await one.jobs(1) == after
        assert heard.envelope == envelope
        assert heard.body == NewDevice(address="203.0.113.7", user_agent="Firefox\r\n\u202eevil")

    async def test_shows_that_the_connection_stands(self, quick: Litestar, serve: Serve, user: Member) -> None:
        async with listening(await serve(quick), user.token) as one:
            await one.opened()
            for _ in range(3):
                await one.comment("still here")

    async def test_a_user_has_so_many_connections(self, url: str, app: Litestar, user: Member) -> None:
        async with AsyncExitStack() as stack:
            open_ones = [await stack.enter_async_context(listening(url, user.token)) for _ in range(MOST_OF_USER)]
            for one in open_ones:
                await one.opened()
            assert await refused(url, user.token) == (429, "too_many_streams")
        async with asyncio.timeout(10):
            while hub_of(app).count:  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(0.01)
        async with listening(url, user.token) as one:
            await one.opened()

    async def test_the_oldest_of_too_many_gives_way_once_it_has_stood(
        self, runtime: Runtime, serve: Serve, user: Member, other_user: Member, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(hub, "MOST_OF_USER", 3)
        app = create_app(runtime.config)
        app.state[HUB] = Hub(living, long_seconds=0)
        url = await serve(app)
        async with AsyncExitStack() as stack:
            stranger = await stack.enter_async_context(listening(url, other_user.token))
            await stranger.opened()
            own = []
            for _ in range(5):
                own.append(await stack.enter_async_context(listening(url, user.token)))
                await own[-1].opened()
            for one in own[:2]:
                # A browser comes again, but not at once.
                assert await one.retry_told() == "30000"
                await one.ended()
            told = await happen(user.id)
            for one in own[2:]:
                assert await one.jobs(1) == told
            strange = await happen(other_user.id)
            assert await stranger.jobs(1) == strange
            assert hub_of(app).count == 3 + 1
        async with asyncio.timeout(10):
            while hub_of(app).count:  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(0.01)
        async with listening(url, user.token) as one:
            await one.opened()

    async def test_of_a_process_that_ends_is_ended(self, runtime: Runtime, serve: Serve, user: Member) -> None:
        app = create_app(runtime.config)
        url = await serve(app)
        async with listening(url, user.token) as one:
            await one.opened()
            hub_of(app).end()
            await one.ended()
        assert await refused(url, user.token) == (503, "ending")

    async def test_waits_for_redis_instead_of_failing(self, runtime: Runtime, serve: Serve, user: Member) -> None:
        url = await serve(create_app(runtime.config))
        async with AsyncExitStack() as stack:
            async with without_redis(runtime):
                one = await stack.enter_async_context(listening(url, user.token))
                await one.comment("connected")
            assert (await one.next()).body == StreamOpened(resumed=False)


class TestResume:
    async def test_by_header_goes_on_after_the_event(self, url: str, user: Member) -> None:
        async with listening(url, user.token) as one:
            await one.opened()
            await happen(user.id)
            last = await one.next()
        missed = await happen(user.id, 250)
        async with listening(url, user.token, headers={"Last-Event-ID": last.id}) as again:
            assert (await again.opened()).body == StreamOpened(resumed=True)
            assert await again.jobs(250) == missed
            more = await happen(user.id)
            assert await again.jobs(1) == more

    async def test_by_parameter_too(self, url: str, user: Member) -> None:
        async with listening(url, user.token) as one:
            opened = await one.opened()
        missed = await happen(user.id, 2)
        async with listening(url, user.token, params={"last_event_id": opened.id}) as again:
            await again.opened()
            assert await again.jobs(2) == missed

    async def test_what_is_kept_no_more_is_told(self, url: str, user: Member) -> None:
        async with listening(url, user.token) as one:
            opened = await one.opened()
        await happen(user.id, 2 * stream.KEPT_EVENTS)
        async with listening(url, user.token, headers={"Last-Event-ID": opened.id}) as again:
            reset = await again.next()
            after = await happen(user.id)
            assert await again.jobs(1) == after
        assert reset.body == StreamReset()
        async with listening(url, user.token, headers={"Last-Event-ID": reset.id}) as again:
            assert (await again.opened()).body == StreamOpened(resumed=True)
            assert await again.jobs(1) == after

    @pytest.mark.parametrize("asked", ["0-0.00000000", "1-1.ffffffff", "of another server"])
    async def test_what_never_was_here_is_told(self, url: str, user: Member, asked: str) -> None:
        async with listening(url, user.token, headers={"Last-Event-ID": asked}) as one:
            assert (await one.next()).body == StreamReset()

    async def test_an_id_from_more_than_an_hour_ago_is_told(self, url: str, runtime: Runtime, user: Member) -> None:
        epoch = (await stream.read_after(user.id, None)).epoch
        seconds, _ = await runtime.redis.time()
        old = Position((seconds - stream.KEPT_SECONDS - 1) * 1000, 0)
        async with listening(url, user.token, headers={"Last-Event-ID": f"{old}.{epoch.decode()}"}) as one:
            assert (await one.next()).body == StreamReset()

    async def test_a_parameter_that_is_no_id_is_refused(self, url: str, user: Member) -> None:
        assert await refused(url, user.token, params={"last_event_id": "5"}) == (422, "invalid_input")


class TestSignIn:
    async def test_a_cookie_opens_it(self, url: str, user: Member) -> None:
        token = await sessions.open_session(user.id, address="", user_agent="", kind=SessionKind.COOKIE)
        async with listening(url, headers={"Cookie": f"{SESSION_COOKIE}={token}"}) as one:
            await one.opened()

    async def test_an_api_key_needs_the_scope_read(self, url: str, api: ClientOf, user: Member) -> None:
        async with api(user) as client:
            reading = (await add(client, "api-keys", name="Shop", scopes=["read"]))["key"]
            sending = (await add(client, "api-keys", name="Shop", scopes=["send"]))["key"]
        assert await refused(url, sending) == (403, "scope_missing")
        async with listening(url, reading) as one:
            await one.opened()

    async def test_nobody_else_may(self, url: str) -> None:
        assert await refused(url) == (401, "unauthenticated")
        assert await refused(url, params={"ticket": "x" * 43}) == (401, "unauthenticated")

    async def test_the_end_of_the_session_ends_the_stream(self, quick: Litestar, serve: Serve, user: Member) -> None:
        url = await serve(quick)
        other = await sessions.open_session(user.id, address="", user_agent="")
        async with listening(url, user.token) as one, listening(url, other) as staying:
            await one.opened()
            await staying.opened()
            async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {user.token}"}) as client:
                assert (await client.post("/api/auth/logout")).status_code == 204
            await one.ended()
            told = await happen(user.id)
            assert await staying.jobs(1) == told
        assert await refused(url, user.token) == (401, "unauthenticated")

    async def test_the_end_of_a_key_ends_the_stream(
        self, quick: Litestar, serve: Serve, api: ClientOf, user: Member
    ) -> None:
        async with api(user) as client:
            key = await add(client, "api-keys", name="Shop", scopes=["read"])
            async with listening(await serve(quick), key["key"]) as one:
                await one.opened()
                await client.delete(f"/api/api-keys/{key['id']}")
                await one.ended()

    async def test_so_does_a_suspension(self, quick: Litestar, serve: Serve, user: Member) -> None:
        async with listening(await serve(quick), user.token) as one:
            await one.opened()
            await database.execute("UPDATE users SET status = $2 WHERE id = $1", user.id, UserStatus.INACTIVE)
            await one.ended()


class TestTicket:
    async def test_opens_the_stream_once(self, url: str, api: ClientOf, user: Member) -> None:
        async with api(user) as client:
            made = (await client.post("/api/events/ticket")).json()["data"]
        assert made["expires_in"] == 45
        async with listening(url, params={"ticket": made["ticket"]}) as one:
            await one.opened()
            told = await happen(user.id)
            assert await one.jobs(1) == told
            assert await refused(url, params={"ticket": made["ticket"]}) == (401, "unauthenticated")

    async def test_does_not_outlive_its_time(self, runtime: Runtime, api: ClientOf, user: Member) -> None:
        async with api(user) as client:
            made = (await client.post("/api/events/ticket")).json()["data"]
        keys = [key async for key in runtime.redis.scan_iter("recado:live:ticket:*")]
        assert made["ticket"].encode() not in b"".join(keys)
        left = [await runtime.redis.pttl(key) for key in keys]
        assert 0 < max(left) <= 45_000

    async def test_of_a_session_that_ended_opens_nothing(self, url: str, api: ClientOf, user: Member) -> None:
        async with api(user) as client:
            made = (await client.post("/api/events/ticket")).json()["data"]
        await sessions.revoke(user.id, await session_id(user.token))
        assert await refused(url, params={"ticket": made["ticket"]}) == (401, "unauthenticated")

    async def test_of_a_key_may_what_the_key_may(self, url: str, api: ClientOf, user: Member) -> None:
        async with api(user) as client:
            key = (await add(client, "api-keys", name="Shop", scopes=["read"]))["key"]
        async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {key}"}) as program:
            made = (await program.post("/api/events/ticket")).json()["data"]
        async with listening(url, params={"ticket": made["ticket"]}) as one:
            await one.opened()

    async def test_needs_redis(self, runtime: Runtime, api: ClientOf, user: Member) -> None:
        async with api(user) as client, without_redis(runtime):
            answer = await client.post("/api/events/ticket")
        assert (answer.status_code, answer.json()["code"]) == (503, "tickets_away")


def test_ids_are_read_as_they_are_written() -> None:
    told = stream.Told(Position(1_700_000_000_000, 3), b"0a1b2c3d", b"job.progress", b"{}")
    assert told.frame == b"id: 1700000000000-3.0a1b2c3d\nevent: job.progress\ndata: {}\n\n"
    assert stream.parse_event_id("1700000000000-3.0a1b2c3d") == (told.position, told.epoch)
    assert msgspec.structs.asdict(told.position) == {"milliseconds": 1_700_000_000_000, "sequence": 3}
