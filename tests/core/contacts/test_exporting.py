"""Downloads of contacts: what is in them, that an import reads it back, and how much is held meanwhile."""

import asyncio
import csv
import io
import tracemalloc
from contextlib import aclosing
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar

from core import database
from core.contacts import exporting
from core.contacts.exporting import open_table
from core.contacts.filters import ContactFilter
from core.piccolo_conf import DB
from core.workbook_files import write_workbook
from tests.conftest import Serve
from tests.core.contacts.making import add, add_contact, counts, run_import, show
from tests.core.downloads import rows_of, sheets_of
from tests.factories import Member

OWN = ["number", "name", "labels"]
IGNORED = [
    "recado_addresses",
    "recado_status",
    "recado_blocked",
    "recado_created_at",
    "recado_last_inbound_at",
]
TEXTS = {
    "accents": "Ângela Conceição Muñoz",
    "equals": '=HYPERLINK("http://x.example","y")',
    "plus": "+55 11",
    "minus": "-1",
    "at": "@SUM(A1)",
    "wide": "\uff1d1+1",
    "tab": "\t=1",
    "apostrophe": "'=1",
    "apostrophes": "''+1",
    "quoted": "'quoted'",
    "as_text": '="007"',
    "guarded_as_text": '\'="007"',
    "quotes": 'say "hi", "Ana"',
    "lines": "one\ntwo\n\nthree",
    "semicolons": "a;b;c",
    "bars": "a|b",
    "emoji": "🎉 festa 👩‍👩‍👧",
    "zeros": "00123",
    "exponent": "5,51199E+12",
    "escape": "_x0041_",
    "markup": "<b>&amp;</b>",
    "celular": "11 90000-9999",
    "nome_completo": "Ana de Tal",
    "etiquetas": "a, b",
    "status": "aberto",
    "recado_status": "aberto",
    "Cidade": "Bonito",
    "cidade": "Jardim",
    "código": "x1",
    "v" * 60: "long",
    "variables": "x",
    "column_3": "x",
}
NAMES = [
    "=Ana",
    "+Bia",
    "-Caio",
    "@Davi",
    "'Eva'",
    "'=Fábio",
    '="Gil"',
    "Hélio; Íris",
    'João "Jô" Luz',
    "00123",
    "🎉 Kátia",
    "",
]
KINDS = ["csv", "xlsx"]


