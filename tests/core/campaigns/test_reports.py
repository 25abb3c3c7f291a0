"""Reports are counted from rows; the rows here are written as the engine would have left them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from core import database
from core.campaigns import reports, resolving
from core.campaigns.completion import complete_finished
from core.campaigns.report_schemas import CurvePoint, Durations, ErrorReport, Report
from core.campaigns.schemas import ResolveMany
from core.campaigns.tables import RecipientState
from core.campaigns.transitions import FROM_ANY_ATTEMPT, FROM_LEASED, Transition, apply
from core.errors import NotFoundError
from tests.core.campaigns.making import (
    FAILED,
    SENT,
    Made,
    leased,
    now,
    recipients,
    run_jobs,
    running,
    settle_rows,
    standing,
)
from tests.factories import Member

ZONE = ZoneInfo("America/Sao_Paulo")
NINE = datetime(2026, 3, 2, 9, tzinfo=ZONE)


async def _report(made: Made) -> Report:
    return await reports.report(made.user_id, made.id)


async def _write(recipient_id: int, **columns: Any) -> None:
    places = ", ".join(f"{name} = ${place}" for place, name in enumerate(columns, 2))
    await database.execute(f"UPDATE message_by_contacts SET {places} WHERE id = $1", recipient_id, *columns.values())


async def _over(made: Made) -> None:
    """Complete a campaign and do what follows."""
    await complete_finished(await now() + timedelta(hours=25))
    await run_jobs(made.id)


class TestSplit:
    async def test_by_number_and_message(self, user: Member) -> None:
        made = await running(user, contacts=3, numbers=2, messages=("a", "b"))
        rows = await recipients(made.id)
        first, second = made.number_ids
        await _write(rows[0]["id"], state="sent", number_id=first, delivered_at=NINE, read_at=NINE)
        await _write(rows[1]["id"], state="failed", number_id=second, reason="busy")
        await _write(rows[2]["id"], state="accepted", number_id=second)
        found = await _report(made)
        numbers = {one.number_id: one.totals for one in found.numbers}
        own = numbers[first]
        assert (own.sent, own.delivered, own.readed, own.total) == (1, 1, 1, 1)
        assert (numbers[second].failed, numbers[second].accepted, numbers[second].total) == (1, 1, 2)
        steps = {one.position: one.totals for one in found.messages}
        assert (steps[1].total, steps[1].pending, steps[2].total, steps[2].pending) == (3, 0, 3, 3)
        assert [one.message_id for one in found.messages] == made.message_ids

    async def test_a_deleted_number_keeps_its_share(self, user: Member) -> None:
        made, _, _ = await leased(user, contacts=1)
        await database.execute("UPDATE numbers SET deleted_at = now() WHERE id = $1", made.number_ids[0])
        assert [one.number_id for one in (await _report(made)).numbers] == made.number_ids


class TestRates:
    async def test_are_shares_of_what_the_service_took(self, user: Member) -> None:
        made, rows, moment = await leased(user, contacts=5)
        seen = {"sent_at": moment, "delivered_at": moment}
        await settle_rows(rows[:1], moment, allowed=FROM_ANY_ATTEMPT, state=RecipientState.SENT, **seen, read_at=moment)
        await settle_rows(rows[1:2], moment, allowed=FROM_ANY_ATTEMPT, state=RecipientState.SENT, **seen)
        await settle_rows(rows[2:4], moment, **SENT)
        await settle_rows(rows[4:], moment, **FAILED)
        rates = (await _report(made)).rates
        assert (rates.delivered, rates.readed, rates.replied, rates.failed) == (0.5, 0.25, 0.0, 0.2)

    async def test_of_nothing_are_unknown(self, user: Member) -> None:
        made = await running(user)
        rates = (await _report(made)).rates
        assert (rates.delivered, rates.readed, rates.replied, rates.failed) == (None, None, None, None)


class TestErrors:
    async def test_have_the_classes_of_retry(self, user: Member) -> None:
        made, rows, moment = await leased(user, contacts=5)
        for row, outcome, reason in zip(rows, ("rejected", "rejected", "retryable", "accepted"), "aabc", strict=False):
            failed = {"allowed": FROM_LEASED, "state": RecipientState.FAILED, "reason": reason, "outcome": outcome}
            await settle_rows([row], moment, **failed)
        await settle_rows(rows[4:], moment, allowed=FROM_LEASED, state=RecipientState.UNKNOWN, reason="timeout")
        assert (await _report(made)).errors == [
            ErrorReport(error_class="refused", reason="a", messages=2),
            ErrorReport(error_class="gave_up", reason="b", messages=1),
            ErrorReport(error_class="network", reason="c", messages=1),
            ErrorReport(error_class="unknown", reason="timeout", messages=1),
        ]


class TestCurve:
    async def _made(self, user: Member) -> Made:
        made = await running(user, contacts=3)
        await database.execute("UPDATE users SET timezone = $2 WHERE id = $1", user.id, ZONE.key)
        return made

    async def _told(self, user: Member) -> Report:
        made = await self._made(user)
        one, two, three = [row["id"] for row in await recipients(made.id)]
        minute = timedelta(minutes=1)
        await _write(one, state="sent", accepted_at=NINE, delivered_at=NINE + minute, read_at=NINE + 61 * minute)
        await _write(two, state="sent", accepted_at=NINE + 59 * minute, replied_at=NINE + timedelta(days=1))
        await _write(three, state="failed", accepted_at=NINE, updated_at=NINE + 2 * minute)
        return await _report(made)

    async def test_by_the_hour_of_the_tenant(self, user: Member) -> None:
        curve = (await self._told(user)).curve
        assert (curve.interval, curve.timezone) == ("hour", ZONE.key)
        assert curve.points == [
            CurvePoint(at=NINE, sent=2, delivered=1, failed=1),
            CurvePoint(at=NINE + timedelta(hours=1), readed=1),
            CurvePoint(at=NINE + timedelta(days=1), replied=1),
        ]
        assert curve.points[0].at.isoformat() == "2026-03-02T09:00:00-03:00"

    async def test_by_the_day_where_the_hours_are_too_many(self, user: Member, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reports, "MOST_HOURS", 2)
        curve = (await self._told(user)).curve
        midnight = NINE.replace(hour=0)
        assert curve.interval == "day"
        assert curve.points == [
            CurvePoint(at=midnight, sent=2, delivered=1, readed=1, failed=1),
            CurvePoint(at=midnight + timedelta(days=1), replied=1),
        ]

    async def test_the_hour_that_comes_twice_is_two(self, user: Member) -> None:
        made = await self._made(user)
        await database.execute("UPDATE users SET timezone = 'Europe/Lisbon' WHERE id = $1", user.id)
        first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
        for place, row in enumerate((await recipients(made.id))[:2]):
            await _write(row["id"], state="sent", accepted_at=first + place * timedelta(hours=1))
        points = (await _report(made)).curve.points
        assert [point.at.isoformat() for point in points] == ["2026-10-25T01:00:00+01:00", "2026-10-25T01:00:00+00:00"]


class TestTimes:
    async def test_until_delivered_and_read(self, user: Member) -> None:
        made = await running(user, contacts=3)
        for place, row in enumerate(await recipients(made.id)):
            delivered = NINE + timedelta(seconds=10 * (place + 1))
            await _write(
                row["id"], state="sent", accepted_at=NINE, delivered_at=delivered, read_at=delivered if place else None
            )
        found = await _report(made)
        assert found.time_to_delivered == Durations(median=20.0, p90=28.0)
        assert found.time_to_readed == Durations(median=25.0, p90=29.0)

    async def test_are_unknown_where_nothing_came_back(self, user: Member) -> None:
        made = await running(user)
        found = await _report(made)
        assert (found.time_to_delivered, found.time_to_readed) == (None, None)


class TestKept:
    async def _completed(self, user: Member) -> Made:
        made, rows, moment = await leased(user)
        await settle_rows(rows, moment, **SENT)
        await _over(made)
        assert await standing(made.id) == (4, "completed")
        return made

    async def test_is_made_when_the_campaign_completes(self, user: Member) -> None:
        made = await self._completed(user)
        assert await database.fetch_value("SELECT count(*) FROM campaign_reports WHERE campaign_id = $1", made.id) == 1
        # What is kept is what is told: a change behind the counters' back is not seen.
        await database.execute("UPDATE message_by_contacts SET reason = 'x' WHERE campaign_id = $1", made.id)
        await database.execute("DELETE FROM message_by_contacts WHERE campaign_id = $1", made.id)
        assert (await _report(made)).messages[0].totals.sent == 3

    async def test_is_made_anew_when_a_receipt_comes_later(self, user: Member) -> None:
        made = await self._completed(user)
        before = await _report(made)
        row = (await recipients(made.id))[0]
        receipt = Transition(
            id=row["id"],
            attempt=0,
            allowed=FROM_ANY_ATTEMPT,
            state=RecipientState.SENT,
            delivered_at=datetime.now(UTC),
        )
        await apply(await now(), [receipt], shard=0)
        after = await _report(made)
        assert (before.totals.delivered, after.totals.delivered) == (0, 1)
        assert after.messages[0].totals.delivered == 1
        assert after.rates.delivered == pytest.approx(1 / 3)

    async def test_is_made_anew_for_another_zone(self, user: Member) -> None:
        made = await self._completed(user)
        await database.execute("UPDATE users SET timezone = 'Asia/Tokyo' WHERE id = $1", user.id)
        assert (await _report(made)).curve.timezone == "Asia/Tokyo"

    async def test_one_of_an_earlier_release_is_made_anew(self, user: Member) -> None:
        made = await self._completed(user)
        await database.execute("UPDATE campaign_reports SET body = body - 'rates' WHERE campaign_id = $1", made.id)
        assert (await _report(made)).rates.failed == 0.0

    async def test_is_not_kept_of_one_that_goes_on(self, user: Member) -> None:
        made = await running(user)
        await _report(made)
        assert await database.fetch_value("SELECT count(*) FROM campaign_reports WHERE campaign_id = $1", made.id) == 0

    async def test_of_one_completed_with_doubts_changes_with_a_decision(self, user: Member) -> None:
        made, rows, moment = await leased(user)
        await settle_rows(rows, moment, allowed=FROM_LEASED, state=RecipientState.UNKNOWN, reason="timeout")
        await database.execute("UPDATE message_by_contacts SET lease_until = NULL WHERE campaign_id = $1", made.id)
        await _over(made)
        assert (await _report(made)).reasons == {"unknown": {"timeout": 3}}
        await resolving.resolve_many(user.id, made.id, ResolveMany(action="assume_sent"))
        await run_jobs(made.id)
        found = await _report(made)
        assert (found.totals.sent, found.reasons, found.errors) == (3, {}, [])


class TestRoute:
    async def test_names_the_class(self, user: Member, tenant: httpx.AsyncClient) -> None:
        made, rows, moment = await leased(user, contacts=1)
        await settle_rows(rows, moment, **FAILED, outcome="rejected")
        body = (await tenant.get(f"/api/campaigns/{made.id}/report")).json()["data"]
        assert body["errors"] == [{"class": "refused", "reason": "busy", "messages": 1}]

    async def test_another_tenants_is_not_found(self, user: Member, other_user: Member) -> None:
        made = await running(user)
        with pytest.raises(NotFoundError):
            await reports.report(other_user.id, made.id)
