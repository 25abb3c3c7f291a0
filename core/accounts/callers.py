"""Where a sign-in comes from."""

import msgspec

from core.client_address import client_address
from core.request import AnyRequest
from core.runtime import config


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Where a sign-in comes from, as it is shown in the list of devices."""

    address: str = ""
    user_agent: str = ""


def caller_of(request: AnyRequest) -> Caller:
    """Return who sent a request, past the proxies that are trusted."""
    address = client_address(request.scope, config().server.trusted_proxies)
    return Caller(address=address, user_agent=request.headers.get("user-agent", ""))
