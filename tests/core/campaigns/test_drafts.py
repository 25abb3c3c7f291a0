"""The types of campaigns: what each needs, what it may not have, and what is filled in for it."""

import asyncio
from typing import Any

import httpx
import msgspec
import pytest

from core import database
from core.campaigns import editing, services
from core.campaigns.dispatch import Dispatcher
from core.campaigns.entropy_schemas import EntropyLimit
from core.campaigns.pacing import DEFAULT_PACING, Pacing
from core.campaigns.schemas import (
    CampaignCreate,
    CampaignSettings,
    CampaignUpdate,
    LabelFilter,
    MessageCreate,
    Schedule,
)
from core.campaigns.tables import CampaignType, MessageType
from core.errors import InvalidInputError
from core.plugin import MessageKind
from tests.core.campaigns.making import (
    Made,
    campaign_row,
    give_plan,
    insert,
    make_campaign,
    make_contacts,
    make_number,
    make_public,
    phone,
    recipients,
    run_jobs,
    running,
    standing,
)
from tests.core.campaigns.sink import BARE, Sink
from tests.core.contacts.making import add, add_contact
from tests.factories import Member

ONE_TEXT = (MessageCreate(content="Oi"),)


async def _numbers(campaign_id: int) -> list[int]:
    """Return a campaign's numbers in their order; its row names the first."""
    rows = await database.fetch(
        "SELECT number_id FROM campaign_numbers WHERE campaign_id = $1 ORDER BY id", campaign_id
    )
    found = [row["number_id"] for row in rows]
    assert (await campaign_row(campaign_id))["number_id"] == next(iter(found), None)
    return found


async def _messages(campaign_id: int) -> list[tuple[Any, ...]]:
    rows = await database.fetch(
        "SELECT position, delay, content, type_message, media_id, media_path FROM messages WHERE campaign_id = $1"
        " AND deleted_at IS NULL ORDER BY position",
        campaign_id,
    )
    return [tuple(row) for row in rows]


async def _begin(user: Member, campaign_id: int) -> list[int]:
    """Start a campaign, freeze its audience, and return whom it goes to."""
    await services.start_campaign(user.id, campaign_id)
    await run_jobs(campaign_id)
    assert await standing(campaign_id) == (2, "sending")
    return [row["contact_id"] for row in await recipients(campaign_id) if row["state"] == "pending"]


async def _image(user: Member) -> int:
    """Insert a file that is there."""
    file = {"filename": "a.png", "kind": 2, "content_type": "image/png", "size": 1, "path": "x/a", "state": "ready"}
    return await insert("media", user_id=user.id, **file)


async def _refused(user: Member, draft: CampaignCreate) -> dict[str, list[str]]:
    """Return what a draft is refused for, by field."""
    with pytest.raises(InvalidInputError) as caught:
        await editing.create_campaign(user.id, draft)
    return {field: [str(problem) for problem in problems] for field, problems in caught.value.errors.items()}


