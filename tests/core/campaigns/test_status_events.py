"""What a campaign's user is told: every change that is not their own doing, once, with its reason and its figures."""

from collections.abc import Sequence

import msgspec

from core import database
from core.campaigns import services
from core.campaigns.attachments import pause_without_file
from core.campaigns.completion import complete_finished
from core.campaigns.waiting import begin_connected
from core.crypto import decrypt
from core.events.catalogue import (
    CampaignCompleted,
    CampaignNeedsAttention,
    CampaignPaused,
    CampaignStarted,
    CampaignWaiting,
)
from core.notifications.kinds import KINDS
from core.notifications.outbox import SEAL
from tests.core.campaigns.making import make_campaign, now, run_jobs, running, start
from tests.factories import Member


async def told(user: Member) -> Sequence[msgspec.Struct]:
    """Return what a user is told of campaigns, the oldest first."""
    rows = await database.fetch(
        "SELECT kind, detail FROM notifications WHERE user_id = $1 AND kind LIKE 'campaign%' ORDER BY id", user.id
    )
    return [msgspec.json.decode(decrypt(row["detail"], purpose=SEAL), type=KINDS[row["kind"]].detail) for row in rows]


async def test_a_start_is_told_once(user: Member) -> None:
    made = await start(await make_campaign(user))
    await services.start_campaign(user.id, made.id)
    assert await told(user) == [CampaignStarted(campaign_id=made.id, name="Test")]


async def test_waiting_for_a_number_and_its_end(user: Member) -> None:
    made = await make_campaign(user)
    await database.execute("UPDATE numbers SET status_connection = false WHERE user_id = $1", user.id)
    await services.start_campaign(user.id, made.id)
    await database.execute("UPDATE numbers SET status_connection = true WHERE user_id = $1", user.id)
    await begin_connected(await now())
    await begin_connected(await now())
    assert await told(user) == [
        CampaignWaiting(campaign_id=made.id, name="Test"),
        CampaignStarted(campaign_id=made.id, name="Test"),
    ]


async def test_a_pause_of_ones_own_is_not_told(user: Member) -> None:
    made = await start(await make_campaign(user))
    await services.pause_campaign(user.id, made.id)
    await services.cancel_campaign(user.id, made.id)
    assert await told(user) == [CampaignStarted(campaign_id=made.id, name="Test")]


async def test_a_pause_by_the_platform_says_why(user: Member) -> None:
    made = await start(await make_campaign(user))
    await pause_without_file(made.id)
    await pause_without_file(made.id)
    assert (await told(user))[1:] == [CampaignPaused(campaign_id=made.id, name="Test", reason="media_missing")]


async def test_going_on_is_told(user: Member) -> None:
    made = await start(await make_campaign(user))
    await services.pause_campaign(user.id, made.id)
    await services.resume_campaign(user.id, made.id)
    assert await told(user) == [CampaignStarted(campaign_id=made.id, name="Test")] * 2


async def test_the_end_has_the_figures_of_the_report(user: Member) -> None:
    made = await running(user, contacts=0)
    await complete_finished(await now())
    await complete_finished(await now())
    assert (await told(user))[-1:] == [
        CampaignCompleted(
            campaign_id=made.id,
            name="Test",
            reason="completed",
            total=0,
            sent=0,
            delivered=0,
            read=0,
            failed=0,
            skipped=0,
            unknown=0,
        )
    ]


async def test_what_needs_a_person_is_told_once(user: Member) -> None:
    made = await running(user, contacts=2)
    await database.execute(
        "UPDATE message_by_contacts SET state = 'unknown', lease_until = NULL, updated_at = now()"
        " WHERE campaign_id = $1",
        made.id,
    )
    await database.execute(
        "INSERT INTO campaign_counters AS k (campaign_id, shard, unknown) VALUES ($1, 0, 2)"
        " ON CONFLICT (campaign_id, shard) DO UPDATE SET unknown = 2",
        made.id,
    )
    await complete_finished(await now())
    await complete_finished(await now())
    assert (await told(user))[-1:] == [CampaignNeedsAttention(campaign_id=made.id, name="Test", unknown=2)]
    assert sum(isinstance(one, CampaignNeedsAttention) for one in await told(user)) == 1


async def test_a_deleted_audience_is_told_as_the_reason(user: Member) -> None:
    made = await make_campaign(user)
    await services.start_campaign(user.id, made.id)
    await database.execute("UPDATE publics SET deleted_at = now() WHERE id = $1", made.public_id)
    await run_jobs(made.id)
    assert (await told(user))[-1:] == [CampaignPaused(campaign_id=made.id, name="Test", reason="audience_gone")]


async def test_another_user_is_told_nothing(user: Member, other_user: Member) -> None:
    await start(await make_campaign(user))
    assert await told(other_user) == []
