"""A notification goes where it should, once, whatever the services do."""

import asyncio

import pytest

from core import database
from core.notifications import delivering, planning, sweeping
from core.plugin import LimitReachedError, MisconfiguredError, RefusedError, UnavailableError, UncertainError
from core.runtime import Runtime
from tests.core.notifications.post import (
    Post,
    ScriptedNotifier,
    announce,
    completed,
    deliveries,
    make_due,
    open_post,
    paid,
)
from tests.core.numbers.messaging import eventually
from tests.factories import Member

AWAY = UnavailableError("the service is away")


async def _standing(kind: str) -> list[str]:
    rows = await database.fetch(
        "SELECT a.detail->>'name' AS name FROM alarms a JOIN notifier_states s ON s.id = a.subject_id"
        " WHERE a.kind = $1 AND a.subject_type = 'notifier' AND a.cleared_at IS NULL",
        kind,
    )
    return [row["name"] for row in rows]


async def test_each_channel_is_told_once(post: Post, user: Member) -> None:
    assert await announce(user.id, completed(), f"a:{user.id}") is True
    assert await announce(user.id, completed(), f"a:{user.id}") is False
    await post.go()
    await post.go()
    (mail,), (event,) = post.mail.told(user.id), post.realtime.told(user.id)
    assert (mail.recipient, mail.kind, post.mail.keys(user.id)) == (
        user.email,
        "campaign_completed",
        [f"a:{user.id}:email:"],
    )
    assert event.event is not None
    assert event.event.type == "notification.created"


async def test_a_rolled_back_cause_tells_nobody(post: Post, user: Member) -> None:
    async def cause() -> None:
        async with database.unit_of_work():
            await announce(user.id, completed(), f"a:{user.id}")
            raise LookupError

    with pytest.raises(LookupError):
        await cause()
    await post.go()
    assert post.mail.told(user.id) == []


async def test_a_service_that_is_away_is_tried_again(post: Post, user: Member) -> None:
    post.mail.before = [AWAY, AWAY]
    await announce(user.id, completed(), f"a:{user.id}")
    for _ in range(3):
        await post.go()
        await make_due(user.id)
    (row,) = await deliveries(user.id)
    assert (row["status"], row["attempts"], len(post.mail.told(user.id))) == ("sent", 3, 1)


async def test_the_wait_the_service_names_is_kept(post: Post, user: Member) -> None:
    post.mail.before = [UnavailableError("greylisted", retry_after=600)]
    await announce(user.id, completed(), f"a:{user.id}")
    await post.go()
    waits = await database.fetch_value(
        "SELECT round(extract(epoch FROM due_at - now()))::int BETWEEN 590 AND 600 FROM notification_deliveries"
        " WHERE user_id = $1 AND channel = 'email'",
        user.id,
    )
    assert waits is True


async def test_a_service_that_fails_again_and_again_is_left_alone(post: Post, user: Member) -> None:
    post.mail.before = [AWAY] * 9
    for number in range(4):
        await announce(user.id, paid(number), f"p:{user.id}:{number}")
    await post.go()
    for _ in range(3):
        await make_due(user.id)
        await post.go()
    # Four at once were under way before anything was known; then nobody asked any more.
    assert len(post.mail.before) == 5


async def test_a_refused_address_is_not_tried_again_and_somebody_is_told(post: Post, user: Member) -> None:
    post.mail.before = [RefusedError("550 no such mailbox")]
    await announce(user.id, completed(), f"a:{user.id}")
    await post.go()
    await make_due(user.id)
    await post.go()
    (row,) = await deliveries(user.id)
    assert (row["status"], post.mail.told(user.id)) == ("refused", [])
    alarm = await database.fetch_row(
        "SELECT detail->>'reason' AS reason FROM alarms WHERE kind = 'email_refused' AND subject_id = $1", user.id
    )
    assert alarm is not None
    assert alarm["reason"] == "550 no such mailbox"
    listed = await database.fetch_value(
        "SELECT count(*) FROM notifications WHERE user_id = $1 AND listed AND planned_at IS NOT NULL", user.id
    )
    assert listed == 1


async def test_wrong_settings_stop_the_lane_until_they_are_mended(post: Post, user: Member) -> None:
    post.mail.before = [MisconfiguredError("535 the password is wrong")]
    await announce(user.id, paid(1), f"p:{user.id}:1")
    await post.go()
    await make_due(user.id)
    await post.go()
    assert (post.mail.told(user.id), await _standing("notifier_misconfigured")) == ([], ["letter"])
    await database.execute("UPDATE notifier_states SET paused_until = NULL")
    await post.go()
    assert len(post.mail.told(user.id)) == 1
    assert await _standing("notifier_misconfigured") == []


