"""E-mails as people and their programs get them."""

import re
from collections.abc import Sequence
from html.parser import HTMLParser

import msgspec
import pytest

from core.events import catalogue
from core.notifications.emails import render
from core.notifications.emails.brand import brand_of
from core.notifications.emails.drawing import Rendered, draw, draw_probe, is_web
from core.notifications.emails.examples import EXAMPLES
from core.notifications.kinds import KINDS, ResetLink
from core.runtime import Runtime
from core.texts import LANGUAGES

HOME = "https://app.example.com"
BRAND = brand_of(
    {
        "brand.name": "Loja da Ana",
        "brand.address": "Rua das Flores 12, São Paulo",
        "support.email": "ajuda@example.com",
        "brand.url": HOME,
    },
    "https://recado.example.com",
)
FOLDING = [kind.name for kind in KINDS.values() if kind.folds]
LINKED = ("password_reset", "confirm_email")


class Page(HTMLParser):
    """What a browser makes of an e-mail: its words, its links and its pictures."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.said: list[str] = []
        self.feed(html)
        self.text = re.sub("[ \n]+", " ", " ".join(self.said))

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "a":
            self.links.append(str(dict(attrs)["href"]))
        if tag == "img":
            self.pictures.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def drawn(
    kind: str, details: Sequence[msgspec.Struct] = (), *, name: str = "Ana", language: str = "en", brand: object = BRAND
) -> Rendered:
    return draw(
        kind,
        details or [EXAMPLES[kind]],
        brand=brand,  # type: ignore[arg-type] # a brand, which a default cannot say twice
        name=name,
        reader=(language, "America/Sao_Paulo"),
    )


def numbers(count: int) -> list[msgspec.Struct]:
    return [
        catalogue.NumberDisconnected(number_id=at, name=f"Line {at}", number="", connection="failed", reason="")
        for at in range(1, count + 1)
    ]


def ensure_narrow(text: str) -> None:
    assert [line for line in text.split("\n") if len(line) > 78 and "://" not in line] == []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_drawn_in_every_language(kind: str, language: str) -> None:
    found = drawn(kind, language=language)
    page = Page(found.html)
    assert f'<html lang="{language}">' in found.html
    assert found.subject in page.text
    assert found.subject in found.text.replace("\n", " ")
    assert re.search(r"{{|}}|{%|\bNone\b(?! of its numbers)|Undefined", found.text + page.text) is None
    assert "Loja da Ana" in found.text
    assert "Rua das Flores 12, São Paulo" in page.text
    assert "ajuda@example.com" in found.text
    assert set(page.links) <= set(re.findall(r"https://\S+", found.text))
    ensure_narrow(found.text)


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_line_of_the_frame_is_english_to_others(kind: str, language: str) -> None:
    """Names, addresses and what an alarm says are the same in every language."""
    same = {*drawn(kind).text.split("\n")} & {*drawn(kind, language=language).text.split("\n")}
    own = {"", "-- ", "Loja da Ana", "Rua das Flores 12, São Paulo"}
    alarm = {"The server main does not answer (timeout): see whether it runs and can be", "reached from here."}
    assert {line for line in same if "://" not in line} - own - alarm == set()


def test_the_text_of_one_is_exact() -> None:
    assert drawn("number_disconnected", numbers(1)).text == (
        "Hello Ana,\n\n"
        "The number Line 1 is disconnected\n\n"
        "Its session failed. Nothing is sent from it meanwhile: connect it again.\n\n"
        "Open Loja da Ana:\nhttps://app.example.com\n\n"
        "-- \n"
        "Loja da Ana\n"
        "You get this e-mail because you have an account at Loja da Ana and are told of\n"
        "this by e-mail. In the settings of your notifications you choose what is\n"
        "mailed:\n"
        "https://app.example.com\n"
        "Questions? Write to ajuda@example.com.\n"
        "Rua das Flores 12, São Paulo\n"
    )


def test_two_are_one_mail_that_names_both() -> None:
    found = drawn("number_disconnected", numbers(2))
    assert found.subject == "2 numbers disconnected"
    assert "* The number Line 1 is disconnected\n  Its session failed." in found.text
    assert "* The number Line 2 is disconnected\n  Its session failed." in found.text
    assert " more" not in found.text


def test_a_flood_is_one_mail_that_says_how_many_there_are() -> None:
    found = drawn("number_disconnected", numbers(250))
    for shown in (found.text, Page(found.html).text):
        assert shown.count("is disconnected") == 50
        assert "Line 50 is" in shown
        assert "And 200 more, which stand in the list of your notifications." in shown
        assert "Line 1 is" in shown
        assert "Line 51 is" not in shown
    assert found.subject == "250 numbers disconnected"
    assert len(found.html.encode()) < 100_000


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", FOLDING)
def test_every_kind_that_folds_says_how_many(kind: str, language: str) -> None:
    found = drawn(kind, [EXAMPLES[kind]] * 3, language=language)
    assert found.subject.startswith("3 ")
    assert found.subject in Page(found.html).text


@pytest.mark.parametrize("kind", [name for name in KINDS if name not in FOLDING])
def test_what_does_not_fold_is_drawn_all_the_same(kind: str) -> None:
    """Should two ever come together, none of them is lost for it."""
    assert drawn(kind, [EXAMPLES[kind]] * 2).subject == drawn(kind).subject


def test_nothing_to_tell_is_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError, match="tells of nothing"):
        draw("campaign_started", [], brand=BRAND, name="Ana", reader=("en", "UTC"))


@pytest.mark.parametrize("place", ["person", "campaign", "brand"])
def test_html_in_a_name_is_shown_and_not_obeyed(place: str) -> None:
    evil = "<script>alert('x')</script><img src=x onerror=y>\"'"
    found = drawn(
        "campaign_started",
        [catalogue.CampaignStarted(campaign_id=1, name=evil if place == "campaign" else "Spring")],
        name=evil if place == "person" else "Ana",
        brand=msgspec.structs.replace(BRAND, name=evil) if place == "brand" else BRAND,
    )
    page = Page(found.html)
    assert {"script", "img"} & {*page.tags} == set()
    assert evil in page.text
    assert evil in found.text.replace("\n", " ")


@pytest.mark.parametrize("kind", KINDS)
def test_no_name_makes_a_second_line_of_a_subject(kind: str) -> None:
    evil = "a\r\nBcc: all@example.com\x00\u2028\x85b"
    detail = EXAMPLES[kind]
    fields = {name: evil for name, value in msgspec.structs.asdict(detail).items() if isinstance(value, str)}
    found = drawn(
        kind,
        [msgspec.structs.replace(detail, **fields)],
        name=evil,
        brand=msgspec.structs.replace(BRAND, name=evil),
    )
    assert found.subject.isprintable()
    assert len(found.subject.splitlines()) == 1


@pytest.mark.parametrize("name", ["Ana 👩‍👩‍👧‍👦❤️", "שרה 🌷", "مريم", "Zoë 李"])
def test_names_survive_everywhere(name: str) -> None:
    found = drawn("campaign_completed", [msgspec.structs.replace(EXAMPLES["campaign_completed"], name=name)], name=name)
    assert name in found.subject
    assert found.text.count(name) == 2
    assert Page(found.html).text.count(name) == 3  # the title of the page, the greeting and the heading


def test_a_name_from_the_right_does_not_turn_its_sentence() -> None:
    assert drawn("campaign_completed", name="שרה").text.startswith("Hello \u2068שרה\u2069,\n")


@pytest.mark.parametrize("name", ["", "  ", "\n"])
def test_who_has_no_name_is_greeted_without(name: str) -> None:
    assert drawn("campaign_completed", name=name).text.startswith("Hello,\n")


@pytest.mark.parametrize("kind", LINKED)
def test_what_somebody_called_an_account_is_not_mailed_to_an_address_that_may_be_anothers(kind: str) -> None:
    found = drawn(kind, name="you have won 500 EUR, collect at https://evil.example/win")
    assert found.text.startswith("Hello,\n")
    for part in (found.subject, found.text, found.html):
        assert "won" not in part
        assert "evil.example" not in part


@pytest.mark.parametrize("name", ["x" * 120, "字" * 120, "👩‍👩‍👧‍👦" * 17])
def test_an_endless_name_breaks_no_line(name: str) -> None:
    for kind in KINDS:
        ensure_narrow(drawn(kind, name=name, brand=msgspec.structs.replace(BRAND, name=name)).text)


@pytest.mark.parametrize(("kind", "label"), [("password_reset", "Set a new password"), ("confirm_email", "Confirm")])
def test_a_link_that_works_once_is_a_button_and_plain(kind: str, label: str) -> None:
    link = "https://recado.example.com/page#token=abc&x=1"
    found = drawn(kind, [ResetLink(link=link)])
    page = Page(found.html)
    assert page.links == [link, link]
    assert page.said.count(link) == 1
    assert label in page.text
    assert f"\n{link}\n" in found.text
    lasts = {"password_reset": "works once, for 1 hour", "confirm_email": "works once, for 3 days"}[kind]
    for shown in (page.text, found.text.replace("\n", " ")):
        assert lasts in shown
        assert "If you did not ask for" in shown


@pytest.mark.parametrize(
    ("kind", "field", "label"),
    [("payment_failed", "action_url", "Pay now"), ("payment_succeeded", "receipt_url", "See the receipt")],
)
def test_a_payment_leads_to_where_its_service_says(kind: str, field: str, label: str) -> None:
    link = "https://pay.example.com/a?b=1&c=2"
    found = drawn(kind, [msgspec.structs.replace(EXAMPLES[kind], **{field: link})])
    page = Page(found.html)
    assert page.links[0] == link
    assert label in page.said
    assert f"{label}:\n{link}\n" in found.text


@pytest.mark.parametrize("link", ["", "javascript:alert(1)", "data:text/html,x", "https://", "https://a\nb", "//a.b"])
@pytest.mark.parametrize(("kind", "field"), [("payment_failed", "action_url"), ("payment_succeeded", "receipt_url")])
def test_a_button_leads_to_the_web_or_home(kind: str, field: str, link: str) -> None:
    found = drawn(kind, [msgspec.structs.replace(EXAMPLES[kind], **{field: link})])
    assert {*Page(found.html).links} == {HOME}


@pytest.mark.parametrize("link", ["javascript:alert(1)", "no address"])
def test_a_link_that_is_no_address_is_not_offered(link: str) -> None:
    assert {*Page(drawn("password_reset", [ResetLink(link=link)]).html).links} == {HOME}


@pytest.mark.parametrize(
    ("address", "good"),
    [
        ("https://a.example/b?c#d", True),
        ("http://127.0.0.1:8000", True),
        ("HTTPS://A.EXAMPLE", True),
        ("https://[::1", False),
        ("https://a b", False),
        ("mailto:a@b.example", False),
    ],
)
def test_what_is_an_address_of_the_web(address: str, *, good: bool) -> None:
    assert is_web(address) is good


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS.values() if kind.muted])
def test_what_can_be_muted_says_where(kind: str) -> None:
    foot = drawn(kind).text.partition("\n-- \n")[2]
    assert "you choose what is\nmailed:\nhttps://app.example.com\n" in foot


@pytest.mark.parametrize("kind", ["password_changed", *LINKED])
def test_what_concerns_security_says_that_it_cannot(kind: str) -> None:
    foot = drawn(kind).text.partition("\n-- \n")[2]
    assert "security of your account" in foot
    assert "://" not in foot


def test_an_alarm_says_why_an_administrator_gets_it() -> None:
    assert "because you are an administrator of Loja da Ana." in drawn("alarm_raised").text.replace("\n", " ")


def test_a_logo_takes_the_place_of_the_name() -> None:
    logo = "https://app.example.com/logo.png?a=1&b=2"
    page = Page(drawn("campaign_started", brand=msgspec.structs.replace(BRAND, logo_url=logo)).html)
    assert [(picture["src"], picture["alt"]) for picture in page.pictures] == [(logo, "Loja da Ana")]


def test_the_colour_is_that_of_the_brand() -> None:
    html = drawn("campaign_started", brand=msgspec.structs.replace(BRAND, color="#ffd400")).html
    assert 'bgcolor="#ffd400"' in html
    assert "color: #111111; font-weight: bold" in html


def test_what_the_brand_leaves_out_is_not_there() -> None:
    plain = brand_of({}, "http://127.0.0.1:8000")
    assert drawn("campaign_started", brand=plain).text.endswith("\nhttp://127.0.0.1:8000\n")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_probe_is_a_mail_like_any_other(language: str) -> None:
    found = draw_probe(BRAND, language)
    assert "Loja da Ana" in found.subject
    assert "`recado check" in Page(found.html).text
    ensure_narrow(found.text)


async def test_render_reads_the_brand_from_the_settings(runtime: Runtime) -> None:
    found = await render("campaign_started", [EXAMPLES["campaign_started"]], name="Ana", language="es", timezone="UTC")
    assert found.subject == "La campaña Spring offers comenzó"
    assert f"Abrir Recado:\n{runtime.config.server.base_url}\n" in found.text
