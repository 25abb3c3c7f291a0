"""Stripe keeps the contract of every payment gateway."""

from plugins.stripe.conformance import StripeContract


class TestStripe(StripeContract):
    pass
