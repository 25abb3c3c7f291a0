"""Credentials: every problem at once, encrypted, masked."""

from typing import Annotated

import msgspec
import pytest

from core.errors import InvalidInputError
from core.numbers.credentials import decode_credentials, load_credentials, mask, seal
from core.plugin import MisconfiguredError, Secret


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """Of a made-up provider."""

    token: Annotated[Secret, msgspec.Meta(description="Its token.")]
    account: int
    second: Secret | None = None


class Newer(msgspec.Struct, frozen=True, kw_only=True):
    """The same provider, a version later."""

    token: Secret
    region: str


def test_what_was_given_is_built() -> None:
    found = decode_credentials(Credentials, {"token": "abc", "account": 5})
    assert found == Credentials(token=Secret("abc"), account=5)


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(InvalidInputError) as raised:
        decode_credentials(Credentials, {"token": "", "second": 5, "other": 1})
    assert sorted(raised.value.errors) == [
        "credentials.account",
        "credentials.other",
        "credentials.second",
        "credentials.token",
    ]


def test_the_mask_alone_is_no_secret() -> None:
    with pytest.raises(InvalidInputError) as raised:
        decode_credentials(Credentials, {"token": "***", "account": 5})
    assert list(raised.value.errors) == ["credentials.token"]


def test_the_mask_keeps_and_null_removes() -> None:
    kept = {"token": "abc", "account": 5, "second": "def"}
    found = decode_credentials(Credentials, {"token": "***", "second": None}, kept)
    assert found == Credentials(token=Secret("abc"), account=5, second=None)


@pytest.mark.usefixtures("runtime")
class TestAtRest:
    def test_a_row_holds_no_secret_and_gives_it_back(self) -> None:
        credentials = Credentials(token=Secret("abc-secret"), account=5)
        sealed = seal(credentials)
        assert "abc-secret" not in sealed
        assert load_credentials(Credentials, sealed) == credentials

    def test_people_see_masks(self) -> None:
        sealed = seal(Credentials(token=Secret("abc"), account=5))
        assert mask(Credentials, sealed) == {"token": "***", "account": 5, "second": None}
        assert mask(None, sealed) == {"token": "***", "account": "***", "second": "***"}

    def test_a_lost_key_leaves_them_to_be_entered_again(self) -> None:
        assert mask(Credentials, "v1.00000000.AAAA") == {}

    def test_credentials_of_an_older_plugin_are_told(self) -> None:
        sealed = seal(Credentials(token=Secret("abc"), account=5))
        with pytest.raises(MisconfiguredError, match="region"):
            load_credentials(Newer, sealed)
