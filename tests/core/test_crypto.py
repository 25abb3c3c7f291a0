"""Secrets at rest."""

import pytest

from core.crypto import DecryptionError, decrypt, encrypt, key_id_of
from core.runtime import Runtime

KEY = b"k" * 32
OTHER = b"o" * 32


def test_round_trip() -> None:
    assert (
        decrypt(encrypt("señha ✓", purpose="servers.credentials", key=KEY), purpose="servers.credentials", key=KEY)
        == "señha ✓"
    )


def test_same_text_is_never_stored_alike() -> None:
    assert encrypt("a", purpose="p", key=KEY) != encrypt("a", purpose="p", key=KEY)


def test_form() -> None:
    version, key_id, _ = encrypt("a", purpose="p", key=KEY).split(".")
    assert (version, key_id) == ("v1", key_id_of(KEY))


def test_empty_text() -> None:
    assert decrypt(encrypt("", purpose="p", key=KEY), purpose="p", key=KEY) == ""


def test_wrong_key_is_named_with_what_to_do() -> None:
    stored = encrypt("a", purpose="servers.credentials", key=KEY)
    with pytest.raises(DecryptionError) as caught:
        decrypt(stored, purpose="servers.credentials", key=OTHER)
    assert str(caught.value) == (
        f"A secret stored for servers.credentials was encrypted with the key {key_id_of(KEY)}, and the present one"
        f" is {key_id_of(OTHER)}: restore [server] secret_key, or the file secret_key in the data folder, from before."
    )


def test_other_purpose() -> None:
    with pytest.raises(DecryptionError, match="A secret stored for b is damaged"):
        decrypt(encrypt("a", purpose="a", key=KEY), purpose="b", key=KEY)


@pytest.mark.parametrize("damage", ["", "plain text", "v1..", "v2.00000000.AAAA", "v1.00000000"])
def test_unknown_form(damage: str) -> None:
    with pytest.raises(DecryptionError, match="not in a form this version knows"):
        decrypt(damage, purpose="p", key=KEY)


@pytest.mark.parametrize("tail", ["A", "!!!!", "é", "AAAA"])
def test_damage(tail: str) -> None:
    with pytest.raises(DecryptionError, match="is damaged: enter it again"):
        decrypt(f"v1.{key_id_of(KEY)}.{tail}", purpose="p", key=KEY)


def test_changed_byte() -> None:
    stored = encrypt("abc", purpose="p", key=KEY)
    changed = stored[:-6] + ("A" if stored[-6] != "A" else "B") + stored[-5:]
    with pytest.raises(DecryptionError, match="is damaged"):
        decrypt(changed, purpose="p", key=KEY)


def test_key_of_the_process(runtime: Runtime) -> None:
    assert decrypt(encrypt("a", purpose="p"), purpose="p", key=runtime.secret_key) == "a"
