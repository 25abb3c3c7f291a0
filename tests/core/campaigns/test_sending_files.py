"""Files on their way: how they are handed over, and what happens when one is gone."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar

from core import database
from core.campaigns import explain, services
from core.campaigns.dispatch import Dispatcher
from core.media import delivery
from core.plugin import Capabilities, MessageKind
from core.runtime import Runtime
from tests.conftest import Serve
from tests.core.campaigns.making import Made, make_campaign, recipients, standing, start, states
from tests.core.campaigns.sink import Sink
from tests.core.media.files import JPEG, PDF, VOICE, upload
from tests.factories import Member

BARE = Capabilities(version="1", media=(MessageKind.IMAGE, MessageKind.AUDIO, MessageKind.DOCUMENT, MessageKind.VIDEO))


@pytest.fixture
def configure(runtime: Runtime) -> Iterator[Callable[..., None]]:
    """Change tables of the configuration for one test."""
    before = runtime.config

    def put(table: str, **keys: Any) -> None:
        changed = msgspec.structs.replace(getattr(runtime.config, table), **keys)
        runtime.config = msgspec.structs.replace(runtime.config, **{table: changed})

    delivery.forget()
    yield put
    runtime.config = before
    delivery.forget()


class Scene:
    """A tenant with a campaign of one file."""

    def __init__(self, client: httpx.AsyncClient, user: Member, url: str) -> None:
        self._client, self._user, self._url = client, user, url

    async def start(
        self, content: bytes, name: str, type_message: int, *, text: str = "", contacts: int = 1
    ) -> tuple[Made, int]:
        """Start a campaign that sends a file; return it and the file's id."""
        made = await make_campaign(self._user, contacts=contacts, url=self._url, capabilities=BARE)
        media_id = (await upload(self._client, content, name))["id"]
        message = {"type_message": type_message, "media_id": media_id, "content": text}
        changed = await self._client.patch(f"/api/campaigns/{made.id}", json={"messages": [message]})
        assert changed.status_code == 200, changed.text
        await start(made)
        return made, media_id


@pytest.fixture
async def scene(tenant: httpx.AsyncClient, user: Member, sink_url: str, configure: Callable[..., None]) -> Scene:
    del configure  # needed, since it forgets what earlier tests sent
    return Scene(tenant, user, sink_url)


async def dispatch(condition: Callable[[], Awaitable[bool]] | None = None) -> None:
    """Let a dispatcher work until it ends by itself, or until something has come true."""
    stopping = asyncio.Event()
    dispatcher = Dispatcher(8, stopping)
    task = asyncio.create_task(dispatcher.run())
    async with asyncio.timeout(20):
        while condition is not None and not await condition():  # noqa: ASYNC110 - what is awaited is a row
            await asyncio.sleep(0.02)
        if condition is not None:
            stopping.set()
            dispatcher.nudge()
        await task


async def waits_for_its_file(made: Made) -> bool:
    settled = {"pending", "pending:media_missing"}
    return await standing(made.id) == (3, "media_missing") and set(await states(made.id)) <= settled


class TestByContent:
    @pytest.mark.parametrize(
        ("content", "name", "type_message", "mimetype"),
        [
            (JPEG, "Offer.jpg", 2, "image/jpeg"),
            (VOICE, "voice.ogg", 3, "audio/ogg; codecs=opus"),
            (PDF, "Price list.pdf", 4, "application/pdf"),
            (JPEG, "Offer.jpg", 4, "image/jpeg"),
        ],
        ids=["image", "voice", "document", "image as document"],
    )
    async def test_a_small_file_goes_within_the_request(
        self, scene: Scene, sink: Sink, content: bytes, name: str, type_message: int, mimetype: str
    ) -> None:
        made, _ = await scene.start(content, name, type_message)
        await dispatch()

        assert await states(made.id) == ["sent"]
        media = sink.posts[0].media
        assert media is not None
        assert (media.content, media.url) == (content, "")
        assert (media.filename, media.mimetype) == (name, mimetype)

    async def test_the_caption_is_each_ones_own(self, scene: Scene, sink: Sink) -> None:
        await scene.start(JPEG, "a.jpg", 2, text="Oi {{ nome }}", contacts=3)
        await dispatch()

        assert sorted(post.text for post in sink.posts) == ["Oi Name 0", "Oi Name 1", "Oi Name 2"]
        assert {post.media.content for post in sink.posts if post.media} == {JPEG}

    async def test_a_large_file_too_while_our_address_is_loopback(self, scene: Scene, sink: Sink) -> None:
        """A server in a container finds itself under it."""
        await scene.start(PDF + bytes(2 * delivery.SMALL_BYTES), "a.pdf", 4)
        await dispatch()

        assert sink.posts[0].media is not None
        assert len(sink.posts[0].media.content) == len(PDF) + 2 * delivery.SMALL_BYTES


