"""A simulator of Stripe: the API with its pages, time that can be moved, signed webhooks and faults, over HTTP.

It imitates the service as its documentation and the types of its own library show it, not as our client would like it.
What a payer does, and what goes wrong, is ordered under ``/simulator``.
"""

from plugins.stripe.simulator.app import DEFAULT_PORT, OPTIONS, create, create_simulator
from plugins.stripe.simulator.options import Options

__all__ = ("DEFAULT_PORT", "OPTIONS", "Options", "create", "create_simulator")
