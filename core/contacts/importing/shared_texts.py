"""The texts that the cells of a workbook share, kept in a file: a million of them take a few megabytes of memory."""

import os
import tempfile
from array import array
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from core.contacts.importing.workbook_cells import MAXIMUM_CHARACTERS, TooMuchTextError, plain_text

MAXIMUM_TEXTS = 4_000_000
"""Places of so many take 32 MB."""

_BUFFERED = 2**18


class SharedTexts:
    """Takes the elements of the shared texts' part, then gives each text by its place; the file goes with the block.

    The phonetic reading of a text (``rPh``) is no part of it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ends = array("Q", [0])
        self._parts: list[str] = []
        self._length = 0
        self._waiting = bytearray()
        self._taking = False
        self._phonetic = False
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        """Open the file, which has no name and goes by itself."""
        self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the file go."""
        if self._file is not None:
            self._file.close()

    def start(self, name: str, _attributes: dict[str, str]) -> None:
        """Take the start of an element."""
        match name.rpartition(":")[2]:
            case "si":
                self._parts = []
                self._length = 0
            case "rPh":
                self._phonetic = True
            case "t":
                self._taking = not self._phonetic

    def end(self, name: str) -> None:
        """Take the end of an element."""
        match name.rpartition(":")[2]:
            case "t":
                self._taking = False
            case "rPh":
                self._phonetic = False
            case "si":
                if len(self._ends) > MAXIMUM_TEXTS:
                    raise TooMuchTextError
                written = plain_text("".join(self._parts)).encode()
                self._waiting += written
                self._ends.append(self._ends[-1] + len(written))
                if len(self._waiting) >= _BUFFERED:
                    self._flush()

    def characters(self, written: str) -> None:
        """Take characters."""
        if self._taking:
            self._parts.append(written)
            self._length += len(written)
            if self._length > MAXIMUM_CHARACTERS:
                raise TooMuchTextError

    def __getitem__(self, place: int) -> str:
        """Return a text; ``ValueError`` when there is none at that place."""
        if self._waiting:
            self._flush()
        if self._file is None or not 0 <= place < len(self._ends) - 1:
            raise ValueError("a cell names a shared text that is not there")
        start = self._ends[place]
        return os.pread(self._file.fileno(), self._ends[place + 1] - start, start).decode()

    def _flush(self) -> None:
        if self._file is not None:
            self._file.write(self._waiting)
            self._waiting.clear()
