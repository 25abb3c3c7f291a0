import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from litestar import Litestar, Request, get
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect, Response, Stream

from core import database
from core.media.receiving import MEBIBYTE
from core.runtime import Runtime
from tests.conftest import Serve
from tests.core.media.conftest import Configure
from tests.core.media.files import HTML, JPEG, SVG, do_jobs
from tests.factories import Member

HttpRequest = Request[Any, Any, Any]
CONTENTS = {"photo": JPEG, "page": HTML, "drawing": SVG, "large": JPEG + bytes(2 * MEBIBYTE)}
refusals = 0


@get("/{name:str}/{as_what:str}")
async def _file(request: HttpRequest, name: FromPath[str], as_what: FromPath[str]) -> Response[bytes]:
    """Whatever is asked for under whatever name; the header lies."""
    del request, as_what
    return Response(CONTENTS[name], media_type="image/jpeg")


@get("/untold.jpg")
async def _untold(request: HttpRequest) -> Stream:
    """It does not say how long it is."""
    del request

    async def parts() -> AsyncIterator[bytes]:
        yield JPEG
        for _ in range(64):
            yield bytes(2**16)

    return Stream(parts(), media_type="image/jpeg")


@get("/away.jpg")
async def _away(request: HttpRequest, to: FromQuery[str]) -> Redirect:
    del request
    return Redirect(to)


@get("/flaky.jpg")
async def _flaky(request: HttpRequest) -> Response[bytes]:
    """Fails twice, then answers."""
    global refusals  # noqa: PLW0603 - one test counts
    del request
    refusals += 1
    return Response(b"", status_code=503) if refusals < 3 else Response(JPEG + b"flaky", media_type="image/jpeg")


@get("/gone.jpg")
async def _gone(request: HttpRequest) -> Response[bytes]:
    global refusals  # noqa: PLW0603 - one test counts
    del request
    refusals += 1
    return Response(b"", status_code=404)


@pytest.fixture
async def web(serve: Serve, configure: Configure, monkeypatch: pytest.MonkeyPatch) -> str:
    """A web server on loopback, which is allowed for once."""
    global refusals  # noqa: PLW0603 - one test counts
    refusals = 0
    monkeypatch.setattr("core.media.fetching.PAUSES", (0.01, 0.01))
    configure("outbound", allowed_networks=("127.0.0.0/8",))
    return await serve(Litestar([_file, _untold, _away, _flaky, _gone], openapi_config=None))


async def fetch(client: httpx.AsyncClient, url: str, **fields: str) -> dict[str, Any]:
    """Have an address fetched, and return what is told afterwards."""
    answer = await client.post("/api/media/fetch", json={"url": url, **fields})
    assert answer.status_code == 202, answer.text
    await do_jobs("media.fetch")
    found: dict[str, Any] = (await client.get(f"/api/media/{answer.json()['data']['id']}")).json()["data"]
    return found


async def test_a_file_is_fetched_and_kept(tenant: httpx.AsyncClient, web: str) -> None:
    found = await fetch(tenant, f"{web}/photo/Oferta%20boa.png?size=large")

    assert (found["state"], found["kind"], found["content_type"]) == ("ready", 2, "image/jpeg")
    assert (found["filename"], found["size"]) == ("Oferta boa.png.jpg", len(JPEG))
    assert (await tenant.get(f"/api/media/{found['id']}/content")).content == JPEG


async def test_its_name_may_be_given(tenant: httpx.AsyncClient, web: str) -> None:
    found = await fetch(tenant, f"{web}/photo/x", filename="../Offer.jpg")
    assert found["filename"] == "Offer.jpg"


@pytest.mark.parametrize("name", ["page", "drawing"])
async def test_pages_and_drawings_are_refused_whatever_they_are_called(
    tenant: httpx.AsyncClient, web: str, name: str
) -> None:
    found = await fetch(tenant, f"{web}/{name}/photo.jpg")
    assert (found["state"], found["reason"], found["kind"]) == ("failed", "type_not_accepted", None)


@pytest.mark.parametrize("path", ["large/photo.jpg", "untold.jpg"])
async def test_a_download_ends_at_the_limit(
    tenant: httpx.AsyncClient, web: str, configure: Configure, path: str
) -> None:
    configure("media", image_megabytes=1)
    found = await fetch(tenant, f"{web}/{path}")
    assert (found["state"], found["reason"], found["size"]) == ("failed", "too_large", 0)


async def test_a_failing_host_is_asked_again(tenant: httpx.AsyncClient, web: str) -> None:
    found = await fetch(tenant, f"{web}/flaky.jpg")
    assert (found["state"], refusals) == ("ready", 3)


