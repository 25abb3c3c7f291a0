import pytest

from core.contacts.importing.mapping import Column
from core.contacts.importing.reader import Record
from core.contacts.importing.rows import Failure, Row, join_label, read_row

COLUMNS = [
    Column("Nome", "name"),
    Column("Fone", "number"),
    Column("Cidade", "variables.cidade"),
    Column("Etiquetas", "labels"),
    Column("CPF", "ignore"),
]


def _read(*cells: str, broken: bool = False) -> Row | Failure:
    return read_row(Record(7, list(cells), broken), COLUMNS, "BR")


def test_a_row_becomes_a_contact() -> None:
    cells = ["  Ipê   Amarelo ", "(11) 90000-1234", "São Paulo", "clientes; vip ,clientes", "123"]

    assert _read(*cells) == Row(7, "5511900001234", "Ipê Amarelo", {"cidade": "São Paulo"}, ["clientes", "vip"], cells)


def test_empty_and_missing_cells_are_left_out() -> None:
    assert _read("", "11900001234") == Row(7, "5511900001234", "", {}, [], ["", "11900001234"])


@pytest.mark.parametrize(
    ("cells", "column", "value", "reason"),
    [
        (("Lua", "123"), "Fone", "123", "Digits are missing: write area code and number."),
        (("Lua",), "Fone", "", "There is no number."),
        (("x" * 161, "11900001234"), "Nome", "x" * 161, "This is longer than 160 characters."),
        (("", "11900001234", "y" * 1001), "Cidade", "y" * 500, "This is longer than 1000 characters."),
        (("", "11900001234", "", "z" * 81), "Etiquetas", "z" * 81, "This is longer than 80 characters."),
        (("", "11900001234", "", "", "", "more"), "", "more", "The row has more cells than the first row."),
    ],
)
def test_a_row_that_cannot_go_in_says_where_and_why(
    cells: tuple[str, ...], column: str, value: str, reason: str
) -> None:
    assert _read(*cells) == Failure(7, column, value, reason, list(cells))


def test_empty_cells_beyond_the_first_row_do_no_harm() -> None:
    assert isinstance(_read("", "11900001234", "", "", "", "", " "), Row)


def test_an_unclosed_quote_is_told() -> None:
    failure = _read('"open', broken=True)

    assert failure == Failure(7, "", '"open', "A quote is opened here and never closed.", ['"open'])


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ('"Rio, SP", VIP', ["Rio, SP", "VIP"]),
        ('VIP;"a | b";', ["VIP", "a | b"]),
        ('"so ""called"""', ['so "called"']),
        ('12" discs, vinyl', ['12" discs', "vinyl"]),
        ('"open, VIP', ['"open', "VIP"]),
        ('""', []),
    ],
)
def test_labels_in_quotes_may_have_separators_in_their_names(cell: str, names: list[str]) -> None:
    row = _read("Ana", "11900001234", "", cell)
    assert isinstance(row, Row)
    assert row.labels == names


@pytest.mark.parametrize("name", ["VIP", "Rio, SP", "a;b|c", 'so "called"', '"', '12" discs'])
def test_a_label_as_an_export_writes_it_is_read_back(name: str) -> None:
    row = _read("Ana", "11900001234", "", f"first, {join_label(name)}, last")
    assert isinstance(row, Row)
    assert row.labels == ["first", name, "last"]
