"""Typing: what a person would see before a message, shown before the row is claimed, so that nothing claimed waits."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import msgspec
import structlog

from core import database
from core.campaigns.claims import KNOWN, Want
from core.campaigns.sending import message_text
from core.campaigns.turns import CampaignTurn
from core.numbers.senders import SenderRoute
from core.plugin import ReadMarks, Typing

SHOW_SECONDS = 5.0
"""The longest a sign may take; it is a courtesy and never holds a message up for longer."""

_log = structlog.get_logger(__name__)

NEXT = f"""
SELECT w.number_id, r.* FROM unnest($1::bigint[], $2::bigint[], $3::int[], $6::bool[])
    AS w(number_id, campaign_id, place, known_only)
CROSS JOIN LATERAL (
    SELECT m.id, m.message_id, m.contact_id, m.address, m.provider_address, m.variables,
        c.last_inbound_at IS NOT NULL AS wrote FROM (
        (SELECT m.* FROM message_by_contacts m WHERE m.campaign_id = w.campaign_id AND m.number_id = w.number_id
            AND m.state = 'pending' AND m.due_at <= $4 AND {KNOWN} ORDER BY m.due_at, m.id LIMIT 1)
        UNION ALL
        (SELECT m.* FROM message_by_contacts m WHERE m.campaign_id = w.campaign_id AND m.number_id IS NULL
            AND m.state = 'pending' AND m.due_at <= $4 AND m.id <> ALL($5::bigint[]) AND {KNOWN}
            -- As in the claim: the whole key of the index, so that its order is seen.
            ORDER BY m.number_id, m.due_at, m.id OFFSET w.place LIMIT 1)
    ) m
    JOIN contacts c ON c.id = m.contact_id AND c.user_id = m.user_id
    WHERE c.deleted_at IS NULL AND c.status = 1 AND c.blocked_at IS NULL
      AND NOT EXISTS (SELECT FROM block_contacts b WHERE b.user_id = m.user_id AND b.number = c.number)
    ORDER BY m.number_id LIMIT 1
) r
"""


class NextRow(msgspec.Struct, frozen=True, kw_only=True):
    """The recipient row a lane would claim now."""

    id: int
    message_id: int
    contact_id: int
    address: str
    provider_address: str | None
    variables: str | None
    wrote: bool
    """They have written to one of the tenant's numbers, so their chat may hold something unread."""

    def text(self, turn: CampaignTurn) -> str:
        """Return what will be written, to know how long a person would type it."""
        values = msgspec.json.decode(self.variables, type=dict[str, str]) if self.variables else {}
        step = turn.steps.get(self.message_id)
        return message_text(step, self.contact_id, values) if step is not None else ""


async def next_rows(now: datetime, wants: Sequence[Want], taken: Collection[int]) -> Mapping[int, NextRow]:
    """Return the next row of each lane by what it would ask for; ``taken`` are rows others type for.

    A row that will not be sent, its contact being blocked or gone, is none: nobody types to them.
    """
    places: dict[int, int] = {}
    place: list[int] = []
    for want in wants:
        place.append(places.get(want.campaign_id, 0))
        places[want.campaign_id] = place[-1] + 1
    rows = await database.fetch(
        NEXT,
        [want.number_id for want in wants],
        [want.campaign_id for want in wants],
        place,
        now,
        list(taken),
        [want.known_only for want in wants],
    )
    return {row["number_id"]: NextRow(**{name: row[name] for name in NextRow.__struct_fields__}) for row in rows}


async def turn_to(route: SenderRoute, address: str, *, wrote: bool) -> None:
    """Do what a person does before writing: read what the recipient wrote, then type."""
    provider = route.provider
    if wrote and route.sender.capabilities.seen and isinstance(provider, ReadMarks):
        try:
            async with asyncio.timeout(SHOW_SECONDS):
                await provider.mark_seen(route.sender, address)
        except Exception as error:  # noqa: BLE001 - a courtesy never fails the message
            _log.info("not_marked_seen", number_id=route.sender.number_id, error=type(error).__name__)
    await show_typing(route, address, active=True)


async def show_typing(route: SenderRoute, address: str, *, active: bool) -> None:
    """Start or stop the sign, as far as the service goes along."""
    provider = route.provider
    if not isinstance(provider, Typing):
        return
    try:
        async with asyncio.timeout(SHOW_SECONDS):
            await provider.show_typing(route.sender, address, active=active)
    except Exception as error:  # noqa: BLE001 - a courtesy never fails the message
        _log.info("typing_not_shown", number_id=route.sender.number_id, error=type(error).__name__)


def can_type(route: SenderRoute) -> bool:
    """Whether the number's service shows typing."""
    return route.sender.capabilities.typing and isinstance(route.provider, Typing)
