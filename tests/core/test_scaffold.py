import importlib
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from core.errors import OperatorError
from core.plugin.loader import load_providers
from core.scaffold import Kind, create_plugin, create_project

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
        "plugins/new_chat/conformance.py",
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

    assert (refused.status_code, sent.json()["status"], found.json()) == (401, "sent", sent.json())


@pytest.mark.usefixtures("written")
async def test_its_stage_keeps_the_clock_it_is_given() -> None:
    at = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    simulator = importlib.import_module("plugins.new_chat.simulator")
    stage = simulator.create_stage({"one": "1555"}, faults=0.0, seed=1, now=lambda: at)
    key = {"Authorization": f"Bearer {stage.credentials.api_key.reveal()}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=stage.app), base_url="http://stage") as client:
        sent = await client.post("/messages", json={"id": "1", "text": "hello"}, headers=key)

    assert sent.json()["at"] == "2030-01-02T03:04:05+00:00"


@pytest.mark.usefixtures("written")
def test_its_simulator_refuses_options_that_it_has_not() -> None:
    simulator = importlib.import_module("plugins.new_chat.simulator")

    with pytest.raises(ValueError, match="colour: there are api_key, version"):
        simulator.create({"colour": "blue"})


@pytest.mark.usefixtures("written")
async def test_its_stage_deals_out_faults() -> None:
    stage = importlib.import_module("plugins.new_chat.simulator").create_stage({"one": "1555"}, faults=1.0, seed=1)
    key = {"Authorization": f"Bearer {stage.credentials.api_key.reveal()}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=stage.app), base_url="http://stage") as client:
        busy = await client.post("/messages", json={"id": "1", "text": "hello"}, headers=key)

    assert (busy.status_code, busy.headers["Retry-After"]) == (429, "1")


def _run(folder: Path, *command: str) -> str:
    """Run one of the tools in ``folder``; return what it says once it is content."""
    path = os.pathsep.join([str(folder), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("kind", Kind)
def test_it_passes_its_checks_and_the_contract(tmp_path: Path, kind: Kind) -> None:
    create_plugin("new_chat", tmp_path / "plugins", tmp_path / "tests" / "plugins", kind)
    (tmp_path / "plugins" / "__init__.py").write_text('"""Plugins."""\n')
    for name in ("core", "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)

    _run(tmp_path, "ruff", "check", "plugins", "tests")
    _run(tmp_path, "ruff", "format", "--check", "plugins", "tests")
    _run(tmp_path, "mypy", "plugins", "tests")
    _run(tmp_path, "pytest", "-q", "tests")
    told = _run(tmp_path, "core.cli", "conformance", "new_chat")

    passed = told.count("  passed  ")
    assert told.endswith(f"\npassed {passed} of {passed}\n")


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("name", ["zz", "a_name_that_is_as_long"])
def test_a_package_of_its_own_passes_them_too(tmp_path: Path, kind: Kind, name: str) -> None:
    create_project(name, tmp_path, kind)
    config = f"--config={ROOT / 'pyproject.toml'}"

    _run(tmp_path, "ruff", "check", config, ".")
    _run(tmp_path, "ruff", "format", config, "--check", ".")
    _run(tmp_path, "mypy", "--strict", name, "tests")
    _run(tmp_path, "pytest", "-q", "-o", "asyncio_default_fixture_loop_scope=function", "tests")
    told = _run(tmp_path, "core.cli", "conformance", f"./{name}")

    passed = told.count("  passed  ")
    assert told.endswith(f"\npassed {passed} of {passed}\n")


def test_a_package_of_its_own_can_be_published(tmp_path: Path) -> None:
    written = create_project("new_chat", tmp_path)

    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["recado.plugins"] == {"new_chat": "new_chat:Plugin"}
    assert project["project"]["name"] == "recado-new-chat"
    assert sorted(str(path.relative_to(tmp_path)) for path in written) == [
        "new_chat/README.md",
        "new_chat/__init__.py",
        "new_chat/conformance.py",
        "new_chat/plugin.py",
        "new_chat/provider.py",
        "new_chat/simulator.py",
        "new_chat/webhook.py",
        "pyproject.toml",
        "tests/test_provider.py",
    ]


@pytest.mark.parametrize("name", ["email", "httpx"])
def test_a_package_of_its_own_hides_no_other(tmp_path: Path, name: str) -> None:
    with pytest.raises(OperatorError, match=f"There is a Python module {name} already"):
        create_project(name, tmp_path)

    assert list(tmp_path.iterdir()) == []


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
