"""Large workbooks are read apart, with the same result and the same refusals."""

import asyncio
from pathlib import Path

import psutil
import pytest

from core.contacts.importing import workbook_process
from core.contacts.importing.file_kinds import UnreadableFileError
from core.contacts.importing.workbook_process import extract
from core.contacts.importing.workbooks import extract_sheet
from core.texts import Text, localize
from tests.core.contacts.importing.workbook_files import table, workbook

ROWS = table(["nome", "numero"], ["José", "11900000001"], ["Zoë", "11900000002"])


@pytest.fixture(autouse=True)
def none_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook_process, "SMALL_BYTES", 0)


async def test_the_rows_are_those_that_a_thread_reads(tmp_path: Path) -> None:
    path = tmp_path / "book.xlsx"
    path.write_bytes(workbook(ROWS))
    apart = await extract(path, tmp_path / "apart", 64, None)
    assert apart == extract_sheet(path, tmp_path / "here", 64)
    assert (tmp_path / "apart").read_bytes() == (tmp_path / "here").read_bytes()


@pytest.mark.parametrize(("content", "sheet"), [(b"PK\x03\x04 nothing else", None), (workbook(ROWS), "Agosto")])
async def test_a_refusal_is_told_in_the_readers_language(tmp_path: Path, content: bytes, sheet: str | None) -> None:
    path = tmp_path / "book.xlsx"
    path.write_bytes(content)
    with pytest.raises(UnreadableFileError) as here:
        extract_sheet(path, tmp_path / "here", 64, sheet)
    with pytest.raises(UnreadableFileError) as apart:
        await extract(path, tmp_path / "apart", 64, sheet)
    assert isinstance(apart.value.args[0], Text)
    assert localize(apart.value.args[0], "pt-BR") == localize(here.value.args[0], "pt-BR")
    assert apart.value.args == here.value.args


async def test_whoever_goes_away_leaves_no_process(tmp_path: Path) -> None:
    path = tmp_path / "book.xlsx"
    path.write_bytes(workbook(ROWS))
    reading = asyncio.create_task(extract(path, tmp_path / "rows", 64, None))
    while not (children := _readers(path)):  # noqa: ASYNC110 - another process comes to run
        await asyncio.sleep(0.001)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)


async def test_a_reader_that_dies_is_no_refusal_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "book.xlsx"
    path.write_bytes(workbook(ROWS))
    (tmp_path / "rows").write_text("already there")
    with pytest.raises(ChildProcessError, match="FileExistsError"):
        await extract(path, tmp_path / "rows", 64, None)


def _readers(path: Path) -> list[psutil.Process]:
    return [child for child in psutil.Process().children(recursive=True) if str(path) in child.cmdline()]
