"""Connections are used again, replaced when they are gone, and closed when nobody needs them."""

import asyncio

import pytest
import uvloop

from core.plugin import UnavailableError
from core.plugin.testing import Hang, MailCommand, MailReply, unused_port
from plugins.smtp.connection import MOST_CONNECTIONS
from tests.plugins.smtp.conftest import USER, Begin, Mail, notification, until


async def _sessions(mail: Mail) -> list[int]:
    return [one["session"] for one in reversed(await mail.mails())]


async def test_mails_share_a_connection_that_is_reset_between_them(mail: Mail) -> None:
    for recipient in ("ana@example.com", "bia@example.com", "caio@example.com"):
        await mail.send(recipient)

    assert await _sessions(mail) == [1, 1, 1]
    said = await mail.commands()
    assert (said.count("STARTTLS"), said.count("AUTH"), said.count("RSET")) == (1, 1, 2)


async def test_a_connection_that_the_server_closed_is_replaced(mail: Mail) -> None:
    await mail.send()
    await mail.http.post("/simulator/cut")
    await mail.send()

    assert await _sessions(mail) == [1, 2]


async def test_a_connection_that_the_server_gave_up_is_replaced(mail: Mail) -> None:
    await mail.send()
    gone = MailReply(421, "4.4.2 Timeout, closing connection")
    mail.simulator.server.decide = lambda command: gone if command.verb == "RSET" else None
    await mail.send()

    assert await _sessions(mail) == [1, 2]


async def test_a_connection_that_hangs_is_replaced_within_the_limit(begin: Begin) -> None:
    mail = await begin(seconds=3.0)
    await mail.send()
    mail.simulator.server.decide = lambda command: Hang() if command.verb == "RSET" else None
    await mail.send()

    assert await _sessions(mail) == [1, 2]


async def test_idle_connections_are_closed_with_a_farewell(mail: Mail) -> None:
    notifier = mail.make_notifier(idle_seconds=0.05)
    await mail.send(notifier=notifier)

    async def is_gone() -> bool:
        return await mail.open_connections() == 0

    await until(is_gone)
    assert (await mail.commands())[-1] == "QUIT"
    await mail.send(notifier=notifier)
    await notifier.aclose()
    assert await _sessions(mail) == [1, 2]


async def test_closing_says_goodbye(mail: Mail) -> None:
    await mail.send()
    assert await mail.open_connections() == 1
    await mail.notifier.aclose()

    async def is_gone() -> bool:
        return await mail.open_connections() == 0

    await until(is_gone)
    assert (await mail.commands())[-1] == "QUIT"


async def test_it_works_on_the_loop_of_the_api(mail: Mail) -> None:
    """Uvloop has transports of its own."""

    async def send() -> str:
        notifier = mail.make_notifier()
        try:
            await mail.send(notifier=notifier)
            return await notifier.check()
        finally:
            await notifier.aclose()
            # What this loop still has to hear of them comes before it ends.
            await until(is_gone)

    async def is_gone() -> bool:
        return mail.simulator.server.open_connections == 0

    def on_uvloop() -> str:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(send())

    assert (await asyncio.to_thread(on_uvloop)).endswith(f"accepts {USER}")
    assert await _sessions(mail) == [1]


async def test_many_mails_at_once_take_few_connections(mail: Mail) -> None:
    await asyncio.gather(*(mail.send(f"person{number}@example.com") for number in range(20)))

    recipients = [one["recipients"][0] for one in await mail.mails()]
    assert sorted(recipients) == sorted(f"person{number}@example.com" for number in range(20))
    assert len({*await _sessions(mail)}) == MOST_CONNECTIONS


async def test_the_check_parts_with_those_that_wait_first(mail: Mail) -> None:
    """A server counts them all, and would refuse the fourth."""
    most = 0

    def count(_: MailCommand) -> None:
        nonlocal most
        most = max(most, mail.simulator.server.open_connections)

    mail.simulator.server.decide = count
    arrived = asyncio.Barrier(MOST_CONNECTIONS)

    async def meet() -> None:
        await arrived.wait()

    await asyncio.gather(*(mail.notifier.send(notification(), meet) for _ in range(MOST_CONNECTIONS)))
    assert await mail.open_connections() == MOST_CONNECTIONS

    await mail.notifier.check()

    assert most == MOST_CONNECTIONS
    assert (await mail.commands()).count("QUIT") == MOST_CONNECTIONS
    assert await mail.open_connections() == 1


@pytest.mark.parametrize("verb", ["CONNECT", "EHLO", "STARTTLS", "AUTH", "PASSWORD", "MAIL", "RCPT", "DATA"])
async def test_a_server_that_hangs_is_given_up_in_time(begin: Begin, verb: str) -> None:
    mail = await begin(seconds=0.3)
    mail.simulator.server.decide = lambda command: Hang() if command.verb == verb else None

    async with asyncio.timeout(5):
        with pytest.raises(UnavailableError):
            await mail.send()

    assert mail.handed_over == 0


async def test_mails_behind_a_server_that_hangs_do_not_queue_for_ever(begin: Begin) -> None:
    mail = await begin(seconds=0.4)
    mail.simulator.server.decide = lambda command: Hang() if command.verb == "MAIL" else None

    async with asyncio.timeout(10):
        found = await asyncio.gather(*(mail.send() for _ in range(30)), return_exceptions=True)

    assert {type(one) for one in found} == {UnavailableError}


async def test_a_send_that_is_cancelled_leaves_no_connection_behind(mail: Mail) -> None:
    arrived = asyncio.Event()

    async def wait() -> None:
        arrived.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(mail.notifier.send(notification(), wait))
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    async def is_gone() -> bool:
        return await mail.open_connections() == 0

    await until(is_gone)
    await mail.send()
    assert await _sessions(mail) == [2]


async def test_nobody_there_is_unavailable(mail: Mail) -> None:
    with pytest.raises(UnavailableError, match="cannot be reached"):
        await mail.send(notifier=mail.make_notifier(port=unused_port()))


async def test_a_server_that_asks_no_sign_in_gets_none(mail: Mail) -> None:
    """A relay lets some machines send; this one does not, and says so when the sender is named."""
    notifier = mail.make_notifier(username="")

    assert (await notifier.check()).endswith("(STARTTLS) accepts mail without a sign-in")
    await notifier.aclose()
    assert "AUTH" not in await mail.commands()
