from datetime import timedelta
from typing import Any

import msgspec
import pytest

from core import database
from core.campaigns import freeze as freezing
from core.campaigns import lanes, services
from core.campaigns.pacing import Pacing
from core.campaigns.schemas import LabelFilter
from core.campaigns.tables import CampaignType
from core.campaigns.windows import Window
from core.contacts.filters import AudienceFilter
from core.contacts.variables import remember_names
from core.jobs import leasing
from tests.core.campaigns.making import (
    Made,
    add_campaign,
    campaign_row,
    counted,
    counters,
    give_plan,
    insert,
    lane_row,
    make_campaign,
    make_contacts,
    make_number,
    make_public,
    now,
    phone,
    recipients,
    run_jobs,
    running,
    standing,
    start,
    states,
)
from tests.core.campaigns.sink import NAME
from tests.factories import Member


async def _frozen(user: Member, phones: list[str], **contact: object) -> tuple[Made, list[int]]:
    contact_ids = await make_contacts(user.id, phones, **contact)
    number_id = await make_number(user.id)
    made = await add_campaign(user, [number_id], await make_public(user.id, contact_ids))
    return made, contact_ids


class TestRows:
    async def test_one_for_each_message_and_contact(self, user: Member) -> None:
        made = await running(user, messages=("a", "b"))
        rows = await recipients(made.id)
        assert [(row["message_id"], row["contact_id"], row["position"]) for row in rows] == [
            (message_id, contact_id, place)
            for place, message_id in enumerate(made.message_ids, start=1)
            for contact_id in made.contact_ids
        ]
        assert [row["address"] for row in rows] == made.phones * 2

    async def test_only_the_first_step_is_due(self, user: Member) -> None:
        made = await running(user, messages=("a", "b"))
        assert [row["due_at"] is not None for row in await recipients(made.id)] == [True] * 3 + [False] * 3

    async def test_the_campaign_counts_them_and_sends(self, user: Member) -> None:
        made = await running(user, messages=("a", "b"))
        row = await campaign_row(made.id)
        assert (row["status"], row["status_reason"], row["total"]) == (2, "sending", 6)
        assert row["frozen_at"] >= row["started_at"]

    async def test_its_lanes_are_due(self, user: Member) -> None:
        made = await running(user, numbers=2)
        for number_id in made.number_ids:
            lane = await lane_row(number_id)
            assert (lane["user_id"], lane["holder"]) == (user.id, None)
            assert lane["due_at"] <= await now()

    async def test_variables_are_as_they_were(self, user: Member) -> None:
        await remember_names(user.id, ("cidade", "nada"))
        made = await make_campaign(user, contacts=1, messages=("{{ nome }} {{ numero }} {{ cidade }} {{ nada }}",))
        await database.execute(
            "UPDATE contacts SET name = 'Ana', variables = $2 WHERE id = $1",
            made.contact_ids[0],
            '{"cidade": "Recife", "idade": 3}',
        )
        await start(made)
        await database.execute("UPDATE contacts SET name = 'Bia', variables = '{}' WHERE id = $1", made.contact_ids[0])
        (row,) = await recipients(made.id)
        assert msgspec.json.decode(row["variables"]) == {
            "nome": "Ana",
            "numero": made.phones[0],
            "cidade": "Recife",
            "nada": "",
        }

    async def test_a_text_without_variables_freezes_none(self, user: Member) -> None:
        made = await running(user, messages=("Oi",))
        assert [row["variables"] for row in await recipients(made.id)] == [None] * 3

    async def test_later_changes_of_the_audience_change_nothing(self, user: Member) -> None:
        made = await running(user)
        late = await make_contacts(user.id, [phone()])
        await insert("public_by_contacts", public_id=made.public_id, contact_id=late[0])
        await run_jobs(made.id)
        assert len(await recipients(made.id)) == 3

    async def test_an_empty_audience_completes_with_nothing(self, user: Member) -> None:
        made = await running(user, contacts=0)
        row = await campaign_row(made.id)
        assert (row["total"], row["frozen_at"] is not None) == (0, True)


