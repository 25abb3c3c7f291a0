"""Where payers come back to."""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from core.runtime import config
from core.settings.typed import value_of

RETURN_PATH = "/billing/return"


async def return_url(outcome: str, checkout_id: int | None = None) -> str:
    """Return the page for a payer who is through: ``outcome`` is ``paid`` or ``left``, or ``portal``.

    What happened is told by the gateway alone: the address promises nothing.
    """
    own = str(await value_of("payments.return_url"))
    parts = urlsplit(own or f"{config().server.base_url}{RETURN_PATH}")
    added = {"outcome": outcome} if checkout_id is None else {"outcome": outcome, "checkout": str(checkout_id)}
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *added.items()])
    return urlunsplit(parts._replace(query=query))
