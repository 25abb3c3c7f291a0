"""The demo: an administrator, a user and one campaign, all made over HTTP as people would make them, and its services.

It exists on an empty installation only, on loopback, with generated passwords that are printed once.
"""

import asyncio
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table

from core import database, demo_gateways, demo_mail, demo_realtime
from core.accounts import services as accounts
from core.accounts.tables import Profile
from core.config import PlatformConfig
from core.demo_gateways import DemoGateway
from core.demo_services import DemoService
from core.errors import OperatorError
from core.plans import services as plans
from core.plugin.secret import Secret
from core.settings import services as settings

STATE_KEY = "demo"
UNFINISHED, FINISHED = "unfinished", "finished"
ADMINISTRATOR = "admin@example.com"
USER = "demo@example.com"
SERVER = "Simulator"
PHONE = "5511987650001"
CONTACTS = Path(__file__).parent.parent / "examples" / "contacts.csv"
POLL_SECONDS = 1.0
"""Slow enough for the rate limit of any client."""
WAIT_SECONDS = 120
MESSAGES = (
    "{Oi|Olá} {{ nome | first_word | default('tudo bem') }}! Aqui é a loja de demonstração do Recado.",
    "Esta é a segunda mensagem da campanha{{ ', ' }}{{ nome | first_word | default('e') }} até logo!",
)


class DemoError(OperatorError):
    """A step of the demo did not go as it must; says which and why."""


async def prepare(config: PlatformConfig, simulator_url: str) -> Sequence[DemoService]:
    """Return the services to enable, none where real users are; an earlier start's demo is brought in step with them.

    Call it before anything runs that the services are enabled for.
    """
    gateways = demo_gateways.choose(config)
    services: Sequence[DemoService] = (*gateways, *demo_mail.choose(config), *demo_realtime.choose(config))
    await database.open_pool(config, size=2)
    try:
        if await settings.get_setting(STATE_KEY) is None:
            is_empty = not await database.fetch_value("SELECT EXISTS (SELECT FROM users)")
            return services if is_empty else ()
        await demo_gateways.forget_sales(gateways)
        await database.execute("UPDATE servers SET url = $2 WHERE name = $1 AND url <> $2", SERVER, simulator_url)
    finally:
        await database.close_pool()
    return services


async def run(
    config: PlatformConfig, simulator_url: str, simulator_key: Secret, services: Sequence[DemoService] = ()
) -> None:
    """Set the demo up on an empty installation; on one that has it, say where it is; on any other, leave it alone."""
    console = Console(highlight=False, soft_wrap=True)
    gateways = [service for service in services if isinstance(service, DemoGateway)]
    await database.open_pool(config, size=2)
    try:
        state = await settings.get_setting(STATE_KEY)
        if state == UNFINISHED:
            await _remove()
        elif state == FINISHED or await database.fetch_value("SELECT EXISTS (SELECT FROM users)"):
            _tell_again(console, config, simulator_url, demo=state == FINISHED)
            await demo_gateways.tell(console, config, gateways, USER, "...")
            demo_mail.tell(console, services)
            demo_realtime.tell(console, services)
            return
        passwords = await _make_accounts(for_sale=bool(gateways))
        _tell_accounts(console, config, passwords)
        await demo_gateways.tell(console, config, gateways, USER, passwords[USER])
        demo_mail.tell(console, services)
        demo_realtime.tell(console, services)
    finally:
        await database.close_pool()
    async with httpx.AsyncClient(base_url=config.server.local_url, timeout=60, trust_env=False) as http:
        await _Walk(http, console, simulator_url, simulator_key, passwords).walk()
    await database.open_pool(config, size=2)
    try:
        await settings.put_setting(STATE_KEY, FINISHED)
    finally:
        await database.close_pool()
    console.print(f"The API and its description: [bold]{config.server.base_url}/api/schema[/bold]")
    console.print(f"What reached the simulated phone: [bold]{simulator_url}[/bold]")
    console.print("Leave the demo with Ctrl-C and `recado demo leave`.")


