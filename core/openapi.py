"""The API's description: what Litestar finds in the handlers, completed with what holds for every route."""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from litestar import Litestar, Response
from litestar.enums import HttpMethod
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, License, Reference, SecurityRequirement, SecurityScheme, Tag
from litestar.plugins.base import ReceiveRoutePlugin
from litestar.routes import BaseRoute, HTTPRoute

from core.idempotency.middleware import HEADER as IDEMPOTENCY_KEY
from core.idempotency.middleware import Idempotency, IdempotentOperation
from core.problems import MEDIA_TYPE, example_of
from core.rate_limit import is_counted
from core.reader import ReaderPlugin
from core.request import JSON, AnyRequest
from core.security import (
    NO_KEY,
    SAFE_METHODS,
    SESSION_COOKIE,
    needed_scope,
    requires_administrator,
    requires_user,
)
from core.validation import MAXIMUM_BIGINT
from core.version import platform_version
from core.versions import HEADER as IF_MATCH

AnyResponse = Response[Any]
Json = dict[str, Any]

PATH = "/api/schema"
BEARER, API_KEY, COOKIE, CSRF = "BearerToken", "ApiKey", "SessionCookie", "CsrfToken"
"""The names of the security schemes."""
SCHEMAS = "#/components/schemas/"
HEADERS = "#/components/headers/"
_METHODS = ("get", "post", "put", "patch", "delete")
MAXIMUM_DEPTH = 12
"""Examples of schemas that hold themselves end here."""

