"""An audience as a query: the ids of the contacts that belong to it at this moment."""

from collections.abc import Mapping
from typing import Any

import msgspec

from core import database
from core.contacts.filters import LIVE, ContactFilter, LabelFilter, Parameters, contact_conditions, label_conditions
from core.contacts.labels import ensure_labels
from core.contacts.tables import PublicType
from core.errors import InvalidInputError, NotFoundError
from core.texts import text


async def audience_query(
    *,
    user_id: int,
    public_id: int | None = None,
    labels: LabelFilter | Mapping[str, Any] | None = None,
    first_parameter: int = 1,
) -> tuple[str, list[object]]:
    """Return a ``SELECT`` of contact ids and its arguments, numbered from ``first_parameter``.

    It gives the tenant's contacts that are not deleted, each once and in no order: those of the audience, those the
    labels describe, or with both those that are in both. Blocked and inactive ones are among them.

    Raises:
        NotFoundError: The tenant has no such audience.
        InvalidInputError: The labels name nothing, or one that does not exist; or neither of the two is given.
    """
    parameters = Parameters(first_parameter)
    conditions: list[str] = []
    if public_id is not None:
        conditions.append(await public_conditions(user_id, public_id, parameters))
    if labels is not None:
        wanted = labels if isinstance(labels, LabelFilter) else _labels(labels)
        if not wanted.ids:
            raise InvalidInputError({"labels": [text("one_label")]})
        await ensure_labels(user_id, wanted.ids, "labels")
        conditions += [LIVE.format(user=parameters.bind(user_id)), *label_conditions(wanted, parameters)]
    if not conditions:
        raise InvalidInputError({"public_id": [text("audience_or_labels")]})
    return f"SELECT c.id FROM contacts c WHERE {' AND '.join(conditions)}", parameters.values


async def public_conditions(user_id: int, public_id: int, parameters: Parameters) -> str:
    """Return the condition on ``contacts c`` for the live contacts of an audience; ``NotFoundError`` without it."""
    row = await database.fetch_row(
        "SELECT type, filters FROM publics WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL", public_id, user_id
    )
    if row is None:
        raise NotFoundError("audience", public_id)
    return membership_conditions(user_id, public_id, row["type"], row["filters"], parameters)


def membership_conditions(user_id: int, public_id: int, kind: int, filters: str, parameters: Parameters) -> str:
    """Return the condition on ``contacts c`` for an audience whose row is known already."""
    if kind == PublicType.DYNAMIC:
        return contact_conditions(msgspec.json.decode(filters, type=ContactFilter), user_id, parameters)
    live = LIVE.format(user=parameters.bind(user_id))
    members = f"SELECT m.contact_id FROM public_by_contacts m WHERE m.public_id = {parameters.bind(public_id)}"
    return f"{live} AND c.id IN ({members})"


def _labels(written: Mapping[str, Any]) -> LabelFilter:
    try:
        return msgspec.convert(written, LabelFilter)
    except msgspec.ValidationError:
        raise InvalidInputError({"labels": [text("label_lists")]}) from None
