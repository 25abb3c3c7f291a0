import asyncio
import hashlib
import socket
from urllib.parse import urlsplit

import httpx
import pytest
from litestar import Litestar

from core import database
from core.media.receiving import MEBIBYTE
from core.runtime import Runtime
from tests.conftest import Serve
from tests.core.campaigns.making import give_plan, insert
from tests.core.media.conftest import Configure
from tests.core.media.files import HTML, JPEG, MP4, PDF, SVG, VOICE, do_jobs, jpeg, post_file, upload
from tests.factories import Member


def named(answer: httpx.Response) -> str:
    return str(answer.headers["content-disposition"])


class TestUpload:
    @pytest.mark.parametrize(
        ("content", "kind", "content_type", "filename"),
        [
            (JPEG, 2, "image/jpeg", "a.jpg"),
            (VOICE, 3, "audio/ogg; codecs=opus", "a.exe.ogg"),
            (PDF, 4, "application/pdf", "a.pdf"),
            (MP4, 5, "video/mp4", "a.mp4"),
        ],
        ids=["image", "voice", "document", "video"],
    )
    async def test_type_is_found_in_the_content(
        self, tenant: httpx.AsyncClient, content: bytes, kind: int, content_type: str, filename: str
    ) -> None:
        found = await upload(tenant, content, "a.exe" if kind == 3 else filename)

        assert (found["kind"], found["content_type"], found["filename"]) == (kind, content_type, filename)
        assert (found["size"], found["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        assert (found["state"], found["reason"], found["source_url"]) == ("ready", "", None)

    @pytest.mark.parametrize(
        "content", [SVG, HTML, b"MZ" + bytes(500), b"#!/bin/sh\necho\n", b"", b"\x7fELF" + bytes(99)]
    )
    async def test_what_cannot_be_sent_is_refused_whatever_its_name(
        self, tenant: httpx.AsyncClient, content: bytes
    ) -> None:
        answer = await post_file(tenant, content, "photo.jpg")

        assert (answer.status_code, list(answer.json()["errors"])) == (422, ["file"])
        assert answer.json()["errors"]["file"][0].startswith("Is no file that can be sent: JPEG, PNG")

    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            ("../../etc/passwd", "passwd.jpg"),
            ("C:\\Users\\ana\\foto.JPEG", "foto.jpeg"),
            ("a\r\nSet-Cookie: x=1.jpg", "a Set-Cookie_ x=1.jpg"),
            ("gpj.\u202eexe.jpg", "gpj. exe.jpg"),
            ("..", "file.jpg"),
            ("Promoção de verão.jpg", "Promoção de verão.jpg"),
            ("x" * 500 + ".jpg", "x" * 148 + ".jpg"),
            ("page.html", "page.html.jpg"),
        ],
    )
    async def test_names_are_harmless(self, tenant: httpx.AsyncClient, given: str, kept: str) -> None:
        answer = await tenant.post("/api/media", files={"file": ("x", jpeg(given.encode()))}, data={"filename": given})

        assert answer.json()["data"]["filename"] == kept
        download = await tenant.get(f"/api/media/{answer.json()['data']['id']}/content")
        assert download.status_code == 200
        assert "set-cookie" not in download.headers

    async def test_the_same_content_is_kept_once(self, tenant: httpx.AsyncClient, user: Member) -> None:
        first = await upload(tenant, jpeg(b"twice"), "one.jpg")
        again = await upload(tenant, jpeg(b"twice"), "one.jpg")
        renamed = await upload(tenant, jpeg(b"twice"), "two.jpg")

        assert again["id"] == first["id"]
        assert renamed["id"] != first["id"]
        paths = await database.fetch("SELECT DISTINCT path FROM media WHERE user_id = $1", user.id)
        assert len(paths) == 1

    async def test_another_tenants_content_is_not_shared(
        self, tenant: httpx.AsyncClient, stranger: httpx.AsyncClient, user: Member, other_user: Member
    ) -> None:
        await give_plan(other_user.id, medias=True)
        await upload(tenant, jpeg(b"both"))
        await upload(stranger, jpeg(b"both"))

        paths = await database.fetch("SELECT path FROM media WHERE user_id IN ($1, $2)", user.id, other_user.id)
        assert len({row["path"] for row in paths}) == 2

    async def test_the_plan_must_include_files(self, stranger: httpx.AsyncClient, other_user: Member) -> None:
        await give_plan(other_user.id, medias=False)
        uploaded = await post_file(stranger, JPEG)
        fetched = await stranger.post("/api/media/fetch", json={"url": "https://example.com/a.jpg"})

        assert [(answer.status_code, answer.json()["code"]) for answer in (uploaded, fetched)] == [
            (402, "plan_feature"),
            (402, "plan_feature"),
        ]

    async def test_a_form_without_the_file(self, tenant: httpx.AsyncClient) -> None:
        answer = await tenant.post("/api/media", files={"filename": (None, "a.jpg")})
        assert answer.json()["errors"] == {"file": ["This field is required."]}

    async def test_a_form_with_other_fields(self, tenant: httpx.AsyncClient) -> None:
        answer = await tenant.post("/api/media", files={"image": ("a.jpg", JPEG)})
        assert answer.json()["errors"] == {"image": ["This field is not known."]}

    async def test_a_form_with_two_files(self, tenant: httpx.AsyncClient) -> None:
        answer = await tenant.post("/api/media", files=[("file", ("a.jpg", JPEG)), ("file", ("b.jpg", JPEG))])
        assert answer.json()["errors"] == {"file": ["Must have at most 1 entry."]}

    @pytest.mark.parametrize(
        ("content_type", "body", "status"),
        [
            ("application/json", b"{}", 415),
            ("", b"", 415),
            ("multipart/form-data", b"--x--", 400),
            ("multipart/form-data; boundary=x", b"", 400),
            ("multipart/form-data; boundary=x", b"nothing of the kind", 400),
            ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="\xff"\r\n\r\n', 400),
            ("multipart/form-data; boundary=x; boundary=" + "y" * 3000, b"--x--", 400),
            ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nhalf', 400),
        ],
    )
    async def test_what_is_no_form(
        self, tenant: httpx.AsyncClient, content_type: str, body: bytes, status: int
    ) -> None:
        answer = await tenant.post("/api/media", content=body, headers={"Content-Type": content_type})
        assert answer.status_code == status


