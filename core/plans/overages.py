"""What a user has beyond a plan: it stays readable and cannot grow."""

from core import database
from core.plans.schemas import Overage
from core.plans.services import COUNTED


async def overages(user_id: int, plan_id: int | None) -> tuple[Overage, ...]:
    """Return each limit of a plan that a user is over, with how many there are."""
    plan = await database.fetch_row(
        "SELECT unlimited OR EXISTS (SELECT FROM users WHERE id = $2 AND profile = 'administrator') AS free,"
        " numbers_limit AS numbers, contacts_limit AS contacts, campaigns_limit AS campaigns"
        " FROM plans WHERE id = $1",
        plan_id,
        user_id,
    )
    if plan is None or plan["free"]:
        return ()
    found = []
    for limit, counting in COUNTED.items():
        present = await database.fetch_value(f"SELECT count(*) FROM ({counting}) AS counted", user_id)
        if isinstance(present, int) and present > plan[limit]:
            found.append(Overage(limit=limit, present=present, allowed=plan[limit]))
    return tuple(found)
