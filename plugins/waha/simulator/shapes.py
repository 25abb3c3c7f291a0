"""How each engine shows a message: in the answer to a send, in the store and in webhooks."""

from datetime import UTC, datetime
from typing import Any

from plugins.waha.simulator.options import Engine
from plugins.waha.simulator.state import ACK_NAMES, Message, State

_DEVICE = 2


def sent(message: Message, engine: Engine) -> dict[str, Any]:
    """Return the body of a 201; the OpenAPI document promises another one for NOWEB and WEBJS."""
    inner = message.chat.replace("@c.us", "@s.whatsapp.net")
    match engine:
        case "NOWEB":
            return {
                "key": {"remoteJid": inner, "fromMe": True, "id": message.id},
                "message": {"extendedTextMessage": {"text": message.text}},
                "messageTimestamp": str(int(message.at)),
                "status": "PENDING",
            }
        case "GOWS":
            return {
                "id": message.serialized_id,
                "timestamp": int(message.at),
                "from": message.chat,
                "fromMe": True,
                "body": message.text,
                "_data": {"Info": {"ID": message.id, "Chat": inner, "IsFromMe": True}},
            }
        case "WPP":
            return {**stored(message), "_data": {"id": message.serialized_id, "ack": message.ack}}
        case _:
            parts = {"fromMe": True, "remote": message.chat, "id": message.id, "_serialized": message.serialized_id}
            parts |= {"participant": message.author} if message.author else {}
            return {"_data": {"id": parts, "body": message.text, "ack": 0}, "id": parts, "ack": 0, "body": message.text}


def stored(message: Message) -> dict[str, Any]:
    """Return a message as the store and ``message.any`` show it."""
    return {
        "id": message.serialized_id,
        "timestamp": int(message.at),
        "from": message.chat,
        "fromMe": message.from_me,
        "source": message.source,
        "body": message.text,
        "hasMedia": message.kind != "text",
        "media": None,
        "ack": message.ack,
        "ackName": ACK_NAMES[message.ack],
        "replyTo": None,
        **({"participant": message.author, "to": message.author} if message.author else {}),
        "_data": {},
    }


def acknowledged(message: Message, ack: int) -> dict[str, Any]:
    """Return the payload of ``message.ack``."""
    return {
        "id": message.serialized_id,
        "from": message.chat,
        "fromMe": True,
        "ack": ack,
        "ackName": ACK_NAMES[ack],
    }


def received(message: Message, ack: int, phone: str, state: State) -> dict[str, Any]:
    """Return the payload of ``message.ack.group``: what one participant's phone did (``_data`` is the engine's)."""
    payload = acknowledged(message, ack)
    if state.options.engine == "NOWEB":
        # It takes the receipt of a phone for the server's (`convertMessageReceiptUpdateToMessageAck`).
        key = {"remoteJid": message.chat, "id": message.id, "fromMe": True}
        times = {"receiptTimestamp" if ack == _DEVICE else "readTimestamp": int(state.time())}
        told = {"ack": 1, "ackName": ACK_NAMES[1]} if ack == _DEVICE else {}
        return {**payload, **told, "_data": {"key": key, "receipt": {"userJid": f"{phone}@s.whatsapp.net", **times}}}
    participant = state.lid_of(phone)
    receipt = {"Chat": message.chat, "Sender": participant, "IsGroup": True, "MessageIDs": [message.id]}
    return {**payload, "to": participant, "participant": participant, "_data": receipt}


def restriction(ends: float) -> dict[str, Any]:
    """Return the ``error`` of an acknowledgement of a message that WhatsApp refused (restriction.ts)."""
    until = datetime.fromtimestamp(ends, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    found = {"code": "463", "blocked": True, "reason": "account_restricted", "until": until}
    return {**found, "enforcementType": "RESTRICT_ALL_COMPANIONS"}
