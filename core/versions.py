"""Versions of resources: the ``ETag`` that shows one, and the ``If-Match`` that has to name it (RFC 9110, 13.1.1).

The tag stands for what people decide of a resource, not for the bytes of an answer: progress does not change it.
"""

import re
from typing import Annotated, Protocol, TypeVar

from litestar import Response
from litestar.datastructures import ResponseHeader
from litestar.params import HeaderParameter

from core.errors import PreconditionError
from core.pagination import Resource

HEADER = "If-Match"
IfMatch = Annotated[
    str | None,
    HeaderParameter(
        name=HEADER, max_length=1000, description="An `ETag` from before: 412 when the resource has changed since."
    ),
]
TAGGED = (ResponseHeader(name="ETag", description="The resource's version.", documentation_only=True),)
"""The ``response_headers`` of a route that answers with ``versioned``."""

# An opaque tag in quotes; a weak one (W/) matches nothing, since the comparison is the strong one.
_TAG = re.compile(r'(?P<weak>W/)?"(?P<opaque>[^"]*)"|(?P<any>\*)')


class Versioned(Protocol):
    """A resource whose ``version`` is another after every change."""

    @property
    def version(self) -> int | str:
        """The present version: a count of changes, or a digest of what they left."""
        ...


V = TypeVar("V", bound=Versioned)


def versioned(found: V) -> Response[Resource[V]]:
    """Answer with a resource and its version as ``ETag``."""
    return Response(Resource(found), headers={"etag": f'"{found.version}"'})


def ensure_match(if_match: str | None, version: int | str) -> None:
    """Refuse a change that was decided on another version; call it with the row locked.

    Raises:
        PreconditionError: ``if_match`` came and does not name ``version``.
    """
    if if_match is None:
        return
    tags = list(_TAG.finditer(if_match))
    if not any(tag["any"] or (tag["opaque"] == str(version) and not tag["weak"]) for tag in tags):
        raise PreconditionError("It was changed meanwhile: read it again and repeat.")
