"""The contracts that plugins keep, and what finds and runs them; plugins import them from ``core.plugin.testing``."""
