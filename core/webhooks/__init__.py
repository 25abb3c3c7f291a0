"""Incoming webhooks: the inbox and its log."""