async def _download(client: httpx.AsyncClient, kind: str, **params: Any) -> bytes:
    answer = await client.get(f"/api/contacts.{kind}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.content


async def _contacts(client: httpx.AsyncClient) -> dict[str, Any]:
    """Return what an import could know of each contact, by number; labels by name."""
    names = {label["id"]: label["name"] for label in await show(client, "labels?per_page=100")}
    return {
        contact["number"]: (contact["name"], contact["variables"], sorted(names[one] for one in contact["labels"]))
        for contact in await show(client, "contacts?per_page=100")
    }


@pytest.mark.parametrize("kind", KINDS)
async def test_an_import_of_the_file_makes_the_same_contacts(
    tenant: httpx.AsyncClient, stranger: httpx.AsyncClient, kind: str
) -> None:
    labels = [
        (await add(tenant, "labels", name=name))["id"]
        for name in ("=vip", "Çliente", "'-novo", "São João, SP", 'A;"B"|C')
    ]
    for place, name in enumerate(NAMES):
        await add_contact(tenant, name=name, labels=labels[place % 5 :])
    await add_contact(tenant, number="+351 912 345 678", name="Todas", variables=TEXTS, labels=labels[::-1])
    await add_contact(tenant, name="Poucas", variables={"zeros": "0", "cidade": ""})

    done = await run_import(stranger, await _download(tenant, kind))

    assert (done["mapping_source"], counts(done)) == ("recognized", (len(NAMES) + 2, 0, 0, 0))
    made, read = await _contacts(tenant), await _contacts(stranger)
    # An empty cell is no value.
    [few] = [variables for name, variables, _ in made.values() if name == "Poucas"]
    del few["cidade"]
    assert read == made


@pytest.mark.parametrize("kind", KINDS)
async def test_an_import_into_the_same_account_changes_nothing(tenant: httpx.AsyncClient, kind: str) -> None:
    await add_contact(tenant, name="=Ana", variables={"cidade": "'+1"})
    before = await show(tenant, "contacts")

    done = await run_import(tenant, await _download(tenant, kind))

    assert counts(done) == (0, 0, 1, 0)
    assert await show(tenant, "contacts") == before


async def test_what_each_column_holds(tenant: httpx.AsyncClient) -> None:
    label, other = [await add(tenant, "labels", name=name) for name in ("Clientes", "VIP")]
    made = await add_contact(
        tenant, name="Ana", status=2, variables={"cidade": "Bonito"}, labels=[label["id"], other["id"]]
    )
    await add(tenant, "contacts", type=2, name="Turma", addresses={"waha": "120363000000000001@g.us"})
    await tenant.post("/api/block-contacts", json={"number": made["number"]})

    answer = await tenant.get("/api/contacts.csv")
    shown, person = rows_of(answer, "contacts.csv")

    assert list(person) == [*OWN, "cidade", *IGNORED]
    assert person | {"recado_created_at": ""} == {
        "number": f"'+{made['number']}",
        "name": "Ana",
        "labels": "Clientes, VIP",
        "cidade": "Bonito",
        "recado_addresses": "",
        "recado_status": "inactive",
        "recado_blocked": "true",
        "recado_created_at": "",
        "recado_last_inbound_at": "",
    }
    assert person["recado_created_at"][:10] == made["created_at"][:10]
    assert (shown["number"], shown["name"], shown["recado_addresses"]) == (
        "",
        "Turma",
        "waha:120363000000000001@g.us",
    )


async def test_columns_of_variables_are_called_so_that_an_import_knows_them(tenant: httpx.AsyncClient) -> None:
    await add_contact(tenant, variables={"cidade": "x", "celular": "x", "Nome_Completo": "x", "recado_status": "x"})

    header = (await _download(tenant, "csv")).decode("utf-8-sig").splitlines()[0].split(",")

    assert header == [
        *OWN,
        *sorted(
            ["cidade", "variables.celular", "variables.Nome_Completo", "variables.recado_status"], key=header.index
        ),
        *IGNORED,
    ]


@pytest.mark.parametrize("kind", KINDS)
async def test_the_file_holds_what_the_filter_finds(
    tenant: httpx.AsyncClient, stranger: httpx.AsyncClient, kind: str
) -> None:
    label = await add(tenant, "labels", name="a")
    await add_contact(tenant, name="José", labels=[label["id"]], variables={"cidade": "Bonito"})
    await add_contact(tenant, name="Ana", variables={"cidade": "Jardim"})
    await add_contact(stranger, name="José", variables={"alheia": "x"})
    public = await add(
        tenant, "publics", name="Jardim", type=2, filters={"variables": [{"name": "cidade", "value": "Jardim"}]}
    )
    wanted = msgspec.json.encode({"variables": [{"name": "cidade", "op": "is_not", "value": "Jardim"}]}).decode()

    found = {
        "all": {},
        "search": {"search": "jose"},
        "label": {"label_id": label["id"]},
        "filters": {"filters": wanted},
        "audience": {"public_id": public["id"]},
        "nobody": {"search": "zzz"},
    }
    names = {name: _names(await _download(tenant, kind, **params), kind) for name, params in found.items()}

    assert names == {
        "all": ["Ana", "José"],
        "search": ["José"],
        "label": ["José"],
        "filters": ["José"],
        "audience": ["Ana"],
        "nobody": [],
    }


def _names(content: bytes, kind: str) -> list[str]:
    header, *rows = _table(content, kind)
    assert header == [*OWN, "cidade", *IGNORED]
    return [row[1] for row in rows]


def _table(content: bytes, kind: str) -> list[list[str]]:
    """Return the rows of a file with its headers."""
    if kind == "csv":
        return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    [rows] = sheets_of(content).values()
    return rows


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"public_id": 2**40}, 404),
        ({"filters": '{"audiences": {"any": [1099511627776]}}'}, 404),
        ({"filters": '{"cidade": 1}'}, 422),
        ({"created_from": "yesterday"}, 422),
    ],
)
async def test_a_file_that_cannot_begin_is_an_error(
    tenant: httpx.AsyncClient, kind: str, params: dict[str, Any], status: int
) -> None:
    answer = await tenant.get(f"/api/contacts.{kind}", params=params)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


async def test_a_workbook_is_called_one(tenant: httpx.AsyncClient) -> None:
    answer = await tenant.get("/api/contacts.xlsx")
    assert answer.headers["content-disposition"] == 'attachment; filename="contacts.xlsx"'
    assert answer.headers["content-type"] == "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    assert sheets_of(answer.content) == {"Contacts": [[*OWN, *IGNORED]]}


async def test_a_workbook_shows_texts_as_they_are(tenant: httpx.AsyncClient) -> None:
    made = await add_contact(tenant, name="=Ana", variables={"cep": "00123"})
    [row] = _table(await _download(tenant, "xlsx"), "xlsx")[1:]
    assert row[:4] == [f"+{made['number']}", "=Ana", "", "00123"]


async def test_a_label_that_is_gone_is_left_out(tenant: httpx.AsyncClient) -> None:
    labels = [(await add(tenant, "labels", name=name))["id"] for name in ("a", "b", "c")]
    await add_contact(tenant, labels=labels)
    await tenant.delete(f"/api/labels/{labels[1]}")
    [row] = rows_of(await tenant.get("/api/contacts.csv"))
    assert row["labels"] == "a, c"


