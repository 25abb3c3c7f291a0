"""Excel workbooks (.xlsx, .xlsm): one sheet becomes plain text, read as a stream so that memory stays small.

Libraries hold the sheet or its shared texts in memory (docs/explanation/dependencies.md says how much). Here a parser
walks over the unpacked XML, and the shared texts wait in a file. Facts: ECMA-376 part 1, 18.2 (workbooks), 18.3
(sheets), 18.4 (shared texts), and part 2 (packages).
"""

import posixpath
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any
from xml.parsers import expat

import msgspec

from core.contacts.importing.file_kinds import UnreadableFileError, not_a_table, refuse_compound
from core.contacts.importing.reader import CELL_END, FileForm
from core.contacts.importing.shared_texts import SharedTexts
from core.contacts.importing.sheet_rows import SheetRows
from core.contacts.importing.workbook_cells import TooMuchTextError, date_styles
from core.texts import text

MEBIBYTE = 2**20

_CHUNK_BYTES = 2**16
_SMALL_PART_BYTES = 16 * MEBIBYTE
"""What the parts beside the sheet and the shared texts may take."""
_DIRECTORY_BYTES = 4 * MEBIBYTE
"""What the container's directory may take: a workbook of hundreds of sheets has some thousands of parts."""
_TAG_BYTES = MEBIBYTE
"""What the parser may hold before it can go on."""
MAXIMUM_SHEETS = 500
# APPNOTE.TXT 4.3.16: the end of the directory, before a comment of 65,535 bytes at most; its size is at 12.
_END_SIGNATURE, _END_BYTES, _SIZE_AT = b"PK\x05\x06", 22 + 65_535, 12
_OPENDOCUMENT = b"application/vnd.oasis.opendocument.spreadsheet"
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    expat.ExpatError,
    EOFError,
    KeyError,
    ValueError,
    OverflowError,
    NotImplementedError,
)

Start = Callable[[str, dict[str, str]], None]


class _Sheet(msgspec.Struct, frozen=True):
    name: str
    part: str


class _Book(msgspec.Struct):
    """What the small parts of a workbook say."""

    sheets: list[_Sheet] = []
    from_1904: bool = False
    shared: str | None = None
    styles: str | None = None


def extract_sheet(path: Path, target: Path, megabytes: int, wanted: str | None = None) -> FileForm:
    """Write the rows of a workbook's first visible sheet, or of the one that is ``wanted``, as text to ``target``.

    Each row of the sheet is a line, an empty one where it is empty, so that lines have the numbers of rows. A formula
    counts as its last value, and of merged cells the first one has the text.

    Raises:
        UnreadableFileError: It is no workbook, locked, damaged, takes more than ``megabytes`` when it is unpacked, or
            has no such sheet.
    """
    refuse_compound(path)
    try:
        _ensure_small_directory(path)
        with zipfile.ZipFile(path) as package:
            return _extract(_Package(package, megabytes), target, wanted)
    except UnreadableFileError:
        raise
    except TooMuchTextError:
        raise UnreadableFileError(text("file_unpacked", value=megabytes)) from None
    except RuntimeError:
        # The one that zipfile raises for a part under a password.
        raise UnreadableFileError(text("file_locked")) from None
    except _BROKEN:
        raise UnreadableFileError(text("file_damaged")) from None


def _extract(package: "_Package", target: Path, wanted: str | None) -> FileForm:
    book = _read_book(package)
    if not book.sheets:
        raise UnreadableFileError(text("file_no_sheet"))
    names = [sheet.name for sheet in book.sheets]
    sheet = next((one for one in book.sheets if wanted is None or one.name.casefold() == wanted.casefold()), None)
    if sheet is None:
        raise UnreadableFileError(text("file_sheet", name=str(wanted)[:60], listed=", ".join(names)[:120]))
    package.ensure_room([sheet.part, *([book.shared] if book.shared else [])])
    dates = _read_styles(package, book.styles)
    with SharedTexts(target.parent) as shared, target.open("x", encoding="utf-8", newline="\n") as out:
        target.chmod(0o600)
        if book.shared:
            package.parse(book.shared, shared.start, shared.end, shared.characters)
        rows = SheetRows(out, shared, dates, limit=package.megabytes * MEBIBYTE, from_1904=book.from_1904)
        package.parse(sheet.part, rows.start, rows.end, rows.characters)
        rows.finish()
    return FileForm("utf-8", CELL_END, sheet=sheet.name, sheets=names)


