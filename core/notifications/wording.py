"""What a notification says: a title and a text for the list and the live event; e-mails are made of the same words."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import singledispatch

import msgspec

from core.events import catalogue
from core.notifications.formats import Formats, formats, isolated, one_line
from core.texts import alarm_text, blocker_text, say, word

LONGEST = 200
"""Characters of a stranger's text (a browser's name, an address) within a sentence."""

_MOMENTS = frozenset({"until"})
"""Facts of alarms that are moments, which are stored as ISO 8601 writes them."""
_OVER = frozenset({"completed", "completed_with_unknown"})
"""Reasons of a campaign's end of which its figures say everything."""
_NOT_RESUMED = frozenset({"audience_gone", "missed_date", "missed_date_skipped", "too_uniform"})
"""Reasons of a campaign that stopped without being paused; each says itself what can be done."""


def title_of(kind: str, detail: msgspec.Struct, language: str) -> str:
    """Return one short line that says what happened."""
    reader = formats(language, "UTC")
    return one_line(say("notices", _title_key(kind, detail), _titled(detail, _facts(detail, reader)), reader.language))


def text_of(kind: str, detail: msgspec.Struct, language: str, timezone: str) -> str:
    """Return what happened with its figures, and what to do: a few sentences in one line."""
    reader = formats(language, timezone)
    facts = _facts(detail, reader)

    def notice(part: str, **more: str) -> str:
        return say("notices", f"{kind}_{part}", {**facts, **more}, reader.language)

    return one_line(" ".join(filter(None, _sentences(detail, notice, reader))))


def alarm_says(kind: str, subject_id: int, detail: Mapping[str, object], language: str, timezone: str) -> str:
    """Return an alarm's text: what is the matter, and what to do about it after a colon.

    One of another version of the platform, whose kind or facts differ, has the name of its kind.
    """
    reader = formats(language, timezone)
    facts = {name: _shown(_moment(value) if name in _MOMENTS else value, reader) for name, value in detail.items()}
    try:
        return one_line(alarm_text(kind, {**facts, "id": str(subject_id)}, reader.language))
    except KeyError:
        return kind.replace("_", " ")


def _moment(value: object) -> object:
    """Return the moment that a stored fact names, or the fact where it names none."""
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        return value


def _facts(detail: msgspec.Struct, reader: Formats) -> dict[str, str]:
    """Return the fields of a detail as they are shown: names isolated, figures, moments and amounts formatted."""
    facts = {name: _shown(value, reader) for name, value in msgspec.structs.asdict(detail).items()}
    currency = getattr(detail, "currency", "")
    for name in ("amount", "refunded_amount"):
        if currency and name in facts:
            facts[name] = reader.money(getattr(detail, name), currency)
    if "number" in facts and not facts["name"]:
        number = facts["number"]
        facts["name"] = f"+{number}" if number.isdigit() else number or facts["number_id"]
    return facts


def _shown(value: object, reader: Formats) -> str:
    if isinstance(value, datetime):
        return reader.moment(value)
    if isinstance(value, int):
        return reader.number(value)
    return isolated(str(value)[:LONGEST]) if value is not None else ""


def _titled(detail: msgspec.Struct, facts: dict[str, str]) -> dict[str, str]:
    """Return the facts for a title: of an alarm, what is the matter without what to do, which follows a colon."""
    if isinstance(detail, catalogue.AlarmRaised):
        facts["text"] = _matter(one_line(detail.text))
    return facts


def _matter(text: str) -> str:
    """Return an alarm's text up to its colon; colons within parentheses belong to an error's own words.

    Those of a name that is isolated belong to the name.
    """
    depth = 0
    for at, sign in enumerate(text):
        depth += (sign in "(\u2066\u2067\u2068") - (sign in ")\u2069")
        if depth == 0 and text.startswith(": ", at):
            return text[:at]
    return text.rstrip(".")


