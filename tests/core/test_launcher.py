import os
import subprocess
import sys
from pathlib import Path

from core import launcher


def _launch(parent: int, owner: str, *command: str) -> subprocess.CompletedProcess[str]:
    start = [sys.executable, "-I", "-S", launcher.__file__, str(parent), "9", owner, *command]
    return subprocess.run(start, capture_output=True, text=True, check=False, timeout=20)


def test_it_becomes_the_command() -> None:
    done = _launch(os.getpid(), "-", "/bin/echo", "hello")

    assert (done.returncode, done.stdout) == (0, "hello\n")


def test_it_does_nothing_once_its_parent_is_gone() -> None:
    """The parent may die between its fork and the request for a death signal."""
    done = _launch(1 if os.getppid() != 1 else 2, "-", "/bin/echo", "hello")

    assert (done.returncode, done.stdout) == (0, "")


def test_another_user_is_refused_or_becomes_real(tmp_path: Path) -> None:
    """Only root may change the user; then closed folders are passed through where that is asked for, and only there."""
    closed = tmp_path / "closed"
    (closed / "open").mkdir(parents=True)
    closed.chmod(0o700)
    show = ["/bin/sh", "-c", f"id -u; test -x {closed / 'open'} && echo reached || echo refused"]

    answers = [_launch(os.getpid(), f"12345:12345{reach}", *show) for reach in ("", ":reach")]

    if os.geteuid() == 0:
        assert [answer.stdout.split() for answer in answers] == [["12345", "refused"], ["12345", "reached"]]
    else:
        assert {answer.returncode for answer in answers} == {126}
        assert all("cannot be started: Operation not permitted" in answer.stderr for answer in answers)