class TestSizes:
    async def test_too_large_for_its_kind(self, tenant: httpx.AsyncClient, configure: Configure) -> None:
        configure("media", image_megabytes=1, document_megabytes=3)
        picture = await post_file(tenant, JPEG + bytes(MEBIBYTE))
        document = await post_file(tenant, PDF + bytes(2 * MEBIBYTE), "a.pdf")

        assert (picture.status_code, picture.json()["code"]) == (413, "media_too_large")
        assert picture.json()["detail"] == "The file is too large: one of its kind may have at most 1 MiB."
        assert document.status_code == 201

    async def test_exactly_as_large_as_allowed(self, tenant: httpx.AsyncClient, configure: Configure) -> None:
        configure("media", image_megabytes=1)
        fits = await post_file(tenant, JPEG + bytes(MEBIBYTE - len(JPEG)))
        over = await post_file(tenant, JPEG + bytes(MEBIBYTE - len(JPEG) + 1))

        assert (fits.status_code, over.status_code) == (201, 413)

    async def test_two_gigabytes_are_refused_before_they_are_sent(
        self, app: Litestar, serve: Serve, user: Member
    ) -> None:
        answer = await _begin(await serve(app), user.token, "Content-Length: 2147483648", b"")
        assert answer.startswith(b"HTTP/1.1 413 ")

    async def test_more_than_announced_is_refused_while_it_is_read(
        self, app: Litestar, serve: Serve, user: Member, configure: Configure
    ) -> None:
        """No length is announced and the form never ends; what tells is the answer that comes all the same."""
        configure("media", image_megabytes=1)
        part = (
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n' + JPEG + bytes(2 * MEBIBYTE)
        )
        chunk = f"{len(part):x}\r\n".encode() + part + b"\r\n"
        answer = await _begin(await serve(app), user.token, "Transfer-Encoding: chunked", chunk)

        assert answer.startswith(b"HTTP/1.1 413 ")

    async def test_nothing_is_left_of_what_was_refused(
        self, tenant: httpx.AsyncClient, configure: Configure, runtime: Runtime, user: Member
    ) -> None:
        configure("media", image_megabytes=1)
        await post_file(tenant, JPEG + bytes(MEBIBYTE))

        folder = runtime.config.data_folder / "media"
        assert not (folder / str(user.id)).exists()
        assert [path for path in folder.iterdir() if path.is_file()] == []


