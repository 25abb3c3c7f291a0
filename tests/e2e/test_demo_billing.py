"""The demo, and a payer in a real browser: a checkout at each simulated gateway, a declined card, then a good one."""

import asyncio
import json
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from core.config import OVERRIDES
from tests.e2e.browser import open_page
from tests.test_docs import _free_ports

ROOT = Path(__file__).parents[2]
WINDOW = (800, 700)
POLL_SECONDS = 1.1
"""One more than the rate limit of any client allows."""


class Demo:
    """A running ``recado up --demo`` and what it said."""

    def __init__(self, folder: Path, port: int) -> None:
        self.said = folder / f"said-{port}.txt"
        self.url = f"http://127.0.0.1:{port}"
        self.http = httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=30)

    async def told(self, pattern: str, seconds: float = 120) -> str:
        """Wait until it says something that fits."""
        until = time.monotonic() + seconds
        while (found := re.search(pattern, self.said.read_text())) is None:
            assert time.monotonic() < until, self.said.read_text()
            await asyncio.sleep(0.1)
        return found[1]

    async def lines(self) -> tuple[str, str]:
        """Return the lines with which a person signs in and begins a checkout."""
        await self.told(r"(curl -s \S+/api/subscription)")
        sign_in, begin, _ = re.findall(r"^  \$ (.+)$", self.said.read_text(), re.MULTILINE)
        return sign_in, begin

    async def shell(self, script: str) -> str:
        """Run lines in a shell and return what they print."""
        process = await asyncio.create_subprocess_exec("bash", "-c", script, stdout=asyncio.subprocess.PIPE)
        printed, _ = await process.communicate()
        return printed.decode()

    async def sign_in(self, address: str, password: str) -> "Account":
        """Sign in as anybody would."""
        answer = await self.http.post("/api/auth/login", json={"email": address, "password": password})
        assert answer.is_success, answer.text
        return Account(self, {"Authorization": f"Bearer {answer.json()['token']}"})

    async def register(self, address: str) -> "Account":
        """Make an account of somebody new."""
        body = {"email": address, "name": "Bia", "password": "a long enough password"}
        answer = await self.http.post("/api/auth/register", json=body)
        assert answer.is_success, answer.text
        return await self.sign_in(address, body["password"])


class Account:
    """Somebody who is signed in."""

    def __init__(self, demo: Demo, headers: Mapping[str, str]) -> None:
        self._demo = demo
        self._headers = headers

    async def get(self, path: str) -> Any:
        """GET a resource."""
        answer = await self._demo.http.get(path, headers=self._headers)
        assert answer.is_success, answer.text
        return answer.json()["data"]

    async def begin(self, **wish: Any) -> str:
        """Begin a checkout and return the page to which the payer goes."""
        answer = await self._demo.http.post("/api/payments/checkout", json=wish, headers=self._headers)
        assert answer.is_success, answer.text
        step = answer.json()["data"]["step"]
        assert step["kind"] == "redirect"
        return str(step["url"])

    async def until(self, path: str, fits: Callable[[Any], bool], seconds: float = 40) -> Any:
        """Ask until the resource fits."""
        until = time.monotonic() + seconds
        while not fits(found := await self.get(path)):
            assert time.monotonic() < until, found
            await asyncio.sleep(POLL_SECONDS)
        return found


@asynccontextmanager
async def running(folder: Path, *arguments: str) -> AsyncIterator[Demo]:
    """Run the demo in ``folder`` for the block."""
    port = _free_ports()[0]
    demo = Demo(folder, port)
    with demo.said.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *_recado("up", *arguments, "--port", str(port)),
            cwd=folder,
            env=_environment(),
            stdout=output,
            stderr=output,
        )
    try:
        yield demo
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 20) == 0
    finally:
        await demo.http.aclose()
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _recado(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "core.cli", *arguments]


def _environment() -> dict[str, str]:
    clean = {key: value for key, value in os.environ.items() if key not in {"RECADO_CONFIG", *OVERRIDES}}
    return {**clean, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}


