import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core.config import OVERRIDES
from core.embedded import EmbeddedUrls, embedded_servers
from core.example_config import example_config

ROOT = Path(__file__).parents[2]

Recado = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def recado(tmp_path: Path) -> Recado:
    """Run the command in an empty folder, with nothing of this process's configuration."""
    clean = {key: value for key, value in os.environ.items() if key not in {"RECADO_CONFIG", *OVERRIDES}}

    def run(*arguments: str, typed: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "core.cli", *arguments],
            cwd=tmp_path,
            env={**clean, "PYTHONPATH": str(ROOT), "COLUMNS": "120", **env},
            input=typed,
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )

    return run


def _one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.splitlines()
    return line


def test_help_names_every_command(recado: Recado) -> None:
    done = recado("--help")

    assert done.returncode == 0
    for command in ("api", "check", "config", "conformance", "demo", "email", "migrate", "new-plugin", "plugins"):
        assert f"│ {command} " in done.stdout
    for command in ("scheduler", "setup-token", "simulate", "up", "worker"):
        assert f"│ {command} " in done.stdout
    assert "recado GATEWAY setup, such as recado stripe setup, makes plans and the webhook address known" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["upp"], 'recado: Unknown command "upp". Did you mean "up"?'),
        (["up", "--prot", "1"], "recado: Unknown option: --prot. Did you mean --port?"),
        (["up", "--port", "many"], 'recado: Invalid value for --port: unable to convert "many" into int.'),
        (["simulate"], 'recado: Command "simulate" parameter --plugin requires an argument.'),
        (
            ["simulate", "nowhere"],
            "recado: There is no plugin nowhere in the folder plugins, and no installed package offers",
        ),
        (["simulate", "no.where"], "recado: There is no plugin no.where in the folder plugins, and no installed"),
        (["simulate", "./nowhere"], "recado: nowhere is no plugin: a folder with an __init__.py is one."),
        (["simulate", "waha", "--version", "one"], "recado: The simulator of waha refuses its options: "),
        (["simulate", "waha", "--option", "key"], "recado: --option key: write key=value."),
        (["simulate", "waha", "--option", "key=env:NONE"], "the environment variable NONE is not set."),
        (["conformance", "nowhere"], "recado: There is no plugin nowhere in the folder plugins, and no installed"),
        (["new-plugin", "Bad-Name"], "recado: 'Bad-Name' cannot name a plugin: write 2 to 40 lower-case letters"),
        (["new-plugin", "waha"], "waha exists already: choose another name, or remove it first."),
        (["api"], "recado: No database is configured: set [database] url, or start the platform with `recado up`."),
        (["worker"], "recado: No database is configured"),
        (["stripe", "setup"], "recado: There is no payment gateway stripe (enabled: none): add [plugins.stripe]."),
        (["scheduler"], "recado: No database is configured"),
    ],
)
def test_a_mistake_is_one_line(recado: Recado, arguments: list[str], told: str) -> None:
    assert told in _one_line(recado(*arguments))


def test_a_broken_configuration_is_one_list(recado: Recado, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[server]\nport = 0\n[plugins.nowhere]\n")

    for command in ("up", "worker", "migrate", "check"):
        done = recado("--config", "mine.toml", command)
        assert done.returncode == 1
        assert done.stderr.splitlines() == [
            f"recado: {tmp_path / 'mine.toml'} cannot be used:",
            "  [server] port: Expected `int` >= 1; write a whole number",
        ]


def test_broken_plugins_are_one_list(recado: Recado, tmp_path: Path) -> None:
    (tmp_path / "platform.toml").write_text("[plugins.nowhere]\n[plugins.waha]\ncolour = 1\n")

    for command in ("up", "plugins"):
        done = recado(command)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert [line.split(":")[0] for line in done.stderr.removeprefix("recado: ").splitlines()] == [
            "[plugins.nowhere]",
            "[plugins.waha] colour",
        ]


def test_plugins_are_listed(recado: Recado, tmp_path: Path) -> None:
    (tmp_path / "platform.toml").write_text("[plugins.waha]\n[plugins.other]\nenabled = false\n")

    done = recado("plugins")

    assert done.returncode == 0
    assert done.stdout.splitlines() == ["waha  1.0.0 (folder)  messaging: waha", "other  switched off"]


def test_the_example_is_printed(recado: Recado) -> None:
    assert recado("config", "example").stdout == example_config()


def test_a_taken_port_is_one_line(recado: Recado) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])

        told = [_one_line(recado(*command, "--port", port)) for command in (["up"], ["simulate", "waha"])]

    assert told == [
        f"recado: Port {port} on 127.0.0.1 is taken: stop what uses it, or set [server] port (recado up --port).",
        f"recado: Port {port} on 127.0.0.1 is taken: stop what uses it, or set another --port (recado up --port).",
    ]