async def test_of_many_variables_those_in_use_have_columns(tenant: httpx.AsyncClient) -> None:
    gone = await add_contact(tenant, variables={f"a{place}": "x" for place in range(40)})
    await add_contact(tenant, variables={f"b{place}": "x" for place in range(20)}, name="Ana")
    everything = rows_of(await tenant.get("/api/contacts.csv"))
    found = rows_of(await tenant.get("/api/contacts.csv", params={"search": "Ana"}))
    await tenant.delete(f"/api/contacts/{gone['id']}")
    left = rows_of(await tenant.get("/api/contacts.csv"))

    of_variables = [len(rows[0]) - len(OWN) - len(IGNORED) for rows in (everything, found, left)]
    assert of_variables == [60, 20, 20]
    assert found == left


async def _insert(user: Member, count: int, value: str = "'x'") -> None:
    await database.execute(
        "INSERT INTO contacts (user_id, number, name, variables, created_at, updated_at)"
        f" SELECT $1, (551190000000 + n)::text, 'Contact ' || n, jsonb_build_object('text', {value}), now(), now()"
        " FROM generate_series(1, $2::int) AS n",
        user.id,
        count,
    )
    await database.execute(
        "INSERT INTO contact_variables (user_id, name, created_at) VALUES ($1, 'text', now())", user.id
    )


async def _portions(user: Member) -> list[bytes]:
    table = await open_table(user.id, ContactFilter())
    return [portion async for portion in table.portions()]


async def test_each_contact_is_in_the_file_once_the_newest_first(user: Member) -> None:
    await _insert(user, 12_345)
    portions = await _portions(user)
    names = [row[1] for portion in portions for row in csv.reader(io.StringIO(portion.decode(), newline=""))]
    assert names == [f"Contact {n}" for n in range(12_345, 0, -1)]
    assert len(portions) > 2


async def test_portions_of_long_rows_are_small(user: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "PORTION_BYTES", 100_000)
    monkeypatch.setattr(exporting, "MOST_PORTION_BYTES", 200_000)
    # Texts that PostgreSQL keeps in a fiftieth of their length, behind short ones.
    await _insert(user, 3_000, "CASE WHEN n < 1000 THEN repeat('x', 20000) ELSE 'x' END")
    portions = await _portions(user)
    assert sum(portion.count(b"\n") for portion in portions) == 3_000
    assert max(map(len, portions)) < 250_000


@pytest.mark.parametrize("kind", KINDS)
async def test_a_long_file_takes_no_more_memory_than_some_portions(
    user: Member, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(exporting, "PORTION_BYTES", 50_000)
    await _insert(user, 30_000, "repeat(md5(n::text), 8)")
    table = await open_table(user.id, ContactFilter(), workbook=kind == "xlsx")
    pieces = table.csv() if kind == "csv" else write_workbook("Contacts", table.headers, table.portions())
    read = 0
    tracemalloc.start()
    try:
        async for piece in pieces:
            read += len(piece)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert read > (9_000_000 if kind == "csv" else 1_000_000)
    assert peak < 4_000_000


def _all_are_idle() -> bool:
    """Whether every connection of this process is in its pool."""
    assert DB.pool is not None
    return bool(DB.pool.get_idle_size() == DB.pool.get_size())


@pytest.mark.parametrize("kind", KINDS)
async def test_an_abandoned_download_leaves_nothing_running(user: Member, kind: str) -> None:
    await _insert(user, 20_000)
    table = await open_table(user.id, ContactFilter(), workbook=kind == "xlsx")
    pieces = table.csv() if kind == "csv" else write_workbook("Contacts", table.headers, table.portions())
    others = asyncio.all_tasks()
    async with aclosing(pieces):
        await anext(pieces)
    assert asyncio.all_tasks() == others
    assert _all_are_idle()


async def test_a_download_that_waits_for_its_reader_holds_no_connection(user: Member) -> None:
    await _insert(user, 20_000)
    table = await open_table(user.id, ContactFilter())
    others = asyncio.all_tasks()
    async with aclosing(table.csv()) as pieces:
        await anext(pieces)
        await asyncio.gather(*(asyncio.all_tasks() - others))
        assert _all_are_idle()


async def test_downloads_given_up_in_the_middle_leave_connections_that_others_can_use(
    user: Member, app: Litestar, serve: Serve
) -> None:
    await _insert(user, 60_000, "repeat(md5(n::text), 20)")
    address = await serve(app)
    headers = {"Authorization": f"Bearer {user.token}"}
    for _ in range(6):
        async with (
            httpx.AsyncClient(base_url=address, headers=headers) as client,
            client.stream("GET", "/api/contacts.csv") as answer,
        ):
            assert answer.status_code == 200
            # The first rows have come, and the following portions, of megabytes, are being read.
            await anext(answer.aiter_raw())
    assert await _used_all_at_once() == [1] * _most_connections()


def _most_connections() -> int:
    assert DB.pool is not None
    return int(DB.pool.get_max_size())


async def _used_all_at_once() -> list[object]:
    """Return what every connection of the pool answers, none of them given back before all were borrowed."""
    borrowed = asyncio.Barrier(_most_connections())

    async def use() -> object:
        async with database.connection() as connection:
            await borrowed.wait()
            return await connection.fetchval("SELECT 1")

    return await asyncio.gather(*(use() for _ in range(_most_connections())))
