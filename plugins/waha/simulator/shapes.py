"""How each engine shows a message: in the answer to a send, in the store and in webhooks."""

from typing import Any

from plugins.waha.simulator.options import Engine
from plugins.waha.simulator.state import ACK_NAMES, Message


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
        case _:
            parts = {"fromMe": True, "remote": message.chat, "id": message.id, "_serialized": message.serialized_id}
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
