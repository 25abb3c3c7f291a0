"""The brand of e-mails: from the settings, checked, and readable."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from core import database
from core.errors import InvalidInputError
from core.notifications.emails.brand import Brand, brand_of, read_brand
from core.runtime import Runtime
from core.settings import typed
from core.settings.keys import BY_KEY
from tests.factories import Member

SET = {
    "brand.name": "Loja da Ana",
    "brand.color": "#ffffff",
    "brand.logo_url": "https://loja.example.com/logo.png",
    "brand.url": "https://app.loja.example.com",
    "brand.address": "Rua das Flores 12, São Paulo",
    "support.email": "ajuda@loja.example.com",
}
BASE = "https://recado.example.com"


@pytest.fixture
async def as_set(runtime: Runtime, administrator: Member) -> AsyncIterator[Runtime]:
    await typed.change_settings(administrator.id, SET)
    yield runtime
    await database.execute("DELETE FROM settings WHERE key = ANY($1::text[])", list(SET))


async def test_the_brand_is_what_is_set(as_set: Runtime) -> None:
    del as_set  # needed, since it holds the settings
    assert msgspec.structs.asdict(await read_brand()) == {
        "name": "Loja da Ana",
        "color": "#ffffff",
        "logo_url": "https://loja.example.com/logo.png",
        "url": "https://app.loja.example.com",
        "address": "Rua das Flores 12, São Paulo",
        "support_email": "ajuda@loja.example.com",
    }


async def test_without_settings_the_platform_is_the_brand(runtime: Runtime) -> None:
    found = await read_brand()
    assert (found.name, found.color, found.url) == ("Recado", "#0b7a75", runtime.config.server.base_url)
    assert (found.logo_url, found.address, found.support_email) == ("", "", "")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("brand.name", ""),
        ("brand.name", "  "),
        ("brand.name", "Loja\r\nBcc: all@example.com"),
        ("brand.name", "Loja\n"),
        ("brand.name", "Loja\u2028da Ana"),
        ("brand.color", "red"),
        ("brand.color", "#0b7a75;"),
        ("brand.color", "#0b7a75\n"),
        ("brand.logo_url", "http://loja.example.com/logo.png"),
        ("brand.logo_url", "javascript:alert(1)"),
        ("brand.logo_url", "https://loja.example.com/logo.png\n"),
        ("brand.url", "ftp://loja.example.com"),
        ("brand.url", "https://loja.example.com/\nx"),
        ("brand.address", "Rua\nSão Paulo"),
        ("support.email", "nobody"),
        ("support.email", "a@b.example\n"),
    ],
)
async def test_an_unfit_value_is_refused_and_changes_nothing(
    runtime: Runtime, administrator: Member, key: str, value: str
) -> None:
    del runtime  # needed, since it opens the pool
    with pytest.raises(InvalidInputError) as caught:
        await typed.change_settings(administrator.id, {key: value})
    assert list(caught.value.errors) == [key]
    assert await typed.value_of(key) == BY_KEY[key].default


@pytest.mark.parametrize(
    ("color", "ink"),
    [
        ("#0b7a75", "#ffffff"),
        ("#000000", "#ffffff"),
        ("#7a1f5c", "#ffffff"),
        ("#ffffff", "#111111"),
        ("#ffd400", "#111111"),
    ],
)
def test_a_button_is_written_in_what_can_be_read_on_it(color: str, ink: str) -> None:
    brand: Brand = brand_of({"brand.color": color}, BASE)
    assert brand.ink == ink
