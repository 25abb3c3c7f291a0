"""Workbooks written as a stream: texts come back as they were, sheets end where they have to."""

import csv
import io
from collections.abc import AsyncGenerator, Sequence

import pytest

from core import workbook_files
from core.contacts.importing.workbook_cells import plain_text
from core.workbook_files import column_letters, write_workbook
from tests.core.downloads import sheets_of


async def _portions(*portions: Sequence[Sequence[str]]) -> AsyncGenerator[bytes, None]:
    for rows in portions:
        written = io.StringIO()
        csv.writer(written, lineterminator="\n").writerows(rows)
        yield written.getvalue().encode()


async def _written(title: str, headers: Sequence[str], *portions: Sequence[Sequence[str]]) -> bytes:
    return b"".join([piece async for piece in write_workbook(title, headers, _portions(*portions))])


async def test_texts_are_as_they_were() -> None:
    rows = [["=1+1", "", "00123"], ["a\nb", "<b>&amp;</b>", " x "], ['"q", z', "🎉", "+55"]]
    found = sheets_of(await _written("A & B", ["one", "two", "three"], rows[:1], rows[1:]))
    assert found == {"A & B": [["one", "two", "three"], *rows]}


@pytest.mark.parametrize("text", ["_x0041_", "a_x000D_b_x000d_", "_x", "x\rz", "_x005F_x0041_", "__x0041_"])
async def test_what_reads_like_an_escape_is_none(text: str) -> None:
    [[_, [cell]]] = sheets_of(await _written("Sheet", ["one"], [[text]])).values()
    assert plain_text(cell) == text


async def test_what_xml_cannot_hold_is_escaped() -> None:
    [[_, [cell]]] = sheets_of(await _written("Sheet", ["one"], [["a\x01\x1f\ufffeb"]])).values()
    assert cell == "a_x0001__x001F__xFFFE_b"


async def test_a_full_sheet_goes_on_in_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook_files, "MAXIMUM_ROWS", 3)
    found = sheets_of(await _written("Sheet", ["n"], [["1"]], [["2"], ["3"], ["4"], ["5"]], [["6"]]))
    assert found == {
        "Sheet": [["n"], ["1"], ["2"]],
        "Sheet 2": [["n"], ["3"], ["4"]],
        "Sheet 3": [["n"], ["5"], ["6"]],
    }


async def test_so_does_one_of_too_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook_files, "MAXIMUM_SHEET_BYTES", 1000)
    found = sheets_of(await _written("Sheet", ["n"], [["x" * 1000]], [["y"]]))
    assert found == {"Sheet": [["n"], ["x" * 1000]], "Sheet 2": [["n"], ["y"]]}


@pytest.mark.parametrize(
    ("place", "letters"), [(0, "A"), (25, "Z"), (26, "AA"), (51, "AZ"), (52, "BA"), (701, "ZZ"), (702, "AAA")]
)
def test_columns_are_called_as_excel_does(place: int, letters: str) -> None:
    assert column_letters(place) == letters
