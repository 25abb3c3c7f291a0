"""An audience as a condition: the contacts that belong to it at this moment."""

from collections.abc import Mapping
from typing import Any

import msgspec

from core import database
from core.contacts.filters import LIVE, ContactFilter, LabelFilter, Parameters, contact_conditions, label_conditions
from core.contacts.labels import ensure_labels
from core.contacts.tables import PublicType
from core.errors import InvalidInputError, NotFoundError
from core.texts import text


async def audience_conditions(
    *,
    user_id: int,
    public_id: int | None = None,
    labels: LabelFilter | Mapping[str, Any] | None = None,
    first_parameter: int = 1,
    after: str = "",
) -> tuple[str, list[object]]:
    """Return the condition on ``contacts c`` for an audience and its arguments, numbered from ``first_parameter``.

    It holds for the tenant's contacts that are not deleted: those of the audience, those the labels describe, or with
    both those that are in both. Blocked and inactive ones are among them. ``after`` is a parameter such as ``$3``: only
    contacts with a greater id then, found without a look at those before.

    Raises:
        NotFoundError: The tenant has no such audience.
        InvalidInputError: The labels name nothing, or one that does not exist; or neither of the two is given.
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
    if public_id is None and labels is None:
        raise InvalidInputError({"public_id": [text("audience_or_labels")]})
    return " AND ".join(conditions), parameters.values


async def public_conditions(user_id: int, public_id: int, parameters: Parameters, *, after: str = "") -> str:
    """Return the condition on ``contacts c`` for the live contacts of an audience; ``NotFoundError`` without it."""
    row = await database.fetch_row(
        "SELECT type, filters FROM publics WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL", public_id, user_id
    )
    if row is None:
        raise NotFoundError("audience", public_id)
    if row["type"] == PublicType.DYNAMIC:
        return membership_conditions(user_id, public_id, row["type"], row["filters"], parameters)
    return _members(user_id, public_id, parameters, after)


def membership_conditions(user_id: int, public_id: int, kind: int, filters: str, parameters: Parameters) -> str:
    """Return the condition on ``contacts c`` for an audience whose row is known already."""
    if kind == PublicType.DYNAMIC:
        return contact_conditions(msgspec.json.decode(filters, type=ContactFilter), user_id, parameters)
    return _members(user_id, public_id, parameters)


def _members(user_id: int, public_id: int, parameters: Parameters, after: str = "") -> str:
    live = LIVE.format(user=parameters.bind(user_id))
    members = f"SELECT m.contact_id FROM public_by_contacts m WHERE m.public_id = {parameters.bind(public_id)}"
    # PostgreSQL does not carry an inequality over to the other side of a join.
    return f"{live} AND c.id IN ({members}{f' AND m.contact_id > {after}' if after else ''})"


def _labels(written: Mapping[str, Any]) -> LabelFilter:
    try:
        return msgspec.convert(written, LabelFilter)
    except msgspec.ValidationError:
        raise InvalidInputError({"labels": [text("label_lists")]}) from None
