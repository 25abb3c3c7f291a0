"""Integrations shipped with Recado; each is an ordinary plugin."""
