"""Where a notification is told: by kind, by choice, and folded where many of a kind come together."""

import secrets

import httpx
import pytest

from core import database
from core.events.catalogue import AlarmRaised, CampaignStarted, NewDevice, PasswordChanged
from core.notifications import outbox, planning
from core.notifications.alarms import clear_alarms, raise_alarm
from core.notifications.kinds import ResetLink
from core.plugin import RefusedError
from tests.conftest import ClientOf
from tests.core.notifications.post import (
    Post,
    announce,
    completed,
    deliveries,
    disconnected,
    make_due,
    paid,
)
from tests.factories import Member


async def _choose(client: httpx.AsyncClient, **choices: object) -> None:
    answer = await client.patch("/api/configurations", json={"notifications": choices})
    assert answer.status_code == 200, answer.text


async def test_a_kind_that_is_not_mailed_by_itself(post: Post, user: Member) -> None:
    await announce(user.id, CampaignStarted(campaign_id=1, name="a"), f"s:{user.id}")
    await post.go()
    assert (post.mail.told(user.id), len(post.realtime.told(user.id))) == ([], 1)


async def test_a_kind_is_mailed_that_the_user_asked_for(post: Post, user: Member, api: ClientOf) -> None:
    async with api(user) as client:
        await _choose(client, kinds={"campaign_started": {"email": True, "realtime": False}})
    await announce(user.id, CampaignStarted(campaign_id=1, name="a"), f"s:{user.id}")
    await post.go()
    assert (len(post.mail.told(user.id)), post.realtime.told(user.id)) == (1, [])


@pytest.mark.parametrize("choices", [{"muted": ["campaign_completed"]}, {"email": False, "realtime": False}])
async def test_what_is_muted_stands_in_the_list_alone(
    post: Post, user: Member, api: ClientOf, choices: dict[str, object]
) -> None:
    async with api(user) as client:
        await _choose(client, **choices)
        await announce(user.id, completed(), f"a:{user.id}")
        await post.go()
        assert (post.mail.told(user.id), post.realtime.told(user.id)) == ([], [])
        assert (await client.get("/api/notifications")).json()["meta"]["total"] == 1


async def test_a_changed_password_is_mailed_whatever_was_chosen(post: Post, user: Member, api: ClientOf) -> None:
    async with api(user) as client:
        await _choose(client, email=False, realtime=False)
    await announce(user.id, PasswordChanged(), f"w:{user.id}")
    await post.go()
    assert len(post.mail.told(user.id)) == 1


async def test_a_kind_nobody_knows_is_refused(api: ClientOf, user: Member) -> None:
    async with api(user) as client:
        answer = await client.patch("/api/configurations", json={"notifications": {"kinds": {"moon": {}}}})
    assert answer.status_code == 422


async def test_what_comes_together_leaves_as_one(post: Post, user: Member) -> None:
    for number in range(50):
        await announce(user.id, disconnected(number), f"n:{user.id}:{number}")
    await post.go()
    (mail,) = post.mail.told(user.id)
    assert mail.text.count("Shop ") == 50
    assert {row["status"] for row in await deliveries(user.id)} == {"sent", "folded"}


async def test_what_follows_soon_waits_and_leaves_as_one(post: Post, user: Member) -> None:
    await announce(user.id, disconnected(1), f"n:{user.id}:1")
    await post.go()
    await announce(user.id, disconnected(2), f"n:{user.id}:2")
    await announce(user.id, disconnected(3), f"n:{user.id}:3")
    await post.go()
    assert len(post.mail.told(user.id)) == 1
    await make_due(user.id)
    await post.go()
    first, second = post.mail.told(user.id)
    assert ("Shop 1" in first.text, "Shop 2" in second.text, "Shop 3" in second.text) == (True, True, True)


async def test_the_latest_comes_first(post: Post, user: Member) -> None:
    for number in (1, 2):
        await announce(user.id, disconnected(number), f"n:{user.id}:{number}")
    await post.go()
    (mail,) = post.mail.told(user.id)
    assert mail.text.index("Shop 2") < mail.text.index("Shop 1")


async def test_after_one_that_nobody_got_the_next_leaves_at_once(post: Post, user: Member) -> None:
    post.mail.before = [RefusedError("554 this text is not taken")]
    await announce(user.id, disconnected(1), f"n:{user.id}:1")
    await post.go()
    await announce(user.id, disconnected(2), f"n:{user.id}:2")
    await post.go()
    assert [mail.text.count("Shop 2") > 0 for mail in post.mail.told(user.id)] == [True]


async def test_what_is_switched_off_while_it_waits_is_not_mailed(post: Post, user: Member, api: ClientOf) -> None:
    await announce(user.id, disconnected(1), f"n:{user.id}:1")
    await post.go()
    await announce(user.id, disconnected(2), f"n:{user.id}:2")
    await post.go()
    async with api(user) as client:
        await _choose(client, email=False)
    await make_due(user.id)
    await post.go()
    assert len(post.mail.told(user.id)) == 1


async def test_alarms_of_two_kinds_are_two_mails_and_two_entries(
    post: Post, administrator: Member, api: ClientOf
) -> None:
    for kind, number in (("server_down", 1), ("disk_low", 2), ("server_down", 3)):
        alarm = AlarmRaised(
            alarm_id=10**12 + number, kind=kind, subject_type="server", subject_id=number, text=f"text {number}"
        )
        async with database.unit_of_work():
            await outbox.put("alarm_raised", administrator.id, f"alarm:{number}:{administrator.id}", alarm)
    await post.go()
    mails = [
        [number for number in (1, 2, 3) if f"text {number}" in mail.text] for mail in post.mail.told(administrator.id)
    ]
    async with api(administrator) as client:
        listed = (await client.get("/api/notifications", params={"kind": "alarm_raised"})).json()["data"]
    assert sorted(mails) == [[1, 3], [2]]
    assert [(entry["text"], entry["count"]) for entry in listed] == [("text 2", 1), ("text 1", 2)]


