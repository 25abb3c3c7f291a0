"""The rows of a workbook's sheet as lines of text, made while its XML is walked over."""

from typing import TextIO

from core.contacts.importing.file_kinds import UnreadableFileError
from core.contacts.importing.reader import CELL_END, LINE_BREAK, MAXIMUM_COLUMNS
from core.contacts.importing.shared_texts import SharedTexts
from core.contacts.importing.workbook_cells import (
    MAXIMUM_CHARACTERS,
    TooMuchTextError,
    plain_text,
    shown_date,
    shown_number,
)
from core.texts import text

MAXIMUM_ROWS = 1_048_576
"""Of a sheet (Excel's own limit)."""

_TEXTS = frozenset({"v", "t"})
_LETTERS = 26
_MOST_LETTERS = 3
_DIGITS = "0123456789"
_HELD_ROWS = 1000


class SheetRows:
    """Takes the elements of a sheet's part and writes a line for each row; ``dates`` are styles that show dates."""

    def __init__(
        self, out: TextIO, shared: SharedTexts, dates: frozenset[str], *, limit: int, from_1904: bool = False
    ) -> None:
        self._out = out
        self._shared = shared
        self._dates = dates
        self._from_1904 = from_1904
        self._room = limit
        self._columns: dict[str, int] = {}
        self._lines: list[str] = []
        self._row = 0
        self._empty_rows = 0
        self._any = False
        self._cells: list[str] = []
        self._column = -1
        self._widest = 0
        self._type = ""
        self._style = ""
        self._text: list[str] = []
        self._length = 0
        self._taking = False
        self._phonetic = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Take the start of an element."""
        if ":" in name:
            name = name.rpartition(":")[2]
        if name == "c":
            reference = attributes.get("r")
            self._column = self._column + 1 if reference is None else self._column_of(reference)
            self._type = attributes.get("t", "n")
            self._style = attributes.get("s", "")
            self._text = []
            self._length = 0
        elif name in _TEXTS:
            self._taking = not self._phonetic
        elif name == "row":
            self._start_row(int(attributes.get("r", self._row + 1)))
        elif name == "rPh":
            self._phonetic = True

    def end(self, name: str) -> None:
        """Take the end of an element."""
        if ":" in name:
            name = name.rpartition(":")[2]
        if name == "c":
            if self._text:
                self._end_cell()
        elif name in _TEXTS:
            self._taking = False
        elif name == "row":
            self._end_row()
        elif name == "rPh":
            self._phonetic = False

    def characters(self, written: str) -> None:
        """Take characters."""
        if self._taking:
            self._text.append(written)
            self._length += len(written)
            if self._length > MAXIMUM_CHARACTERS:
                raise TooMuchTextError

    def finish(self) -> None:
        """Write what is still held."""
        self._out.write("".join(self._lines))
        self._lines.clear()

    def _start_row(self, number: int) -> None:
        if not self._row < number <= MAXIMUM_ROWS:
            raise ValueError("rows are out of order")
        self._empty_rows += number - self._row - 1
        self._row = number
        self._cells = []
        self._column = -1
        self._widest = 0

    def _column_of(self, reference: str) -> int:
        letters = reference.rstrip(_DIGITS)
        column = self._columns.get(letters)
        if column is None:
            if len(letters) > _MOST_LETTERS:
                raise ValueError("no sheet has such a column")
            column = 0
            for letter in letters:
                column = column * _LETTERS + ord(letter.upper()) - ord("A") + 1
            self._columns[letters] = column = column - 1
        return column

    def _end_cell(self) -> None:
        parts = self._text
        shown = self._shown(parts[0] if len(parts) == 1 else "".join(parts))
        if not shown:
            return
        if "\n" in shown or "\r" in shown:
            shown = LINE_BREAK.join(shown.splitlines())
        column, cells = self._column, self._cells
        self._widest = max(self._widest, column + 1)
        # One cell beyond the last makes its row an error; how far out it stood does not matter.
        column = min(column, MAXIMUM_COLUMNS)
        if column > len(cells):
            cells.extend([""] * (column - len(cells)))
        if column == len(cells):
            cells.append(shown)
        else:
            cells[column] = shown

    def _shown(self, raw: str) -> str:
        match self._type:
            case "s":
                return self._shared[int(raw)]
            case "n" if self._style in self._dates:
                return shown_date(raw.strip(), from_1904=self._from_1904)
            case "n":
                return shown_number(raw.strip())
            case "b":
                return "TRUE" if raw.strip() == "1" else "FALSE"
            case _:
                return plain_text(raw)

    def _end_row(self) -> None:
        if not self._cells:
            self._empty_rows += 1
            return
        if not self._any and self._widest > MAXIMUM_COLUMNS:
            raise UnreadableFileError(text("file_columns", found=self._widest, value=MAXIMUM_COLUMNS))
        self._any = True
        line = "\n" * self._empty_rows + CELL_END.join(self._cells) + "\n"
        self._empty_rows = 0
        self._room -= len(line)
        if self._room < 0:
            raise TooMuchTextError
        self._lines.append(line)
        if len(self._lines) >= _HELD_ROWS:
            self.finish()
