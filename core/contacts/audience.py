"""An audience as a condition: the contacts that belong to it at this moment."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

from core import database
from core.contacts.filters import (
    LIVE,
    Audience,
    AudienceFilter,
    Audiences,
    ContactFilter,
    LabelFilter,
    Parameters,
    audience_condition,
    contact_conditions,
    label_conditions,
)
from core.contacts.labels import ensure_labels
from core.contacts.tables import PublicType
from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.texts import text

MAXIMUM_PARTS = 100
"""Audiences that one may be made of, counted as often as they are named."""


async def audience_conditions(
    *,
    user_id: int,
    public_id: int | None = None,
    labels: LabelFilter | Mapping[str, Any] | None = None,
    audiences: AudienceFilter | None = None,
    first_parameter: int = 1,
    after: str = "",
) -> tuple[str, list[object]]:
    """Return the condition on ``contacts c`` for an audience and its arguments, numbered from ``first_parameter``.

    It holds for the tenant's contacts that are not deleted: those of the audience, those the labels describe, those
    the audiences describe, or with several of the three those that are in all. Each is meant once, however many
    audiences have it; blocked and inactive ones are among them. ``after`` is a parameter such as ``$3``: only contacts
    with a greater id then, found without a look at those before.

    Raises:
        NotFoundError: The tenant has no such audience.
        InvalidInputError: The labels name nothing, or one that does not exist; or nothing at all is given.
    """
    parameters = Parameters(first_parameter)
    conditions: list[str] = [f"c.id > {after}"] if after else []
    if public_id is not None:
        conditions.append(await public_conditions(user_id, public_id, parameters, after=after))
    if labels is not None:
        wanted = labels if isinstance(labels, LabelFilter) else _labels(labels)
        if not wanted.ids:
            raise InvalidInputError({"labels": [text("one_label")]})
        await ensure_labels(user_id, wanted.ids, "labels")
        conditions += [LIVE.format(user=parameters.bind(user_id)), *label_conditions(wanted, parameters)]
    if audiences is not None:
        conditions.append(await filter_conditions(user_id, ContactFilter(audiences=audiences), parameters))
    if public_id is None and labels is None and audiences is None:
        raise InvalidInputError({"public_id": [text("audience_or_labels")]})
    return " AND ".join(conditions), parameters.values


async def public_conditions(user_id: int, public_id: int, parameters: Parameters, *, after: str = "") -> str:
    """Return the condition on ``contacts c`` for the live contacts of an audience; ``NotFoundError`` without it."""
    audiences = await load_audiences(user_id, [public_id])
    return audience_condition(audiences[public_id], user_id, parameters, audiences, after)


async def filter_conditions(user_id: int, wanted: ContactFilter, parameters: Parameters) -> str:
    """Return the condition on ``contacts c`` for the tenant's live contacts that ``wanted`` describes.

    Raises:
        NotFoundError: It names an audience that the tenant does not have.
    """
    audiences = await load_audiences(user_id, wanted.audiences.ids) if wanted.audiences.ids else {}
    return contact_conditions(wanted, user_id, parameters, audiences)


async def load_audiences(user_id: int, ids: Collection[int], *, hold: bool = False) -> dict[int, Audience]:
    """Return audiences of this tenant by id, with all that they are made of.

    With ``hold`` they cannot change or go away before the unit of work ends.

    Raises:
        NotFoundError: One of them is missing.
        ConflictError: They are made of too many, or one of itself, which ``publics`` lets nobody make.
    """
    found: dict[int, Audience] = {}
    asked = set(ids)
    while missing := sorted(asked - found.keys()):
        rows = await database.fetch(
            "SELECT id, type, filters FROM publics WHERE id = ANY($1) AND user_id = $2 AND deleted_at IS NULL"
            + (" FOR SHARE" if hold else ""),
            missing,
            user_id,
        )
        found |= {row["id"]: read_audience(row) for row in rows}
        gone = [one for one in missing if one not in found]
        if gone:
            raise NotFoundError("audience", gone[0])
        asked |= {one for row in rows for one in named_by(found[row["id"]])}
    _parts(found, ids)
    return found


def read_audience(row: Mapping[str, Any]) -> Audience:
    """Return the audience of a row of ``publics``."""
    dynamic = row["type"] == PublicType.DYNAMIC
    return Audience(id=row["id"], filters=msgspec.json.decode(row["filters"], type=ContactFilter) if dynamic else None)


def named_by(audience: Audience) -> set[int]:
    """Return the audiences that an audience is made of."""
    return audience.filters.audiences.ids if audience.filters is not None else set()


def made_of_itself(public_id: int) -> ConflictError:
    """Return the error of an audience that names itself, be it through others."""
    return ConflictError(f"Audience {public_id} would be made of itself.", code="audience_of_itself", id=public_id)


def _parts(audiences: Audiences, ids: Iterable[int], path: tuple[int, ...] = ()) -> int:
    """Count the audiences that a condition on ``ids`` is written with; refuse too many, and circles."""
    count = 0
    for one in ids:
        if one in path:
            raise made_of_itself(one)
        count += 1 + _parts(audiences, named_by(audiences[one]), (*path, one))
        if count > MAXIMUM_PARTS:
            raise ConflictError(
                f"An audience can be made of {MAXIMUM_PARTS} others at most.",
                code="audience_of_many",
                value=MAXIMUM_PARTS,
            )
    return count


def _labels(written: Mapping[str, Any]) -> LabelFilter:
    try:
        return msgspec.convert(written, LabelFilter)
    except msgspec.ValidationError:
        raise InvalidInputError({"labels": [text("label_lists")]}) from None
