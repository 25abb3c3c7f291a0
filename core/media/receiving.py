"""A file as it arrives, by upload or by download: on disk, hashed, and refused as soon as it is too large."""

import asyncio
import hashlib
import re
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import msgspec

from core.config import MediaConfig
from core.errors import TooLargeError
from core.media import kinds
from core.media.kinds import FileType
from core.media.store import FOLDER
from core.media.tables import MediaKind
from core.runtime import config

MEBIBYTE = 2**20
NAME_LENGTH = 160
_LONGEST_EXTENSION = 12
_SAME_EXTENSION = {"jpeg": "jpg", "jpe": "jpg", "oga": "ogg", "opus": "ogg", "m4b": "m4a", "m4v": "mp4"}
_NOT_IN_NAMES = re.compile(r'[<>:"|?*]')


class Received(msgspec.Struct, frozen=True):
    """A whole file whose type is known."""

    type: FileType
    size: int
    sha256: str


class Incoming:
    """Takes a file part by part; ``file`` holds what came, and is gone when the block that opened it ends."""

    def __init__(self, file: IO[bytes], limits: MediaConfig) -> None:
        self.file = file
        self.size = 0
        self._limits = limits
        self._limit = largest(limits)
        self._hash = hashlib.sha256()
        self._head = b""

    def write(self, part: bytes) -> None:
        """Take the next part.

        Raises:
            TooLargeError: It is more than any file, or a file of its kind, may have.
        """
        if len(self._head) < kinds.HEAD_BYTES:
            self._head += part[: kinds.HEAD_BYTES]
            if len(self._head) >= kinds.HEAD_BYTES:
                kind = kinds.kind_of_head(self._head)
                self._limit = self._limit if kind is None else limit_of(kind, self._limits)
        self.size += len(part)
        if self.size > self._limit:
            raise too_large(self._limit)
        self._hash.update(part)
        self.file.write(part)

    async def finish(self) -> Received:
        """Say what came.

        Raises:
            UnknownFileError: It is nothing that can be sent.
            TooLargeError: It is too large for its kind.
        """
        self.file.flush()
        # It may have to look at all of a large file.
        found = await asyncio.to_thread(kinds.detect, self.file)
        limit = limit_of(found.kind, self._limits)
        if self.size > limit:
            raise too_large(limit)
        return Received(found, self.size, self._hash.hexdigest())


@contextmanager
def incoming() -> Iterator[Incoming]:
    """Open a place for a file that is about to arrive; it has no name, so a killed process leaves nothing behind."""
    present = config()
    folder = present.data_folder / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        yield Incoming(file, present.media)


def limit_of(kind: MediaKind, limits: MediaConfig) -> int:
    """Return how many bytes a file of ``kind`` may have."""
    megabytes = {
        MediaKind.IMAGE: limits.image_megabytes,
        MediaKind.AUDIO: limits.audio_megabytes,
        MediaKind.VIDEO: limits.video_megabytes,
        MediaKind.DOCUMENT: limits.document_megabytes,
    }
    return megabytes[kind] * MEBIBYTE


def largest(limits: MediaConfig) -> int:
    """Return how many bytes any file may have."""
    return max(limit_of(kind, limits) for kind in MediaKind)


def too_large(limit: int) -> TooLargeError:
    """Say that a file has more than ``limit`` bytes."""
    megabytes = limit // MEBIBYTE
    return TooLargeError(
        f"The file is too large: one of its kind may have at most {megabytes} MiB.",
        code="media_too_large",
        megabytes=megabytes,
    )


def clean_name(given: str, extension: str) -> str:
    """Make a name that is shown to recipients out of one that anybody wrote: no path, no control characters.

    Its extension is that of the content, whatever the name claims.
    """
    bare = unicodedata.normalize("NFC", given.replace("\\", "/").rpartition("/")[2])
    # Categories C and Z: controls, marks that turn the writing round, lone surrogates, separators of lines.
    plain = "".join(" " if unicodedata.category(one)[0] in "CZ" else one for one in bare)
    plain = _NOT_IN_NAMES.sub("_", " ".join(plain.split())).strip(" .")
    stem, dot, last = plain.rpartition(".")
    if dot and _SAME_EXTENSION.get(last.lower(), last.lower()) == extension:
        plain, extension = stem.strip(" ."), last.lower()
    return f"{plain[: NAME_LENGTH - _LONGEST_EXTENSION].strip(' .') or 'file'}.{extension}"
