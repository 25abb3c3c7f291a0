"""Evolution keeps the contract of every messaging provider, in both dialects."""

from core.plugin import MessageKind, OutgoingMessage, Secret, WebhookDelivery
from core.plugin.testing import Answer, MessagingProviderContract, Subject
from plugins.evolution.provider import EvolutionProvider, Limits
from tests.plugins.evolution.conftest import sender_on


class TestEvolutionContract(MessagingProviderContract):
    """Version 2: the secret comes in a header."""

    version = "2.3.7"
    accepted = Answer(
        201,
        b'{"key": {"remoteJid": "12132132130@s.whatsapp.net", "fromMe": true, "id": "3EB0AA"}, "status": "PENDING",'
        b' "message": {"conversation": "Hello"}, "messageTimestamp": 1795442276, "instanceId": "i", "source": "web"}',
    )
    event = (
        b'{"event": "messages.update", "instance": "snd_17", "date_time": "2026-11-23T13:48:02.630Z",'
        b' "apikey": "instance-token", "data": {"keyId": "3EB0AA", "remoteJid": "12132132130@s.whatsapp.net",'
        b' "fromMe": true, "status": "DELIVERY_ACK", "instanceId": "i", "messageId": "row"}}'
    )
    unknown_event = b'{"event": "labels.edit", "instance": "snd_17", "data": {"any": "thing"}}'
    signs_body = False

    def subject(self, url: str) -> Subject:
        limits = Limits(text_seconds=0.5, audio_seconds=0.5, media_seconds=0.5, grace_seconds=60)
        message = OutgoingMessage("12132132130", MessageKind.TEXT, "Hello")
        return Subject(EvolutionProvider(limits), sender_on(url, self.version), message)

    def delivery(self, body: bytes, secret: Secret) -> WebhookDelivery:
        headers = {"x-recado-secret": secret.reveal()}
        return WebhookDelivery(method="POST", query={}, headers=headers, body=body, public_url="https://p.example/w")


class TestFirstEvolutionContract(TestEvolutionContract):
    """Version 1: the secret comes in the address."""

    version = "1.8.2"
    event = (
        b'{"event": "messages.update", "instance": "snd_17", "date_time": "2026-11-23T13:48:02.630Z",'
        b' "data": {"remoteJid": "12132132130@s.whatsapp.net", "fromMe": true, "id": "3EB0AA",'
        b' "status": "DELIVERY_ACK", "datetime": 1795442276000, "owner": "snd_17"}}'
    )

    def delivery(self, body: bytes, secret: Secret) -> WebhookDelivery:
        query = {"secret": secret.reveal()}
        return WebhookDelivery(method="POST", query=query, headers={}, body=body, public_url="https://p.example/w")
