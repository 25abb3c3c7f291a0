"""`recado conformance` finds a plugin's contract and tells what it keeps, with pytest and without."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.config import OVERRIDES

ROOT = Path(__file__).parents[3]

PLUGIN = '''"""A plugin for a test of the command."""

from core.plugin import Settings, hookimpl
from tests.core.plugin.broken.{module} import {provider}


class Plugin:
    """What the platform loads."""

    Settings = Settings
    requires = ">=1.0,<2"

    def __init__(self, settings: Settings) -> None:
        pass

    @hookimpl
    def register_messaging_providers(self) -> list[object]:
        """Add the provider."""
        return [{provider}()]
'''
CONTRACT = """from tests.core.plugin.broken.{module} import {provider}
from tests.core.plugin.broken.good import GoodContract


class ExampleContract(GoodContract):
    provider = {provider}
"""


def conformance(folder: Path, plugin: str, *, without_pytest: bool = False) -> subprocess.CompletedProcess[str]:
    """Run the command in ``folder``."""
    path = [str(ROOT)]
    if without_pytest:
        blocked = folder / "blocked"
        blocked.mkdir()
        (blocked / "pytest.py").write_text("raise ModuleNotFoundError(\"No module named 'pytest'\", name='pytest')\n")
        path.insert(0, str(blocked))
    clean = {key: value for key, value in os.environ.items() if key not in {"RECADO_CONFIG", *OVERRIDES}}
    return subprocess.run(
        [sys.executable, "-m", "core.cli", "conformance", plugin],
        cwd=folder,
        env={**clean, "PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
        check=False,
    )


def write(folder: Path, module: str, provider: str, contract: str = "conformance.py") -> None:
    (folder / "example").mkdir()
    words = {"module": module, "provider": provider}
    (folder / "example" / "__init__.py").write_text(PLUGIN.format(**words))
    file = folder / "example" / contract
    file.parent.mkdir(exist_ok=True)
    file.write_text(CONTRACT.format(**words))


@pytest.mark.slow
def test_a_plugin_that_keeps_the_contract(tmp_path: Path) -> None:
    write(tmp_path, "good", "GoodProvider")

    done = conformance(tmp_path, "./example", without_pytest=True)

    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == f"example ({tmp_path / 'example'})"
    assert "plugins.example.conformance.ExampleContract" in lines
    assert "accepted " in done.stdout
    assert lines[-1] == f"passed {done.stdout.count('  passed  ')} of {done.stdout.count('  passed  ')}"
    (row,) = [line.split("  ") for line in lines if line.startswith("server_error_is_unknown ")]
    assert [part.strip() for part in row if part] == [
        "server_error_is_unknown",
        "passed",
        "A failure inside the service may have come after the message left.",
    ]


@pytest.mark.slow
def test_a_plugin_that_breaks_it(tmp_path: Path) -> None:
    write(tmp_path, "senders", "TakesAServerErrorForARefusal", "tests/test_contract.py")

    done = conformance(tmp_path, "./example")

    lines = done.stdout.splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("server_error_is_unknown "))
    assert "  FAILED  " in lines[place]
    assert lines[place + 1].strip().startswith("expected Unknown after the answer 500")
    passed = done.stdout.count("  passed  ")
    assert (done.returncode, lines[-1]) == (1, f"passed {passed} of {passed + 1}")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["waha", "evolution", str(ROOT / "plugins" / "waha")])
def test_the_plugins_of_the_repository_keep_it(name: str) -> None:
    done = conformance(ROOT, name)

    passed = done.stdout.count("  passed  ")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, f"passed {passed} of {passed}")


def test_tests_that_need_pytest_say_so(tmp_path: Path) -> None:
    write(tmp_path, "good", "GoodProvider", "tests/test_contract.py")
    file = tmp_path / "example" / "tests" / "test_contract.py"
    file.write_text("import pytest\n" + file.read_text())

    done = conformance(tmp_path, "./example", without_pytest=True)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"recado: {file} needs pytest: install it (`uv pip install pytest`), or put the contract class into the"
        " plugin's module conformance.\n"
    )


def test_a_plugin_without_a_contract_class(tmp_path: Path) -> None:
    write(tmp_path, "good", "GoodProvider")
    (tmp_path / "example" / "conformance.py").unlink()

    done = conformance(tmp_path, "./example")

    assert done.returncode == 1
    assert done.stderr == (
        "recado: example has no contract class: write one, derived from a contract of core.plugin.testing, into"
        f" {tmp_path / 'example' / 'conformance'}.py.\n"
    )


def test_a_plugin_that_cannot_be_imported(tmp_path: Path) -> None:
    write(tmp_path, "good", "GoodProvider")
    (tmp_path / "example" / "__init__.py").write_text("def (")

    done = conformance(tmp_path, "./example")

    assert done.returncode == 1
    assert done.stderr.startswith("recado: The plugin example cannot be imported: SyntaxError: ")
    assert "Traceback" not in done.stderr