async def test_an_alarm_that_is_over_is_not_mailed_any_more(post: Post, administrator: Member) -> None:
    subjects = [secrets.randbelow(2**31) for _ in range(2)]
    for subject in subjects:
        await raise_alarm("server_down", "server", subject, name=f"machine {subject}", reason="timeout")
    await clear_alarms("server", subjects[:1], ["server_down"])
    await post.go()
    (mail,) = post.mail.told(administrator.id)
    assert [f"machine {subject}" in mail.text for subject in subjects] == [False, True]


async def test_the_address_of_a_link_bears_no_name(post: Post, user: Member) -> None:
    async with database.unit_of_work():
        link = ResetLink(link="https://recado.test/c/1")
        await outbox.put("confirm_email", user.id, f"c:{user.id}", link)
    await post.go()
    (mail,) = post.mail.told(user.id)
    assert (mail.name, user.row.name in mail.text) == ("", False)


async def test_each_new_device_is_told_at_once_also_to_who_takes_no_mails(
    post: Post, user: Member, api: ClientOf
) -> None:
    async with api(user) as client:
        await _choose(client, email=False)
    for number in (1, 2):
        device = NewDevice(address=f"203.0.113.{number}", user_agent="curl")
        await announce(user.id, device, f"d:{user.id}:{number}")
        await post.go()
    assert [f"203.0.113.{number}" in mail.text for number, mail in enumerate(post.mail.told(user.id), 1)] == [True] * 2


async def test_choices_nobody_can_read_keep_nobody_from_being_told(
    post: Post, user: Member, other_user: Member, api: ClientOf
) -> None:
    async with api(user) as client:
        await _choose(client, email=False)
    await database.execute(
        'UPDATE configurations SET value = \'{"muted": ["a kind of yesterday"]}\''
        " WHERE user_id = $1 AND key = 'notifications'",
        user.id,
    )
    for one in (user, other_user):
        await announce(one.id, completed(), f"a:{one.id}")
    await post.go()
    assert [len(post.mail.told(one.id)) for one in (user, other_user)] == [1, 1]


async def test_a_second_planner_does_not_wait(post: Post, user: Member) -> None:
    await announce(user.id, completed(), f"a:{user.id}")
    async with database.connection() as other, other.transaction():
        await other.execute("SELECT pg_advisory_xact_lock($1)", planning.LOCK_KEY)
        await planning.plan()
        assert await deliveries(user.id) == []
    await post.go()
    assert len(await deliveries(user.id)) == 1


async def test_what_comes_much_later_leaves_at_once(post: Post, user: Member) -> None:
    await announce(user.id, disconnected(1), f"n:{user.id}:1")
    await post.go()
    await database.execute(
        "UPDATE notification_deliveries SET due_at = due_at - interval '11 minutes' WHERE user_id = $1", user.id
    )
    await announce(user.id, disconnected(2), f"n:{user.id}:2")
    await post.go()
    assert len(post.mail.told(user.id)) == 2


async def test_receipts_are_never_folded(post: Post, user: Member) -> None:
    for payment in range(3):
        await announce(user.id, paid(payment), f"p:{user.id}:{payment}")
    await post.go()
    assert len(post.mail.told(user.id)) == 3


async def test_another_user_is_told_apart(post: Post, user: Member, other_user: Member) -> None:
    await announce(user.id, disconnected(1), f"n:{user.id}:1")
    await announce(other_user.id, disconnected(2), f"n:{other_user.id}:2")
    await post.go()
    (mine,), (theirs,) = post.mail.told(user.id), post.mail.told(other_user.id)
    assert ("Shop 2" in mine.text, "Shop 1" in theirs.text) == (False, False)


async def test_an_address_that_was_not_confirmed_gets_its_confirmation_alone(post: Post, user: Member) -> None:
    await database.execute("UPDATE users SET email_confirmed_at = NULL WHERE id = $1", user.id)
    await announce(user.id, paid(1), f"p:{user.id}:1")
    async with database.unit_of_work():
        await outbox.put("confirm_email", user.id, f"c:{user.id}", ResetLink(link="https://x.example/#token=1"))
    await post.go()
    assert [one.kind for one in post.mail.told(user.id)] == ["confirm_email"]


async def test_a_link_is_never_told_live_nor_listed(post: Post, user: Member, api: ClientOf) -> None:
    async with database.unit_of_work():
        await outbox.put("password_reset", user.id, f"r:{user.id}", ResetLink(link="https://x.example/#token=1"))
    await post.go()
    assert (len(post.mail.told(user.id)), post.realtime.told(user.id)) == (1, [])
    async with api(user) as client:
        assert (await client.get("/api/notifications")).json()["data"] == []


async def test_somebody_who_left_is_told_nothing(post: Post, user: Member) -> None:
    await announce(user.id, paid(1), f"p:{user.id}:1")
    await database.execute("UPDATE users SET deleted_at = now() WHERE id = $1", user.id)
    await post.go()
    assert post.mail.told(user.id) == []


async def test_a_detail_of_another_shape_is_refused(user: Member) -> None:
    with pytest.raises(TypeError, match="the detail of payment_succeeded is PaymentSucceeded, not PasswordChanged"):
        async with database.unit_of_work():
            await outbox.put("payment_succeeded", user.id, f"x:{user.id}", PasswordChanged())
