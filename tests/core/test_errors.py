"""The classes of errors, and that the documentation lists every code with its status."""

import re
from pathlib import Path

import pytest

from core import errors
from core.errors import InvalidInputError, MethodError, NotFoundError, PlatformError, ProviderFailedError
from core.texts import text
from tests.core.test_texts import error_codes

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "reference" / "errors.md"


def documented() -> dict[str, int]:
    rows = re.findall(r"^\| `(\w+)` \| (\d{3}) \|", DOCUMENTATION.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {code: int(status) for code, status in rows}


def test_every_code_is_documented() -> None:
    assert documented().keys() == error_codes()


def test_documented_statuses_are_those_of_the_classes() -> None:
    classes = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, PlatformError)]
    for kind in classes:
        assert documented()[kind.code] == kind.status_code


def test_not_found_names_what_and_which() -> None:
    assert str(NotFoundError("campaign", 5)) == "No campaign 5 was found."
    assert str(NotFoundError("campaign")) == "No campaign was found."


@pytest.mark.parametrize(
    ("fields", "message", "expected"),
    [
        ({"a": ["First."], "b": ["Second."]}, "", "First."),
        ({"a": ["First."]}, "Of its own.", "Of its own."),
        ({}, "", "The input is not valid."),
    ],
)
def test_invalid_input_says_the_first(fields: dict[str, list[str]], message: str, expected: str) -> None:
    assert str(InvalidInputError(fields, message)) == expected


def test_invalid_input_keeps_translatable_texts() -> None:
    error = InvalidInputError({"email": (text("taken"),)})
    assert error.errors == {"email": ["Is already taken."]}
    assert error.errors["email"][0].key == "taken"  # type: ignore[attr-defined]


def test_code_of_one_case() -> None:
    assert (PlatformError("x", code="special").code, PlatformError("x").code) == ("special", "internal_error")


def test_method_error() -> None:
    assert str(MethodError("GET, OPTIONS")) == "This address takes only GET, OPTIONS."


def test_provider_failure_tells_the_name_alone() -> None:
    error = ProviderFailedError("waha", code="provider_unavailable", retry_after=3)
    assert (str(error), error.retry_after) == ("The service behind waha did not do what was asked.", 3)