class TestSkipped:
    @pytest.mark.parametrize(
        ("contact", "reason"),
        [
            ({"status": 2}, "contact_inactive"),
            ({"number": None}, "no_number"),
            ({"type": 2}, "no_address"),
        ],
    )
    async def test_by_the_contact(self, user: Member, contact: dict[str, object], reason: str) -> None:
        await give_plan(user.id)
        made, _ = await _frozen(user, [phone()], **contact)
        await start(made)
        assert await states(made.id) == [f"skipped:{reason}"]
        assert await counters(made.id) == {"skipped": 1}

    async def test_who_opted_out(self, user: Member) -> None:
        await give_plan(user.id)
        made, _ = await _frozen(user, [phone()], blocked_at=await now())
        await start(made)
        assert await states(made.id) == ["skipped:opted_out"]

    async def test_blocked_numbers(self, user: Member) -> None:
        made = await make_campaign(user)
        await insert("block_contacts", user_id=user.id, number=made.phones[1])
        await start(made)
        assert await states(made.id) == ["pending", "skipped:blocked", "pending"]

    async def test_another_tenants_block_list_is_theirs(self, user: Member, other_user: Member) -> None:
        made = await make_campaign(user, contacts=1)
        await insert("block_contacts", user_id=other_user.id, number=made.phones[0])
        await start(made)
        assert await states(made.id) == ["pending"]

    async def test_deleted_contacts_have_no_row(self, user: Member) -> None:
        made = await make_campaign(user, contacts=2)
        await database.execute("UPDATE contacts SET deleted_at = now() WHERE id = $1", made.contact_ids[0])
        await start(made)
        assert [row["contact_id"] for row in await recipients(made.id)] == made.contact_ids[1:]

    async def test_every_step_with_its_contact(self, user: Member) -> None:
        made = await make_campaign(user, contacts=2, messages=("a", "b"))
        await insert("block_contacts", user_id=user.id, number=made.phones[0])
        await start(made)
        assert await states(made.id) == ["skipped:blocked", "pending"] * 2
        assert await counters(made.id) == {"skipped": 2}


async def _check(number: str, *, address: str = "", age: str = "0 s") -> None:
    await database.execute(
        "INSERT INTO number_checks (provider, number, found, address, checked_at)"
        " VALUES ($1, $2, $3, $4, now() - $5::text::interval)",
        NAME,
        number,
        bool(address),
        address,
        age,
    )


class TestChecks:
    async def test_a_number_known_to_have_no_account_is_skipped(self, user: Member) -> None:
        made = await make_campaign(user, contacts=1)
        await _check(made.phones[0])
        await start(made)
        assert await states(made.id) == ["skipped:no_whatsapp"]

    async def test_but_not_for_longer_than_a_day(self, user: Member) -> None:
        made = await make_campaign(user, contacts=1)
        await _check(made.phones[0], age="25 h")
        await start(made)
        assert await states(made.id) == ["pending"]

    async def test_a_known_address_is_frozen(self, user: Member) -> None:
        made = await make_campaign(user, contacts=1)
        await _check(made.phones[0], address="55119@c.us", age="29 days")
        await start(made)
        assert [row["provider_address"] for row in await recipients(made.id)] == ["55119@c.us"]

    async def test_an_old_one_is_not(self, user: Member) -> None:
        made = await make_campaign(user, contacts=1)
        await _check(made.phones[0], address="55119@c.us", age="31 days")
        await start(made)
        assert [row["provider_address"] for row in await recipients(made.id)] == [None]

    async def test_the_second_contact_of_one_account_is_skipped(self, user: Member) -> None:
        made = await make_campaign(user, contacts=3)
        for number in made.phones[:2]:
            await _check(number, address="same@c.us")
        await start(made)
        assert await states(made.id) == ["pending", "skipped:duplicate_address", "pending"]

    async def test_a_contact_that_is_left_out_does_not_stand_in_anothers_way(self, user: Member) -> None:
        made = await make_campaign(user, contacts=2)
        for number in made.phones:
            await _check(number, address="same@c.us")
        await insert("block_contacts", user_id=user.id, number=made.phones[0])
        await start(made)
        assert await states(made.id) == ["skipped:blocked", "pending"]

    async def test_a_group_is_sent_to_at_its_address(self, user: Member) -> None:
        await give_plan(user.id)
        contact_ids = await make_contacts(user.id, [phone()], number=None, type=2)
        await database.execute(
            "INSERT INTO contact_addresses (contact_id, provider, number, address, checked_at)"
            " VALUES ($1, $2, '', '1203@g.us', now())",
            contact_ids[0],
            NAME,
        )
        number_id = await make_number(user.id)
        made = await start(await add_campaign(user, [number_id], await make_public(user.id, contact_ids)))
        (row,) = await recipients(made.id)
        assert (row["state"], row["provider_address"]) == ("pending", "1203@g.us")


