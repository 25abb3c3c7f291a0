"""Languages: the one a caller gets, and that every text exists in each."""

import ast
import re
from pathlib import Path
from typing import get_args

import pytest

import core
from core.notifications.alarms import Kind
from core.plugin.errors import ProviderError
from core.texts import LANGUAGES, alarm_text, catalog, error_text, localize, negotiate, text, title_text

CORE = Path(str(core.__file__)).parent
PROVIDER_CODES = {ProviderError.code, *(kind.code for kind in ProviderError.__subclasses__())}
"""Shown under the title of the one HTTP error that carries them."""

SOURCES = [
    path
    for path in sorted(CORE.rglob("*.py"))
    if not path.is_relative_to(CORE / "plugin") or path == CORE / "plugin" / "errors.py"
]
TRANSLATED = [language for language in LANGUAGES if language != "en"]


def error_classes() -> dict[str, str]:
    """The code of every class of errors that HTTP may show, with the place where it stands."""
    return {
        statement.value.value: f"{path}:{node.name}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and node.name.endswith("Error")
        for statement in node.body
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "code"
        if isinstance(statement.value, ast.Constant) and isinstance(statement.value.value, str)
    }


def error_codes() -> set[str]:
    """Every code an HTTP error may carry: of the classes, and given where an error is raised."""
    codes = set(error_classes())
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Error"):
                codes |= {str(value.value) for value in _keyword(node, "code")}
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).endswith(".code"):
                codes |= {str(node.value.value)} if isinstance(node.value, ast.Constant) else set()
    return codes


def _keyword(call: ast.Call, name: str) -> list[ast.Constant]:
    return [item.value for item in call.keywords if item.arg == name and isinstance(item.value, ast.Constant)]


def literal_arguments(function: str) -> set[str]:
    """The first arguments of every call of ``function`` in core, where they are written out."""
    found: set[str] = set()
    for path in CORE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == function and node.args:
                first = node.args[0]
                found |= {first.value} if isinstance(first, ast.Constant) and isinstance(first.value, str) else set()
    return found


def untranslated_sentences(path: Path) -> list[str]:
    """Where a domain hands a user an English sentence that no catalogue knows."""
    return [
        f"{path}:{part.lineno}"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for part in told(node)
        if any(map(is_sentence, ast.walk(part)))
    ]


def told(node: ast.AST) -> list[ast.expr]:
    """What a node says about fields: the arguments of an error, or what is kept to become one."""
    match node:
        case ast.Call(func, args) if ast.unparse(func) in FIELD_ERRORS or ast.unparse(func).endswith(".append"):
            return args
        case ast.Assign([target], value) if ast.unparse(target).startswith("errors["):
            return [value]
        case ast.Yield(ast.Tuple(parts)):
            return parts
    return []


def is_sentence(node: ast.AST) -> bool:
    """Whether a text has several words; keys and names of fields have one, and SQL is written in capitals."""
    if isinstance(node, ast.JoinedStr):
        written = "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        written = node.value
    else:
        return False
    return bool(re.fullmatch(r"[A-Z][a-z]*\s.*[.:!]", written, re.DOTALL))


FIELD_ERRORS = {
    *("InvalidInputError", "ValueError", "UnusableNumberError", "UnreadableFileError", "UnknownMappingError"),
    *("Refusal", "TemplateError", "Failure", "JobFailedError"),
}
"""Errors whose texts stand under a field, and have no code that a translation could be found by."""

DOMAIN_SOURCES = [
    path
    for path in SOURCES
    if (path.parent / "piccolo_app.py").exists() or path.name in {"pagination.py", "request.py", "validation.py"}
]


def test_no_field_is_refused_in_english_alone() -> None:
    assert len(DOMAIN_SOURCES) > 50
    assert [place for path in DOMAIN_SOURCES for place in untranslated_sentences(path)] == []


