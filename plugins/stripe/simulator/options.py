"""What a simulated Stripe is like; the defaults are those of a new account in test mode."""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of one simulator; on the command line ``--option name=value``."""

    secret_key: Annotated[str, msgspec.Meta(pattern=r"^(sk|rk)_test_\w+$")] = "sk_test_simulator"  # noqa: S105 - of the simulated service
    account_name: str = "Simulated Ltd"
    webhook_url: str = ""
    """Where every event is delivered from the start on, signed with ``webhook_secret``; empty: where was registered."""
    webhook_secret: str = "whsec_simulator"  # noqa: S105 - of the simulated service
    retry_days: Annotated[str, msgspec.Meta(pattern=r"^\d+(,\d+)*$")] = "1,3,5,7"
    """Days after the first attempt on which a failed renewal is tried again."""
    after_retries: Literal["unpaid", "canceled", "past_due"] = "unpaid"
    """What becomes of a subscription when the last attempt has failed."""
    portal: bool = True
    """Whether the customer portal's settings were saved once."""

    @property
    def retries(self) -> tuple[int, ...]:
        """The days as numbers."""
        return tuple(int(day) for day in self.retry_days.split(","))


def parse_options(given: Mapping[str, str]) -> Options:
    """Read options from texts; raises ``ValueError`` that names the wrong one."""
    try:
        return msgspec.convert(dict(given), Options, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