async def _begin(base_url: str, token: str, length: str, body: bytes) -> bytes:
    """Send the beginning of an upload and return the first line of what comes back."""
    place = urlsplit(base_url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    lines = [
        "POST /api/media HTTP/1.1",
        f"Host: {place.netloc}",
        f"Authorization: Bearer {token}",
        "Content-Type: multipart/form-data; boundary=x",
        length,
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    try:
        return await asyncio.wait_for(reader.readline(), 20)
    finally:
        writer.close()


class TestDownload:
    @pytest.mark.parametrize(
        ("content", "content_type"), [(JPEG, "image/jpeg"), (PDF, "application/pdf")], ids=["image", "document"]
    )
    async def test_own_content_is_saved_and_never_shown(
        self, tenant: httpx.AsyncClient, content: bytes, content_type: str
    ) -> None:
        made = await upload(tenant, content, "Promoção.pdf")
        answer = await tenant.get(f"/api/media/{made['id']}/content")

        assert answer.content == content
        assert answer.headers["content-type"] == content_type
        assert answer.headers["content-length"] == str(len(content))
        assert named(answer).startswith("attachment; filename*=UTF-8''Promo%C3%A7%C3%A3o.pdf")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
        assert answer.headers["cache-control"] == "no-store"

    async def test_a_large_file_is_whole(self, tenant: httpx.AsyncClient) -> None:
        content = JPEG + bytes(range(256)) * 12_000
        made = await upload(tenant, content)
        assert (await tenant.get(f"/api/media/{made['id']}/content")).content == content

    async def test_content_that_vanished(self, tenant: httpx.AsyncClient, runtime: Runtime) -> None:
        made = await upload(tenant, jpeg(b"vanishes"))
        path = await database.fetch_value("SELECT path FROM media WHERE id = $1", made["id"])
        (runtime.config.data_folder / "media" / str(path)).unlink()

        assert (await tenant.get(f"/api/media/{made['id']}/content")).status_code == 404


async def test_list(tenant: httpx.AsyncClient) -> None:
    picture = await upload(tenant, jpeg(b"list"), "Listed.jpg")
    paper = await upload(tenant, PDF, "other.pdf")

    async def ids(query: str) -> list[int]:
        return [item["id"] for item in (await tenant.get(f"/api/media?{query}")).json()["data"]]

    assert await ids("") == [paper["id"], picture["id"]]
    assert await ids("kind=2") == [picture["id"]]
    assert await ids("search=LISTED") == [picture["id"]]
    assert await ids("sort=filename") == [picture["id"], paper["id"]]
    assert await ids("state=failed") == []
    assert (await tenant.get("/api/media?state=x")).json()["errors"].keys() == {"state"}


async def test_another_tenants_file_is_not_there(tenant: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    made = await upload(tenant, jpeg(b"mine"))
    place = f"/api/media/{made['id']}"
    answers = [
        await stranger.get(place),
        await stranger.get(f"{place}/content"),
        await stranger.delete(place),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert (await stranger.get("/api/media")).json()["data"] == []
    assert (await tenant.get(place)).status_code == 200


async def test_nobody_is_signed_in(client: httpx.AsyncClient) -> None:
    answers = [await post_file(client, JPEG), await client.get("/api/media"), await client.get("/api/media/1/content")]
    assert [answer.status_code for answer in answers] == [401, 401, 401]


class TestDelete:
    async def test_row_and_content_go(self, tenant: httpx.AsyncClient, runtime: Runtime) -> None:
        made = await upload(tenant, jpeg(b"goes"))
        path = runtime.config.data_folder / "media" / str(await _path(made["id"]))
        assert path.read_bytes() == jpeg(b"goes")

        assert (await tenant.delete(f"/api/media/{made['id']}")).status_code == 204
        await do_jobs("media.purge")

        assert not path.exists()
        assert (await tenant.get(f"/api/media/{made['id']}")).status_code == 404
        assert (await tenant.delete(f"/api/media/{made['id']}")).status_code == 404

    async def test_shared_content_stays_until_the_last_goes(self, tenant: httpx.AsyncClient, runtime: Runtime) -> None:
        first = await upload(tenant, jpeg(b"shared"), "a.jpg")
        second = await upload(tenant, jpeg(b"shared"), "b.jpg")
        path = runtime.config.data_folder / "media" / str(await _path(first["id"]))

        await tenant.delete(f"/api/media/{first['id']}")
        await do_jobs("media.purge")
        assert (await tenant.get(f"/api/media/{second['id']}/content")).content == jpeg(b"shared")
        await tenant.delete(f"/api/media/{second['id']}")
        await do_jobs("media.purge")
        assert not path.exists()

    @pytest.mark.parametrize(
        ("status", "reason", "expected"),
        [
            (1, "draft", 204),
            (1, "scheduled", 409),
            (2, "sending", 409),
            (3, "paused_by_user", 409),
            (4, "completed", 204),
        ],
    )
    async def test_a_file_that_will_be_sent_stays(
        self, tenant: httpx.AsyncClient, user: Member, status: int, reason: str, expected: int
    ) -> None:
        made = await upload(tenant, jpeg(b"used"))
        campaign_id = await insert(
            "campaigns", user_id=user.id, name="Uses it", type=3, status=status, status_reason=reason
        )
        await insert("messages", campaign_id=campaign_id, position=1, type_message=2, media_id=made["id"])

        answer = await tenant.delete(f"/api/media/{made['id']}")

        assert answer.status_code == expected
        if expected == 409:
            assert answer.json()["code"] == "media_in_use"
            assert answer.json()["detail"].startswith(f"Campaign {campaign_id} is going to send this file")


async def _path(media_id: int) -> object:
    return await database.fetch_value("SELECT path FROM media WHERE id = $1", media_id)


@pytest.fixture
def nowhere() -> str:
    """An address at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        return f"http://127.0.0.1:{port}/a.jpg"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/a.jpg",
        "http://localhost/a.jpg",
        "http://[::1]/a.jpg",
        "http://[::ffff:127.0.0.1]/a.jpg",
        "http://169.254.169.254/latest/meta-data",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://10.0.0.1/",
        "http://user@example.com/",
        "ftp://example.com/a.jpg",
        "file:///etc/passwd",
        "nonsense",
    ],
)
async def test_addresses_that_may_not_be_called_are_refused_when_given(tenant: httpx.AsyncClient, url: str) -> None:
    answer = await tenant.post("/api/media/fetch", json={"url": url})
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["url"])


async def test_a_host_that_cannot_be_reached(
    tenant: httpx.AsyncClient, configure: Configure, nowhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure("outbound", allowed_networks=("127.0.0.0/8",))
    monkeypatch.setattr("core.media.fetching.PAUSES", (0.01, 0.01))
    answer = await tenant.post("/api/media/fetch", json={"url": nowhere})
    assert (answer.status_code, answer.json()["data"]["state"]) == (202, "fetching")
    await do_jobs("media.fetch")

    told = (await tenant.get(f"/api/media/{answer.json()['data']['id']}")).json()["data"]
    assert (told["state"], told["reason"], told["source_url"]) == ("failed", "unreachable", nowhere)
