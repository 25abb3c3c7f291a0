"""The Recado platform: everything but the integrations, which are plugins."""
