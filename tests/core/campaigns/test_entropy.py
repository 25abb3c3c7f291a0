import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest

from core import database
from core.campaigns import editing, freeze, scheduling, services
from core.campaigns.defaults import set_entropy_limit
from core.campaigns.entropy import read_measurement, request_measurement
from core.campaigns.entropy_schemas import Entropy, EntropyLimit, EntropyRead, MessageEntropy
from core.campaigns.explain import explain
from core.campaigns.preview import preview
from core.campaigns.renderings import measure
from core.campaigns.schemas import CampaignCreate, CampaignSettings, CampaignUpdate, LabelFilter, MessageCreate
from core.campaigns.sending import message_text
from core.campaigns.tables import CampaignType
from core.campaigns.turns import load_steps
from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.jobs import leasing
from core.jobs.services import cancel_job, create_job, get_job
from tests.core.campaigns.making import (
    Made,
    add_campaign,
    campaign_row,
    give_plan,
    insert,
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
)
from tests.factories import Member

ALIKE = "Oi, tudo bem?"
VARIED = "{Oi|Olá|Hey} {{ nome }}"


async def _measure(made: Made) -> Entropy:
    """Have a campaign measured and return what was found."""
    await request_measurement(made.user_id, made.id)
    await run_jobs(made.id)
    read = await read_measurement(made.user_id, made.id)
    assert (read.status, read.error) == ("done", "")
    assert read.result is not None
    return read.result


async def _previewed(made: Made) -> Counter[str]:
    """Count the texts of the first message as the preview shows them, of all contacts."""
    shown = [await preview(made.user_id, made.id, contact_id) for contact_id in made.contact_ids]
    return Counter(found.messages[0].text for (found,) in shown)


async def _limited(user: Member, share: float | None = 0.5, **wishes: Any) -> Made:
    """Make a campaign with a limit of its own."""
    settings = {"entropy": EntropyLimit(max_share=share), **wishes.pop("settings", {})}
    return await make_campaign(user, **{"messages": (ALIKE,), "settings": settings, **wishes})


async def _freeze_result(made: Made) -> dict[str, Any]:
    """Return what came of the campaign's last freeze."""
    job_id = await database.fetch_value(
        "SELECT max(id) FROM jobs WHERE kind = 'campaigns.freeze' AND subject_id = $1", made.id
    )
    assert isinstance(job_id, int)
    job = await get_job(made.user_id, job_id)
    assert (job.status, job.error) == ("done", "")
    return job.result


async def _vary(made: Made) -> None:
    """Give a campaign texts that differ."""
    await editing.update_campaign(
        made.user_id, made.id, CampaignUpdate(messages=(MessageCreate(content="Oi {{ nome }}"),))
    )


