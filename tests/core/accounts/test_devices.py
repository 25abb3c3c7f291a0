"""Sign-ins from devices that were not seen before, over HTTP."""

import asyncio
from typing import Any

import httpx
import pytest
from litestar import Litestar

from core import database
from core.accounts import entering, recovery, sessions
from core.accounts.callers import Caller
from core.accounts.devices import network_of
from core.events.catalogue import NewDevice
from tests.conftest import client_for
from tests.core.told import told
from tests.factories import PASSWORD, Member, random_email

CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{} Safari/537.36"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS {} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1"
HOME, HOME_LATER, ELSEWHERE, OFFICE = "198.51.100.7", "198.51.233.80", "203.0.113.7", "192.0.2.44"
CHROME_1, CHROME_2 = CHROME.format("131.0.0.0"), CHROME.format("132.0.1.4")


@pytest.fixture
async def settled(user: Member) -> Member:
    """A user who signed in from Chrome at home before, and has no other session."""
    await database.execute("DELETE FROM user_sessions WHERE user_id = $1", user.id)
    await _enter(user, CHROME_1, HOME)
    assert await told(user.id) == []
    return user


async def _enter(user: Member, user_agent: str, address: str) -> None:
    """Sign in where the right to it is proven."""
    async with database.unit_of_work():
        await entering.sign_in(user.id, Caller(address=address, user_agent=user_agent))


async def _sign_out(user: Member, session_id: object = None) -> None:
    """Sign out of one session, or of every one by itself."""
    for row in await database.fetch("SELECT id FROM user_sessions WHERE user_id = $1", user.id):
        if session_id in (None, row["id"]):
            await sessions.sign_out(user.id, row["id"])


async def _reset(app: Litestar, user: Member) -> None:
    """Set a new password by a mailed link."""
    link = await recovery.make_reset_link(user.id)
    body = {"token": link.partition("token=")[2], "password": "another long passphrase"}
    async with client_for(app) as client:
        answer = await client.post("/api/auth/reset-password", json=body)
    assert answer.status_code == 204, answer.text


async def _log_in(app: Litestar, user: Member, user_agent: str) -> httpx.Response:
    async with client_for(app, address=OFFICE) as client:
        return await client.post(
            "/api/auth/login",
            json={"email": user.email, "password": PASSWORD},
            headers={"user-agent": user_agent},
        )


async def test_the_first_sign_in_after_registration_is_not_told(app: Litestar) -> None:
    async with client_for(app) as client:
        body = {"name": "Ana", "email": random_email(), "password": PASSWORD}
        answer = await client.post("/api/auth/register", json=body)
    assert answer.status_code == 201, answer.text
    assert await told(answer.json()["user"]["id"], "new_device") == []


async def test_a_new_device_is_told_once_with_where_it_is(app: Litestar, settled: Member, other_user: Member) -> None:
    for _ in range(2):
        assert (await _log_in(app, settled, "Firefox/133.0")).status_code == 200
    assert await told(settled.id) == [NewDevice(address=OFFICE, user_agent="Firefox/133.0")]
    assert await told(other_user.id) == []


async def test_a_sign_in_that_fails_is_not_told(app: Litestar, settled: Member) -> None:
    async with client_for(app) as client:
        answer = await client.post("/api/auth/login", json={"email": settled.email, "password": "wrong password"})
    assert answer.status_code == 422
    assert await told(settled.id) == []


@pytest.mark.parametrize(
    ("user_agent", "address", "told_times"),
    [
        (CHROME_1, HOME, 0),
        (CHROME_2, HOME, 0),
        (CHROME_1, HOME_LATER, 0),
        (CHROME_1, ELSEWHERE, 1),
        (PHONE.format("18_1"), HOME, 1),
        ("", "", 1),
    ],
)
async def test_the_same_browser_in_the_same_network_is_the_same_device(
    settled: Member, user_agent: str, address: str, told_times: int
) -> None:
    await _enter(settled, user_agent, address)
    assert await told(settled.id) == [NewDevice(address=address, user_agent=user_agent)] * told_times


