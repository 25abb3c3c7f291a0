"""ZIP files of JSON and CSV, written row by row."""

import io
import zipfile
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import IO, Any

import msgspec

from core.spreadsheets import write_row


class Archive:
    """A ZIP that is being written into ``file``; close it to have it whole."""

    def __init__(self, file: IO[bytes]) -> None:
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED)

    def add_json(self, name: str, value: object) -> None:
        """Add a file of JSON, indented for people."""
        self._zip.writestr(name, msgspec.json.format(msgspec.json.encode(value), indent=2))

    async def add_csv(
        self, name: str, columns: Sequence[str], portions: AsyncIterator[Sequence[Mapping[str, Any]]]
    ) -> int:
        """Add a file of CSV (UTF-8) with ``columns`` of the rows that come in portions; return how many rows."""
        count = 0
        with self._zip.open(name, "w", force_zip64=True) as raw:
            raw.write(write_row(columns).encode("utf-8-sig"))
            async for rows in portions:
                count += len(rows)
                raw.write("".join(write_row([_cell(row[column]) for column in columns]) for row in rows).encode())
        return count

    def close(self) -> None:
        """Write the directory of the ZIP."""
        self._zip.close()


def zip_of(files: Mapping[str, object]) -> bytes:
    """Return a small ZIP: a list of flat objects under ``*.csv``, anything else as JSON."""
    held = io.BytesIO()
    archive = zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED)
    with archive:
        for name, value in files.items():
            if name.endswith(".csv") and isinstance(value, list):
                archive.writestr(name, _csv(value))
            else:
                archive.writestr(name, msgspec.json.format(msgspec.json.encode(value), indent=2))
    return held.getvalue()


def _csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    columns = list(rows[0]) if rows else []
    lines = [write_row(columns), *(write_row([_cell(row[column]) for column in columns]) for row in rows)]
    return "".join(lines).encode("utf-8-sig")


def _cell(value: object) -> object:
    match value:
        case None | str() | int() | float():
            return value
        case bytes():
            return value.hex()
    plain = msgspec.to_builtins(value)
    return plain if isinstance(plain, str | int | float) else msgspec.json.encode(plain).decode()
