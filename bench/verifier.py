"""A bare Litestar handler that verifies an acknowledgement and does nothing else: python -m bench.verifier PORT."""

import hashlib
import hmac
import sys
from typing import Any

import uvicorn
from litestar import Litestar, Request, Response, post

from bench.acks import SECRET


@post("/{token:str}", status_code=200)
async def verify(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Compare the signature over the raw bytes."""
    expected = hmac.new(SECRET.encode(), await request.body(), hashlib.sha512).hexdigest()
    genuine = hmac.compare_digest(request.headers.get("x-webhook-hmac", ""), expected)
    return Response(b"", status_code=200 if genuine else 401, media_type="text/plain")


if __name__ == "__main__":
    app = Litestar([verify], openapi_config=None)
    uvicorn.run(
        app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False, server_header=False
    )
