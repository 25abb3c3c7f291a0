"""Large workbooks are read by a process of their own: their XML keeps a processor busy for many seconds.

One process of the platform reads two of them at a time; whoever comes meanwhile waits.
"""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from core.contacts.importing.file_kinds import UnreadableFileError
from core.contacts.importing.reader import FileForm
from core.contacts.importing.workbooks import extract_sheet
from core.processes import end, spawn
from core.texts import Text, text

SMALL_BYTES = 2**18
"""Workbooks up to this are read in a thread, sooner than a process comes to run."""
AT_ONCE = 2
END_SECONDS = 5.0

_places = asyncio.Semaphore(AT_ONCE)


class Told(msgspec.Struct):
    """What the process found out, or why the workbook cannot be read: the key of the text and what fills it."""

    form: FileForm | None = None
    refusal: str = ""
    params: dict[str, Any] = {}


async def extract(path: Path, target: Path, megabytes: int, wanted: str | None) -> FileForm:
    """Write the rows of a workbook's sheet to ``target``; as ``workbooks.extract_sheet`` does, and raises."""
    if (await asyncio.to_thread(path.stat)).st_size <= SMALL_BYTES:
        return await asyncio.to_thread(extract_sheet, path, target, megabytes, wanted)
    async with _places:
        told = await _ask(path, target, str(megabytes), *([] if wanted is None else [wanted]))
    if told.form is None:
        raise UnreadableFileError(text(told.refusal, **told.params))
    return told.form


async def _ask(path: Path, target: Path, *arguments: str) -> Told:
    command = [sys.executable, "-m", "core.contacts.importing.workbook_process", str(path), str(target), *arguments]
    process = await spawn(command, output=subprocess.PIPE)
    try:
        said, _ = await process.communicate()
    finally:
        # Whoever sent the file may have gone away meanwhile.
        await end(process, END_SECONDS)
    try:
        return msgspec.json.decode(said.rpartition(b"\n")[2], type=Told)
    except msgspec.DecodeError:
        raise ChildProcessError(f"The reader of a workbook ended with {process.returncode}: {said[-2000:]!r}") from None


def _main(path: str, target: str, megabytes: str, wanted: str | None = None) -> Told:
    try:
        return Told(extract_sheet(Path(path), Path(target), int(megabytes), wanted))
    except UnreadableFileError as error:
        refusal = error.args[0]
        if not isinstance(refusal, Text):
            raise
        return Told(refusal=refusal.key, params=refusal.params)


if __name__ == "__main__":
    sys.stdout.write(f"\n{msgspec.json.encode(_main(*sys.argv[1:])).decode()}")
