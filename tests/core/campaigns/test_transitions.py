import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from core import database
from core.campaigns.claims import Claimed, Ineligible
from core.campaigns.pacing import Pacing
from core.campaigns.skipping import restore_following, skip
from core.campaigns.tables import RecipientState
from core.campaigns.transitions import (
    FROM_ANY_ATTEMPT,
    FROM_IN_DOUBT,
    FROM_LEASED,
    FROM_UNSETTLED,
    Transition,
    apply,
    mask,
)
from tests.core.campaigns.making import (
    Made,
    attempts,
    claim_all,
    counted,
    counters,
    hold,
    leased,
    now,
    recipient,
    recipients,
    running,
    settle_rows,
    states,
    used,
)
from tests.factories import Member

ACCEPTED: dict[str, Any] = {"allowed": FROM_IN_DOUBT, "state": RecipientState.ACCEPTED}
UNKNOWN: dict[str, Any] = {"allowed": FROM_LEASED, "state": RecipientState.UNKNOWN}
FAILED: dict[str, Any] = {"allowed": FROM_IN_DOUBT, "state": RecipientState.FAILED, "reason": "refused"}
SENT: dict[str, Any] = {"allowed": FROM_ANY_ATTEMPT, "state": RecipientState.SENT}


async def _leased(user: Member, **wishes: Any) -> tuple[Made, Claimed, datetime]:
    made = await running(user, **{"contacts": 1, **wishes})
    moment = await now()
    (row,) = (await claim_all(made, moment)).claimed
    return made, row, moment


async def _again(row: Claimed, moment: datetime, **fields: Any) -> None:
    await settle_rows(
        [row], moment, **{"allowed": FROM_IN_DOUBT, "state": RecipientState.PENDING, "due_at": moment, **fields}
    )


class TestAttempts:
    async def test_an_outcome_is_kept_with_its_attempt(self, user: Member) -> None:
        _, row, moment = await _leased(user)
        await settle_rows([row], moment, **ACCEPTED, outcome="accepted", code="ok", provider_id="true_1@c.us_X")
        (attempt,) = await attempts(row.id)
        assert (attempt["outcome"], attempt["code"], attempt["provider_id"], attempt["ended_at"]) == (
            "accepted",
            "ok",
            "true_1@c.us_X",
            moment,
        )

    async def test_without_an_id_the_client_id_stays(self, user: Member) -> None:
        _, row, moment = await _leased(user)
        await settle_rows([row], moment, **UNKNOWN, outcome="unknown")
        (attempt,) = await attempts(row.id)
        assert attempt["provider_id"] == row.client_id

    async def test_a_late_answer_of_an_earlier_attempt_changes_its_record_alone(self, user: Member) -> None:
        made, row, moment = await _leased(user)
        await _again(row, moment)
        (second,) = (await claim_all(made, moment)).claimed
        await settle_rows([row], moment, **FAILED, outcome="rejected")
        assert (await recipient(row.id))["state"] == "leased"
        assert [attempt["outcome"] for attempt in await attempts(row.id)] == ["rejected", ""]
        assert second.attempt == 2

    async def test_a_repeated_answer_changes_nothing(self, user: Member) -> None:
        made, row, moment = await _leased(user)
        await settle_rows([row], moment, **ACCEPTED, accepted_at=moment)
        before = await recipient(row.id)
        transition = Transition(id=row.id, attempt=row.attempt, **ACCEPTED, accepted_at=moment + timedelta(seconds=9))
        assert await apply(moment + timedelta(seconds=9), [transition], shard=0) == []
        assert await recipient(row.id) == before
        assert await counters(made.id) == {"accepted": 1}


