"""A simulated WAHA for rehearsals: numbers signed in, everybody reached at once, and as many faults as asked for."""

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime

from core.plugin import Secret, Stage
from plugins.waha.connection import WahaCredentials
from plugins.waha.simulator.app import Simulator
from plugins.waha.simulator.faults import Fault
from plugins.waha.simulator.options import Options
from plugins.waha.simulator.state import Session, utc_now


def create_stage(
    phones: Mapping[str, str], *, faults: float = 0.0, seed: int = 0, now: Callable[[], datetime] = utc_now
) -> Stage:
    """Return a simulator with a working session for each instance in ``phones`` (instance to E.164 digits).

    Half of the share ``faults`` of the sends is refused by a busy server, half goes out and its answer is cut off.
    Messages carry the times of ``now``, so that a rehearsal on a clock of its own finds them again by time.
    """
    key = secrets.token_urlsafe(16)
    options = Options(
        api_key=key,
        seed=seed,
        start_seconds=0.0,
        operation_seconds=0.0,
        ack_seconds=0.0,
        ninth_digit=False,
        missing_suffix="",
    )
    sessions = [Session(name, status="WORKING", phone=phone) for name, phone in phones.items()]
    half = faults / 2
    # The second strikes among what the first let pass.
    orders = [Fault("429", count=-1, share=half, seconds=2), Fault("drop_response", count=-1, share=half / (1 - half))]
    return Stage(Simulator(options, sessions, orders, now), WahaCredentials(api_key=Secret(key)))
