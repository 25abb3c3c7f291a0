"""What browsers need to listen at the realtime services of notifiers, and the permission for their own channel."""

from collections.abc import Mapping

from core.errors import ForbiddenError, InvalidInputError, NotFoundError
from core.live.schemas import ChannelRequest, RealtimeRead
from core.plugin import RefusedError, Subscribable
from core.runtime import providers
from core.texts import text


def connections_of(user_id: int) -> RealtimeRead:
    """Return how a browser of this user connects to each service."""
    return RealtimeRead(services={name: notifier.connection(user_id) for name, notifier in _subscribable().items()})


def authorize(user_id: int, name: str | None, wanted: ChannelRequest) -> Mapping[str, str]:
    """Return the permission of one connection for one channel; without a ``name``, of the only service there is.

    Raises:
        NotFoundError: There is no such service.
        InvalidInputError: There are several, and none is named.
        ForbiddenError: The channel is another user's, or the connection's id has not the form it must have.
    """
    found = _subscribable()
    if name is None and len(found) > 1:
        raise InvalidInputError({"notifier": [text("gateway_choice", choices=", ".join(sorted(found)))]})
    chosen = next(iter(found), "") if name is None else name
    if chosen not in found:
        raise NotFoundError("notifier", chosen)
    try:
        return found[chosen].authorize(user_id, wanted.socket_id, wanted.channel_name)
    except RefusedError:
        raise ForbiddenError("This channel is not yours, or the socket_id is none.", code="channel_refused") from None


def _subscribable() -> dict[str, Subscribable]:
    return {name: one for name, one in providers().notifiers_by_name.items() if isinstance(one, Subscribable)}
