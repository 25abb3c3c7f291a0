"""The bodies that each version takes, as strict types: names and required members (src/validate of the server)."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

Text = Annotated[str, Meta(min_length=1)]
Number = Annotated[str, Meta(pattern=r"^(\d{5,15}|\d+@s\.whatsapp\.net|\d+@lid|[\d-]+@g\.us)$")]
Jid = Annotated[str, Meta(pattern=r"^[\d-]+@(s\.whatsapp\.net|lid|g\.us)$")]
Url = Annotated[str, Meta(pattern=r"^https?://")]
EventName = Literal["CONNECTION_UPDATE", "QRCODE_UPDATED", "MESSAGES_UPSERT", "MESSAGES_UPDATE", "SEND_MESSAGE"]
Presence = Literal["unavailable", "available", "composing", "recording", "paused"]
MediaType = Literal["image", "document", "video", "audio"]


class Strict(Struct, forbid_unknown_fields=True):
    """No member that the server does not know."""


# Version 2: flat.


class SecondText(Strict, rename="camel"):
    number: Number
    text: Text
    link_preview: bool


class SecondMedia(Strict):
    number: Number
    mediatype: MediaType
    mimetype: Text
    media: Text
    fileName: Text  # noqa: N815 - the server's name
    caption: Text | None = None


class SecondAudio(Strict):
    number: Number
    audio: Text
    encoding: Literal[True]


class SecondPresence(Strict):
    number: Number
    delay: int
    presence: Presence


class Hook(Strict, rename="camel"):
    enabled: bool
    url: Url
    by_events: Literal[False]
    base64: Literal[False]
    headers: dict[str, str]
    events: list[EventName]


class SecondWebhook(Strict):
    webhook: Hook


class SecondCreation(Strict, rename="camel"):
    instance_name: Text
    integration: Literal["WHATSAPP-BAILEYS"]
    qrcode: bool
    reject_call: bool
    groups_ignore: Literal[False]
    always_online: bool
    read_messages: bool
    sync_full_history: bool
    webhook: Hook


class SecondSettings(Strict, rename="camel"):
    reject_call: bool
    msg_call: str
    groups_ignore: Literal[False]
    always_online: bool
    read_messages: bool
    read_status: bool
    sync_full_history: bool
    wavoip_token: str


class ReadKey(Strict, rename="camel"):
    remote_jid: Jid
    from_me: Literal[False]
    id: Text


Keys = Annotated[list[ReadKey], Meta(min_length=1)]


class SecondRead(Strict, rename="camel"):
    read_messages: Keys


class Key(Strict, rename="camel"):
    id: Text | None = None
    remote_jid: Jid | None = None
    remote_jid_alt: Jid | None = None
    from_me: Literal[True] | None = None


class MessageWhere(Strict):
    key: Key


class SecondMessages(Strict):
    where: MessageWhere
    page: Annotated[int, Meta(ge=1)]
    offset: Annotated[int, Meta(ge=1)]


class Empty(Strict):
    pass


class SecondContacts(Strict):
    where: Empty
    page: Annotated[int, Meta(ge=1)]
    offset: Annotated[int, Meta(ge=1)]


class Where(Strict):
    where: Empty


class Numbers(Strict):
    numbers: Annotated[list[Annotated[str, Meta(pattern=r"^\d{5,15}$")]], Meta(min_length=1, max_length=100)]


# Version 1: nested.


class Options(Strict, rename="camel"):
    delay: int
    presence: Presence
    link_preview: bool
    encoding: Literal[True] | None = None


class InnerText(Strict):
    text: Text


class FirstText(Strict, rename="camel"):
    number: Number
    options: Options
    text_message: InnerText


class InnerMedia(Strict):
    mediatype: MediaType
    mimetype: Text
    media: Text
    fileName: Text  # noqa: N815 - the server's name
    caption: Text | None = None


class FirstMedia(Strict, rename="camel"):
    number: Number
    options: Options
    media_message: InnerMedia


class InnerAudio(Strict):
    audio: Text


class FirstAudio(Strict, rename="camel"):
    number: Number
    options: Options
    audio_message: InnerAudio


class InnerPresence(Strict):
    delay: int
    presence: Presence


class FirstPresence(Strict):
    number: Number
    options: InnerPresence


class FirstWebhook(Strict):
    enabled: bool
    url: Url
    webhook_by_events: Literal[False]
    webhook_base64: Literal[False]
    events: list[EventName]


class FirstCreation(Strict):
    instanceName: Text  # noqa: N815 - the server's name
    integration: Literal["WHATSAPP-BAILEYS"]
    qrcode: bool
    webhook: Url
    webhook_by_events: Literal[False]
    webhook_base64: Literal[False]
    events: list[EventName]


class FirstSettings(Strict):
    reject_call: bool
    msg_call: str
    groups_ignore: Literal[False]
    always_online: bool
    read_messages: bool
    read_status: bool
    sync_full_history: bool


class FirstRead(Strict):
    read_messages: Keys


class FirstMessages(Strict):
    where: MessageWhere
    limit: Annotated[int, Meta(ge=1)]


class ById(Strict):
    id: Text


class FirstStatuses(Strict):
    where: ById


SECOND: Mapping[str, type[Strict]] = {
    "POST /message/sendText": SecondText,
    "POST /message/sendMedia": SecondMedia,
    "POST /message/sendWhatsAppAudio": SecondAudio,
    "POST /chat/sendPresence": SecondPresence,
    "POST /chat/whatsappNumbers": Numbers,
    "POST /chat/markMessageAsRead": SecondRead,
    "POST /chat/findMessages": SecondMessages,
    "POST /chat/findContacts": SecondContacts,
    "POST /chat/findChats": Where,
    "POST /webhook/set": SecondWebhook,
    "POST /settings/set": SecondSettings,
    "POST /instance/create": SecondCreation,
}
FIRST: Mapping[str, type[Strict]] = {
    "POST /message/sendText": FirstText,
    "POST /message/sendMedia": FirstMedia,
    "POST /message/sendWhatsAppAudio": FirstAudio,
    "POST /chat/sendPresence": FirstPresence,
    "POST /chat/whatsappNumbers": Numbers,
    "PUT /chat/markMessageAsRead": FirstRead,
    "POST /chat/findMessages": FirstMessages,
    "POST /chat/findStatusMessage": FirstStatuses,
    "POST /chat/findContacts": Where,
    "POST /webhook/set": FirstWebhook,
    "POST /settings/set": FirstSettings,
    "POST /instance/create": FirstCreation,
}
BODILESS = {
    *("GET /", "GET /instance/fetchInstances", "GET /instance/connectionState", "GET /instance/connect"),
    *("GET /webhook/find", "GET /settings/find", "GET /group/fetchAllGroups"),
    *("DELETE /instance/logout", "DELETE /instance/delete"),
}
RESTART = {"1.8.2": "PUT /instance/restart", "2.3.7": "POST /instance/restart"}


def schema_of(version: str) -> Mapping[str, type[Strict]]:
    """Return the bodies that a version takes, by method and path."""
    return FIRST if version.startswith("1.") else SECOND


def fit(body: bytes, kind: type[Strict]) -> Any:
    """Decode a body strictly; raises ``msgspec.ValidationError`` where it does not fit."""
    return msgspec.json.decode(body, type=kind)
