"""Small files of each kind, ways to send them, and the jobs that follow."""

from typing import Any

import httpx

from core import database
from core.jobs import leasing
from core.media import actors

HANDLERS = actors.HANDLERS
"""Registered by their import, as in a worker."""

JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000") + bytes(50) + bytes.fromhex("ffd9")
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n"
VOICE = b"OggS\x00\x02" + bytes(20) + b"\x01\x13OpusHead\x01\x01" + bytes(20)
MP4 = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42" + bytes(30)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HTML = b"<!DOCTYPE html><html><body><script>alert(1)</script></body></html>"


def jpeg(mark: bytes = b"") -> bytes:
    """Return a picture that no other mark makes."""
    return JPEG + mark


async def post_file(client: httpx.AsyncClient, content: bytes, name: str = "offer.jpg") -> httpx.Response:
    """Upload a file as browsers do."""
    return await client.post("/api/media", files={"file": (name, content)})


async def upload(client: httpx.AsyncClient, content: bytes, name: str = "offer.jpg") -> dict[str, Any]:
    """Upload a file that is taken, and return what is told of it."""
    answer = await post_file(client, content, name)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()["data"]
    return found


async def do_jobs(kind: str) -> list[str]:
    """Do the open jobs of a kind in this process, and return how each ended."""
    rows = await database.fetch("SELECT id FROM jobs WHERE kind = $1 AND status = 'waiting' ORDER BY id", kind)
    ids = [row["id"] for row in rows]
    for job_id in ids:
        await leasing.run_job(job_id)
    ended = await database.fetch("SELECT status FROM jobs WHERE id = ANY($1::bigint[]) ORDER BY id", ids)
    return [row["status"] for row in ended]
