"""Hooks a plugin may implement.

Core calls each hook once, while the process starts, and keeps what it returns. Hooks stay synchronous; whatever
waits belongs in the returned object. Two plugins that return the same name stop the process.
"""

from collections.abc import Iterable

import pluggy

from core.plugin.messaging import MessagingProvider
from core.plugin.notifications import Notifier
from core.plugin.payments import PaymentGateway

PROJECT_NAME = "recado"

hookspec = pluggy.HookspecMarker(PROJECT_NAME)
hookimpl = pluggy.HookimplMarker(PROJECT_NAME)
"""Marks a method of a plugin's class as the implementation of the hook of its name."""


@hookspec
def register_messaging_providers() -> Iterable[MessagingProvider]:
    """Return the messaging providers this plugin adds; servers and numbers refer to them by ``name``."""
    return ()


@hookspec
def register_payment_gateways() -> Iterable[PaymentGateway]:
    """Return the payment gateways this plugin adds; checkouts refer to them by ``name``."""
    return ()


@hookspec
def register_notifiers() -> Iterable[Notifier]:
    """Return the notifiers this plugin adds; one that fails does not keep the others from being told."""
    return ()
