"""Finding out how an uploaded file is written and what its columns are, before anything of it is stored."""

import asyncio
from itertools import islice
from pathlib import Path

import msgspec

from core.contacts.country_settings import DEFAULT_COUNTRY
from core.contacts.importing import encodings, workbook_process
from core.contacts.importing.file_kinds import HEAD_BYTES, FileKind, UnreadableFileError, kind_of_head
from core.contacts.importing.headers import SAMPLE_ROWS
from core.contacts.importing.mapping import FileMap, UnknownMappingError, header_keys, map_columns, read_header
from core.contacts.importing.reader import FileForm, Record, detect_form, read_batches, read_records
from core.contacts.importing.saved_mappings import find_mapping
from core.contacts.importing.schemas import FileRead, ImportOptions
from core.errors import InvalidInputError
from core.texts import text


class Scan(msgspec.Struct, frozen=True):
    """How a file is written, its first rows, and how many it has."""

    form: FileForm
    head: list[Record]
    rows: int


async def scan_upload(upload: Path, kept: Path, options: ImportOptions, megabytes: int) -> Scan:
    """Look through a new file, whose rows are in ``kept`` afterwards; ``megabytes`` is what a workbook may take.

    Raises:
        InvalidInputError: It holds no rows that can be read, or is not in the encoding that was told.
    """
    try:
        if await asyncio.to_thread(_kind_of, upload) == "workbook":
            form = await workbook_process.extract(upload, kept, megabytes, options.sheet)
            return await asyncio.to_thread(_scan, kept, form, options)
        if options.sheet:
            raise InvalidInputError({"sheet": [text("sheet_of_text")]})
        await asyncio.to_thread(upload.rename, kept)
        return await asyncio.to_thread(_scan, kept, None, options)
    except UnreadableFileError as error:
        raise InvalidInputError({"file": [error.args[0]]}) from None


async def scan_again(path: Path, form: FileForm, options: ImportOptions) -> Scan:
    """Look through a file once more, with other options.

    Raises:
        InvalidInputError: It is not in the encoding that was told.
    """
    try:
        return await asyncio.to_thread(_scan, path, form if form.workbook else None, options)
    except UnreadableFileError as error:
        raise InvalidInputError({"file": [error.args[0]]}) from None


async def describe(user_id: int, scan: Scan, options: ImportOptions) -> tuple[FileRead, int]:
    """Say what the columns are, and how many rows there are beside the header.

    Raises:
        InvalidInputError: There are no rows, no numbers or too many columns, or the mapping does not fit.
    """
    country = options.default_country or DEFAULT_COUNTRY
    cells = [record.cells for record in scan.head]
    try:
        _ensure_readable(scan)
        header = read_header(cells, country, present=options.header)
        saved = (
            await find_mapping(user_id, header_keys(header.names)) if header.present and not options.mapping else None
        )
        found = map_columns(cells, header, options.mapping, country, saved)
        _ensure_rows(scan, found)
    except UnreadableFileError as error:
        raise InvalidInputError({"file": [error.args[0]]}) from None
    except UnknownMappingError as error:
        raise InvalidInputError({f"mapping.{error.column}": [error.args[0]]}) from None
    line = scan.head[found.skipped].line if found.header else None
    return FileRead(scan.form, found, line), scan.rows - found.first_row


def first_records(path: Path, form: FileForm) -> list[Record]:
    """Return the first rows, by which columns are told."""
    return list(islice(read_records(path, form), SAMPLE_ROWS))


def first_contacts(path: Path, found: FileRead, count: int) -> list[Record]:
    """Return the first rows below the header."""
    first = found.map.first_row
    return list(islice(read_records(path, found.form), first, first + count))


def _kind_of(upload: Path) -> FileKind:
    with upload.open("rb") as stream:
        return kind_of_head(stream.read(HEAD_BYTES))


def _scan(path: Path, form: FileForm | None, options: ImportOptions) -> Scan:
    if form is None:
        codec = encodings.CODECS[options.encoding] if options.encoding else None
        if codec is None:
            codec = encodings.detect_encoding(path)
        else:
            encodings.ensure_text(path)
            if not encodings.decodes(path, codec):
                raise InvalidInputError({"encoding": [text("not_in_encoding", encoding=options.encoding)]})
        form = detect_form(path, codec, options.delimiter)
    return Scan(form, first_records(path, form), sum(len(batch.rows) for batch in read_batches(path, form)))


def _ensure_rows(scan: Scan, found: FileMap) -> None:
    if scan.rows <= found.first_row:
        raise UnreadableFileError(text("file_headers_only"))


def _ensure_readable(scan: Scan) -> None:
    if not scan.head:
        raise UnreadableFileError(text("file_no_rows"))
    if scan.head[0].broken:
        raise UnreadableFileError(text("file_quote", line=scan.head[0].line))
