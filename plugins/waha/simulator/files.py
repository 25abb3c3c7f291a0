"""Files of messages: taken from the request, or fetched from ``file.url`` as WAHA does, before anything is sent."""

import base64
import binascii
import hashlib
import socket
from typing import Any

import httpx

from plugins.waha.simulator.http import Refused, Request, bad_request
from plugins.waha.simulator.state import SentFile

FETCH_SECONDS = 30.0


class FetchFailed(Exception):  # noqa: N818 - carries an answer, is no error of the simulator
    """``exception`` is what Node says."""

    def __init__(self, exception: dict[str, object]) -> None:
        super().__init__(exception["message"])
        self.exception = exception


async def receive_file(request: Request) -> SentFile:
    """Return the file of a request.

    Raises:
        Refused: There is no proper file in it: 400.
        FetchFailed: Its address gave nothing.
    """
    file = request.fields().get("file")
    if not isinstance(file, dict):
        raise Refused(bad_request("file should not be null or undefined"))
    url, data = file.get("url"), file.get("data")
    if isinstance(url, str) and url:
        content = await _fetch(url)
    elif isinstance(data, str):
        content = _decode(data)
    else:
        raise Refused(bad_request("file.url or file.data must be a string"))
    return SentFile(
        mimetype=_text(file, "mimetype"),
        filename=_text(file, "filename"),
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


async def _fetch(url: str) -> bytes:
    try:
        async with httpx.AsyncClient(timeout=FETCH_SECONDS, follow_redirects=True) as client:
            answer = await client.get(url)
            answer.raise_for_status()
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        code = "ERR_BAD_REQUEST" if error.response.is_client_error else "ERR_BAD_RESPONSE"
        message = f"Request failed with status code {status}"
        raise FetchFailed({"message": message, "name": "AxiosError", "code": code}) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise FetchFailed(_node_error(error, url)) from None
    return answer.content


def _node_error(error: Exception, url: str) -> dict[str, object]:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, socket.gaierror):
        cause = cause.__cause__ or cause.__context__
    host = httpx.URL(url).host if not isinstance(error, httpx.InvalidURL) else url
    if cause is not None:
        return {"message": f"getaddrinfo ENOTFOUND {host}", "name": "Error", "code": "ENOTFOUND"}
    if isinstance(error, httpx.TimeoutException):
        return {"message": "timeout exceeded", "name": "AxiosError", "code": "ECONNABORTED"}
    return {"message": f"connect ECONNREFUSED {host}", "name": "AggregateError", "code": "ECONNREFUSED"}


def _decode(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(bad_request("file.data must be base64 without a prefix")) from None


def _text(file: dict[str, Any], name: str) -> str:
    value = file.get(name)
    return value if isinstance(value, str) else ""
