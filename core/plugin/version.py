"""The version of the plugin API (semantic versioning over ``core.plugin.__all__``)."""

API_VERSION = "1.0.0"
"""Compared with each plugin's ``requires``."""
