"""Outgoing webhooks: tenants' endpoints, what is delivered to them, and how it is signed (Standard Webhooks 1.0)."""
