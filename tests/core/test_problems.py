"""The body of every error, exactly, in each language."""

from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest
import structlog
from litestar import Litestar, get
from litestar.exceptions import HTTPException
from litestar.params import FromQuery
from redis.exceptions import ConnectionError as RedisConnectionError
from structlog.testing import capture_logs

from core.errors import ConflictError, NotReadyError, PlanLimitError, PreconditionError, ProviderFailedError
from core.plugin import MisconfiguredError, UnavailableError
from core.plugin.registry import Providers
from core.problems import EXCEPTION_HANDLERS, example_of, problem_responses, render
from tests.conftest import ClientOf, client_for
from tests.factories import Member

FAILURES: dict[str, Exception] = {
    "bug": RuntimeError("the password is hunter2"),
    "plan": PlanLimitError("The plan allows 1 number at a time.", allowed=1, limit="numbers"),
    "conflict": ConflictError("The plan is still used by 2 users.", code="plan_in_use", users=2),
    "precondition": PreconditionError("It was changed meanwhile: read it again and repeat."),
    "not-ready": NotReadyError("Something the platform stands on does not answer: redis.", missing="redis"),
    "provider": ProviderFailedError("waha"),
    "provider-busy": UnavailableError("503 <html>body</html>", retry_after=7.4),
    "provider-key": MisconfiguredError("401"),
    "unique": asyncpg.UniqueViolationError("duplicate key value (email)=(ana@example.com)"),
    "deadlock": asyncpg.DeadlockDetectedError("deadlock detected"),
    "value": asyncpg.DataError("invalid input for query argument $1"),
    "database": asyncpg.CannotConnectNowError("the database system is starting up"),
    "redis": RedisConnectionError("Error 111 connecting to redis"),
    "teapot": HTTPException("I'm a teapot", status_code=418),
    "framework": HTTPException("boom", status_code=503),
}


@get("/fail")
async def fail(kind: FromQuery[str]) -> None:
    raise FAILURES[kind]


@get("/unknown-provider")
async def unknown_provider() -> None:
    Providers().messaging("telegram")


@pytest.fixture
async def failing() -> AsyncIterator[httpx.AsyncClient]:
    app = Litestar([fail, unknown_provider], exception_handlers=EXCEPTION_HANDLERS, logging_config=None)
    async with client_for(app) as client:
        yield client


def problem(
    status: int, title: str, detail: str, code: str, errors: dict[str, list[str]] | None = None
) -> dict[str, object]:
    return {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "message": detail,
        "errors": errors or {},
        "code": code,
    }