@pytest.mark.parametrize(
    "line",
    [
        'raise InvalidInputError({"labels": ["Name a label."]})',
        'errors["number"] = ["Name a number."]',
        'errors.setdefault("a", []).append(f"There is no number {number}.")',
        'raise ValueError(f"Name {what} first.")',
        'def f():\n    yield "messages", "One message."',
    ],
)
def test_an_english_sentence_is_noticed(tmp_path: Path, line: str) -> None:
    path = tmp_path / "services.py"
    path.write_text(line)
    assert len(untranslated_sentences(path)) == 1


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_error_is_translated(language: str) -> None:
    assert error_codes() - catalog(language)["errors"].keys() == set()


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_title_is_translated(language: str) -> None:
    assert error_classes().keys() - PROVIDER_CODES - catalog(language)["titles"].keys() == set()


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_noun_is_translated(language: str) -> None:
    assert literal_arguments("NotFoundError") - catalog(language)["nouns"].keys() - {"such address"} == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_field_text_exists(language: str) -> None:
    assert literal_arguments("text") - catalog(language)["fields"].keys() == set()


@pytest.mark.parametrize("language", TRANSLATED)
def test_catalogues_have_the_same_keys_and_placeholders(language: str) -> None:
    english, other = catalog("en"), catalog(language)
    for table in ("fields", "types"):
        assert other[table].keys() == english[table].keys()
        for key, template in english[table].items():
            assert placeholders(other[table][key]) == placeholders(template), key


def test_translations_have_the_same_codes_and_placeholders() -> None:
    first, second = (catalog(language) for language in TRANSLATED)
    for table in ("titles", "errors", "nouns"):
        assert first[table].keys() == second[table].keys()
        for key, template in first[table].items():
            assert placeholders(second[table][key]) == placeholders(template), key


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_reason_not_to_send_is_translated(language: str) -> None:
    assert catalog(language)["blockers"].keys() == catalog("en")["blockers"].keys()


def test_no_code_is_left_over() -> None:
    assert catalog("es")["errors"].keys() - error_codes() == set()


def placeholders(template: str) -> set[str]:
    return set(re.findall(r"{(\w+)}", template))


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("pt-BR", "pt-BR"),
        ("pt", "pt-BR"),
        ("PT-pt;q=0.8, en;q=0.5", "pt-BR"),
        ("en;q=0.4, es-MX;q=0.7", "es"),
        ("fr, de;q=0.9", "en"),
        ("fr, es;q=0.1", "es"),
        ("*", "en"),
        ("es;q=0", "en"),
        ("es;q=abc, pt", "pt-BR"),
        ("es;q=nan", "en"),
        (";;;,,,=", "en"),
        ("pt," * 100_000, "pt-BR"),
    ],
)
def test_negotiation(header: str, language: str) -> None:
    assert negotiate(header) == language


def test_field_text_is_english_and_translates() -> None:
    message = text("choice", allowed="a, b")
    assert message == "Must be one of: a, b."
    assert localize(message, "pt-BR") == "Deve ser um destes: a, b."
    assert localize(message, "es") == "Debe ser uno de: a, b."


def test_words_inside_a_text_translate() -> None:
    assert localize(text("type", expected="int"), "pt-BR") == "Deve ser um número inteiro."


def test_plain_message_stays() -> None:
    assert localize("Own words.", "es") == "Own words."


def test_error_text() -> None:
    params: dict[str, object] = {"what": "campaign", "identifier": 5}
    assert error_text("not_found", "No campaign 5 was found.", params, "es") == "No se encontró: campaña 5"
    assert error_text("not_found", "No campaign 5 was found.", params, "en") == "No campaign 5 was found."


def test_error_without_translation_stays_english() -> None:
    assert error_text("no_such_code", "In English.", {}, "es") == "In English."


def test_error_without_its_parameters_stays_english() -> None:
    assert error_text("not_found", "In English.", {}, "es") == "In English."


def test_title() -> None:
    assert title_text("conflict", "Conflict", "es") == "Conflicto"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_alarm_has_its_text(language: str) -> None:
    assert set(catalog(language)["alarms"]) == set(get_args(Kind))
    for kind in get_args(Kind):
        assert "{" not in alarm_text(kind, {"name": "a", "reason": "b"}, language)
