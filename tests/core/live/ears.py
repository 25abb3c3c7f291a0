"""What one user was told since the last look."""

import msgspec

from core.events.catalogue import EVENTS, Envelope, Event
from core.live import stream


class Ears:
    """Reads a user's stream; made with ``listen``."""

    def __init__(self, user_id: int, at: tuple[stream.Position, bytes]) -> None:
        self._user_id = user_id
        self._at = at

    async def heard(self) -> list[Event]:
        """Return the typed bodies of what was told since the last look."""
        heard: list[Event] = []
        more = True
        while more:
            part = await stream.read_after(self._user_id, self._at)
            assert not part.lost
            if part.events:
                self._at = (part.events[-1].position, part.epoch)
            heard += [_body(told.body) for told in part.events]
            more = part.more
        return heard


async def listen(user_id: int) -> Ears:
    """Begin at this moment."""
    part = await stream.read_after(user_id, None)
    return Ears(user_id, (part.newest, part.epoch))


def _body(body: bytes) -> Event:
    envelope = msgspec.json.decode(body, type=Envelope)
    return msgspec.json.decode(envelope.data, type=EVENTS[envelope.type], strict=True)
