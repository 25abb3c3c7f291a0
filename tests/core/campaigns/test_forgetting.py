"""Old recipient rows go; what may still be sent, and what is in doubt, never does."""

from datetime import timedelta

import pytest

from core import database
from core.campaigns import reports, resolving
from core.campaigns.forgetting import forget_recipients
from core.errors import ConflictError
from tests.core.campaigns.making import (
    SENT,
    UNKNOWN,
    Made,
    campaign_row,
    counters,
    leased,
    now,
    recipients,
    running,
    settle_rows,
    states,
)
from tests.factories import Member

LIMIT = 100


async def _end(made: Made, days: int, status: int = 4) -> None:
    await database.execute(
        "UPDATE campaigns SET status = $2, completed_at = now() - make_interval(days => $3) WHERE id = $1",
        made.id,
        status,
        days,
    )


async def _forget(days: int = 30, limit: int = LIMIT) -> int:
    return await forget_recipients(await now() - timedelta(days=days), limit)


async def _attempts(made: Made) -> object:
    return await database.fetch_value(
        "SELECT count(*) FROM message_attempts a WHERE number_id = ANY($1::bigint[])", made.number_ids
    )


async def test_rows_and_attempts_go_and_counters_and_report_stay(user: Member) -> None:
    made, rows, moment = await leased(user)
    await settle_rows(rows, moment, **SENT)
    await _end(made, days=31)
    before = await reports.report(user.id, made.id)
    counted = await counters(made.id)
    assert await _forget() == 6
    assert await _forget() == 0
    assert await recipients(made.id) == []
    assert await _attempts(made) == 0
    assert await counters(made.id) == counted
    assert await reports.report(user.id, made.id) == before
    assert (await campaign_row(made.id))["recipients_removed_at"] is not None


async def test_the_report_stays_when_the_account_moves_to_another_zone(user: Member) -> None:
    made, rows, moment = await leased(user)
    await settle_rows(rows, moment, **SENT)
    await _end(made, days=31)
    await _forget()
    await database.execute("UPDATE users SET timezone = 'Asia/Tokyo' WHERE id = $1", user.id)
    found = await reports.report(user.id, made.id)
    assert (found.totals.sent, found.messages[0].totals.sent) == (3, 3)


@pytest.mark.parametrize("status", [2, 3])
async def test_nothing_of_a_campaign_that_may_still_send_goes(user: Member, status: int) -> None:
    made, rows, moment = await leased(user)
    await settle_rows(rows, moment, **SENT)
    await _end(made, days=1000, status=status)
    assert await _forget() == 0
    assert await states(made.id) == ["sent", "sent", "sent"]


async def test_a_campaign_that_ended_lately_keeps_its_rows(user: Member) -> None:
    made, rows, moment = await leased(user)
    await settle_rows(rows, moment, **SENT)
    await _end(made, days=29)
    assert await _forget() == 0
    assert len(await recipients(made.id)) == 3


async def test_rows_in_doubt_stay(user: Member) -> None:
    made, rows, moment = await leased(user)
    await settle_rows(rows[:1], moment, **SENT)
    await settle_rows(rows[1:2], moment, **UNKNOWN)
    await _end(made, days=31)
    assert await _forget() == 2
    assert await _forget() == 0
    assert sorted(await states(made.id)) == ["leased", "unknown:timeout"]
    assert await _attempts(made) == 2


async def test_no_portion_is_larger_than_its_limit(user: Member) -> None:
    made, rows, moment = await leased(user, contacts=5)
    await settle_rows(rows, moment, **SENT)
    await _end(made, days=31)
    removed = [await _forget(limit=4) for _ in range(20)]
    assert max(removed) <= 4
    assert removed[-1] == 0
    assert await recipients(made.id) == []
    assert await _attempts(made) == 0


async def test_a_canceled_campaign_is_over_too(user: Member) -> None:
    made = await running(user)
    await database.execute(
        "UPDATE message_by_contacts SET state = 'skipped', due_at = NULL WHERE campaign_id = $1", made.id
    )
    await database.execute(
        "UPDATE campaigns SET status = 5, updated_at = now() - interval '40 days' WHERE id = $1", made.id
    )
    assert await _forget() == 3


async def test_what_was_removed_cannot_be_sent_again(user: Member) -> None:
    made, rows, moment = await leased(user)
    await settle_rows(rows, moment, **SENT)
    await _end(made, days=31)
    await _forget()
    with pytest.raises(ConflictError) as refused:
        await resolving.retry_failed(user.id, made.id)
    assert refused.value.code == "recipients_removed"
