"""Which contacts are meant: filters as the API takes them, and as conditions of SQL on ``contacts c``."""

import re
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from core import database
from core.contacts.addresses import CURRENT

MAXIMUM_LABELS = 50

Id = Annotated[int, msgspec.Meta(ge=1)]
LabelIds = Annotated[list[Id], msgspec.Meta(max_length=MAXIMUM_LABELS)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]

LIVE = "c.user_id = {user} AND c.deleted_at IS NULL"
BLOCKED = (
    "(c.blocked_at IS NOT NULL OR EXISTS"
    " (SELECT FROM block_contacts b WHERE b.user_id = c.user_id AND b.number = c.number))"
)
ALL_BLOCKED = (
    "c.id IN (SELECT k.id FROM contacts k"
    " WHERE k.user_id = {user} AND k.deleted_at IS NULL AND k.blocked_at IS NOT NULL"
    " UNION ALL SELECT k.id FROM block_contacts b JOIN contacts k ON k.user_id = b.user_id AND k.number = b.number"
    " WHERE b.user_id = {user} AND k.deleted_at IS NULL)"
)
"""The same where few are blocked: it begins with those, by their indexes."""
SEARCHED = "(coalesce(c.number, '') || ' ' || c.name_folded)"
"""The expression of the index ``contacts_search``; ``name_folded`` is the name in small letters without accents."""


class LabelFilter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Labels a contact must have (one of ``any``, every one of ``all``) and must not have (``none``)."""

    any: LabelIds = []
    all: LabelIds = []
    none: LabelIds = []

    @property
    def ids(self) -> set[int]:
        """Every label that is named."""
        return {*self.any, *self.all, *self.none}


class ContactFilter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Conditions that all must hold; without any, every contact is meant."""

    search: Annotated[str, msgspec.Meta(max_length=200, description="Part of the number or the name.")] | None = None
    labels: LabelFilter = msgspec.field(default_factory=LabelFilter)
    status: Literal[1, 2] | None = None
    type: Literal[1, 2] | None = None
    blocked: bool | None = None
    created_from: Moment | None = None
    created_to: Annotated[Moment, msgspec.Meta(description="Created before this moment.")] | None = None


def read_moment(written: str) -> datetime | None:
    """Return the moment that an address names in RFC 3339, or ``None``: a number of seconds is none, nor is a date."""
    try:
        return msgspec.convert(written, Moment)
    except msgspec.ValidationError:
        return None


class Parameters:
    """Values of a statement and their places; ``first`` is the number of the first."""

    def __init__(self, first: int = 1) -> None:
        self._first = first
        self.values: list[object] = []

    def bind(self, value: object) -> str:
        """Add a value and return its placeholder."""
        self.values.append(value)
        return f"${self._first + len(self.values) - 1}"

    def copy(self) -> "Parameters":
        """Return these parameters for a statement that needs more of its own."""
        copied = Parameters(self._first)
        copied.values = [*self.values]
        return copied

    @property
    def next(self) -> int:
        """The number that the next placeholder will have."""
        return self._first + len(self.values)


def contact_conditions(wanted: ContactFilter, user_id: int, parameters: Parameters) -> str:
    """Return the condition on ``contacts c`` for the tenant's live contacts that ``wanted`` describes."""
    user = parameters.bind(user_id)
    found = [LIVE.format(user=user), *label_conditions(wanted.labels, parameters)]
    if wanted.search and wanted.search.strip():
        found.append(_search_condition(wanted.search, user, parameters))
    if wanted.status is not None:
        found.append(f"c.status = {parameters.bind(wanted.status)}")
    if wanted.type is not None:
        found.append(f"c.type = {parameters.bind(wanted.type)}")
    if wanted.blocked is not None:
        found.append(BLOCKED if wanted.blocked else f"NOT {BLOCKED}")
    if wanted.created_from is not None:
        found.append(f"c.created_at >= {parameters.bind(wanted.created_from)}")
    if wanted.created_to is not None:
        found.append(f"c.created_at < {parameters.bind(wanted.created_to)}")
    return " AND ".join(found)


def label_conditions(labels: LabelFilter, parameters: Parameters) -> list[str]:
    """Return the conditions on ``contacts c`` that ``labels`` sets."""
    found = []
    if labels.any:
        found.append(f"c.labels @> ANY({parameters.bind(_each(labels.any))}::jsonb[])")
    if labels.all:
        found.append(f"c.labels @> {parameters.bind(database.encode_json(labels.all))}::jsonb")
    if labels.none:
        found.append(f"NOT c.labels @> ANY({parameters.bind(_each(labels.none))}::jsonb[])")
    return found


def search_pattern(search: str) -> str:
    """Return the ``LIKE`` pattern for a search; a number is found however it is written."""
    escaped = re.sub(r"([\\%_])", r"\\\1", _searched(search))
    return f"%{escaped}%"


def _searched(search: str) -> str:
    text = search.strip()
    return re.sub(r"\D", "", text) if re.fullmatch(r"\+?[\d\s().\-/]*\d[\d\s().\-/]*", text) else text


def _search_condition(search: str, user: str, parameters: Parameters) -> str:
    """Return the condition for a text in number, name or address; addresses have no parts of less than three."""
    written = parameters.bind(_searched(search))
    # Escaped after it is folded: letters such as the wide percent become signs of a pattern.
    own = f"{SEARCHED} LIKE '%' || regexp_replace(recado_fold({written}), '([\\\\%_])', '\\\\\\1', 'g') || '%'"
    if len(_searched(search)) < len("abc"):
        return own
    pattern = parameters.bind(search_pattern(search))
    # An array of ids is looked up by the key, which goes together with the index on number and name.
    return (
        f"({own} OR c.id = ANY(ARRAY(SELECT c.id FROM contact_addresses a JOIN contacts c ON c.id = a.contact_id"
        f" WHERE a.address ILIKE {pattern} AND {CURRENT} AND c.user_id = {user})))"
    )


def _each(labels: list[int]) -> list[str]:
    return [f"[{label}]" for label in labels]
