"""``recado email preview``, and the probe of ``recado check --email``."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from core.errors import OperatorError

if TYPE_CHECKING:
    from core.checks import Check, Checkup, Result

MOST = 200
"""Enough to see how a mail looks that lists some and counts the rest; the platform folds far more into one."""


def add_to(app: App) -> None:
    """Add the commands to ``app``."""
    email = App(name="email", help="The e-mails that the platform sends.")
    email.command(preview)
    app.command(email)


def preview(
    kind: Annotated[str, Parameter(help="Which e-mail, such as password_reset.")],
    /,
    *,
    language: Annotated[str, Parameter(help="Language of the e-mail, such as es or pt-BR.")] = "en",
    folder: Annotated[Path, Parameter(help="Folder to write KIND.html and KIND.txt into.")] = Path(),
    count: Annotated[int, Parameter(help="How many things of the kind are folded into the e-mail.")] = 1,
) -> None:
    """Write an example of an e-mail as HTML and as text, in the brand that is set; nothing is sent."""
    from core.config import load_config
    from core.embedded.session import attach
    from core.notifications.emails.brand import brand_for
    from core.notifications.emails.drawing import draw
    from core.notifications.emails.examples import EXAMPLES, NAME

    _ensure_known(kind, language, count)
    brand = asyncio.run(brand_for(attach(load_config())))
    drawn = draw(kind, [EXAMPLES[kind]] * count, brand=brand, name=NAME, reader=(language, "UTC"))
    for ending, content in (("html", drawn.html), ("txt", drawn.text)):
        path = folder / f"{kind}.{ending}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        except OSError as error:
            raise OperatorError(f"{path} cannot be written ({error.strerror}): choose another --folder.") from None
        print(path)


def _ensure_known(kind: str, language: str, count: int) -> None:
    from core.notifications.kinds import KINDS
    from core.texts import LANGUAGES

    if kind not in KINDS:
        raise OperatorError(f"There is no e-mail {kind!r}. There are: {', '.join(sorted(KINDS))}.")
    if language not in LANGUAGES:
        raise OperatorError(f"--language {language}: there are {', '.join(LANGUAGES)}.")
    if not 1 <= count <= MOST:
        raise OperatorError(f"--count {count}: give a number from 1 to {MOST}.")
    if count > 1 and not KINDS[kind].folds:
        raise OperatorError(f"--count {count}: each {kind} has an e-mail of its own.")


def ensure_address(address: str) -> None:
    """Raise ``OperatorError`` for what cannot be an e-mail address."""
    import msgspec

    from core.settings.keys import Address

    try:
        msgspec.convert(address, Address)
    except msgspec.ValidationError:
        wrong = True
    else:
        wrong = not address or not address.isprintable()
    if wrong:
        raise OperatorError(f"--email {address!r} is no e-mail address: write one such as ana@example.com.")


def probe_of(address: str) -> "tuple[str, Check]":
    """Return the check that sends a mail to ``address``, with its name."""
    from core.email_probe import probe

    def check(checkup: "Checkup") -> "AsyncIterator[Result]":
        return probe(checkup, address)

    return "e-mail", check
