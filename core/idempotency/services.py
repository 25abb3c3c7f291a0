"""Claiming keys, keeping answers, and forgetting both after a day; PostgreSQL alone knows of them."""

import msgspec

from core import database
from core.errors import ConflictError, IdempotencyKeyReusedError
from core.idempotency.schemas import Answer, Keyed

KEPT = "24 hours"
LEASE_SECONDS = 60.0
"""After this a request without an answer counts as cut off; one that still runs can no longer commit."""
CLEAN_UP_LIMIT = 10_000

# A row is taken over when its time is up, or when its request was cut off and cannot have had an effect.
_CLAIM = f"""
INSERT INTO idempotency_keys AS k
    (user_id, key, method, path, fingerprint, atomic, holder, lease_until, status, headers, body, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, clock_timestamp() + make_interval(secs => $8), NULL, '{{}}', '', clock_timestamp())
ON CONFLICT (user_id, key) DO UPDATE SET method = excluded.method, path = excluded.path,
    fingerprint = excluded.fingerprint, atomic = excluded.atomic, holder = excluded.holder,
    lease_until = excluded.lease_until, status = NULL, headers = '{{}}', body = '', created_at = excluded.created_at
WHERE k.created_at < clock_timestamp() - interval '{KEPT}'
    OR (k.status IS NULL AND k.atomic AND k.lease_until < clock_timestamp() AND k.fingerprint = excluded.fingerprint)
RETURNING id
"""


async def claim(request: Keyed) -> Answer | None:
    """Claim the key for this request, or return the answer that a request like it got before.

    Raises:
        IdempotencyKeyReusedError: The key came with another request before.
        ConflictError: That request still runs, or was cut off where its effect is not known.
    """
    claimed = await database.fetch_value(
        _CLAIM,
        request.user_id,
        request.key,
        request.method,
        request.path,
        request.fingerprint,
        request.atomic,
        request.holder,
        LEASE_SECONDS,
    )
    if claimed is not None:
        return None
    row = await database.fetch_row(
        "SELECT fingerprint, status, headers, body, lease_until < clock_timestamp() AS cut_off FROM idempotency_keys"
        " WHERE user_id = $1 AND key = $2",
        request.user_id,
        request.key,
    )
    if row is None:
        # It ended without an answer to keep, between the two statements.
        raise in_progress()
    if row["fingerprint"] != request.fingerprint:
        raise IdempotencyKeyReusedError
    if row["status"] is not None:
        headers = msgspec.json.decode(row["headers"], type=dict[str, str])
        return Answer(status=row["status"], headers=headers, body=row["body"])
    if row["cut_off"]:
        raise ConflictError(
            "The first request with this Idempotency-Key was cut off and may have been carried out:"
            " look before you repeat it with another key.",
            code="idempotency_unknown",
        )
    raise in_progress()


async def keep(request: Keyed, answer: Answer) -> None:
    """Keep the answer, in the present unit of work when there is one.

    Raises:
        ConflictError: The lease ran out and another request has the key now.
    """
    kept = await database.execute(
        "UPDATE idempotency_keys SET status = $4, headers = $5, body = $6"
        " WHERE user_id = $1 AND key = $2 AND holder = $3 AND status IS NULL",
        request.user_id,
        request.key,
        request.holder,
        answer.status,
        database.encode_json(answer.headers),
        answer.body,
    )
    if kept == 0:
        raise in_progress()


async def release(request: Keyed) -> None:
    """Let the key go: the request had no effect, and may come again in any form."""
    await database.execute(
        "DELETE FROM idempotency_keys WHERE user_id = $1 AND key = $2 AND holder = $3 AND status IS NULL",
        request.user_id,
        request.key,
        request.holder,
    )


async def clean_up() -> int:
    """Forget keys whose time is up and return how many; the scheduler calls it now and then."""
    return await database.execute(
        "DELETE FROM idempotency_keys WHERE id IN (SELECT id FROM idempotency_keys"
        f" WHERE created_at < clock_timestamp() - interval '{KEPT}' ORDER BY created_at LIMIT $1)",
        CLEAN_UP_LIMIT,
    )


def in_progress() -> ConflictError:
    """Return the refusal of a request whose twin is being carried out."""
    return ConflictError("A request with this Idempotency-Key is being carried out.", code="idempotency_in_progress")
