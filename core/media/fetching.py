"""Jobs: downloading a file from a tenant's address, and removing the content of deleted ones."""

import asyncio
from collections.abc import Mapping
from typing import Any

from core import database, outbound
from core.errors import TooLargeError
from core.jobs.services import JobContext, JobFailedError, JobInterruptedError, job_handler
from core.media import kinds, services, store
from core.media.receiving import Received, incoming, largest, too_large
from core.outbound import OutboundError
from core.runtime import config, runtime
from core.texts import text

AT_ONCE = 2
"""Downloads of one process: slow hosts must not take the places of all other jobs."""
PAUSES = (1.0, 5.0)
"""Seconds before another try of what may pass."""
OK = 200
SERVER_ERRORS = 500
TIMEOUT = "timeout"
"""The one temporary failure that is not tried again: it took long enough."""


_out: set[int] = set()


@job_handler(services.FETCH)
async def fetch(context: JobContext) -> Mapping[str, Any]:
    """Download the file of a media row; the row says at the end whether it is there, or why not."""
    if len(_out) >= AT_ONCE:
        # Back into the line: the sweep hints at it again soon, and perhaps to another process.
        raise JobInterruptedError
    _out.add(context.id)
    try:
        return await _fetch(context.subject_id)
    finally:
        _out.discard(context.id)


async def _fetch(media_id: int) -> Mapping[str, Any]:
    url = await database.fetch_value(
        "SELECT source_url FROM media WHERE id = $1 AND state = 'fetching' AND deleted_at IS NULL", media_id
    )
    if not isinstance(url, str):
        return {}
    refusal: Exception
    for pause in (*PAUSES, None):
        try:
            await _download(media_id, url)
        except OutboundError as error:
            if error.temporary and error.code != TIMEOUT and pause is not None:
                await asyncio.sleep(pause)
                continue
            reason, refusal = error.code, JobFailedError(text("file_not_fetched", reason=error.args[0]))
        except TooLargeError as error:
            reason, refusal = "too_large", error
        except kinds.UnknownFileError:
            reason, refusal = "type_not_accepted", JobFailedError(text("file_of_no_kind", accepted=kinds.ACCEPTED))
        except store.StoreDownError as error:
            if pause is not None:
                await asyncio.sleep(pause)
                continue
            reason, refusal = error.code, error
        else:
            return {"media_id": media_id}
        await services.fail_fetch(media_id, reason)
        raise refusal
    raise AssertionError("the last try ends the loop")


@job_handler(services.PURGE)
async def purge(context: JobContext) -> None:
    """Remove content that no row points at any more; nobody can begin to, since deleted rows are not copied."""
    path = str(context.params["path"])
    if not await services.is_shared(path):
        await store.remove(path)


async def _download(media_id: int, url: str) -> Received:
    present = config().media
    with incoming() as arriving:
        async with outbound.get(url, seconds=present.fetch_seconds) as response:
            if response.status != OK:
                temporary = response.status >= SERVER_ERRORS
                raise OutboundError("refused", text("outbound_answered", status=response.status), temporary=temporary)
            announced = response.headers.get("Content-Length", "")
            if announced.isdecimal() and int(announced) > largest(present):
                raise too_large(largest(present))
            async for part in response.body():
                if runtime().stopping.is_set():
                    raise JobInterruptedError
                arriving.write(part)
        received = await arriving.finish()
        await services.complete_fetch(media_id, arriving.file, received)
        return received