class TestStates:
    @pytest.mark.parametrize(
        ("settled", "then", "expected"),
        [
            (ACCEPTED, FAILED, "accepted"),
            (ACCEPTED, UNKNOWN, "accepted"),
            (FAILED, ACCEPTED, "failed"),
            (FAILED, SENT, "sent"),
            (UNKNOWN, ACCEPTED, "accepted"),
            (UNKNOWN, FAILED, "failed"),
            (UNKNOWN, SENT, "sent"),
            (SENT, ACCEPTED, "sent"),
            (SENT, FAILED, "sent"),
            (SENT, UNKNOWN, "sent"),
        ],
    )
    async def test_a_positive_word_wins_and_nothing_falls(
        self, user: Member, settled: dict[str, Any], then: dict[str, Any], expected: str
    ) -> None:
        made, row, moment = await _leased(user)
        await settle_rows([row], moment, **settled)
        await settle_rows([row], moment, **then)
        assert (await recipient(row.id))["state"] == expected
        assert await counters(made.id) == {expected: 1}

    async def test_an_acknowledgement_of_the_first_attempt_wins_over_the_second(self, user: Member) -> None:
        made, row, moment = await _leased(user)
        await _again(row, moment)
        await claim_all(made, moment)
        await apply(moment, [Transition(id=row.id, attempt=0, **SENT, sent_at=moment)], shard=0)
        assert (await recipient(row.id))["state"] == "sent"

    async def test_an_acknowledgement_of_a_skipped_row_says_what_happened(self, user: Member) -> None:
        made, row, moment = await _leased(user)
        await _again(row, moment)
        await skip(moment, [Ineligible(row.id, "canceled")])
        await apply(moment, [Transition(id=row.id, attempt=0, **SENT, sent_at=moment)], shard=0)
        assert await states(made.id) == ["sent"]
        assert await counters(made.id) == {"sent": 1}

    async def test_the_first_time_of_each_stays(self, user: Member) -> None:
        _, row, moment = await _leased(user)
        times = [moment + timedelta(seconds=place) for place in range(3)]
        for at in times:
            read: dict[str, Any] = {"delivered_at": at, "read_at": at if at > moment else None}
            await apply(at, [Transition(id=row.id, attempt=0, **SENT, sent_at=at, **read)], shard=0)
        found = await recipient(row.id)
        assert (found["sent_at"], found["delivered_at"], found["read_at"]) == (times[0], times[0], times[1])

    async def test_one_seen_reading_is_counted_once(self, user: Member) -> None:
        made, row, moment = await _leased(user)
        for _ in range(3):
            transition = Transition(id=row.id, attempt=0, **SENT, sent_at=moment, delivered_at=moment, read_at=moment)
            await apply(moment, [transition], shard=0)
        assert await counters(made.id) == {"sent": 1, "delivered": 1, "read": 1}

    async def test_what_changed_is_told(self, user: Member) -> None:
        made, row, moment = await _leased(user)
        (changed,) = await apply(moment, [Transition(id=row.id, attempt=1, **ACCEPTED)], shard=0)
        assert (changed.id, changed.campaign_id, changed.number_id) == (row.id, made.id, made.number_ids[0])
        assert (changed.old, changed.new) == (RecipientState.LEASED, RecipientState.ACCEPTED)
        assert changed.next_due_at is None

    def test_a_mask_names_each_state_by_its_own_bit(self) -> None:
        assert [mask(state) for state in RecipientState] == [1, 2, 4, 8, 16, 32, 64]
        assert mask(RecipientState.LEASED, RecipientState.UNKNOWN) == FROM_IN_DOUBT
        assert FROM_UNSETTLED & mask(RecipientState.SENT, RecipientState.PENDING) == 0


class TestNumber:
    async def test_a_row_never_tried_goes_back_to_every_number(self, user: Member) -> None:
        _, row, moment = await _leased(user)
        await _again(row, moment, release_number=True)
        assert (await recipient(row.id))["number_id"] is None

    @pytest.mark.parametrize("before", [{"burnt": 1}, {"requeued": 1}])
    async def test_one_that_was_tried_or_in_doubt_stays(self, user: Member, before: dict[str, int]) -> None:
        made, row, moment = await _leased(user)
        await _again(row, moment, **before)
        (second,) = (await claim_all(made, moment)).claimed
        await _again(second, moment, release_number=True)
        assert (await recipient(row.id))["number_id"] == made.number_ids[0]

    async def test_a_later_step_stays_with_its_number(self, user: Member) -> None:
        made, row, moment = await _leased(user, messages=("a", "b"))
        await settle_rows([row], moment, **ACCEPTED)
        (second,) = (await claim_all(made, moment)).claimed
        await _again(second, moment, release_number=True)
        assert (await recipient(second.id))["number_id"] == made.number_ids[0]


