"""What a plugin's simulator offers for rehearsals: its service with numbers that are signed in already."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

import msgspec

ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]


class Stage(msgspec.Struct, frozen=True):
    """A simulated service: an ASGI application, and the credentials of a server row that leads to it."""

    app: ASGIApp
    credentials: msgspec.Struct


class SimulatorModule(Protocol):
    """The module ``simulator`` beside a messaging provider, as far as rehearsals ask for it."""

    def create_stage(
        self, phones: Mapping[str, str], *, faults: float, seed: int, now: Callable[[], datetime]
    ) -> Stage:
        """Return the service with a working session for each instance in ``phones`` (instance to E.164 digits).

        Everybody who is written to exists and is reached at once, without any waiting. A share ``faults`` (0 to 1) of
        the sends fails: some certainly not sent, some sent with their answer lost. ``seed`` decides which. ``now`` is
        the time of the rehearsal, which runs ahead of the machine's: every time the service writes down is its.
        """
        ...