_SUCCESSES = {"200": "Success", "201": "Made", "202": "Accepted, and done later", "204": "Done; there is no body"}
_HEADER_STATUSES = {IDEMPOTENCY_KEY: {400, 409, 422}, IF_MATCH: {412}}
_BODY_STATUSES = (400, 413, 415, 422)
_LIMITS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_LIMIT_HEADERS = {
    "RateLimit-Limit": "Requests that this client may make in a minute.",
    "RateLimit-Remaining": "How many of them are left.",
    "RateLimit-Reset": "Seconds until the minute is over.",
}
_RETRY_AFTER = "Retry-After"
_WAITING_STATUSES = ("429", "503")
_OWNED = {"public": "audience", "block": "blocked number", "key": "API key", "media": "file"}
"""Where the name of an id in a path is not what people call the thing."""
_TAGS = (
    ("accounts", "Sign-in, sessions and one's own account."),
    ("plans", "The plans on offer."),
    ("numbers", "Sending numbers."),
    ("contacts", "Contacts, audiences, labels, the block list and imports."),
    ("campaigns", "Campaigns and their recipients."),
    ("media", "Files that messages carry."),
    ("jobs", "Long work, its progress and its end."),
    ("notifications", "What one was told of, and what there is to read."),
    ("live events", "What happens to an account, as it happens."),
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
            if handler.http_methods == {HttpMethod.OPTIONS}:
                # Litestar answers with the methods that the path had when the first of them was registered.
                handler.after_request = _allowing(route)
            if any(isinstance(found, Idempotency) for found in handler.resolve_middleware()):
                handler.operation_class = IdempotentOperation
            guards = {guard for layer in handler.ownership_layers for guard in layer.guards or ()}
            if guards & {requires_user, requires_administrator}:
                method = next(iter(handler.http_methods))
                scope = NO_KEY if requires_administrator in guards else needed_scope(handler, method)
                handler.resolve_security()[:] = _accepted(scope, changes=method not in SAFE_METHODS)


def _allowing(route: HTTPRoute) -> Callable[[AnyResponse], Awaitable[AnyResponse]]:
    async def allow(response: AnyResponse) -> AnyResponse:
        response.headers["Allow"] = ", ".join(sorted(route.methods))
        return response

    return allow


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
    return OpenAPIConfig(
        title="Recado",
        version=platform_version(),
        summary="WhatsApp campaigns, paced, tracked and reported.",
        description="Every error is a problem document (RFC 9457) with a stable `code`; see docs/reference/errors.md.",
        license=License(name="MIT", identifier="MIT"),
        components=Components(security_schemes=_schemes()),
        tags=[Tag(name=name, description=description) for name, description in _TAGS],
        use_handler_docstrings=True,
        path=PATH,
        render_plugins=[ReaderPlugin(), DocumentPlugin()],
    )


def _schemes() -> dict[str, SecurityScheme | Reference]:
    return {
        BEARER: SecurityScheme(
            type="http", scheme="bearer", description="The `token` of `POST /api/auth/login`, `register` or `setup`."
        ),
        API_KEY: SecurityScheme(
            type="http",
            scheme="bearer",
            description="The `key` of `POST /api/api-keys`, for programs; each operation names the scope it needs:"
            " `read`, `send` or `manage`.",
        ),
        COOKIE: SecurityScheme(
            type="apiKey",
            name=SESSION_COOKIE,
            security_scheme_in="cookie",
            description="Set by a sign-in with `cookie: true`, for browsers; no script reads it.",
        ),
        CSRF: SecurityScheme(
            type="apiKey",
            name="X-CSRF-Token",
            security_scheme_in="header",
            description="The `csrf_token` of a sign-in by cookie, with every request that changes something.",
        ),
    }


def _accepted(scope: str, *, changes: bool) -> Sequence[SecurityRequirement]:
    """Return the credentials one of which a route needs; ``scope`` is what an API key has to have."""
    key: list[SecurityRequirement] = [] if scope == NO_KEY else [{API_KEY: [scope]}]
    cookie: SecurityRequirement = {COOKIE: [], CSRF: []} if changes else {COOKIE: []}
    return [{BEARER: []}, *key, cookie]


def document(app: Litestar) -> Json:
    """Return the description of ``app`` as it is served."""
    return complete(app.openapi_schema.to_schema())


def complete(found: Json) -> Json:
    """Give readable names to schemas, and every operation the errors that its kind of route can answer."""
    completed: Json = _mended(msgspec.json.decode(_renamed(found)))
    schemas: Json = completed["components"]["schemas"]
    completed["components"]["headers"] = {
        name: {"description": description, "schema": {"type": "integer", "minimum": 0}}
        for name, description in {**_LIMIT_HEADERS, _RETRY_AFTER: "Seconds to wait before trying again."}.items()
    }
    for path, item in completed["paths"].items():
        for operation in (item[method] for method in _METHODS if method in item):
            _tidy_parameters(operation)
            _describe_keys(operation)
            _complete_answers(operation, path)
            for body in operation.get("requestBody", {}).get("content", {}).values():
                if "$ref" not in body["schema"]:
                    choices = [part for part in body["schema"].get("oneOf", ()) if part.get("type") != "null"]
                    body["example"] = _example(choices[0] if choices else body["schema"], schemas)
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


def _mended(part: Any) -> Any:
    """Mend what Litestar makes of some types, everywhere.

    A tuple's ``...`` becomes a choice that fits everything, so that its ``oneOf`` fits nothing; limits of whole numbers
    become fractions, and so the largest one a number that PostgreSQL does not hold.
    """
    if isinstance(part, list):
        return [_mended(inner) for inner in part]
    if not isinstance(part, dict):
        return part
    found = {key: _mended(inner) for key, inner in part.items()}
    if {} in found.get("oneOf", ()):
        choices = [choice for choice in found.pop("oneOf") if choice]
        found |= choices[0] if len(choices) == 1 else {"oneOf": choices}
    limits = {key: found[key] for key in _LIMITS if isinstance(found.get(key), float) and found[key].is_integer()}
    return found | {key: max(-MAXIMUM_BIGINT - 1, min(MAXIMUM_BIGINT, int(limit))) for key, limit in limits.items()}


def _readable(name: str) -> str:
    generic = re.fullmatch(r"(?P<outer>[A-Za-z]+)_(?P<inner>.+)_", name)
    if generic is None:
        # Two domains have a schema of this name: ``contacts_schemas_LabelFilter``.
        return "".join(part[:1].upper() + part[1:] for part in name.split("_") if part != "schemas")
    inner = generic["inner"].strip("_").rsplit(".", 1)[-1].removeprefix("list_")
    return f"{inner}{'List' if generic['inner'].startswith('list_') else ''}{generic['outer']}"


def _tidy_parameters(operation: Json) -> None:
    """Say of the ids in a path whose they are, and which there can be; an address has no null."""
    for parameter in operation.get("parameters", ()):
        schema: Json = parameter["schema"]
        choices = [choice for choice in schema.get("oneOf", ()) if choice.get("type") != "null"]
        if len(choices) == 1:
            del schema["oneOf"]
            parameter["schema"] = schema = choices[0] | schema
        owner = parameter["name"].removesuffix("_id")
        if parameter["in"] == "path" and owner != parameter["name"]:
            parameter.setdefault("description", f"The {_OWNED.get(owner, owner)}'s id.")
            if schema.get("type") == "integer":
                schema |= {"minimum": 1, "maximum": MAXIMUM_BIGINT}
        if schema.get("description") == parameter.get("description"):
            schema.pop("description", None)


def _describe_keys(operation: Json) -> None:
    """Say in words what the security requirements say of API keys."""
    scopes = [scope for accepted in operation.get("security", ()) for scope in accepted.get(API_KEY, ())]
    if scopes:
        operation["description"] += f"\n\nAn API key needs the scope `{scopes[0]}`."
    elif operation.get("security"):
        operation["description"] += "\n\nNot with an API key: sign in."


def _tidy_contents(responses: Json) -> None:
    responses.get("204", {}).pop("content", None)
    for response in responses.values():
        for kind, media in response.get("content", {}).items():
            if media == {"schema": {}}:
                # A picture or file has no schema; with one that fits everything it would be read as JSON.
                response["content"][kind] = {}


def _complete_answers(operation: Json, path: str) -> None:
    responses: Json = operation["responses"]
    for code in _SUCCESSES.keys() & responses.keys():
        responses[code]["description"] = _SUCCESSES[code]
    _tidy_contents(responses)
    if JSON in responses.get("400", {}).get("content", {}):
        # Litestar's own description of what the platform answers with 422.
        del responses["400"]
    places = {parameter["in"] for parameter in operation.get("parameters", ())}
    statuses = {403}
    statuses |= set(_BODY_STATUSES) if "requestBody" in operation else set()
    statuses |= {401} if operation.get("security") else set()
    statuses |= {404} if "path" in places else set()
    statuses |= {422} if places & {"path", "query"} or is_counted(path) else set()
    statuses |= {503} if path.startswith("/api/") else set()
    statuses |= {429} if is_counted(path) else set()
    headers = {parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == "header"}
    for header, answers in _HEADER_STATUSES.items():
        statuses |= answers if header in headers else set()
    for status in sorted(statuses):
        if str(status) not in responses:
            responses[str(status)] = _error_response(status)
    for code, response in responses.items():
        names = [_RETRY_AFTER] if code in _WAITING_STATUSES else []
        names += _LIMIT_HEADERS if is_counted(path) and (code in _SUCCESSES or code == "429") else ()
        if names:
            response.setdefault("headers", {}).update({name: {"$ref": f"{HEADERS}{name}"} for name in names})
    operation["responses"] = dict(sorted(responses.items()))


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
