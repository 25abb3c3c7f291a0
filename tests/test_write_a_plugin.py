"""The page on writing a plugin: every block of it is written, run or compared, in its order, in an empty folder."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from core.config import OVERRIDES
from tests.test_docs import BLOCK, ROOT, Step, _free_ports, _running, _wait_for, fits, split_console

PAGE = ROOT / "docs" / "how-to" / "write-a-plugin.md"


class Reader:
    """Somebody who does what the page says, in a folder of their own."""

    def __init__(self, folder: Path, stack: ExitStack, ports: tuple[int, int]) -> None:
        self._folder = folder
        self._stack = stack
        self._ports = {"up": ports[0], "simulate": ports[1]}
        self._started: dict[str, Path] = {}
        clean = {key: value for key, value in os.environ.items() if key not in {"RECADO_CONFIG", *OVERRIDES}}
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._env: Mapping[str, str] = {**clean, "PATH": programs, "PYTHONPATH": str(ROOT)}
        # One that is found in the checkout would hide what the page's own folder lacks.
        assert not (folder / "pyproject.toml").exists()

    def follow(self, kind: str, text: str) -> None:
        """Do what one block is for."""
        match kind:
            case "python":
                self._write(text)
            case "toml":
                self._configure(text)
            case "console":
                for step in split_console(text):
                    self._type(step)
            case "text":
                _wait_for(self._started["up"], f"({text.strip()})")
            case _:
                raise AssertionError(f"nobody knows what to do with a block of {kind}")

    def _write(self, text: str) -> None:
        name, _, source = text.partition("\n")
        (self._folder / name.removeprefix("# ")).write_text(source, encoding="utf-8")

    def _configure(self, text: str) -> None:
        name, _, table = text.partition("\n")
        file = self._folder / name.removeprefix("# ")
        if not file.exists():
            file.write_text(table, encoding="utf-8")
        assert table in file.read_text(encoding="utf-8")

    def _type(self, step: Step) -> None:
        words = step.command.split()
        if words[:1] == ["recado"] and words[1] in self._ports:
            self._start(step, words[1:])
            return
        done = subprocess.run(
            ["bash", "-c", step.command],
            cwd=self._folder,
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
            check=False,
        )
        assert fits(step.answer, done.stdout), f"$ {step.command}{done.stdout}instead of\n{step.answer}"
        assert done.returncode == ("FAILED" in step.answer)

    def _start(self, step: Step, words: list[str]) -> None:
        command = [*words, "--port", str(self._ports[words[0]])]
        self._started[words[0]] = said = self._stack.enter_context(_running(self._folder, self._env, *command))
        _wait_for(said, f"({step.answer.strip().partition(' (')[0]})")


@pytest.fixture
def ports() -> tuple[int, int]:
    return _free_ports()


@pytest.fixture
def reader(tmp_path: Path, ports: tuple[int, int]) -> Iterator[Reader]:
    with ExitStack() as stack:
        yield Reader(tmp_path, stack, ports)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_block_does_what_the_page_says(reader: Reader, ports: tuple[int, int]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    page = page.replace("127.0.0.1:8000", f"127.0.0.1:{ports[0]}").replace("127.0.0.1:3900", f"127.0.0.1:{ports[1]}")
    blocks = BLOCK.findall(page)

    assert len(blocks) * 2 == page.count("\n```")
    for kind, text in blocks:
        reader.follow(kind, text)
