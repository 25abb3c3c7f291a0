"""What the sender of a file chooses, what was found out about the file, and what the API shows of an import."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from core.contacts.filters import Id, LabelIds
from core.contacts.importing.encodings import Encoding
from core.contacts.importing.mapping import FileMap, Source
from core.contacts.importing.policies import Duplicates, FieldPolicies
from core.contacts.importing.reader import FileForm

PublicName = Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
LabelName = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
CountryCode = Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$", description="ISO 3166 code.")]
ColumnMapping = Annotated[
    dict[str, str],
    msgspec.Meta(
        max_length=200,
        description="Header, or `column_3`, to `number`, `name`, `labels`, `ignore` or `variables.<name>`.",
    ),
]
Delimiter = Literal[";", ",", "\t", "|"]


class ImportOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the sender of a file chooses."""

    public_id: Id | None = None
    """An audience to put every contact of the file into."""
    public_name: PublicName | None = None
    """The name of an audience to make for them instead."""
    labels: LabelIds = []
    """Labels to put on every contact of the file."""
    label_name: LabelName | None = None
    """The name of a label for every contact of the file, made where there is none yet."""
    default_country: CountryCode | None = None
    """Whose numbers those without a country code are; absent, as the account says."""
    mapping: ColumnMapping = {}
    header: bool | None = None
    """Whether the file has a row that names its columns; found out where it is not told."""
    encoding: Encoding | None = None
    delimiter: Delimiter | None = None
    sheet: Annotated[str, msgspec.Meta(max_length=120)] | None = None
    """Which sheet of a workbook is read; the first visible one where it is not told."""
    duplicates: Duplicates = "fill"
    """What happens to contacts that exist: their empty fields are filled, they stay, or the file's cells win."""
    policies: FieldPolicies = {}
    """Fields of contacts that exist for which something else happens than ``duplicates`` says."""
    start: bool = False


