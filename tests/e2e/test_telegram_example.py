"""A plugin that somebody else publishes: installed from its folder, and a campaign through it in real processes."""

import asyncio
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core import database
from core.accounts.services import create_user
from core.accounts.tables import Profile
from core.config import PlatformConfig
from tests.e2e.conftest import Platform
from tests.factories import PASSWORD

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "plugins" / "recado-telegram"
UV = shutil.which("uv") or str(ROOT / ".uv" / "bin" / "uv")
TOKEN = "4242:simulated-bot-token"
STARTED = (1001, 1002, 1003, 1004, 1005, 1006)
BLOCKED, NEVER_STARTED = 1007, 1008
RETRY_AFTER = 3
WORKERS = 2
KILLS = 10 if os.environ.get("RECADO_CHAOS") == "full" else 2
ENDS_WITHIN = 15
"""Seconds; less than a poll may wait for messages."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the package is installed into, without a network."""
    folder = tmp_path_factory.mktemp("installed")
    command = [UV, "pip", "install", "--quiet", "--offline", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--python", sys.executable, "--target", str(folder), str(EXAMPLE)], check=True)
    return folder


@pytest.fixture
async def platform(installation: PlatformConfig, installed: Path, tmp_path: Path) -> AsyncIterator[Platform]:
    """The platform with the package enabled, two workers, and the simulated Bot API beside it."""
    running = Platform(installation, tmp_path)
    running._environment["PYTHONPATH"] = os.pathsep.join((str(installed), str(ROOT)))
    running.configure("plugins.telegram")
    running.keep_log(tmp_path / "log", "debug")
    try:
        for name in ("api", "scheduler"):
            await running.start(name)
        for worker in range(WORKERS):
            await running.start(f"worker {worker}", "worker")
        await running.start("simulator", "simulate", "telegram", "--port", str(running.simulator_port))
        await running.until(lambda: running.http.get("/health/ready"), lambda found: found.is_success, "the API")
        await running.until(
            lambda: running.phone.get(f"/bot{TOKEN}/getMe"), lambda found: found.is_success, "the simulator"
        )
        address = f"telegram-{os.urandom(6).hex()}@example.com"
        await create_user(address, "Telegram", PASSWORD, profile=Profile.ADMINISTRATOR)
        await running.sign_in(address)
        yield running
    finally:
        await running.close()


def test_its_own_tests_pass_once_it_is_installed(installed: Path) -> None:
    # Its own settings put the sources in front, which is not what was installed.
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "pythonpath=tests", "tests"]
    path = os.pathsep.join((str(installed), str(ROOT)))
    done = subprocess.run(
        command, cwd=EXAMPLE, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_keeps_the_contract(installed: Path) -> None:
    path = os.pathsep.join((str(installed), str(ROOT)))
    done = subprocess.run(
        [sys.executable, "-m", "core.cli", "conformance", "telegram"],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"telegram ({installed / 'recado_telegram'})\n")
    passed = re.search(r"^passed (\d+) of (\d+)$", done.stdout, re.MULTILINE)
    assert passed is not None
    assert passed[1] == passed[2]


async def test_a_campaign_reaches_people_on_telegram_and_hears_them(platform: Platform, tmp_path: Path) -> None:
    await _meet_people(platform)
    number_id = await _add_bot(platform)
    contacts = await _add_contacts(platform)
    tried = await platform.post(f"/api/numbers/{number_id}/test-message", {"address": "1001", "text": "A try"})
    assert tried["outcome"] == "accepted"
    await _order(platform, "faults", kind="429", retry_after=RETRY_AFTER)
    campaign_id = await _send(platform, number_id, list(contacts.values()))

    await _expect_everybody_reached(platform)
    await _expect_report(platform, campaign_id)

    await _order(platform, "messages", **{"from": 1001, "text": "STOP"})
    await _until_blocked(platform, contacts[1001])
    await _kill_whoever_asks(platform, number_id)
    await platform.redis.flushdb()
    await _order(platform, "messages", **{"from": 1002, "text": "stop"})
    await _order(platform, "messages", **{"from": 1003, "text": "Obrigada!"})
    await _until_blocked(platform, contacts[1002])
    replied = await platform.until(
        lambda: platform.get(f"/api/campaigns/{campaign_id}"), lambda row: row["totals"]["replied"] == 3, "the replies"
    )
    assert replied["totals"]["sent"] == len(STARTED)
    third = await platform.get(f"/api/contacts/{contacts[1003]}")
    assert (third["blocked"], third["last_inbound_at"] is not None) == (False, True)
    await _expect_the_last_to_end_in_time(platform, number_id)
    log = (tmp_path / "log").read_text(encoding="utf-8")
    assert "worker_started" in log
    assert TOKEN.partition(":")[2] not in log


async def test_a_rehearsal_ends_with_the_campaign_completed(platform: Platform) -> None:
    number_id = await _add_bot(platform)
    campaign_id = await _draft(platform, number_id, list((await _add_contacts(platform)).values()))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "core.cli", "rehearse", str(campaign_id), "--json"),
        env=platform._environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    found = msgspec.json.decode(printed)["happened"]
    assert found["standing"]["reason"] == "completed"
    assert found["states"] == {"sent": len(STARTED) + 2}


