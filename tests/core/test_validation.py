"""Every invalid field of a body at once."""

from datetime import datetime
from decimal import Decimal
from enum import IntEnum
from typing import Annotated, Literal
from uuid import UUID

import msgspec
import pytest
from msgspec import UNSET, Meta, UnsetType

from core.errors import InvalidInputError
from core.texts import text
from core.validation import explain_message, validate

REQUIRED = ["This field is required."]


class Kind(IntEnum):
    TEXT = 1
    IMAGE = 2


class Message(msgspec.Struct, forbid_unknown_fields=True):
    content: Annotated[str, Meta(min_length=1, max_length=5)]
    kind: Kind = Kind.TEXT


class Campaign(msgspec.Struct):
    name: Annotated[str, Meta(min_length=2)]
    messages: Annotated[list[Message], Meta(min_length=1, max_length=2)]
    first: Message | None = None
    speed: Annotated[int, Meta(ge=1, le=10)] | UnsetType = UNSET
    mode: Literal["slow", "fast"] = "slow"
    variables: dict[str, str] = {}
    ids: list[int] = []


class Everything(msgspec.Struct):
    above: Annotated[int, Meta(gt=1)] = 2
    below: Annotated[float, Meta(lt=1)] = 0
    multiple: Annotated[int, Meta(multiple_of=5)] = 5
    form: Annotated[str, Meta(pattern="^a")] = "a"
    moment: Annotated[datetime, Meta(tz=True)] | None = None
    amount: Decimal = Decimal(0)
    key: UUID | None = None
    pair: Annotated[list[int], Meta(max_length=1)] = []
    flag: bool = False


class Checked(msgspec.Struct):
    low: int
    high: int

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(text("invalid"))


def errors_of(annotation: object, value: object) -> dict[str, list[str]]:
    with pytest.raises(InvalidInputError) as caught:
        validate(annotation, value)
    return caught.value.errors


def test_good_value_is_converted() -> None:
    assert validate(Message, {"content": "hi", "kind": 2}) == Message("hi", Kind.IMAGE)


def test_every_missing_field() -> None:
    assert errors_of(Campaign, {}) == {"name": REQUIRED, "messages": REQUIRED}


def test_nested_places() -> None:
    value = {
        "name": "ok",
        "messages": [{"content": ""}, {"content": "too long", "kind": 9}],
        "first": {"kind": "x", "more": 1},
    }
    assert errors_of(Campaign, value) == {
        "messages.0.content": REQUIRED,
        "messages.1.content": ["Must have at most 5 characters."],
        "messages.1.kind": ["Must be one of: 1, 2."],
        "first.content": REQUIRED,
        "first.kind": ["Must be a whole number."],
        "first.more": ["This field is not known."],
    }


def test_length_of_a_list_beside_its_items() -> None:
    value = {"name": "ok", "messages": [{"content": "a"}, {}, {"content": "b"}]}
    assert errors_of(Campaign, value) == {
        "messages.1.content": REQUIRED,
        "messages": ["Must have at most 2 entries."],
    }


def test_places_inside_plain_lists_and_tables() -> None:
    value = {"name": "ok", "messages": [{"content": "a"}], "ids": [1, "x"], "variables": {"a": 1}}
    assert errors_of(Campaign, value) == {"ids.1": ["Must be a whole number."], "variables": ["Must be a text."]}


@pytest.mark.parametrize("value", [5, "x", [], None, True])
def test_body_that_is_no_object(value: object) -> None:
    assert errors_of(Campaign, value) == {"body": ["Must be an object."]}


def test_numbers_as_text_are_refused() -> None:
    value = {"name": "ok", "messages": [{"content": "a"}], "speed": "3"}
    assert errors_of(Campaign, value) == {"speed": ["Must be a whole number."]}


def test_optional_field_takes_null() -> None:
    value = {"name": "ok", "messages": [{"content": "a"}], "first": None}
    assert validate(Campaign, value) == Campaign("ok", [Message("a")])


def test_field_that_may_be_left_out_takes_no_null() -> None:
    value = {"name": "ok", "messages": [{"content": "a"}], "speed": None}
    assert errors_of(Campaign, value) == {"speed": ["Must be a whole number."]}


def test_every_kind_of_limit() -> None:
    value = {
        "above": 1,
        "below": 1,
        "multiple": 3,
        "form": "b",
        "moment": "2026-01-31T09:00:00",
        "amount": "much",
        "key": "x",
        "pair": [1, 2],
        "flag": "yes",
    }
    assert errors_of(Everything, value) == {
        "above": ["Must be at least 2."],
        "below": ["Must be less than 1.0."],
        "multiple": ["Must be a multiple of 5."],
        "form": ["Does not have the required form."],
        "moment": ["Must be a date and time with its zone, such as 2026-01-31T09:00:00Z."],
        "amount": ["Must be a decimal number in quotes."],
        "key": ["Must be a UUID."],
        "pair": ["Must have at most 1 entry."],
        "flag": ["Must be true or false."],
    }


def test_choices_are_listed() -> None:
    value = {"name": "ok", "messages": [{"content": "a"}], "mode": "warp"}
    assert errors_of(Campaign, value) == {"mode": ["Must be one of: slow, fast."]}


def test_check_of_a_whole_struct() -> None:
    assert errors_of(Checked, {"low": 2, "high": 1}) == {"body": ["Is not valid."]}


def test_own_text_and_check_of_a_field() -> None:
    annotation = Annotated[
        str, Meta(pattern="^[a-z]+$", extra={"text": "timezone", "check": lambda text: text == "utc"})
    ]
    kind = msgspec.defstruct("Zone", [("zone", annotation)])
    expected = {"zone": ["Must be a time zone, such as America/Sao_Paulo."]}
    assert errors_of(kind, {"zone": "UTC"}) == expected
    assert errors_of(kind, {"zone": "brt"}) == expected
    assert validate(kind, {"zone": "utc"}) == kind("utc")


def test_nul_anywhere() -> None:
    value = {"name": "a\0b", "messages": [{"content": "\0"}], "variables": {"k\0": "v"}}
    nul = ["Contains a character that cannot be stored."]
    assert errors_of(Campaign, value) == {"name": nul, "messages.0.content": nul, "variables": nul}


@pytest.mark.parametrize("number", [2**63, -(2**63), 10**30, 1e300])
def test_numbers_beyond_bigint(number: float) -> None:
    assert errors_of(dict[str, float], {"n": number}) == {"n": ["Is outside the range that can be stored."]}


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_moment_that_does_not_exist_in_utc(moment: str) -> None:
    assert errors_of(Everything, {"moment": moment}) == {"moment": ["Is outside the range that can be stored."]}


def test_deep_nesting() -> None:
    value: object = 1
    for _ in range(33):
        value = [value]
    assert errors_of(Campaign, {"name": value}) == {"name": ["Is nested too deeply."]}


def test_refused_values_and_other_errors_together() -> None:
    assert errors_of(Message, {"content": "\0", "kind": 9}) == {
        "content": ["Contains a character that cannot be stored."],
        "kind": ["Must be one of: 1, 2."],
    }


def test_unknown_message_stays() -> None:
    assert explain_message("Something new - at `$.a`") == "Something new"
