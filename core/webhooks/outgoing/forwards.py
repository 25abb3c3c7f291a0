"""The forward address of a number, ``numbers.webhook_url``: an endpoint that is told of this number's events alone."""

from core import database
from core.events.catalogue import WEBHOOK
from core.webhooks.outgoing import signing, subscriptions

FORWARDED = tuple(sorted(name for name in WEBHOOK if name.startswith(("number.", "message."))))
"""What a forward address is told of."""

_PUT = """
INSERT INTO webhook_endpoints (user_id, number_id, events, secret, status, created_at, updated_at)
VALUES ($1, $2, $3, $4, 'active', now(), now()) ON CONFLICT (number_id) WHERE number_id IS NOT NULL DO NOTHING
"""


async def put_forward(user_id: int, number_id: int, url: str | None) -> str | None:
    """Let a number have this forward address, or none, in the present unit of work; the address was checked before.

    Return the secret where one was made, which is when there was no address before; it is told once.
    """
    await database.execute("UPDATE numbers SET webhook_url = $2, updated_at = now() WHERE id = $1", number_id, url)
    subscriptions.forget()
    if url is None:
        await database.execute("DELETE FROM webhook_endpoints WHERE number_id = $1", number_id)
        return None
    secret = signing.new_secret()
    made = await database.execute(_PUT, user_id, number_id, database.encode_json(FORWARDED), signing.conceal(secret))
    return secret if made else None
