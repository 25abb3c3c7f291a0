"""Titles and texts of notifications: exact words, in every language, and nothing left to fill."""

import re
from datetime import UTC, datetime

import msgspec
import pytest

from core.events import catalogue
from core.notifications.emails.examples import EXAMPLES
from core.notifications.kinds import KINDS
from core.notifications.wording import alarm_says, text_of, title_of
from core.texts import LANGUAGES

LISTED = [kind.name for kind in KINDS.values() if kind.listed]
ZONE = "America/Sao_Paulo"


def changed(kind: str, **fields: object) -> msgspec.Struct:
    return msgspec.structs.replace(EXAMPLES[kind], **fields)


def told(kind: str, language: str = "en", **fields: object) -> str:
    return text_of(kind, changed(kind, **fields), language, ZONE)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", LISTED)
def test_every_kind_is_told_in_every_language(kind: str, language: str) -> None:
    title, text = title_of(kind, EXAMPLES[kind], language), text_of(kind, EXAMPLES[kind], language, ZONE)
    for shown in (title, text):
        assert shown.strip() == shown != ""
        assert re.search(r"[{}\n_]|\bNone\b(?! of its numbers)", shown) is None
    assert text.endswith((".", "!"))
    assert len(title) < 80


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
@pytest.mark.parametrize("kind", [kind for kind in LISTED if kind != "alarm_raised"])
def test_no_kind_is_told_in_english_to_others(kind: str, language: str) -> None:
    """What an alarm says is translated where it is raised."""
    assert title_of(kind, EXAMPLES[kind], language) != title_of(kind, EXAMPLES[kind], "en")
    assert told(kind, language) != told(kind, "en")


def test_a_title_names_what_it_is_about() -> None:
    assert title_of("campaign_completed", EXAMPLES["campaign_completed"], "en") == (
        "The campaign Spring offers is complete"
    )
    assert title_of("campaign_completed", EXAMPLES["campaign_completed"], "pt-BR") == (
        "A campanha Spring offers terminou"
    )


def test_a_report_has_its_figures() -> None:
    assert told("campaign_completed", reason="completed", unknown=0) == (
        "Recipients: 1,250. Sent: 1,231, delivered: 1,190, read: 804, failed: 14, skipped: 3."
    )


def test_messages_in_doubt_are_told_of() -> None:
    assert told("campaign_completed", unknown=2).endswith(
        "skipped: 3. Not known whether sent: 2. Have these tried again, or assume them sent."
    )


def test_another_end_of_a_campaign_is_told_with_its_reason() -> None:
    assert told("campaign_completed", reason="canceled_by_user").startswith("The campaign was cancelled. Recipients:")


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("paused_by_user", "The campaign was paused. Nothing more is sent until you start it again."),
        ("never_heard_of", "Never heard of. Nothing more is sent until you start it again."),
    ],
)
def test_why_a_campaign_is_paused_is_said_in_words(reason: str, shown: str) -> None:
    assert told("campaign_paused", reason=reason) == shown


def test_a_campaign_that_cannot_go_on_is_not_called_paused() -> None:
    detail = changed("campaign_paused", reason="missed_date")
    assert title_of("campaign_paused", detail, "en") == "The campaign Spring offers is not sent"
    assert told("campaign_paused", reason="missed_date") == (
        "The schedule date passed while nothing could be started: start the campaign, or cancel it."
    )


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("gone", " answered that it is gone for good (410), so nothing more is sent there. Mend"),
        ("failing", " failed for so long that nothing more is sent there. Mend"),
        ("odd_reason", " failed for so long that nothing more is sent there. Reason: odd reason. Mend"),
    ],
)
def test_why_a_webhook_was_switched_off(reason: str, shown: str) -> None:
    assert f"https://shop.example.com/hooks/recado{shown}" in told("webhook_disabled", reason=reason)


@pytest.mark.parametrize(
    ("connection", "reason", "shown"),
    [
        ("failed", "", "Its session failed."),
        ("connected", "no_acknowledgements", "It is signed in and yet cannot send. What it sends is accepted and"),
        ("stopped", "moved", "Its session was stopped. It was moved to another server."),
        ("needs_person", "LOGGED_OUT_BY_PHONE", "It is in a state that only a person can end. Reason: LOGGED OUT BY"),
        ("half_open", "", "Reason: half open. Nothing is sent"),
    ],
)
def test_why_a_number_is_disconnected_is_said_in_words(connection: str, reason: str, shown: str) -> None:
    assert told("number_disconnected", connection=connection, reason=reason).startswith(shown)


@pytest.mark.parametrize(
    ("name", "number", "shown"),
    [("Sales", "5511987654321", "Sales"), ("", "5511987654321", "+5511987654321"), ("", "", "3")],
)
def test_a_number_without_a_name_is_called_by_its_number(name: str, number: str, shown: str) -> None:
    detail = changed("number_connected", name=name, number=number)
    assert title_of("number_connected", detail, "en") == f"The number {shown} is connected"


def test_a_moment_is_told_in_the_readers_zone() -> None:
    assert told("number_restricted").startswith("Until March 10, 2027, 12:30\u00a0PM (GMT-03:00) it can")
    assert "10 de marzo de 2027, 12:30 (GMT-03:00)" in told("number_restricted", "es")


@pytest.mark.parametrize(
    ("status", "title"),
    [("done", "is done"), ("failed", "failed"), ("canceled", "was cancelled")],
)
def test_an_import_is_told_by_its_end(status: str, title: str) -> None:
    detail = changed("import_finished", status=status)
    assert title_of("import_finished", detail, "en") == f"The import customers.xlsx {title}"