@pytest.mark.slow
def test_servers_that_do_not_answer_are_one_line(recado: Recado) -> None:
    dead = {
        "RECADO_DATABASE_URL": "postgresql://u:hidden@127.0.0.1:9/x",
        "RECADO_REDIS_URL": "redis://:hidden@127.0.0.1:9",
    }

    for command in ("api", "worker", "scheduler", "migrate", "setup-token"):
        line = _one_line(recado(command, **dead))
        assert line.startswith("recado: PostgreSQL cannot be used (")
        assert line.endswith("): check [database] url")
        assert "hidden" not in line


def test_check_tells_a_line_each_and_fails_on_a_problem(recado: Recado) -> None:
    done = recado("check")

    assert done.returncode == 1
    assert [line.split(": ")[0] for line in done.stdout.splitlines()] == [
        "warning plugins",
        "PROBLEM database",
        "PROBLEM redis",
        "warning public address",
        "ok      payments",
        "warning e-mail",
        "ok      media files",
    ]
    assert "cannot reach http://127.0.0.1:8000: set [server] public_url" in done.stdout
    assert "ok      payments: no gateway is enabled, so administrators assign the plans\n" in done.stdout


@pytest.mark.slow
async def test_commands_find_the_servers_of_a_running_instance(recado: Recado, tmp_path: Path) -> None:
    public = "https://recado.example"
    async with embedded_servers(tmp_path / "data", durable=False) as urls:
        assert isinstance(urls, EmbeddedUrls)
        migrated = recado("migrate")
        checked = recado("check", RECADO_PUBLIC_URL=public)
        left = recado("demo", "leave", "--yes")

    assert (migrated.returncode, migrated.stderr) == (0, "")
    assert [line[:24] for line in checked.stdout.splitlines()[1:3]] == [
        "ok      database: Postgr",
        "ok      redis: Valkey 9.",
    ]
    assert f"ok      public address: {public}" in checked.stdout
    assert _one_line(left).startswith("recado: Recado is running in this data folder: stop it first")


@pytest.mark.slow
def test_migrate_starts_the_servers_for_the_while(recado: Recado, tmp_path: Path) -> None:
    first, second = recado("migrate"), recado("migrate")

    assert (first.returncode, second.returncode) == (0, 0)
    assert second.stdout == "The database is up to date (0 migrations applied).\n"
    assert not (tmp_path / "data" / "postgres" / "postmaster.pid").exists()


def test_leaving_the_demo_asks_first(recado: Recado) -> None:
    done = recado("demo", "leave", typed="n\n")

    assert done.stdout == "Remove the demo's users and all that is theirs? [y/N] Nothing was changed.\n"


def test_a_demo_without_its_plugin_says_what_to_write(recado: Recado, tmp_path: Path) -> None:
    done = recado("up", "--demo")

    assert _one_line(done) == (
        "recado: The demo needs the plugin waha: write [plugins.waha] into platform.toml in this folder."
    )
    assert not (tmp_path / "data" / "postgres").exists()