async def test_a_used_up_allowance_stops_the_lane_until_it_says(post: Post, user: Member) -> None:
    post.mail.before = [LimitReachedError("550 5.4.5 daily limit", retry_after=3600)]
    await announce(user.id, paid(1), f"p:{user.id}:1")
    await announce(user.id, paid(2), f"p:{user.id}:2")
    await post.go()
    pause = await database.fetch_value(
        "SELECT round(extract(epoch FROM paused_until - now()))::int BETWEEN 3590 AND 3600 FROM notifier_states"
        " WHERE name = 'letter'"
    )
    assert (pause, await _standing("notifier_limited")) == (True, ["letter"])
    await database.execute("UPDATE notifier_states SET paused_until = now()")
    await make_due(user.id)
    await post.go()
    assert sorted(post.mail.keys(user.id)) == [f"p:{user.id}:1:email:", f"p:{user.id}:2:email:"]


async def test_another_mail_service_takes_over(runtime: Runtime, user: Member) -> None:
    second = ScriptedNotifier("second", "email")
    async with open_post(runtime, second) as post:
        post.mail.before = [MisconfiguredError("535")]
        await announce(user.id, paid(1), f"p:{user.id}:1")
        await post.go()
        await make_due(user.id)
        await post.go()
        assert (post.mail.told(user.id), len(second.told(user.id))) == ([], 1)


async def test_a_receipt_of_unknown_fate_goes_out_once_more_with_the_same_key(post: Post, user: Member) -> None:
    post.mail.after = [UncertainError("the connection was lost after the text")]
    await announce(user.id, paid(1), f"p:{user.id}:1")
    await post.go()
    await make_due(user.id)
    await post.go()
    await post.go()
    assert post.mail.keys(user.id) == [f"p:{user.id}:1:email:"] * 2


async def test_a_receipt_that_is_never_answered_goes_out_twice_and_no_more(post: Post, user: Member) -> None:
    post.mail.after = [UncertainError("no answer to the text")] * 5
    await announce(user.id, paid(1), f"p:{user.id}:1")
    for _ in range(5):
        await post.go()
        await database.execute("UPDATE notifier_states SET paused_until = NULL")
        await make_due(user.id)
    (row,) = await deliveries(user.id)
    assert (row["status"], len(post.mail.told(user.id))) == ("unknown", 2)


async def test_a_receipt_that_two_dead_processes_had_on_its_way_stays_unknown(post: Post, user: Member) -> None:
    await announce(user.id, paid(1), f"p:{user.id}:1")
    await planning.plan()
    for _ in range(2):
        await _abandon(user.id, "sending")
        await sweeping.sweep()
    await post.go()
    (row,) = await deliveries(user.id)
    assert (row["status"], post.mail.told(user.id)) == ("unknown", [])


async def test_an_answer_has_longer_than_handing_over(
    post: Post, user: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "SEND_SECONDS", 0.2)
    post.mail.late = {user.id}
    await announce(user.id, completed(), f"a:{user.id}")
    await planning.plan()
    sending = asyncio.create_task(delivering.deliver("email:"))
    await eventually(lambda: _status_is(user, "sending"))
    await asyncio.sleep(delivering.SEND_SECONDS)
    post.mail.released.set()
    await sending
    assert await _status_is(user, "sent")


async def test_an_answer_that_is_late_holds_up_no_other_mail(post: Post, user: Member, other_user: Member) -> None:
    post.mail.late = {user.id}
    await announce(user.id, completed(), f"a:{user.id}")
    await planning.plan()
    sending = asyncio.create_task(delivering.deliver("email:"))
    await eventually(lambda: _status_is(user, "sending"))
    await announce(other_user.id, completed(), f"a:{other_user.id}")
    await planning.plan()
    await delivering.deliver("email:")
    await eventually(lambda: _status_is(other_user, "sent"))
    assert not sending.done()
    post.mail.released.set()
    await sending
    assert await _status_is(user, "sent")


async def test_what_is_wrong_with_one_recipient_is_not_held_against_the_service(post: Post, user: Member) -> None:
    post.mail.before = [UnavailableError("452 4.2.2", provider_code="452 4.2.2", of_recipient=True)] * 4
    for number in range(4):
        await announce(user.id, paid(number), f"p:{user.id}:{number}")
    await post.go()
    assert await database.fetch("SELECT * FROM notifier_states") == []


async def test_a_shorter_pause_does_not_end_a_longer_one(post: Post, user: Member) -> None:
    post.mail.before = [LimitReachedError("421 4.7.0 rate", retry_after=3600), AWAY]
    await announce(user.id, paid(1), f"p:{user.id}:1")
    await announce(user.id, paid(2), f"p:{user.id}:2")
    await post.go()
    assert post.mail.before == []
    paused = "SELECT paused_until > now() + interval '59 minutes' FROM notifier_states WHERE name = 'letter'"
    assert await database.fetch_value(paused) is True


@pytest.mark.parametrize("seconds", [1e12, -5.0])
async def test_a_wait_out_of_reason_is_bounded(post: Post, user: Member, seconds: float) -> None:
    post.mail.before = [UnavailableError("busy", retry_after=seconds)]
    await announce(user.id, completed(), f"a:{user.id}")
    await post.go()
    bounded = (
        "SELECT due_at - now() BETWEEN interval '-1 minute' AND interval '6 hours' FROM notification_deliveries"
        " WHERE user_id = $1 AND channel = 'email'"
    )
    assert await database.fetch_value(bounded, user.id) is True


