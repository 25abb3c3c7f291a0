"""The API describes itself: names, examples and errors of every operation, and a reader without foreign files."""

import re
from typing import Any

import httpx
import pytest
from litestar import Litestar

from core.openapi import SCHEMAS, complete, document, operations
from core.validation import validate
from tests.conftest import ClientOf
from tests.core.walking import handlers_of
from tests.core.walking import operations as walked
from tests.factories import Member


@pytest.fixture(scope="session")
def described(app: Litestar) -> dict[str, Any]:
    return document(app)


def test_operation_ids_are_pascal_case_and_unique(described: dict[str, Any]) -> None:
    ids = [operation["operationId"] for operation in operations(described)]
    assert [name for name in ids if not re.fullmatch(r"([A-Z][a-z0-9]*)+", name)] == []
    assert len(ids) == len(set(ids))


def test_every_operation_has_summary_description_and_known_tag(described: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in described["tags"]}
    lacking = [
        operation["operationId"]
        for operation in operations(described)
        if not (operation.get("summary") and operation.get("description") and set(operation.get("tags", ())) & tags)
    ]
    assert lacking == []


def test_every_operation_states_its_errors(described: dict[str, Any]) -> None:
    for operation in operations(described):
        statuses = set(operation["responses"])
        name = operation["operationId"]
        assert "403" in statuses, name
        assert "401" in statuses or not operation.get("security"), name
        places = {parameter["in"] for parameter in operation.get("parameters", ())}
        assert "404" in statuses or "path" not in places, name
        assert "422" in statuses or not (places & {"path", "query"} or "requestBody" in operation), name


def test_counted_operations_tell_of_the_rate_limit(described: dict[str, Any]) -> None:
    limits = {"RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"}
    free = set()
    for path, item in described["paths"].items():
        for operation in item.values():
            answers = operation["responses"]
            if "429" not in answers:
                free.add(operation["operationId"])
                continue
            if path.startswith("/api/webhooks/"):
                assert answers["429"]["headers"].keys() == {"Retry-After"}, "only refused deliveries count"
                free.add(operation["operationId"])
                continue
            assert answers["429"]["headers"].keys() == {*limits, "Retry-After"}, path
            good = next(answer for status, answer in answers.items() if status < "300")
            assert good["headers"].keys() >= limits, path
    assert free == {*SIGNED, "CheckLive", "CheckReady"}
    assert described["components"]["headers"].keys() == {*limits, "Retry-After"}


def test_operations_name_the_credentials_they_take(described: dict[str, Any]) -> None:
    by_id = {operation["operationId"]: operation for operation in operations(described)}
    bearer: dict[str, list[str]] = {"BearerToken": []}
    by_cookie: dict[str, list[str]] = {"SessionCookie": []}
    checked = {**by_cookie, "CsrfToken": []}
    assert by_id["ListContacts"]["security"] == [bearer, {"ApiKey": ["read"]}, by_cookie]
    assert by_id["UpdateContact"]["security"] == [bearer, {"ApiKey": ["manage"]}, checked]
    assert by_id["StartCampaign"]["security"] == [bearer, {"ApiKey": ["send"]}, checked]
    assert by_id["CreateApiKey"]["security"] == [bearer, checked]
    assert by_id["AdminListUsers"]["security"] == [bearer, by_cookie]
    assert by_id["StartCampaign"]["description"].endswith("\n\nAn API key needs the scope `send`.")
    assert by_id["AdminListUsers"]["description"].endswith("\n\nNot with an API key: sign in.")
    named = {name for operation in by_id.values() for accepted in operation.get("security", ()) for name in accepted}
    assert described["components"]["securitySchemes"].keys() == named


def test_every_parameter_is_described(described: dict[str, Any]) -> None:
    lacking = [
        (operation["operationId"], parameter["name"])
        for operation in operations(described)
        for parameter in operation.get("parameters", ())
        if not parameter.get("description") or "null" in str(parameter["schema"].get("oneOf"))
    ]
    assert lacking == []


def test_ids_end_where_the_database_ends(described: dict[str, Any]) -> None:
    parameter = described["paths"]["/api/contacts/{contact_id}"]["get"]["parameters"][0]
    assert parameter["schema"] == {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}


def test_every_body_has_an_example(described: dict[str, Any]) -> None:
    schemas = described["components"]["schemas"]
    for operation in operations(described):
        for body in operation.get("requestBody", {}).get("content", {}).values():
            name = body["schema"].get("$ref", "").removeprefix(SCHEMAS)
            example = schemas[name]["examples"][0] if name else body["example"]
            assert example, operation["operationId"]