async def leave(config: PlatformConfig) -> None:
    """Remove all that the demo made; the next ``recado up`` begins with an empty installation.

    Raises:
        OperatorError: This installation holds no demo.
    """
    await database.open_pool(config, size=2)
    try:
        if await settings.get_setting(STATE_KEY) is None:
            raise OperatorError("There is no demo in this installation: nothing was removed.")
        await _remove()
    finally:
        await database.close_pool()


async def _make_accounts(*, for_sale: bool) -> dict[str, str]:
    """Make both accounts, and plans where something can be bought; return the passwords by address."""
    await settings.put_setting(STATE_KEY, UNFINISHED, "Whether this installation holds the demo.")
    passwords = {ADMINISTRATOR: secrets.token_urlsafe(12), USER: secrets.token_urlsafe(12)}
    administrator = await accounts.create_user(
        ADMINISTRATOR, "Administrator", passwords[ADMINISTRATOR], profile=Profile.ADMINISTRATOR
    )
    if for_sale:
        await demo_gateways.make_plans(administrator.id)
    await accounts.create_user(USER, "Demo", passwords[USER], plan_id=await plans.default_plan_id())
    return passwords


async def _remove() -> None:
    """Empty every table but the schema's own, the plans and the settings, and forget the demo with its plans."""
    rows = await database.fetch(
        "SELECT quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = current_schema()"
        " AND tablename NOT IN ('migration', 'plans', 'plan_prices', 'settings')"
    )
    async with database.unit_of_work():
        await database.execute(f"TRUNCATE {', '.join(row['name'] for row in rows)} RESTART IDENTITY")
        await demo_gateways.remove_plans()
        await settings.remove_setting(STATE_KEY)


def _tell_accounts(console: Console, config: PlatformConfig, passwords: Mapping[str, str]) -> None:
    console.print("Accounts of the demo (shown once)")
    table = Table()
    for heading in ("", "Address", "Password"):
        table.add_column(heading)
    table.add_row("Administrator", ADMINISTRATOR, passwords[ADMINISTRATOR])
    table.add_row("User", USER, passwords[USER])
    console.print(table)
    console.print(f"Address of the platform: [bold]{config.server.base_url}[/bold]")


def _tell_again(console: Console, config: PlatformConfig, simulator_url: str, *, demo: bool) -> None:
    if demo:
        console.print(f"The demo is set up already. The API: {config.server.base_url}/api/schema")
        console.print(f"What reached the simulated phone: {simulator_url}")
    else:
        console.print("This installation has users of its own, so no demo was made.")


