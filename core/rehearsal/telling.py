"""A rehearsal in the terminal: what was planned beside what happened, number by number and day by day."""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table

from core.campaigns.tables import CampaignStatus
from core.rehearsal.rehearsing import Rehearsal
from core.texts import ENGLISH, blocker_text


def tell(console: Console, rehearsal: Rehearsal) -> None:
    """Print a rehearsal; moments are told in the tenant's time zone."""
    zone = ZoneInfo(rehearsal.timezone)
    console.print(_days(rehearsal, zone))
    console.print(_sums("Left out", rehearsal.plan.excluded, rehearsal.happened.excluded))
    outcomes = Table("Messages", title="What became of them")
    outcomes.add_column("", justify="right")
    for state, count in rehearsal.happened.states.items():
        outcomes.add_row(state, str(count))
    console.print(outcomes)
    standing = rehearsal.happened.standing
    console.print(f"Campaign {rehearsal.plan.campaign_id}: {standing.status.name.lower()} ({standing.reason})")
    if standing.status is not CampaignStatus.COMPLETED:
        console.print(blocker_text(standing.reason, ENGLISH))
    console.print(f"Begins:         {_moment(rehearsal.begins_at, zone)}")
    console.print(f"Planned end:    {_moment(rehearsal.plan.ends_at, zone)}")
    console.print(f"Rehearsed end:  {_moment(rehearsal.happened.ends_at, zone)}")


def _days(rehearsal: Rehearsal, zone: ZoneInfo) -> Table:
    table = Table("Number", "Day", title="Messages by number and day")
    for heading in ("Planned", "Rehearsed"):
        table.add_column(heading, justify="right")
    for heading in ("Planned from - to", "Rehearsed from - to"):
        table.add_column(heading)
    planned = {(number.number_id, day.date): day for number in rehearsal.plan.numbers for day in number.days}
    happened = {(day.number_id, day.date): day for day in rehearsal.happened.days}
    for key in sorted(planned.keys() | happened.keys()):
        plan, found = planned.get(key), happened.get(key)
        table.add_row(
            str(key[0]),
            key[1].isoformat(),
            str(plan.messages if plan else 0),
            str(found.messages if found else 0),
            f"{_time(plan.begins_at, zone)} - {_time(plan.ends_at, zone)}" if plan else "",
            f"{_time(found.begins_at, zone)} - {_time(found.ends_at, zone)}" if found else "",
        )
    return table


def _sums(title: str, planned: Mapping[str, int], happened: Mapping[str, int]) -> Table:
    table = Table("Reason", title=title)
    for heading in ("Planned", "Rehearsed"):
        table.add_column(heading, justify="right")
    for reason in sorted(planned.keys() | happened.keys()):
        table.add_row(reason, str(planned.get(reason, 0)), str(happened.get(reason, 0)))
    return table


def _time(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%H:%M}"


def _moment(moment: datetime | None, zone: ZoneInfo) -> str:
    return "not known" if moment is None else f"{moment.astimezone(zone):%Y-%m-%d %H:%M} ({zone.key})"
