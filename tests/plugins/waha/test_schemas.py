"""Every body that the plugin can write has the members that WAHA asks for, and no other.

The structs are the request bodies of WAHA's OpenAPI document, ``convert`` and the members of ``noweb`` required as it
says there; a body is read back strictly into the one of its path.
"""

import json
from collections.abc import Callable
from itertools import product
from typing import Annotated, Any, Literal

import msgspec
import pytest

from core.plugin import Capabilities, Media, MessageKind, OutgoingMessage, Sender, WebhookTarget
from core.plugin.testing import Answer, ScriptedServer
from plugins.waha.messages import prepare_message
from plugins.waha.provider import WahaProvider
from tests.plugins.waha.conftest import sender_on

Text = Annotated[str, msgspec.Meta(min_length=1)]
SessionName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]+$")]
ChatId = Annotated[str, msgspec.Meta(pattern=r"^([0-9]+@(c\.us|lid)|[0-9-]+@g\.us)$")]
RawId = Annotated[str, msgspec.Meta(pattern=r"^3EB0[0-9A-F]+$")]
Address = Annotated[str, msgspec.Meta(pattern=r"^https?://")]
Event = Literal["session.status", "message", "message.any", "message.ack", "message.ack.group"]


class Strict(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """A body; members without a default are required."""


class Chat(Strict):
    session: SessionName
    chat_id: ChatId


class SendText(Chat):
    text: Text
    id: RawId | msgspec.UnsetType = msgspec.UNSET
    link_preview: bool | msgspec.UnsetType = msgspec.UNSET


class RemoteFile(Strict):
    mimetype: Text
    filename: Text
    url: Address


class BinaryFile(Strict):
    mimetype: Text
    filename: Text
    data: bytes


class SendFile(Chat):
    file: Any
    caption: Text | msgspec.UnsetType = msgspec.UNSET
    id: RawId | msgspec.UnsetType = msgspec.UNSET


class SendVoice(Chat):
    file: Any
    convert: bool
    id: RawId | msgspec.UnsetType = msgspec.UNSET


class SendVideo(SendFile, kw_only=True):
    convert: bool
    as_note: bool | msgspec.UnsetType = msgspec.UNSET


class RequestCode(Strict):
    phone_number: Annotated[str, msgspec.Meta(pattern=r"^[0-9]+$")]


class Store(Strict):
    enabled: bool
    full_sync: bool


class Noweb(Strict):
    mark_online: bool
    store: Store


class Webjs(Strict):
    tags_events_on: bool


class Ignore(Strict):
    status: bool
    groups: bool
    channels: bool
    broadcast: bool


class Hmac(Strict):
    key: Text


class Retries(Strict):
    policy: Literal["constant", "linear", "exponential"]
    delay_seconds: int
    attempts: int


class Webhook(Strict):
    url: Address
    events: Annotated[list[Event], msgspec.Meta(min_length=1)]
    hmac: Hmac
    retries: Retries


class Config(Strict):
    metadata: dict[str, str]
    ignore: Ignore
    noweb: Noweb
    webjs: Webjs
    webhooks: list[Webhook]


class Create(Strict):
    name: SessionName
    start: Literal[True]
    config: Config


class Update(Strict):
    config: Config


BODIES: dict[str, type[Strict]] = {
    "POST /api/sessions": Create,
    "PUT /api/sessions/{}": Update,
    "POST /api/{}/auth/request-code": RequestCode,
    "POST /api/startTyping": Chat,
    "POST /api/stopTyping": Chat,
    "POST /api/sendSeen": Chat,
    "POST /api/sendText": SendText,
    "POST /api/sendImage": SendFile,
    "POST /api/sendFile": SendFile,
    "POST /api/sendVoice": SendVoice,
    "POST /api/sendVideo": SendVideo,
}
WITHOUT_BODY = {f"POST /api/sessions/{{}}/{verb}" for verb in ("start", "stop", "restart", "logout")} | {
    "DELETE /api/sessions/{}"
}


def check(method: str, path: str, body: bytes, instance: str = "snd_17") -> None:
    """Raise where a request is none that WAHA knows, or its body is not the one it asks for."""
    route = f"{method} {path.replace(instance, '{}')}"
    if route in WITHOUT_BODY:
        assert body == b""
        return
    read = msgspec.json.decode(body, type=BODIES[route])
    file = getattr(read, "file", None)
    if file is not None:
        msgspec.convert(file, RemoteFile if "url" in file else BinaryFile)


ABLE = Capabilities(client_message_id=True, link_preview=True)
MEDIA = {
    "url": Media(mimetype="image/jpeg", filename="o.jpg", url="https://cdn.example/o.jpg"),
    "base64": Media(mimetype="audio/mpeg", filename="o.mp3", content=b"content"),
}


@pytest.mark.parametrize("address", ["12132132130", "1234567@lid", "120363000000000001@g.us"])
@pytest.mark.parametrize("capabilities", [ABLE, Capabilities(engine="WEBJS"), Capabilities(multi_session=False)])
@pytest.mark.parametrize("kind", MessageKind)
def test_every_kind_of_message(kind: MessageKind, capabilities: Capabilities, address: str) -> None:
    sender = sender_on("http://waha:3000", capabilities)
    files = [None] if kind is MessageKind.TEXT else list(MEDIA.values())
    for media, text, preview in product(files, ("Hello", ""), (False, True)):
        if text or media:
            message = OutgoingMessage(address, kind, text, media, link_preview=preview)
            prepared = prepare_message(message, sender, "3EB0A1B2C3D4E5F60718AB")
            check("POST", prepared.path, prepared.body)


def test_a_file_without_a_name_or_type_still_has_both() -> None:
    """``filename`` is required of a video by address and of a voice by content."""
    media = Media(mimetype="", filename="", url="https://cdn.example/o")
    message = OutgoingMessage("12132132130", MessageKind.VIDEO, "", media)
    prepared = prepare_message(message, sender_on("http://waha:3000"), "3EB0AA")
    assert {"mimetype", "filename"} <= json.loads(prepared.body)["file"].keys()


HOOK = WebhookTarget("https://p.example/api/webhooks/waha/token")
CALLS: dict[str, Callable[[WahaProvider, Sender], Any]] = {
    "open": lambda provider, sender: provider.open(sender, HOOK),
    "challenge": lambda provider, sender: provider.challenge(sender, "12132132130"),
    "repair_webhook": lambda provider, sender: provider.repair_webhook(sender, HOOK),
    "restart": lambda provider, sender: provider.restart(sender),
    "stop": lambda provider, sender: provider.stop(sender),
    "sign_out": lambda provider, sender: provider.sign_out(sender),
    "remove": lambda provider, sender: provider.remove(sender),
    "mark_seen": lambda provider, sender: provider.mark_seen(sender, "12132132130"),
    "show_typing": lambda provider, sender: provider.show_typing(sender, "12132132130", active=True),
    "stop_typing": lambda provider, sender: provider.show_typing(sender, "12132132130@s.whatsapp.net", active=False),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("status", ["WORKING", "STOPPED", "FAILED"])
async def test_every_call_that_changes_something(provider: WahaProvider, call: str, status: str) -> None:
    session = Answer(200, f'{{"status": "{status}", "code": "ABCD-1234", "config": {{}}}}'.encode())
    async with ScriptedServer(session, {"/api/sessions": Answer(422, b"{}"), "/api/sessions/": session}) as server:
        await CALLS[call](provider, sender_on(server.url))
        changes = [request for request in server.requests if request.method != "GET"]
    # Nothing is repaired on a number that is stopped.
    assert bool(changes) is not (call == "repair_webhook" and status == "STOPPED")
    for request in changes:
        check(request.method, request.target, request.body)


async def test_a_configuration_keeps_what_others_set(provider: WahaProvider) -> None:
    """A PUT replaces everything, and what was there may be more than we know."""
    config = {"proxy": {"server": "host:3128"}, "noweb": {"store": {"enabled": False}, "extra": 1}}
    session = Answer(200, json.dumps({"status": "WORKING", "config": config}).encode())
    async with ScriptedServer(session, {"/api/sessions": Answer(422, b"{}"), "/api/sessions/": session}) as server:
        await provider.open(sender_on(server.url), HOOK)
        (put,) = [json.loads(request.body)["config"] for request in server.requests if request.method == "PUT"]
    assert put["proxy"] == {"server": "host:3128"}
    assert put["noweb"] == {"markOnline": False, "store": {"enabled": True, "fullSync": False}, "extra": 1}
    ours = {name: put[name] for name in ("metadata", "ignore", "webjs", "webhooks")}
    msgspec.convert({**ours, "noweb": {"markOnline": False, "store": put["noweb"]["store"]}}, Config)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        (
            "POST",
            "/api/sendVoice",
            b'{"session":"s","chatId":"1@c.us","file":{"mimetype":"a","filename":"b","data":""}}',
        ),
        ("POST", "/api/sendText", b'{"session":"s","chatId":"1@s.whatsapp.net","text":"x"}'),
        ("POST", "/api/sendText", b'{"session":"s","chatId":"1@c.us","text":"x","extra":1}'),
        ("POST", "/api/sendFile", b'{"session":"s","chatId":"1@c.us","file":{"mimetype":"a","url":"https://x"}}'),
        ("POST", "/api/snd_17/auth/request-code", b'{"phoneNumber":"+12132132130"}'),
    ],
)
def test_the_schemas_refuse(method: str, path: str, body: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        check(method, path, body)
