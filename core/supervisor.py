"""``recado up``: the embedded servers and the platform's processes, started, watched and stopped as one."""

import asyncio
import importlib
import os
import signal
import sys
import time
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx
import msgspec

from core.checks import describe
from core.children import FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS, Child, ending, say
from core.config import DEFAULT_PATH, PATH_VARIABLE, LoggingConfig, PlatformConfig, server_variables
from core.embedded import EmbeddedError, EmbeddedServers
from core.embedded.postgres import Postgres
from core.embedded.session import missing_servers, with_urls
from core.embedded.valkey import Valkey
from core.errors import OperatorError
from core.plugin.loader import load_providers
from core.plugin.places import development_folders
from core.plugin.secret import Secret
from core.plugin_reload import PluginWatch
from core.ports import check_port, find_port
from core.processes import end, spawn
from core.secret_key import load_secret_key, read_or_create

if TYPE_CHECKING:
    from core.demo_services import DemoService

STOP_SECONDS = 9.3
"""All of it; whoever pressed Ctrl-C waits at most 10 s."""
SEND_SECONDS = 8.0
"""What sends that are on the wire get to come back."""
SIMULATOR_PORT = 3000
"""Where the demo's messaging server listens if it can."""
SIMULATOR_KEY = "RECADO_SIMULATOR_KEY"


class Simulator(msgspec.Struct, frozen=True):
    """The demo's messaging server."""

    url: str
    key: Secret


class Supervisor:
    """Everything that one ``recado up`` runs."""

    def __init__(self, config: PlatformConfig, *, demo: bool) -> None:
        self._config = config
        self._demo = demo
        self._servers: EmbeddedServers | None = None
        self._children: list[Child] = []
        self._simulator_port = SIMULATOR_PORT
        self._services: Sequence[DemoService] = ()
        self._watches: list[asyncio.Task[None]] = []
        self._stopping = False
        folders = development_folders()
        self._plugins = PluginWatch(folders) if folders else None

    async def run(self) -> None:
        """Start everything, tell the address, and watch until cancelled.

        Raises:
            OperatorError: Something cannot start.
        """
        await self._check()
        self._config = config = await self._start_servers()
        await _run_once("migrate", self._environment())
        if self._demo:
            await self._prepare_demo()
        self._start_children()
        await self._while_watching(wait_until_ready(config.server.local_url))
        say(f"Recado is ready: {config.server.base_url} (Ctrl-C stops it)")
        await self._while_watching(self._welcome())
        await self._while_watching(asyncio.Event().wait())

    async def stop(self) -> None:
        """Stop scheduler, workers, API, Valkey and PostgreSQL, in this order, within 10 s."""
        self._stopping = True
        until = time.monotonic() + STOP_SECONDS
        # What each group may take at most, and what it has to leave for those after it.
        plan = (
            ("scheduler", 0.5, 1.0),
            ("worker", SEND_SECONDS + 0.4, 0.6),
            ("API", 2.0, 0.4),
            ("simulator", 0.5, 0.4),
        )
        for kind, most, leave in plan:
            limit = max(0.1, min(most, until - time.monotonic() - leave))
            group = [child for child in self._children if child.name.startswith(kind)]
            await asyncio.gather(*(child.stop(limit) for child in group))
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        if self._servers is not None:
            await self._servers.stop(max(0.2, until - time.monotonic()))

    def kill(self) -> None:
        """End every process at once; the next start recovers."""
        self._stopping = True
        for child in self._children:
            child.kill()
        if self._servers is not None:
            self._servers.kill()

    async def _check(self) -> None:
        """Find what would fail later, before anything is started."""
        providers = load_providers(self._config.plugins)
        await providers.aclose()
        if self._demo and "waha" not in providers.messaging_by_name:
            raise OperatorError(
                "The demo needs the plugin waha: write [plugins.waha] into platform.toml in this folder."
            )
        check_port(self._config.server.host, self._config.server.port, "[server] port")

    async def _prepare_demo(self) -> None:
        """Choose the demo's ports and services; without room for a demo there are none of these."""
        # In a thread, for importing takes long and Ctrl-C must be heard.
        await asyncio.to_thread(importlib.import_module, "core.demo")
        from core import demo

        self._simulator_port = find_port("127.0.0.1", SIMULATOR_PORT)
        self._services = await demo.prepare(self._config, self._simulator().url)

    async def _start_servers(self) -> PlatformConfig:
        postgres, valkey = missing_servers(self._config)
        config = self._config
        if postgres or valkey:
            servers = EmbeddedServers(config.data_folder, postgres=postgres, valkey=valkey, report=say)
            self._servers = servers
            config = with_urls(config, await servers.start())
            self._watches += [asyncio.create_task(self._keep_server(server)) for server in servers.running]
        # Before any child, so that all of them read the same one.
        load_secret_key(config)
        return config

    async def _keep_server(self, server: Postgres | Valkey) -> None:
        delay = FIRST_WAIT_SECONDS
        while server.process is not None:
            code = await server.process.wait()
            if self._stopping:
                return
            say(f"{server.name} ended ({ending(code)}); starting it again")
            try:
                await server.start()
                delay = FIRST_WAIT_SECONDS
            except EmbeddedError as error:
                say(str(error))
                await asyncio.sleep(delay)
                delay = min(delay * 2, LONGEST_WAIT_SECONDS)

    def _environment(self) -> dict[str, str]:
        config = self._config
        named = os.environ.get(PATH_VARIABLE) or (str(DEFAULT_PATH.absolute()) if DEFAULT_PATH.exists() else "")
        return {
            **os.environ,
            **({PATH_VARIABLE: named} if named else {}),
            **server_variables(config),
            "RECADO_HOST": config.server.host,
            "RECADO_PORT": str(config.server.port),
            "RECADO_DATA": str(config.data_folder),
            **(self._demo_variables() if self._demo else {}),
        }

    def _demo_variables(self) -> dict[str, str]:
        level = self._config.logging.level
        # The log of every request would tear the progress bar apart.
        return {
            SIMULATOR_KEY: self._simulator().key.reveal(),
            **self._service_variables(),
            "RECADO_LOG_LEVEL": "warning" if level == LoggingConfig().level else level,
        }

    def _service_variables(self) -> dict[str, str]:
        if not self._services:
            return {}
        from core.demo_services import variables

        return variables(self._services)

    def _start_children(self) -> None:
        env, config = self._environment(), self._config
        count = config.worker.processes
        children = [
            Child("API", ["api"], env),
            *(Child(f"worker {number}", ["worker"], env) for number in range(1, count + 1)),
            Child("scheduler", ["scheduler"], env),
        ]
        if self._demo:
            # The file lets a second start find the number paired, as a real phone would be.
            state = config.data_folder / "waha-simulator.jsonl"
            options = ("--option", f"api_key=env:{SIMULATOR_KEY}", "--option", f"file={state}")
            children.append(
                Child("simulator", ["simulate", "waha", "--port", str(self._simulator_port), *options], env)
            )
            children += [
                Child(f"simulator of {service.title}", service.command(config.server.local_url), env)
                for service in self._services
            ]
        self._children = children
        self._watches += [asyncio.create_task(child.keep()) for child in children]
        if self._plugins is not None:
            self._watches.append(asyncio.create_task(self._plugins.keep(env, self._restart)))

    async def _restart(self) -> None:
        """Start again what holds plugins; sends on the wire get to come back."""
        held = [child for child in self._children if not child.name.startswith("simulator")]
        await asyncio.gather(*(child.restart(SEND_SECONDS) for child in held))

    async def _while_watching(self, work: Coroutine[object, object, object]) -> None:
        """Do ``work``; a child that gives up ends it with the child's error."""
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait([task, *self._watches], return_when=asyncio.FIRST_COMPLETED)
            for watch in self._watches:
                if watch.done():
                    watch.result()
            await task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _welcome(self) -> None:
        """Set up the demo, or tell the first administrator how to begin; a failure of that ends nothing."""
        try:
            # In a thread, for importing takes long and Ctrl-C must be heard.
            await asyncio.to_thread(importlib.import_module, "core.demo")
            if self._demo:
                from core import demo

                simulator = self._simulator()
                await demo.run(self._config, simulator.url, simulator.key, self._services)
                return
            token = await make_setup_token(self._config)
            if token is not None:
                say(f"No administrator yet. One-time set-up token for the first one: {token}")
        except Exception as error:  # noqa: BLE001 - whatever it is, the platform serves
            retry = (
                "start it again" if self._demo else "`recado setup-token` prints the token of the first administrator"
            )
            say(f"The welcome failed ({describe(error)}): {retry}")

    def _simulator(self) -> Simulator:
        key = read_or_create(self._config.data_folder / "demo.key")
        return Simulator(f"http://127.0.0.1:{self._simulator_port}", Secret(key))


