"""Everybody's numbers, as administrators see them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from core.listing import Listing
from core.numbers.schemas import NumberAdministrationRead
from core.numbers.services import read_number


def _read(row: Mapping[str, Any]) -> NumberAdministrationRead:
    return NumberAdministrationRead(
        **msgspec.structs.asdict(read_number(row)),
        user_id=row["user_id"],
        user_email=row["user_email"],
        server_name=row["server_name"],
    )


NUMBERS = Listing(
    kind=NumberAdministrationRead,
    read=_read,
    columns=("n.*, s.provider, s.capabilities AS server_capabilities, s.name AS server_name, u.email AS user_email"),
    source="numbers n JOIN servers s ON s.id = n.server_id JOIN users u ON u.id = n.user_id",
    always="n.deleted_at IS NULL",
    conditions={
        "user_id": "n.user_id = {}",
        "server_id": "n.server_id = {}",
        "provider": "s.provider = {}",
        "connection": "n.connection = {}",
        "status": "n.status = {}",
        "status_connection": "n.status_connection = {}",
        "extra": "n.extra = {}",
        "since": "n.created_at >= {}",
        "until": "n.created_at < {}",
        "search": "strpos(lower(concat_ws(' ', n.name, n.number, n.instance, u.email)), lower({})) > 0",
    },
    sorts={
        "id": "n.id",
        "name": "lower(n.name)",
        "number": "n.number",
        "connection": "n.connection",
        "user_id": "n.user_id",
        "server_id": "n.server_id",
        "last_event_at": "n.last_event_at",
        "created_at": "n.created_at",
    },
    key="n.id",
)
"""The numbers of all users."""