class _Package:
    """The parts of a workbook's container, whatever case and slashes their names are written in."""

    def __init__(self, package: zipfile.ZipFile, megabytes: int) -> None:
        self.megabytes = megabytes
        self._package = package
        self._parts = {_plain(info.filename): info for info in package.infolist()}
        self._refuse_others()

    def has(self, part: str) -> bool:
        """Whether there is such a part."""
        return _plain(part) in self._parts

    def ensure_room(self, parts: list[str]) -> None:
        """Refuse parts that unpack to more than they may: zipfile gives no part more than it says it takes."""
        if sum(self._parts[_plain(part)].file_size for part in parts) > self.megabytes * MEBIBYTE:
            raise UnreadableFileError(text("file_unpacked", value=self.megabytes))

    def parse(self, part: str, start: Start, end: Callable[[str], None], characters: Callable[[str], None]) -> None:
        """Walk over a part's XML, a chunk at a time."""
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = start
        parser.EndElementHandler = end
        parser.CharacterDataHandler = characters
        parser.StartDoctypeDeclHandler = _refuse_doctype
        given = 0
        with self._open(part) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                parser.Parse(chunk, False)
                given += len(chunk)
                if given - parser.CurrentByteIndex > _TAG_BYTES:
                    raise ValueError("a tag has no end")
            parser.Parse(b"", True)

    def walk(self, part: str, start: Start) -> None:
        """Walk over the elements of a small part."""
        if self._parts[_plain(part)].file_size > _SMALL_PART_BYTES:
            raise UnreadableFileError(text("file_unpacked", value=_SMALL_PART_BYTES // MEBIBYTE))
        self.parse(part, start, lambda _: None, lambda _: None)

    def _open(self, part: str) -> IO[bytes]:
        return self._package.open(self._parts[_plain(part)])

    def _refuse_others(self) -> None:
        if self.has("_rels/.rels") and any(part.startswith("xl/") for part in self._parts):
            if self.has("xl/workbook.bin"):
                raise UnreadableFileError(not_a_table("Excel Binary (.xlsb)"))
            return
        if self.has("mimetype"):
            with self._open("mimetype") as stream:
                if stream.read(len(_OPENDOCUMENT)) == _OPENDOCUMENT:
                    raise UnreadableFileError(not_a_table("OpenDocument (.ods)"))
        if self.has("word/document.xml"):
            raise UnreadableFileError(not_a_table("Word (.docx)"))
        if any(part.endswith(".iwa") for part in self._parts):
            raise UnreadableFileError(not_a_table("Numbers (.numbers)"))
        raise UnreadableFileError(not_a_table("ZIP"))


def _ensure_small_directory(path: Path) -> None:
    """Refuse a container with millions of parts, whose directory alone would fill the memory."""
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - _END_BYTES))
        end = stream.read()
    place = end.rfind(_END_SIGNATURE)
    if place >= 0 and int.from_bytes(end[place + _SIZE_AT : place + _SIZE_AT + 4], "little") > _DIRECTORY_BYTES:
        raise ValueError("the directory is too large for a workbook")


def local(name: str) -> str:
    """Return an element's name without the prefix of its namespace, which every program chooses for itself."""
    return name.rpartition(":")[2]


def _plain(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").lower()


def _refuse_doctype(*_declared: Any) -> None:
    raise ValueError("a workbook declares no document type")


def _read_book(package: _Package) -> _Book:
    main = next(iter(_relations(package, "_rels/.rels", "officeDocument").values()), "xl/workbook.xml")
    folder, name = posixpath.split(main)
    relations = f"{folder}/_rels/{name}.rels"
    parts = _relations(package, relations, "worksheet", folder)
    book = _Book(
        shared=next(iter(_relations(package, relations, "sharedStrings", folder).values()), None),
        styles=next(iter(_relations(package, relations, "styles", folder).values()), None),
    )

    def start(name: str, attributes: dict[str, str]) -> None:
        match local(name):
            case "workbookPr":
                book.from_1904 = attributes.get("date1904") in {"1", "true"}
            case "sheet" if attributes.get("state", "visible") == "visible":
                own = {local(key): value for key, value in attributes.items()}
                # A sheet that is a chart has a relation of another type.
                if own.get("id") in parts and len(book.sheets) < MAXIMUM_SHEETS:
                    book.sheets.append(_Sheet(own["name"], parts[own["id"]]))

    package.walk(main, start)
    return book


def _relations(package: _Package, part: str, kind: str, folder: str = "") -> dict[str, str]:
    """Return the parts that ``part`` relates to as ``kind``, by the ids of the relations."""
    found: dict[str, str] = {}

    def start(name: str, attributes: dict[str, str]) -> None:
        if local(name) == "Relationship" and attributes.get("Type", "").endswith(f"/{kind}"):
            target = attributes["Target"]
            found[attributes["Id"]] = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")

    if package.has(part):
        package.walk(part, start)
    return {key: target for key, target in found.items() if package.has(target)}


def _read_styles(package: _Package, part: str | None) -> frozenset[str]:
    codes: dict[int, str] = {}
    formats: list[int] = []
    inside = False

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal inside
        match local(name):
            case "numFmt":
                codes[int(attributes["numFmtId"])] = attributes.get("formatCode", "")
            case "cellXfs":
                inside = True
            case "xf" if inside:
                formats.append(int(attributes.get("numFmtId", "0")))
            case "cellStyles" | "dxfs":
                inside = False

    if part is not None:
        package.walk(part, start)
    return date_styles(formats, codes)
