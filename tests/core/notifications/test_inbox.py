"""The list of notifications."""

from core.plugin import RefusedError
from tests.conftest import ClientOf
from tests.core.notifications.post import Post, announce, completed, disconnected, paid
from tests.factories import Member


async def test_the_newest_stands_first(post: Post, user: Member, api: ClientOf) -> None:
    await announce(user.id, completed(), f"a:{user.id}")
    await announce(user.id, paid(1), f"p:{user.id}")
    await post.go()
    async with api(user) as client:
        found = (await client.get("/api/notifications")).json()
    assert [(one["kind"], one["count"], one["read_at"]) for one in found["data"]] == [
        ("payment_succeeded", 1, None),
        ("campaign_completed", 1, None),
    ]


async def test_its_texts_are_in_the_language_of_the_request(post: Post, user: Member, api: ClientOf) -> None:
    await announce(user.id, completed(name="Verão"), f"a:{user.id}")
    await post.go()
    async with api(user) as client:
        titles = {
            language: (await client.get("/api/notifications", headers={"Accept-Language": language})).json()["data"][0][
                "title"
            ]
            for language in ("en", "es", "pt-BR")
        }
    assert len(set(titles.values())) == 3
    assert all("Verão" in title for title in titles.values())


async def test_many_of_a_kind_are_one_until_it_is_read(post: Post, user: Member, api: ClientOf) -> None:
    for number in range(3):
        await announce(user.id, disconnected(number), f"n:{user.id}:{number}")
        await post.go()
    async with api(user) as client:
        (head,) = (await client.get("/api/notifications")).json()["data"]
        shown = (await client.get(f"/api/notifications/{head['id']}")).json()["data"]
        assert (head["count"], shown["detail"]["number_id"]) == (3, 0)
        assert ["Shop 2" in shown["folded"][0]["title"], "Shop 1" in shown["folded"][1]["title"]] == [True, True]
        await client.patch(f"/api/notifications/{head['id']}", json={"read": True})
        await announce(user.id, disconnected(9), f"n:{user.id}:9")
        await post.go()
        assert [one["count"] for one in (await client.get("/api/notifications")).json()["data"]] == [1, 3]


async def test_reading(post: Post, user: Member, api: ClientOf) -> None:
    for payment in range(3):
        await announce(user.id, paid(payment), f"p:{user.id}:{payment}")
    await post.go()
    async with api(user) as client:
        newest, middle, _ = (await client.get("/api/notifications")).json()["data"]
        assert (await client.get("/api/notifications/unread")).json()["data"] == {"unread": 3}
        answer = await client.post("/api/notifications/read", json={"up_to": middle["id"]})
        assert answer.json()["data"] == {"unread": 1}
        unread = (await client.get("/api/notifications?unread=true")).json()["data"]
        assert [one["id"] for one in unread] == [newest["id"]]
        path = f"/api/notifications/{middle['id']}"
        assert (await client.patch(path, json={"read": False})).status_code == 204
        assert (await client.get("/api/notifications/unread")).json()["data"] == {"unread": 2}
        assert (await client.post("/api/notifications/read", json={})).json()["data"] == {"unread": 0}


async def test_what_became_of_mails_and_events_is_shown(post: Post, user: Member, api: ClientOf) -> None:
    post.mail.before = [RefusedError("550 no such mailbox")]
    await announce(user.id, paid(1), f"p:{user.id}")
    await post.go()
    async with api(user) as client:
        (own,) = (await client.get("/api/notifications")).json()["data"]
        shown = (await client.get(f"/api/notifications/{own['id']}")).json()["data"]
    assert [(one["channel"], one["notifier"], one["status"]) for one in shown["deliveries"]] == [
        ("realtime", "live", "sent"),
        ("realtime", "bell", "sent"),
        ("email", "", "refused"),
    ]


async def test_a_kind_can_be_asked_for(post: Post, user: Member, api: ClientOf) -> None:
    await announce(user.id, completed(), f"a:{user.id}")
    await announce(user.id, paid(1), f"p:{user.id}")
    await post.go()
    async with api(user) as client:
        found = (await client.get("/api/notifications?kind=campaign_completed")).json()
    assert [one["kind"] for one in found["data"]] == ["campaign_completed"]


async def test_another_users_is_not_there(post: Post, user: Member, other_user: Member, api: ClientOf) -> None:
    await announce(user.id, completed(), f"a:{user.id}")
    await post.go()
    async with api(user) as client:
        (own,) = (await client.get("/api/notifications")).json()["data"]
    path = f"/api/notifications/{own['id']}"
    async with api(other_user) as client:
        assert (await client.get("/api/notifications")).json()["data"] == []
        assert (await client.get(path)).status_code == 404
        assert (await client.patch(path, json={"read": True})).status_code == 404
        assert (await client.post("/api/notifications/read", json={})).status_code == 200
    async with api(user) as client:
        assert (await client.get("/api/notifications/unread")).json()["data"] == {"unread": 1}
