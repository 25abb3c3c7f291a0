"""WAHA keeps the contract of every messaging provider."""

import hashlib
import hmac

from core.plugin import (
    Capabilities,
    MessageKind,
    OutgoingMessage,
    Secret,
    Sender,
    Server,
    WebhookDelivery,
)
from core.plugin.testing import Answer, MessagingProviderContract, Subject
from plugins.waha.connection import WahaCredentials
from plugins.waha.provider import Limits, WahaProvider


class TestWahaContract(MessagingProviderContract):
    accepted = Answer(201, b'{"key": {"remoteJid": "12132132130@s.whatsapp.net", "fromMe": true, "id": "3EB0AA"}}')
    event = (
        b'{"id": "evt_1", "timestamp": 1795441639817, "event": "message.ack", "session": "s1",'
        b' "payload": {"id": "true_12132132130@c.us_3EB0AA", "fromMe": true, "ack": 2}}'
    )
    unknown_event = b'{"id": "evt_2", "event": "engine.event", "session": "s1", "payload": {"any": "thing"}}'

    def subject(self, url: str) -> Subject:
        provider = WahaProvider(Limits(text_seconds=0.5, media_seconds=0.5, grace_seconds=60))
        server = Server(id=1, url=url, credentials=WahaCredentials(api_key=Secret("key")))
        sender = Sender(
            number_id=17,
            instance="snd_17",
            server=server,
            capabilities=Capabilities(
                engine="NOWEB", client_message_id=True, lookup_by_id=True, media=tuple(MessageKind)[1:]
            ),
            webhook_secret=Secret("hmac"),
        )
        return Subject(provider, sender, OutgoingMessage("12132132130", MessageKind.TEXT, "Hello"))

    def delivery(self, body: bytes, secret: Secret) -> WebhookDelivery:
        signature = hmac.new(secret.reveal().encode(), body, hashlib.sha512).hexdigest()
        headers = {"x-webhook-hmac": signature, "x-webhook-hmac-algorithm": "sha512"}
        return WebhookDelivery(method="POST", query={}, headers=headers, body=body, public_url="https://p.example/w")