class ImportUpdate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes of an import that was not started; what is left out stays, what is named is replaced whole."""

    public_id: Annotated[Id | None, msgspec.Meta(examples=[None])] | UnsetType = UNSET
    public_name: Annotated[PublicName | None, msgspec.Meta(examples=["Feira de março"])] | UnsetType = UNSET
    labels: Annotated[LabelIds, msgspec.Meta(examples=[[]])] | UnsetType = UNSET
    label_name: Annotated[LabelName | None, msgspec.Meta(examples=["feira"])] | UnsetType = UNSET
    default_country: Annotated[CountryCode, msgspec.Meta(examples=["BR"])] | UnsetType = UNSET
    mapping: Annotated[ColumnMapping, msgspec.Meta(examples=[{"column_1": "number"}])] | UnsetType = UNSET
    header: Annotated[bool | None, msgspec.Meta(description="`null` finds it out.", examples=[True])] | UnsetType = (
        UNSET
    )
    encoding: Annotated[Encoding | None, msgspec.Meta(examples=[None])] | UnsetType = UNSET
    delimiter: Annotated[Delimiter | None, msgspec.Meta(examples=[None])] | UnsetType = UNSET
    duplicates: Duplicates | UnsetType = UNSET
    policies: Annotated[FieldPolicies, msgspec.Meta(examples=[{"name": "keep"}])] | UnsetType = UNSET


class FileRead(msgspec.Struct, frozen=True):
    """What was found out about a file."""

    form: FileForm
    map: FileMap
    header_line: int | None = None
    """The line that names the columns."""


class ColumnRead(msgspec.Struct, frozen=True):
    """What a column is taken for."""

    header: str
    field: str


class FileFacts(msgspec.Struct, frozen=True, kw_only=True):
    """How an uploaded file is written, as it was found out or told."""

    kind: Literal["csv", "xlsx"]
    encoding: Encoding | None
    """``null`` for a workbook, as the delimiter."""
    delimiter: str | None
    sheet: str | None
    """The sheet of the workbook that is read."""
    sheets: list[str]
    """All its visible sheets."""
    header: bool
    """Whether a row names the columns."""
    header_line: int | None
    """Its line, or its row in the sheet."""


class UndoRead(msgspec.Struct, frozen=True, kw_only=True):
    """How far taking an import back has come, and what came of it; the counts are there once it is done."""

    job_id: int
    status: str
    """Of its job: waiting, running, done or failed."""
    progress: int
    """Percent."""
    error: str
    contacts_removed: int | None
    """Contacts that the import made and that are gone."""
    contacts_kept: int | None
    """Contacts that the import made and that stay: they wrote back, or were changed since."""
    contacts_restored: int | None
    """Contacts that the import changed and that have their earlier values again."""
    memberships_removed: int | None
    labels_removed: int | None


class ImportRead(msgspec.Struct, frozen=True, kw_only=True):
    """An uploaded file and what became of its rows; the four counts add up to the rows dealt with."""

    id: int
    filename: str
    status: str
    """``uploaded`` until it is started, then as its job: waiting, running, done, failed or canceled.

    ``expired`` once its file was removed: 24 hours after it was uploaded and not started, or failed, or was canceled.
    """
    job_id: int | None
    public_id: int | None
    public_name: str | None
    """Of the audience that its start makes."""
    default_country: str
    duplicates: str
    policies: dict[str, str]
    labels: list[int]
    label_name: str | None
    file: FileFacts
    columns: list[ColumnRead]
    mapping_source: Source
    """``chosen`` by hand, ``saved`` from the last file with these headers, ``recognized`` by the headers, or
    ``guessed``: no header names the numbers, and this column holds some."""
    rows_total: int
    rows_created: int
    rows_updated: int
    rows_skipped: int
    rows_failed: int
    progress: int
    """Percent of the rows that are dealt with."""
    rows_per_second: float | None
    """Over the last batches, while it runs."""
    seconds_left: int | None
    """At that rate."""
    error: str
    """Why the job stopped; empty when it did not."""
    undo_until: datetime | None
    """Until when it can be taken back; ``null`` when it cannot."""
    undo: UndoRead | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class RowProblem(msgspec.Struct, frozen=True):
    """Why a row would not go in."""

    column: str
    """Empty when it is about the whole row."""
    value: str
    reason: str


Outcome = Literal["created", "updated", "skipped", "failed"]


class PreviewRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row as it would be stored: what its contact has once the row is in."""

    line: int
    """Of the file, or the row of the sheet."""
    outcome: Outcome
    """``updated`` changes what its number has already, ``skipped`` changes nothing there, ``failed`` has a problem."""
    contact_id: int | None
    """The contact that has this number already; ``null`` also where only an earlier row of the file has it."""
    number: str
    """Digits of E.164; empty with a problem."""
    number_formatted: str
    """As people write it: ``+55 11 90000-1234``."""
    name: str
    variables: dict[str, str]
    labels: list[str]
    """Names, those that the import puts on every contact included."""
    problem: RowProblem | None


class PreviewRead(msgspec.Struct, frozen=True, kw_only=True):
    """The first rows of an import as they would be stored with its present settings."""

    file: FileFacts
    columns: list[ColumnRead]
    mapping_source: Source
    default_country: str
    rows_total: int
    rows: list[PreviewRow]
    problems: int
    """How many of these rows would not go in."""


def file_facts(found: FileRead) -> FileFacts:
    """Say how a file is written."""
    form = found.form
    return FileFacts(
        kind="xlsx" if form.workbook else "csv",
        encoding=None if form.workbook else form.iana,
        delimiter=None if form.workbook else form.delimiter,
        sheet=form.sheet or None,
        sheets=form.sheets,
        header=found.map.header,
        header_line=found.header_line,
    )


def columns_of(found: FileRead) -> list[ColumnRead]:
    """Say what each column is taken for."""
    return [ColumnRead(column.header, column.field) for column in found.map.columns]
