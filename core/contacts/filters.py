"""Which contacts are meant: filters as the API takes them, and as conditions of SQL on ``contacts c``.

Every condition is true or false of every contact, never null: ``NOT`` turns it round.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from core import database
from core.contacts.addresses import CURRENT

MAXIMUM_LABELS = 50
MAXIMUM_AUDIENCES = 20
MAXIMUM_CONDITIONS = 10

Id = Annotated[int, msgspec.Meta(ge=1)]
LabelIds = Annotated[list[Id], msgspec.Meta(max_length=MAXIMUM_LABELS)]
AudienceIds = Annotated[list[Id], msgspec.Meta(max_length=MAXIMUM_AUDIENCES)]
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
CONTACTED = "(SELECT a.last_at FROM contact_activity a WHERE a.contact_id = c.id)"
"""When a campaign last wrote to a contact."""
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


class AudienceFilter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Audiences a contact must be in (one of ``any``, every one of ``all``) and must not be in (``none``)."""

    any: AudienceIds = []
    all: AudienceIds = []
    none: AudienceIds = []

    @property
    def ids(self) -> set[int]:
        """Every audience that is named."""
        return {*self.any, *self.all, *self.none}


class VariableCondition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a variable must be: exactly ``value``, something else, a text with ``value`` in it, or there at all."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=60, examples=["cidade"])]
    op: Literal["is", "is_not", "contains", "filled", "empty"] = "is"
    value: Annotated[str, msgspec.Meta(max_length=1000, examples=["Campinas"])] = ""


class ContactFilter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Conditions that all must hold; without any, every contact is meant."""

    search: (
        Annotated[
            str, msgspec.Meta(max_length=200, description="Part of the number or the name, accents do not matter.")
        ]
        | None
    ) = None
    labels: LabelFilter = msgspec.field(default_factory=LabelFilter)
    audiences: AudienceFilter = msgspec.field(default_factory=AudienceFilter)
    variables: Annotated[list[VariableCondition], msgspec.Meta(max_length=MAXIMUM_CONDITIONS)] = []
    status: Literal[1, 2] | None = None
    type: Literal[1, 2] | None = None
    blocked: bool | None = None
    source: Annotated[
        Literal["manual", "api", "import", "sync"] | None, msgspec.Meta(description="Where the contact came from.")
    ] = None
    created_from: Moment | None = None
    created_to: Annotated[Moment, msgspec.Meta(description="Created before this moment.")] | None = None
    replied: Annotated[bool, msgspec.Meta(description="Ever wrote to one of the numbers, or never.")] | None = None
    replied_from: Annotated[Moment, msgspec.Meta(description="Last wrote then or later.")] | None = None
    replied_to: Annotated[Moment, msgspec.Meta(description="Last wrote before, or never.")] | None = None
    contacted: Annotated[bool, msgspec.Meta(description="Ever got a message, or never.")] | None = None
    contacted_from: Annotated[Moment, msgspec.Meta(description="Last got a message then or later.")] | None = None
    contacted_to: Annotated[Moment, msgspec.Meta(description="Last got a message before, or never.")] | None = None


class Audience(msgspec.Struct, frozen=True, kw_only=True):
    """An audience as a condition needs it: dynamic ones have filters."""

    id: int
    filters: ContactFilter | None


Audiences = Mapping[int, Audience]


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


def contact_conditions(
    wanted: ContactFilter, user_id: int, parameters: Parameters, audiences: Audiences | None = None
) -> str:
    """Return the condition on ``contacts c`` for the tenant's live contacts that ``wanted`` describes.

    ``audiences`` are those it names, and those that these name.
    """
    user = parameters.bind(user_id)
    found = [LIVE.format(user=user), *label_conditions(wanted.labels, parameters)]
    found += _audience_conditions(wanted.audiences, user_id, parameters, audiences or {})
    if wanted.search and wanted.search.strip():
        found.append(_search_condition(wanted.search, user, parameters))
    found += [_variable_condition(condition, parameters) for condition in wanted.variables]
    if wanted.status is not None:
        found.append(f"c.status = {parameters.bind(wanted.status)}")
    if wanted.type is not None:
        found.append(f"c.type = {parameters.bind(wanted.type)}")
    if wanted.source is not None:
        found.append(f"c.source = {parameters.bind(wanted.source)}")
    if wanted.blocked is not None:
        found.append(BLOCKED if wanted.blocked else f"NOT {BLOCKED}")
    found += _moment_conditions(wanted, parameters)
    return " AND ".join(found)


def audience_condition(
    audience: Audience, user_id: int, parameters: Parameters, audiences: Audiences, after: str = ""
) -> str:
    """Return the condition on ``contacts c`` for the live contacts of an audience.

    ``audiences`` are those its filters name, and those that these name; ``after`` is as of ``audience_conditions``.
    """
    if audience.filters is not None:
        return contact_conditions(audience.filters, user_id, parameters, audiences)
    live = LIVE.format(user=parameters.bind(user_id))
    members = f"SELECT m.contact_id FROM public_by_contacts m WHERE m.public_id = {parameters.bind(audience.id)}"
    # PostgreSQL does not carry an inequality over to the other side of a join.
    return f"{live} AND c.id IN ({members}{f' AND m.contact_id > {after}' if after else ''})"


def _audience_conditions(
    wanted: AudienceFilter, user_id: int, parameters: Parameters, audiences: Audiences
) -> list[str]:
    def each(ids: list[int]) -> list[str]:
        return [f"({audience_condition(audiences[one], user_id, parameters, audiences)})" for one in ids]

    found = each(wanted.all)
    if wanted.any:
        found.append(f"({' OR '.join(each(wanted.any))})")
    return [*found, *(f"NOT {condition}" for condition in each(wanted.none))]


def _variable_condition(condition: VariableCondition, parameters: Parameters) -> str:
    if condition.op in {"is", "is_not"} and condition.value:
        exact = f"c.variables @> {parameters.bind(database.encode_json({condition.name: condition.value}))}::jsonb"
        return exact if condition.op == "is" else f"NOT {exact}"
    value = f"coalesce(c.variables ->> {parameters.bind(condition.name)}, '')"
    if condition.op == "contains":
        return f"{value} ILIKE {parameters.bind(_contains(condition.value))}"
    return f"{value} {'=' if condition.op in {'is', 'empty'} else '<>'} ''"


def _moment_conditions(wanted: ContactFilter, parameters: Parameters) -> list[str]:
    created = _between("c.created_at", wanted.created_from, wanted.created_to, parameters)
    replied = _between("c.last_inbound_at", wanted.replied_from, wanted.replied_to, parameters)
    contacted = _between(CONTACTED, wanted.contacted_from, wanted.contacted_to, parameters)
    if wanted.replied is not None:
        replied.append(f"c.last_inbound_at IS {'NOT ' if wanted.replied else ''}NULL")
    if wanted.contacted is not None:
        contacted.append(f"{CONTACTED} IS {'NOT ' if wanted.contacted else ''}NULL")
    return [*created, *replied, *contacted]


def _between(moment: str, first: datetime | None, end: datetime | None, parameters: Parameters) -> list[str]:
    """Return the conditions that a moment, which may be null, is not before ``first``, and before ``end`` or null."""
    found = []
    if first is not None:
        found.append(f"({moment} IS NOT NULL AND {moment} >= {parameters.bind(first)})")
    if end is not None:
        found.append(f"({moment} IS NULL OR {moment} < {parameters.bind(end)})")
    return found


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
    return _contains(_searched(search))


def _contains(text: str) -> str:
    escaped = re.sub(r"([\\%_])", r"\\\1", text)
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
