"""A simulator of a mail server: SMTP with STARTTLS, a mailbox to read in a browser, and faults, ordered over HTTP.

It takes every mail of its one account and delivers none.
"""

from plugins.smtp.simulator.app import DEFAULT_PORT, OPTIONS, Simulator, create
from plugins.smtp.simulator.options import Options

__all__ = ("DEFAULT_PORT", "OPTIONS", "Options", "Simulator", "create")
