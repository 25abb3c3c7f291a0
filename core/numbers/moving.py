"""Moving a number to another server: it gets a new name there, and the old one is taken off its server in time."""

from core import database
from core.audit import services as audit
from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.numbers import senders
from core.numbers.changes import announce
from core.numbers.event_polling import forget_cursor
from core.numbers.placing import place_number
from core.numbers.schemas import NumberRead
from core.numbers.services import get_number, new_identity
from core.texts import text
from core.webhooks.services import forget_targets

# The row left behind is a deleted number, so that the removal of deleted numbers takes it off its server, now or when
# that answers again; until then it keeps its place there. What is being sent at this moment gets half a minute.
_LEAVE = """
INSERT INTO numbers (user_id, server_id, instance, name, number, status, status_connection, connection, extra,
    webhook_token, webhook_secret, deleted_at, poll_at, created_at, updated_at)
VALUES ($1, $2, $3, $4, '', false, false, 'stopped', true, $5, $6, now(), now() + interval '30 seconds', now(), now())
"""
_MOVE = """
UPDATE numbers SET server_id = $2, instance = $3, webhook_token = $4, webhook_secret = $5, status_connection = false,
    connection = 'stopped', connection_reason = 'moved', connection_at = NULL, connection_since = now(), poll_at = NULL,
    silent_until = NULL, restarted_at = NULL, webhook_checked_at = NULL, moved_at = now(),
    recent_sends = 0, recent_acknowledged = 0, updated_at = now()
WHERE id = $1
"""


async def move_number(number_id: int, server_id: int | None) -> NumberRead:
    """Put a number on another server of its provider; it has to be signed in there.

    What it sent and was not acknowledged yet can no longer be looked up and may need a person's decision.

    Raises:
        NotFoundError: No such number.
        InvalidInputError: There is no such server, or it is of another provider.
        ConflictError: It is there already, the server has no room, or no other has any.
    """
    async with database.unit_of_work():
        row = await database.fetch_row(
            "SELECT n.*, s.provider FROM numbers n JOIN servers s ON s.id = n.server_id"
            " WHERE n.id = $1 AND n.deleted_at IS NULL FOR UPDATE OF n",
            number_id,
        )
        if row is None:
            raise NotFoundError("number", number_id)
        if server_id == row["server_id"]:
            raise ConflictError("The number is on this server already.", code="already_there")
        if server_id is not None and await _provider_of(server_id) != row["provider"]:
            raise InvalidInputError({"server_id": [text("no_such_server_of", provider=row["provider"])]})
        target = await place_number(server_id, row["provider"], besides=row["server_id"])
        identity = new_identity(number_id)
        await database.execute(
            _MOVE, number_id, target, identity.instance, identity.webhook_token, identity.webhook_secret
        )
        await database.execute(
            _LEAVE,
            row["user_id"],
            row["server_id"],
            row["instance"],
            row["name"],
            row["webhook_token"],
            row["webhook_secret"],
        )
        await forget_cursor(number_id)
        await announce([number_id])
        moved = {"server_id": [row["server_id"], target]}
        await audit.record("number.moved", account_id=row["user_id"], entity_id=number_id, changes=moved)
    senders.forget([number_id])
    forget_targets()
    return await get_number(row["user_id"], number_id)


async def _provider_of(server_id: int) -> str | None:
    found = await database.fetch_value("SELECT provider FROM servers WHERE id = $1 AND deleted_at IS NULL", server_id)
    return found if isinstance(found, str) else None