class TestMeasured:
    async def test_a_constant_text_is_one_for_all(self, user: Member) -> None:
        made = await make_campaign(user, contacts=7, messages=(ALIKE,))
        found = await _measure(made)
        assert (found.campaign_id, found.contacts, found.sampled) == (made.id, 7, 7)
        (message,) = found.messages
        assert (message.message_id, message.position) == (made.message_ids[0], 1)
        assert (message.texts, message.distinct, message.most_frequent_count) == (7, 1, 7)
        assert (message.most_frequent_share, message.most_frequent_text) == (1.0, ALIKE)

    async def test_variants_are_those_that_are_sent(self, user: Member) -> None:
        made = await make_campaign(user, contacts=100, messages=("{Oi|Olá}",))
        sent = await _previewed(made)
        count = max(sent.values())
        (message,) = (await _measure(made)).messages
        assert (message.texts, message.distinct, message.most_frequent_count) == (100, 2, count)
        assert message.most_frequent_share == count / 100
        assert sent[message.most_frequent_text] == count

    async def test_variables_make_each_text_ones_own(self, user: Member) -> None:
        made = await make_campaign(user, contacts=20, messages=("Oi {{ nome }}", ALIKE))
        first, second = (await _measure(made)).messages
        assert (first.position, first.distinct, first.most_frequent_share) == (1, 20, 0.05)
        assert (second.position, second.distinct, second.most_frequent_share) == (2, 1, 1.0)

    async def test_whoever_is_left_out_does_not_count(self, user: Member) -> None:
        made = await make_campaign(user, contacts=6, messages=("Oi {{ nome | default('amigo') }}",))
        await database.execute("UPDATE contacts SET blocked_at = now() WHERE id = $1", made.contact_ids[0])
        await database.execute("UPDATE contacts SET status = 2 WHERE id = $1", made.contact_ids[1])
        found = await _measure(made)
        assert (found.contacts, found.sampled, found.messages[0].distinct) == (4, 4, 4)

    async def test_whom_the_plan_has_no_room_for_does_not_count(self, user: Member) -> None:
        made = await make_campaign(user, contacts=6, messages=(ALIKE,), plan={"monthly_messages": 2})
        assert (await _measure(made)).contacts == 2

    async def test_an_audience_of_nobody_has_no_texts(self, user: Member) -> None:
        found = await _measure(await _limited(user, 0.1, contacts=0))
        (message,) = found.messages
        assert (found.contacts, found.sampled, found.too_uniform) == (0, 0, False)
        assert (message.texts, message.distinct, message.most_frequent_share, message.uniform) == (0, 0, 0.0, False)

    async def test_ten_thousand_contacts_are_looked_at_and_always_the_same(self, user: Member) -> None:
        made = await make_campaign(user, contacts=0, messages=("{Oi|Olá} {a|b|c|d|e}",))
        await database.execute(
            "WITH made AS (INSERT INTO contacts (user_id, number, name)"
            " SELECT $1, '55119' || (70000000 + n), 'N' FROM generate_series(1, 10050) n RETURNING id)"
            " INSERT INTO public_by_contacts (public_id, contact_id) SELECT $2, id FROM made",
            user.id,
            made.public_id,
        )
        chosen = await database.fetch(
            "SELECT contact_id FROM public_by_contacts WHERE public_id = $1"
            " ORDER BY hashint8extended(contact_id, 0) LIMIT 10000",
            made.public_id,
        )
        (step,) = (await load_steps(made.id)).values()
        sent = Counter(message_text(step, row["contact_id"], {}) for row in chosen)
        found = await _measure(made)
        (message,) = found.messages
        assert (found.contacts, found.sampled, message.texts) == (10_050, 10_000, 10_000)
        assert (message.distinct, message.most_frequent_count) == (10, max(sent.values()))
        await start(made)
        assert (await _measure(made)).messages == found.messages

    async def test_a_frozen_one_by_what_was_frozen(self, user: Member) -> None:
        made = await running(user, contacts=4, messages=("Oi {{ nome }}",))
        await database.execute("UPDATE contacts SET name = 'Ana' WHERE user_id = $1", user.id)
        assert (await _measure(made)).messages[0].distinct == 4

    async def test_a_frozen_one_without_whom_it_leaves_out(self, user: Member) -> None:
        made = await make_campaign(user, contacts=4, messages=(ALIKE,))
        await database.execute("UPDATE contacts SET blocked_at = now() WHERE id = $1", made.contact_ids[0])
        await start(made)
        found = await _measure(made)
        assert (found.contacts, found.messages[0].texts) == (3, 3)

    async def test_one_by_labels(self, user: Member) -> None:
        await give_plan(user.id)
        label = await insert("labels", user_id=user.id, name="VIP")
        await make_contacts(user.id, [phone(), phone()], labels=f"[{label}]")
        await make_contacts(user.id, [phone()])
        draft = CampaignCreate(
            name="L",
            type=CampaignType.BY_LABELS,
            number_ids=(await make_number(user.id),),
            settings=CampaignSettings(labels=LabelFilter(any=(label,))),
            messages=(MessageCreate(content=ALIKE),),
        )
        campaign_id = await editing.create_campaign(user.id, draft)
        await request_measurement(user.id, campaign_id)
        await run_jobs(campaign_id)
        result = (await read_measurement(user.id, campaign_id)).result
        assert result is not None
        assert (result.contacts, result.messages[0].texts) == (2, 2)


