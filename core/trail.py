"""Who is behind the present request, for the audit log: services need not hand it on.

The middleware that verifies credentials opens the trail of a request; jobs, sweeps and the command line have none.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec
from litestar.types import Scope

from core.client_address import client_address
from core.runtime import config

_scope: ContextVar[Scope | None] = ContextVar("trail", default=None)


class Trail(msgspec.Struct, frozen=True, kw_only=True):
    """Where an action comes from; all of it empty outside requests."""

    user_id: int | None = None
    """Whose credential it was."""
    actor_id: int | None = None
    """The administrator who acts for that user."""
    api_key_id: int | None = None
    address: str = ""
    request_id: str = ""


@contextmanager
def following(scope: Scope) -> Iterator[None]:
    """Let ``present_trail`` tell of a request while the block runs; nothing is read before somebody asks."""
    token = _scope.set(scope)
    try:
        yield
    finally:
        _scope.reset(token)


def present_trail() -> Trail:
    """Return the trail of the request that is being served."""
    scope = _scope.get()
    if scope is None:
        return Trail()
    user = scope.get("user")
    return Trail(
        user_id=getattr(user, "id", None),
        actor_id=getattr(user, "actor_id", None),
        api_key_id=getattr(user, "key_id", None),
        address=client_address(scope, config().server.trusted_proxies),
        request_id=str(scope.get("state", {}).get("request_id", "")),
    )
