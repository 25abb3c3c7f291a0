"""Files of messages: in the request as base64 or a form's part, or fetched from an address before anything is sent."""

import base64
import binascii
import hashlib
import io
from typing import Any

import httpx
from multipart import MultipartError, MultipartParser, parse_options_header

from plugins.evolution.simulator.http import Refused, Request, error_reply
from plugins.evolution.simulator.state import SentFile

FETCH_SECONDS = 30.0
_PART = "file"


def fields_of(request: Request) -> tuple[dict[str, Any], bytes | None]:
    """Return the fields of a send, and the part ``file`` where the body is a multipart form."""
    kind, parameters = parse_options_header(request.headers.get("content-type", ""))
    if kind != "multipart/form-data":
        return request.fields(), None
    fields: dict[str, Any] = {}
    content = None
    try:
        for part in MultipartParser(io.BytesIO(request.body), parameters.get("boundary", "")).parts():
            if part.name == _PART:
                content = part.raw
                fields |= {"media": "", "fileName": part.filename or "", "mimetype": part.content_type or ""} | fields
            else:
                fields[part.name] = part.value
    except MultipartError as error:
        raise Refused(error_reply(500, str(error))) from None
    return fields, content


async def receive_file(given: object, content: bytes | None, mimetype: str, filename: str) -> SentFile:
    """Return the file of a send.

    Raises:
        Refused: It is neither an address nor base64: 400; its address gave nothing: 500.
    """
    if content is None and isinstance(given, str):
        content = await _fetch(given) if given.startswith(("http://", "https://")) else _decode(given)
    if not content:
        raise Refused(error_reply(400, ["Owned media must be a url or base64"]))
    return SentFile(mimetype, filename, len(content), hashlib.sha256(content).hexdigest())


async def _fetch(url: str) -> bytes:
    try:
        async with httpx.AsyncClient(timeout=FETCH_SECONDS, follow_redirects=True) as client:
            answer = await client.get(url)
            answer.raise_for_status()
    except httpx.HTTPStatusError as error:
        text = f"AxiosError: Request failed with status code {error.response.status_code}"
        raise Refused(error_reply(500, [text])) from None
    except httpx.TimeoutException:
        raise Refused(error_reply(500, ["AxiosError: timeout exceeded"])) from None
    except (httpx.HTTPError, httpx.InvalidURL):
        raise Refused(error_reply(500, [f"AxiosError: connect ECONNREFUSED {url}"])) from None
    return answer.content


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