async def test_the_alarm_of_a_refused_address_ends_with_a_mail_that_is_taken(post: Post, user: Member) -> None:
    post.mail.before = [RefusedError("550 no such mailbox")]
    await announce(user.id, paid(1), f"p:{user.id}:1")
    await post.go()
    stands = "SELECT cleared_at IS NULL FROM alarms WHERE kind = 'email_refused' AND subject_id = $1"
    assert await database.fetch_value(stands, user.id) is True
    await announce(user.id, paid(2), f"p:{user.id}:2")
    await post.go()
    assert await database.fetch_value(stands, user.id) is False


async def test_a_refusal_without_an_answer_says_nothing_of_the_service(post: Post, user: Member) -> None:
    post.mail.before = [AWAY, RefusedError("The recipient is no e-mail address.")]
    await announce(user.id, paid(1), f"p:{user.id}:1")
    await announce(user.id, paid(2), f"p:{user.id}:2")
    await post.go()
    assert await database.fetch_value("SELECT failures FROM notifier_states WHERE name = 'letter'") == 1


async def test_news_of_unknown_fate_stay_unknown(post: Post, user: Member) -> None:
    post.mail.after = [UncertainError("the connection was lost after the text")]
    await announce(user.id, completed(), f"a:{user.id}")
    await post.go()
    await make_due(user.id)
    await post.go()
    (row,) = await deliveries(user.id)
    assert (row["status"], len(post.mail.told(user.id))) == ("unknown", 1)


async def test_a_plugin_that_raises_before_it_hands_over_is_tried_again(post: Post, user: Member) -> None:
    post.mail.before = [KeyError("a bug of the plugin")]
    await announce(user.id, completed(), f"a:{user.id}")
    await post.go()
    await make_due(user.id)
    await post.go()
    assert len(post.mail.told(user.id)) == 1


async def test_a_notifier_that_hangs_delays_no_other(post: Post, user: Member) -> None:
    post.realtime.hangs = True
    await announce(user.id, completed(), f"a:{user.id}")
    await planning.plan()
    hanging = asyncio.create_task(delivering.deliver("realtime:bell"))
    try:
        await post.realtime.reached.wait()
        await delivering.deliver("email:")
        assert len(post.mail.told(user.id)) == 1
        # A second message for the lane that hangs gives its thread back at once.
        await delivering.deliver("realtime:bell")
    finally:
        hanging.cancel()
        await asyncio.wait([hanging])


async def test_what_a_dead_process_had_claimed_is_delivered(post: Post, user: Member) -> None:
    await announce(user.id, completed(), f"a:{user.id}")
    await planning.plan()
    await _abandon(user.id, "claimed")
    await sweeping.sweep()
    await post.go()
    assert len(post.mail.told(user.id)) == 1


async def test_what_a_dead_process_had_on_its_way_is_unknown(post: Post, user: Member) -> None:
    await announce(user.id, completed(), f"a:{user.id}")
    await planning.plan()
    await _abandon(user.id, "sending")
    await sweeping.sweep()
    await post.go()
    (row,) = await deliveries(user.id)
    assert (row["status"], post.mail.told(user.id)) == ("unknown", [])


async def test_a_receipt_a_dead_process_had_on_its_way_goes_out(post: Post, user: Member) -> None:
    await announce(user.id, paid(1), f"p:{user.id}:1")
    await planning.plan()
    await _abandon(user.id, "sending")
    await sweeping.sweep()
    await post.go()
    assert len(post.mail.told(user.id)) == 1


async def test_a_lost_lease_keeps_the_mail_back(post: Post, user: Member) -> None:
    post.mail.hangs = True
    await announce(user.id, completed(), f"a:{user.id}")
    await planning.plan()
    sending = asyncio.create_task(delivering.deliver("email:"))
    await post.mail.reached.wait()
    await _abandon(user.id, "claimed")
    await sweeping.sweep()
    sending.cancel()
    await asyncio.wait([sending])
    post.mail.hangs = False
    await post.go()
    assert len(post.mail.told(user.id)) == 1


async def test_news_too_old_are_told_in_the_list_alone(post: Post, user: Member) -> None:
    post.mail.before = [AWAY]
    await announce(user.id, completed(), f"a:{user.id}")
    await post.go()
    await database.execute(
        "UPDATE notification_deliveries SET created_at = now() - interval '25 hours', due_at = now()"
        " WHERE user_id = $1 AND channel = 'email'",
        user.id,
    )
    await sweeping.sweep()
    await post.go()
    (row,) = await deliveries(user.id)
    assert (row["status"], row["reason"], post.mail.told(user.id)) == ("failed", f"too late: {AWAY}", [])


async def _status_is(user: Member, status: str) -> bool:
    return [row["status"] for row in await deliveries(user.id)] == [status]


async def _abandon(user_id: int, status: str) -> None:
    """Leave a user's mails as a process does that is killed."""
    await database.execute(
        "UPDATE notification_deliveries SET status = $2, holder = 'gone', lease_until = now() - interval '1 second'"
        " WHERE user_id = $1 AND channel = 'email'",
        user_id,
        status,
    )
