"""From details to an e-mail: its subject, its HTML and its text, all of the same words."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import jinja2
import msgspec

from core.events import catalogue
from core.notifications.emails.brand import Brand
from core.notifications.emails.plain_text import wrapped
from core.notifications.formats import Formats, formats, isolated, one_line
from core.notifications.kinds import KINDS, ResetLink
from core.notifications.wording import text_of, title_of
from core.texts import say

LISTED = 50
"""A mail lists so many of one kind, and says how many there are beside; more would be cut by mail programs."""

_environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=jinja2.select_autoescape(("html",)),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters["wrapped"] = wrapped


class Rendered(msgspec.Struct, frozen=True):
    """An e-mail; the subject is one line."""

    subject: str
    text: str
    html: str


class Item(msgspec.Struct, frozen=True):
    """One thing that a mail tells of."""

    title: str
    text: str


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """What the templates are filled with."""

    language: str
    brand: Brand
    subject: str
    hello: str
    items: Sequence[Item]
    more: str
    """How many are not listed."""
    label: str
    """What the button says."""
    link: str
    """Where it leads; http or https alone."""
    copy: str
    """Asks to copy the link; empty where the button alone will do."""
    otherwise: str
    why: str
    settings_url: str
    """Where one chooses what is mailed; empty where there is nothing to choose."""
    help: str


def draw(kind: str, details: Sequence[msgspec.Struct], *, brand: Brand, name: str, reader: tuple[str, str]) -> Rendered:
    """Return the mail of one kind, its details folded into one; ``reader`` is a language and a time zone.

    It lists them in their order, the first of many: they are best given the newest first.

    Raises:
        KeyError: There is no such kind.
        ValueError: There is no detail.
    """
    if not details:
        raise ValueError(f"a mail of the kind {kind} tells of nothing")
    language, timezone = reader
    writer = _Writer(formats(language, timezone), timezone, brand)
    detail = details[0]
    if isinstance(detail, ResetLink):
        return _typeset(writer.with_link(kind, detail))
    return _typeset(writer.notice(kind, details, name))


def draw_probe(brand: Brand, language: str) -> Rendered:
    """Return the mail by which an operator tries whether mails arrive."""
    writer = _Writer(formats(language, "UTC"), "UTC", brand)
    title = writer.say("probe_title")
    return _typeset(
        writer.letter(title, "", [Item(title, writer.say("probe_text"))], writer.say("button_open"), brand.url)
    )


class _Writer:
    """Says everything in one person's language."""

    def __init__(self, reader: Formats, timezone: str, brand: Brand) -> None:
        self.reader = reader
        self.timezone = timezone
        self.brand = brand

    def say(self, key: str, **params: object) -> str:
        filled = {"brand": isolated(self.brand.name), **params}
        return one_line(say("emails", key, filled, self.reader.language))

    def letter(self, subject: str, name: str, items: Sequence[Item], label: str, link: str) -> Letter:
        address = self.brand.support_email
        return Letter(
            language=self.reader.language,
            brand=self.brand,
            subject=one_line(subject),
            hello=self.say("hello", name=isolated(name)) if one_line(name) else self.say("hello_nobody"),
            items=items,
            more="",
            label=label,
            link=link,
            copy="",
            otherwise="",
            why="",
            settings_url="",
            help=self.say("help", address=address) if address else "",
        )

    def with_link(self, kind: str, detail: ResetLink) -> Letter:
        """Write about a link that works once.

        Its reader is greeted without a name: the address may be a stranger's whom somebody registered under words of
        their own, and no mail carries those to an address that nobody has confirmed.
        """
        title = self.say(f"{kind}_title")
        lasts = self.reader.duration(KINDS[kind].lasts)
        items = [Item(title, self.say(f"{kind}_text", duration=lasts))]
        label = self.say("button_reset" if kind == "password_reset" else "button_confirm")
        return msgspec.structs.replace(
            self.letter(title, "", items, label, detail.link if is_web(detail.link) else self.brand.url),
            copy=self.say("copy"),
            otherwise=self.say(f"{kind}_otherwise"),
            why=self.say("why_security"),
        )

    def notice(self, kind: str, details: Sequence[msgspec.Struct], name: str) -> Letter:
        """Write about what happened, once or several times."""
        language, count = self.reader.language, len(details)
        items = [
            Item(title_of(kind, detail, language), text_of(kind, detail, language, self.timezone))
            for detail in details[:LISTED]
        ]
        folded = count > 1 and KINDS[kind].folds
        subject = self.say(f"{kind}_many", count=count) if folded else items[0].title
        label, link = self._button(details[0]) if count == 1 else self._home()
        why = "why" if KINDS[kind].muted else "why_security"
        return msgspec.structs.replace(
            self.letter(subject, name, items, label, link),
            more=self.say("more", count=count - LISTED) if count > LISTED else "",
            why=self.say("why_administrator" if isinstance(details[0], catalogue.AlarmRaised) else why),
            settings_url=self.brand.url if KINDS[kind].muted else "",
        )

    def _button(self, detail: msgspec.Struct) -> tuple[str, str]:
        if isinstance(detail, catalogue.PaymentFailed) and is_web(detail.action_url):
            return self.say("button_pay"), detail.action_url
        if isinstance(detail, catalogue.PaymentSucceeded) and is_web(detail.receipt_url):
            return self.say("button_receipt"), detail.receipt_url
        return self._home()

    def _home(self) -> tuple[str, str]:
        return self.say("button_open"), self.brand.url


def is_web(address: str) -> bool:
    """Say whether a button may lead to an address: http or https with a host, and nothing that would end a line."""
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        return False
    plain = address.isprintable() and " " not in address
    return parts.scheme in {"http", "https"} and bool(host) and plain


def _typeset(letter: Letter) -> Rendered:
    filled = msgspec.structs.asdict(letter)
    return Rendered(
        letter.subject,
        _environment.get_template("mail.txt").render(filled),
        _environment.get_template("mail.html").render(filled),
    )
