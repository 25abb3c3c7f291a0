import time

import httpx
import pytest

from core.media import links
from core.runtime import Runtime
from tests.core.media.conftest import Configure
from tests.core.media.files import JPEG, jpeg, upload


def token_of(url: str) -> str:
    return url.rpartition("/")[2]


async def test_whoever_has_the_address_may_read(tenant: httpx.AsyncClient, client: httpx.AsyncClient) -> None:
    made = await upload(tenant, JPEG, "Oferta.jpg")
    answer = await client.get(f"/api/media/files/{token_of(links.sign(made['id']))}")

    assert (answer.status_code, answer.content) == (200, JPEG)
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''Oferta.jpg"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_the_address_is_our_own(runtime: Runtime) -> None:
    assert links.sign(1).startswith(f"{runtime.config.server.base_url}/api/media/files/1.")


async def test_a_deleted_file_is_gone_for_everybody(tenant: httpx.AsyncClient, client: httpx.AsyncClient) -> None:
    made = await upload(tenant, jpeg(b"link"))
    address = f"/api/media/files/{token_of(links.sign(made['id']))}"
    await tenant.delete(f"/api/media/{made['id']}")

    assert (await client.get(address)).status_code == 404


async def test_it_expires(runtime: Runtime, configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    del runtime  # needed, since it holds the key
    configure("media", signed_url_minutes=15)
    token = token_of(links.sign(7))
    now = time.time()
    assert links.verify(token) == 7
    monkeypatch.setattr("time.time", lambda: now + 15 * 60 - 2)
    assert links.verify(token) == 7
    monkeypatch.setattr("time.time", lambda: now + 15 * 60 + 1)
    assert links.verify(token) is None


async def test_no_other_token_opens_anything(tenant: httpx.AsyncClient, client: httpx.AsyncClient) -> None:
    made = await upload(tenant, jpeg(b"forged"))
    token = token_of(links.sign(made["id"]))
    media_id, expires, signature = token.split(".")
    forged = [
        f"{int(media_id) + 1}.{expires}.{signature}",
        f"{media_id}.{int(expires) + 1}.{signature}",
        f"{media_id}.{expires}.{'A' * 43}",
        f"{media_id}.{expires}.{signature[:-1]}",
        f"{media_id}.{expires}.{signature}=",
        f"0{token}",
        f"{media_id}.{expires}.",
        media_id,
        "%2e%2e%2f%2e%2e",
        "x" * 9_000,
    ]
    answers = [await client.get(f"/api/media/files/{one}") for one in forged]

    assert [answer.status_code for answer in answers] == [404] * len(forged)
    assert (await client.get(f"/api/media/files/{token}")).status_code == 200


async def test_another_installations_token_is_worth_nothing(runtime: Runtime) -> None:
    token = token_of(links.sign(7))
    before = runtime.secret_key
    runtime.secret_key = bytes(32)
    try:
        assert links.verify(token) is None
    finally:
        runtime.secret_key = before
    assert links.verify(token) == 7