async def test_not_signed_in(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/auth/me")
    assert answer.status_code == 401
    assert answer.json() == problem(401, "Not signed in", "Unauthenticated.", "unauthenticated")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-language"] == "en"


async def test_not_signed_in_in_portuguese(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/auth/me", headers={"Accept-Language": "pt-BR,pt;q=0.9"})
    assert answer.json() == problem(401, "Não autenticado", "Não autenticado.", "unauthenticated")
    assert answer.headers["content-language"] == "pt-BR"


async def test_forbidden(api: ClientOf, user: Member) -> None:
    answer = await api(user).get("/api/admin/users")
    expected = problem(403, "Forbidden", "Only an administrator may do this.", "administrator_required")
    assert (answer.status_code, answer.json()) == (403, expected)


async def test_forbidden_in_portuguese_and_spanish(api: ClientOf, user: Member) -> None:
    client = api(user)
    portuguese = await client.get("/api/admin/users", headers={"Accept-Language": "pt"})
    spanish = await client.get("/api/admin/users", headers={"Accept-Language": "es-AR"})
    assert portuguese.json()["detail"] == "Somente um administrador pode fazer isto."
    assert spanish.json()["detail"] == "Solo un administrador puede hacer esto."


async def test_not_found(api: ClientOf, user: Member) -> None:
    answer = await api(user).delete("/api/auth/sessions/999999999")
    expected = problem(404, "Not found", "No session 999999999 was found.", "not_found")
    assert (answer.status_code, answer.json()) == (404, expected)


async def test_not_found_in_portuguese(api: ClientOf, user: Member) -> None:
    answer = await api(user).delete("/api/auth/sessions/999999999", headers={"Accept-Language": "pt-BR"})
    expected = problem(404, "Não encontrado", "Não foi encontrado: sessão 999999999", "not_found")
    assert answer.json() == expected


async def test_id_that_no_row_can_have(api: ClientOf, user: Member) -> None:
    answer = await api(user).delete(f"/api/auth/sessions/{10**30}")
    expected = problem(404, "Not found", f"No session {10**30} was found.", "not_found")
    assert (answer.status_code, answer.json()) == (404, expected)


async def test_unknown_route(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/nowhere")
    expected = problem(404, "Not found", "No such address was found.", "unknown_route")
    assert (answer.status_code, answer.json()) == (404, expected)


async def test_method_not_allowed(client: httpx.AsyncClient) -> None:
    answer = await client.put("/api/auth/login", json={})
    expected = problem(405, "Method not allowed", "This address takes only OPTIONS, POST.", "method_not_allowed")
    assert (answer.status_code, answer.json()) == (405, expected)
    assert answer.headers["allow"] == "OPTIONS, POST"


async def test_conflict(failing: httpx.AsyncClient) -> None:
    answer = await failing.get("/fail?kind=conflict")
    expected = problem(409, "Conflict", "The plan is still used by 2 users.", "plan_in_use")
    assert (answer.status_code, answer.json()) == (409, expected)


async def test_conflict_in_portuguese(failing: httpx.AsyncClient) -> None:
    answer = await failing.get("/fail?kind=conflict", headers={"Accept-Language": "pt-BR"})
    assert answer.json() == problem(409, "Conflito", "O plano ainda é usado por 2 usuários.", "plan_in_use")


REACHED: dict[str, object] = {"limit": "numbers", "allowed": 1, "plans": []}


async def test_plan_limit(failing: httpx.AsyncClient) -> None:
    answer = await failing.get("/fail?kind=plan")
    expected = problem(402, "Plan limit reached", "The plan allows 1 number at a time.", "plan_limit")
    assert (answer.status_code, answer.json()) == (402, {**expected, **REACHED})


async def test_plan_limit_in_spanish(failing: httpx.AsyncClient) -> None:
    answer = await failing.get("/fail?kind=plan", headers={"Accept-Language": "es"})
    expected = problem(402, "Límite del plan alcanzado", "El plan permite 1 número a la vez.", "plan_limit")
    assert answer.json() == {**expected, **REACHED}


async def test_precondition(failing: httpx.AsyncClient) -> None:
    answer = await failing.get("/fail?kind=precondition")
    detail = "It was changed meanwhile: read it again and repeat."
    expected = problem(412, "Changed meanwhile", detail, "precondition_failed")
    assert (answer.status_code, answer.json()) == (412, expected)


async def test_body_too_large(client: httpx.AsyncClient) -> None:
    body = b'"' + b"a" * 2**20 + b'"'
    answer = await client.post("/api/auth/login", content=body, headers={"Content-Type": "application/json"})
    expected = problem(413, "Too large", "The request's body is too large.", "too_large")
    assert (answer.status_code, answer.json()) == (413, expected)


async def test_wrong_content_type(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/auth/login", data={"email": "ana@example.com"})
    detail = "Send the body as application/json, with that Content-Type."
    expected = problem(415, "Unsupported media type", detail, "unsupported_media_type")
    assert (answer.status_code, answer.json()) == (415, expected)


async def test_wrong_content_type_in_portuguese(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/auth/login", content=b"{}", headers={"Accept-Language": "pt-BR"})
    detail = "Envie o corpo como application/json, com esse Content-Type."
    assert answer.json() == problem(415, "Tipo de mídia não suportado", detail, "unsupported_media_type")


async def test_malformed_json(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/auth/login", content=b"{", headers={"Content-Type": "application/json"})
    expected = problem(400, "Malformed request", "The body is not valid JSON.", "malformed_json")
    assert (answer.status_code, answer.json()) == (400, expected)


async def test_all_invalid_fields(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/auth/register", json={"email": "ana", "password": "short", "timezone": "Mars/X"})
    errors = {
        "email": ["Must be an e-mail address."],
        "name": ["This field is required."],
        "password": ["Must have at least 8 characters."],
        "timezone": ["Must be a time zone, such as America/Sao_Paulo."],
    }
    expected = problem(422, "Invalid input", "Must be an e-mail address.", "invalid_input", errors)
    assert (answer.status_code, answer.json()) == (422, expected)


async def test_all_invalid_fields_in_portuguese(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/api/auth/register", json={"email": "ana", "name": 5}, headers={"Accept-Language": "pt-BR"}
    )
    errors = {
        "email": ["Deve ser um endereço de e-mail."],
        "name": ["Deve ser um texto."],
        "password": ["Este campo é obrigatório."],
    }
    assert answer.json() == problem(422, "Dados inválidos", "Deve ser um endereço de e-mail.", "invalid_input", errors)


async def test_missing_body_names_required_fields(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/auth/login")
    required = ["This field is required."]
    expected = problem(422, "Invalid input", required[0], "invalid_input", {"email": required, "password": required})
    assert (answer.status_code, answer.json()) == (422, expected)


async def test_missing_body_of_optional_fields(api: ClientOf, user: Member) -> None:
    answer = await api(user).patch("/api/auth/me")
    expected = problem(
        422, "Invalid input", "A JSON body is required.", "invalid_input", {"body": ["A JSON body is required."]}
    )
    assert (answer.status_code, answer.json()) == (422, expected)


async def test_bug_shows_nothing_and_is_logged_with_the_request_id(monkeypatch: pytest.MonkeyPatch) -> None:
    # A logger that has been used keeps the configuration it found, which other tests replace.
    monkeypatch.setattr("core.problems._log", structlog.get_logger("core.problems"))
    with capture_logs() as lines:
        rendered = render(FAILURES["bug"], request_id="abc123")
    detail = "Something went wrong on our side. The request's id is abc123."
    assert rendered.body.decode() == (
        '{"type":"about:blank","title":"Internal error","status":500,'
        f'"detail":"{detail}","message":"{detail}","errors":{{}},"code":"internal_error"}}'
    )
    assert [(line["event"], line["request_id"]) for line in lines] == [("request_failed", "abc123")]


async def test_bug_over_http(failing: httpx.AsyncClient) -> None:
    answer = await failing.get("/fail?kind=bug", headers={"Accept-Language": "pt-BR"})
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_error"
    assert "hunter2" not in answer.text
    assert answer.json()["detail"].startswith("Algo deu errado do nosso lado.")


async def test_provider_failure_tells_its_name(failing: httpx.AsyncClient) -> None:
    answer = await failing.get("/fail?kind=provider")
    detail = "The service behind waha did not do what was asked."
    assert (answer.status_code, answer.json()) == (502, problem(502, "Provider failed", detail, "provider_failed"))


async def test_uncaught_provider_failure_tells_no_body(failing: httpx.AsyncClient) -> None:
    answer = await failing.get("/fail?kind=provider-busy")
    assert (answer.status_code, answer.json()["code"]) == (502, "provider_failed")
    assert "html" not in answer.text
    assert answer.headers["retry-after"] == "7"


async def test_unknown_provider(failing: httpx.AsyncClient) -> None:
    answer = await failing.get("/unknown-provider")
    detail = "No plugin that is enabled offers telegram."
    assert (answer.status_code, answer.json()) == (502, problem(502, "Provider failed", detail, "no_such_provider"))


async def test_not_ready(failing: httpx.AsyncClient) -> None:
    answer = await failing.get("/fail?kind=not-ready")
    detail = "Something the platform stands on does not answer: redis."
    assert (answer.status_code, answer.json()) == (503, problem(503, "Not ready", detail, "not_ready"))
    assert answer.headers["retry-after"] == "5"


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("provider-key", 502, "provider_failed"),
        ("unique", 409, "already_exists"),
        ("deadlock", 409, "try_again"),
        ("value", 422, "invalid_input"),
        ("database", 503, "not_ready"),
        ("redis", 503, "not_ready"),
        ("teapot", 400, "malformed_request"),
        ("framework", 500, "internal_error"),
    ],
)
async def test_what_a_library_raises(failing: httpx.AsyncClient, kind: str, status: int, code: str) -> None:
    answer = await failing.get("/fail", params={"kind": kind})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "example.com" not in answer.text


async def test_missing_query_parameter(failing: httpx.AsyncClient) -> None:
    answer = await failing.get("/fail")
    expected = problem(
        422, "Invalid input", "This field is required.", "invalid_input", {"kind": ["This field is required."]}
    )
    assert (answer.status_code, answer.json()) == (422, expected)


def test_responses_for_the_description() -> None:
    specs = problem_responses(404, 422)
    assert {status: spec.description for status, spec in specs.items()} == {404: "Not found", 422: "Invalid input"}


def test_example() -> None:
    assert example_of(409).code == "conflict"
