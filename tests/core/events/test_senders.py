"""What the catalogue promises is sent by somebody."""

import pytest

from core.events.catalogue import EVENTS, LIVE, WEBHOOK
from tests.core.events.sources import core_sources, sent_events

MAKES = """
from functools import partial
from core import announcing, database
from core.events import catalogue
from core.events.catalogue import NewDevice, PasswordChanged, seal
from core.live.stream import publish
from core.notifications import outbox

"""


@pytest.fixture(scope="module")
def sent() -> set[str]:
    return sent_events(core_sources())


@pytest.mark.parametrize("name", sorted(LIVE | WEBHOOK))
def test_what_is_promised_is_sent(sent: set[str], name: str) -> None:
    assert EVENTS[name].__name__ in sent


@pytest.mark.parametrize(
    "body",
    [
        "async def f():\n    await announcing.announce(1, NewDevice(address='', user_agent=''), 'key')",
        "async def f():\n    event = catalogue.NewDevice(address='')\n    await announcing.emit(1, event)",
        (
            "async def f():\n    await announcing.emit_all([(1, made(one)) for one in rows])\n"
            "def made(one):\n    return NewDevice(address=one)"
        ),
        (
            "async def f():\n    told = []\n    for one in rows:\n        told.append((1, seal(NewDevice())))\n"
            "    database.after_commit(partial(publish, told))"
        ),
    ],
)
def test_whoever_sends_is_seen(body: str) -> None:
    assert "NewDevice" in sent_events({"core.example": MAKES + body})


@pytest.mark.parametrize(
    "body",
    [
        "async def f():\n    event = NewDevice()\n    await outbox.put('new_device', 1, 'key', event)",
        "async def f():\n    event = NewDevice()\n    await announcing.emit(1, PasswordChanged())",
        "async def f(announce):\n    await announce(1, NewDevice(), 'key')",
        "def f():\n    return seal(NewDevice())",
    ],
)
def test_whoever_makes_one_and_sends_it_nowhere_is_not(body: str) -> None:
    assert "NewDevice" not in sent_events({"core.example": MAKES + body})
