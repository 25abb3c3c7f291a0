"""The API's description: what Litestar finds in the handlers, completed with what holds for every route."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from litestar import Litestar
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, License, SecurityScheme, Tag
from litestar.plugins.base import ReceiveRoutePlugin
from litestar.routes import BaseRoute, HTTPRoute

from core.idempotency.middleware import HEADER as IDEMPOTENCY_KEY
from core.idempotency.middleware import Idempotency, IdempotentOperation
from core.problems import MEDIA_TYPE, example_of
from core.reader import ReaderPlugin
from core.request import JSON, AnyRequest
from core.security import requires_administrator, requires_user
from core.version import platform_version
from core.versions import HEADER as IF_MATCH

Json = dict[str, Any]

PATH = "/api/schema"
SCHEME = "BearerToken"
SCHEMAS = "#/components/schemas/"
_GUARDS = (requires_user, requires_administrator)
_METHODS = ("get", "post", "put", "patch", "delete")
MAXIMUM_DEPTH = 12
"""Examples of schemas that hold themselves end here."""

_SUCCESSES = {"200": "Success", "201": "Made", "202": "Accepted, and done later", "204": "Done; there is no body"}
_HEADER_STATUSES = {IDEMPOTENCY_KEY: {400, 409, 422}, IF_MATCH: {412}}
_BODY_STATUSES = (400, 413, 415, 422)
_TAGS = (
    ("accounts", "Sign-in, sessions and one's own account."),
    ("plans", "The plans on offer."),
    ("numbers", "Sending numbers."),
    ("contacts", "Contacts, audiences, labels, the block list and imports."),
    ("campaigns", "Campaigns and their recipients."),
    ("media", "Files that messages carry."),
    ("jobs", "Long work, its progress and its end."),
    ("webhooks", "What outside services call."),
    ("administration", "For administrators."),
    ("platform", "Health, plugins and settings of one's own."),
)


class DeclaredRoutes(ReceiveRoutePlugin):
    """State of every route what its guards and middleware ask for: a token, or a key; no controller can forget it."""

    def receive_route(self, route: BaseRoute) -> None:
        """Look at a route as it is registered."""
        if not isinstance(route, HTTPRoute):
            return
        for handler in route.route_handlers:
            if any(isinstance(found, Idempotency) for found in handler.resolve_middleware()):
                handler.operation_class = IdempotentOperation
            guards = [guard for layer in handler.ownership_layers for guard in layer.guards or ()]
            if any(guard in _GUARDS for guard in guards) and not handler.resolve_security():
                handler.resolve_security().append({SCHEME: []})


class DocumentPlugin(JsonRenderPlugin):
    """Serve the completed description as ``openapi.json``."""

    def __init__(self) -> None:
        super().__init__()
        self._document: bytes | None = None

    def render(self, request: AnyRequest, openapi_schema: Json) -> bytes:
        """Return the description as JSON, completed once."""
        del request
        if self._document is None:
            self._document = msgspec.json.encode(complete(openapi_schema))
        return self._document


def openapi_config() -> OpenAPIConfig:
    """Return Litestar's configuration of the description and its reader."""
    bearer = SecurityScheme(
        type="http", scheme="bearer", description="The `token` of `POST /api/auth/login`, `register` or `setup`."
    )
    return OpenAPIConfig(
        title="Recado",
        version=platform_version(),
        summary="WhatsApp campaigns, paced, tracked and reported.",
        description="Every error is a problem document (RFC 9457) with a stable `code`; see docs/reference/errors.md.",
        license=License(name="MIT", identifier="MIT"),
        components=Components(security_schemes={SCHEME: bearer}),
        tags=[Tag(name=name, description=description) for name, description in _TAGS],
        use_handler_docstrings=True,
        path=PATH,
        render_plugins=[ReaderPlugin(), DocumentPlugin()],
    )


def document(app: Litestar) -> Json:
    """Return the description of ``app`` as it is served."""
    return complete(app.openapi_schema.to_schema())


def complete(found: Json) -> Json:
    """Give readable names to schemas, and every operation the errors that its kind of route can answer."""
    completed: Json = _without_empty_choices(msgspec.json.decode(_renamed(found)))
    schemas: Json = completed["components"]["schemas"]
    for operation in operations(completed):
        _complete_answers(operation)
    for schema in schemas.values():
        if schema.get("type") == "object" and not schema.get("examples"):
            schema["examples"] = [_example(schema, schemas)]
    return completed


def operations(document: Json) -> Iterator[Json]:
    """Yield every operation of a description."""
    for item in document["paths"].values():
        yield from (item[method] for method in _METHODS if method in item)