async def _pay(page: Page, declined: str, complaint: str, good: str) -> str:
    """Press the button of a declined card, then that of a good one; return the address one comes back to."""
    await page.get_by_role("button", name=declined).click()
    await expect(page.locator(complaint)).to_be_visible()
    await page.get_by_role("button", name=good, exact=True).click()
    await page.wait_for_url("**/billing/return?*")
    await expect(page.locator("h1")).to_be_visible()
    return page.url


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_plan_is_bought_in_a_browser_at_both_gateways(browser: Browser, tmp_path: Path) -> None:
    shutil.copy(ROOT / "platform.toml", tmp_path)
    async with running(tmp_path, "--demo") as demo:
        password = await demo.told(r"demo@example\.com\s*│\s*(\S+)")
        user = await demo.sign_in("demo@example.com", password)
        plans = {plan["name"]: plan for plan in await user.get("/api/plans")}
        assert plans["Pro"]["prices"] == [{"currency": "USD", "interval": "month", "amount": "19.90"}]
        other = await demo.register("bia@example.com")
        assert [one["name"] for one in await other.get("/api/payments/gateways")] == ["mercadopago", "stripe"]

        # As the demo says it, to the letter.
        sign_in, begin = await demo.lines()
        first = json.loads(await demo.shell(f"{sign_in}\n{begin}"))["data"]["step"]["url"]
        async with open_page(browser, first, WINDOW) as opened:
            back = await _pay(opened.page, "Declined (0002)", ".wrong", "Pay (4242)")
        second = await other.begin(plan_id=plans["Starter"]["id"], gateway="mercadopago")
        async with open_page(browser, second, WINDOW) as opened:
            await _pay(
                opened.page,
                "Pay with a wrong security code: declined at once",
                "[role=alert]",
                "Pay with a good card",
            )

        third = await (trying := await demo.register("caio@example.com")).begin(
            plan_id=plans["Pro"]["id"], gateway="stripe", currency="USD"
        )
        async with open_page(browser, third, WINDOW) as opened:
            await opened.page.get_by_role("button", name="Pay (4242)", exact=True).click()
            await opened.page.wait_for_url("**/billing/return?*")

        assert (urlsplit(back).netloc, urlsplit(back).path) == (urlsplit(demo.url).netloc, "/billing/return")
        assert "outcome=paid" in back
        for account, gateway in ((user, "stripe"), (other, "mercadopago")):
            shown = await account.until(
                "/api/subscription", lambda found: (found["subscription"] or {}).get("status") == "active"
            )
            assert (shown["plan_id"], shown["has_access"]) == (plans["Starter"]["id"], True)
            payments = await account.get("/api/payments")
            assert [
                (one["gateway"], one["amount"], one["currency"]) for one in payments if one["status"] == "completed"
            ] == [(gateway, "49.90", "BRL")]

        tried = await trying.until("/api/subscription", lambda found: found["plan_id"] == plans["Pro"]["id"])
        assert {name: tried["subscription"][name] for name in ("status", "amount", "currency")} == {
            "status": "trial",
            "amount": "19.90",
            "currency": "USD",
        }

    left = await asyncio.create_subprocess_exec(
        *_recado("demo", "leave", "--yes"), cwd=tmp_path, env=_environment(), stdout=asyncio.subprocess.DEVNULL
    )
    assert await left.wait() == 0
    async with running(tmp_path) as empty:
        token = await empty.told(r"One-time set-up token for the first one: (\S+)")
        owner = {"email": "owner@example.com", "name": "Owner", "password": "a long enough password"}
        made = await empty.http.post("/api/setup", json={"token": token, **owner})
        assert made.is_success, made.text
        administrator = await empty.sign_in(owner["email"], owner["password"])
        assert {plan["name"] for plan in await administrator.get("/api/plans")} & {"Starter", "Pro"} == set()
        # Nothing is sold without the demo.
        assert await administrator.get("/api/payments/gateways") == []
