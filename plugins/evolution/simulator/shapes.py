"""How each dialect shows messages and instances: in answers, look-ups and webhooks."""

from typing import Any

from plugins.evolution.simulator.options import Options
from plugins.evolution.simulator.state import Instance, Message, Webhook, local_time, world_time


def key_of(message: Message) -> dict[str, Any]:
    """Return the message's key."""
    key: dict[str, Any] = {"remoteJid": message.chat, "fromMe": message.from_me, "id": message.id}
    return {**key, "remoteJidAlt": message.alternative} if message.alternative else key


def sent(message: Message, instance: Instance, options: Options) -> dict[str, Any]:
    """Return the body of a send's 201."""
    if options.is_v1:
        return {
            "key": key_of(message),
            "message": message.content,
            "messageTimestamp": str(int(message.at)),
            "status": "PENDING",
        }
    return {
        "key": key_of(message),
        "pushName": message.push_name,
        "status": "PENDING",
        "message": message.content,
        "contextInfo": None,
        "messageType": message.message_type,
        "messageTimestamp": int(message.at),
        "instanceId": instance.id,
        "source": message.source,
    }


def upserted(message: Message, instance: Instance, options: Options) -> dict[str, Any]:
    """Return the data of MESSAGES_UPSERT and SEND_MESSAGE."""
    shown: dict[str, Any] = {
        "key": key_of(message),
        "pushName": message.push_name,
        "status": "DELIVERY_ACK" if not message.from_me else "PENDING",
        "message": message.content,
        "messageType": message.message_type,
        "messageTimestamp": int(message.at),
        "source": message.source,
    }
    return {**shown, **_owner(instance, options)}


def updated(message: Message, status: str, instance: Instance, options: Options) -> dict[str, Any]:
    """Return the data of MESSAGES_UPDATE."""
    if options.is_v1:
        shown = {"remoteJid": message.chat, "fromMe": message.from_me, "id": message.id, "status": status}
        return {**shown, "datetime": int(1000 * message.at), "owner": instance.name}
    return {
        "keyId": message.id,
        "remoteJid": message.chat,
        "fromMe": message.from_me,
        "participant": None,
        "status": status,
        "instanceId": instance.id,
        "messageId": message.row_id,
    }


def stored(message: Message, instance: Instance, options: Options) -> dict[str, Any]:
    """Return a record of findMessages."""
    record: dict[str, Any] = {
        "key": key_of(message),
        "pushName": message.push_name,
        "messageType": message.message_type,
        "message": message.content,
        "messageTimestamp": int(message.at),
        "source": message.source,
    }
    if options.is_v1:
        return {"_id": message.row_id, **record, "owner": instance.name}
    updates = [{"status": status} for status in message.updates]
    return {"id": message.row_id, **record, "instanceId": instance.id, "contextInfo": None, "MessageUpdate": updates}


def listed(instance: Instance, options: Options, messages: int) -> dict[str, Any]:
    """Return an entry of fetchInstances; it shows the token."""
    if options.is_v1:
        shown: dict[str, Any] = {"instanceName": instance.name, "instanceId": instance.id, "status": instance.state}
        if instance.phone:
            shown |= {"owner": instance.owner, "profileName": "Simulated phone", "profilePictureUrl": None}
        if options.expose_in_fetch_instances:
            shown |= {"serverUrl": options.server_url, "apikey": instance.token}
        return {"instance": shown}
    return {
        "id": instance.id,
        "name": instance.name,
        "connectionStatus": instance.state,
        "ownerJid": instance.owner or None,
        "profileName": "Simulated phone" if instance.phone else None,
        "profilePicUrl": None,
        "integration": instance.integration,
        "number": None,
        "businessId": None,
        "token": instance.token,
        "clientName": "evolution_exchange",
        "disconnectionReasonCode": None,
        "disconnectionObject": None,
        "disconnectionAt": None,
        **instance.disconnection,
        "Setting": instance.settings,
        "_count": {"Message": messages, "Contact": 0, "Chat": 0},
    }


def status_closed(instance: Instance, reason: int, options: Options) -> dict[str, Any]:
    """Return the data of STATUS_INSTANCE; v2 keeps why, also for its listing."""
    if options.is_v1:
        return {"instance": instance.name, "status": "closed"}
    text = f'{{"error":{{"output":{{"statusCode":{reason}}}}},"date":"{world_time()}"}}'
    instance.disconnection = {
        "disconnectionAt": world_time(),
        "disconnectionReasonCode": reason,
        "disconnectionObject": text,
    }
    return {"instance": instance.name, "status": "closed", **instance.disconnection}


def qrcode(instance: Instance, picture: str) -> dict[str, Any]:
    """Return the QR code and pairing code as connect shows them; without any there is only the count."""
    if not instance.qr:
        return {"count": instance.qr_count}
    code = instance.pairing_code or None
    return {"pairingCode": code, "code": instance.qr, "base64": picture, "count": instance.qr_count}


def webhook(hook: Webhook, instance: Instance, options: Options) -> dict[str, Any]:
    """Return the webhook as it was set."""
    shown: dict[str, Any] = {"enabled": hook.enabled, "url": hook.url, "events": hook.events}
    if options.is_v1:
        return {**shown, "webhook_by_events": hook.by_events, "webhook_base64": hook.base64}
    shown |= {"headers": hook.headers, "webhookByEvents": hook.by_events, "webhookBase64": hook.base64}
    return {"id": f"cm{instance.id.replace('-', '')[:23]}", **shown, "instanceId": instance.id}


def envelope(event: str, data: object, instance: Instance, options: Options) -> dict[str, Any]:
    """Return a webhook's body but for its destination; it carries the instance's token."""
    shown: dict[str, Any] = {"event": event, "instance": instance.name, "data": data, "destination": ""}
    shown["date_time"] = local_time(options)
    if instance.owner:
        shown["sender"] = instance.owner
    shown["server_url"] = options.server_url
    if not options.is_v1 or options.expose_in_fetch_instances:
        shown["apikey"] = instance.token
    return shown


def _owner(instance: Instance, options: Options) -> dict[str, str]:
    return {"owner": instance.name} if options.is_v1 else {"instanceId": instance.id}