async def test_a_session_that_ended_is_remembered_until_it_is_forgotten(settled: Member) -> None:
    await _sign_out(settled)
    await sessions.clean_up()
    await _enter(settled, CHROME_1, HOME)
    assert await told(settled.id) == []
    await database.execute(
        "UPDATE user_sessions SET expires_at = now() - interval '31 days' WHERE user_id = $1", settled.id
    )
    await sessions.clean_up()
    await _enter(settled, CHROME_1, HOME)
    assert await told(settled.id) == [NewDevice(address=HOME, user_agent=CHROME_1)]


@pytest.mark.parametrize("signed_out", [False, True])
@pytest.mark.parametrize("taken", ["reset", "change", "device"])
async def test_what_was_taken_away_makes_no_device_known(
    app: Litestar, settled: Member, taken: str, *, signed_out: bool
) -> None:
    await _enter(settled, PHONE.format("18_1"), ELSEWHERE)
    stolen = await database.fetch_value("SELECT max(id) FROM user_sessions WHERE user_id = $1", settled.id)
    if signed_out:
        await _sign_out(settled, stolen)
    if taken == "reset":
        await _reset(app, settled)
    elif taken == "change":
        await sessions.revoke_others(settled.id, 0)
    else:
        assert await sessions.revoke(settled.id, int(str(stolen))) is not signed_out
    await database.execute("DELETE FROM notifications WHERE user_id = $1", settled.id)
    await _enter(settled, PHONE.format("18_1"), ELSEWHERE)
    known = taken == "device" and signed_out
    event = NewDevice(address=ELSEWHERE, user_agent=PHONE.format("18_1"))
    assert await told(settled.id) == ([] if known else [event])


async def test_whoever_changes_a_password_stays_known(settled: Member) -> None:
    mine = await database.fetch_value("SELECT max(id) FROM user_sessions WHERE user_id = $1", settled.id)
    await sessions.revoke_others(settled.id, int(str(mine)))
    await _enter(settled, CHROME_1, HOME)
    assert await told(settled.id) == []


async def test_another_users_device_is_not_ones_own(settled: Member, other_user: Member) -> None:
    await _enter(other_user, PHONE.format("18_1"), HOME)
    await _enter(settled, PHONE.format("18_1"), HOME)
    assert await told(settled.id) == [NewDevice(address=HOME, user_agent=PHONE.format("18_1"))]


async def test_acting_for_a_user_is_not_told_and_makes_no_device_known(
    app: Litestar, settled: Member, administrator: Member
) -> None:
    async with client_for(app, administrator.token, OFFICE) as client:
        answer = await client.post(
            f"/api/admin/users/{settled.id}/act-as", json={"reason": "help"}, headers={"user-agent": "Admin/1.0"}
        )
    assert answer.status_code == 200, answer.text
    assert await told(settled.id) == []
    assert (await _log_in(app, settled, "Admin/1.0")).status_code == 200
    assert await told(settled.id) == [NewDevice(address=OFFICE, user_agent="Admin/1.0")]


async def test_of_two_sign_ins_at_once_one_is_told(app: Litestar, settled: Member) -> None:
    answers = await asyncio.gather(*(_log_in(app, settled, "Firefox/133.0") for _ in range(4)))
    assert [answer.status_code for answer in answers] == [200] * 4
    assert await told(settled.id) == [NewDevice(address=OFFICE, user_agent="Firefox/133.0")]


async def test_nobody_is_told_of_a_sign_in_that_was_rolled_back(settled: Member) -> None:
    async def enter_and_fail() -> None:
        async with database.unit_of_work():
            await _enter(settled, PHONE.format("18_1"), HOME)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await enter_and_fail()
    assert await told(settled.id) == []


async def test_it_is_told_as_the_list_of_devices_shows_it(settled: Member) -> None:
    await _enter(settled, "phone\0" + "x" * 300, ELSEWHERE)
    shown: Any = await database.fetch_row(
        "SELECT address, user_agent FROM user_sessions WHERE user_id = $1 ORDER BY id DESC LIMIT 1", settled.id
    )
    assert await told(settled.id) == [NewDevice(address=shown["address"], user_agent=shown["user_agent"])]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("198.51.100.7", "198.51.0.0/16"),
        ("::ffff:198.51.100.7", "198.51.0.0/16"),
        ("2001:db8:1:2::3", "2001:db8::/32"),
        ("", ""),
        ("unknown", "unknown"),
    ],
)
def test_the_network_of_an_address(address: str, network: str) -> None:
    assert network_of(address) == network