class TestSimplified:
    async def _audience(self, user: Member) -> int:
        await give_plan(user.id)
        return await make_public(user.id, await make_contacts(user.id, [phone(), phone()]))

    async def _make(self, user: Member, public_id: int, **fields: Any) -> int:
        draft = {"name": "S", "type": CampaignType.SIMPLIFIED, "public_id": public_id, "messages": ONE_TEXT}
        return await editing.create_campaign(user.id, CampaignCreate(**{**draft, **fields}))

    async def test_needs_one_text_and_an_audience_and_nothing_else(
        self, user: Member, tenant: httpx.AsyncClient
    ) -> None:
        public_id = await self._audience(user)
        number_id = await make_number(user.id)
        draft = {"name": "S", "type": 2, "public_id": public_id, "messages": [{"content": "Oi {{ nome }}"}]}
        made = await tenant.post("/api/campaigns", json=draft)
        assert made.status_code == 201, made.text
        data = made.json()["data"]
        assert (data["number_ids"], data["number_id"]) == ([number_id], number_id)
        assert msgspec.convert(data["settings"]["pacing"], Pacing) == DEFAULT_PACING
        assert (await tenant.post(f"/api/campaigns/{data['id']}/start")).status_code == 202
        await run_jobs(data["id"])
        assert await standing(data["id"]) == (2, "sending")

    async def test_takes_the_oldest_number_that_is_connected(self, user: Member, other_user: Member) -> None:
        public_id = await self._audience(user)
        await make_number(other_user.id)
        await make_number(user.id, status_connection=False)
        await make_number(user.id, status=False)
        wanted = await make_number(user.id)
        await make_number(user.id)
        assert await _numbers(await self._make(user, public_id)) == [wanted]

    async def test_takes_one_that_may_connect_where_none_is(self, user: Member) -> None:
        public_id = await self._audience(user)
        away = await make_number(user.id, status_connection=False)
        assert await _numbers(await self._make(user, public_id)) == [away]

    async def test_a_number_that_came_later_is_taken_at_the_start(self, user: Member, other_user: Member) -> None:
        public_id = await self._audience(user)
        await make_number(other_user.id)
        campaign_id = await self._make(user, public_id)
        with pytest.raises(InvalidInputError) as caught:
            await services.start_campaign(user.id, campaign_id)
        assert set(caught.value.errors) == {"number_ids"}
        number_id = await make_number(user.id)
        assert len(await _begin(user, campaign_id)) == 2
        assert await _numbers(campaign_id) == [number_id]

    async def test_a_choice_of_ones_own_stands(self, user: Member) -> None:
        public_id = await self._audience(user)
        await make_number(user.id)
        chosen = await make_number(user.id)
        campaign_id = await self._make(user, public_id, number_ids=(chosen,))
        await editing.update_campaign(user.id, campaign_id, CampaignUpdate(name="New"))
        await _begin(user, campaign_id)
        assert await _numbers(campaign_id) == [chosen]

    async def test_a_choice_that_is_taken_back_is_made_again(self, user: Member) -> None:
        public_id = await self._audience(user)
        first = await make_number(user.id)
        campaign_id = await self._make(user, public_id, number_ids=(await make_number(user.id),))
        await editing.update_campaign(user.id, campaign_id, CampaignUpdate(number_ids=()))
        assert await _numbers(campaign_id) == [first]

    @pytest.mark.parametrize("kind", [CampaignType.STANDARD, CampaignType.CUSTOM, CampaignType.BY_LABELS])
    async def test_of_no_other_type_a_number_is_chosen(self, user: Member, kind: CampaignType) -> None:
        await give_plan(user.id)
        await make_number(user.id)
        assert await _numbers(await editing.create_campaign(user.id, CampaignCreate(name="x", type=kind))) == []

    async def test_has_no_second_text_no_file_and_no_labels(self, user: Member) -> None:
        await give_plan(user.id)
        label = await insert("labels", user_id=user.id, name="VIP")
        draft = CampaignCreate(
            name="S",
            type=CampaignType.SIMPLIFIED,
            settings=CampaignSettings(labels=LabelFilter(any=(label,))),
            messages=(*ONE_TEXT, MessageCreate(type_message=MessageType.IMAGE, media_id=await _image(user))),
        )
        assert await _refused(user, draft) == {
            "messages": ["A simplified campaign has one message."],
            "messages.1.type_message": ["A simplified campaign sends a text alone; choose another type for files."],
            "settings.labels": ["Only a campaign by labels (type 4) takes labels."],
        }


class TestCustom:
    async def test_has_every_setting_and_variables_of_each_contact(
        self, user: Member, tenant: httpx.AsyncClient, sink: Sink, sink_url: str
    ) -> None:
        await give_plan(user.id)
        number_id = await make_number(user.id, sink_url, BARE)
        people = [
            await add_contact(tenant, name=name, variables={"cidade": city})
            for name, city in (("Ana", "Natal"), ("Bia", "Belém"))
        ]
        settings = {
            "pacing": {"per_hour": 500},
            "stop_on_reply": False,
            "check_numbers": False,
            "sticky": False,
            "failover_minutes": None,
            "schedule": {"timezone": "America/Bahia", "missed": "skip", "max_lateness_minutes": 5},
            "entropy": {"max_share": 0.5},
        }
        draft = {
            "name": "C",
            "type": 3,
            "number_ids": [number_id],
            "public_id": await make_public(user.id, [person["id"] for person in people]),
            "settings": settings,
            "messages": [{"content": "{{ nome }} em {{ cidade }}"}],
        }
        made = await add(tenant, "campaigns", **draft)
        assert {name: made["settings"][name] for name in settings if name != "pacing"} == {
            name: value for name, value in settings.items() if name != "pacing"
        }
        assert made["settings"]["pacing"]["per_hour"] == 500
        await _begin(user, made["id"])
        async with asyncio.timeout(20):
            while len(sink.posts) < len(people):
                await Dispatcher(16, asyncio.Event()).run()
        texts = {post.address: post.text for post in sink.posts}
        assert [texts[person["number"]] for person in people] == ["Ana em Natal", "Bia em Belém"]


