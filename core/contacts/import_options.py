"""What the sender of a file chooses, what was found out about the file, and what the API shows of an import."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from core.contacts.filters import Id, LabelIds
from core.contacts.mapping import FileMap
from core.contacts.reader import FileForm


class ImportOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the sender of a file chooses."""

    public_id: Id | None = None
    """An audience to put every contact of the file into."""
    public_name: Annotated[str, msgspec.Meta(min_length=1, max_length=120)] | None = None
    """The name of an audience to make for them instead."""
    labels: LabelIds = []
    """Labels to put on every contact of the file."""
    default_country: Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")] | None = None
    """Whose numbers those without a country code are; absent, as the account says."""
    mapping: Annotated[dict[str, str], msgspec.Meta(max_length=200)] = {}
    """Headers to ``number``, ``name``, ``labels``, ``ignore`` or ``variables.<name>``."""
    duplicates: Literal["fill", "skip"] = "fill"
    """What happens to contacts that exist: their empty fields are filled, or they stay as they are."""
    start: bool = False


class FileRead(msgspec.Struct, frozen=True):
    """What was found out about a file."""

    form: FileForm
    map: FileMap


class ColumnRead(msgspec.Struct, frozen=True):
    """What a column is taken for."""

    header: str
    field: str


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
    default_country: str
    duplicates: str
    labels: list[int]
    columns: list[ColumnRead]
    rows_total: int
    rows_created: int
    rows_updated: int
    rows_skipped: int
    rows_failed: int
    progress: int
    """Percent of the rows that are dealt with."""
    error: str
    """Why the job stopped; empty when it did not."""
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
