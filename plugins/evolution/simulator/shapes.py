"""How each dialect shows messages and instances: in answers, look-ups and webhooks."""

import zlib
from typing import Any

from plugins.evolution.simulator.addresses import GROUP
from plugins.evolution.simulator.options import Options
from plugins.evolution.simulator.state import Group, Instance, Message, Webhook, local_time, world_time

_SWAPPED_SINCE = (2, 3, 7)
_KINDS_SINCE = (2, 3, 0)
_HEADERS_SINCE = (2, 1, 2)


def key_of(message: Message) -> dict[str, Any]:
    """Return the message's key."""
    key: dict[str, Any] = {"remoteJid": message.chat, "fromMe": message.from_me, "id": message.id}
    key |= {"remoteJidAlt": message.alternative} if message.alternative else {}
    return key | ({"participant": message.participant} if message.participant else {})


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
    """Return the data of MESSAGES_UPSERT and SEND_MESSAGE; from 2.3.7 on a known phone goes first."""
    key = key_of(message)
    if message.alternative and options.parsed_version >= _SWAPPED_SINCE:
        key |= {"remoteJid": message.alternative, "remoteJidAlt": message.chat, "addressingMode": "pn"}
    shown: dict[str, Any] = {
        "key": key,
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


def contact(address: str, name: str, instance: Instance, options: Options) -> dict[str, Any]:
    """Return an entry of findContacts."""
    row_id = f"cm{zlib.crc32(f'{instance.id} {address}'.encode()):023x}"
    if options.is_v1:
        return {"_id": row_id, "id": address, "pushName": name, "profilePictureUrl": None, "owner": instance.name}
    shown = {"id": row_id, "remoteJid": address, "pushName": name, "profilePicUrl": None, "instanceId": instance.id}
    if options.parsed_version < _KINDS_SINCE:
        return shown
    is_group = address.endswith(GROUP)
    kind = "group" if is_group else "contact" if name else "group_member"
    return {**shown, "isGroup": is_group, "isSaved": bool(name), "type": kind}


def chat(message: Message, instance: Instance, options: Options) -> dict[str, Any]:
    """Return an entry of findChats, with the chat's last message."""
    shown: dict[str, Any] = {"remoteJid": message.chat, "pushName": message.push_name, "profilePicUrl": None}
    if options.is_v1:
        return {"id": message.chat, **shown, "owner": instance.name}
    last = {"id": message.row_id, "key": key_of(message), "message": message.content, "instanceId": instance.id}
    return {"id": None, **shown, "lastMessage": last, "unreadCount": 0, "isSaved": True}


def group(one: Group, *, is_v1: bool) -> dict[str, Any]:
    """Return an entry of fetchAllGroups, without its members."""
    shown: dict[str, Any] = {"id": one.id, "subject": one.subject, "subjectOwner": None, "subjectTime": one.created_at}
    shown |= {"pictureUrl": None, "size": len(one.members) + 1, "creation": one.created_at, "owner": None}
    shown |= {"desc": None, "descId": None, "restrict": False, "announce": False}
    return shown if is_v1 else {**shown, "isCommunity": one.is_community, "isCommunityAnnounce": False}


def status_closed(instance: Instance, reason: int, options: Options, at: float) -> dict[str, Any]:
    """Return the data of STATUS_INSTANCE; v2 keeps why, also for its listing."""
    if options.is_v1:
        return {"instance": instance.name, "status": "closed"}
    text = f'{{"error":{{"output":{{"statusCode":{reason}}}}},"date":"{world_time(at)}"}}'
    instance.disconnection = {
        "disconnectionAt": world_time(at),
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
    shown |= {"webhookByEvents": hook.by_events, "webhookBase64": hook.base64}
    shown |= {"headers": hook.headers} if keeps_headers(options) else {}
    return {"id": f"cm{instance.id.replace('-', '')[:23]}", **shown, "instanceId": instance.id}


def keeps_headers(options: Options) -> bool:
    """Whether webhooks can have headers of their own."""
    return options.parsed_version >= _HEADERS_SINCE


def envelope(event: str, data: object, instance: Instance, options: Options, at: float) -> dict[str, Any]:
    """Return a webhook's body but for its destination; it carries the instance's token."""
    shown: dict[str, Any] = {"event": event, "instance": instance.name, "data": data, "destination": ""}
    shown["date_time"] = local_time(options, at)
    if instance.owner:
        shown["sender"] = instance.owner
    shown["server_url"] = options.server_url
    if not options.is_v1 or options.expose_in_fetch_instances:
        shown["apikey"] = instance.token
    return shown


def _owner(instance: Instance, options: Options) -> dict[str, str]:
    return {"owner": instance.name} if options.is_v1 else {"instanceId": instance.id}
