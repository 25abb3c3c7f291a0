"""The commands for plugins, on a plugin in a folder of its own and on an installed package."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from core.config import OVERRIDES
from core.scaffold import create_project
from tests.test_docs import _free_ports

ROOT = Path(__file__).parents[2]


class Site:
    """A folder with the plugin parcel, as a package that is installed and as a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.installed = folder / "site"
        create_project("parcel", self.installed)
        info = self.installed / "recado_parcel-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Name: recado-parcel\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[recado.plugins]\nparcel = parcel:Plugin\n")
        self.work = folder / "work"
        create_project("package_of_mine", self.work)

    def env(self) -> Mapping[str, str]:
        clean = {key: value for key, value in os.environ.items() if key not in {"RECADO_CONFIG", *OVERRIDES}}
        return {**clean, "PYTHONPATH": os.pathsep.join([str(ROOT), str(self.installed)])}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@contextmanager
def simulator(site: Site, *arguments: str) -> Iterator[str]:
    """Run a simulator for the block; yield what it said first."""
    process = subprocess.Popen(
        [sys.executable, "-m", "core.cli", "simulate", *arguments],
        cwd=site.work,
        env=site.env(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.slow
@pytest.mark.parametrize("plugin", ["parcel", "./package_of_mine"])
def test_a_simulator_answers_once_it_says_that_it_listens(site: Site, plugin: str) -> None:
    port = _free_ports()[0]
    name = plugin.removeprefix("./")

    with simulator(site, plugin, "--port", str(port), "--version", "3.1", "--option", "api_key=k") as told:
        assert told == f"The simulator of {name} listens on http://127.0.0.1:{port}\n"
        answer = httpx.get(f"http://127.0.0.1:{port}/about", headers={"Authorization": "Bearer k"}, trust_env=False)

    assert answer.json() == {"service": name, "version": "3.1"}


@pytest.mark.slow
def test_an_installed_package_carries_its_contract(site: Site) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "core.cli", "conformance", "parcel"],
        cwd=site.work,
        env=site.env(),
        capture_output=True,
        text=True,
        check=False,
    )

    passed = done.stdout.count("  passed  ")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\nparcel.conformance.ParcelContract\n" in done.stdout
    assert done.stdout.endswith(f"\npassed {passed} of {passed}\n")


def test_a_new_package_says_how_to_go_on(tmp_path: Path, site: Site) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "core.cli", "new-plugin", "third", "--kind", "notifier", "--folder", "third-project"],
        cwd=tmp_path,
        env=site.env(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    *files, last = done.stdout.splitlines()
    assert "third-project/third/notifier.py" in files
    assert last == (
        "Start `recado up --plugin ./third-project/third`, then try `recado conformance ./third-project/third`"
        " and `recado simulate ./third-project/third`."
    )
