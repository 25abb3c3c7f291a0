"""Where files are kept: a folder under the data folder, or an S3-compatible bucket; nobody but us makes their keys.

A key is written once and never again, so that what is read under it can be kept in memory.
"""

import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

import obstore
import structlog
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, S3Store

from core.config import MediaConfig
from core.errors import NotReadyError, OperatorError
from core.runtime import config

FOLDER = "media"
PART_BYTES = 2**18
PARTS_AT_ONCE = 3
"""Of 5 MiB each, of a large file on its way into the store."""
RETRIES = 2
RETRY_SECONDS = 10
TIMEOUT_SECONDS = 60

if TYPE_CHECKING:
    # These exist for type checkers alone.
    from obstore import GetResult
    from obstore.store import S3Config

_log = structlog.get_logger(__name__)


class StoreDownError(NotReadyError):
    """The store cannot be reached or refuses us; what was asked may work later."""

    code = "media_store_down"

    def __init__(self) -> None:
        super().__init__("The place where media files are kept does not answer.")


class MissingFileError(Exception):
    """The store answers, and has no such file."""


class StoredFile:
    """A file that was found: its ``size`` in bytes, and its content as it comes."""

    def __init__(self, found: "GetResult") -> None:
        self.size: int = found.meta["size"]
        self._found = found

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield the content in parts of some hundred KiB."""
        async for part in self._found.stream(min_chunk_size=PART_BYTES):
            yield bytes(part)


async def put(path: str, file: IO[bytes]) -> None:
    """Keep a whole file under a new key.

    Raises:
        StoreDownError: It could not be kept.
    """
    file.seek(0)
    try:
        await obstore.put_async(_store(), path, file, max_concurrency=PARTS_AT_ONCE)
    except (BaseError, OSError, ValueError) as error:
        raise _down("put", error) from None


async def open_file(path: str) -> StoredFile:
    """Find a file.

    Raises:
        MissingFileError: There is none.
        StoreDownError: Nobody can say.
    """
    try:
        return StoredFile(await obstore.get_async(_store(), path))
    except FileNotFoundError:
        raise MissingFileError(path) from None
    except (BaseError, OSError, ValueError) as error:
        raise _down("get", error) from None


async def read(path: str) -> bytes:
    """Return a file's whole content; raises what ``open_file`` does."""
    found = await open_file(path)
    try:
        return b"".join([part async for part in found.parts()])
    except (BaseError, OSError) as error:
        raise _down("read", error) from None


async def ensure_there(path: str) -> None:
    """Raise what ``open_file`` does, without reading."""
    try:
        await obstore.head_async(_store(), path)
    except FileNotFoundError:
        raise MissingFileError(path) from None
    except (BaseError, OSError, ValueError) as error:
        raise _down("head", error) from None


async def remove(path: str) -> None:
    """Delete a file; one that is not there is none the less gone."""
    try:
        await obstore.delete_async(_store(), path)
    except FileNotFoundError:
        return
    except (BaseError, OSError, ValueError) as error:
        raise _down("delete", error) from None


async def try_out(wanted: MediaConfig, data: Path) -> str:
    """Keep, read and remove a small file, and return where; for ``recado check``, which has no running process.

    Raises:
        OperatorError: One of it failed.
    """
    place = f"the bucket {wanted.bucket}" if wanted.store == "s3" else f"the folder {data / FOLDER}"
    path = f"check/{secrets.token_hex(8)}"
    try:
        opened = _open(wanted, data)
        await obstore.put_async(opened, path, b"check")
        found = await (await obstore.get_async(opened, path)).bytes_async()
        await obstore.delete_async(opened, path)
    except (BaseError, OSError, ValueError) as error:
        raise OperatorError(f"{place} cannot be used ({type(error).__name__}): see [media]") from None
    if bytes(found) != b"check":
        raise OperatorError(f"{place} does not give back what it was given: see [media]")
    return f"kept in {place}"


def _down(doing: str, error: Exception) -> StoreDownError:
    # The text of the error names addresses and buckets; its kind is enough to know where to look.
    _log.warning("media_store_failed", doing=doing, error=type(error).__name__)
    return StoreDownError()


def _store() -> ObjectStore:
    present = config()
    return _open(present.media, present.data_folder)


@lru_cache(maxsize=4)
def _open(wanted: MediaConfig, data: Path) -> ObjectStore:
    if wanted.store == "folder":
        folder = data / FOLDER
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return LocalStore(folder, automatic_cleanup=False)
    return S3Store(
        wanted.bucket,
        config=_s3_config(wanted),
        client_options={
            "allow_http": wanted.endpoint.startswith("http://"),
            "timeout": timedelta(seconds=TIMEOUT_SECONDS),
            "connect_timeout": timedelta(seconds=RETRY_SECONDS),
        },
        retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_SECONDS)},
    )


def _s3_config(wanted: MediaConfig) -> "S3Config":
    found: S3Config = {"region": wanted.region}
    if wanted.endpoint:
        found["endpoint"] = wanted.endpoint
    if wanted.access_key is not None and wanted.secret_key is not None:
        found["access_key_id"] = wanted.access_key.reveal()
        found["secret_access_key"] = wanted.secret_key.reveal()
    return found
