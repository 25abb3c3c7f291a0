"""CSV files: what a spreadsheet would run, what comes back when they are read, and how much is held in memory."""

import csv
import io
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from enum import IntEnum

import msgspec
import pytest

from core import database
from core.runtime import Runtime
from core.spreadsheets import BYTE_ORDER_MARK, guarded_in_sql, unguarded, write_row, write_structs, write_table


class Size(IntEnum):
    """A code that the API writes as a number."""

    LARGE = 3


class Sums(msgspec.Struct):
    """Stands inside of a row."""

    sent: int
    failed: int


class Row(msgspec.Struct):
    """A row of each kind of value."""

    id: int
    good: bool
    name: str
    amount: Decimal
    size: Size
    sums: Sums
    tags: list[str]
    nothing: str | None = None


async def portions(*given: Sequence[Row]) -> AsyncIterator[Sequence[Row]]:
    for one in given:
        yield one


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        " =1+1",
        "\u00a0=1",
        "\uff1d1+1",
        "\uff0b1",
        "\uff0d1",
        "\uff20SUM",
        "\0=1",
    ],
)
def test_what_a_spreadsheet_runs_begins_with_an_apostrophe(text: str) -> None:
    [[cell]] = csv.reader(io.StringIO(write_row([text]), newline=""))
    assert cell == f"'{text}"
    assert unguarded(cell) == text


@pytest.mark.parametrize("text", ["", "Ana", "a=b", "1-2", "'quoted'", " Ana", "5511999990000", 'say "hi", Ana'])
def test_other_texts_stay_as_they_are(text: str) -> None:
    [[cell, _]] = csv.reader(io.StringIO(write_row([text, "end"]), newline=""))
    assert cell == text
    assert unguarded(cell) == text


@pytest.mark.parametrize("text", ["'=1", "''=1", "'\t", "' +1", "''\uff201"])
def test_a_text_that_looks_guarded_gets_an_apostrophe_more(text: str) -> None:
    [[cell]] = csv.reader(io.StringIO(write_row([text]), newline=""))
    assert cell == f"'{text}"
    assert unguarded(cell) == text


GUARDED_IN_SQL = [
    *[f"{before}{chr(code)}{after}" for code in range(1, 256) for before in ("", "'", " ") for after in ("", "1")],
    *["\uff1d1", "\uff0b1", "\uff0d1", "\uff201", "''=1", "\u00a0 =1", "a\n=1", "", "'", "''", "\u22121", "Ýris", "🎉"],
]


async def test_the_database_guards_texts_in_the_same_way(runtime: Runtime) -> None:
    del runtime  # needed, since it opens the pool
    rows = await database.fetch(
        f"SELECT {guarded_in_sql('t')} AS cell FROM unnest($1::text[]) WITH ORDINALITY AS g(t, n) ORDER BY n",
        GUARDED_IN_SQL,
    )
    written = [next(csv.reader(io.StringIO(write_row([text, "end"]), newline="")))[0] for text in GUARDED_IN_SQL]
    assert [row["cell"] for row in rows] == written


async def test_texts_in_workbooks_are_guarded_where_an_import_would_change_them(runtime: Runtime) -> None:
    del runtime
    texts = ["=1", "+1", "'=1", "''=1", "'a", '="007"', '="007"&1', "' =1", " =1", " a", "\t"]
    rows = await database.fetch(
        f"SELECT {guarded_in_sql('t', workbook=True)} AS cell FROM unnest($1::text[]) WITH ORDINALITY AS g(t, n)"
        " ORDER BY n",
        texts,
    )
    assert [row["cell"] for row in rows] == [
        "=1",
        "+1",
        "''=1",
        "'''=1",
        "'a",
        '\'="007"',
        '="007"&1',
        "'' =1",
        "' =1",
        " a",
        "'\t",
    ]


def test_numbers_below_zero_are_no_formula() -> None:
    assert write_row([-1, Decimal("-49.90")]) == "-1,-49.90\r\n"


async def test_rows_are_written_as_the_api_writes_them() -> None:
    rows = [
        Row(1, good=True, name="=Ana", amount=Decimal("-1.50"), size=Size.LARGE, sums=Sums(2, 3), tags=["a", "b"]),
        Row(2, good=False, name="Ben", amount=Decimal(7), size=Size.LARGE, sums=Sums(0, 0), tags=[], nothing="-"),
    ]
    written = "".join([piece async for piece in write_structs(Row, portions(rows[:1], rows[1:]))])
    assert written == (
        f"{BYTE_ORDER_MARK}id,good,name,amount,size,sent,failed,tags,nothing\r\n"
        '1,true,\'=Ana,-1.50,3,2,3,"[""a"",""b""]",\r\n'
        "2,false,Ben,7,3,0,0,[],'-\r\n"
    )


async def test_a_file_without_rows_has_its_header() -> None:
    assert [piece async for piece in write_structs(Sums, portions())] == [f"{BYTE_ORDER_MARK}sent,failed\r\n"]


async def test_a_long_file_takes_no_more_memory_than_a_portion() -> None:
    async def rows() -> AsyncIterator[Sequence[Sequence[object]]]:
        for number in range(200):
            yield [[number, "x" * 100] for _ in range(1000)]

    written = 0
    tracemalloc.start()
    try:
        async for piece in write_table(["number", "text"], rows()):
            written += len(piece)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    lines = sum(len(f"{number},{'x' * 100}\r\n") * 1000 for number in range(200))
    assert written == len(f"{BYTE_ORDER_MARK}number,text\r\n") + lines
    assert peak < written / 20
