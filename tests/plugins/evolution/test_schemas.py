"""Every body that the plugin can produce fits what its version takes, and nothing else would."""

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime

import msgspec
import pytest

from core.plugin import Media, MessageKind, OutgoingMessage, ProviderError, Sender, WebhookTarget
from core.plugin.testing import Answer, Reaction, ReceivedRequest, ScriptedServer
from plugins.evolution.messages import prepare_message
from plugins.evolution.provider import EvolutionProvider
from tests.plugins.evolution.conftest import VERSIONS, sender_on
from tests.plugins.evolution.schemas import BODILESS, RESTART, fit, schema_of

TO = "12132132130"
ADDRESSES = (
    *(TO, "12132132130@s.whatsapp.net", "12132132130@c.us", "12132132130:7@s.whatsapp.net"),
    *("77@lid", "120363012345678901@g.us", "5511988887777-1612345678@g.us"),
)
TEXT = "Hello \U0001f600 \x00 {{name}}"
SENDS = [(kind, TEXT) for kind in MessageKind] + [(kind, "") for kind in MessageKind if kind is not MessageKind.TEXT]
HOOK = WebhookTarget("https://p.example/w")
TAKEN = Answer(403, b'{"response": {"message": ["This name \\"snd_17\\" is already in use."]}}')
MINE = {"id": "3EB0AA", "fromMe": True, "remoteJid": "12132132130@s.whatsapp.net"}
THEIRS = {"id": "3A01", "fromMe": False, "remoteJid": "77@lid", "remoteJidAlt": "12132132130@s.whatsapp.net"}


def name_of(request: ReceivedRequest) -> str:
    path = request.target.partition("?")[0].removesuffix("/snd_17")
    return f"{request.method} {path or '/'}"


def answers(version: str, *, taken: bool, ignores: bool) -> dict[str, Reaction]:
    """Answers that lead the plugin through each of its calls."""
    records = [{"key": key, "messageTimestamp": 1795442276, "message": {}} for key in (THEIRS, MINE)]
    page = records if version == "1.8.2" else {"messages": {"records": records}}
    contact = {"remoteJid": "77@lid", "id": "77@lid"}
    settings = {"groupsIgnore": ignores, "groups_ignore": ignores, "msgCall": "Later", "wavoipToken": "w"}
    bodies: Mapping[str, object] = {
        "/chat/findMessages": page,
        "/chat/findContacts": [contact],
        "/settings/find": settings,
        "/webhook/find": {"enabled": True, "url": "https://other.example"},
        "/instance/connectionState": {"instance": {"state": "open"}},
        "/instance/connect": {"code": "2@a"},
    }
    routes: dict[str, Reaction] = {path: Answer(200, json.dumps(body).encode()) for path, body in bodies.items()}
    return {**routes, "/": Answer(200, b"[]"), "/instance/create": TAKEN if taken else Answer(201, b"{}")}


async def call_all(provider: EvolutionProvider, sender: Sender) -> None:
    """Make every call that has a body or none; what comes of it is not looked at."""
    prepared = provider.prepare(OutgoingMessage(TO, MessageKind.TEXT, "Hello"), sender, "3EB0")
    prepared = msgspec.structs.replace(prepared, attempted_at=datetime(2026, 11, 23, tzinfo=UTC))
    calls = (
        lambda: provider.open(sender, HOOK),
        lambda: provider.repair_webhook(sender, HOOK),
        lambda: provider.challenge(sender),
        lambda: provider.stop(sender),
        lambda: provider.restart(sender),
        lambda: provider.check_numbers(sender, [str(12132130000 + place) for place in range(150)]),
        lambda: provider.show_typing(sender, "77@lid", active=True),
        lambda: provider.mark_seen(sender, "12132132130@s.whatsapp.net"),
        lambda: provider.reconcile(prepared, sender, ("3EB0AA",)),
        lambda: provider.reconcile(prepared, sender, ()),
        lambda: _list(provider, sender),
        lambda: provider.sign_out(sender),
        lambda: provider.remove(sender),
        lambda: provider.server_report(sender.server),
    )
    for call in calls:
        with suppress(ProviderError):
            await call()


async def _list(provider: EvolutionProvider, sender: Sender) -> None:
    async for _ in provider.list_contacts(sender):
        pass


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_body_fits(provider: EvolutionProvider, version: str) -> None:
    schemas, seen = schema_of(version), set[str]()
    for taken, ignores in ((False, False), (True, True), (True, False)):
        async with ScriptedServer(Answer(200, b"[]"), answers(version, taken=taken, ignores=ignores)) as server:
            await call_all(provider, sender_on(server.url, version))
            requests = server.requests
        for request in requests:
            name = name_of(request)
            seen.add(name)
            if name in schemas:
                fit(request.body, schemas[name])
            else:
                assert name in BODILESS | {RESTART[version]}, name
                assert request.body == b"", name
    assert {name for name in schemas if "/message/" not in name} <= seen
    assert seen >= BODILESS


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("kind", "text"), SENDS)
@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("preview", [False, True])
def test_every_send_fits(
    version: str,
    kind: MessageKind,
    text: str,
    address: str,
    preview: bool,  # noqa: FBT001 - a setting
) -> None:
    for media in (
        Media(mimetype="image/jpeg", filename="o.jpg", url="https://p.example/o.jpg"),
        Media(mimetype="image/jpeg", filename="o.jpg", content=b"\x00\xff"),
    ):
        message = OutgoingMessage(address, kind, text, None if kind is MessageKind.TEXT else media, preview)
        prepared = prepare_message(message, sender_on("http://evo", version), "3EB0")
        fit(prepared.body, schema_of(version)[f"POST {prepared.path.removesuffix('/snd_17')}"])


@pytest.mark.parametrize("kind", list(MessageKind))
def test_bodies_of_one_version_do_not_fit_the_other(kind: MessageKind) -> None:
    media = Media(mimetype="image/jpeg", filename="o.jpg", content=b"picture")
    message = OutgoingMessage(TO, kind, "Hello", None if kind is MessageKind.TEXT else media)
    for version, other in (VERSIONS, VERSIONS[::-1]):
        prepared = prepare_message(message, sender_on("http://evo", version), "3EB0")
        with pytest.raises(msgspec.ValidationError):
            fit(prepared.body, schema_of(other)[f"POST {prepared.path.removesuffix('/snd_17')}"])
