"""Rehearsals: a copy of one campaign, sent to the provider's simulator on a virtual clock, beside its flight plan.

Nothing real is touched: a database of its own holds the copy, and goes with the process.
"""

from core.rehearsal.rehearsing import Rehearsal, rehearse

__all__ = ("Rehearsal", "rehearse")
