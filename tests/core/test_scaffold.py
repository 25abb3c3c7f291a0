import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from core.errors import OperatorError
from core.plugin.loader import load_providers
from core.scaffold import create_plugin

ROOT = Path(__file__).parents[2]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    package = importlib.import_module("plugins")
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path / "plugins")])
    yield create_plugin("new_chat", tmp_path / "plugins", tmp_path / "tests")
    for module in [name for name in sys.modules if name.startswith("plugins.new_chat")]:
        del sys.modules[module]


def test_it_writes_the_files_of_a_plugin(written: list[Path], tmp_path: Path) -> None:
    assert sorted(str(path.relative_to(tmp_path)) for path in written) == [
        "plugins/new_chat/README.md",
        "plugins/new_chat/__init__.py",
        "plugins/new_chat/plugin.py",
        "plugins/new_chat/provider.py",
        "plugins/new_chat/simulator.py",
        "plugins/new_chat/webhook.py",
        "tests/new_chat/test_provider.py",
    ]


@pytest.mark.usefixtures("written")
def test_it_loads() -> None:
    (plugin,) = load_providers({"new_chat": {"timeout_seconds": 5.0}}).plugins

    assert plugin.messaging == ("new_chat",)


@pytest.mark.usefixtures("written")
async def test_its_simulator_answers() -> None:
    simulator = importlib.import_module("plugins.new_chat.simulator").create({"api_key": "k"})
    transport = httpx.ASGITransport(app=simulator)
    async with httpx.AsyncClient(transport=transport, base_url="http://simulator") as client:
        key = {"Authorization": "Bearer k"}
        refused = await client.get("/about")
        sent = await client.post("/messages", json={"id": "1", "text": "hello"}, headers=key)
        found = await client.get("/messages/1", headers=key)

    assert (refused.status_code, sent.json(), found.json()) == (401, {"id": "1", "status": "sent"}, sent.json())


@pytest.mark.usefixtures("written")
async def test_its_stage_deals_out_faults() -> None:
    stage = importlib.import_module("plugins.new_chat.simulator").create_stage({"one": "1555"}, faults=1.0, seed=1)
    key = {"Authorization": f"Bearer {stage.credentials.api_key.reveal()}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=stage.app), base_url="http://stage") as client:
        busy = await client.post("/messages", json={"id": "1", "text": "hello"}, headers=key)

    assert (busy.status_code, busy.headers["Retry-After"]) == (429, "1")


@pytest.mark.slow
def test_it_passes_its_checks_and_the_contract(tmp_path: Path) -> None:
    create_plugin("new_chat", tmp_path / "plugins", tmp_path / "tests" / "plugins")
    (tmp_path / "plugins" / "__init__.py").write_text('"""Plugins."""\n')
    for name in ("core", "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)

    for command in (
        ["ruff", "check", "plugins", "tests"],
        ["ruff", "format", "--check", "plugins", "tests"],
        ["mypy", "plugins", "tests"],
        ["core.cli", "conformance", "new_chat"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["", "a", "Chat", "new-chat", "1chat", "class", "a.b", "../x", "x" * 41])
def test_a_bad_name_writes_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(OperatorError, match="cannot name a plugin"):
        create_plugin(name, tmp_path / "plugins", tmp_path / "tests")

    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(written: list[Path], tmp_path: Path) -> None:
    written[0].write_text("mine")

    with pytest.raises(OperatorError, match="exists already"):
        create_plugin("new_chat", tmp_path / "plugins", tmp_path / "other")

    assert written[0].read_text() == "mine"
    assert not (tmp_path / "other").exists()
