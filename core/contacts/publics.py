"""Audiences of a tenant, and which contacts are put into them."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from core import database
from core.audit import services as audit
from core.contacts.audience import load_audiences, made_of_itself
from core.contacts.counting import count_public
from core.contacts.filters import ContactFilter
from core.contacts.labels import ensure_labels
from core.contacts.queries import selected_contacts
from core.contacts.schemas import PublicCreate, PublicRead, PublicUpdate, Selection
from core.contacts.tables import PublicType
from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.pagination import PageQuery
from core.texts import text

_COLUMNS = "id, name, description, type, filters, counted, counted_at, created_at, updated_at"
_SORTS = {"name": "lower(name)", "type": "type", "created_at": "id", "updated_at": "updated_at"}


async def list_publics(user_id: int, query: PageQuery, kind: int | None) -> tuple[Sequence[PublicRead], int]:
    """Return one page of the tenant's audiences and how many there are."""
    where = (
        "user_id = $1 AND deleted_at IS NULL AND ($2::text IS NULL OR strpos(lower(name), lower($2)) > 0)"
        " AND ($3::int IS NULL OR type = $3)"
    )
    rows = await database.fetch(
        f"SELECT {_COLUMNS} FROM publics WHERE {where}"
        f" ORDER BY {query.order_by(_SORTS, '-created_at')} LIMIT $4 OFFSET $5",
        user_id,
        query.search,
        kind,
        query.limit,
        query.offset,
    )
    total = await database.fetch_value(f"SELECT count(*) FROM publics WHERE {where}", user_id, query.search, kind)
    return await _read(user_id, rows), total if isinstance(total, int) else 0


async def get_public(user_id: int, public_id: int) -> PublicRead:
    """Return an audience of this tenant, or raise ``NotFoundError``."""
    rows = await database.fetch(
        f"SELECT {_COLUMNS} FROM publics WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL", public_id, user_id
    )
    if not rows:
        raise NotFoundError("audience", public_id)
    return (await _read(user_id, rows))[0]


async def create_public(user_id: int, new: PublicCreate) -> PublicRead:
    """Make an audience; ``InvalidInputError`` when its filters do not fit its type or name unknown labels."""
    dynamic = PublicType(new.type) is PublicType.DYNAMIC
    if dynamic and new.filters is None:
        raise InvalidInputError({"filters": [text("required")]})
    if not dynamic and new.filters is not None:
        raise InvalidInputError({"filters": [text("filters_type")]})
    async with database.unit_of_work():
        await _ensure_filters(user_id, new.filters)
        public_id = await database.fetch_value(
            "INSERT INTO publics (user_id, name, description, type, filters, created_at, updated_at)"
            " VALUES ($1, $2, $3, $4, $5, now(), now()) RETURNING id",
            user_id,
            _name(new.name),
            new.description,
            new.type,
            database.encode_json(new.filters or {}),
        )
        if not isinstance(public_id, int):
            raise TypeError("INSERT gave no id")
        public = await get_public(user_id, public_id)
        await audit.record("public.created", user_id=user_id, entity_id=public_id, facts={"name": public.name})
        return public


async def update_public(user_id: int, public_id: int, changes: PublicUpdate) -> PublicRead:
    """Change an audience; raises as ``create_public`` does."""
    async with database.unit_of_work():
        present = await get_public(user_id, public_id)
        filters = present.filters
        if changes.filters is not UNSET:
            if present.type != PublicType.DYNAMIC:
                raise InvalidInputError({"filters": [text("filters_type")]})
            filters = changes.filters
            await _ensure_filters(user_id, filters, public_id)
        await database.execute(
            "UPDATE publics SET name = $3, description = $4, filters = $5, updated_at = now(),"
            " counted_at = CASE WHEN filters = $5::jsonb THEN counted_at END WHERE id = $1 AND user_id = $2",
            public_id,
            user_id,
            present.name if changes.name is UNSET else _name(changes.name),
            present.description if changes.description is UNSET else changes.description,
            database.encode_json(filters or {}),
        )
        changed = await get_public(user_id, public_id)
        fields = audit.differences(present, changed, "name", "description", "filters")
        await audit.record("public.updated", user_id=user_id, entity_id=public_id, changes=fields)
        return changed