class TestPlan:
    async def test_contacts_over_the_months_messages_are_skipped(self, user: Member) -> None:
        made = await running(user, contacts=4, messages=("a", "b"), plan={"monthly_messages": 5})
        assert await states(made.id) == (["pending"] * 2 + ["skipped:over_plan"] * 2) * 2

    async def test_messages_sent_already_count(self, user: Member) -> None:
        made = await make_campaign(user, contacts=3, plan={"monthly_messages": 5})
        month = (await now()).strftime("%Y-%m")
        await insert("send_counters", scope="plan", scope_id=user.id, period=month, used=4)
        await start(made)
        assert await states(made.id) == ["pending", "skipped:over_plan", "skipped:over_plan"]

    async def test_who_is_left_out_takes_no_room(self, user: Member) -> None:
        made = await make_campaign(user, contacts=3, plan={"monthly_messages": 2})
        await insert("block_contacts", user_id=user.id, number=made.phones[0])
        await start(made)
        assert await states(made.id) == ["skipped:blocked", "pending", "pending"]

    async def test_an_unlimited_plan_takes_all(self, user: Member) -> None:
        made = await running(user, contacts=3, plan={"monthly_messages": 1, "unlimited": True})
        assert await states(made.id) == ["pending"] * 3


class TestBatches:
    async def test_together_hold_every_contact_once(self, user: Member, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(freezing, "BATCH_CONTACTS", 2)
        made = await running(user, contacts=5, messages=("a", "b"))
        rows = await recipients(made.id)
        assert sorted((row["message_id"], row["contact_id"]) for row in rows) == sorted(
            (message_id, contact_id) for message_id in made.message_ids for contact_id in made.contact_ids
        )
        assert (await campaign_row(made.id))["total"] == 10

    async def test_caps_and_duplicates_hold_over_batches(self, user: Member, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(freezing, "BATCH_CONTACTS", 1)
        made = await make_campaign(user, contacts=4, plan={"monthly_messages": 2})
        for number in made.phones[:2]:
            await _check(number, address="same@c.us")
        await start(made)
        expected = ["pending", "skipped:duplicate_address", "pending", "skipped:over_plan"]
        assert await states(made.id) == expected
        assert await counters(made.id) == await counted(made.id) == {"skipped": 2}

    async def test_a_broken_off_freeze_goes_on_without_doubles(
        self, user: Member, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(freezing, "BATCH_CONTACTS", 2)
        made = await make_campaign(user, contacts=5)
        await services.start_campaign(user.id, made.id)
        wake = lanes.wake

        async def break_off(*_: object) -> None:
            raise OSError("the connection was lost")

        monkeypatch.setattr(lanes, "wake", break_off)
        await run_jobs(made.id)
        assert len(await recipients(made.id)) == 2
        monkeypatch.setattr(lanes, "wake", wake)
        await run_jobs(made.id)
        assert [row["contact_id"] for row in await recipients(made.id)] == made.contact_ids
        row = await campaign_row(made.id)
        assert (row["total"], row["status_reason"]) == (5, "sending")

    async def test_sending_may_begin_with_the_first(self, user: Member, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(freezing, "BATCH_CONTACTS", 2)
        made = await make_campaign(user, contacts=4)
        await services.start_campaign(user.id, made.id)
        seen: list[int] = []
        wake = lanes.wake

        async def look(*args: Any) -> None:
            seen.append(len(await recipients(made.id)))
            await wake(*args)

        monkeypatch.setattr(lanes, "wake", look)
        await run_jobs(made.id)
        assert seen[:2] == [2, 4]


class TestEndings:
    async def test_a_paused_campaign_is_frozen_and_stays_paused(self, user: Member) -> None:
        made = await make_campaign(user)
        await services.start_campaign(user.id, made.id)
        await services.pause_campaign(user.id, made.id)
        await run_jobs(made.id)
        assert await standing(made.id) == (3, "paused_by_user")
        assert len(await recipients(made.id)) == 3

    async def test_a_cancelled_one_is_not_frozen(self, user: Member) -> None:
        made = await make_campaign(user)
        await services.start_campaign(user.id, made.id)
        await services.cancel_campaign(user.id, made.id)
        await run_jobs(made.id)
        assert await recipients(made.id) == []

    async def test_a_cancellation_half_way_leaves_nothing_pending(
        self, user: Member, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(freezing, "BATCH_CONTACTS", 2)
        made = await make_campaign(user, contacts=6)
        await services.start_campaign(user.id, made.id)
        wake = lanes.wake
        cancelled: list[bool] = []

        async def cancel_once(*args: Any) -> None:
            if not cancelled:
                cancelled.append(True)
                await services.cancel_campaign(user.id, made.id)
            await wake(*args)

        monkeypatch.setattr(lanes, "wake", cancel_once)
        await run_jobs(made.id)
        await run_jobs(made.id)
        assert await states(made.id) == ["skipped:canceled"] * 2
        assert (await campaign_row(made.id))["frozen_at"] is None

    async def test_a_deleted_audience_fails_the_campaign(self, user: Member) -> None:
        made = await make_campaign(user)
        await services.start_campaign(user.id, made.id)
        await database.execute("UPDATE publics SET deleted_at = now() WHERE id = $1", made.public_id)
        await run_jobs(made.id)
        assert await standing(made.id) == (6, "audience_gone")

    async def test_a_second_run_changes_nothing(self, user: Member) -> None:
        made = await running(user)
        job_id = await database.fetch_value("SELECT id FROM jobs WHERE subject_id = $1", made.id)
        await database.execute("UPDATE jobs SET status = 'waiting' WHERE id = $1", job_id)
        before = await campaign_row(made.id)
        assert isinstance(job_id, int)
        await leasing.run_job(job_id)
        assert await campaign_row(made.id) == before
        assert len(await recipients(made.id)) == 3


class TestLabels:
    async def test_an_audience_by_labels_is_that_of_the_start(self, user: Member) -> None:
        await give_plan(user.id)
        label = await insert("labels", user_id=user.id, name="VIP")
        labelled = await make_contacts(user.id, [phone(), phone()], labels=f"[{label}]")
        await make_contacts(user.id, [phone()])
        number_id = await make_number(user.id)
        public_id = await make_public(user.id, [])
        made = await add_campaign(user, [number_id], public_id)
        await database.execute(
            "UPDATE campaigns SET type = $2, public_id = NULL, settings = $3 WHERE id = $1",
            made.id,
            CampaignType.BY_LABELS,
            database.encode_json({"pacing": {}, "labels": LabelFilter(any=(label,))}),
        )
        await start(made)
        assert [row["contact_id"] for row in await recipients(made.id)] == labelled


class TestSeveralAudiences:
    async def test_who_is_in_two_gets_each_message_once_and_who_is_left_out_none(self, user: Member) -> None:
        await give_plan(user.id)
        contact_ids = await make_contacts(user.id, [phone() for _ in range(5)])
        first, second, apart = [
            await make_public(user.id, contact_ids[start:end]) for start, end in ((0, 3), (1, 5), (4, 5))
        ]
        made = await add_campaign(user, [await make_number(user.id)], first)
        await database.execute(
            "UPDATE campaigns SET public_id = NULL, settings = settings || $2::jsonb WHERE id = $1",
            made.id,
            database.encode_json({"audiences": AudienceFilter(any=[first, second], none=[apart])}),
        )
        await start(made)
        assert [row["contact_id"] for row in await recipients(made.id)] == contact_ids[:4]

    async def test_with_an_audience_of_its_own_they_narrow_it(self, user: Member) -> None:
        await give_plan(user.id)
        contact_ids = await make_contacts(user.id, [phone() for _ in range(3)])
        whole, part = await make_public(user.id, contact_ids), await make_public(user.id, contact_ids[1:])
        made = await add_campaign(user, [await make_number(user.id)], whole)
        await database.execute(
            "UPDATE campaigns SET settings = settings || $2::jsonb WHERE id = $1",
            made.id,
            database.encode_json({"audiences": AudienceFilter(all=[part])}),
        )
        await start(made)
        assert [row["contact_id"] for row in await recipients(made.id)] == contact_ids[1:]


BY_RECIPIENT = Pacing(window_zone="recipient", windows=(Window("08:00", "20:00"),))


class TestZones:
    async def test_are_those_of_the_numbers_areas(self, user: Member) -> None:
        await give_plan(user.id)
        await database.execute("UPDATE users SET timezone = 'America/Bahia' WHERE id = $1", user.id)
        phones = ["5511987650001", "5592987650002", "351912345678", "99912345678"]
        contact_ids = await make_contacts(user.id, phones)
        made = await start(
            await add_campaign(
                user, [await make_number(user.id)], await make_public(user.id, contact_ids), pacing=BY_RECIPIENT
            )
        )
        zones = ["America/Sao_Paulo", "America/Manaus", "Europe/Lisbon", "America/Bahia"]
        assert [row["zone"] for row in await recipients(made.id)] == zones
        assert msgspec.json.decode((await campaign_row(made.id))["zones"]) == sorted(zones)

    async def test_of_whoever_has_no_number_is_the_tenants(self, user: Member) -> None:
        await give_plan(user.id)
        await database.execute("UPDATE users SET timezone = 'America/Bahia' WHERE id = $1", user.id)
        group = await insert("contacts", user_id=user.id, name="Group", type=2)
        await insert(
            "contact_addresses", contact_id=group, provider=NAME, number="", address="1@g.us", checked_at=await now()
        )
        made = await start(
            await add_campaign(
                user, [await make_number(user.id)], await make_public(user.id, [group]), pacing=BY_RECIPIENT
            )
        )
        assert [row["zone"] for row in await recipients(made.id)] == ["America/Bahia"]

    async def test_are_not_asked_for_where_windows_go_by_the_tenant(self, user: Member) -> None:
        made = await running(user, pacing=Pacing(windows=(Window("00:00", "24:00"),)))
        assert {row["zone"] for row in await recipients(made.id)} == {None}
        assert (await campaign_row(made.id))["zones"] == "[]"

    async def test_of_several_batches_come_together(self, user: Member, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(freezing, "BATCH_CONTACTS", 1)
        await give_plan(user.id)
        await database.execute("UPDATE users SET timezone = 'UTC' WHERE id = $1", user.id)
        contact_ids = await make_contacts(user.id, ["5511987650001", "351912345678"])
        made = await start(
            await add_campaign(
                user, [await make_number(user.id)], await make_public(user.id, contact_ids), pacing=BY_RECIPIENT
            )
        )
        zones = ["America/Sao_Paulo", "Europe/Lisbon", "UTC"]
        assert msgspec.json.decode((await campaign_row(made.id))["zones"]) == zones


class TestSticky:
    async def _talked(self, made: Made, *, hours: tuple[int, ...]) -> None:
        """Have the first contact write to each number, so many hours ago."""
        moment = await now()
        for number_id, ago in zip(made.number_ids, hours, strict=True):
            await insert(
                "conversations",
                user_id=made.user_id,
                contact_id=made.contact_ids[0],
                number_id=number_id,
                last_inbound_at=moment - timedelta(hours=ago),
            )

    async def test_a_contact_gets_the_number_it_last_wrote_to(self, user: Member) -> None:
        made = await make_campaign(user, numbers=3)
        await self._talked(made, hours=(5, 1, 3))
        await start(made)
        assert [row["number_id"] for row in await recipients(made.id)] == [made.number_ids[1], None, None]

    async def test_unless_the_campaign_says_otherwise(self, user: Member) -> None:
        made = await make_campaign(user, numbers=2, settings={"sticky": False})
        await self._talked(made, hours=(5, 1))
        await start(made)
        assert {row["number_id"] for row in await recipients(made.id)} == {None}

    async def test_a_number_that_is_not_the_campaigns_is_none(self, user: Member) -> None:
        made = await make_campaign(user, numbers=2)
        await insert(
            "conversations",
            user_id=user.id,
            contact_id=made.contact_ids[0],
            number_id=await make_number(user.id),
            last_inbound_at=await now(),
        )
        await start(made)
        assert {row["number_id"] for row in await recipients(made.id)} == {None}