class TestSteps:
    async def test_a_number_taken_out_meanwhile_leaves_the_next_to_the_others(self, user: Member) -> None:
        made, rows, moment = await leased(user, contacts=1, numbers=2, messages=("a", "b"))
        await database.execute("DELETE FROM campaign_numbers WHERE number_id = $1", rows[0].number_id)
        await settle_rows(rows, moment, **SENT)
        assert [row["number_id"] for row in await recipients(made.id)] == [rows[0].number_id, None]

    async def test_the_next_is_due_its_delay_after_the_acceptance(self, user: Member) -> None:
        made, row, moment = await _leased(user, messages=("a", "b", "c"), delays=(0, 90, 5))
        later = moment + timedelta(seconds=3)
        (changed,) = await apply(later, [Transition(id=row.id, attempt=1, **ACCEPTED)], shard=0)
        assert changed.next_due_at == later + timedelta(seconds=90)
        _, second, third = await recipients(made.id)
        assert (second["due_at"], second["number_id"]) == (later + timedelta(seconds=90), made.number_ids[0])
        assert second["previous_claimed_at"] == moment
        assert third["due_at"] is None

    async def test_an_acknowledgement_does_not_move_it(self, user: Member) -> None:
        made, row, moment = await _leased(user, messages=("a", "b"), delays=(0, 90))
        await settle_rows([row], moment, **ACCEPTED)
        later = moment + timedelta(seconds=50)
        await apply(later, [Transition(id=row.id, attempt=0, **SENT, sent_at=later)], shard=0)
        assert (await recipients(made.id))[1]["due_at"] == moment + timedelta(seconds=90)

    async def test_it_waits_while_this_one_is_in_doubt(self, user: Member) -> None:
        made, row, moment = await _leased(user, messages=("a", "b"))
        await settle_rows([row], moment, **UNKNOWN)
        assert (await recipients(made.id))[1]["due_at"] is None
        await settle_rows([row], moment, **ACCEPTED)
        assert (await recipients(made.id))[1]["due_at"] == moment

    async def test_a_failure_drops_all_that_follow(self, user: Member) -> None:
        made, row, moment = await _leased(user, contacts=1, messages=("a", "b", "c"))
        await settle_rows([row], moment, **FAILED)
        assert await states(made.id) == ["failed:refused", "skipped:previous_failed", "skipped:previous_failed"]
        assert await counters(made.id) == {"failed": 1, "skipped": 2}

    async def test_a_failure_by_the_network_drops_them_too(self, user: Member) -> None:
        made, row, moment = await _leased(user, messages=("a", "b"), delays=(0, 90))
        await settle_rows([row], moment, **ACCEPTED)
        await settle_rows([row], moment, allowed=FROM_UNSETTLED, state=RecipientState.FAILED, reason="undelivered")
        assert await states(made.id) == ["failed:undelivered", "skipped:previous_failed"]
        assert (await recipients(made.id))[1]["due_at"] is None

    async def test_another_contacts_steps_are_their_own(self, user: Member) -> None:
        made = await running(user, contacts=2, messages=("a", "b"))
        moment = await now()
        first, second = (await claim_all(made, moment)).claimed
        await settle_rows([first], moment, **FAILED)
        await settle_rows([second], moment, **ACCEPTED)
        assert await states(made.id) == ["failed:refused", "accepted", "skipped:previous_failed", "pending"]

    async def test_a_skipped_step_drops_the_rest(self, user: Member) -> None:
        made = await running(user, contacts=1, messages=("a", "b"))
        moment = await now()
        await skip(moment, [Ineligible((await recipients(made.id))[0]["id"], "blocked")])
        assert await states(made.id) == ["skipped:blocked", "skipped:blocked"]
        assert await counters(made.id) == await counted(made.id)

    async def test_restored_steps_wait_again(self, user: Member) -> None:
        made, row, moment = await _leased(user, messages=("a", "b", "c"))
        await settle_rows([row], moment, **FAILED)
        assert await restore_following([row.id], moment, 20) == 2
        assert (await states(made.id))[1:] == ["pending", "pending"]
        assert [found["due_at"] for found in (await recipients(made.id))[1:]] == [None, None]
        assert await counters(made.id) == {"failed": 1}

    async def test_only_what_fell_with_the_step_before_is_restored(self, user: Member) -> None:
        made, row, moment = await _leased(user, messages=("a", "b"))
        await skip(moment, [Ineligible((await recipients(made.id))[1]["id"], "blocked")])
        await settle_rows([row], moment, **FAILED)
        assert await restore_following([row.id], moment, 20) == 0
        assert (await states(made.id))[1] == "skipped:blocked"


