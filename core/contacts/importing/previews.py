"""The first rows of an uploaded file as they would be stored."""

import asyncio
from collections.abc import Sequence

import msgspec
import phonenumbers

from core import database
from core.contacts.importing.inspecting import first_contacts
from core.contacts.importing.policies import merge_row, policies_of
from core.contacts.importing.rows import Failure, Row, read_row
from core.contacts.importing.schemas import (
    FileRead,
    ImportOptions,
    Outcome,
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
        "SELECT mapping, options, path, default_country, rows_total, file_removed_at FROM imports"
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
            f"The file of import {import_id} is no longer kept: upload it again.", code="import_expired", id=import_id
        ) from None
    read = [read_row(record, found.map.columns, row["default_country"]) for record in records]
    rows = await _shown(user_id, read, msgspec.json.decode(row["options"], type=ImportOptions), language)
    return PreviewRead(
        file=file_facts(found),
        columns=columns_of(found),
        mapping_source=found.map.source,
        default_country=row["default_country"],
        rows_total=row["rows_total"],
        rows=rows,
        problems=sum(one.problem is not None for one in rows),
    )


async def _shown(
    user_id: int, read: Sequence[Row | Failure], options: ImportOptions, language: str
) -> list[PreviewRow]:
    """Put the rows one behind the other into what their contacts have, as storing them would."""
    policies = policies_of(options.duplicates, options.policies)
    await _name_labels(user_id, [item for item in read if isinstance(item, Row)], options)
    known = await _known(user_id, [item.number for item in read if isinstance(item, Row)])
    ids = {number: contact_id for number, (contact_id, _) in known.items()}
    present = {number: contact for number, (_, contact) in known.items()}
    shown = []
    for item in read:
        if isinstance(item, Failure):
            shown.append(_failed(item, language))
            continue
        outcome: Outcome = "created"
        if item.number in present:
            outcome = "updated" if merge_row(present[item.number], item, policies) else "skipped"
        contact = present.setdefault(item.number, item)
        shown.append(
            PreviewRow(
                line=item.line,
                outcome=outcome,
                contact_id=ids.get(item.number),
                number=item.number,
                number_formatted=_formatted(item.number),
                name=contact.name,
                variables=dict(contact.variables),
                labels=list(contact.labels),
                problem=None,
            )
        )
    return shown


async def _name_labels(user_id: int, rows: Sequence[Row], options: ImportOptions) -> None:
    """Give the rows the labels of the import too, each under the name that it has or will be made with."""
    common = await database.fetch(
        "SELECT name FROM labels WHERE user_id = $1 AND id = ANY($2) AND deleted_at IS NULL ORDER BY id",
        user_id,
        options.labels,
    )
    everybody = [row["name"] for row in common]
    if options.label_name:
        everybody.append(" ".join(options.label_name.split()))
    written = list(dict.fromkeys(name for row in rows for name in (*everybody, *row.labels)))
    found = await database.fetch(
        "SELECT n.name AS written, l.name FROM unnest($2::text[]) AS n(name)"
        " JOIN labels l ON lower(l.name) = lower(n.name) WHERE l.user_id = $1 AND l.deleted_at IS NULL",
        user_id,
        written,
    )
    names = {row["written"]: row["name"] for row in found}
    made: dict[str, str] = {}
    for name in written:
        names.setdefault(name, made.setdefault(name.lower(), name))
    for row in rows:
        row.labels = list(dict.fromkeys(names[name] for name in (*everybody, *row.labels)))


async def _known(user_id: int, numbers: Sequence[str]) -> dict[str, tuple[int, Row]]:
    """Return the contacts that have these numbers by number: their ids, and what they hold."""
    rows = await database.fetch(
        "SELECT c.id, c.number, c.name, c.variables, ARRAY(SELECT l.name FROM jsonb_array_elements(c.labels)"
        " WITH ORDINALITY AS x(label, place) JOIN labels l ON l.id = x.label::bigint ORDER BY place) AS labels"
        " FROM contacts c WHERE c.user_id = $1 AND c.number = ANY($2::text[]) AND c.deleted_at IS NULL",
        user_id,
        list(numbers),
    )
    return {
        row["number"]: (
            row["id"],
            Row(0, row["number"], row["name"], msgspec.json.decode(row["variables"]), row["labels"], []),
        )
        for row in rows
    }


def _failed(item: Failure, language: str) -> PreviewRow:
    return PreviewRow(
        line=item.line,
        outcome="failed",
        contact_id=None,
        number="",
        number_formatted="",
        name="",
        variables={},
        labels=[],
        problem=RowProblem(item.column, item.value, localize(item.reason, language)),
    )


def _formatted(number: str) -> str:
    parsed = phonenumbers.parse(f"+{number}")
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
