"""Files from the upload to the phone, through every process."""

import hashlib

import pytest

from tests.core.media.files import JPEG, MP4, PDF, VOICE
from tests.e2e.conftest import Platform

RECIPIENTS = 3
FILES = {
    2: ("Oferta.jpg", JPEG, "Oi {{ nome }}"),
    3: ("recado.ogg", VOICE, ""),
    4: ("Tabela de preços.pdf", PDF + bytes(3 * 2**20), "Os preços, {{ nome }}"),
    5: ("video.mp4", MP4, "Veja"),
}


@pytest.mark.slow
@pytest.mark.parametrize("delivery", ["url", "content"])
async def test_every_kind_reaches_every_phone_once(platform: Platform, delivery: str) -> None:
    platform.configure("media", delivery=delivery)
    await platform.start("worker", "worker")
    server = await platform.post(
        "/api/admin/servers",
        {"name": f"simulator {platform.port}", "provider": "waha", "url": str(platform.phone.base_url).rstrip("/")},
    )
    number_id = await platform.pair(int(server["id"]))
    public_id = await platform.audience(RECIPIENTS)
    messages = []
    for kind, (name, content, text) in FILES.items():
        answer = await platform.http.post("/api/media", files={"file": (name, content)})
        assert answer.status_code == 201, answer.text
        messages.append({"type_message": kind, "media_id": answer.json()["data"]["id"], "content": text})
    campaign = await platform.post(
        "/api/campaigns",
        {"name": "Files", "type": 3, "number_ids": [number_id], "public_id": public_id, "messages": messages},
    )
    path = f"/api/campaigns/{campaign['id']}"
    await platform.post(f"{path}/start")

    found = await platform.until(lambda: platform.get(path), lambda row: row["status"] == 4, "the end of the campaign")

    assert found["totals"]["sent"] == RECIPIENTS * len(FILES)
    received = (await platform.phone.get("/simulator/phone")).json()["messages"]
    seen = sorted((one["chat_id"], one["file"]["filename"], one["file"]["sha256"]) for one in received)
    wanted = [(name, hashlib.sha256(content).hexdigest()) for name, content, _ in FILES.values()]
    chats = sorted({one["chat_id"] for one in received})
    assert len(chats) == RECIPIENTS
    assert seen == sorted((chat, *file) for chat in chats for file in wanted)
    assert sorted({one["text"] for one in received if one["kind"] == "image"}) == [
        f"Oi Pessoa {row}" for row in range(RECIPIENTS)
    ]