class TestByLabels:
    async def _draft(self, user: Member, labels: LabelFilter, **fields: Any) -> CampaignCreate:
        await give_plan(user.id)
        draft = {
            "name": "L",
            "type": CampaignType.BY_LABELS,
            "number_ids": (await make_number(user.id),),
            "settings": CampaignSettings(labels=labels),
            "messages": ONE_TEXT,
        }
        return CampaignCreate(**{**draft, **fields})

    async def _labels(self, user: Member, names: str) -> list[int]:
        return [await insert("labels", user_id=user.id, name=name) for name in names]

    async def _contact(self, user: Member, *labels: int) -> int:
        (contact_id,) = await make_contacts(user.id, [phone()], labels=database.encode_json(sorted(labels)))
        return contact_id

    async def test_any_all_and_none_hold_together(self, user: Member) -> None:
        a, b, c, d, e = await self._labels(user, "abcde")
        wanted = [await self._contact(user, *labels) for labels in ((a, c), (b, c), (a, b, c))]
        for labels in ((), (a,), (c,), (a, d), (a, c, d), (b, c, e), (d, e)):
            await self._contact(user, *labels)
        found = LabelFilter(any=(a, b), all=(c,), none=(d, e))
        campaign_id = await editing.create_campaign(user.id, await self._draft(user, found))
        assert await _begin(user, campaign_id) == wanted

    @pytest.mark.parametrize(("wish", "wanted"), [("any", ["a", "b", "ab"]), ("all", ["ab"]), ("none", ["", "c"])])
    async def test_each_alone(self, user: Member, wish: str, wanted: list[str]) -> None:
        ids = dict(zip("abc", await self._labels(user, "abc"), strict=True))
        people = {
            names: await self._contact(user, *(ids[name] for name in names)) for names in ("a", "b", "ab", "", "c")
        }
        found = msgspec.convert({wish: [ids["a"], ids["b"]]}, LabelFilter)
        campaign_id = await editing.create_campaign(user.id, await self._draft(user, found))
        assert await _begin(user, campaign_id) == sorted(people[names] for names in wanted)

    async def test_is_evaluated_at_the_start_and_not_when_it_is_saved_or_later(self, user: Member) -> None:
        (label,) = await self._labels(user, "a")
        before, leaves = await self._contact(user, label), await self._contact(user, label)
        campaign_id = await editing.create_campaign(user.id, await self._draft(user, LabelFilter(any=(label,))))
        await database.execute("UPDATE contacts SET labels = '[]' WHERE id = $1", leaves)
        comes = await self._contact(user, label)
        assert await _begin(user, campaign_id) == [before, comes]
        await self._contact(user, label)
        await run_jobs(campaign_id)
        assert [row["contact_id"] for row in await recipients(campaign_id)] == [before, comes]

    async def test_takes_no_audience_beside_its_labels(self, user: Member) -> None:
        (label,) = await self._labels(user, "a")
        public_id = await make_public(user.id, [])
        draft = await self._draft(user, LabelFilter(any=(label,)), public_id=public_id)
        assert await _refused(user, draft) == {
            "public_id": ["A campaign by labels takes its audience from settings.labels."]
        }

    @pytest.mark.parametrize("kind", [CampaignType.STANDARD, CampaignType.SIMPLIFIED, CampaignType.CUSTOM])
    async def test_no_other_type_takes_labels(self, user: Member, kind: CampaignType) -> None:
        (label,) = await self._labels(user, "a")
        draft = await self._draft(user, LabelFilter(none=(label,)), type=kind)
        assert await _refused(user, draft) == {"settings.labels": ["Only a campaign by labels (type 4) takes labels."]}

    async def test_whose_label_is_deleted_before_the_start_says_so(self, user: Member) -> None:
        (label,) = await self._labels(user, "a")
        campaign_id = await editing.create_campaign(user.id, await self._draft(user, LabelFilter(any=(label,))))
        await database.execute("UPDATE labels SET deleted_at = now() WHERE id = $1", label)
        with pytest.raises(InvalidInputError) as caught:
            await services.start_campaign(user.id, campaign_id)
        assert set(caught.value.errors) == {"settings.labels"}
        assert await standing(campaign_id) == (1, "draft")

    async def test_whose_label_is_deleted_after_the_start_fails_and_says_so(self, user: Member) -> None:
        (label,) = await self._labels(user, "a")
        campaign_id = await editing.create_campaign(user.id, await self._draft(user, LabelFilter(any=(label,))))
        await services.start_campaign(user.id, campaign_id)
        await database.execute("UPDATE labels SET deleted_at = now() WHERE id = $1", label)
        await run_jobs(campaign_id)
        assert await standing(campaign_id) == (6, "audience_gone")


