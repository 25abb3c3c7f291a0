"""The first rows of an uploaded file as they would be stored."""

import asyncio
from collections.abc import Sequence

import msgspec
import phonenumbers

from core import database
from core.contacts.importing.inspecting import first_contacts
from core.contacts.importing.rows import Failure, Row, read_row
from core.contacts.importing.schemas import (
    FileRead,
    PreviewRead,
    PreviewRow,
    RowProblem,
    columns_of,
    file_facts,
)
from core.contacts.importing.services import ensure_file
from core.errors import ConflictError, NotFoundError
from core.runtime import config
from core.texts import localize

PREVIEW_ROWS = 20
MAXIMUM_PREVIEW_ROWS = 100


async def preview_import(user_id: int, import_id: int, count: int, language: str) -> PreviewRead:
    """Return an import's first rows as they would be stored with its present settings, the reasons in ``language``.

    Raises:
        ConflictError: Its file is not kept any more.
    """
    row = await database.fetch_row(
        "SELECT mapping, path, default_country, rows_total, file_removed_at FROM imports"
        " WHERE id = $1 AND user_id = $2",
        import_id,
        user_id,
    )
    if row is None:
        raise NotFoundError("import", import_id)
    ensure_file(import_id, row)
    found = msgspec.json.decode(row["mapping"], type=FileRead)
    try:
        records = await asyncio.to_thread(first_contacts, config().data_folder / row["path"], found, count)
    except FileNotFoundError:
        raise ConflictError(
            f"The file of import {import_id} was removed: upload it again.", code="import_expired", id=import_id
        ) from None
    read = [read_row(record, found.map.columns, row["default_country"]) for record in records]
    known = await _known(user_id, [item.number for item in read if isinstance(item, Row)])
    rows = [_shown(item, known, language) for item in read]
    return PreviewRead(
        file=file_facts(found),
        columns=columns_of(found),
        mapping_source=found.map.source,
        default_country=row["default_country"],
        rows_total=row["rows_total"],
        rows=rows,
        problems=sum(one.problem is not None for one in rows),
    )


async def _known(user_id: int, numbers: Sequence[str]) -> set[str]:
    rows = await database.fetch(
        "SELECT number FROM contacts WHERE user_id = $1 AND number = ANY($2::text[]) AND deleted_at IS NULL",
        user_id,
        list(numbers),
    )
    return {row["number"] for row in rows}


def _shown(item: Row | Failure, known: set[str], language: str) -> PreviewRow:
    if isinstance(item, Failure):
        problem = RowProblem(item.column, item.value, localize(item.reason, language))
        return PreviewRow(
            line=item.line,
            number="",
            number_formatted="",
            name="",
            variables={},
            labels=[],
            exists=False,
            problem=problem,
        )
    return PreviewRow(
        line=item.line,
        number=item.number,
        number_formatted=_formatted(item.number),
        name=item.name,
        variables=item.variables,
        labels=item.labels,
        exists=item.number in known,
        problem=None,
    )


def _formatted(number: str) -> str:
    parsed = phonenumbers.parse(f"+{number}")
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
