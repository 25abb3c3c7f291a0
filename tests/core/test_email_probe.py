"""``recado check --email``: what each notifier says of a mail, whatever it says."""

from collections.abc import Sequence

import pytest

from core.checks import Checkup
from core.config import parse_config
from core.email_probe import probe
from core.plugin import (
    HandingOver,
    MisconfiguredError,
    Notification,
    Notifier,
    RefusedError,
    UnavailableError,
    UncertainError,
)
from core.plugin.registry import Providers

ADDRESS = "ana@example.com"


class Scripted:
    """Keeps what it is given, and answers as it is told."""

    def __init__(self, name: str, channel: str = "email", answer: Exception | None = None) -> None:
        self.name = name
        self.channel = channel
        self.answer = answer
        self.sent: list[Notification] = []

    async def send(self, notification: Notification, handing_over: HandingOver) -> None:
        await handing_over()
        self.sent.append(notification)
        if self.answer is not None:
            raise self.answer

    async def check(self) -> str:
        return "fine"

    async def aclose(self) -> None: ...


async def lines(*notifiers: Scripted) -> Sequence[tuple[str, str, str]]:
    found: dict[str, Notifier] = {one.name: one for one in notifiers}  # type: ignore[misc] # its channel is any text
    checkup = Checkup(parse_config({}), Providers(notifiers_by_name=found))
    return [(result.level, result.name, result.text) async for result in probe(checkup, ADDRESS)]


async def test_every_notifier_of_e_mails_sends_one() -> None:
    first, second, other = Scripted("one"), Scripted("two"), Scripted("pusher", "realtime")

    assert await lines(first, second, other) == [
        ("ok", "e-mail one", "taken for ana@example.com: look whether it arrives"),
        ("ok", "e-mail two", "taken for ana@example.com: look whether it arrives"),
    ]
    (sent,) = first.sent
    assert (sent.recipient, sent.kind, sent.subject) == (ADDRESS, "probe", "Recado can send e-mails")
    assert "`recado check" in sent.text
    assert "<h1" in sent.html
    assert other.sent == []


async def test_each_probe_has_a_key_of_its_own() -> None:
    notifier = Scripted("one")
    await lines(notifier)
    await lines(notifier)
    assert len({sent.key for sent in notifier.sent}) == 2


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (RefusedError("550 5.1.1"), "RefusedError: 550 5.1.1"),
        (UnavailableError("smtp://u:hidden@mail.example does not answer"), "UnavailableError: smtp://"),
        (MisconfiguredError("535 5.7.8"), "MisconfiguredError: 535 5.7.8"),
        (UncertainError("no answer after the text"), "UncertainError: no answer after the text"),
        (RuntimeError("odd\nsecond line"), "RuntimeError: odd"),
    ],
)
async def test_what_a_notifier_raises_is_a_line_and_keeps_no_other_from_sending(answer: Exception, text: str) -> None:
    sound = Scripted("two")
    first, second = await lines(Scripted("one", answer=answer), sound)
    assert first[:2] == ("problem", "e-mail one")
    assert first[2].startswith(text)
    assert "hidden" not in first[2]
    assert second[0] == "ok"
    assert len(sound.sent) == 1


async def test_without_a_notifier_nothing_is_sent_and_it_is_said() -> None:
    assert await lines(Scripted("pusher", "realtime")) == [
        ("problem", "e-mail", "nothing can send an e-mail to ana@example.com: add [plugins.smtp]")
    ]
