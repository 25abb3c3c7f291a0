"""Everything a plugin may import; ``__all__`` is a promise, versioned by ``API_VERSION``.

A plugin is a module with a class ``Plugin``::

    class ExampleSettings(Settings, frozen=True):
        token: Secret

    class Plugin:
        Settings = ExampleSettings
        requires = ">=1.0,<2"

        def __init__(self, settings: ExampleSettings) -> None: ...

        @hookimpl
        def register_messaging_providers(self) -> Iterable[MessagingProvider]: ...

Put the folder into ``plugins/`` or publish it with an entry point in the group ``recado.plugins``, then add the
table ``[plugins.<name>]`` to platform.toml.
"""

from core.plugin.errors import MisconfiguredError, ProviderError, RefusedError, UnavailableError, UncertainError
from core.plugin.hookspecs import hookimpl
from core.plugin.messaging import (
    Absent,
    Accepted,
    CannotTell,
    Capabilities,
    Finding,
    Found,
    Media,
    MessageKind,
    MessageStatus,
    MessagingProvider,
    Outcome,
    OutgoingMessage,
    Prepared,
    Rejected,
    Retryable,
    Scope,
    SeededServer,
    Sender,
    SenderStopped,
    Server,
    Unknown,
    WebhookTarget,
)
from core.plugin.notifications import Channel, Notification, Notifier
from core.plugin.optional import (
    AddressLookup,
    Challenge,
    ContactListing,
    EventPolling,
    ListedContact,
    NumberCheck,
    NumberChecking,
    Picture,
    Polled,
    ReadMarks,
    Restarting,
    Screenshots,
    SenderReport,
    SenderState,
    ServerReport,
    ServerReporting,
    ServerSeeding,
    SignIn,
    Typing,
    WebhookRepair,
)
from core.plugin.payments import (
    Checkout,
    CheckoutStep,
    ClientSecret,
    ConfigurationError,
    DeclinedError,
    GatewayCapabilities,
    GatewayHint,
    GatewayVerdict,
    Money,
    PaymentFact,
    PaymentGateway,
    PixQr,
    Redirect,
    References,
    RetryableError,
    Snapshot,
    SubscriptionStatus,
)
from core.plugin.registry import PluginInfo
from core.plugin.secret import Secret
from core.plugin.settings import Settings
from core.plugin.stage import Stage
from core.plugin.transport import Client, build_client, decode, never_written, retry_after
from core.plugin.version import API_VERSION
from core.plugin.webhooks import (
    AnyEvent,
    Event,
    ForeignMessageEvent,
    IdentityEvent,
    MessageInEvent,
    MessageStatusEvent,
    SenderStatusEvent,
    UnknownEvent,
    WebhookDelivery,
    WebhookResult,
)

__all__ = (
    "API_VERSION",
    "Absent",
    "Accepted",
    "AddressLookup",
    "AnyEvent",
    "CannotTell",
    "Capabilities",
    "Challenge",
    "Channel",
    "Checkout",
    "CheckoutStep",
    "Client",
    "ClientSecret",
    "ConfigurationError",
    "ContactListing",
    "DeclinedError",
    "Event",
    "EventPolling",
    "Finding",
    "ForeignMessageEvent",
    "Found",
    "GatewayCapabilities",
    "GatewayHint",
    "GatewayVerdict",
    "IdentityEvent",
    "ListedContact",
    "Media",
    "MessageInEvent",
    "MessageKind",
    "MessageStatus",
    "MessageStatusEvent",
    "MessagingProvider",
    "MisconfiguredError",
    "Money",
    "Notification",
    "Notifier",
    "NumberCheck",
    "NumberChecking",
    "Outcome",
    "OutgoingMessage",
    "PaymentFact",
    "PaymentGateway",
    "Picture",
    "PixQr",
    "PluginInfo",
    "Polled",
    "Prepared",
    "ProviderError",
    "ReadMarks",
    "Redirect",
    "References",
    "RefusedError",
    "Rejected",
    "Restarting",
    "Retryable",
    "RetryableError",
    "Scope",
    "Screenshots",
    "Secret",
    "SeededServer",
    "Sender",
    "SenderReport",
    "SenderState",
    "SenderStatusEvent",
    "SenderStopped",
    "Server",
    "ServerReport",
    "ServerReporting",
    "ServerSeeding",
    "Settings",
    "SignIn",
    "Snapshot",
    "Stage",
    "SubscriptionStatus",
    "Typing",
    "UnavailableError",
    "UncertainError",
    "Unknown",
    "UnknownEvent",
    "WebhookDelivery",
    "WebhookRepair",
    "WebhookResult",
    "WebhookTarget",
    "build_client",
    "decode",
    "hookimpl",
    "never_written",
    "retry_after",
)
