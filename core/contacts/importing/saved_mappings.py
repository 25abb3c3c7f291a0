"""What a tenant took columns for, kept for each set of headers and proposed for the next file that has them."""

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from core import database
from core.contacts.importing.mapping import FileMap

MAXIMUM_MAPPINGS = 500
"""Of a tenant; the one unused for longest goes."""

_KEEP = """
INSERT INTO import_mappings (user_id, headers, mapping, created_at, updated_at)
VALUES ($1, $2, $3, clock_timestamp(), clock_timestamp())
ON CONFLICT (user_id, headers) DO UPDATE SET mapping = excluded.mapping, updated_at = excluded.updated_at
"""
_DROP = """
DELETE FROM import_mappings WHERE id IN (
    SELECT id FROM import_mappings WHERE user_id = $1 ORDER BY updated_at DESC, id DESC OFFSET $2)
"""
_REASON_KEY = "recadoreason"


async def find_mapping(user_id: int, keys: Sequence[str]) -> Mapping[str, str] | None:
    """Return the mapping kept for a file whose header has these keys, in any order, or ``None``."""
    stored = await database.fetch_value(
        "SELECT mapping FROM import_mappings WHERE user_id = $1 AND headers = $2", user_id, _digest(keys)
    )
    return None if stored is None else msgspec.json.decode(str(stored), type=dict[str, str])


async def keep_mapping(user_id: int, keys: Sequence[str], found: FileMap) -> None:
    """Keep what the columns with these keys are taken for."""
    fields = {key: column.field for key, column in zip(keys, found.columns, strict=True) if key != _REASON_KEY}
    await database.execute(_KEEP, user_id, _digest(keys), database.encode_json(fields))
    await database.execute(_DROP, user_id, MAXIMUM_MAPPINGS)


def _digest(keys: Sequence[str]) -> bytes:
    """Return what files with the same headers share; the column of reasons that ``errors.csv`` adds is none of them."""
    return hashlib.sha256("\n".join(sorted(key for key in keys if key != _REASON_KEY)).encode()).digest()
