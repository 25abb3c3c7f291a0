"""A simulator of Pusher Channels: the signed HTTP API, the WebSocket protocol, a page of what was published, faults.

It imitates the service as its documentation shows it, not as our client would like it. What goes wrong is ordered under
``/simulator``.
"""

from plugins.pusher.simulator.app import DEFAULT_PORT, create, create_simulator
from plugins.pusher.simulator.options import OPTIONS, Options

__all__ = ("DEFAULT_PORT", "OPTIONS", "Options", "create", "create_simulator")
