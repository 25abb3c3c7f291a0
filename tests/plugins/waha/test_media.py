"""Files over HTTP: from the provider through WAHA to the phone, by address and by content."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from core.plugin import (
    Accepted,
    Found,
    Media,
    MessageKind,
    OutgoingMessage,
    Prepared,
    Rejected,
    Retryable,
    Sender,
    Unknown,
)
from core.plugin.testing import Answer, ScriptedServer
from plugins.waha.provider import WahaProvider
from tests.plugins.waha.conftest import Waha, sender_on

Start = Callable[..., Awaitable[Waha]]
TO = "12132132130"
CONTENT = bytes(range(256)) * 20
KINDS = {
    MessageKind.IMAGE: ("image/jpeg", "o.jpg", "Offer"),
    MessageKind.AUDIO: ("audio/ogg; codecs=opus", "v.ogg", ""),
    MessageKind.DOCUMENT: ("application/pdf", "Price list.pdf", "Prices"),
    MessageKind.VIDEO: ("video/mp4", "v.mp4", "Demo"),
}


@pytest.fixture
async def shop() -> AsyncIterator[ScriptedServer]:
    """A web server with one file."""
    async with ScriptedServer(Answer(200, CONTENT, {"Content-Type": "image/jpeg"})) as server:
        yield server


async def connected(waha: Waha) -> Sender:
    await waha.working_session()
    return sender_on(waha.url)


def prepared(provider: WahaProvider, sender: Sender, kind: MessageKind, text: str, media: Media) -> Prepared:
    return provider.prepare(OutgoingMessage(TO, kind, text, media), sender, provider.new_client_id())


async def arrived(waha: Waha) -> dict[str, Any]:
    (message,) = (await waha.phone())["messages"]
    found: dict[str, Any] = message
    return found


@pytest.mark.parametrize("by_address", [True, False], ids=["by address", "by content"])
@pytest.mark.parametrize("kind", KINDS)
async def test_each_kind_reaches_the_phone(
    provider: WahaProvider,
    waha: Waha,
    shop: ScriptedServer,
    kind: MessageKind,
    by_address: bool,  # noqa: FBT001 - a table's column
) -> None:
    mimetype, filename, text = KINDS[kind]
    sender = await connected(waha)
    where = {"url": f"{shop.url}/file"} if by_address else {"content": CONTENT}
    media = Media(mimetype=mimetype, filename=filename, **where)
    message = prepared(provider, sender, kind, text, media)

    assert await provider.send(message, sender) == Accepted((message.client_id,), f"{TO}@c.us")
    seen = await arrived(waha)
    assert (seen["kind"], seen["text"], seen["id"]) == (kind.value, text, message.client_id)
    assert seen["file"] == {
        "mimetype": mimetype,
        "filename": filename,
        "size": len(CONTENT),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
    }
    assert [request.target for request in shop.requests] == (["/file"] if by_address else [])


async def test_it_is_shown_at_the_phone(provider: WahaProvider, waha: Waha) -> None:
    sender = await connected(waha)
    media = Media(mimetype="image/jpeg", filename="<o>.jpg", content=CONTENT)
    await provider.send(prepared(provider, sender, MessageKind.IMAGE, "Offer", media), sender)

    page = (await waha.http.get("/")).text
    assert "[image: &lt;o&gt;.jpg, 5120 bytes] Offer" in page


async def test_two_files_without_words_are_no_duplicates(provider: WahaProvider, waha: Waha) -> None:
    sender = await connected(waha)
    for content in (b"one", b"two", b"two"):
        media = Media(mimetype="image/jpeg", filename="o.jpg", content=content)
        await provider.send(prepared(provider, sender, MessageKind.IMAGE, "", media), sender)

    assert (await waha.phone())["duplicates"] == [{"chat_id": f"{TO}@c.us", "text": "", "times": 2}]


class TestFetching:
    @pytest.mark.parametrize(
        ("url", "code"), [("http://127.0.0.1:9/a.jpg", "ECONNREFUSED"), ("http://nowhere.invalid/a.jpg", "ENOTFOUND")]
    )
    async def test_a_host_out_of_reach_sends_nothing(
        self, provider: WahaProvider, waha: Waha, url: str, code: str
    ) -> None:
        sender = await connected(waha)
        media = Media(mimetype="image/jpeg", filename="a.jpg", url=url)
        message = prepared(provider, sender, MessageKind.IMAGE, "", media)

        refusal = await waha.http.post("/api/sendImage", content=message.body)
        assert (refusal.status_code, refusal.json()["exception"]["code"]) == (500, code)
        assert await provider.send(message, sender) == Retryable("media_unreachable", scope="server")
        assert (await waha.phone())["count"] == 0

    async def test_an_address_that_is_refused(self, provider: WahaProvider, waha: Waha, shop: ScriptedServer) -> None:
        """WAHA's answer does not say where the 404 came from, so nobody claims to know."""
        shop.reaction = Answer(404, b"")
        sender = await connected(waha)
        media = Media(mimetype="image/jpeg", filename="a.jpg", url=f"{shop.url}/a.jpg")
        message = prepared(provider, sender, MessageKind.IMAGE, "", media)

        assert await provider.send(message, sender) == Unknown("server_error")
        assert (await waha.phone())["count"] == 0

    @pytest.mark.parametrize("file", [None, {}, {"data": "data:image/jpeg;base64,AAAA"}, {"url": 7}])
    async def test_what_is_no_file(self, waha: Waha, file: object) -> None:
        await waha.working_session()
        answer = await waha.post("/api/sendImage", {"session": "snd_17", "chatId": TO, "file": file})
        assert answer.status_code == 400
        assert (await waha.phone())["count"] == 0


async def test_core_before_the_merger_sends_no_files(provider: WahaProvider, start: Start) -> None:
    waha = await start(version="2026.5.1", engine="GOWS")
    sender = sender_on(waha.url, instance="default")
    media = Media(mimetype="image/jpeg", filename="a.jpg", content=CONTENT)

    outcome = await provider.send(prepared(provider, sender, MessageKind.IMAGE, "", media), sender)
    assert outcome == Rejected("media_not_supported")


async def test_a_body_longer_than_waha_takes(provider: WahaProvider, waha: Waha) -> None:
    sender = await connected(waha)
    media = Media(mimetype="application/pdf", filename="a.pdf", content=bytes(38 * 2**20))

    outcome = await provider.send(prepared(provider, sender, MessageKind.DOCUMENT, "", media), sender)
    assert outcome == Rejected("too_large")
    assert (await waha.phone())["count"] == 0


async def test_an_answer_that_is_lost_is_found_again(provider: WahaProvider, waha: Waha) -> None:
    sender = await connected(waha)
    await waha.fault("drop_response")
    media = Media(mimetype="image/jpeg", filename="a.jpg", content=CONTENT)
    message = prepared(provider, sender, MessageKind.IMAGE, "Offer", media)

    assert isinstance(await provider.send(message, sender), Unknown)
    assert isinstance(await provider.reconcile(message, sender, ()), Found)
