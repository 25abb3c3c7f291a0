"""The command ``recado``; what a command needs is imported inside it, so that ``--help`` stays quick."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - a checkout can be run by any Python
    sys.exit("Recado needs Python 3.11 or newer: install it and make the environment again.")

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, CycloptsError, Parameter

from core import cli_email, cli_gateways, cli_plugins
from core.errors import OperatorError
from core.version import platform_version

if TYPE_CHECKING:
    from core.config import PlatformConfig

app = App(
    name="recado",
    help="A self-hosted platform that sends WhatsApp campaigns.",
    help_epilogue=cli_gateways.HELP,
    version=platform_version,
    exit_on_error=False,
    print_error=False,
    result_action="return_value",
)
config_app = App(name="config", help="The configuration file.")
demo_app = App(name="demo", help="The demo that `recado up --demo` sets up.")
app.command(config_app)
app.command(demo_app)
cli_email.add_to(app)
cli_plugins.add_to(app)

DemoOption = Annotated[bool, Parameter(help="Also start simulated WhatsApp and payment services, and run a campaign.")]
HostOption = Annotated[str | None, Parameter(help="Address to listen on, instead of [server] host.")]
PluginOption = Annotated[
    tuple[Path, ...], Parameter(help="Folder of a plugin outside plugins/, which is loaded again when it changes.")
]
PortOption = Annotated[int | None, Parameter(help="Port to listen on, instead of [server] port.")]


def main() -> None:
    """Run the command line; an error that somebody can mend is one line (or one list) and exit code 1."""
    code = _run()
    if "obstore" in sys.modules:
        # A thread of the file store that wants the interpreter while it ends has the process aborted (code -6).
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def _run() -> int:
    # Before the line is read, for --help is answered by then.
    cli_gateways.offer(app, sys.argv[1:])
    try:
        result = app.meta()
    except CycloptsError as error:
        print(f"recado: {error} Type `recado --help` for what there is.", file=sys.stderr)
    except OperatorError as error:
        print(f"recado: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read the output is gone; the interpreter's last flush must not complain of it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    else:
        return result if isinstance(result, int) else 0
    return 1


@app.meta.default
def _launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    config: Annotated[Path | None, Parameter(help="Configuration file, instead of platform.toml.")] = None,
) -> object:
    if config is not None:
        os.environ["RECADO_CONFIG"] = str(config.absolute())
    return app(tokens)


@app.command
def up(*, demo: DemoOption = False, host: HostOption = None, port: PortOption = None, plugin: PluginOption = ()) -> int:
    """Start everything on this machine: database, queue, API, workers and scheduler; Ctrl-C stops it."""
    from core.config import load_config
    from core.supervisor import supervise

    _listen_on(host, port)
    cli_plugins.develop(plugin)
    return asyncio.run(supervise(load_config(), demo=demo))


@app.command
def api(*, host: HostOption = None, port: PortOption = None) -> None:
    """Serve the REST API and the dashboard."""
    import uvicorn

    from core.live.connection import HttpProtocol
    from core.ports import check_port

    _listen_on(host, port)
    server = _prepared().server
    check_port(server.host, server.port, "[server] port")
    uvicorn.run(
        "core.asgi:create",
        factory=True,
        host=server.host,
        port=server.port,
        http=HttpProtocol,
        log_config=None,
        access_log=False,
        # Forwarded addresses are believed only of [server] trusted_proxies, which the application decides.
        proxy_headers=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=5,
    )


@app.command
def worker() -> None:
    """Work through the queue; start as many as needed, on any machine."""
    config = _prepared()
    # After that, so that a wrong address is told before the long import.
    from core import worker as process

    process.run(config)


@app.command
def scheduler() -> None:
    """Do periodic work; of several schedulers one leads at a time."""
    config = _prepared()
    from core import scheduler as process

    process.run(config)


@app.command
def migrate() -> None:
    """Bring the database up to date; safe to run twice at once."""
    from core.checks import reach_database
    from core.config import load_config
    from core.embedded.session import servers_for
    from core.migrate import migrate as run_migrations

    async def run() -> list[str]:
        async with servers_for(load_config()) as config:
            await reach_database(config)
            return await run_migrations(config)

    changed = asyncio.run(run())
    print(f"The database is up to date ({len(changed)} migrations applied).")


@app.command
def backup(file: Annotated[Path, Parameter(help="File to write; it must not exist yet.")], /) -> None:
    """Write the whole database to a file, while everything goes on."""
    from core.backup import back_up
    from core.config import load_config
    from core.embedded.session import servers_for

    async def run() -> None:
        chosen = load_config()
        async with servers_for(chosen) as config:
            await back_up(config, file, bundled=chosen.database.url is None)

    asyncio.run(run())
    print(f"The database is in {file}. Keep the secret key too, and apart from it.")


@app.command
def restore(
    file: Annotated[Path, Parameter(help="File that `recado backup` or pg_dump --format=custom wrote.")],
    /,
    *,
    yes: Annotated[bool, Parameter(help="Do not ask first.")] = False,
) -> None:
    """Replace the whole database by a back-up; campaigns that would go on sending are paused."""
    from core import backup
    from core.config import load_config
    from core.embedded import is_held
    from core.embedded.session import servers_for
    from core.migrate import migrate as run_migrations

    chosen = load_config()
    if chosen.database.url is None and is_held(chosen.data_folder):
        raise OperatorError("Recado is running in this data folder: stop it first (Ctrl-C), then restore.")
    if not yes and not _agreed(f"Replace everything in the database by {file}?"):
        print("Nothing was changed.")
        return

    async def run() -> int:
        async with servers_for(chosen) as config:
            await backup.ensure_alone(config)
            paused = await backup.restore(config, file, bundled=chosen.database.url is None)
            await run_migrations(config)
            return paused

    paused = asyncio.run(run())
    print(f"The database is restored; {paused} campaigns are paused with the reason database_restored.")


@app.command
def setup_token() -> None:
    """Print a one-time token with which the first administrator is made."""
    from core.supervisor import make_setup_token

    token = asyncio.run(make_setup_token(_prepared()))
    if token is None:
        raise OperatorError("There is an administrator already, who can make others.")
    print(token)


@app.command
def password_reset(email: str) -> None:
    """Print a link that sets a new password for an account; it works once, for an hour."""
    from core.supervisor import make_reset_link

    print(asyncio.run(make_reset_link(_prepared(), email)))


@app.command
def check(
    *,
    email: Annotated[
        str | None, Parameter(help="Also send an e-mail to this address, through everything that sends e-mails.")
    ] = None,
) -> int:
    """Load everything, reach everything, and print a line for each; exit code 1 on a problem."""
    from core import checks
    from core.config import load_config
    from core.embedded.session import attach
    from core.numbers import reach
    from core.payments import checking
    from core.plugin.loader import load_providers

    if email is not None:
        cli_email.ensure_address(email)
    marks = {"ok": "ok      ", "warning": "warning ", "problem": "PROBLEM "}

    async def run() -> bool:
        config = attach(load_config())
        checkup = checks.Checkup(config, load_providers(config.plugins))
        good = True
        probes = () if email is None else (cli_email.probe_of(email),)
        async for result in checks.run_checks(checkup, (*checks.CHECKS, *checking.CHECKS, *reach.CHECKS, *probes)):
            print(f"{marks[result.level]}{result.name}: {result.text}", flush=True)
            good = good and result.level != "problem"
        await checkup.providers.aclose()
        return good

    return 0 if asyncio.run(run()) else 1


@app.command
def rehearse(
    campaign: Annotated[int, Parameter(help="The campaign's id.")],
    /,
    *,
    faults: Annotated[float, Parameter(help="Percentage of sends that fail, as on a bad day.")] = 0.0,
    json: Annotated[bool, Parameter(help="Print JSON instead of tables.")] = False,
) -> None:
    """Send a copy of a campaign to a simulator on a virtual clock, and print the flight plan beside what happened."""
    import msgspec
    import uvloop
    from rich.console import Console

    from core.config import load_config
    from core.embedded.session import servers_for
    from core.rehearsal import Rehearsal, telling
    from core.rehearsal import rehearse as run_rehearsal

    if not 0 <= faults <= 100:  # noqa: PLR2004 - per cent
        raise OperatorError(f"--faults {faults:g}: give a percentage from 0 to 100.")
    console = Console(highlight=False, soft_wrap=True)
    progress = Console(stderr=True, highlight=False)

    async def run() -> Rehearsal:
        async with servers_for(load_config()) as config:
            return await run_rehearsal(config, campaign, faults=faults / 100, tell=progress.print)

    rehearsal = uvloop.run(run())
    if json:
        print(msgspec.json.encode(rehearsal).decode())
    else:
        telling.tell(console, rehearsal)


@config_app.command
def example() -> None:
    """Print a platform.toml with every setting and its default."""
    from core.example_config import example_config

    print(example_config(), end="")


@demo_app.command
def leave(*, yes: Annotated[bool, Parameter(help="Do not ask first.")] = False) -> None:
    """Remove everything that the demo made: users, servers, numbers, contacts, campaigns, plans and payments."""
    from core import demo
    from core.config import load_config
    from core.embedded import is_held
    from core.embedded.session import servers_for

    config = load_config()
    if is_held(config.data_folder):
        raise OperatorError("Recado is running in this data folder: stop it first (Ctrl-C), then leave the demo.")
    if not yes and not _agreed("Remove the demo's users and all that is theirs?"):
        print("Nothing was changed.")
        return

    async def run() -> None:
        async with servers_for(config) as complete:
            await demo.leave(complete)

    asyncio.run(run())
    print("The demo is gone. `recado up` prints a set-up token for the first administrator.")


def _agreed(question: str) -> bool:
    """Ask; without somebody to answer, say how to go on."""
    try:
        return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:
        raise OperatorError("Nobody can answer here: add --yes to go on without being asked.") from None


def _listen_on(host: str | None, port: int | None) -> None:
    """Put the options where this process and its children read the configuration from."""
    if host is not None:
        os.environ["RECADO_HOST"] = host
    if port is not None:
        os.environ["RECADO_PORT"] = str(port)


def _prepared() -> "PlatformConfig":
    """Configure this process's log and make sure that its servers answer, which is one clear line when they do not."""
    from core.checks import reach_database, reach_redis
    from core.config import load_config, server_variables
    from core.embedded.session import attach
    from core.logging import configure_logging

    config = attach(load_config())
    configure_logging(config.logging)

    async def reach() -> None:
        await reach_database(config)
        await reach_redis(config)

    asyncio.run(reach())
    # An ASGI server's factory takes no arguments: it reads the configuration again.
    os.environ.update(server_variables(config))
    return config


if __name__ == "__main__":
    main()
