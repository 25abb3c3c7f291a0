import pytest

from core.notifications.emails.plain_text import WIDTH, wrapped

FAMILY = "👩‍👩‍👧‍👦"


def test_a_paragraph_is_broken_between_words() -> None:
    lines = wrapped("word " * 40).split("\n")
    assert [len(line) for line in lines] == [74, 74, 49]


def test_an_indent_begins_every_line() -> None:
    lines = wrapped("word " * 40, "  ").split("\n")
    assert all(line.startswith("  word") and len(line) <= WIDTH for line in lines)


@pytest.mark.parametrize("text", ["x" * 200, "字" * 200, FAMILY * 40, "e\u0301" * 200])
def test_a_word_without_end_is_cut_between_its_signs(text: str) -> None:
    lines = wrapped(text).split("\n")
    assert "".join(lines) == text
    assert all(len(line) <= WIDTH for line in lines)
    assert all(line[0] not in {"\u200d", "\u0301"} and line[-1] != "\u200d" for line in lines)


def test_a_link_stays_whole() -> None:
    link = "https://shop.example.com/" + "x" * 100
    assert wrapped(f"Deliveries to {link} failed.") == f"Deliveries to\n{link}\nfailed."


def test_signs_that_all_belong_together_are_cut_all_the_same() -> None:
    assert [len(line) for line in wrapped("a" + "\u0301" * 200).split("\n")] == [78, 78, 45]