@pytest.mark.chaos
@pytest.mark.timeout(600)
async def test_whoever_dies_every_message_is_stored_once(platform: Platform) -> None:
    await _order(platform, "people", id=1001, first_name="Ana")
    number_id = await _add_bot(platform)
    writing = asyncio.create_task(_write_on(platform))
    try:
        for _ in range(KILLS):
            name = await _kill_whoever_asks(platform, number_id)
            await platform.start(name, "worker")
    finally:
        writing.cancel()
    written = len((await platform.phone.get("/simulator/written")).json()["result"])
    assert written > KILLS
    stored = (
        "SELECT count(*) FROM webhook_events WHERE number_id = $1 AND kind = 'message_in' AND applied_at IS NOT NULL"
    )
    await platform.until(
        lambda: database.fetch_value(stored, number_id), lambda count: count == written, f"{written} messages"
    )


async def _write_on(platform: Platform) -> None:
    """Let somebody write without end."""
    for turn in itertools.count():
        await _order(platform, "messages", **{"from": 1001, "text": f"message {turn}"})
        await asyncio.sleep(0.05)


async def _meet_people(platform: Platform) -> None:
    for person in (*STARTED, BLOCKED):
        await _order(platform, "people", id=person, first_name=f"Person {person}")
    await _order(platform, f"people/{BLOCKED}/block")


async def _order(platform: Platform, path: str, **fields: object) -> None:
    answer = await platform.phone.post(f"/simulator/{path}", json=fields)
    assert answer.is_success, answer.text


async def _add_bot(platform: Platform) -> int:
    """Add the bot as a server, and a number on it: it is connected without anybody's doing."""
    url = str(platform.phone.base_url).rstrip("/")
    body = {"name": f"bot {platform.port}", "provider": "telegram", "url": url, "credentials": {"token": TOKEN}}
    server = await platform.post("/api/admin/servers", body)
    assert (server["status"], server["capabilities"]["engine"]) == (True, "@recado_bot")
    assert server["credentials"] == {"token": "***"}
    number = await platform.post("/api/numbers", {"server_id": server["id"]})
    found = await platform.until(
        lambda: platform.get(f"/api/numbers/{number['id']}"), lambda row: row["status_connection"], "the connection"
    )
    assert (found["name"], found["number"], found["connection"]) == ("Recado", "", "connected")
    return int(number["id"])


async def _add_contacts(platform: Platform) -> dict[int, int]:
    """Add people who have an address and no number; return contact by chat."""
    contacts = {}
    for chat in (*STARTED, BLOCKED, NEVER_STARTED):
        body = {"type": 1, "name": f"Pessoa {chat}", "addresses": {"telegram": str(chat)}}
        contacts[chat] = int((await platform.post("/api/contacts", body))["id"])
    return contacts


