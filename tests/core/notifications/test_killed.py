"""Processes that are killed between a cause and its mail: nothing is lost, and what goes out twice is a receipt."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from core import database
from core.config import PlatformConfig, server_variables
from core.events.catalogue import Event
from core.notifications import sweeping
from core.runtime import Runtime, set_runtime
from tests.core.notifications.post import announce, completed, paid
from tests.core.numbers.messaging import eventually
from tests.factories import Member
from tests.plugins.smtp.conftest import PASSWORD, USER, Mail, simulate

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.usefixtures("installation")]

DYING = """
import asyncio, os, signal
from core import announcing, database
from core.config import load_config
from core.events.catalogue import PasswordChanged
from core.startup import running_process

async def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)

async def main() -> None:
    async with running_process(load_config()):
        async with database.unit_of_work():
            database.after_commit(die)
            await announcing.announce({user_id}, PasswordChanged(), "dying:{user_id}")

asyncio.run(main())
"""


@pytest.fixture
async def mail(runtime: Runtime, tmp_path: Path) -> AsyncIterator[Mail]:
    """A mail service that the workers of these tests use."""
    async with simulate(tmp_path) as running:
        # The sweep, which these tests call themselves, hints at the lanes of its own process.
        providers = msgspec.structs.replace(runtime.providers, notifiers_by_name={"smtp": running.notifier})
        set_runtime(msgspec.structs.replace(runtime, providers=providers))
        try:
            yield running
        finally:
            set_runtime(runtime)


@asynccontextmanager
async def worker(mail: Mail, config: PlatformConfig, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a worker that mails through the simulated service."""
    async with process(mail, config, folder, "from core.cli import main; main()", "worker") as running:
        yield running


@asynccontextmanager
async def process(
    mail: Mail, config: PlatformConfig, folder: Path, *command: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    (folder / "platform.toml").write_text(
        f'[plugins.smtp]\nhost = "localhost"\nport = {mail.simulator.server.port}\nusername = "{USER}"\n'
        f'password = {{ env = "POST_PASSWORD" }}\nfrom_address = "{USER}"\nca_file = "{mail.ca_file}"\n',
        encoding="utf-8",
    )
    environment = {
        **os.environ,
        **server_variables(config),
        "RECADO_DATA": config.paths.data,
        "PYTHONPATH": str(Path.cwd()),
        "POST_PASSWORD": PASSWORD,
    }
    with (folder / "log").open("ab") as log:
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-c", *command, cwd=folder, env=environment, stdout=log, stderr=log
        )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()


async def _is(user: Member, status: str) -> bool:
    found = await database.fetch_value(
        "SELECT count(*) FROM notification_deliveries WHERE user_id = $1 AND channel = 'email' AND status = $2",
        user.id,
        status,
    )
    return found == 1


async def _mails_to(mail: Mail, user: Member) -> list[str]:
    """Return the Message-IDs of what reached somebody."""
    return [one["message_id"] for one in await mail.mails() if one["recipients"] == [user.email]]


async def _kill_while(
    mail: Mail, config: PlatformConfig, folder: Path, user: Member, event: Event, status: str
) -> None:
    """Announce an event and kill the worker that mails it once the delivery has a status; then let its lease end."""
    async with worker(mail, config, folder) as running:
        await announce(user.id, event, f"killed:{user.id}")
        await eventually(lambda: _is(user, status), seconds=60)
        if status == "claimed":

            async def named() -> bool:
                return any(user.email in command for command in await mail.commands())

            await eventually(named, seconds=30)
        running.send_signal(signal.SIGKILL)
        await running.wait()
    assert (await mail.http.delete("/simulator/faults")).is_success
    await database.execute(
        "UPDATE notification_deliveries SET lease_until = now() - interval '1 second' WHERE user_id = $1", user.id
    )


@pytest.mark.parametrize("event", [completed(), paid(1)], ids=["news", "receipt"])
async def test_killed_before_it_was_handed_over_it_arrives_once(
    mail: Mail, installation: PlatformConfig, tmp_path: Path, user: Member, event: Event
) -> None:
    await mail.fault("hang_before_data")
    await _kill_while(mail, installation, tmp_path, user, event, "claimed")
    assert await _mails_to(mail, user) == []
    async with worker(mail, installation, tmp_path):
        await sweeping.sweep()
        await sweeping.sweep()
        await eventually(lambda: _is(user, "sent"), seconds=60)
    assert len(await _mails_to(mail, user)) == 1


async def test_killed_on_its_way_news_are_left_and_said_to_be_unknown(
    mail: Mail, installation: PlatformConfig, tmp_path: Path, user: Member
) -> None:
    await mail.fault("hang_after_data")
    await _kill_while(mail, installation, tmp_path, user, completed(), "sending")
    before = await _mails_to(mail, user)
    await sweeping.sweep()
    assert await _is(user, "unknown")
    assert await _mails_to(mail, user) == before


async def test_killed_on_its_way_a_receipt_goes_out_once_more(
    mail: Mail, installation: PlatformConfig, tmp_path: Path, user: Member
) -> None:
    await mail.fault("hang_after_data")
    await _kill_while(mail, installation, tmp_path, user, paid(1), "sending")
    before = await _mails_to(mail, user)
    async with worker(mail, installation, tmp_path):
        await sweeping.sweep()
        await sweeping.sweep()
        await eventually(lambda: _is(user, "sent"), seconds=60)
    after = await _mails_to(mail, user)
    assert (len(after), len(set(after))) == (len(before) + 1, 1)


async def test_killed_right_after_the_commit_nothing_is_lost(
    mail: Mail, installation: PlatformConfig, tmp_path: Path, user: Member
) -> None:
    async with process(mail, installation, tmp_path, DYING.format(user_id=user.id)) as dying:
        assert await dying.wait() == -signal.SIGKILL
    async with worker(mail, installation, tmp_path):
        await sweeping.sweep()
        await eventually(lambda: _is(user, "sent"), seconds=60)
    assert len(await _mails_to(mail, user)) == 1
