"""Webhooks in both directions: the inbox, what tenants are told, and the log of both."""
