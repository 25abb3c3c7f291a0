"""What administrators decided about money, read from the settings."""

from datetime import timedelta

from core.payments.lifecycle import Policy
from core.settings.typed import value_of


async def present_policy() -> Policy:
    """Return the policy that holds now."""
    return Policy(
        grace=timedelta(days=int(await value_of("payments.grace_days"))),
        refund_ends_access=bool(await value_of("payments.refund_ends_access")),
        dispute_ends_access=bool(await value_of("payments.dispute_ends_access")),
    )
