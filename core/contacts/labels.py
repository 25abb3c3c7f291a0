"""Labels of a tenant."""

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import UNSET

from core import database
from core.audit import services as audit
from core.contacts.schemas import LabelCreate, LabelRead, LabelUpdate
from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.pagination import PageQuery
from core.texts import text

MAXIMUM_OF_TENANT = 1000

_COLUMNS = "id, name, color, created_at, updated_at"
_SORTS = {"name": "lower(name)", "created_at": "id", "updated_at": "updated_at"}


async def list_labels(user_id: int, query: PageQuery) -> tuple[Sequence[LabelRead], int]:
    """Return one page of the tenant's labels and how many there are."""
    where = "user_id = $1 AND deleted_at IS NULL AND ($2::text IS NULL OR strpos(lower(name), lower($2)) > 0)"
    rows = await database.fetch(
        f"SELECT {_COLUMNS} FROM labels WHERE {where} ORDER BY {query.order_by(_SORTS, 'name')} LIMIT $3 OFFSET $4",
        user_id,
        query.search,
        query.limit,
        query.offset,
    )
    total = await database.fetch_value(f"SELECT count(*) FROM labels WHERE {where}", user_id, query.search)
    return [_read(row) for row in rows], total if isinstance(total, int) else 0


async def get_label(user_id: int, label_id: int) -> LabelRead:
    """Return a label of this tenant, or raise ``NotFoundError``."""
    row = await database.fetch_row(
        f"SELECT {_COLUMNS} FROM labels WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL", label_id, user_id
    )
    if row is None:
        raise NotFoundError("label", label_id)
    return _read(row)


async def create_label(user_id: int, new: LabelCreate) -> LabelRead:
    """Make a label.

    Raises:
        ConflictError: One of this name exists, whatever its case, or there are too many.
    """
    name = _name(new.name)
    async with database.unit_of_work():
        present = await database.fetch_value(
            "SELECT count(*) FROM labels WHERE user_id = $1 AND deleted_at IS NULL", user_id
        )
        if isinstance(present, int) and present >= MAXIMUM_OF_TENANT:
            raise ConflictError(
                f"There are {present} labels already, and no more can be kept.", code="too_many_labels", allowed=present
            )
        row = await database.fetch_row(
            "INSERT INTO labels (user_id, name, color, created_at, updated_at) VALUES ($1, $2, $3, now(), now())"
            f" ON CONFLICT (user_id, lower(name)) WHERE deleted_at IS NULL DO NOTHING RETURNING {_COLUMNS}",
            user_id,
            name,
            new.color,
        )
        if row is None:
            raise await _taken(user_id, name)
        await audit.record("label.created", user_id=user_id, entity_id=row["id"], facts={"name": name})
    return _read(row)


async def update_label(user_id: int, label_id: int, changes: LabelUpdate) -> LabelRead:
    """Change a label; raises as ``create_label`` does."""
    name = None if changes.name is UNSET else _name(changes.name)
    async with database.unit_of_work():
        present = await get_label(user_id, label_id)
        if name is not None and await _find(user_id, name) not in {None, label_id}:
            raise await _taken(user_id, name)
        row = await database.fetch_row(
            "UPDATE labels SET name = coalesce($3, name), color = coalesce($4, color), updated_at = now()"
            f" WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL RETURNING {_COLUMNS}",
            label_id,
            user_id,
            name,
            None if changes.color is UNSET else changes.color,
        )
        if row is None:
            raise NotFoundError("label", label_id)
        label = _read(row)
        await audit.record(
            "label.updated", user_id=user_id, entity_id=label_id, changes=audit.differences(present, label)
        )
    return label


