"""Where a person's numbers and addresses are found in a tenant's rows, apart from the rows of their contact."""

from collections.abc import Iterable

from core import database
from core.contacts.identities import number_forms

MINIMUM_NAME = 3
MINIMUM_DIGITS = 8
"""Of a number as somebody wrote it in a file: the country and area may be missing."""

_TEXT = "LIKE ANY($2::text[])"

# Each deletes or empties one tenant's ($1) rows that hold one of the patterns ($2).
STATEMENTS = (
    (
        "DELETE FROM contact_sync_entries e USING jobs j WHERE j.id = e.job_id AND j.user_id = $1"
        f" AND (e.phone {_TEXT} OR e.address {_TEXT})"
    ),
    (
        "DELETE FROM webhook_events e USING numbers n WHERE n.id = e.number_id AND n.user_id = $1"
        f" AND (e.dedupe_key {_TEXT} OR e.event::text {_TEXT})"
    ),
    (
        "DELETE FROM webhooks_log w USING numbers n WHERE n.user_id = $1 AND w.payload->>'number_id' = n.id::text"
        f" AND w.payload::text {_TEXT}"
    ),
    f"DELETE FROM webhook_deliveries WHERE user_id = $1 AND (body {_TEXT} OR response_body {_TEXT})",
    (
        f"DELETE FROM jobs WHERE user_id = $1 AND status <> 'running' AND (params::text {_TEXT} OR error {_TEXT}"
        f" OR checkpoint::text {_TEXT})"
    ),
    f"UPDATE jobs SET result = '{{}}' WHERE user_id = $1 AND result::text {_TEXT}",
    f"DELETE FROM idempotency_keys WHERE user_id = $1 AND encode(body, 'escape') {_TEXT}",
    (
        "UPDATE logs SET data = '{}', changes = '{}', description = '' WHERE account_id = $1"
        f" AND (data::text {_TEXT} OR changes::text {_TEXT} OR description {_TEXT})"
    ),
    (
        "DELETE FROM number_identities i USING numbers n WHERE n.id = i.number_id AND n.user_id = $1"
        f" AND (i.phone {_TEXT} OR i.address {_TEXT})"
    ),
)
_IMPORT_ERRORS = """
DELETE FROM import_errors e USING imports i WHERE i.id = e.import_id AND i.user_id = $1
    AND regexp_replace(e.row || e.value, '[^0-9]', '', 'g') LIKE ANY($2::text[])
"""
_MEASUREMENTS = """
UPDATE jobs SET result = '{}' WHERE user_id = $1 AND kind = 'campaigns.entropy' AND result::text LIKE ANY($2::text[])
"""
_BLOCKS = """
DELETE FROM block_contacts WHERE user_id = $1 AND (number = ANY($2::text[]) OR address = ANY($2::text[]))
"""
_CHECKS = "DELETE FROM number_checks WHERE number = ANY($1::text[]) OR address = ANY($1::text[])"


async def remove_traces(user_id: int, forms: Iterable[str], names: Iterable[str] = ()) -> None:
    """Remove what a tenant's rows hold of whoever goes by ``forms`` (E.164 digits or addresses).

    ``names`` are what they were called: what was measured of texts may show one.

    What the services answered about a number is kept for all tenants alike; it is a copy, and is asked for anew.
    """
    known = sorted({wider for form in forms if form for wider in number_forms(form)})
    called = [f"%{_literal(name)}%" for name in names if len(name) >= MINIMUM_NAME]
    if called:
        await database.execute(_MEASUREMENTS, user_id, called)
    if not known:
        return
    patterns = [f"%{_literal(form)}%" for form in known]
    for statement in STATEMENTS:
        await database.execute(statement, user_id, patterns)
    numbers = [form for form in known if form.isdigit() and len(form) >= MINIMUM_DIGITS]
    endings = sorted({f"%{number[-MINIMUM_DIGITS:]}%" for number in numbers})
    if endings:
        await database.execute(_IMPORT_ERRORS, user_id, endings)
    await database.execute(_BLOCKS, user_id, known)
    await database.execute(_CHECKS, known)


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
