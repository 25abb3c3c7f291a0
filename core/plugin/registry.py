"""The providers of this process, by name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeVar

import msgspec

from core.plugin.messaging import MessagingProvider
from core.plugin.notifications import Notifier
from core.plugin.payments import PaymentGateway

_T = TypeVar("_T")


class PluginInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What is told about a plugin by ``recado plugins`` and ``GET /api/plugins``."""

    name: str
    version: str
    source: str
    """``folder``, the distribution it was installed from, or the path of a folder outside."""
    enabled: bool
    messaging: tuple[str, ...] = ()
    payments: tuple[str, ...] = ()
    notifiers: tuple[str, ...] = ()


class NoSuchProviderError(LookupError):
    """A row or request names a provider that no enabled plugin registers."""

    def __init__(self, kind: str, name: str, known: tuple[str, ...]) -> None:
        listed = ", ".join(known) or "none"
        super().__init__(
            f"No {kind} named {name!r} is registered (registered: {listed}). Enable its plugin in platform.toml."
        )
        self.name = name


class Providers(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the enabled plugins registered."""

    messaging_by_name: Mapping[str, MessagingProvider] = MappingProxyType({})
    gateways_by_name: Mapping[str, PaymentGateway] = MappingProxyType({})
    notifiers_by_name: Mapping[str, Notifier] = MappingProxyType({})
    plugins: tuple[PluginInfo, ...] = ()

    def messaging(self, name: str) -> MessagingProvider:
        """Return a messaging provider, or raise ``NoSuchProviderError``."""
        return _find(self.messaging_by_name, "messaging provider", name)

    def gateway(self, name: str) -> PaymentGateway:
        """Return a payment gateway, or raise ``NoSuchProviderError``."""
        return _find(self.gateways_by_name, "payment gateway", name)

    async def aclose(self) -> None:
        """Close every provider."""
        for group in (self.messaging_by_name, self.gateways_by_name, self.notifiers_by_name):
            for provider in group.values():
                await provider.aclose()


def _find(found: Mapping[str, _T], kind: str, name: str) -> _T:
    try:
        return found[name]
    except KeyError:
        raise NoSuchProviderError(kind, name, tuple(found)) from None
