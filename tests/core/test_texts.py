"""Languages: the one a caller gets, and that the code and the catalogue have the same texts."""

import ast
import re
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest
from litestar import Litestar

import core
from core import errors
from core.campaigns.tables import CampaignStatus
from core.errors import PaymentDeclinedError, PlatformError
from core.media.tables import MediaState
from core.notifications.alarms import Kind
from core.notifications.kinds import KINDS
from core.numbers.states import SILENT
from core.payments.return_page import OUTCOMES
from core.plugin import PaymentFailure, SenderState, SubscriptionStatus
from core.plugin.errors import ProviderError
from core.texts import (
    COUNTS,
    LANGUAGES,
    _translations,
    alarm_text,
    error_text,
    load,
    localize,
    negotiate,
    sources,
    text,
    title_text,
)

CORE = Path(str(core.__file__)).parent
PROVIDER_CODES = {ProviderError.code, *(kind.code for kind in ProviderError.__subclasses__())} - {
    PaymentDeclinedError.code
}
"""Shown under the title of the one HTTP error that carries them; a declined payment has one of its own."""

SOURCES = [
    path
    for path in sorted(CORE.rglob("*.py"))
    if not path.is_relative_to(CORE / "plugin") or path.name in {"errors.py", "payments.py"}
]
ERROR_CLASSES = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, PlatformError) and "title" in vars(kind)
]


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


def keyword_arguments(function: str, name: str) -> set[str]:
    """What every call of ``function`` in core passes as ``name``, where it is written out."""
    return {
        str(value.value)
        for path in CORE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == function
        for value in _keyword(node, name)
    }


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
        case ast.Assign([ast.Name() | ast.Tuple() as target], value) if not ast.unparse(target).isupper():
            parts = value.elts if isinstance(value, ast.Tuple) else [value]
            return [part for part in parts if isinstance(part, ast.Constant | ast.JoinedStr)]
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
    *("Refusal", "TemplateError", "Failure", "JobFailedError", "OutboundError"),
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
        'reason, told = code, f"The file {name} is gone."',
        'def f():\n    yield "messages", "One message."',
    ],
)
def test_an_english_sentence_is_noticed(tmp_path: Path, line: str) -> None:
    path = tmp_path / "services.py"
    path.write_text(line)
    assert len(untranslated_sentences(path)) == 1


def keys(table: str) -> set[str]:
    return {key for name, key in sources() if name == table}


def test_every_error_has_a_text() -> None:
    assert error_codes() == keys("errors")


def test_every_class_of_errors_has_a_title() -> None:
    assert error_classes().keys() - PROVIDER_CODES == keys("titles")


@pytest.mark.parametrize("kind", ERROR_CLASSES)
def test_titles_are_those_of_the_classes(kind: type[PlatformError]) -> None:
    assert sources()["titles", kind.code] == (kind.title,)


def test_every_noun_exists() -> None:
    assert literal_arguments("NotFoundError") - keys("nouns") == set()


def test_every_parameter_of_an_address_is_a_noun(app: Litestar) -> None:
    """An id that no row can have is told by the parameter's name."""
    found = {name.removesuffix("_id") for route in app.routes for name in re.findall(r"{(\w+)", route.path_format)}
    assert {"campaign", "media", "token"} <= found
    assert found - keys("nouns") == set()


def test_every_field_text_exists() -> None:
    found = literal_arguments("text")
    assert len(found) > 100
    assert found - keys("fields") == set()


def test_every_status_and_verb_of_a_campaign_exists() -> None:
    assert {status.name.lower() for status in CampaignStatus} == keys("states")
    assert keyword_arguments("expect", "verb") | keyword_arguments("services.expect", "verb") == keys("verbs")


def test_every_alarm_exists() -> None:
    assert keys("alarms") == set(get_args(Kind))


