import io
from pathlib import Path

import httpx
import msgspec
import pytest

from core import database
from core.config import MediaConfig
from core.errors import OperatorError
from core.media import store
from core.media.receiving import MEBIBYTE
from core.media.store import MissingFileError, StoreDownError
from core.plugin.secret import Secret
from core.runtime import Runtime
from tests.conftest import Serve
from tests.core.media.conftest import Configure
from tests.core.media.files import JPEG, PDF, do_jobs, post_file, upload
from tests.core.media.s3 import ACCESS_KEY, BUCKET, REGION, S3, SECRET_KEY


@pytest.fixture
async def s3(serve: Serve, configure: Configure) -> S3:
    """Files are kept in a bucket of a service that checks signatures."""
    service = S3()
    configure("media", **bucket_at(await serve(service)))
    return service


def bucket_at(endpoint: str, secret_key: str = SECRET_KEY) -> dict[str, object]:
    return {
        "store": "s3",
        "bucket": BUCKET,
        "endpoint": endpoint,
        "region": REGION,
        "access_key": Secret(ACCESS_KEY),
        "secret_key": Secret(secret_key),
    }


class TestFolder:
    async def test_whoever_else_uses_the_machine_sees_nothing(self, runtime: Runtime) -> None:
        await store.put("store-tests/mode", io.BytesIO(PDF))
        assert (runtime.config.data_folder / "media").stat().st_mode & 0o777 == 0o700

    async def test_what_is_kept_is_read_again(self, runtime: Runtime) -> None:
        del runtime  # needed, since it knows the folder
        await store.put("store-tests/kept", io.BytesIO(PDF))
        assert await store.read("store-tests/kept") == PDF
        assert (await store.open_file("store-tests/kept")).size == len(PDF)

    async def test_what_is_removed_is_gone(self, runtime: Runtime) -> None:
        del runtime  # needed, since it knows the folder
        await store.put("store-tests/gone", io.BytesIO(PDF))
        await store.remove("store-tests/gone")
        await store.remove("store-tests/gone")
        with pytest.raises(MissingFileError):
            await store.read("store-tests/gone")
        with pytest.raises(MissingFileError):
            await store.ensure_there("store-tests/gone")

    async def test_a_folder_that_cannot_be_written_to(self, tenant: httpx.AsyncClient, runtime: Runtime) -> None:
        """A file stands where the tenant's folder should."""
        row = await database.fetch_row("SELECT id FROM users ORDER BY id DESC LIMIT 1")
        assert row is not None
        blocked = runtime.config.data_folder / "media" / str(row["id"])
        blocked.parent.mkdir(exist_ok=True)
        blocked.write_bytes(b"")
        answer = await post_file(tenant, JPEG + b"blocked")

        assert (answer.status_code, answer.json()["code"]) == (503, "media_store_down")
        assert (await tenant.get("/api/media")).json()["data"] == []


class TestBucket:
    async def test_a_file_goes_there_and_back(self, tenant: httpx.AsyncClient, s3: S3) -> None:
        made = await upload(tenant, JPEG + b"s3")
        path = await database.fetch_value("SELECT path FROM media WHERE id = $1", made["id"])

        assert s3.objects == {path: JPEG + b"s3"}
        assert (await tenant.get(f"/api/media/{made['id']}/content")).content == JPEG + b"s3"

    async def test_a_large_file_goes_in_parts(self, tenant: httpx.AsyncClient, s3: S3) -> None:
        content = PDF + bytes(range(256)) * 4096 * 12
        made = await upload(tenant, content, "a.pdf")

        assert list(s3.objects.values()) == [content]
        assert sorted(s3.calls) == ["POST uploadId", "POST uploads", *["PUT partNumber&uploadId"] * 3]
        assert len(content) > 12 * MEBIBYTE
        assert (await tenant.get(f"/api/media/{made['id']}/content")).content == content

    async def test_a_deleted_file_leaves_it(self, tenant: httpx.AsyncClient, s3: S3) -> None:
        made = await upload(tenant, JPEG + b"leaves")
        await tenant.delete(f"/api/media/{made['id']}")

        assert set(await do_jobs("media.purge")) == {"done"}
        assert s3.objects == {}

    async def test_an_object_that_is_missing(self, tenant: httpx.AsyncClient, s3: S3) -> None:
        made = await upload(tenant, JPEG + b"missing")
        s3.objects.clear()

        assert (await tenant.get(f"/api/media/{made['id']}/content")).status_code == 404
        with pytest.raises(MissingFileError):
            await store.ensure_there("store-tests/none")

    async def test_a_wrong_key_is_told_without_a_word_of_it(
        self, tenant: httpx.AsyncClient, serve: Serve, configure: Configure
    ) -> None:
        configure("media", **bucket_at(await serve(S3()), secret_key="not-the-key-of-this-service"))
        answer = await post_file(tenant, JPEG)

        assert (answer.status_code, answer.json()["code"]) == (503, "media_store_down")
        assert "not-the-key" not in answer.text
        assert BUCKET not in answer.text

    async def test_a_service_in_trouble(self, tenant: httpx.AsyncClient, s3: S3) -> None:
        made = await upload(tenant, JPEG + b"trouble")
        s3.status = 503

        answer = await tenant.get(f"/api/media/{made['id']}/content")
        assert (answer.status_code, answer.json()["code"]) == (503, "media_store_down")
        with pytest.raises(StoreDownError):
            await store.remove("store-tests/none")

    async def test_nobody_there(self, tenant: httpx.AsyncClient, configure: Configure) -> None:
        configure("media", **bucket_at("http://127.0.0.1:9"))
        answer = await post_file(tenant, JPEG + b"nobody")

        assert (answer.status_code, answer.json()["code"]) == (503, "media_store_down")


class TestTryOut:
    async def test_a_folder(self, runtime: Runtime) -> None:
        data = runtime.config.data_folder
        assert await store.try_out(MediaConfig(), data) == f"kept in the folder {data / 'media'}"
        assert list((data / "media" / "check").iterdir()) == []

    async def test_a_bucket(self, serve: Serve, runtime: Runtime) -> None:
        service = S3()
        wanted = msgspec.structs.replace(MediaConfig(), **bucket_at(await serve(service)))
        assert await store.try_out(wanted, runtime.config.data_folder) == f"kept in the bucket {BUCKET}"
        assert service.objects == {}

    async def test_a_bucket_that_refuses_us(self, serve: Serve, runtime: Runtime) -> None:
        wanted = msgspec.structs.replace(
            MediaConfig(), **bucket_at(await serve(S3()), secret_key="wrong-key-of-the-test")
        )
        with pytest.raises(OperatorError) as caught:
            await store.try_out(wanted, runtime.config.data_folder)
        assert str(caught.value) == f"the bucket {BUCKET} cannot be used (PermissionDeniedError): see [media]"

    async def test_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "media").write_bytes(b"")
        with pytest.raises(OperatorError, match="cannot be used"):
            await store.try_out(MediaConfig(), tmp_path)
