"""Payments of plans."""