def test_no_text_is_left_over() -> None:
    written = {
        node.value
        for path in CORE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    composed = {f"file_{state.value}" for state in MediaState} | {
        f"return_{outcome}_{part}" for outcome in OUTCOMES for part in ("title", "body")
    }
    composed |= {f"{kind}_{part}" for kind in KINDS for part in PARTS} | TITLES
    composed |= set(SenderState) | set(SubscriptionStatus)
    assert [f"{table}.{key}" for table, key in sources() if key not in written | composed | WRITTEN_BY_SQL] == []


WRITTEN_BY_SQL = {"audience_gone", "database_restored", "moved"}
PARTS = literal_arguments("notice") | {"title", "many", "otherwise"}
"""What a kind of notification has texts for."""
TITLES = {"import_finished_title_failed", "import_finished_title_canceled", "campaign_paused_title_stopped"}


def test_every_kind_of_notification_has_its_texts() -> None:
    """Which of its further texts it needs, the examples of every kind tell."""
    listed = {kind.name for kind in KINDS.values() if kind.listed}
    assert {f"{name}_title" for name in listed} <= keys("notices")
    assert {f"{name}_many" for name, kind in KINDS.items() if kind.folds} <= keys("emails")
    assert {f"{name}_{part}" for name in KINDS.keys() - listed for part in ("title", "text", "otherwise")} <= keys(
        "emails"
    )


def test_every_state_of_a_number_and_every_refused_payment_has_its_words() -> None:
    assert set(SenderState) | {SILENT, "moved"} == keys("connections")
    assert {*get_args(PaymentFailure)} - {"other"} == keys("failures")


def raised() -> list[tuple[str, str, str]]:
    """Each English sentence that an error is raised with: where, its code, and the sentence with x for each value."""
    return [
        (f"{path}:{call.lineno}", code, sentence)
        for path in SOURCES
        for call, code in coded_calls(ast.parse(path.read_text(encoding="utf-8")))
        for sentence in [written_out(call.args[-1 if ast.unparse(call.func) == "PlatformError.__init__" else 0])]
        if sentence
    ]


def coded_calls(tree: ast.Module) -> list[tuple[ast.Call, str]]:
    """The calls that give an error its sentence, with the code it has."""
    calls = [(node, "") for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    calls = [(call, CODES.get(ast.unparse(call.func), "")) for call, _ in calls]
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name in OWN_CODES:
            calls += [
                (call, OWN_CODES[node.name])
                for call in ast.walk(node)
                if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(".__init__") and call.args
            ]
    return [(call, next((str(value.value) for value in _keyword(call, "code")), code)) for call, code in calls if code]


def written_out(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


OWN_CODES = {place.rpartition(":")[2]: code for code, place in error_classes().items()}
CODES = {
    name: code
    for name, code in OWN_CODES.items()
    if name not in {"NotFoundError", "MethodError", "ContentTypeError", "ProviderFailedError"}
    if code not in PROVIDER_CODES
}
"""Of the classes whose first argument is the sentence that HTTP shows."""


def test_errors_are_raised_with_the_sentence_of_the_catalogue() -> None:
    assert len(raised()) > 80
    assert [
        (place, code, sentence)
        for place, code, sentence in raised()
        if not any(matches(template, sentence) for template in sources()["errors", code])
    ] == []


def matches(template: str, sentence: str) -> bool:
    parts = [
        re.escape(written) + ("" if name is None else "(.*)") for written, name, _, _ in Formatter().parse(template)
    ]
    return re.fullmatch("".join(parts), sentence) is not None


def test_a_text_that_counts_gets_a_number() -> None:
    for table, key in sources():
        forms = sources()[table, key]
        if len(forms) > 1 and table != "nouns":
            assert all(placeholders(form) & set(COUNTS) for form in forms), key


def test_one_and_many() -> None:
    params: dict[str, object] = {"allowed": 1, "limit": "contacts"}
    assert error_text("plan_limit", "", params, "en") == "The plan allows 1 contact at a time."
    assert error_text("plan_limit", "", params | {"allowed": 2}, "en") == "The plan allows 2 contacts at a time."
    assert error_text("plan_limit", "", params, "es") == "El plan permite 1 contacto a la vez."
    assert text("max_items", value=1) == "Must have at most 1 entry."
    assert text("max_items", value="2") == "Must have at most 2 entries."


@pytest.mark.parametrize(("language", "shown"), [("pt-BR", "segundo"), ("es", "segundos"), ("en", "seconds")])
def test_the_catalogue_says_which_form_a_number_takes(language: str, shown: str) -> None:
    """Nought is singular in Brazilian Portuguese alone, as its ``Plural-Forms`` says."""
    assert error_text("sign_in_locked", "", {"seconds": 0}, language).rpartition(" ")[2] == f"{shown}."


def test_a_count_that_is_missing_is_noticed() -> None:
    with pytest.raises(KeyError):
        text("max_items")


def placeholders(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name is not None}


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


def test_a_text_inside_a_text_translates() -> None:
    message = text("file_not_fetched", reason=text("outbound_lost"))
    assert message == "The file could not be fetched: the connection was lost."
    assert localize(message, "es") == "No se pudo descargar el archivo: se perdió la conexión."


def test_a_catalogue_is_read_once() -> None:
    load()
    read = (sources.cache_info().misses, _translations.cache_info().misses)
    for language in LANGUAGES:
        localize(text("required"), language)
    assert (sources.cache_info().misses, _translations.cache_info().misses) == read
    assert read[1] <= len(LANGUAGES)


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
def test_every_alarm_fills_its_placeholders(language: str) -> None:
    for kind in get_args(Kind):
        names = ("name", "reason", "gateway", "concerns", "asked", "status", "until", "minutes", "free", "gigabytes")
        detail = dict.fromkeys((*names, "user", "id"), "a")
        assert "{" not in alarm_text(kind, detail, language)
