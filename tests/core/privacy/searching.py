"""Looking through the whole database for what must not be there."""

from collections.abc import Collection

from core import database

_COLUMNS = """
SELECT c.relname AS table, a.attname AS column, a.atttypid = 'bytea'::regtype AS is_binary
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname = 'public' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1, 2
"""


async def places_of(planted: Collection[str]) -> set[str]:
    """Return every ``table.column`` of the catalog that holds one of the texts somewhere."""
    found = set()
    for row in await database.fetch(_COLUMNS):
        name = f'"{row["column"]}"'
        text = f"encode({name}, 'escape')" if row["is_binary"] else f"{name}::text"
        hit = await database.fetch_value(
            f'SELECT EXISTS (SELECT FROM "{row["table"]}" WHERE {text} LIKE ANY($1::text[]))',
            [f"%{one}%" for one in planted],
        )
        if hit:
            found.add(f"{row['table']}.{row['column']}")
    return found
