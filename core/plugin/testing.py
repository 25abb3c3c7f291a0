"""What a plugin's tests inherit: contracts for each kind of provider, and a server that misbehaves on demand.

    class TestExampleContract(MessagingProviderContract):
        accepted = Answer(201, b'{"id": "1"}')
        event = b'{"event": "message.ack", ...}'

        def subject(self, url: str) -> Subject: ...
        def delivery(self, body: bytes, secret: Secret) -> WebhookDelivery: ...

The checks are plain synchronous methods with an event loop of their own, so they run under pytest without any
option, and under ``recado conformance`` without pytest. That command looks for contract classes in the plugin's module
``conformance``, then in its tests.
"""

from core.plugin.certificates import CertificateAuthority
from core.plugin.conformance.checking import CANARY, Contract, expect, not_applicable, run
from core.plugin.conformance.mail import MailNotifierContract, MailPlace
from core.plugin.conformance.messaging import MessagingProviderContract
from core.plugin.conformance.notifications import NotifierContract, NotifierSubject
from core.plugin.conformance.optional import (
    ContactAnswers,
    NumberCheckAnswers,
    PollAnswers,
    SignInAnswers,
)
from core.plugin.conformance.payments import GatewaySubject, PaymentGatewayContract
from core.plugin.conformance.subjects import Subject
from core.plugin.mail_server import MailCommand, MailReaction, MailReply, MailServer, ReceivedMail, unused_port
from core.plugin.scripted_server import (
    Answer,
    Cut,
    Drip,
    Hang,
    Reaction,
    ReceivedRequest,
    Routes,
    ScriptedServer,
    unreachable_url,
)

__all__ = (
    "CANARY",
    "Answer",
    "CertificateAuthority",
    "ContactAnswers",
    "Contract",
    "Cut",
    "Drip",
    "GatewaySubject",
    "Hang",
    "MailCommand",
    "MailNotifierContract",
    "MailPlace",
    "MailReaction",
    "MailReply",
    "MailServer",
    "MessagingProviderContract",
    "NotifierContract",
    "NotifierSubject",
    "NumberCheckAnswers",
    "PaymentGatewayContract",
    "PollAnswers",
    "Reaction",
    "ReceivedMail",
    "ReceivedRequest",
    "Routes",
    "ScriptedServer",
    "SignInAnswers",
    "Subject",
    "expect",
    "not_applicable",
    "run",
    "unreachable_url",
    "unused_port",
)
