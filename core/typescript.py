"""The API's description as TypeScript: an interface for every schema, and what every operation takes and answers.

``python -m core.typescript`` writes it to the standard output; ``make docs`` keeps examples/clients/typescript current.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from core.app import create_app
from core.config import PlatformConfig
from core.openapi import SCHEMAS, document
from core.problems import MEDIA_TYPE
from core.request import JSON

Json = Mapping[str, Any]

HEAD = "// Made from the OpenAPI document by `make docs`: changes are lost.\n"
BINARY = "Blob"
_PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")


def declarations(described: Json) -> str:
    """Return the module that declares a completed OpenAPI document."""
    parts = [HEAD, *(_schema(name, schema) for name, schema in sorted(described["components"]["schemas"].items()))]
    found = sorted(_operations(described), key=lambda one: str(one[2]["operationId"]))
    parts += ["/** What every operation takes and answers, by its id. */", "export interface Operations {"]
    parts += [_operation(*one) for one in found]
    parts += ["}\n", "/** Where every operation is. */", "export const ROUTES = {"]
    parts += [
        f'  {one["operationId"]}: {{ method: "{method.upper()}", path: "{path}" }},' for path, method, one in found
    ]
    parts += ["} as const satisfies Record<keyof Operations, { method: string; path: string }>;\n"]
    return "\n".join(parts)


def type_of(schema: Json) -> str:
    """Return the type of the values that a schema describes."""
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(SCHEMAS)
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if values:
        return " | ".join(json.dumps(value) for value in values)
    choices = schema.get("oneOf") or schema.get("anyOf")
    if isinstance(schema.get("type"), list):
        choices = [{**schema, "type": kind} for kind in schema["type"]]
    return " | ".join(dict.fromkeys(map(type_of, choices))) if choices else _plain(schema)


def _plain(schema: Json) -> str:
    match schema.get("type"):
        case "array":
            return f"Array<{type_of(schema.get('items', {}))}>"
        case "object":
            return _object(schema)
        case "string" if schema.get("format") == "binary":
            return BINARY
        case kind:
            return _PLAIN.get(str(kind), "unknown")


def _object(schema: Json) -> str:
    if "properties" in schema:
        return f"{{ {' '.join(_fields(schema))} }}"
    values = schema.get("additionalProperties", {})
    return f"Record<string, {type_of(values if isinstance(values, dict) else {})}>"


def _schema(name: str, schema: Json) -> str:
    note = _note(schema.get("description"), "")
    if schema.get("type") != "object" or "properties" not in schema:
        return f"{note}export type {name} = {type_of(schema)};\n"
    lines = "".join(f"{_note(part.get('description'), '  ')}  {_field(schema, key)}\n" for key, part in _parts(schema))
    return f"{note}export interface {name} {{\n{lines}}}\n"


def _parts(schema: Json) -> Sequence[tuple[str, Json]]:
    return list(schema["properties"].items())


def _fields(schema: Json) -> Iterator[str]:
    for key, _ in _parts(schema):
        yield _field(schema, key)


def _field(schema: Json, key: str) -> str:
    shown = key if _NAME.fullmatch(key) else json.dumps(key)
    mark = "" if key in schema.get("required", ()) else "?"
    return f"{shown}{mark}: {type_of(schema['properties'][key])};"


def _note(text: str | None, indent: str) -> str:
    return f"{indent}/** {' '.join(text.split()).replace('*/', '')} */\n" if text else ""


def _operations(described: Json) -> Iterator[tuple[str, str, Json]]:
    for path, item in described["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def _operation(path: str, method: str, operation: Json) -> str:
    del path, method  # they stand in ROUTES
    lines = [_note(operation["summary"], "  ") + f"  {operation['operationId']}: {{"]
    for place in ("path", "query"):
        parameters = [one for one in operation.get("parameters", ()) if one["in"] == place]
        fields = {
            "properties": {one["name"]: one["schema"] for one in parameters},
            "required": [one["name"] for one in parameters if one.get("required")],
        }
        lines += [f"    {place}: {_object(fields) if parameters else 'Record<never, never>'};"]
    return "\n".join([*lines, f"    body: {_body(operation)};", f"    answer: {_answer(operation)};", "  };"])


def _body(operation: Json) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    if not content:
        return "undefined"
    return type_of(content[JSON]["schema"]) if JSON in content else "FormData"


def _answer(operation: Json) -> str:
    found: dict[str, None] = {}
    for status, response in operation["responses"].items():
        if status >= "300":
            continue
        content = {kind: media for kind, media in response.get("content", {}).items() if kind != MEDIA_TYPE}
        for kind, media in content.items():
            text = "string" if kind.startswith("text/") else BINARY
            found[type_of(media["schema"]) if kind == JSON else text] = None
        if not content:
            found["undefined"] = None
    return " | ".join(found)


if __name__ == "__main__":
    sys.stdout.write(declarations(document(create_app(PlatformConfig()))))
