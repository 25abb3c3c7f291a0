"""What an embedded server wrote, and one line made of it when the server cannot run."""

import re
from pathlib import Path
from typing import IO

from core.embedded.folder import MINIMUM_FREE_BYTES, EmbeddedError

MAXIMUM_BYTES = 10_000_000

_ERROR = re.compile(r"\b(?:FATAL|PANIC|ERROR|initdb: error): +(.*)|^\d+:\w .*# (?:FATAL CONFIG.*|(.*))$", re.MULTILINE)


class ServerLog:
    """A file that a server writes to; the one before it is kept as ``.1`` once it has grown."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.exists() and path.stat().st_size > MAXIMUM_BYTES:
            path.replace(path.with_name(path.name + ".1"))

    def open(self) -> IO[bytes]:
        """Open it for appending, mode 0600."""
        self.path.touch(mode=0o600)
        return self.path.open("ab")

    def mark(self) -> int:
        """Where it ends now."""
        return self.path.stat().st_size if self.path.exists() else 0

    def since(self, mark: int) -> str:
        """What was written after ``mark``."""
        with self.path.open("rb") as file:
            file.seek(mark)
            return file.read().decode("utf-8", "replace")

    def has_error(self, mark: int) -> bool:
        """Whether a server told of an error after ``mark``."""
        return _ERROR.search(self.since(mark)) is not None


def explain(name: str, log: ServerLog, mark: int, path: Path) -> EmbeddedError:
    """Say in one line why a server could not start, from the first error it wrote after ``mark``."""
    written = log.since(mark)
    if "No space left on device" in written or "Disk quota exceeded" in written:
        return EmbeddedError(
            f"The disk of {path} is full: the embedded servers need {MINIMUM_FREE_BYTES // 1_000_000} MB free."
        )
    found = _ERROR.search(written)
    lines = [line for line in written.splitlines() if line.strip()]
    reason = next((group for group in found.groups() if group), "") if found else ""
    reason = reason or (lines[-1] if lines else "it wrote nothing")
    return EmbeddedError(f"{name} cannot start: {reason.strip()} (more in {log.path})")