class TestByAddress:
    async def test_a_large_file_goes_by_our_signed_address(
        self, scene: Scene, sink: Sink, configure: Callable[..., None], client: httpx.AsyncClient
    ) -> None:
        configure("server", public_url="https://recado.example.com")
        content = PDF + bytes(delivery.SMALL_BYTES)
        await scene.start(content, "a.pdf", 4)
        await dispatch()

        media = sink.posts[0].media
        assert media is not None
        assert (media.content, media.filename) == (b"", "a.pdf")
        assert media.url.startswith("https://recado.example.com/api/media/files/")
        read = await client.get(media.url.removeprefix("https://recado.example.com"))
        assert read.content == content

    async def test_the_address_works_over_http_for_whoever_has_it(
        self, scene: Scene, sink: Sink, configure: Callable[..., None], app: Litestar, serve: Serve
    ) -> None:
        configure("server", public_url=await serve(app))
        configure("media", delivery="url")
        await scene.start(JPEG, "a.jpg", 2)
        await dispatch()

        assert sink.posts[0].media is not None
        async with httpx.AsyncClient() as anybody:
            read = await anybody.get(sink.posts[0].media.url)
        assert (read.status_code, read.content, read.headers["content-type"]) == (200, JPEG, "image/jpeg")

    async def test_a_tenants_address_never_reaches_the_provider(
        self, scene: Scene, sink: Sink, configure: Callable[..., None]
    ) -> None:
        configure("media", delivery="url")
        _, media_id = await scene.start(JPEG, "a.jpg", 2)
        await database.execute("UPDATE media SET source_url = 'https://tenant.example/a.jpg' WHERE id = $1", media_id)
        await dispatch()

        assert sink.posts[0].media is not None
        assert "tenant.example" not in sink.posts[0].media.url


async def _lose(media_id: int, runtime: Runtime) -> None:
    path = await database.fetch_value("SELECT path FROM media WHERE id = $1", media_id)
    (runtime.config.data_folder / "media" / str(path)).unlink()


class TestMissing:
    @pytest.mark.parametrize("how", ["url", "content"])
    async def test_the_campaign_waits_for_somebody_to_mend_it(
        self, scene: Scene, sink: Sink, runtime: Runtime, configure: Callable[..., None], how: str
    ) -> None:
        configure("media", delivery=how)
        made, media_id = await scene.start(JPEG, "a.jpg", 2, contacts=40)
        await _lose(media_id, runtime)
        await dispatch(lambda: waits_for_its_file(made))

        assert sink.posts == []
        assert {row["state"] for row in await recipients(made.id)} == {"pending"}
        assert {row["reason"] for row in await recipients(made.id)} <= {"", "media_missing"}
        told = await explain.explain(made.user_id, made.id)
        assert [blocker.code for blocker in told.reasons] == ["media_missing"]

    async def test_once_it_is_back_everybody_gets_it_once(self, scene: Scene, sink: Sink, runtime: Runtime) -> None:
        made, media_id = await scene.start(JPEG, "a.jpg", 2, contacts=5)
        path = await database.fetch_value("SELECT path FROM media WHERE id = $1", media_id)
        file = runtime.config.data_folder / "media" / str(path)
        file.unlink()
        await dispatch(lambda: waits_for_its_file(made))
        file.write_bytes(JPEG)
        await database.execute("UPDATE message_by_contacts SET due_at = now() WHERE campaign_id = $1", made.id)
        await services.resume_campaign(made.user_id, made.id)
        await dispatch()

        assert sorted(sink.addresses) == sorted(made.phones)
        assert await states(made.id) == ["sent"] * 5

    async def test_another_file_instead_goes_to_everybody_once(
        self, scene: Scene, sink: Sink, runtime: Runtime, tenant: httpx.AsyncClient
    ) -> None:
        made, media_id = await scene.start(JPEG, "a.jpg", 2, contacts=5)
        await _lose(media_id, runtime)
        await dispatch(lambda: waits_for_its_file(made))
        other = (await upload(tenant, JPEG + b"other", "b.jpg"))["id"]
        place = f"/api/campaigns/{made.id}"
        by_address = {"type_message": 2, "media_url": "https://93.184.216.34/a.jpg"}
        early = await tenant.patch(place, json={"messages": [by_address]})
        assert list(early.json()["errors"]) == ["messages.0.media_url"]
        changed = await tenant.patch(place, json={"messages": [{"type_message": 2, "media_id": other}]})
        assert changed.status_code == 200, changed.text
        await database.execute("UPDATE message_by_contacts SET due_at = now() WHERE campaign_id = $1", made.id)
        await services.resume_campaign(made.user_id, made.id)
        await dispatch()

        assert sorted(sink.addresses) == sorted(made.phones)
        assert {post.media.content for post in sink.posts if post.media} == {JPEG + b"other"}

    async def test_a_deleted_row_is_as_gone(self, scene: Scene, sink: Sink) -> None:
        """Of a campaign that was completed a file may be deleted, and its failed rows be tried again later."""
        made, media_id = await scene.start(JPEG, "a.jpg", 2)
        await database.execute("UPDATE media SET deleted_at = now() WHERE id = $1", media_id)
        await dispatch(lambda: waits_for_its_file(made))

        assert sink.posts == []

    async def test_a_store_that_does_not_answer_burns_nothing(
        self, scene: Scene, sink: Sink, configure: Callable[..., None]
    ) -> None:
        made, _ = await scene.start(JPEG, "a.jpg", 2)
        configure("media", store="s3", bucket="b", endpoint="http://127.0.0.1:9")

        async def refused() -> bool:
            return await states(made.id) == ["pending:media_store_down"]

        await dispatch(refused)

        (row,) = await recipients(made.id)
        assert (row["failures"], sink.posts) == (0, [])
        assert (await standing(made.id))[0] == 2