class TestRequested:
    async def test_says_where_it_stands(self, user: Member) -> None:
        made = await make_campaign(user, messages=(ALIKE,))
        before = await read_measurement(user.id, made.id)
        assert before == EntropyRead(
            campaign_id=made.id, status="none", version=1, max_share=None, job_id=None, error="", result=None
        )
        job = await request_measurement(user.id, made.id)
        waiting = await read_measurement(user.id, made.id)
        assert (waiting.status, waiting.job_id, waiting.result) == ("running", job.id, None)
        await run_jobs(made.id)
        done = await read_measurement(user.id, made.id)
        assert (done.status, done.job_id) == ("done", job.id)
        assert done.result is not None
        assert (await get_job(user.id, job.id)).result == {"entropy": msgspec.to_builtins(done.result)}
        await _vary(made)
        changed = await read_measurement(user.id, made.id)
        assert (changed.status, changed.version, changed.result) == ("outdated", 2, done.result)

    async def test_twice_is_one_job_until_the_campaign_changes(self, user: Member) -> None:
        made = await make_campaign(user)
        first = await request_measurement(user.id, made.id)
        assert (await request_measurement(user.id, made.id)).id == first.id
        await _vary(made)
        assert (await request_measurement(user.id, made.id)).id != first.id

    async def test_at_the_same_moment_is_one_job(self, user: Member) -> None:
        made = await make_campaign(user)
        jobs = await asyncio.gather(*(request_measurement(user.id, made.id) for _ in range(5)))
        assert len({job.id for job in jobs}) == 1

    async def test_one_that_was_ended_leaves_what_there_was_and_room_for_another(self, user: Member) -> None:
        made = await make_campaign(user)
        first = await request_measurement(user.id, made.id)
        await cancel_job(user.id, first.id)
        assert (await read_measurement(user.id, made.id)).status == "none"
        second = await request_measurement(user.id, made.id)
        assert second.id != first.id
        await run_jobs(made.id)
        assert (await read_measurement(user.id, made.id)).job_id == second.id

    async def test_one_that_is_being_ended_is_not_given_again(self, user: Member) -> None:
        made = await make_campaign(user)
        first = await request_measurement(user.id, made.id)
        await database.execute("UPDATE jobs SET status = 'running' WHERE id = $1", first.id)
        await cancel_job(user.id, first.id)
        assert (await request_measurement(user.id, made.id)).id != first.id

    async def test_a_successor_goes_on_after_the_messages_that_are_done(self, user: Member) -> None:
        made = await make_campaign(user, messages=(ALIKE, "Oi {{ nome }}"))
        found = await _measure(made)
        done = msgspec.structs.replace(found.messages[0], most_frequent_text="As it was measured")
        for version, shown in ((1, "As it was measured"), (2, ALIKE)):
            job = await request_measurement(user.id, made.id)
            checkpoint = {"version": version, "messages": [msgspec.to_builtins(done)]}
            await database.execute(
                "UPDATE jobs SET checkpoint = $2 WHERE id = $1", job.id, database.encode_json(checkpoint)
            )
            await run_jobs(made.id)
            result = (await read_measurement(user.id, made.id)).result
            assert result is not None
            assert [message.most_frequent_text for message in result.messages] == [
                shown,
                found.messages[1].most_frequent_text,
            ]
            job = await get_job(user.id, job.id)
            assert (job.done, job.total) == (2, 2)

    async def test_a_campaign_deleted_meanwhile_fails_its_job(self, user: Member) -> None:
        made = await make_campaign(user)
        job = await request_measurement(user.id, made.id)
        await editing.delete_campaign(user.id, made.id)
        await run_jobs(made.id)
        assert (await get_job(user.id, job.id)).status == "failed"
        with pytest.raises(NotFoundError):
            await read_measurement(user.id, made.id)

    async def test_says_why_it_failed_until_it_is_done(self, user: Member) -> None:
        made = await make_campaign(user)
        job = await request_measurement(user.id, made.id)
        await database.execute("UPDATE publics SET deleted_at = now() WHERE id = $1", made.public_id)
        await run_jobs(made.id)
        read = await read_measurement(user.id, made.id)
        assert (read.status, read.job_id, read.result) == ("failed", job.id, None)
        assert read.error == (await get_job(user.id, job.id)).error != ""
        await database.execute("UPDATE publics SET deleted_at = NULL WHERE id = $1", made.public_id)
        await _measure(made)

    async def test_while_the_audience_is_written_down_is_a_conflict(self, user: Member) -> None:
        made = await make_campaign(user)
        await services.start_campaign(user.id, made.id)
        with pytest.raises(ConflictError) as caught:
            await request_measurement(user.id, made.id)
        assert caught.value.code == "campaign_freezing"

    async def test_while_it_waits_for_a_connection_is_as_of_a_draft(self, user: Member) -> None:
        made = await make_campaign(user, messages=(ALIKE,))
        await database.execute("UPDATE numbers SET status_connection = false WHERE id = $1", made.number_ids[0])
        await services.start_campaign(user.id, made.id)
        assert (await _measure(made)).contacts == 3

    async def test_of_one_cancelled_before_it_began_is_a_conflict(self, user: Member) -> None:
        made = await make_campaign(user)
        await services.cancel_campaign(user.id, made.id)
        with pytest.raises(ConflictError) as caught:
            await request_measurement(user.id, made.id)
        assert caught.value.code == "campaign_state"

    async def test_of_a_draft_names_what_is_missing(self, user: Member) -> None:
        await give_plan(user.id)
        campaign_id = await editing.create_campaign(user.id, CampaignCreate(name="Empty"))
        with pytest.raises(InvalidInputError) as caught:
            await request_measurement(user.id, campaign_id)
        assert set(caught.value.errors) == {"number_ids", "public_id", "messages"}

    async def test_over_http(self, user: Member, tenant: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
        made = await make_campaign(user, contacts=4, messages=(ALIKE,))
        path = f"/api/campaigns/{made.id}/entropy"
        asked = await tenant.post(path)
        assert asked.status_code == 202, asked.text
        job = asked.json()["data"]
        assert (job["kind"], job["status"], job["subject_id"]) == ("campaigns.entropy", "waiting", made.id)
        await run_jobs(made.id)
        answer = await tenant.get(path)
        assert answer.status_code == 200
        data = answer.json()["data"]
        assert {name: value for name, value in data.items() if name != "result"} == {
            "campaign_id": made.id, "status": "done", "version": 1, "max_share": None, "job_id": job["id"], "error": "",
        }  # fmt: skip
        assert data["result"]["messages"] == [
            {
                "message_id": made.message_ids[0], "position": 1, "texts": 4, "distinct": 1, "most_frequent_count": 4,
                "most_frequent_share": 1.0, "most_frequent_text": ALIKE, "uniform": False,
            }
        ]  # fmt: skip
        assert (await tenant.get(f"/api/jobs/{job['id']}")).json()["data"]["progress"] == 100
        assert [(await stranger.get(path)).status_code, (await stranger.post(path)).status_code] == [404, 404]


class TestLimit:
    async def test_is_the_one_in_force_when_it_is_read(self, user: Member) -> None:
        made = await make_campaign(user, messages=(ALIKE,))
        assert not (await _measure(made)).too_uniform
        await set_entropy_limit(user.id, EntropyLimit(max_share=0.9))
        read = await read_measurement(user.id, made.id)
        assert read.result is not None
        assert (read.status, read.max_share, read.result.max_share) == ("done", 0.9, 0.9)
        assert (read.result.too_uniform, read.result.messages[0].uniform) == (True, True)

    async def test_refuses_the_start_and_says_why(self, user: Member) -> None:
        await set_entropy_limit(user.id, EntropyLimit(max_share=0.5))
        made = await start(await make_campaign(user, contacts=4, messages=("Oi {{ nome }}", ALIKE)))
        row = await campaign_row(made.id)
        assert (row["status"], row["status_reason"], row["started_at"], row["frozen_at"]) == (
            1, "too_uniform", None, None,
        )  # fmt: skip
        assert await recipients(made.id) == []
        (reason,) = (await explain(user.id, made.id)).reasons
        assert (reason.code, reason.text[:15]) == ("too_uniform", "Too many people")
        read = await read_measurement(user.id, made.id)
        assert (read.status, read.version) == ("done", row["version"])
        assert read.result is not None
        assert [message.uniform for message in read.result.messages] == [False, True]
        assert await _freeze_result(made) == {"refused": "too_uniform", "entropy": msgspec.to_builtins(read.result)}

    async def test_after_a_change_it_starts(self, user: Member) -> None:
        made = await start(await _limited(user))
        assert await standing(made.id) == (1, "too_uniform")
        await editing.update_campaign(user.id, made.id, CampaignUpdate(name="Still alike"))
        assert await standing(made.id) == (1, "too_uniform")
        await _vary(made)
        assert await standing(made.id) == (1, "draft")
        await start(made)
        assert await standing(made.id) == (2, "sending")
        assert len(await recipients(made.id)) == 3

    async def test_after_it_was_raised_it_starts(self, user: Member) -> None:
        await set_entropy_limit(user.id, EntropyLimit(max_share=0.5))
        made = await start(await make_campaign(user, messages=(ALIKE,)))
        assert await standing(made.id) == (1, "too_uniform")
        await set_entropy_limit(user.id, None)
        await start(made)
        assert await standing(made.id) == (2, "sending")

    async def test_a_start_that_passes_keeps_what_was_measured(self, user: Member) -> None:
        made = await start(await _limited(user, messages=(VARIED,)))
        assert await standing(made.id) == (2, "sending")
        read = await read_measurement(user.id, made.id)
        assert read.result is not None
        assert (read.status, read.result.messages[0].distinct) == ("done", 3)
        assert await _freeze_result(made) == {"entropy": msgspec.to_builtins(read.result)}

    async def test_without_one_nothing_is_measured(self, user: Member) -> None:
        made = await running(user, messages=(ALIKE,))
        assert await _freeze_result(made) == {}

    @pytest.mark.parametrize(
        ("tenants", "own", "expected"),
        [
            (0.5, None, (1, "too_uniform")),
            (0.5, EntropyLimit(), (2, "sending")),
            (0.5, EntropyLimit(max_share=1.0), (2, "sending")),
            (None, EntropyLimit(max_share=0.99), (1, "too_uniform")),
            (1.0, EntropyLimit(max_share=0.99), (1, "too_uniform")),
        ],
    )
    async def test_of_the_campaign_goes_before_the_accounts(
        self, user: Member, tenants: float | None, own: EntropyLimit | None, expected: tuple[int, str]
    ) -> None:
        await set_entropy_limit(user.id, EntropyLimit(max_share=tenants))
        made = await start(await make_campaign(user, messages=(ALIKE,), settings={"entropy": own}))
        assert await standing(made.id) == expected

    async def test_is_the_tenants_alone(self, user: Member, other_user: Member) -> None:
        await set_entropy_limit(other_user.id, EntropyLimit(max_share=0.1))
        made = await running(user, messages=(ALIKE,))
        assert await standing(made.id) == (2, "sending")

    async def test_that_is_just_reached_is_kept(self, user: Member) -> None:
        made = await _limited(user, contacts=4, messages=("Oi {{ nome }}",))
        await database.execute("UPDATE contacts SET name = 'Ana' WHERE id = ANY($1::bigint[])", made.contact_ids[:2])
        await start(made)
        assert await standing(made.id) == (2, "sending")

    @pytest.mark.parametrize(("contacts", "text"), [(1, ALIKE), (2, "Oi {{ nome }}"), (0, ALIKE)])
    async def test_is_not_passed_by_a_text_for_one_person(self, user: Member, contacts: int, text: str) -> None:
        made = await start(await _limited(user, 0.01, contacts=contacts, messages=(text,)))
        assert await standing(made.id) == (2, "sending")

    async def test_sends_a_scheduled_one_back_once(self, user: Member) -> None:
        made = await _limited(user)
        moment = await now() + timedelta(hours=1)
        await editing.update_campaign(user.id, made.id, CampaignUpdate(schedule_date=moment))
        await services.start_campaign(user.id, made.id)
        assert await scheduling.start_due(moment) == 1
        await run_jobs(made.id)
        assert await standing(made.id) == (1, "too_uniform")
        assert await scheduling.start_due(moment) == 0

    async def test_holds_for_a_simplified_one_made_over_http(self, user: Member, tenant: httpx.AsyncClient) -> None:
        made = await make_campaign(user)
        limit = {"entropy": {"max_share": 0.5}}
        assert (await tenant.patch("/api/configurations", json=limit)).json()["data"]["entropy"] == limit["entropy"]
        draft = {
            "name": "S", "type": 2, "number_ids": made.number_ids, "public_id": made.public_id,
            "messages": [{"content": ALIKE}],
        }  # fmt: skip
        campaign_id = (await tenant.post("/api/campaigns", json=draft)).json()["data"]["id"]
        assert (await tenant.post(f"/api/campaigns/{campaign_id}/start")).status_code == 202
        await run_jobs(campaign_id)
        shown = (await tenant.get(f"/api/campaigns/{campaign_id}")).json()["data"]
        assert (shown["status"], shown["status_reason"], shown["started_at"]) == (1, "too_uniform", None)
        told = (await tenant.get(f"/api/campaigns/{campaign_id}/explain", headers={"Accept-Language": "pt-BR"})).json()
        assert told["data"]["reasons"][0]["text"].startswith("Pessoas demais receberiam")

    @pytest.mark.parametrize("share", [0, -0.5, 1.01, "much"])
    async def test_that_is_no_share_is_refused(self, user: Member, tenant: httpx.AsyncClient, share: object) -> None:
        await give_plan(user.id)
        draft = {"name": "x", "settings": {"entropy": {"max_share": share}}}
        answer = await tenant.post("/api/campaigns", json=draft)
        assert answer.status_code == 422
        assert set(answer.json()["errors"]) == {"settings.entropy.max_share"}

    async def test_is_copied_with_the_campaign(self, user: Member) -> None:
        made = await _limited(user, 0.25)
        copy = await editing.duplicate_campaign(user.id, made.id)
        stored = msgspec.json.decode((await campaign_row(copy))["settings"], type=CampaignSettings)
        assert stored.entropy == EntropyLimit(max_share=0.25)


class TestMeanwhile:
    """What happens to a campaign while its start is measured."""

    @staticmethod
    def _when_measured(monkeypatch: pytest.MonkeyPatch, happens: Any) -> None:
        """Let something happen once, between the measurement and what follows from it."""
        left = [happens]

        async def measured(*args: Any) -> MessageEntropy:
            found = await measure(*args)
            if left:
                await left.pop()()
            return found

        monkeypatch.setattr(freeze, "measure", measured)

    async def test_one_that_is_cancelled_stays_so(self, user: Member, monkeypatch: pytest.MonkeyPatch) -> None:
        made = await _limited(user)
        self._when_measured(monkeypatch, lambda: services.cancel_campaign(user.id, made.id))
        await start(made)
        assert await standing(made.id) == (5, "canceled_by_user")
        assert await recipients(made.id) == []

    async def test_one_that_is_mended_is_measured_again_and_begins(
        self, user: Member, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = await _limited(user, messages=("Oi {{ nome | truncate(1) }}",))
        better = CampaignUpdate(messages=(MessageCreate(content="Oi {{ nome }}"),))
        self._when_measured(monkeypatch, lambda: editing.update_campaign(user.id, made.id, better))
        await start(made)
        assert await standing(made.id) == (2, "sending")
        assert len(await recipients(made.id)) == 3

    async def test_one_that_is_paused_is_sent_back_too(self, user: Member, monkeypatch: pytest.MonkeyPatch) -> None:
        made = await _limited(user)
        self._when_measured(monkeypatch, lambda: services.pause_campaign(user.id, made.id))
        await start(made)
        assert await standing(made.id) == (1, "too_uniform")

    async def test_one_whose_audience_goes_fails(self, user: Member, monkeypatch: pytest.MonkeyPatch) -> None:
        made = await _limited(user)

        async def go() -> None:
            await database.execute("UPDATE publics SET deleted_at = now() WHERE id = $1", made.public_id)
            await services.pause_campaign(user.id, made.id)

        self._when_measured(monkeypatch, go)
        await start(made)
        assert await standing(made.id) == (6, "audience_gone")

    async def test_a_successor_of_the_job_leaves_a_campaign_started_again_alone(self, user: Member) -> None:
        made = await start(await _limited(user))
        refused = await database.fetch_value("SELECT id FROM jobs WHERE subject_id = $1", made.id)
        assert isinstance(refused, int)
        result = await _freeze_result(made)
        await _vary(made)
        await services.start_campaign(user.id, made.id)
        await database.execute("UPDATE jobs SET status = 'waiting', result = '{}' WHERE id = $1", refused)
        await leasing.run_job(refused)
        assert await standing(made.id) == (2, "freezing")
        assert (await get_job(user.id, refused)).result == result
        assert await recipients(made.id) == []

    async def test_a_freeze_that_goes_on_is_not_measured_again(
        self, user: Member, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(freeze, "BATCH_CONTACTS", 2)
        made = await make_campaign(user, contacts=3, messages=(ALIKE,))
        await services.start_campaign(user.id, made.id)
        await database.execute(
            "UPDATE jobs SET checkpoint = $2 WHERE subject_id = $1",
            made.id,
            database.encode_json({"last_id": made.contact_ids[1], "contacts": 2, "rows": 2, "included": 2}),
        )
        await set_entropy_limit(user.id, EntropyLimit(max_share=0.1))
        await run_jobs(made.id)
        assert await standing(made.id) == (2, "sending")


async def test_a_job_of_another_tenant_about_the_same_row_is_not_shown(user: Member, other_user: Member) -> None:
    made = await make_campaign(user)
    async with database.unit_of_work():
        await create_job("campaigns.entropy", user_id=other_user.id, subject_id=made.id)
    assert (await read_measurement(user.id, made.id)).status == "none"


async def test_two_campaigns_are_measured_apart(user: Member) -> None:
    made = await make_campaign(user, contacts=2, messages=(ALIKE,))
    other = await add_campaign(user, made.number_ids, await make_public(user.id, made.contact_ids[:1]))
    await _measure(made)
    assert (await read_measurement(user.id, other.id)).status == "none"
