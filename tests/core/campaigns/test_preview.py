import asyncio

import httpx
import pytest

from core import database
from core.campaigns.dispatch import Dispatcher
from core.campaigns.preview import preview
from core.errors import NotFoundError
from tests.core.campaigns.making import Made, make_campaign, make_contacts, phone, start
from tests.core.campaigns.sink import BARE, Sink
from tests.factories import Member

TEXT = "{Oi|Olá|Hey|Opa} {{ nome | default('amigo') }} {a|b|c|d} {{ numero }}"


async def _texts(made: Made) -> dict[str, list[str]]:
    """Return what each contact will get, by number."""
    found = [(await preview(made.user_id, made.id, contact_id))[0] for contact_id in made.contact_ids]
    return {shown.number: [message.text for message in shown.messages] for shown in found}


async def test_is_what_is_sent_word_for_word(user: Member, sink: Sink, sink_url: str) -> None:
    made = await make_campaign(user, contacts=12, url=sink_url, capabilities=BARE, messages=(TEXT,))
    before = await _texts(made)
    await start(made)
    await database.execute("UPDATE contacts SET name = 'Somebody Else' WHERE user_id = $1", user.id)
    assert await _texts(made) == before
    async with asyncio.timeout(20):
        while len(sink.posts) < len(made.contact_ids):
            await Dispatcher(16, asyncio.Event()).run()
    assert {post.address: [post.text] for post in sink.posts} == before
    assert len({text[:3] for texts in before.values() for text in texts}) > 1


async def test_without_a_contact_shows_the_first_of_the_audience(user: Member) -> None:
    made = await make_campaign(user, contacts=5, messages=("{{ nome }}", "Até já"))
    shown = await preview(user.id, made.id)
    assert [found.contact_id for found in shown] == made.contact_ids[:3]
    assert [message.text for message in shown[1].messages] == ["Name 1", "Até já"]
    await start(made)
    assert await preview(user.id, made.id) == shown


async def test_a_draft_without_an_audience_shows_nobody(user: Member) -> None:
    made = await make_campaign(user)
    await database.execute("UPDATE campaigns SET public_id = NULL WHERE id = $1", made.id)
    assert await preview(user.id, made.id) == []


async def test_of_another_tenants_contact_is_not_found(user: Member, other_user: Member) -> None:
    made = await make_campaign(user)
    (theirs,) = await make_contacts(other_user.id, [phone()])
    with pytest.raises(NotFoundError):
        await preview(user.id, made.id, theirs)


async def test_over_http(user: Member, tenant: httpx.AsyncClient) -> None:
    made = await make_campaign(user)
    answer = await tenant.get(f"/api/campaigns/{made.id}/preview", params={"contact_id": made.contact_ids[2]})
    assert answer.status_code == 200
    assert answer.json()["data"] == [
        {
            "contact_id": made.contact_ids[2],
            "contact_name": "Name 2",
            "number": made.phones[2],
            "messages": [{"message_id": made.message_ids[0], "position": 1, "type_message": 1, "text": "Oi Name 2"}],
        }
    ]