async def supervise(config: PlatformConfig, *, demo: bool) -> int:
    """Run everything until Ctrl-C or SIGTERM; a second one kills at once. Return the exit code."""
    supervisor = Supervisor(config, demo=demo)
    work = asyncio.create_task(supervisor.run())
    asked = False

    def stop() -> None:
        nonlocal asked
        if asked:
            supervisor.kill()
            return
        asked = True
        say("Stopping (a second Ctrl-C kills)")
        work.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Whoever started it with nohup wants it to go on when the terminal closes.
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, stop)
    try:
        await work
    except asyncio.CancelledError:
        return 0
    finally:
        await supervisor.stop()
        if asked:
            say("Stopped")
    return 0


async def make_setup_token(config: PlatformConfig) -> str | None:
    """Make the one-time token for the first administrator; ``None`` once there is one."""
    from core import database
    from core.accounts import setup

    await database.open_pool(config, size=2)
    try:
        return None if await setup.has_administrator() else await setup.create_setup_token()
    finally:
        await database.close_pool()


async def make_reset_link(config: PlatformConfig, email: str) -> str:
    """Make a link that sets a new password for an account; raises ``OperatorError`` where there is no such account."""
    from core.accounts import recovery
    from core.errors import NotFoundError
    from core.startup import running_process

    async with running_process(config):
        try:
            return await recovery.reset_link_for(email)
        except NotFoundError:
            raise OperatorError(f"There is no account with the address {email}.") from None


async def wait_until_ready(address: str) -> None:
    """Return once ``GET /health/ready`` answers 200; say every 15 s what keeps it."""
    started = time.monotonic()
    told = 0
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        while True:
            try:
                response = await client.get(f"{address}/health/ready")
                state = f"it answers {response.status_code}"
                if response.is_success:
                    return
            except httpx.HTTPError as error:
                state = type(error).__name__
            waited = int((time.monotonic() - started) / 15)
            if waited > told:
                told = waited
                say(f"Waiting for the API at {address} ({state})")
            await asyncio.sleep(0.1)


async def _run_once(command: str, env: Mapping[str, str]) -> None:
    process = await spawn([sys.executable, "-m", "core.cli", command], env=env)
    try:
        code = await process.wait()
    except asyncio.CancelledError:
        await end(process, 1)
        raise
    if code:
        raise OperatorError(f"`recado {command}` failed ({ending(code)}); its own messages stand above.")