def test_rows_that_failed_are_told_what_to_do_about() -> None:
    assert told("import_finished", rows_failed=0).endswith("failed: 0.")
    assert told("import_finished", rows_failed=1).endswith("mend them and import them.")


@pytest.mark.parametrize(
    ("failure", "shown"),
    [
        ("insufficient_funds", "The balance or limit of the card is not enough."),
        ("other", "The payment service says: some new code."),
    ],
)
def test_why_a_payment_failed_is_said_in_words(failure: str, shown: str) -> None:
    text = told("payment_failed", failure_code="some_new_code", failure=failure)
    assert f"could not be made. {shown} It is tried again on March 10" in text


def test_a_payment_that_is_not_tried_again_promises_nothing() -> None:
    shown = told("payment_failed", failure_code="", failure="other", next_attempt_at=None, action_url="")
    assert shown == (
        "Your payment of R$149.90 could not be made."
        " Check your means of payment, or choose another, to keep your access."
    )


def test_a_refund_names_both_amounts() -> None:
    assert told("payment_refunded", amount="5000", refunded_amount="1500", currency="CLP").startswith(
        "Of your payment of CLP\u00a05,000, CLP\u00a01,500 were paid back."
    )


def test_why_access_ends_is_said_where_it_is_known() -> None:
    assert told("access_ends", reason="past_due").startswith("The last renewal could not be charged. What you paid for")
    assert told("access_ends", reason="active").startswith("What you paid for ends on March 10, 2027, 12:30")


def test_a_plan_that_fell_back_is_told_as_such() -> None:
    assert "subscription is over" in told("plan_changed", reason="subscription_over")
    assert "subscription is over" not in told("plan_changed", reason="subscription_changed")


def test_a_device_without_a_name() -> None:
    assert told("new_device", user_agent="").startswith(
        "Somebody signed in from a device that was not seen before, from the address 203.0.113.7."
    )


def test_an_endless_browser_name_is_cut() -> None:
    assert "x" * 200 + ", from" in told("new_device", user_agent="x" * 5000)


@pytest.mark.parametrize(
    ("text", "title"),
    [
        (
            "The server main does not answer (timeout): see whether it runs.",
            "The server main does not answer (timeout)",
        ),
        ("The server main refuses (SSLError: expired): mend it.", "The server main refuses (SSLError: expired)"),
        ("The disk is almost full.", "The disk is almost full"),
        ("The number \u2068a: א\u2069 failed (lost): connect it.", "The number \u2068a: א\u2069 failed (lost)"),
    ],
)
def test_the_title_of_an_alarm_is_what_is_the_matter(text: str, title: str) -> None:
    assert title_of("alarm_raised", changed("alarm_raised", text=text), "es") == f"Alarma: {title}"
    assert told("alarm_raised", text=text) == text


def test_a_name_cannot_begin_another_line_or_fill_a_placeholder() -> None:
    detail = catalogue.CampaignStarted(campaign_id=1, name="a\r\nBcc: {name} {x}")
    assert title_of("campaign_started", detail, "en") == "The campaign a Bcc: {name} {x} has started"


def test_a_name_that_is_written_from_the_right_is_isolated() -> None:
    name = "שלום 🌷"
    detail = catalogue.CampaignStarted(campaign_id=1, name=name)
    assert title_of("campaign_started", detail, "en") == f"The campaign \u2068{name}\u2069 has started"


def test_an_unknown_language_and_zone_are_english_and_utc() -> None:
    detail = msgspec.structs.replace(
        EXAMPLES["number_restricted"], restricted_until=datetime(2027, 1, 2, 3, 4, tzinfo=UTC)
    )
    assert "Until January 2, 2027, 3:04\u00a0AM (GMT+00:00)" in text_of("number_restricted", detail, "tlh", "Nowhere")


def test_a_browser_that_breaks_out_of_its_isolation_turns_nothing() -> None:
    shown = told("new_device", user_agent="Fire\u2069\u202efox", address="203.0.113.7")
    assert shown.startswith(told("new_device", user_agent="Firefox", address="203.0.113.7"))


class TestAlarm:
    def test_what_it_names_is_isolated_and_one_line(self) -> None:
        detail = {"name": "שרה\u2069\u202e\nx", "reason": "a\u202eb"}
        assert alarm_says("server_down", 1, detail, "en", "UTC") == (
            "The server \u2068שרה x\u2069 does not answer (ab): see whether it runs and can be reached from here."
        )

    def test_a_moment_is_that_of_the_readers_clock(self) -> None:
        detail = {"name": "smtp", "reason": "daily", "until": "2027-01-02T03:04+00:00"}
        assert alarm_says("notifier_limited", 1, detail, "en", "America/Sao_Paulo") == (
            "The service smtp takes no more for now (daily): what waits goes out from January 2, 2027,"
            " 12:04\u00a0AM (GMT-03:00)."
        )

    def test_it_says_which_row_it_is_about(self) -> None:
        assert alarm_says("payment_disputed", 12345, {"gateway": "stripe"}, "es", "UTC").startswith(
            "El banco de quien pagó reclama un pago en stripe (número 12345 en la lista de pagos): responda"
        )

    @pytest.mark.parametrize(
        ("kind", "detail", "shown"),
        [("server_down", {"server": "a"}, "server down"), ("moon_down", {"name": "a"}, "moon down")],
    )
    def test_one_of_another_version_is_called_by_its_kind(
        self, kind: str, detail: dict[str, object], shown: str
    ) -> None:
        assert alarm_says(kind, 1, detail, "pt-BR", "UTC") == shown
