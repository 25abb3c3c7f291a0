"""Settings, and the commands."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from core.plugin import Notifier, Secret
from core.plugin.loader import PluginStartError, load_providers
from core.plugin.testing import unused_port
from plugins.smtp.plugin import Plugin, SmtpSettings
from tests.plugins.smtp.conftest import Mail

ROOT = Path(__file__).parents[3]
TABLE = {"host": "smtp.gmail.com", "from_address": "messages@example.com"}
ACCOUNT = {"username": "messages@example.com", "password": {"env": "SMTP_PASSWORD"}}


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_PASSWORD", "abcd efgh ijkl mnop")


def _password(host: str, password: str) -> str:
    settings = SmtpSettings(
        host=host, from_address="messages@example.com", username="messages@example.com", password=Secret(password)
    )
    (notifier,) = Plugin(settings).register_notifiers()
    return str(notifier._account.password.reveal())  # type: ignore[attr-defined] # of this plugin


def test_the_plugin_adds_one_notifier() -> None:
    found = load_providers({"smtp": {**TABLE, **ACCOUNT}})

    notifier = found.notifiers_by_name["smtp"]
    assert isinstance(notifier, Notifier)
    assert (notifier.name, notifier.channel) == ("smtp", "email")
    assert [one.notifiers for one in found.plugins] == [("smtp",)]


@pytest.mark.parametrize(
    ("host", "password", "kept"),
    [
        ("smtp.gmail.com", "abcd efgh ijkl mnop", "abcdefghijklmnop"),
        ("SMTP.GMAIL.COM.", " ab cd ", "abcd"),
        ("smtp-relay.gmail.com", "abcd efgh ijkl mnop", "abcdefghijklmnop"),
        ("mail.example.org", "abcd efgh ijkl mnop", "abcd efgh ijkl mnop"),
        ("mail.example.org", "correct horse battery", "correct horse battery"),
        ("notgmail.com", "correct horse", "correct horse"),
    ],
)
def test_app_passwords_lose_their_spaces_and_others_do_not(host: str, password: str, kept: str) -> None:
    assert _password(host, password) == kept


def test_encryption_is_the_default_and_has_no_alternative() -> None:
    settings = SmtpSettings(host="smtp.gmail.com", from_address="messages@example.com")
    assert (settings.security, settings.port) == ("starttls", 587)
    for odd in ("none", "", "opportunistic"):
        with pytest.raises(PluginStartError, match="security"):
            load_providers({"smtp": {**TABLE, "security": odd}})
    for key in ("verify", "validate_certs", "insecure"):
        with pytest.raises(PluginStartError, match=key):
            load_providers({"smtp": {**TABLE, key: False}})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"username": "me"}, "username, password"),
        ({"password": {"env": "SMTP_PASSWORD"}}, "username, password"),
        ({"from_address": "nobody"}, "from_address"),
        ({"from_address": "me@example.com\r\nBcc: you@example.com"}, "from_address"),
        ({"reply_to": "a b@example.com"}, "reply_to"),
        ({"host": ""}, "host"),
        ({"host": "https://smtp.gmail.com"}, "host"),
        ({"port": 0}, "port"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"timeout_seconds": 31}, "timeout_seconds"),
    ],
)
def test_wrong_settings_are_named_at_the_start(change: dict[str, object], named: str) -> None:
    with pytest.raises(PluginStartError, match=named) as caught:
        load_providers({"smtp": {**TABLE, **change}})

    assert "abcd" not in str(caught.value)


def test_the_readme_has_every_setting() -> None:
    readme = (ROOT / "plugins" / "smtp" / "README.md").read_text()

    for name in SmtpSettings.__struct_fields__:
        assert f"| `{name}` |" in readme


@pytest.mark.slow
def test_the_simulator_runs_from_the_command_line(tmp_path: Path) -> None:
    page, smtp, ca_file = unused_port(), unused_port(), tmp_path / "ca.pem"
    command = [sys.executable, "-m", "core.cli", "simulate", "smtp", "--port", str(page)]
    options = ["--option", f"smtp_port={smtp}", "--option", f"ca_file={ca_file}"]
    with subprocess.Popen([*command, *options], cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert str(page) in process.stdout.readline()
            assert httpx.get(f"http://127.0.0.1:{page}/simulator/server", trust_env=False).json()["port"] == smtp
            assert ca_file.read_text().startswith("-----BEGIN CERTIFICATE-----")
        finally:
            process.terminate()


@pytest.mark.slow
async def test_a_taken_port_is_named_by_the_command(mail: Mail) -> None:
    taken = mail.simulator.server.port
    command = [sys.executable, "-m", "core.cli", "simulate", "smtp", "--option", f"smtp_port={taken}"]

    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stderr=asyncio.subprocess.PIPE)
    _, told = await process.communicate()

    assert process.returncode == 1
    assert f"smtp_port {taken} cannot be listened on" in told.decode()
