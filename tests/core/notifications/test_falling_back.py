"""A mail takes the place of what a realtime service does not take, where it matters."""

import asyncio

import pytest

from core import database
from core.events.catalogue import CampaignStarted, CampaignWaiting
from core.notifications import planning, sweeping
from core.plugin import UnavailableError, UncertainError
from tests.core.notifications.post import Post, announce, deliveries, make_due
from tests.core.numbers.messaging import eventually
from tests.factories import Member

AWAY = UnavailableError("the service is away")


async def _wait(user: Member, number: int = 1) -> str:
    """Announce a campaign that waits, which is not mailed by itself; return the key of the mail in its place."""
    await announce(user.id, CampaignWaiting(campaign_id=number, name="Spring"), f"w:{user.id}:{number}")
    return f"w:{user.id}:{number}:email:"


async def _statuses(user: Member) -> list[str]:
    return [row["status"] for row in await deliveries(user.id, "realtime")]


async def test_what_matters_is_mailed_when_the_realtime_service_is_away(post: Post, user: Member) -> None:
    post.realtime.before = [AWAY] * 3
    key = await _wait(user)
    for _ in range(4):
        await post.go()
        await database.execute("UPDATE notifier_states SET paused_until = NULL")
        await make_due(user.id)
    assert post.mail.keys(user.id) == [key]
    assert await _statuses(user) == ["failed"]


async def test_what_does_not_matter_is_tried_again_and_not_mailed(post: Post, user: Member) -> None:
    post.realtime.before = [AWAY] * 3
    await announce(user.id, CampaignStarted(campaign_id=1, name="Spring"), f"w:{user.id}:1")
    for _ in range(4):
        await post.go()
        await database.execute("UPDATE notifier_states SET paused_until = NULL")
        await make_due(user.id)
    assert (post.mail.told(user.id), len(post.realtime.told(user.id))) == ([], 1)


async def test_a_realtime_service_that_gives_no_answer_is_not_believed(post: Post, user: Member) -> None:
    post.realtime.after = [UncertainError("answered 502")]
    key = await _wait(user)
    await post.go()
    assert (post.mail.keys(user.id), await _statuses(user)) == ([key], ["unknown"])


async def test_what_a_dead_process_told_a_realtime_service_is_mailed(post: Post, user: Member) -> None:
    key = await _wait(user)
    await planning.plan()
    await database.execute(
        "UPDATE notification_deliveries SET status = 'sending', holder = 'gone', lease_until = now() - interval '1 s'"
        " WHERE user_id = $1 AND notifier = 'bell'",
        user.id,
    )
    await sweeping.sweep()
    await sweeping.sweep()
    await post.go()
    assert (post.mail.keys(user.id), await _statuses(user)) == ([key], ["unknown"])


@pytest.mark.parametrize(("seconds", "mailed"), [(29, 0), (31, 20)])
async def test_everything_that_waits_is_mailed_when_the_service_stays_away(
    post: Post, user: Member, seconds: int, mailed: int
) -> None:
    keys = {await _wait(user, number) for number in range(20)}
    await planning.plan()
    await database.execute(
        "INSERT INTO notifier_states (name, failures, failing_since, paused_until, reason)"
        " VALUES ('bell', 5, now() - make_interval(secs => $1), now() + interval '1 minute', 'away')",
        seconds,
    )
    await sweeping.sweep()
    await post.go()
    told = await database.fetch(
        "SELECT key FROM notification_deliveries WHERE user_id = $1 AND channel = 'email'", user.id
    )
    assert len(told) == mailed
    assert {row["key"] for row in told} == (keys if mailed else set())


async def test_a_planner_and_what_falls_back_do_not_wait_for_each_other(post: Post, user: Member) -> None:
    post.realtime.before = [AWAY] * 3
    key = await _wait(user)
    for _ in range(2):
        await post.go()
        await database.execute("UPDATE notifier_states SET paused_until = NULL")
        await make_due(user.id)
    async with database.connection() as planner, planner.transaction():
        await planner.execute("SELECT pg_advisory_xact_lock($1)", planning.LOCK_KEY)
        falling = asyncio.create_task(post.go())
        await eventually(_waits_for_the_planner)
        # What planning a later notification of this kind does.
        await planner.execute("SET LOCAL lock_timeout = '5s'")
        await planner.execute("SELECT FROM notification_deliveries WHERE user_id = $1 FOR UPDATE", user.id)
    await falling
    await post.go()
    assert post.mail.keys(user.id) == [key]


async def _waits_for_the_planner() -> bool:
    waiting = await database.fetch_value(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND wait_event = 'advisory'"
        " AND datname = current_database()"
    )
    return waiting == 1


async def test_without_a_mail_service_a_realtime_service_is_waited_for(post: Post, user: Member) -> None:
    post.mail.channel = "realtime"
    post.realtime.before = [AWAY] * 3
    await _wait(user)
    for _ in range(4):
        await post.go()
        await database.execute("UPDATE notifier_states SET paused_until = NULL")
        await make_due(user.id)
    assert len(post.realtime.told(user.id)) == 1
    assert await deliveries(user.id, "email") == []
