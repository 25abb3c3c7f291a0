import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.contacts.opt_out_settings import DEFAULT_WORDS
from core.contacts.opt_out_words import LONGEST_MESSAGE, asks_to_opt_out


@pytest.mark.parametrize(
    "message",
    [
        "sair",
        "SAIR",
        " Sair. ",
        "*SAIR*",
        "“sair”",
        "sair 🙏",
        "sairrr",
        "sair sair",
        "sari",
        "PARE!",
        "Parar",
        "para",
        "parra",
        "cancelar",
        "canelar",
        "cancelarr",
        "Cancela",
        "STOP",
        "stpo",
        "stoppp",
        "unsubscrive",
        "baja",
        "BAJA.",
        "darme de baja",
        "dárme de báxa",
    ],
)
def test_asks(message: str) -> None:
    assert asks_to_opt_out(message, DEFAULT_WORDS)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "   ",
        "🙏",
        "sim",
        "sai",
        "quero sair do aluguel",
        "Quando vai parar de chover?",
        "não quero cancelar",
        "pode parar aqui em casa às 10h",
        "top",
        "shop",
        "baixa",
        "pera",
        "1",
    ],
)
def test_says_something_else(message: str) -> None:
    assert not asks_to_opt_out(message, DEFAULT_WORDS)


def test_only_the_words_of_the_tenant_count() -> None:
    assert asks_to_opt_out("Chega!", ["chega"])
    assert not asks_to_opt_out("sair", ["chega"])


def test_a_word_of_signs_alone_matches_nothing() -> None:
    assert not asks_to_opt_out("!!", ["!!", "🙏🙏"])


def test_a_long_message_is_no_word() -> None:
    assert asks_to_opt_out("sair" + " " * (LONGEST_MESSAGE - 4), DEFAULT_WORDS)
    assert not asks_to_opt_out("sair" + " " * (LONGEST_MESSAGE - 3), DEFAULT_WORDS)


@given(st.text(max_size=200))
def test_takes_any_text(message: str) -> None:
    assert asks_to_opt_out(message, DEFAULT_WORDS) in {True, False}


@given(st.sampled_from(DEFAULT_WORDS), st.text(alphabet="bcdfgz ", min_size=8, max_size=60))
def test_never_inside_a_longer_sentence(word: str, rest: str) -> None:
    assert not asks_to_opt_out(f"{word} bcdfg{rest}zz", DEFAULT_WORDS)
