"""A simulated Evolution server for rehearsals: numbers signed in, everybody reached at once, faults as asked for."""

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime

from core.plugin import Secret, Stage
from plugins.evolution.connection import EvolutionCredentials
from plugins.evolution.simulator.app import Simulator
from plugins.evolution.simulator.faults import Fault
from plugins.evolution.simulator.options import Options
from plugins.evolution.simulator.state import Instance, utc_now


def create_stage(
    phones: Mapping[str, str], *, faults: float = 0.0, seed: int = 0, now: Callable[[], datetime] = utc_now
) -> Stage:
    """Return a simulator with an open instance for each in ``phones`` (instance to E.164 digits).

    Half of the share ``faults`` of the sends is refused by a busy proxy, half goes out and its answer is cut off.
    Every time is that of ``now``, so that on a virtual clock a message without an answer is found by its time.
    """
    key = secrets.token_urlsafe(16)
    options = Options(
        api_key=key,
        seed=seed,
        create_seconds=0.0,
        connect_seconds=0.0,
        start_seconds=0.0,
        ack_seconds=0.0,
        ninth_digit=False,
        missing_suffix="",
        any_group=True,
    )
    instances = [Instance(name, secrets.token_hex(16), name, "open", phone) for name, phone in phones.items()]
    half = faults / 2
    # The second strikes among what the first let pass.
    orders = [Fault("429", count=-1, share=half, seconds=2), Fault("drop_response", count=-1, share=half / (1 - half))]
    orders = orders if faults else []
    return Stage(Simulator(options, instances, orders, now=now), EvolutionCredentials(api_key=Secret(key)))