def _title_key(kind: str, detail: msgspec.Struct) -> str:
    if isinstance(detail, catalogue.ImportFinished) and detail.status in {"failed", "canceled"}:
        return f"{kind}_title_{detail.status}"
    if isinstance(detail, catalogue.CampaignPaused) and detail.reason in _NOT_RESUMED:
        return f"{kind}_title_stopped"
    return f"{kind}_title"


_Notice = Callable[..., str]
"""Says a part of the kind's text, with further placeholders."""


@singledispatch
def _sentences(_detail: msgspec.Struct, notice: _Notice, _reader: Formats) -> list[str]:
    """Return the sentences of a text, empty ones among them; those of most kinds are one part with its figures."""
    return [notice("text")]


@_sentences.register
def _(detail: catalogue.CampaignPaused, notice: _Notice, reader: Formats) -> list[str]:
    why = _sentence(blocker_text(detail.reason, reader.language))
    return [why, "" if detail.reason in _NOT_RESUMED else notice("text")]


@_sentences.register
def _(detail: catalogue.CampaignCompleted, notice: _Notice, reader: Formats) -> list[str]:
    why = "" if detail.reason in _OVER else _sentence(blocker_text(detail.reason, reader.language))
    return [why, notice("text"), notice("unknown") if detail.unknown else ""]


@_sentences.register
def _(detail: catalogue.NumberDisconnected, notice: _Notice, reader: Formats) -> list[str]:
    state = word("connections", detail.connection, reader.language)
    reason = word("connections", detail.reason, reader.language)
    if detail.reason and not reason:
        reason = notice("reason", reason=isolated(_readable(detail.reason)))
    return [state or notice("reason", reason=_readable(detail.connection)), reason, notice("text")]


@_sentences.register
def _(detail: catalogue.ImportFinished, notice: _Notice, _reader: Formats) -> list[str]:
    if detail.status == "failed":
        return [notice("text"), notice("failed")]
    return [notice("text"), notice("rows") if detail.rows_failed else ""]


@_sentences.register
def _(detail: catalogue.PaymentFailed, notice: _Notice, reader: Formats) -> list[str]:
    if detail.failure != "other":
        why = word("failures", detail.failure, reader.language)
    else:
        why = notice("reason", reason=isolated(_readable(detail.failure_code))) if detail.failure_code else ""
    again = notice("again") if detail.next_attempt_at else ""
    return [notice("text"), why, again, notice("pay") if detail.action_url else notice("check")]


@_sentences.register
def _(detail: catalogue.PlanChanged, notice: _Notice, _reader: Formats) -> list[str]:
    return [notice("over") if detail.reason == "subscription_over" else notice("text")]


@_sentences.register
def _(detail: catalogue.AccessEnds, notice: _Notice, reader: Formats) -> list[str]:
    return [word("endings", detail.reason, reader.language), notice("text")]


@_sentences.register
def _(detail: catalogue.NewDevice, notice: _Notice, _reader: Formats) -> list[str]:
    return [notice("text") if detail.user_agent.strip() else notice("unnamed"), notice("otherwise")]


@_sentences.register
def _(detail: catalogue.AlarmRaised, _notice: _Notice, _reader: Formats) -> list[str]:
    return [detail.text]


@_sentences.register
def _(detail: catalogue.WebhookDisabled, notice: _Notice, _reader: Formats) -> list[str]:
    if detail.reason == "gone":
        return [notice("gone"), notice("mend")]
    known = detail.reason in {"", "failing"}
    return [
        notice("text"),
        "" if known else notice("reason", reason=isolated(_readable(detail.reason))),
        notice("mend"),
    ]


def _readable(code: str) -> str:
    """Return a code as words: ``no_route`` as ``no route``; what is a sentence already stays."""
    shown = one_line(code)
    return shown.replace("_", " ") if " " not in shown else shown


def _sentence(text: str) -> str:
    """Return a text as a sentence: with a capital at its beginning and a sign at its end."""
    shown = one_line(text)
    return shown if shown.endswith((".", "!", "?")) else f"{shown[:1].upper()}{shown[1:]}."