async def delete_public(user_id: int, public_id: int) -> None:
    """Delete an audience; its contacts stay.

    Raises:
        ConflictError: A dynamic audience is made of it: without it that would silently mean other contacts.
    """
    async with database.unit_of_work():
        # The lock waits for those who make an audience of it.
        row = await database.fetch_row(
            "SELECT name FROM publics WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL FOR UPDATE",
            public_id,
            user_id,
        )
        if row is None:
            raise NotFoundError("audience", public_id)
        user = await database.fetch_row(
            "SELECT id, name FROM publics WHERE user_id = $1 AND deleted_at IS NULL AND type = 2 AND jsonb_path_exists("
            "filters, '$.audiences.*[*] ? (@ == $public)', jsonb_build_object('public', $2::bigint))"
            " ORDER BY id LIMIT 1",
            user_id,
            public_id,
        )
        if user is not None:
            raise ConflictError(
                f"The audience {user['name']} ({user['id']}) is made of this one: change it first.",
                code="audience_in_use",
                name=user["name"],
                id=user["id"],
            )
        await database.execute("UPDATE publics SET deleted_at = now(), updated_at = now() WHERE id = $1", public_id)
        await audit.record("public.deleted", user_id=user_id, entity_id=public_id)


async def add_contacts(user_id: int, public_id: int, selection: Selection) -> int:
    """Put the selected contacts into an audience and return how many were not in it yet.

    Raises:
        ConflictError: The audience is dynamic: its filters alone say who belongs to it.
    """
    async with database.unit_of_work():
        await ensure_open(user_id, public_id)
        where, args = await selected_contacts(user_id, selection, 2)
        count = await database.execute(
            "INSERT INTO public_by_contacts (public_id, contact_id, created_at, updated_at)"
            f" SELECT $1, c.id, now(), now() FROM contacts c WHERE {where}"
            " ON CONFLICT (public_id, contact_id) DO NOTHING",
            public_id,
            *args,
        )
        await _record_contacts("public.contacts_added", user_id, public_id, count)
        return count


async def remove_contacts(user_id: int, public_id: int, selection: Selection) -> int:
    """Take the selected contacts out of an audience and return how many were in it; raises as ``add_contacts``."""
    async with database.unit_of_work():
        await ensure_open(user_id, public_id)
        where, args = await selected_contacts(user_id, selection, 2)
        count = await database.execute(
            "DELETE FROM public_by_contacts WHERE public_id = $1"
            f" AND contact_id IN (SELECT c.id FROM contacts c WHERE {where})",
            public_id,
            *args,
        )
        await _record_contacts("public.contacts_removed", user_id, public_id, count)
        return count


async def ensure_open(user_id: int, public_id: int) -> None:
    """Refuse an audience that contacts cannot be put into; it stays until the unit of work ends."""
    kind = await database.fetch_value(
        "SELECT type FROM publics WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL FOR SHARE", public_id, user_id
    )
    if kind is None:
        raise NotFoundError("audience", public_id)
    if kind == PublicType.DYNAMIC:
        raise ConflictError(
            f"Audience {public_id} is dynamic: change its filters instead.", code="audience_dynamic", id=public_id
        )


async def _record_contacts(action: str, user_id: int, public_id: int, count: int) -> None:
    if count:
        await audit.record(action, user_id=user_id, entity_id=public_id, facts={"count": count})


async def _ensure_filters(user_id: int, filters: ContactFilter | None, public_id: int | None = None) -> None:
    """Refuse filters that name what there is not, or the audience that they are for; what they name stays."""
    if filters is None:
        return
    for name in ("any", "all", "none"):
        await ensure_labels(user_id, getattr(filters.labels, name), f"filters.labels.{name}")
    if not filters.audiences.ids:
        return
    # Two changes at once could each be in order, and make a circle together.
    await database.execute("SELECT FROM users WHERE id = $1 FOR UPDATE", user_id)
    try:
        audiences = await load_audiences(user_id, filters.audiences.ids, hold=True)
    except NotFoundError as error:
        raise InvalidInputError(
            {"filters.audiences": [text("no_such_audience", id=error.params["identifier"])]}
        ) from None
    except ConflictError as error:
        raise InvalidInputError({"filters.audiences": [error.args[0]]}) from None
    if public_id is not None and public_id in audiences:
        raise InvalidInputError({"filters.audiences": [made_of_itself(public_id).args[0]]})


def _name(written: str) -> str:
    name = " ".join(written.split())
    if not name:
        raise InvalidInputError({"name": [text("required")]})
    return name


async def _read(user_id: int, rows: Sequence[Mapping[str, Any]]) -> list[PublicRead]:
    return [
        msgspec.convert(
            {
                **row,
                **msgspec.structs.asdict(await count_public(user_id, row)),
                "filters": msgspec.json.decode(row["filters"]) if row["type"] == PublicType.DYNAMIC else None,
            },
            PublicRead,
        )
        for row in rows
    ]