async def test_a_refusal_is_final(tenant: httpx.AsyncClient, web: str) -> None:
    found = await fetch(tenant, f"{web}/gone.jpg")
    assert (found["state"], found["reason"], refusals) == ("failed", "refused", 1)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("gone.jpg", "O arquivo não pôde ser baixado: o servidor respondeu 404."),
        ("large/photo.jpg", "O arquivo é grande demais: um deste tipo pode ter no máximo 1 MiB."),
    ],
)
async def test_the_job_says_why_in_the_language_of_the_account(
    tenant: httpx.AsyncClient, user: Member, web: str, configure: Configure, path: str, told: str
) -> None:
    configure("media", image_megabytes=1)
    await database.execute("UPDATE users SET locale = 'pt-BR' WHERE id = $1", user.id)
    await fetch(tenant, f"{web}/{path}")
    job = (await tenant.get("/api/jobs?kind=media.fetch")).json()["data"][0]
    assert (job["status"], job["error"]) == ("failed", told)


@pytest.mark.parametrize("to", ["http://[::1]:1/", "http://10.0.0.1/", "http://169.254.169.254/", "http://0x7f000001/"])
async def test_a_redirect_into_a_closed_network_is_not_followed(tenant: httpx.AsyncClient, web: str, to: str) -> None:
    """Only 127.0.0.0/8 is allowed here; the second spelling of it is refused with the rest."""
    found = await fetch(tenant, f"{web}/away.jpg?to={to}")
    assert (found["state"], found["reason"]) == ("failed", "forbidden_address")


async def test_a_name_that_leads_elsewhere_by_the_time_of_the_download(
    tenant: httpx.AsyncClient, web: str, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: public when it was checked, loopback when it is connected."""
    configure("outbound", allowed_networks=())
    told: list[tuple[Any, ...]] = [("93.184.216.34", 80), ("127.0.0.1", int(web.rpartition(":")[2]))]
    resolve = socket.getaddrinfo

    def rebind(host: str, *args: Any, **more: Any) -> list[Any]:
        if host != "rebind.example":
            return list(resolve(host, *args, **more))
        place = told.pop(0) if len(told) > 1 else told[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place)]

    monkeypatch.setattr(socket, "getaddrinfo", rebind)
    found = await fetch(tenant, "http://rebind.example/photo/a.jpg")

    assert (found["state"], found["reason"]) == ("failed", "forbidden_address")


async def test_a_file_deleted_while_it_is_fetched_leaves_nothing(
    tenant: httpx.AsyncClient, web: str, user: Member, runtime: Runtime
) -> None:
    answer = await tenant.post("/api/media/fetch", json={"url": f"{web}/photo/a.jpg"})
    media_id = answer.json()["data"]["id"]
    await tenant.delete(f"/api/media/{media_id}")
    await do_jobs("media.fetch")

    row = await database.fetch_row("SELECT state, path FROM media WHERE id = $1", media_id)
    assert row is not None
    assert (row["state"], row["path"]) == ("fetching", "")
    folder = runtime.config.data_folder / "media" / str(user.id)
    assert not folder.exists() or list(folder.iterdir()) == []


async def test_doing_the_job_again_changes_nothing(tenant: httpx.AsyncClient, web: str) -> None:
    found = await fetch(tenant, f"{web}/photo/a.jpg")
    await database.execute(
        "UPDATE jobs SET status = 'waiting' WHERE kind = 'media.fetch' AND subject_id = $1", found["id"]
    )
    await do_jobs("media.fetch")

    assert (await tenant.get(f"/api/media/{found['id']}")).json()["data"] == found


@get("/slow.jpg")
async def _slow(request: HttpRequest) -> Stream:
    """Trickles."""
    del request

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield JPEG
            await asyncio.sleep(0.1)

    return Stream(parts(), media_type="image/jpeg")


async def test_a_host_that_trickles_is_left_after_a_while_and_not_asked_again(
    tenant: httpx.AsyncClient, serve: Serve, configure: Configure
) -> None:
    configure("outbound", allowed_networks=("127.0.0.0/8",))
    configure("media", fetch_seconds=0.3)
    url = await serve(Litestar([_slow], openapi_config=None))
    began = asyncio.get_running_loop().time()
    found = await fetch(tenant, f"{url}/slow.jpg")

    assert (found["state"], found["reason"]) == ("failed", "timeout")
    assert asyncio.get_running_loop().time() - began < 5


async def test_slow_downloads_leave_places_for_other_jobs(
    tenant: httpx.AsyncClient, web: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.media.fetching._out", {-1, -2})
    answer = await tenant.post("/api/media/fetch", json={"url": f"{web}/photo/a.jpg"})
    assert await do_jobs("media.fetch") == ["waiting"]
    monkeypatch.setattr("core.media.fetching._out", {-1})
    assert await do_jobs("media.fetch") == ["done"]
    assert (await tenant.get(f"/api/media/{answer.json()['data']['id']}")).json()["data"]["state"] == "ready"


async def test_one_account_has_so_many_fetched_at_a_time(tenant: httpx.AsyncClient, user: Member) -> None:
    await database.execute(
        "INSERT INTO media (user_id, filename, source_url)"
        " SELECT $1, 'a', 'https://example.com' FROM generate_series(1, 20)",
        user.id,
    )
    answer = await tenant.post("/api/media/fetch", json={"url": "https://93.184.216.34/a.jpg"})
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_fetches")
