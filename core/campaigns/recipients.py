"""The recipient rows of a campaign: one for each message and contact, listed, filtered and exported."""

from collections.abc import AsyncIterator, Sequence

import asyncpg
import msgspec

from core import database
from core.campaigns.queries import find_campaign, totals_of
from core.campaigns.schemas import RecipientRead
from core.campaigns.tables import RecipientState
from core.errors import InvalidInputError, NotFoundError
from core.pagination import PageQuery, RowPlace, read_cursor, write_cursor
from core.texts import text

EXPORT_ROWS = 2_000
SORTS = {"id": "m.id"}

RECIPIENTS = """
SELECT m.id, m.message_id, m.contact_id, coalesce(c.name, '') AS contact_name, m.address AS number, m.position,
    m.number_id, m.state, m.reason, m.attempt, m.due_at, m.accepted_at, m.sent_at, m.delivered_at, m.read_at,
    m.replied_at, m.state = 'unknown' AND m.lease_until IS NULL AS needs_attention
FROM message_by_contacts m LEFT JOIN contacts c ON c.id = m.contact_id
"""

WHERE = """
m.campaign_id = $1 AND (cardinality($2::text[]) = 0 OR m.state = ANY($2))
AND ($3::text IS NULL OR m.reason = $3) AND ($4::bigint IS NULL OR m.message_id = $4)
AND ($5::bigint IS NULL OR m.number_id = $5) AND ($6::bigint IS NULL OR m.contact_id = $6)
AND ($7::bool IS NULL OR (m.delivered_at IS NOT NULL) = $7) AND ($8::bool IS NULL OR (m.read_at IS NOT NULL) = $8)
AND ($9::bool IS NULL OR (m.replied_at IS NOT NULL) = $9)
AND ($10::bool IS NULL OR (m.state = 'unknown' AND m.lease_until IS NULL) = $10)
AND ($11::text IS NULL OR strpos(m.address, $11) > 0)
"""


class RecipientFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows; what is absent does not matter."""

    states: tuple[RecipientState, ...] = ()
    reason: str | None = None
    message_id: int | None = None
    number_id: int | None = None
    contact_id: int | None = None
    delivered: bool | None = None
    readed: bool | None = None
    replied: bool | None = None
    needs_attention: bool | None = None
    search: str | None = None
    """A part of the number."""

    def args(self, campaign_id: int) -> tuple[object, ...]:
        """Return the arguments of ``WHERE``."""
        return (
            campaign_id,
            list(self.states),
            self.reason,
            self.message_id,
            self.number_id,
            self.contact_id,
            self.delivered,
            self.readed,
            self.replied,
            self.needs_attention,
            self.search,
        )


EVERYBODY = RecipientFilter()


async def list_recipients(
    user_id: int, campaign_id: int, query: PageQuery, wanted: RecipientFilter
) -> tuple[list[RecipientRead], int]:
    """Return one page of a campaign's recipient rows and how many there are.

    Raises:
        NotFoundError: The tenant has no such campaign.
    """
    campaign = await find_campaign(user_id, campaign_id)
    args = wanted.args(campaign_id)
    order = query.order_by(SORTS, "id", "m.id")
    rows = await database.fetch(
        f"{RECIPIENTS} WHERE {WHERE} ORDER BY {order} LIMIT $12 OFFSET $13", *args, query.limit, query.offset
    )
    return [read_recipient(row) for row in rows], await _total(campaign, wanted, args)


async def scroll_recipients(
    user_id: int, campaign_id: int, query: PageQuery, wanted: RecipientFilter, cursor: str
) -> tuple[list[RecipientRead], str | None]:
    """Return the rows after ``cursor`` (empty: the first) by their ids, and the cursor of those that follow.

    Raises:
        NotFoundError: The tenant has no such campaign.
        InvalidInputError: The cursor is none of this list, or another order is asked for.
    """
    if query.sort not in {None, "id"}:
        raise InvalidInputError({"sort": [text("cursor_order", order="id")]})
    place = read_cursor(cursor, RowPlace)
    await find_campaign(user_id, campaign_id)
    rows = await database.fetch(
        f"{RECIPIENTS} WHERE {WHERE} AND m.id > $12 ORDER BY m.id LIMIT $13",
        *wanted.args(campaign_id),
        place.id if place is not None else 0,
        query.limit + 1,
    )
    found = [read_recipient(row) for row in rows[: query.limit]]
    return found, write_cursor(RowPlace(found[-1].id)) if len(rows) > query.limit else None


async def _total(campaign: asyncpg.Record, wanted: RecipientFilter, args: Sequence[object]) -> int:
    # The whole of a large campaign is known without counting its rows for every page.
    if wanted == EVERYBODY and campaign["frozen_at"] is not None:
        return totals_of(campaign).total
    total = await database.fetch_value(f"SELECT count(*) FROM message_by_contacts m WHERE {WHERE}", *args)
    return total if isinstance(total, int) else 0


async def get_recipient(user_id: int, campaign_id: int, recipient_id: int) -> RecipientRead:
    """Return one recipient row.

    Raises:
        NotFoundError: The tenant's campaign has no such row.
    """
    row = await database.fetch_row(
        f"{RECIPIENTS} WHERE m.campaign_id = $1 AND m.id = $2 AND m.user_id = $3", campaign_id, recipient_id, user_id
    )
    if row is None:
        raise NotFoundError("recipient", recipient_id)
    return read_recipient(row)


async def stream_recipients(
    campaign_id: int, wanted: RecipientFilter = EVERYBODY
) -> AsyncIterator[Sequence[RecipientRead]]:
    """Yield the recipient rows of a campaign that was found to be the tenant's, in batches and in their order."""
    last_id = 0
    while True:
        rows = await database.fetch(
            f"{RECIPIENTS} WHERE {WHERE} AND m.id > $12 ORDER BY m.id LIMIT $13",
            *wanted.args(campaign_id),
            last_id,
            EXPORT_ROWS,
        )
        if not rows:
            return
        last_id = rows[-1]["id"]
        yield [read_recipient(row) for row in rows]


def read_recipient(row: asyncpg.Record) -> RecipientRead:
    """Translate a row into the API's words, with the seed's booleans."""
    state = RecipientState(row["state"])
    return RecipientRead(
        **{**dict(row), "state": state},
        delivered=row["delivered_at"] is not None,
        readed=row["read_at"] is not None,
        error=state is RecipientState.FAILED,
    )
