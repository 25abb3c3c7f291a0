import asyncio

import pytest

from core.media import delivery
from core.media.delivery import SMALL_BYTES, Attachment, MissingMediaError
from core.runtime import Runtime
from tests.core.media.conftest import Configure

PUBLIC = "https://recado.example.com"


def attachment(size: int = 10) -> Attachment:
    return Attachment(id=1, path="1/none", filename="a.pdf", content_type="application/pdf", size=size)


@pytest.mark.parametrize(
    ("mode", "public_url", "size", "within"),
    [
        ("auto", PUBLIC, SMALL_BYTES, True),
        ("auto", PUBLIC, SMALL_BYTES + 1, False),
        ("auto", "", SMALL_BYTES + 1, True),
        ("auto", "http://localhost:8000", SMALL_BYTES + 1, True),
        ("auto", "http://192.168.1.10:8000", SMALL_BYTES + 1, True),
        ("auto", "http://[::1]:8000", SMALL_BYTES + 1, True),
        ("auto", "http://host.docker.internal:8000", SMALL_BYTES + 1, False),
        ("url", "", 1, False),
        ("content", PUBLIC, 100 * SMALL_BYTES, True),
    ],
)
async def test_how_a_file_goes(
    configure: Configure, runtime: Runtime, mode: str, public_url: str, size: int, *, within: bool
) -> None:
    del runtime  # needed, since it holds the configuration
    configure("media", delivery=mode)
    configure("server", public_url=public_url)
    assert delivery.goes_within(attachment(size)) is within


async def test_a_message_that_is_not_there_has_no_file(configure: Configure) -> None:
    del configure  # needed, since it forgets what earlier tests saw
    with pytest.raises(MissingMediaError):
        async with delivery.attached(2**60, None):
            pass
    found = await delivery.described(2**60, None)
    assert (found.mimetype, found.url, found.content) == ("application/octet-stream", "", b"")


class TestRoom:
    async def test_who_finds_it_full_waits(self) -> None:
        room = delivery._Room(10)
        taken: list[str] = []

        async def take(name: str, size: int, until: asyncio.Event) -> None:
            async with room.take(size):
                taken.append(name)
                await until.wait()

        first, second = asyncio.Event(), asyncio.Event()
        tasks = [asyncio.create_task(take("first", 7, first)), asyncio.create_task(take("second", 7, second))]
        for _ in range(5):
            await asyncio.sleep(0)
        assert taken == ["first"]
        first.set()
        second.set()
        await asyncio.gather(*tasks)
        assert taken == ["first", "second"]

    async def test_one_alone_may_be_larger(self) -> None:
        room = delivery._Room(10)
        async with asyncio.timeout(1), room.take(1_000):
            pass
        async with asyncio.timeout(1), room.take(10):
            pass

    async def test_a_failure_gives_it_back(self) -> None:
        room = delivery._Room(10)
        with pytest.raises(ValueError, match="x"):
            async with room.take(10):
                raise ValueError("x")
        async with asyncio.timeout(1), room.take(10):
            pass