def _renamed(found: Json) -> bytes:
    """Call ``Page_core.x.UserRead_`` ``UserReadPage``, wherever it is referred to."""
    text = msgspec.json.encode(found).decode()
    schemas = found["components"]["schemas"]
    for name in schemas:
        readable = _readable(name)
        if readable not in schemas:
            text = text.replace(f'"{SCHEMAS}{name}"', f'"{SCHEMAS}{readable}"').replace(f'"{name}":', f'"{readable}":')
    return text.encode()


def _without_empty_choices(part: Any) -> Any:
    """Take out what Litestar makes of a tuple's ``...``: it fits everything, so that its ``oneOf`` fits nothing."""
    if isinstance(part, list):
        return [_without_empty_choices(inner) for inner in part]
    if not isinstance(part, dict):
        return part
    found = {key: _without_empty_choices(inner) for key, inner in part.items()}
    if {} in found.get("oneOf", ()):
        choices = [choice for choice in found.pop("oneOf") if choice]
        found |= choices[0] if len(choices) == 1 else {"oneOf": choices}
    return found


def _readable(name: str) -> str:
    generic = re.fullmatch(r"(?P<outer>[A-Za-z]+)_(?P<inner>.+)_", name)
    if generic is None:
        # Two domains have a schema of this name: ``contacts_schemas_LabelFilter``.
        return "".join(part[:1].upper() + part[1:] for part in name.split("_") if part != "schemas")
    inner = generic["inner"].strip("_").rsplit(".", 1)[-1].removeprefix("list_")
    return f"{inner}{'List' if generic['inner'].startswith('list_') else ''}{generic['outer']}"


def _complete_answers(operation: Json) -> None:
    responses: Json = operation["responses"]
    for code in _SUCCESSES.keys() & responses.keys():
        responses[code]["description"] = _SUCCESSES[code]
    if JSON in responses.get("400", {}).get("content", {}):
        # Litestar's own description of what the platform answers with 422.
        del responses["400"]
    places = {parameter["in"] for parameter in operation.get("parameters", ())}
    statuses = {403}
    statuses |= set(_BODY_STATUSES) if "requestBody" in operation else set()
    statuses |= {401} if operation.get("security") else set()
    statuses |= {404} if "path" in places else set()
    statuses |= {422} if places & {"path", "query"} else set()
    headers = {parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == "header"}
    for header, answers in _HEADER_STATUSES.items():
        statuses |= answers if header in headers else set()
    for status in sorted(statuses):
        if str(status) not in responses:
            responses[str(status)] = _error_response(status)


def _error_response(status: int) -> Json:
    example = example_of(status)
    content = {
        "schema": {"$ref": f"{SCHEMAS}ProblemDetails"},
        "examples": {example.code: {"value": msgspec.to_builtins(example)}},
    }
    return {"description": example.title, "content": {MEDIA_TYPE: content}}


def _example(schema: Mapping[str, Any], schemas: Json, depth: int = 0) -> object:
    """Make a value that fits ``schema`` out of the examples and defaults of its parts."""
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    # An empty list shows nothing of what may stand in it.
    if "const" in schema or schema.get("default", []) != []:
        return schema.get("default", schema.get("const"))
    if depth > MAXIMUM_DEPTH:
        return None
    part = _part(schema, schemas)
    return _example(part, schemas, depth + 1) if part is not None else _typed_example(schema, schemas, depth)


def _part(schema: Mapping[str, Any], schemas: Json) -> Mapping[str, Any] | None:
    """Return the schema that stands for another: the one it refers to, or one of its alternatives."""
    if "$ref" in schema:
        found: Json = schemas[schema["$ref"].removeprefix(SCHEMAS)]
        return found
    options: list[Json] = schema.get("oneOf", [])
    none = next((option for option in options if option.get("type") == "null"), None)
    # An object that may be left out is left out: most often only one of such objects fits.
    if none is not None and any(
        "$ref" in option and "properties" in (_part(option, schemas) or {}) for option in options
    ):
        return none
    return next(iter(options), None)


def _typed_example(schema: Mapping[str, Any], schemas: Json, depth: int) -> object:
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: _example(part, schemas, depth + 1) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [_example(schema["items"], schemas, depth + 1)] if isinstance(schema.get("items"), dict) else []
    if kind == "string":
        return {"date-time": "2026-01-31T09:00:00Z", "date": "2026-01-31"}.get(schema.get("format", ""), "text")
    return {"integer": int(schema.get("minimum", 1)), "number": 1.0, "boolean": True}.get(str(kind))
