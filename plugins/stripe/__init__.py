"""Stripe: sells plans through subscriptions of https://stripe.com."""

from plugins.stripe.plugin import Plugin

__all__ = ("Plugin",)
