from collections.abc import Awaitable, Callable
from datetime import timedelta

import msgspec
import pytest

from core import database, queue
from core.campaigns.sweep import sweep
from core.campaigns.tables import RecipientState
from core.campaigns.transitions import FROM_LEASED
from core.runtime import Runtime
from tests.core.campaigns.making import (
    HOLDER,
    Made,
    claim_all,
    hold,
    lane_row,
    now,
    running,
    settle_rows,
    standing,
    states,
)
from tests.factories import Member

Queued = Callable[[], Awaitable[set[str]]]


@pytest.fixture
async def queued(runtime: Runtime) -> Queued:
    """The actors for which messages came into the queues since the test began to look."""
    queues = (queue.DISPATCH, queue.EVENTS)
    seen: set[bytes | str] = set()

    async def look() -> set[str]:
        messages = {body for name in queues for body in await runtime.redis.hvals(f"recado:{name}.msgs")} - seen
        seen.update(messages)
        return {msgspec.json.decode(body)["actor_name"] for body in messages}

    await look()
    return look


async def _sleeping(made: Made) -> None:
    """Let the campaign's lane be released without a next time."""
    await database.execute("UPDATE lanes SET due_at = NULL, holder = NULL WHERE number_id = $1", made.number_ids[0])


class TestDispatch:
    async def test_is_woken_for_a_lane_that_is_due(self, user: Member, queued: Queued) -> None:
        await running(user)
        await queued()
        await sweep(await now())
        assert await queued() == {"campaigns.dispatch"}

    async def test_is_left_alone_while_somebody_holds_it(self, user: Member, queued: Queued) -> None:
        made = await running(user)
        moment = await now()
        await hold(made, moment)
        await queued()
        await sweep(moment)
        assert await queued() == set()

    async def test_is_woken_when_the_holder_is_dead(self, user: Member, queued: Queued) -> None:
        made = await running(user)
        moment = await now()
        await hold(made, moment)
        await sweep(moment + timedelta(seconds=61))
        assert "campaigns.dispatch" in await queued()


class TestHealing:
    async def test_a_forgotten_lane_with_due_rows_is_due_again(self, user: Member, queued: Queued) -> None:
        made = await running(user)
        await _sleeping(made)
        await queued()
        moment = await now()
        await sweep(moment)
        assert (await lane_row(made.number_ids[0]))["due_at"] == moment
        assert await queued() == {"campaigns.dispatch"}

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE numbers SET status_connection = false WHERE user_id = $1",
            "UPDATE numbers SET status = false WHERE user_id = $1",
            "UPDATE numbers SET deleted_at = now() WHERE user_id = $1",
            "UPDATE users SET status = 'inactive' WHERE id = $1",
            "UPDATE users SET due_access_at = now() - interval '1 s' WHERE id = $1",
            "UPDATE campaigns SET status = 3 WHERE user_id = $1",
            "UPDATE message_by_contacts SET due_at = now() + interval '1 hour' WHERE user_id = $1",
            "UPDATE message_by_contacts SET state = 'sent' WHERE user_id = $1",
            "UPDATE message_by_contacts SET number_id = 1 WHERE user_id = $1",
        ],
    )
    async def test_not_where_nothing_may_be_sent(self, user: Member, queued: Queued, change: str) -> None:
        made = await running(user)
        await _sleeping(made)
        await database.execute(change, user.id)
        await queued()
        await sweep(await now())
        assert (await lane_row(made.number_ids[0]))["due_at"] is None
        assert await queued() == set()


class TestRest:
    async def test_leases_end_look_ups_begin_and_campaigns_complete(self, user: Member, queued: Queued) -> None:
        dead, done = await running(user), await running(user)
        moment = await now()
        await claim_all(dead, moment)
        await database.execute("UPDATE lanes SET holder = NULL")
        await settle_rows(
            (await claim_all(done, moment)).claimed, moment, allowed=FROM_LEASED, state=RecipientState.SENT
        )
        await database.execute("UPDATE lanes SET holder = $1, lease_until = $2", HOLDER, moment + timedelta(hours=1))
        await sweep(moment + timedelta(seconds=31))
        assert await states(dead.id) == ["unknown:lease_expired"] * 3
        assert await standing(done.id) == (4, "completed")
        assert "campaigns.reconcile" in await queued()

    async def test_a_queue_that_is_away_holds_up_no_row(self, user: Member, monkeypatch: pytest.MonkeyPatch) -> None:
        waiting, done = await running(user), await running(user, contacts=0)

        async def refuse(*_: object, **__: object) -> None:
            raise ConnectionError("no queue")

        monkeypatch.setattr(queue, "send", refuse)
        with pytest.raises(ConnectionError):
            await sweep(await now())
        assert await standing(done.id) == (4, "completed")
        assert await standing(waiting.id) == (2, "sending")
