"""``recado email preview`` and ``recado check --email``, each in a process of its own."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from core import database
from core.cli_email import ensure_address
from core.config import OVERRIDES
from core.errors import OperatorError
from core.notifications.kinds import KINDS
from core.plugin.places import FOLDERS_VARIABLE
from core.runtime import Runtime
from core.settings import typed
from tests.factories import Member

ROOT = Path(__file__).parents[2]

NOTIFIER = """
    from pathlib import Path

    from core.plugin import RefusedError, Settings, hookimpl

    class PostSettings(Settings, frozen=True):
        file: str = "sent.txt"

    class PostNotifier:
        name = "post"
        channel = "email"

        def __init__(self, settings):
            self.file = Path(settings.file)

        async def send(self, notification, handing_over):
            await handing_over()
            if notification.recipient.startswith("nobody"):
                raise RefusedError("550 5.1.1")
            self.file.write_text(f"{notification.recipient}: {notification.subject}")

        async def check(self):
            return "fine"

        async def aclose(self): ...

    class Plugin:
        Settings = PostSettings
        requires = ">=1.0,<2"

        def __init__(self, settings):
            self.settings = settings

        @hookimpl
        def register_notifiers(self):
            return [PostNotifier(self.settings)]
"""

Recado = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def recado(tmp_path: Path) -> Recado:
    """Run the command in an empty folder, with nothing of this process's configuration."""
    clean = {key: value for key, value in os.environ.items() if key not in {"RECADO_CONFIG", *OVERRIDES}}

    def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "core.cli", *arguments],
            cwd=tmp_path,
            env={**clean, "PYTHONPATH": str(ROOT), "COLUMNS": "120", **env},
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )

    return run


@pytest.fixture
def post(tmp_path: Path) -> str:
    """Make a plugin that sends e-mails into a file; return its folder."""
    folder = tmp_path / "post"
    folder.mkdir()
    (folder / "__init__.py").write_text(textwrap.dedent(NOTIFIER))
    (tmp_path / "platform.toml").write_text("[plugins.post]\n")
    return str(folder)


def _refused(done: subprocess.CompletedProcess[str]) -> str:
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    return line


def test_a_preview_is_two_files(recado: Recado, tmp_path: Path) -> None:
    done = recado("email", "preview", "number_disconnected", "--language", "es", "--folder", "a/b", "--count", "3")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "a/b/number_disconnected.html\na/b/number_disconnected.txt\n"
    assert "<title>3 números desconectados</title>" in (tmp_path / "a/b/number_disconnected.html").read_text("utf-8")
    text = (tmp_path / "a/b/number_disconnected.txt").read_text("utf-8")
    assert text.count("* El número Sales está desconectado") == 3
    assert "Abrir Recado:\nhttp://127.0.0.1:8000\n" in text


async def test_a_preview_has_the_brand_that_is_set(
    recado: Recado, runtime: Runtime, administrator: Member, tmp_path: Path
) -> None:
    assert runtime.config.database.url is not None
    await typed.change_settings(administrator.id, {"brand.name": "Loja da Ana"})
    try:
        done = recado("email", "preview", "password_reset", RECADO_DATABASE_URL=runtime.config.database.url.reveal())
    finally:
        await database.execute("DELETE FROM settings WHERE key = 'brand.name'")

    assert (done.returncode, done.stderr) == (0, "")
    assert "your account at Loja\nda Ana" in (tmp_path / "password_reset.txt").read_text("utf-8")


def test_a_preview_needs_no_database_that_answers(recado: Recado, tmp_path: Path) -> None:
    done = recado("email", "preview", "confirm_email", RECADO_DATABASE_URL="postgresql://u:p@127.0.0.1:9/x")

    assert (done.returncode, done.stderr) == (0, "")
    assert "an account at Recado" in (tmp_path / "confirm_email.txt").read_text("utf-8")


def test_an_unknown_kind_is_one_line_that_names_those_there_are(recado: Recado, tmp_path: Path) -> None:
    line = _refused(recado("email", "preview", "nothing"))

    assert line == f"recado: There is no e-mail 'nothing'. There are: {', '.join(sorted(KINDS))}."
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["password_reset", "--language", "tlh"], "recado: --language tlh: there are en, es, pt-BR."),
        (["campaign_paused", "--count", "0"], "recado: --count 0: give a number from 1 to 200."),
        (["campaign_paused", "--count", "201"], "recado: --count 201: give a number from 1 to 200."),
        (["payment_failed", "--count", "2"], "recado: --count 2: each payment_failed has an e-mail of its own."),
        (
            ["password_reset", "--folder", "/dev/null/x"],
            "recado: /dev/null/x/password_reset.html cannot be written (Not a directory): choose another --folder.",
        ),
    ],
)
def test_what_cannot_be_shown_is_one_line(recado: Recado, arguments: list[str], told: str) -> None:
    assert _refused(recado("email", "preview", *arguments)) == told


def test_check_sends_a_probe(recado: Recado, post: str, tmp_path: Path) -> None:
    done = recado("check", "--email", "ana@example.com", **{FOLDERS_VARIABLE: post})

    assert done.stdout.splitlines()[-1] == "ok      e-mail post: taken for ana@example.com: look whether it arrives"
    assert "warning e-mail" not in done.stdout
    assert (tmp_path / "sent.txt").read_text("utf-8") == "ana@example.com: Recado can send e-mails"


def test_check_says_that_a_probe_was_refused(recado: Recado, post: str, tmp_path: Path) -> None:
    done = recado("check", "--email", "nobody@example.com", **{FOLDERS_VARIABLE: post})

    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "PROBLEM e-mail post: RefusedError: 550 5.1.1"
    assert not (tmp_path / "sent.txt").exists()


def test_check_sends_nothing_unasked(recado: Recado, post: str, tmp_path: Path) -> None:
    done = recado("check", **{FOLDERS_VARIABLE: post})

    assert "ok      notifications post: fine\n" in done.stdout
    assert not (tmp_path / "sent.txt").exists()


def test_check_refuses_what_is_no_address_before_it_begins(recado: Recado) -> None:
    assert _refused(recado("check", "--email", "ana@example")) == (
        "recado: --email 'ana@example' is no e-mail address: write one such as ana@example.com."
    )


@pytest.mark.parametrize(
    "address", ["", "ana", "a@b", "a@b.c\n", "a b@c.d", "a@b.c\r\nBcc: x@y.z", "a\x01@b.c", "@b.c", "a@@b.c"]
)
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(OperatorError, match="is no e-mail address"):
        ensure_address(address)


@pytest.mark.parametrize("address", ["ana@example.com", "ana+x@sub.example.com", "josé@exämple.com"])
def test_what_is_an_address(address: str) -> None:
    ensure_address(address)