class _Walk:
    """The steps of one person who tries the platform."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        console: Console,
        simulator_url: str,
        simulator_key: Secret,
        passwords: Mapping[str, str],
    ) -> None:
        self._http = http
        self._console = console
        self._simulator_url = simulator_url
        self._simulator_key = simulator_key
        self._passwords = passwords

    async def walk(self) -> None:
        """Add the server, import the contacts, pair the number and run the campaign."""
        administrator = await self._sign_in(ADMINISTRATOR)
        server = await self._post(
            "/api/admin/servers",
            administrator,
            {
                "name": SERVER,
                "provider": "waha",
                "url": self._simulator_url,
                "credentials": {"api_key": self._simulator_key.reveal()},
            },
        )
        user = await self._sign_in(USER)
        number_id = await self._pair(user, int(server["id"]))
        public_id = await self._import(user)
        campaign = await self._post("/api/campaigns", user, self._campaign(number_id, public_id))
        await self._post(f"/api/campaigns/{campaign['id']}/start", user, None)
        await self._watch(user, int(campaign["id"]))

    async def _sign_in(self, address: str) -> dict[str, str]:
        answer = await self._http.post("/api/auth/login", json={"email": address, "password": self._passwords[address]})
        return {"Authorization": f"Bearer {self._checked(answer)['token']}"}

    async def _pair(self, user: Mapping[str, str], server_id: int) -> int:
        """Connect a number and scan its QR code, as a person with a phone would."""
        number = await self._post("/api/numbers", user, {"server_id": server_id, "name": "Demo"})
        path = f"/api/numbers/{number['id']}"
        await self._post(f"{path}/connect", user, None)
        await self._until(path, user, lambda found: found["connection"] in {"sign_in", "connected"})
        scanned = await self._http.post(
            f"{self._simulator_url}/simulator/sessions/{number['instance']}/scan",
            json={"phone": PHONE},
            headers={"X-Api-Key": self._simulator_key.reveal()},
        )
        self._checked(scanned)
        await self._until(path, user, lambda found: found["status_connection"])
        self._console.print(f"Number [bold]+{PHONE}[/bold] is connected.")
        return int(number["id"])

    async def _import(self, user: Mapping[str, str]) -> int:
        """Import the example contacts into an audience of their own."""
        audience = await self._post("/api/publics", user, {"name": "examples/contacts.csv", "type": 3})
        answer = await self._http.post(
            "/api/imports",
            headers=user,
            files={"file": (CONTACTS.name, CONTACTS.read_bytes(), "text/csv")},
            data={"public_id": str(audience["id"]), "start": "true"},
        )
        imported = self._checked(answer)["data"]
        found = await self._until(
            f"/api/imports/{imported['id']}", user, lambda row: row["status"] in {"done", "failed", "canceled"}
        )
        self._console.print(
            f"Imported {found['rows_created']} contacts of {found['rows_total']} rows:"
            f" {found['rows_failed']} with errors, {found['rows_skipped']} duplicates."
        )
        return int(audience["id"])

    def _campaign(self, number_id: int, public_id: int) -> dict[str, Any]:
        return {
            "name": "Two messages",
            "type": 3,
            "number_ids": [number_id],
            "public_id": public_id,
            "messages": [{"content": content} for content in MESSAGES],
        }

    async def _watch(self, user: Mapping[str, str], campaign_id: int) -> None:
        """Show the progress until nothing is pending any more, then the report."""
        path = f"/api/campaigns/{campaign_id}"
        columns = (TextColumn("Campaign"), BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"))
        with Progress(*columns, console=self._console) as progress:
            bar = progress.add_task("", total=100)
            while True:
                found = await self._get(path, user)
                totals = found["totals"]
                progress.update(bar, completed=found["progress"], description=f"{totals['sent']} sent")
                if found["status"] != 2 or found["status_reason"] == "needs_attention":  # noqa: PLR2004 - running
                    break
                await asyncio.sleep(POLL_SECONDS)
        report = await self._get(f"{path}/report", user)
        self._tell_report(report)

    def _tell_report(self, report: Mapping[str, Any]) -> None:
        self._console.print(f"Report of [bold]{report['name']}[/bold]: {report['status_reason']}")
        table = Table()
        table.add_column("Messages")
        table.add_column("", justify="right")
        for name, value in report["totals"].items():
            table.add_row(name, str(value))
        self._console.print(table)
        for state, reasons in report["reasons"].items():
            self._console.print(f"{state}: " + ", ".join(f"{count} {reason}" for reason, count in reasons.items()))

    async def _post(self, path: str, user: Mapping[str, str], body: Mapping[str, Any] | None) -> dict[str, Any]:
        answer = await self._http.request("POST", path, headers=user, json=body)
        found: dict[str, Any] = self._checked(answer)["data"]
        return found

    async def _get(self, path: str, user: Mapping[str, str]) -> dict[str, Any]:
        found: dict[str, Any] = self._checked(await self._http.get(path, headers=user))["data"]
        return found

    async def _until(
        self, path: str, user: Mapping[str, str], fits: Callable[[dict[str, Any]], bool]
    ) -> dict[str, Any]:
        """Ask again and again until the resource ``fits``."""
        found: dict[str, Any] = {}
        for _ in range(int(WAIT_SECONDS / POLL_SECONDS)):
            found = await self._get(path, user)
            if fits(found):
                return found
            await asyncio.sleep(POLL_SECONDS)
        raise DemoError(f"The demo waited {WAIT_SECONDS} s for {path}; it says {json.dumps(found)[:300]}")

    def _checked(self, answer: httpx.Response) -> dict[str, Any]:
        if answer.is_success:
            body: dict[str, Any] = answer.json() if answer.content else {}
            return body
        raise DemoError(
            f"The demo cannot go on: {answer.request.method} {answer.request.url.path} answered"
            f" {answer.status_code} {answer.text[:300]}"
        )
