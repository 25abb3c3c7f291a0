"""A small S3 service: it checks every request's signature (AWS Signature Version 4) and keeps objects in memory.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
"""

import hashlib
import hmac
import re
from collections import defaultdict
from urllib.parse import parse_qsl, quote, unquote

from litestar.enums import ScopeType
from litestar.types import Receive, Scope, Send

ACCESS_KEY = "AKIAEXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
BUCKET = "recado-media"
REGION = "sa-east-1"
DATE = "Wed, 25 Nov 2026 12:00:00 GMT"
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<scope>[^,]+), ?SignedHeaders=(?P<signed>[^,]+),"
    r" ?Signature=(?P<signature>[0-9a-f]{64})"
)

Answer = tuple[int, bytes, dict[str, str]]
"""Status, body and further headers."""


class S3:
    """The service; ``status`` other than 0 is what it answers to everything."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.calls: list[str] = []
        self.status = 0
        self._parts: dict[str, dict[int, bytes]] = defaultdict(dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            return
        body = b""
        while True:
            event = await receive()
            body += event.get("body", b"")  # type: ignore[operator] # an http.request event
            if not event.get("more_body"):
                break
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        query = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
        path = (scope.get("raw_path") or scope["path"].encode()).decode().partition("?")[0]
        self.calls.append(f"{scope['method']} {'&'.join(sorted(query))}".strip())
        if self.status:
            status, answer, more = refuse(self.status, "SlowDown")
        elif not is_signed(scope["method"], path, query, headers, body):
            status, answer, more = refuse(403, "SignatureDoesNotMatch")
        else:
            status, answer, more = self._answer(scope["method"], unquote(path), query, body)
        told = {"content-length": str(len(answer)), "content-type": "application/xml", "last-modified": DATE, **more}
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(name.encode(), value.encode()) for name, value in told.items()],
            }
        )
        await send(
            {"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer, "more_body": False}
        )

    def _answer(self, method: str, path: str, query: dict[str, str], body: bytes) -> Answer:
        bucket, _, key = path.removeprefix("/").partition("/")
        if bucket != BUCKET:
            return refuse(404, "NoSuchBucket")
        if "delete" in query:
            keys = re.findall(r"<Key>([^<]+)</Key>", body.decode())
            for gone in keys:
                self.objects.pop(gone, None)
            told = "".join(f"<Deleted><Key>{gone}</Key></Deleted>" for gone in keys)
            return 200, f"<DeleteResult>{told}</DeleteResult>".encode(), {}
        if "uploads" in query or "uploadId" in query:
            return self._multipart(method, key, query, body)
        return self._object(method, key, body)

    def _object(self, method: str, key: str, body: bytes) -> Answer:
        if method == "PUT":
            self.objects[key] = body
            return 200, b"", {"etag": _etag(body)}
        if method == "DELETE":
            self.objects.pop(key, None)
            return 204, b"", {}
        if key not in self.objects:
            return refuse(404, "NoSuchKey")
        return 200, self.objects[key], {"etag": _etag(self.objects[key])}

    def _multipart(self, method: str, key: str, query: dict[str, str], body: bytes) -> Answer:
        if "uploads" in query:
            upload_id = f"upload-{len(self._parts)}"
            self._parts[upload_id] = {}
            text = (
                f"<InitiateMultipartUploadResult><Bucket>{BUCKET}</Bucket><Key>{key}</Key>"
                f"<UploadId>{upload_id}</UploadId></InitiateMultipartUploadResult>"
            )
            return 200, text.encode(), {}
        parts = self._parts[query["uploadId"]]
        if method == "PUT":
            parts[int(query["partNumber"])] = body
            return 200, b"", {"etag": _etag(body)}
        self.objects[key] = b"".join(parts[number] for number in sorted(parts))
        text = (
            f"<CompleteMultipartUploadResult><Bucket>{BUCKET}</Bucket><Key>{key}</Key>"
            f"<ETag>{_etag(self.objects[key])}</ETag></CompleteMultipartUploadResult>"
        )
        return 200, text.encode(), {}


def is_signed(method: str, path: str, query: dict[str, str], headers: dict[str, str], body: bytes) -> bool:
    """Whether a request carries the signature that ``SECRET_KEY`` makes, of what it says and of its very body."""
    found = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if found is None or found["key"] != ACCESS_KEY:
        return False
    declared = headers.get("x-amz-content-sha256", "")
    if declared != hashlib.sha256(body).hexdigest() and declared != "UNSIGNED-PAYLOAD":
        return False
    signed = found["signed"].split(";")
    arguments = "&".join(f"{quote(name, safe='-_.~')}={quote(query[name], safe='-_.~')}" for name in sorted(query))
    canonical = "\n".join(
        [
            method,
            path,
            arguments,
            *(f"{name}:{headers[name].strip()}" for name in signed),
            "",
            found["signed"],
            declared,
        ]
    )
    text = "\n".join(
        [
            "AWS4-HMAC-SHA256",
            headers["x-amz-date"],
            found["scope"],
            hashlib.sha256(canonical.encode()).hexdigest(),
        ]
    )
    key = f"AWS4{SECRET_KEY}".encode()
    for part in found["scope"].split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    expected = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return found["scope"].split("/")[1] == REGION and hmac.compare_digest(expected, found["signature"])


def refuse(status: int, code: str) -> Answer:
    return status, f"<Error><Code>{code}</Code></Error>".encode(), {}


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
