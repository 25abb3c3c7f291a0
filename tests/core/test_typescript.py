"""The API's types for frontends: what schemas become, and that the committed file is today's."""

import re
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar

from core.openapi import SCHEMAS, document, operations
from core.typescript import declarations, type_of

CLIENT = Path(__file__).parents[2] / "examples" / "clients" / "typescript"


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string"}, "string"),
        ({"type": "integer", "minimum": 1}, "number"),
        ({"type": "boolean"}, "boolean"),
        ({"type": "string", "format": "binary"}, "Blob"),
        ({"$ref": f"{SCHEMAS}Links"}, "Links"),
        ({"type": "string", "enum": ["read", "send"]}, '"read" | "send"'),
        ({"type": "integer", "enum": [1, 2]}, "1 | 2"),
        ({"const": "ok"}, '"ok"'),
        ({"oneOf": [{"type": "integer"}, {"type": "null"}]}, "number | null"),
        ({"type": ["string", "null"]}, "string | null"),
        ({"type": "array", "items": {"oneOf": [{"type": "string"}, {"type": "null"}]}}, "Array<string | null>"),
        ({"type": "array"}, "Array<unknown>"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "Record<string, string>"),
        ({"type": "object", "additionalProperties": True}, "Record<string, unknown>"),
        (
            {"type": "object", "properties": {"a": {"type": "string"}, "b-c": {}}, "required": ["a"]},
            '{ a: string; "b-c"?: unknown; }',
        ),
        ({}, "unknown"),
    ],
    ids=str,
)
def test_what_a_schema_becomes(schema: dict[str, Any], expected: str) -> None:
    assert type_of(schema) == expected


def test_a_whole_module() -> None:
    node = {
        "type": "object",
        "description": "A node of\n  a tree.",
        "properties": {"next": {"$ref": f"{SCHEMAS}Node", "description": "Its child."}},
    }
    operation = {
        "operationId": "ShowNode",
        "summary": "Show a node",
        "parameters": [
            {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}},
            {"name": "deep", "in": "query", "schema": {"type": "boolean"}},
        ],
        "responses": {
            "200": {"content": {"application/json": {"schema": {"$ref": f"{SCHEMAS}Node"}}, "image/png": {}}},
            "204": {},
            "404": {"content": {"application/problem+json": {"schema": {}}}},
        },
    }
    found = declarations({"paths": {"/nodes/{id}": {"get": operation}}, "components": {"schemas": {"Node": node}}})

    assert found.split("\n", 2)[2] == (
        "/** A node of a tree. */\nexport interface Node {\n  /** Its child. */\n  next?: Node;\n}\n\n"
        "/** What every operation takes and answers, by its id. */\nexport interface Operations {\n"
        "  /** Show a node */\n  ShowNode: {\n    path: { id: number; };\n    query: { deep?: boolean; };\n"
        "    body: undefined;\n    answer: Node | Blob | undefined;\n  };\n}\n\n"
        "/** Where every operation is. */\nexport const ROUTES = {\n"
        '  ShowNode: { method: "GET", path: "/nodes/{id}" },\n'
        "} as const satisfies Record<keyof Operations, { method: string; path: string }>;\n"
    )


def test_the_committed_types_are_those_of_the_api(app: Litestar) -> None:
    committed = (CLIENT / "recado.ts").read_text(encoding="utf-8")
    assert committed == declarations(document(app)), "Run `make docs`."


def test_every_name_is_declared_once_and_nothing_is_unknown_of_a_body(app: Litestar) -> None:
    text = (CLIENT / "recado.ts").read_text(encoding="utf-8")
    declared = re.findall(r"^export (?:interface|type) (\w+)", text, re.MULTILINE)
    used = set(re.findall(r"\b[A-Z]\w+\b", re.sub(r"/\*\*.*?\*/|//.*|\"[^\"]*\"", "", text)))
    ids = {operation["operationId"] for operation in operations(document(app))}
    standard = {"Array", "Record", "Blob", "FormData", "ROUTES"}
    assert len(declared) == len(set(declared))
    assert used - set(declared) - ids - standard == set()
    assert re.findall(r"^ +body: .*unknown.*", text, re.MULTILINE) == []


def test_the_example_uses_what_is_declared(app: Litestar) -> None:
    client = (CLIENT / "client.ts").read_text(encoding="utf-8")
    text = (CLIENT / "recado.ts").read_text(encoding="utf-8")
    imported = re.search(r"import { (.+) } from \"./recado.js\"", client)
    assert imported is not None
    for name in imported[1].split(", "):
        assert re.search(rf"^export (interface|const) {name.removeprefix('type ')}\b", text, re.MULTILINE), name
    called = set(re.findall(r"this\.call\(\"(\w+)\"", client))
    assert called == {"LogIn", "VerifyTwoFactor"}
    assert called <= {operation["operationId"] for operation in operations(document(app))}