async def delete_label(user_id: int, label_id: int) -> None:
    """Delete a label and take it off every contact.

    Raises:
        ConflictError: A dynamic audience asks for it: without the label it would silently mean other contacts.
    """
    async with database.unit_of_work():
        # The lock waits for those who are putting the label on a contact, see ensure_labels.
        row = await database.fetch_row(
            "SELECT name FROM labels WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL FOR UPDATE",
            label_id,
            user_id,
        )
        if row is None:
            raise NotFoundError("label", label_id)
        public = await database.fetch_row(
            "SELECT id, name FROM publics WHERE user_id = $1 AND deleted_at IS NULL AND type = 2"
            " AND jsonb_path_exists(filters, '$.labels.*[*] ? (@ == $label)', jsonb_build_object('label', $2::bigint))"
            " ORDER BY id LIMIT 1",
            user_id,
            label_id,
        )
        if public is not None:
            raise ConflictError(
                f"The audience {public['name']} ({public['id']}) asks for this label: change it first.",
                code="label_in_use",
                id=public["id"],
                name=public["name"],
            )
        await database.execute("UPDATE labels SET deleted_at = now(), updated_at = now() WHERE id = $1", label_id)
        await database.execute(
            "UPDATE contacts SET updated_at = now(), labels = coalesce((SELECT jsonb_agg(e ORDER BY place)"
            " FROM jsonb_array_elements(labels) WITH ORDINALITY AS x(e, place) WHERE e <> $2::jsonb), '[]')"
            " WHERE user_id = $1 AND labels @> $2::jsonb",
            user_id,
            database.encode_json(label_id),
        )
        await audit.record("label.deleted", user_id=user_id, entity_id=label_id, facts={"name": row["name"]})


async def ensure_labels(user_id: int, label_ids: Iterable[int], field: str) -> None:
    """Refuse labels that this tenant does not have; inside a unit of work they also cannot go away before its end.

    Raises:
        InvalidInputError: Under ``field``, naming the first that is missing.
    """
    wanted = sorted(set(label_ids))
    if not wanted:
        return
    rows = await database.fetch(
        "SELECT id FROM labels WHERE user_id = $1 AND id = ANY($2) AND deleted_at IS NULL FOR SHARE", user_id, wanted
    )
    missing = sorted(set(wanted) - {row["id"] for row in rows})
    if missing:
        raise InvalidInputError({field: [text("no_such_label", id=missing[0])]})


async def hold_labels(user_id: int, label_ids: Sequence[int]) -> list[int]:
    """Return those of the labels that this tenant still has; they cannot go away before the unit of work ends."""
    rows = await database.fetch(
        "SELECT id FROM labels WHERE user_id = $1 AND id = ANY($2) AND deleted_at IS NULL ORDER BY id FOR SHARE",
        user_id,
        label_ids,
    )
    return [row["id"] for row in rows]


async def add_label_names(user_id: int, names: Sequence[str]) -> list[int]:
    """Make the labels whose names, in any case, the tenant does not have, and return their ids."""
    rows = await database.fetch(
        "INSERT INTO labels (user_id, name, color, created_at, updated_at)"
        " SELECT $1, n.name, '#888888', now(), now() FROM unnest($2::text[]) WITH ORDINALITY AS n(name, place)"
        " WHERE NOT EXISTS (SELECT FROM labels l WHERE l.user_id = $1 AND lower(l.name) = lower(n.name)"
        " AND l.deleted_at IS NULL) ORDER BY n.place"
        " ON CONFLICT (user_id, lower(name)) WHERE deleted_at IS NULL DO NOTHING RETURNING id",
        user_id,
        list(names),
    )
    return [row["id"] for row in rows]


async def ensure_label_names(user_id: int, names: Sequence[str]) -> dict[str, int]:
    """Return the ids of labels by the names as given, in any case, making those that are missing."""
    await add_label_names(user_id, names)
    rows = await database.fetch(
        "SELECT l.id, n.name FROM unnest($2::text[]) AS n(name) JOIN labels l ON lower(l.name) = lower(n.name)"
        " WHERE l.user_id = $1 AND l.deleted_at IS NULL FOR SHARE OF l",
        user_id,
        list(names),
    )
    return {row["name"]: row["id"] for row in rows}


def _name(written: str) -> str:
    name = " ".join(written.split())
    if not name:
        raise InvalidInputError({"name": [text("required")]})
    return name


async def _find(user_id: int, name: str) -> int | None:
    found = await database.fetch_value(
        "SELECT id FROM labels WHERE user_id = $1 AND lower(name) = lower($2) AND deleted_at IS NULL", user_id, name
    )
    return found if isinstance(found, int) else None


async def _taken(user_id: int, name: str) -> ConflictError:
    label_id = await _find(user_id, name)
    return ConflictError(f"Label {label_id} has this name already.", code="label_exists", id=label_id)


def _read(row: object) -> LabelRead:
    return msgspec.convert(row, LabelRead)