class TestCapsGivenBack:
    async def test_of_a_certain_non_send(self, user: Member) -> None:
        made = await running(user, contacts=3, pacing=Pacing(per_hour=9, campaign_per_day=9))
        moment = await now()
        (lane,) = await hold(made, moment)
        caps = lane.caps(lane.campaigns[0], moment)
        rows = (await claim_all(made, moment)).claimed
        back = [(row.id, cap) for row in rows[:2] for cap in caps]
        transitions = [
            Transition(id=row.id, attempt=1, allowed=FROM_IN_DOUBT, state=RecipientState.PENDING, due_at=moment)
            for row in rows[:2]
        ]
        await apply(moment, transitions, shard=0, given_back=back)
        assert list((await used("plan", user.id)).values()) == [1]
        assert list((await used("number", made.number_ids[0])).values()) == [1, 1]
        assert list((await used("campaign", made.id)).values()) == [1]

    async def test_only_once(self, user: Member) -> None:
        made = await running(user, contacts=3, pacing=Pacing(per_hour=9))
        moment = await now()
        (lane,) = await hold(made, moment)
        caps = lane.caps(lane.campaigns[0], moment)
        row = (await claim_all(made, moment)).claimed[0]
        again = Transition(id=row.id, attempt=1, allowed=FROM_IN_DOUBT, state=RecipientState.PENDING, due_at=moment)
        for _ in range(2):
            await apply(moment, [again], shard=0, given_back=[(row.id, cap) for cap in caps])
        assert list((await used("plan", user.id)).values()) == [2]

    async def test_to_the_period_they_were_taken_from(self, user: Member) -> None:
        made = await running(user, contacts=1, pacing=Pacing(per_hour=9))
        moment = await now()
        (lane,) = await hold(made, moment)
        caps = lane.caps(lane.campaigns[0], moment)
        (row,) = (await claim_all(made, moment)).claimed
        later = moment + timedelta(hours=2)
        again = Transition(id=row.id, attempt=1, allowed=FROM_IN_DOUBT, state=RecipientState.PENDING, due_at=later)
        await apply(later, [again], shard=0, given_back=[(row.id, cap) for cap in caps])
        assert set((await used("number", made.number_ids[0])).values()) == {0}


class TestCounters:
    @pytest.mark.parametrize("seed", range(4))
    async def test_are_the_rows_whatever_happened(self, user: Member, seed: int) -> None:
        rng = random.Random(seed)  # noqa: S311 - a script, no secret
        made = await running(user, contacts=6, messages=("a", "b", "c"))
        moment = await now()
        claimed: list[Claimed] = []
        for _ in range(40):
            moment += timedelta(seconds=1)
            if rng.random() < 0.4:
                claimed += (await claim_all(made, moment, take=rng.randrange(1, 4))).claimed
                continue
            await _anything(rng, made, claimed, moment)
            assert await counters(made.id) == await counted(made.id)


async def _anything(rng: random.Random, made: Made, claimed: list[Claimed], moment: datetime) -> None:
    """Let something happen that can happen to rows, also late, twice and out of order."""
    rows = await recipients(made.id)
    kind = rng.randrange(8)
    if kind == 0:
        await skip(moment, [Ineligible(row["id"], "blocked") for row in rng.sample(rows, 2)])
        return
    if kind == 1:
        failed = [row["id"] for row in rows if row["state"] == "failed"]
        again = [
            Transition(
                id=row_id, attempt=0, allowed=mask(RecipientState.FAILED), state=RecipientState.PENDING, due_at=moment
            )
            for row_id in failed
        ]
        if again:
            await apply(moment, again, shard=20)
            await restore_following(failed, moment, 20)
        return
    chosen = {row.id: row for row in rng.choices(claimed, k=3)} if claimed else {}
    wishes: tuple[dict[str, Any], ...] = (
        {**ACCEPTED, "accepted_at": moment},
        UNKNOWN,
        FAILED,
        {"allowed": FROM_IN_DOUBT, "state": RecipientState.PENDING, "due_at": moment, "burnt": 1},
        {**SENT, "attempt": 0, "sent_at": moment, "delivered_at": moment if rng.random() < 0.5 else None},
        {**SENT, "attempt": 0, "sent_at": moment, "delivered_at": moment, "read_at": moment},
    )
    fields = wishes[kind - 2]
    transitions = [Transition(**{"id": row.id, "attempt": row.attempt, **fields}) for row in chosen.values()]
    if transitions:
        await apply(moment, transitions, shard=rng.choice((0, 2, 16)))