class TestCopies:
    async def test_have_every_message_number_and_setting(self, user: Member) -> None:
        settings = {
            "stop_on_reply": False,
            "sticky": False,
            "failover_minutes": 3.0,
            "schedule": Schedule(timezone="America/Bahia", missed="send"),
            "entropy": EntropyLimit(max_share=0.25),
        }
        made = await make_campaign(
            user,
            numbers=3,
            messages=("a", "{b|c} {{ nome }}"),
            delays=(0, 60),
            settings=settings,
            capabilities=msgspec.structs.replace(BARE, media=(MessageKind.IMAGE,)),
        )
        media_id = await _image(user)
        await database.execute(
            "UPDATE messages SET type_message = 2, media_id = $2, media_path = 'x/a' WHERE id = $1",
            made.message_ids[1],
            media_id,
        )
        copy = await editing.duplicate_campaign(user.id, made.id)
        assert await _messages(copy) == await _messages(made.id)
        assert await _numbers(copy) == made.number_ids
        assert (await campaign_row(copy))["settings"] == (await campaign_row(made.id))["settings"]

    async def test_of_one_by_labels_have_its_labels(self, user: Member) -> None:
        label = await insert("labels", user_id=user.id, name="VIP")
        await give_plan(user.id)
        settings = CampaignSettings(labels=LabelFilter(all=(label,)))
        draft = CampaignCreate(name="L", type=CampaignType.BY_LABELS, settings=settings)
        copy = await editing.duplicate_campaign(user.id, await editing.create_campaign(user.id, draft))
        row = await campaign_row(copy)
        assert row["type"] == CampaignType.BY_LABELS
        assert msgspec.json.decode(row["settings"], type=CampaignSettings).labels == LabelFilter(all=(label,))

    async def test_of_one_whose_label_is_gone_are_refused(self, user: Member) -> None:
        label = await insert("labels", user_id=user.id, name="VIP")
        await give_plan(user.id)
        settings = CampaignSettings(labels=LabelFilter(any=(label,)))
        draft = CampaignCreate(name="L", type=CampaignType.BY_LABELS, settings=settings)
        campaign_id = await editing.create_campaign(user.id, draft)
        await database.execute("UPDATE labels SET deleted_at = now() WHERE id = $1", label)
        with pytest.raises(InvalidInputError) as caught:
            await editing.duplicate_campaign(user.id, campaign_id)
        assert set(caught.value.errors) == {"settings.labels"}

    async def test_change_apart_from_what_they_were_copied_from(self, user: Member) -> None:
        made = await make_campaign(user, messages=("a",))
        copy = await editing.duplicate_campaign(user.id, made.id)
        await editing.update_campaign(user.id, copy, CampaignUpdate(messages=(MessageCreate(content="b"),)))
        assert [message[2] for message in await _messages(made.id)] == ["a"]


async def test_a_text_changed_while_it_runs_is_for_what_is_not_on_its_way(
    user: Member, sink: Sink, sink_url: str
) -> None:
    made: Made = await running(user, contacts=3, url=sink_url, capabilities=BARE, messages=("Old",))
    gate = asyncio.Event()
    sink.gates = [gate]
    sending = asyncio.create_task(Dispatcher(1, asyncio.Event()).run())
    async with asyncio.timeout(20):
        while not sink.posts:
            await sink.changed.wait()
        await editing.update_campaign(user.id, made.id, CampaignUpdate(messages=(MessageCreate(content="New"),)))
        gate.set()
        await sending
        while len(sink.posts) < 3:
            await Dispatcher(1, asyncio.Event()).run()
    assert [post.text for post in sink.posts] == ["Old", "New", "New"]
    assert sorted(sink.addresses) == sorted(made.phones)
