"""Preview: every message of a campaign as one contact gets it, by the functions and seeds that the sending uses."""

from collections.abc import Mapping, Sequence

import asyncpg
import msgspec

from core import database
from core.campaigns.frozen import variables_of
from core.campaigns.schemas import CampaignSettings, Preview, PreviewedMessage
from core.campaigns.sending import message_text
from core.campaigns.turns import Step, load_steps
from core.contacts.audience import audience_conditions
from core.errors import InvalidInputError, NotFoundError

SAMPLE = 3
"""Contacts that are shown when none is named."""

CONTACTS = """
SELECT f.id, f.name, f.number, {variables} AS variables
FROM contacts f WHERE f.user_id = $1 AND f.id = ANY($2::bigint[]) AND f.deleted_at IS NULL ORDER BY f.id
"""

FROZEN = """
SELECT contact_id, message_id, variables FROM message_by_contacts
WHERE message_id = ANY($1::bigint[]) AND contact_id = ANY($2::bigint[]) AND variables IS NOT NULL
"""


async def preview(user_id: int, campaign_id: int, contact_id: int | None = None) -> list[Preview]:
    """Render a campaign for one contact, else for the first few of its audience.

    What was frozen counts where there is such a row, else what the contact has now, as a start would freeze it.

    Raises:
        NotFoundError: The tenant has no such campaign or contact.
    """
    campaign = await database.fetch_row(
        "SELECT id, user_id, public_id, settings, frozen_at FROM campaigns"
        " WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL",
        campaign_id,
        user_id,
    )
    if campaign is None:
        raise NotFoundError("campaign", campaign_id)
    steps = sorted((await load_steps(campaign_id)).values(), key=lambda step: step.position)
    wanted = [contact_id] if contact_id is not None else await _first(campaign, steps)
    names = sorted(set().union(*(step.template.names for step in steps)))
    contacts = await database.fetch(CONTACTS.format(variables=variables_of(names, "$3")), user_id, wanted, names)
    if contact_id is not None and not contacts:
        raise NotFoundError("contact", contact_id)
    rows = await database.fetch(FROZEN, [step.id for step in steps], wanted)
    frozen = {(row["contact_id"], row["message_id"]): row["variables"] for row in rows}
    return [_rendered(contact, steps, frozen) for contact in contacts]


async def _first(campaign: asyncpg.Record, steps: Sequence[Step]) -> list[int]:
    """Return the first contacts of the audience: of the frozen one, where there is one."""
    if campaign["frozen_at"] is not None:
        rows = await database.fetch(
            "SELECT contact_id AS id FROM message_by_contacts WHERE campaign_id = $1 AND message_id = $2"
            " ORDER BY id LIMIT $3",
            campaign["id"],
            steps[0].id if steps else 0,
            SAMPLE,
        )
        return [row["id"] for row in rows]
    settings = msgspec.json.decode(campaign["settings"], type=CampaignSettings)
    try:
        audience, args = await audience_conditions(
            user_id=campaign["user_id"],
            public_id=campaign["public_id"],
            labels=msgspec.to_builtins(settings.labels) if settings.labels is not None else None,
            audiences=settings.audiences,
            first_parameter=2,
        )
    except (InvalidInputError, NotFoundError):
        # A draft may be without its audience still.
        return []
    rows = await database.fetch(f"SELECT c.id FROM contacts c WHERE {audience} ORDER BY c.id LIMIT $1", SAMPLE, *args)
    return [row["id"] for row in rows]


def _rendered(contact: asyncpg.Record, steps: Sequence[Step], frozen: Mapping[tuple[int, int], str]) -> Preview:
    messages = []
    for step in steps:
        stored = frozen.get((contact["id"], step.id), contact["variables"])
        variables = msgspec.json.decode(stored, type=dict[str, str]) if stored else {}
        messages.append(
            PreviewedMessage(
                message_id=step.id,
                position=step.position,
                type_message=step.type_message,
                text=message_text(step, contact["id"], variables),
            )
        )
    return Preview(
        contact_id=contact["id"],
        contact_name=contact["name"] or "",
        number=contact["number"] or "",
        messages=messages,
    )
