"""The forward address of a number, ``numbers.webhook_url``: an endpoint that is told of this number's events alone."""

from core import database
from core.audit import services as audit
from core.events.catalogue import WEBHOOK
from core.webhooks.outgoing import signing, subscriptions
from core.webhooks.tables import EndpointStatus

FORWARDED = tuple(sorted(name for name in WEBHOOK if name.startswith(("number.", "message."))))
"""What a forward address is told of."""

_PUT = """
INSERT INTO webhook_endpoints (user_id, number_id, events, secret, status, created_at, updated_at)
VALUES ($1, $2, $3, $4, 'active', now(), now()) ON CONFLICT (number_id) WHERE number_id IS NOT NULL DO NOTHING
"""
_RENEW = """
UPDATE webhook_endpoints e SET status = 'active', failing_since = NULL, disabled_at = NULL, disabled_reason = '',
    updated_at = now()
FROM (SELECT id, status FROM webhook_endpoints WHERE number_id = $1 FOR NO KEY UPDATE) before WHERE e.id = before.id
RETURNING e.id, before.status
"""


async def put_forward(user_id: int, number_id: int, url: str | None) -> str | None:
    """Let a number have this forward address, or none, in the present unit of work; the address was checked before.

    Another address begins anew: what failed at the one before does not count, and what was disabled is active. The
    same address changes nothing, so that whoever saves a whole form does not enable what was disabled.

    Return the secret where one was made, which is when there was no address before; it is told once.
    """
    changed = await database.execute(
        "UPDATE numbers SET webhook_url = $2, updated_at = now() WHERE id = $1 AND webhook_url IS DISTINCT FROM $2",
        number_id,
        url,
    )
    subscriptions.forget()
    if url is None:
        await database.execute("DELETE FROM webhook_endpoints WHERE number_id = $1", number_id)
        return None
    secret = signing.new_secret()
    made = await database.execute(_PUT, user_id, number_id, database.encode_json(FORWARDED), signing.conceal(secret))
    if made:
        return secret
    if changed:
        await _renew(user_id, number_id)
    return None


async def _renew(user_id: int, number_id: int) -> None:
    row = await database.fetch_row(_RENEW, number_id)
    if row is not None and row["status"] == EndpointStatus.DISABLED:
        await audit.record("webhook_endpoint.enabled", user_id=user_id, entity_id=row["id"])
