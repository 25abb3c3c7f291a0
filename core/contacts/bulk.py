"""Changing many contacts in one statement."""

from core import database
from core.audit import services as audit
from core.contacts.labels import ensure_labels
from core.contacts.queries import selected_contacts
from core.contacts.schemas import LabelSelection, Selection
from core.contacts.suppressions import remember_blocked


async def delete_contacts(user_id: int, selection: Selection) -> int:
    """Delete the selected contacts and return how many; whoever opted out stays so, should they come again."""
    async with database.unit_of_work():
        where, args = await selected_contacts(user_id, selection, 1)
        gone = await database.fetch(
            "WITH gone AS (UPDATE contacts c SET deleted_at = now(), updated_at = now()"
            f" WHERE {where} RETURNING c.id, c.blocked_at)"
            " SELECT count(*) AS rows, array_agg(id) FILTER (WHERE blocked_at IS NOT NULL) AS blocked FROM gone",
            *args,
        )
        await remember_blocked(user_id, gone[0]["blocked"] or ())
        rows: int = gone[0]["rows"]
        if rows:
            await audit.record("contact.many_deleted", user_id=user_id, facts={"count": rows})
        return rows


async def label_contacts(user_id: int, selection: LabelSelection) -> int:
    """Put labels on the selected contacts and take others off; returns how many contacts that changed."""
    async with database.unit_of_work():
        await ensure_labels(user_id, selection.add, "add")
        await ensure_labels(user_id, selection.remove, "remove")
        where, args = await selected_contacts(user_id, selection, 3)
        count = await database.execute(
            "UPDATE contacts c SET updated_at = now(), labels ="
            " coalesce((SELECT jsonb_agg(e ORDER BY place) FROM jsonb_array_elements(c.labels)"
            "  WITH ORDINALITY AS x(e, place) WHERE NOT $2::jsonb @> e), '[]')"
            " || coalesce((SELECT jsonb_agg(e ORDER BY place) FROM jsonb_array_elements($1::jsonb)"
            "  WITH ORDINALITY AS x(e, place) WHERE NOT c.labels @> e), '[]')"
            f" WHERE {where} AND (NOT c.labels @> $1::jsonb"
            "  OR EXISTS (SELECT FROM jsonb_array_elements(c.labels) AS e WHERE $2::jsonb @> e))",
            database.encode_json(list(dict.fromkeys(selection.add))),
            database.encode_json(selection.remove),
            *args,
        )
        if count:
            facts = {"count": count, "add": selection.add, "remove": selection.remove}
            await audit.record("contact.many_labeled", user_id=user_id, facts=facts)
        return count
