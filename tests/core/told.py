"""What stands in the outbox for one user."""

from collections.abc import Sequence

import msgspec

from core import database
from core.crypto import decrypt
from core.notifications.kinds import KINDS
from core.notifications.outbox import SEAL


async def told(user_id: int, *kinds: str) -> Sequence[msgspec.Struct]:
    """Return what a user is notified of, the oldest first: of ``kinds`` alone where some are named."""
    rows = await database.fetch(
        "SELECT kind, detail FROM notifications WHERE user_id = $1 AND ($2::text[] = '{}' OR kind = ANY($2))"
        " ORDER BY id",
        user_id,
        list(kinds),
    )
    return [msgspec.json.decode(decrypt(row["detail"], purpose=SEAL), type=KINDS[row["kind"]].detail) for row in rows]
