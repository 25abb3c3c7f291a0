"""Lists: parameters, envelope and links."""

import httpx
import pytest
from litestar.testing import RequestFactory

from core.errors import InvalidInputError
from core.pagination import Links, Meta, Page, PageQuery, build_page

COLUMNS = {"name": "lower(name)", "created_at": "created_at"}


def page(total: int, number: int, **query: str) -> Page[int]:
    request = RequestFactory().get("/api/contacts", query_params=dict(query))
    return build_page([1], total, PageQuery(page=number, per_page=10), request)


def test_first_of_several() -> None:
    assert page(25, 1) == Page(
        [1],
        Links(
            first="/api/contacts?page=1&per_page=10",
            last="/api/contacts?page=3&per_page=10",
            prev=None,
            next="/api/contacts?page=2&per_page=10",
        ),
        Meta(current_page=1, per_page=10, last_page=3, total=25),
    )


def test_middle() -> None:
    links = page(25, 2).links
    assert (links.prev, links.next) == ("/api/contacts?page=1&per_page=10", "/api/contacts?page=3&per_page=10")


def test_last() -> None:
    links = page(30, 3).links
    assert (links.prev, links.next) == ("/api/contacts?page=2&per_page=10", None)


def test_empty_list_has_one_page() -> None:
    found = page(0, 1)
    assert (found.meta.last_page, found.links.prev, found.links.next) == (1, None, None)


def test_page_beyond_the_last_leads_back() -> None:
    links = page(15, 9).links
    assert (links.prev, links.next) == ("/api/contacts?page=2&per_page=10", None)


def test_links_keep_other_parameters() -> None:
    links = page(15, 1, search="a b", status="1", page="1").links
    assert links.next == "/api/contacts?search=a+b&status=1&page=2&per_page=10"


def test_offset() -> None:
    query = PageQuery(page=3, per_page=20)
    assert (query.limit, query.offset) == (20, 40)


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        (None, "created_at DESC, id DESC"),
        ("name", "lower(name) ASC, id ASC"),
        ("-name", "lower(name) DESC, id DESC"),
    ],
)
def test_order(sort: str | None, expected: str) -> None:
    assert PageQuery(sort=sort).order_by(COLUMNS, "-created_at") == expected


def test_order_of_a_join() -> None:
    assert PageQuery().order_by(COLUMNS, "name", tie="c.id") == "lower(name) ASC, c.id ASC"


@pytest.mark.parametrize("sort", ["password", "--name", "name; DROP TABLE users", "-"])
def test_unknown_order(sort: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        PageQuery(sort=sort).order_by(COLUMNS, "name")
    assert caught.value.errors == {"sort": ["Must be one of: name, created_at."]}


@pytest.mark.parametrize(
    ("query", "errors"),
    [
        ("page=0", {"page": ["Must be at least 1."]}),
        ("page=-1&per_page=101", {"page": ["Must be at least 1."], "per_page": ["Must be at most 100."]}),
        ("page=x&per_page=1.5", {"page": ["Must be a whole number."], "per_page": ["Must be a whole number."]}),
        ("page=", {"page": ["Must be a whole number."]}),
        (f"page={10**30}", {"page": ["Must be at most 1000000000."]}),
        (f"page={'9' * 5000}", {"page": ["Is outside the range that can be stored."]}),
        (f"search={'a' * 201}", {"search": ["Must have at most 200 characters."]}),
        ("search=a%00b", {"search": ["Contains a character that cannot be stored."]}),
        ("sort=password", {"sort": ["Must be one of: name, value, created_at, id."]}),
    ],
)
async def test_bad_parameters(client: httpx.AsyncClient, query: str, errors: dict[str, list[str]]) -> None:
    answer = await client.get(f"/api/plans?{query}")
    assert (answer.status_code, answer.json()["errors"]) == (422, errors)


async def test_largest_page(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/plans?page=1000000000&per_page=100")
    assert (answer.status_code, answer.json()["data"]) == (200, [])