def test_every_example_of_a_body_is_accepted(app: Litestar) -> None:
    handlers = handlers_of(app)
    bodies = [operation for operation in walked(app) if operation.example is not None]
    assert len(bodies) > 40
    for operation in bodies:
        validate(handlers[operation.id].parsed_fn_signature.parameters["data"].raw, operation.example)


def test_answers_without_a_body_and_with_a_file_are_described_as_such(described: dict[str, Any]) -> None:
    paths = described["paths"]
    assert "content" not in paths["/api/auth/logout"]["post"]["responses"]["204"]
    assert paths["/api/media/{media_id}/content"]["get"]["responses"]["200"]["content"] == {"*/*": {}}
    code = paths["/api/numbers/{number_id}/qr"]["get"]["responses"]["200"]["content"]
    assert code.keys() == {"application/json", "image/png"}


async def test_options_name_every_method_of_a_path(api: ClientOf, user: Member) -> None:
    async with api(user) as client:
        answer = await client.options("/api/campaigns/1")
    assert (answer.status_code, answer.headers["allow"]) == (204, "DELETE, GET, OPTIONS, PATCH")


def test_spreadsheets_are_described_as_such(described: dict[str, Any]) -> None:
    files = [item["get"] for path, item in described["paths"].items() if path.endswith(".csv")]
    kinds = {kind for operation in files for kind in operation["responses"]["200"]["content"]}
    assert kinds == {"text/csv"}
    book = described["paths"]["/api/contacts.xlsx"]["get"]["responses"]["200"]["content"]
    assert list(book) == ["application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"]


def test_no_choice_of_schemas_holds_one_that_fits_everything(described: dict[str, Any]) -> None:
    window = described["components"]["schemas"]["Window"]["properties"]["weekdays"]
    assert window["items"] == {"type": "integer"}
    assert re.findall(r"'oneOf': \[(?:\{[^{}]*\}, )*\{\}", str(described)) == []


def test_every_error_is_a_problem_document(described: dict[str, Any]) -> None:
    for operation in operations(described):
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert list(answer["content"]) == ["application/problem+json"], operation["operationId"]


SIGN_IN = (
    "Register",
    "LogIn",
    "VerifyTwoFactor",
    "ForgetPassword",
    "ResetPassword",
    "ConfirmEmail",
    "MailConfirmationAgain",
)
SIGNED = {"ReceiveGatewayWebhook", "ReceiveWebhook", "VerifyWebhook", "ReadSignedMedia"}
"""Outside services call these with a secret in the address or a signature."""


def test_everything_but_the_public_routes_needs_a_token(described: dict[str, Any]) -> None:
    public = {operation["operationId"] for operation in operations(described) if not operation.get("security")}
    assert public == {*SIGN_IN, "SetUp", "ListPlans", "CheckLive", "CheckReady", *SIGNED}


def test_schemas_have_readable_names_and_examples(described: dict[str, Any]) -> None:
    schemas = described["components"]["schemas"]
    assert [name for name in schemas if not re.fullmatch(r"[A-Za-z0-9]+", name)] == []
    assert [name for name, schema in schemas.items() if schema.get("type") == "object" and not schema["examples"]] == []
    assert schemas["UserReadPage"]["examples"][0]["meta"] == {
        "current_page": 2,
        "per_page": 20,
        "last_page": 3,
        "total": 42,
    }


def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    names = set(re.findall(rf"'{SCHEMAS}([^']+)'", str(described)))
    assert names - set(described["components"]["schemas"]) == set()


def test_example_of_a_schema_that_holds_itself() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": f"{SCHEMAS}Node"}}}
    found = complete({"paths": {}, "components": {"schemas": {"Node": node}}})
    assert found["components"]["schemas"]["Node"]["examples"]


async def test_description_is_served(client: httpx.AsyncClient, described: dict[str, Any]) -> None:
    answer = await client.get("/api/schema/openapi.json")
    assert answer.json() == described
    assert (await client.get("/api/schema/openapi.json")).content == answer.content


async def test_reader_needs_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    page = await client.get("/api/schema")
    assert page.headers["content-type"].startswith("text/html")
    files = re.findall(r'(?:src|href)="(?!data:)([^"]+)"', page.text)
    assert sorted(set(files)) == ["/api/schema/openapi.json", "/api/schema/reader.css", "/api/schema/reader.js"]
    for path in files:
        answer = await client.get(path)
        assert answer.status_code == 200
        assert not re.search(r"(https?:)?//[a-z]", answer.text) or path.endswith("openapi.json")


async def test_reader_files_have_their_types(client: httpx.AsyncClient) -> None:
    script = await client.get("/api/schema/reader.js")
    style = await client.get("/api/schema/reader.css")
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert style.headers["content-type"] == "text/css; charset=utf-8"
