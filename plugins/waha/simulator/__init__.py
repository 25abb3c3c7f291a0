"""A simulator of WAHA: sessions, sends, acknowledgements, signed webhooks and faults, over HTTP.

It imitates WAHA as ``docs`` and live servers show it, not as our client would like it. What a person would do with
a phone, and what goes wrong, is ordered under ``/simulator``; the page at ``/`` shows what reached the phones.
"""

from plugins.waha.simulator.app import DEFAULT_PORT, create, create_simulator
from plugins.waha.simulator.options import Options
from plugins.waha.simulator.stage import create_stage

__all__ = ("DEFAULT_PORT", "Options", "create", "create_simulator", "create_stage")
