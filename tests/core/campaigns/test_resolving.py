from datetime import timedelta

import pytest

from core import database
from core.campaigns import resolving, services
from core.campaigns.completion import complete_finished
from core.campaigns.schemas import ResolveAction, ResolveMany, Retry
from core.campaigns.tables import RecipientState
from core.campaigns.transitions import FROM_IN_DOUBT
from core.errors import ConflictError, NotFoundError
from tests.core.campaigns.making import (
    FAILED,
    SENT,
    UNKNOWN,
    Made,
    campaign_row,
    claim_all,
    counted,
    counters,
    leased,
    now,
    recipients,
    run_jobs,
    running,
    settle_rows,
    standing,
    states,
)
from tests.factories import Member


async def _retry(user: Member, made: Made, wanted: Retry | None = None) -> None:
    """Have failed rows retried, and do the job of it."""
    await resolving.retry_failed(user.id, made.id, wanted)
    await run_jobs(made.id)


class TestRetry:
    async def test_makes_failed_rows_pending_with_five_new_tries(self, user: Member) -> None:
        made, rows, moment = await leased(user)
        await settle_rows(rows[:2], moment, **{**FAILED, "burnt": 5})
        await settle_rows(rows[2:], moment, **SENT)
        await complete_finished(moment)
        await _retry(user, made)
        found = await recipients(made.id)
        assert await states(made.id) == ["pending:retried_by_user"] * 2 + ["sent"]
        assert [(row["failures"], row["first_attempt_at"]) for row in found[:2]] == [(0, None)] * 2
        assert await standing(made.id) == (2, "sending")
        assert (await campaign_row(made.id))["completed_at"] is None
        assert await counters(made.id) == {"sent": 1}
        assert len((await claim_all(made, await now())).claimed) == 2

    async def test_gives_their_later_steps_back(self, user: Member) -> None:
        made, rows, moment = await leased(user, contacts=1, messages=("a", "b"))
        await settle_rows(rows, moment, **FAILED)
        await _retry(user, made)
        assert await states(made.id) == ["pending:retried_by_user", "pending"]
        moment = await now()
        await settle_rows((await claim_all(made, moment)).claimed, moment, **SENT)
        later = moment + timedelta(seconds=1)
        assert [row.message_id for row in (await claim_all(made, later)).claimed] == made.message_ids[1:]

    async def test_leaves_what_was_skipped_alone(self, user: Member) -> None:
        made, rows, moment = await leased(user)
        await settle_rows(rows, moment, **{**FAILED, "state": RecipientState.SKIPPED, "reason": "no_whatsapp"})
        await complete_finished(moment)
        await _retry(user, made)
        assert await standing(made.id) == (4, "completed")

    async def test_of_a_paused_campaign_waits_for_its_resumption(self, user: Member) -> None:
        made, rows, moment = await leased(user)
        await settle_rows(rows, moment, **FAILED)
        await services.pause_campaign(user.id, made.id)
        await _retry(user, made)
        assert await standing(made.id) == (3, "paused_by_user")

    @pytest.mark.parametrize(
        ("wanted", "again"),
        [
            (Retry(reasons=("blocked_by_server",)), [0]),
            (Retry(reasons=("nobody_says_this",)), []),
            (Retry(classes=("refused",)), [0]),
            (Retry(classes=("gave_up",)), [1]),
            (Retry(classes=("network", "gave_up")), [1, 2]),
            (Retry(reasons=("busy",), classes=("refused",)), []),
        ],
    )
    async def test_of_some_leaves_the_others(self, user: Member, wanted: Retry, again: list[int]) -> None:
        made, rows, moment = await leased(user)
        for row, (outcome, reason) in zip(
            rows,
            (("rejected", "blocked_by_server"), ("retryable", "busy"), ("accepted", "failed_by_network")),
            strict=True,
        ):
            await settle_rows([row], moment, **{**FAILED, "outcome": outcome, "reason": reason})
        await _retry(user, made, wanted)
        found = [place for place, row in enumerate(await recipients(made.id)) if row["state"] == "pending"]
        assert found == again

    async def test_goes_on_where_a_batch_ended(self, user: Member, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(resolving, "BATCH", 2)
        made, rows, moment = await leased(user, contacts=5)
        await settle_rows(rows, moment, **FAILED)
        await _retry(user, made)
        assert set(await states(made.id)) == {"pending:retried_by_user"}

    @pytest.mark.parametrize("status", [1, 5, 6])
    async def test_otherwise_is_a_conflict(self, user: Member, status: int) -> None:
        made = await running(user)
        await database.execute("UPDATE campaigns SET status = $2 WHERE id = $1", made.id, status)
        with pytest.raises(ConflictError):
            await resolving.retry_failed(user.id, made.id)


class TestResolve:
    async def test_assumed_sent_counts_as_sent(self, user: Member) -> None:
        made, rows, moment = await leased(user, contacts=1)
        await settle_rows(rows, moment, **UNKNOWN)
        await resolving.resolve_recipient(user.id, made.id, rows[0].id, "assume_sent")
        assert await states(made.id) == ["sent:assumed_sent"]
        assert await counters(made.id) == {"sent": 1}
        assert await complete_finished(await now()) == [made.id]

    async def test_assumed_sent_lets_the_next_step_go(self, user: Member) -> None:
        made, rows, moment = await leased(user, contacts=1, messages=("a", "b"))
        await settle_rows(rows, moment, **UNKNOWN)
        await complete_finished(moment)
        await resolving.resolve_recipient(user.id, made.id, rows[0].id, "assume_sent")
        assert await standing(made.id) == (2, "sending")
        assert len((await claim_all(made, await now())).claimed) == 1

    async def test_after_the_end_the_skipped_steps_go_too(self, user: Member) -> None:
        made, rows, moment = await leased(user, contacts=1, messages=("a", "b"))
        await settle_rows(rows, moment, **UNKNOWN)
        assert await complete_finished(moment + timedelta(hours=25)) == [made.id]
        await resolving.resolve_recipient(user.id, made.id, rows[0].id, "assume_sent")
        assert await standing(made.id) == (2, "sending")
        assert await states(made.id) == ["sent:assumed_sent", "pending"]
        assert len((await claim_all(made, await now())).claimed) == 1
        assert await counters(made.id) == await counted(made.id)

    async def test_without_later_steps_the_end_stays(self, user: Member) -> None:
        made, rows, moment = await leased(user, contacts=1)
        await settle_rows(rows, moment, **UNKNOWN)
        await complete_finished(moment + timedelta(hours=25))
        await resolving.resolve_recipient(user.id, made.id, rows[0].id, "assume_sent")
        assert await standing(made.id) == (4, "completed_with_unknown")

    async def test_a_retry_sends_again_by_the_same_number(self, user: Member) -> None:
        made, rows, moment = await leased(user, contacts=1, numbers=2)
        await settle_rows(rows, moment, **UNKNOWN)
        await resolving.resolve_recipient(user.id, made.id, rows[0].id, "retry")
        assert await states(made.id) == ["pending:retried_by_user"]
        assert [row.number_id for row in (await claim_all(made, await now())).claimed] == [rows[0].number_id]

    @pytest.mark.parametrize("action", ["retry", "assume_sent"])
    async def test_a_row_that_is_being_looked_up_is_a_conflict(self, user: Member, action: ResolveAction) -> None:
        made, rows, moment = await leased(user, contacts=1)
        await settle_rows(rows, moment, **UNKNOWN, look_at=moment)
        with pytest.raises(ConflictError):
            await resolving.resolve_recipient(user.id, made.id, rows[0].id, action)

    @pytest.mark.parametrize("action", ["retry", "assume_sent"])
    async def test_a_settled_row_is_a_conflict(self, user: Member, action: ResolveAction) -> None:
        made, rows, moment = await leased(user, contacts=1)
        await settle_rows(rows, moment, allowed=FROM_IN_DOUBT, state=RecipientState.ACCEPTED)
        with pytest.raises(ConflictError):
            await resolving.resolve_recipient(user.id, made.id, rows[0].id, action)

    async def test_a_cancelled_campaign_sends_nothing_again(self, user: Member) -> None:
        made, rows, moment = await leased(user, contacts=1)
        await settle_rows(rows, moment, **UNKNOWN)
        await services.cancel_campaign(user.id, made.id)
        with pytest.raises(ConflictError):
            await resolving.resolve_recipient(user.id, made.id, rows[0].id, "retry")
        await resolving.resolve_recipient(user.id, made.id, rows[0].id, "assume_sent")
        assert await standing(made.id) == (5, "canceled_by_user")
        assert await states(made.id) == ["sent:assumed_sent"]

    @pytest.mark.parametrize(
        ("wanted", "expected"),
        [
            (ResolveMany(action="assume_sent"), ["sent:assumed_sent"] * 3),
            (
                ResolveMany(action="retry", reasons=("cut",)),
                ["pending:retried_by_user", "unknown:timeout", "unknown:timeout"],
            ),
        ],
    )
    async def test_all_at_once(self, user: Member, wanted: ResolveMany, expected: list[str]) -> None:
        made, rows, moment = await leased(user)
        await settle_rows(rows[:1], moment, **{**UNKNOWN, "reason": "cut"})
        await settle_rows(rows[1:], moment, **UNKNOWN)
        await resolving.resolve_many(user.id, made.id, wanted)
        await run_jobs(made.id)
        assert await states(made.id) == expected
        assert await counters(made.id) == await counted(made.id)

    async def test_all_at_once_leaves_what_is_looked_up(self, user: Member) -> None:
        made, rows, moment = await leased(user, contacts=1)
        await settle_rows(rows, moment, **UNKNOWN, look_at=moment)
        await resolving.resolve_many(user.id, made.id, ResolveMany(action="assume_sent"))
        await run_jobs(made.id)
        assert await states(made.id) == ["unknown:timeout"]

    async def test_another_campaigns_row_is_not_found(self, user: Member) -> None:
        made, rows, _ = await leased(user, contacts=1)
        other = await running(user, contacts=0)
        with pytest.raises(NotFoundError):
            await resolving.resolve_recipient(user.id, other.id, rows[0].id, "retry")
        assert made.id != other.id
