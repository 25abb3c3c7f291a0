from typing import Annotated, Literal

import msgspec
import pytest

from core.plugin import Secret, Settings
from core.plugin.validation import Problem, describe_type, resolve_secret, validate_table


class Inner(msgspec.Struct, frozen=True, kw_only=True):
    url: str
    key: Secret | None = None


class Example(Settings, frozen=True):
    token: Secret
    limit: Annotated[int, msgspec.Meta(ge=1)] = 5
    ratio: float = 1.0
    mode: Literal["slow", "fast"] = "slow"
    inner: Inner | None = None
    servers: tuple[Inner, ...] = ()
    older_tokens: tuple[Secret, ...] = ()


def _told(values: dict[str, object]) -> list[str]:
    built, problems = validate_table(Example, values, "plugins.example")
    assert built is None
    return sorted(str(problem) for problem in problems)


def test_valid_values_build_the_struct() -> None:
    values = {"token": "t", "ratio": 2, "inner": {"url": "a"}, "servers": [{"url": "b", "key": "k"}]}

    built, problems = validate_table(Example, values, "plugins.example")

    assert problems == []
    assert built == Example(
        token=Secret("t"), ratio=2.0, inner=Inner(url="a"), servers=(Inner(url="b", key=Secret("k")),)
    )


def test_every_problem_is_named_with_its_place() -> None:
    told = _told(
        {"limit": 0, "mode": "odd", "tokne": "x", "inner": {"uri": "a"}, "servers": [{"url": 1}, 7, {"url": "b"}]}
    )

    assert told == [
        "[plugins.example.inner] uri: is not known; did you mean url?",
        "[plugins.example.inner] url: is missing: write url = a string in quotes",
        "[plugins.example.servers (entry 1)] url: Expected `str`, got `int`; write a string in quotes",
        "[plugins.example.servers]: entry 2 is no table",
        "[plugins.example] limit: Expected `int` >= 1; write a whole number",
        '[plugins.example] mode: Invalid enum value \'odd\'; write "slow" or "fast"',
        '[plugins.example] token: is missing: write token = { env = "NAME" } or { file = "path" }',
        "[plugins.example] tokne: is not known; did you mean token?",
    ]


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("limit", True, "Expected `int`, got `bool`; write a whole number"),
        ("limit", "5", "Expected `int`, got `str`; write a whole number"),
        ("ratio", "1", "Expected `float`, got `str`; write a number"),
        ("inner", "x", "Expected `object | null`, got `str`; write a table"),
        ("servers", {}, "Expected `array`, got `object`; write a list: [...]"),
        ("token", "", 'write { env = "NAME" } or { file = "path" }'),
    ],
)
def test_wrong_types_say_what_to_write(key: str, value: object, told: str) -> None:
    assert _told({"token": "t", key: value}) == [f"[plugins.example] {key}: {told}"]


def test_a_value_of_a_secret_is_never_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ABSENT", raising=False)

    for value in ({"env": "ABSENT", "default": "hidden"}, ["hidden"], {"env": "ABSENT"}):
        with pytest.raises(ValueError, match="env") as caught:
            resolve_secret(value)
        assert "hidden" not in str(caught.value)


def test_a_list_of_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEW", "first")
    monkeypatch.delenv("ABSENT", raising=False)
    listed: dict[str, object] = {"token": {"env": "NEW"}, "older_tokens": [{"env": "NEW"}, "second"]}

    built, problems = validate_table(Example, listed, "plugins.example")

    assert problems == []
    assert built is not None
    assert built.older_tokens == (Secret("first"), Secret("second"))
    assert _told({**listed, "older_tokens": [{"env": "ABSENT"}]}) == [
        "[plugins.example] older_tokens: the environment variable ABSENT is not set: export ABSENT=..."
    ]
    assert "a list: [...]" in _told({**listed, "older_tokens": "second"})[0]


@pytest.mark.parametrize(
    ("annotation", "written"),
    [
        (int, "a whole number"),
        (bool, "true or false"),
        (Secret | None, '{ env = "NAME" } or { file = "path" }'),
        (tuple[str, ...], "a list: [...]"),
        (dict[str, int], "a table"),
        (Inner, "a table"),
        (Annotated[str, msgspec.Meta(min_length=1)], "a string in quotes"),
        (bytes, "a value"),
    ],
)
def test_types_are_described_in_toml(annotation: object, written: str) -> None:
    assert describe_type(annotation) == written


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem("server", "port", "is odd"), "[server] port: is odd"),
        (Problem("server", "", "is odd"), "[server]: is odd"),
        (Problem("", "server", "is odd"), "server: is odd"),
        (Problem("", "", "is odd"), "is odd"),
    ],
)
def test_a_problem_names_its_place(problem: Problem, text: str) -> None:
    assert str(problem) == text
