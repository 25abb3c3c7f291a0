"""A simulator of Mercado Pago's subscriptions: charges on a clock of its own, signed webhooks, faults, a payment page.

It imitates the service as its documentation and the reports of its users show it, not as our client would like it. What
a payer, a bank or a bad network would do is ordered under ``/simulator``.
"""

from plugins.mercadopago.simulator.app import DEFAULT_PORT, create, create_simulator
from plugins.mercadopago.simulator.options import OPTIONS, Options

__all__ = ("DEFAULT_PORT", "OPTIONS", "Options", "create", "create_simulator")
