"""The request class of every route: a JSON body is read strictly and whole before the handler runs."""

from functools import cache
from typing import Any

import msgspec
from litestar import Request
from litestar.exceptions import InternalServerException, ValidationException
from litestar.handlers import HTTPRouteHandler
from litestar.types import Empty

from core.errors import ContentTypeError, InvalidInputError, MalformedError, NotFoundError
from core.texts import text
from core.validation import MAXIMUM_BIGINT, WHOLE, validate

JSON = "application/json"
NULL = "null"


AnyRequest = Request[Any, Any, Any]


class PlatformRequest(AnyRequest):
    """A request whose JSON body is converted to what the handler's ``data`` asks for, all errors told at once."""

    async def body(self) -> bytes:
        """Return the raw body; a caller that hangs up half-way is no failure of ours."""
        try:
            return await super().body()
        except InternalServerException:
            raise MalformedError(text("connection_ended")) from None

    async def json(self) -> Any:
        """Return the body as the handler's ``data``.

        Raises:
            ContentTypeError: It is not declared as JSON.
            MalformedError: It is no JSON.
            InvalidInputError: It is JSON and does not fit; every invalid field is named.
        """
        if self._json is Empty:
            self._json = validate(data_type(self), await self._decoded())
        return self._json

    async def _decoded(self) -> object:
        media_type = self.content_type[0].lower()
        if media_type != JSON and not media_type.endswith("+json"):
            raise ContentTypeError(JSON)
        try:
            return msgspec.json.decode(await self.body())
        except (ValueError, RecursionError):
            raise MalformedError("The body is not valid JSON.", code="malformed_json") from None


def data_type(request: AnyRequest) -> object:
    """Return what the request's handler asks for as its ``data``."""
    field = request.route_handler.parsed_fn_signature.parameters.get("data")
    return Any if field is None else field.raw


def is_missing_body(error: Exception) -> bool:
    """Whether Litestar refused a request because it came without a body."""
    extra = error.extra if isinstance(error, ValidationException) else None
    return any(isinstance(item, dict) and item.get("message") == "'data'" for item in extra or ())


def missing_body(request: AnyRequest) -> InvalidInputError:
    """Name what a request without a body should have brought."""
    try:
        validate(data_type(request), {})
    except InvalidInputError as error:
        return error
    return InvalidInputError({WHOLE: [text("body")]})


async def refuse_unusable_address(request: AnyRequest) -> None:
    """Before a handler: ids no row can have are 404; a NUL in a parameter is 422, and so is ``null`` for a number."""
    for name, value in request.path_params.items():
        if isinstance(value, int) and abs(value) > MAXIMUM_BIGINT:
            raise NotFoundError(name.removesuffix("_id"), value)
        if isinstance(value, str) and "\0" in value:
            raise NotFoundError(name.removesuffix("_id"))
    query = request.scope["query_string"]
    if b"%00" in query or b"\0" in query:
        names = [name for name in request.query_params if "\0" in "".join(request.query_params.getall(name))]
        raise InvalidInputError({name.replace("\0", "") or "query": [text("characters")] for name in names})
    if query:
        refused = _refused_words(request.route_handler)
        found = {name: refused.get(name, ()) for name in request.query_params}
        misread = [name for name, words in found.items() if set(words) & set(request.query_params.getall(name))]
        if misread:
            raise InvalidInputError({name: [text("invalid")] for name in misread})


@cache
def _refused_words(handler: HTTPRouteHandler) -> dict[str, tuple[str, ...]]:
    """Return the query parameters that would be taken for left out, each with the words that would do so.

    msgspec reads ``null`` as nothing where no text is asked for, and an empty text is no moment.
    """
    signatures = [
        handler.parsed_fn_signature,
        *(one.parsed_fn_signature for one in handler.resolve_dependencies().values()),
    ]
    found: dict[str, tuple[str, ...]] = {}
    for name, field in (item for signature in signatures for item in signature.parameters.items()):
        shown = field.kwarg_definition
        if field.is_optional and str not in field.args:
            found[getattr(shown, "name", None) or name] = (NULL,)
        elif (getattr(shown, "schema_extra", None) or {}).get("format") == "date-time":
            found[getattr(shown, "name", None) or name] = ("",)
    return found