async def _draft(platform: Platform, number_id: int, contact_ids: list[int]) -> int:
    audience = await platform.post("/api/publics", {"name": "Chats", "type": 1})
    await platform.post(f"/api/publics/{audience['id']}/contacts", {"ids": contact_ids})
    campaign = await platform.post(
        "/api/campaigns",
        {
            "name": "Telegram",
            "type": 3,
            "number_ids": [number_id],
            "public_id": audience["id"],
            "messages": [{"content": "Oi {{ nome }}!"}],
        },
    )
    return int(campaign["id"])


async def _send(platform: Platform, number_id: int, contact_ids: list[int]) -> int:
    campaign_id = await _draft(platform, number_id, contact_ids)
    path = f"/api/campaigns/{campaign_id}"
    await platform.post(f"{path}/start")
    await platform.until(lambda: platform.get(path), lambda row: row["status"] == 4, "the end", 120)
    return campaign_id


async def _expect_everybody_reached(platform: Platform) -> None:
    """Everybody got the message once, and nobody while Telegram had asked to wait."""
    found: Any = (await platform.phone.get("/simulator/messages")).json()["result"]
    texts = sorted((message["chat_id"], message["text"]) for message in found["messages"])
    assert texts == [(1001, "A try"), *((chat, f"Oi Pessoa {chat}!") for chat in STARTED)]
    asked = found["slowed_down_at"][0]
    assert [message for message in found["messages"] if asked <= message["at"] < asked + RETRY_AFTER] == []


async def _expect_report(platform: Platform, campaign_id: int) -> None:
    """Whatever Telegram accepted counts as sent, since it reports nothing later."""
    report = await platform.get(f"/api/campaigns/{campaign_id}/report")
    counted = {state: report["totals"][state] for state in ("accepted", "sent", "delivered", "failed", "unknown")}
    assert counted == {"accepted": 0, "sent": len(STARTED), "delivered": 0, "failed": 2, "unknown": 0}
    assert report["reasons"]["failed"] == {"blocked_by_recipient": 1, "chat_not_found": 1}
    rows = await database.fetch(
        "SELECT sent_at = accepted_at AS at_once FROM message_by_contacts WHERE campaign_id = $1 AND state = 'sent'",
        campaign_id,
    )
    assert [row["at_once"] for row in rows] == [True] * len(STARTED)


async def _until_blocked(platform: Platform, contact_id: int) -> None:
    await platform.until(
        lambda: platform.get(f"/api/contacts/{contact_id}"), lambda found: found["blocked"], "the opt-out", 30
    )


async def _kill_whoever_asks(platform: Platform, number_id: int) -> str:
    """End the worker that asks for the bot's messages as a power cut would, and return its name."""
    name = await _until_asked(platform, number_id)
    await platform.kill(name)
    return name


async def _until_asked(platform: Platform, number_id: int) -> str:
    """Wait until a living worker asks for the bot's messages; return its name."""

    async def ask() -> str:
        asking = int(str(await _holder(number_id) or ":0").split(":")[1])
        return next((name for name, process in platform._processes.items() if process.pid == asking), "")

    return str(await platform.until(ask, bool, "somebody who asks"))


async def _holder(number_id: int) -> str | None:
    holder = await database.fetch_value(
        "SELECT holder FROM event_cursors WHERE number_id = $1 AND lease_until > now()", number_id
    )
    return holder if isinstance(holder, str) else None


async def _expect_the_last_to_end_in_time(platform: Platform, number_id: int) -> None:
    """A worker that waits for messages ends when it is asked to, and leaves the bot to others at once."""
    name = await _until_asked(platform, number_id)
    platform.signal(name, signal.SIGTERM)
    assert await asyncio.wait_for(platform._processes[name].wait(), ENDS_WITHIN) == 0
    assert await _holder(number_id) is None
