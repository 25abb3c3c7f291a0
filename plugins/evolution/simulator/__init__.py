"""A simulator of the Evolution API, v1 and v2: instances, sends, acknowledgements, webhooks and faults, over HTTP.

It imitates Evolution as its source, its documents and live servers show it, not as our client would like it. What a
person would do with a phone, and what goes wrong, is ordered under ``/simulator``, whose page shows the phones.
"""

from plugins.evolution.simulator.app import DEFAULT_PORT, create, create_simulator
from plugins.evolution.simulator.options import Options
from plugins.evolution.simulator.stage import create_stage

__all__ = ("DEFAULT_PORT", "Options", "create", "create_simulator", "create_stage")
