"""The reader of the API's description at ``/api/schema``: one page from this package, nothing from elsewhere."""

from importlib.resources import files
from typing import Any

from litestar import Request, Response, Router, get
from litestar.openapi.plugins import OpenAPIRenderPlugin

_STATIC = files("core.reader").joinpath("static")
_TYPES = {"reader.js": "text/javascript", "reader.css": "text/css"}


class ReaderPlugin(OpenAPIRenderPlugin):
    """Serve the reader at the root of the schema's path, beside ``openapi.json``."""

    def __init__(self) -> None:
        super().__init__(path="/")
        self._page = _STATIC.joinpath("index.html").read_bytes()

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002
        """Return the page, which fetches ``openapi.json`` by itself."""
        return self._page

    def receive_router(self, router: Router) -> None:
        """Add the page's script and style."""
        for name in _TYPES:
            router.register(_static_file(name))


def _static_file(name: str) -> Any:
    content = _STATIC.joinpath(name).read_bytes()

    @get(f"/{name}", include_in_schema=False, sync_to_thread=False)
    def serve() -> Response[bytes]:
        return Response(content, media_type=_TYPES[name], headers={"cache-control": "no-cache"})

    return serve
