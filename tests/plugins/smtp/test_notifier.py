"""Sending: the way of a mail, what each refusal means, and what is left open by a lost answer."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.plugin import (
    LimitReachedError,
    MisconfiguredError,
    Notifier,
    ProviderError,
    RefusedError,
    Secret,
    UnavailableError,
    UncertainError,
)
from core.plugin.testing import CertificateAuthority, MailReply, MailServer
from plugins.smtp.answers import until_next_day
from plugins.smtp.connection import Account
from tests.plugins.smtp.conftest import PASSWORD, USER, Begin, Mail, notification, until


async def test_a_mail_arrives_whole(mail: Mail) -> None:
    await mail.send()

    assert isinstance(mail.notifier, Notifier)
    found = await mail.newest()
    assert (found["sender"], found["recipients"]) == ("messages@example.com", ["ana@example.com"])
    assert found["subject"] == "Your campaign is done"
    assert found["text"] == "All 40 messages are on their way.\n"
    assert found["html"] == "<p>All <b>40</b> messages are on their way.</p>\n"
    assert mail.handed_over == 1
    assert await mail.commands() == [
        "CONNECT",
        "EHLO",
        "STARTTLS",
        "EHLO",
        "AUTH",
        "PASSWORD",
        "MAIL messages@example.com",
        "RCPT ana@example.com",
        "DATA",
        "CONTENT",
    ]


async def test_core_hears_of_it_when_the_server_waits_for_the_text(mail: Mail) -> None:
    seen: list[str] = []

    async def look() -> None:
        seen.extend(await mail.commands())

    await mail.notifier.send(notification(), look)

    assert seen[-1] == "DATA"


@pytest.mark.parametrize(
    "raised",
    [ConnectionResetError("the database is gone"), RefusedError("taken over", provider_code="LEASE")],
    ids=["error", "answer"],
)
async def test_what_core_raises_there_sends_nothing(mail: Mail, raised: Exception) -> None:
    async def refuse() -> None:
        raise raised

    with pytest.raises(type(raised)) as caught:
        await mail.notifier.send(notification(), refuse)
    assert caught.value is raised

    async def is_gone() -> bool:
        return await mail.open_connections() == 0

    # Whatever came next on it would be taken for the text of the mail.
    await until(is_gone)
    await mail.send("bia@example.com")

    assert [one["recipients"] for one in await mail.mails()] == [["bia@example.com"]]
    said = await mail.commands()
    assert (said.count("CONNECT"), said.count("CONTENT")) == (2, 1)


async def test_a_connection_that_ends_while_core_notes_it_takes_no_mail(mail: Mail) -> None:
    """Core was told of a mail of which no byte went out."""

    async def cut() -> None:
        await mail.http.post("/simulator/cut")

        async def is_gone() -> bool:
            return await mail.open_connections() == 0

        await until(is_gone)
        # A request later the client, which is on the same loop, has heard of it as well.
        await mail.look("/simulator/server")

    with pytest.raises(UnavailableError, match="before the mail was begun") as caught:
        await mail.notifier.send(notification(), cut)

    assert caught.value.of_recipient is False
    await mail.send()
    assert len(await mail.mails()) == 1


async def test_a_line_that_begins_with_a_dot_arrives(mail: Mail) -> None:
    await mail.send(text=".\n..\n.dot\nend\n", html="")

    assert (await mail.newest())["text"] == ".\n..\n.dot\nend\n"


async def test_the_same_key_gives_the_same_message_id(mail: Mail) -> None:
    for key in ("a:1", "a:1", "a:2"):
        await mail.send(key=key)

    second, again, first = (one["message_id"] for one in await mail.mails())
    assert again == first
    assert second != first
    assert first.endswith("@example.com>")


async def test_tls_from_the_start_works_too(begin: Begin) -> None:
    mail = await begin(security="tls")

    await mail.send()

    assert (await mail.commands())[:3] == ["CONNECT", "EHLO", "AUTH"]
    assert await mail.notifier.check() == f"localhost:{mail.simulator.server.port} (TLS) accepts {USER}"


async def test_the_check_names_server_and_account(mail: Mail) -> None:
    assert await mail.notifier.check() == f"localhost:{mail.simulator.server.port} (STARTTLS) accepts {USER}"
    assert (await mail.commands())[-1] == "NOOP"


async def test_the_check_signs_in_anew(mail: Mail) -> None:
    await mail.send()
    await mail.fault("wrong_password")

    with pytest.raises(MisconfiguredError, match="password"):
        await mail.notifier.check()


REFUSALS: dict[str, tuple[type[ProviderError], str, int]] = {
    "wrong_password": (MisconfiguredError, "535 5.7.8", 0),
    "sender_refused": (MisconfiguredError, "553 5.7.1", 0),
    "busy": (UnavailableError, "451 4.3.0", 0),
    "rate_limit": (LimitReachedError, "421 4.7.0", 0),
    "daily_limit": (LimitReachedError, "550 5.4.5", 1),
    "policy": (RefusedError, "554 5.7.1", 1),
}
"""By fault: the error, the reply that it names, and how often core was told that the mail goes out."""


@pytest.mark.parametrize("fault", REFUSALS)
async def test_each_refusal_says_what_to_do(mail: Mail, fault: str) -> None:
    kind, reply, handed_over = REFUSALS[fault]
    await mail.fault(fault)

    with pytest.raises(kind) as caught:
        await mail.send()

    assert type(caught.value) is kind
    assert caught.value.provider_code == reply
    assert f"({reply})" in str(caught.value)
    assert mail.handed_over == handed_over
    assert await mail.mails() == []


async def test_a_daily_limit_lasts_until_the_next_day(mail: Mail) -> None:
    await mail.fault("daily_limit")

    with pytest.raises(LimitReachedError) as caught:
        await mail.send()

    assert caught.value.retry_after == pytest.approx(until_next_day(datetime.now(UTC)), abs=30)


async def test_a_refused_person_is_refused(mail: Mail) -> None:
    with pytest.raises(RefusedError, match=r"this recipient \(550 5\.1\.1\)"):
        await mail.send("refused@example.com")

    assert mail.handed_over == 0


@pytest.mark.parametrize(
    ("local", "reply", "seconds"), [("full", "452 4.2.2", 3600), ("greylisted", "450 4.2.0", 3600)]
)
async def test_a_person_who_cannot_take_it_now_is_tried_later(
    mail: Mail, local: str, reply: str, seconds: float
) -> None:
    with pytest.raises(UnavailableError) as caught:
        await mail.send(f"{local}@example.com")

    assert (caught.value.provider_code, caught.value.retry_after) == (reply, seconds)


async def test_greylisting_ends(mail: Mail) -> None:
    with pytest.raises(UnavailableError):
        await mail.send("greylisted@example.com")
    await mail.send("greylisted@example.com")

    assert len(await mail.mails()) == 1


async def test_a_whole_answer_keeps_the_connection(mail: Mail) -> None:
    with pytest.raises(RefusedError):
        await mail.send("refused@example.com")
    await mail.send()

    assert (await mail.commands()).count("CONNECT") == 1
    assert [one["recipients"] for one in await mail.mails()] == [["ana@example.com"]]


@pytest.mark.parametrize("local", ["refused+daily-limit", "refused+relay-denied", "refused+authenticate"])
async def test_nobody_stops_the_mail_of_others_by_an_address(mail: Mail, local: str) -> None:
    with pytest.raises(RefusedError, match=r"this recipient \(550 5\.1\.1\)"):
        await mail.send(f"{local}@example.com")


async def test_a_full_mailbox_is_nobody_elses_matter(mail: Mail) -> None:
    with pytest.raises(UnavailableError) as caught:
        await mail.send("full+throttle@example.com")

    assert (type(caught.value), caught.value.of_recipient) == (UnavailableError, True)


async def test_a_refusal_of_the_text_before_it_was_sent_is_definite(mail: Mail) -> None:
    full = MailReply(452, "4.3.1 Insufficient system storage")
    mail.simulator.server.decide = lambda command: full if command.verb == "DATA" else None

    with pytest.raises(UnavailableError) as caught:
        await mail.send()

    assert (caught.value.provider_code, caught.value.of_recipient) == ("452 4.3.1", False)
    assert mail.handed_over == 0


async def test_a_server_may_look_at_a_mail_for_longer_than_it_may_be_silent_before(mail: Mail) -> None:
    notifier = mail.make_notifier(timeout_seconds=1.0, final_seconds=30.0)
    await mail.fault("hang_after_data")
    sending = asyncio.create_task(mail.send(notifier=notifier))

    done, _ = await asyncio.wait({sending}, timeout=1.5)

    assert done == set()
    assert (await mail.commands())[-1] == "CONTENT"
    await mail.http.post("/simulator/cut")
    with pytest.raises(UncertainError):
        await sending


def test_what_a_mail_may_take_is_within_what_core_waits() -> None:
    account = Account(host="mail.example.org", port=587)

    assert (account.timeout_seconds, account.final_seconds) == (20, 240)


@pytest.mark.parametrize("fault", ["cut_before_data", "cut_at_data", "hang_before_data", "hang_at_data"])
async def test_a_loss_before_the_mail_is_certain(begin: Begin, fault: str) -> None:
    mail = await begin(seconds=0.5)
    await mail.fault(fault)

    with pytest.raises(UnavailableError):
        await mail.send()

    assert mail.handed_over == 0
    assert await mail.mails() == []


@pytest.mark.parametrize("fault", ["cut_after_data", "hang_after_data"])
async def test_a_lost_answer_to_a_mail_is_uncertain(begin: Begin, fault: str) -> None:
    # Enough for all that comes before, also on a machine that is busy.
    mail = await begin(seconds=2.0)
    await mail.fault(fault)

    with pytest.raises(UncertainError):
        await mail.send()

    assert mail.handed_over == 1
    # The connection is not used again.
    await mail.send()
    assert (await mail.commands()).count("CONNECT") == 2


async def test_nothing_is_said_without_encryption(mail: Mail) -> None:
    await mail.fault("no_starttls", 0)

    with pytest.raises(MisconfiguredError, match="no encryption"):
        await mail.send()

    assert await mail.commands() == ["CONNECT", "EHLO"]


async def test_a_server_that_only_says_so_is_not_believed(mail: Mail) -> None:
    """A STARTTLS that is offered and refused ends the conversation too."""
    busy = MailReply(454, "4.7.0 TLS not available")
    mail.simulator.server.decide = lambda command: busy if command.verb == "STARTTLS" else None

    with pytest.raises(UnavailableError):
        await mail.send()

    assert "AUTH" not in await mail.commands()


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_certificate_of_an_unknown_authority_is_refused(begin: Begin, security: str, tmp_path: Path) -> None:
    mail = await begin(security=security)
    other = tmp_path / "other.pem"
    other.write_bytes(CertificateAuthority().pem)

    for ca_file in ("", str(other)):
        notifier = mail.make_notifier(ca_file=ca_file)
        with pytest.raises(MisconfiguredError, match="certificate"):
            await mail.send(notifier=notifier)
        with pytest.raises(MisconfiguredError, match="certificate"):
            await notifier.check()

    assert not {"AUTH", "MAIL messages@example.com"} & {*await mail.commands()}
    assert (await mail.mails(), mail.handed_over) == ([], 0)


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_certificate_for_another_name_is_refused(mail: Mail, security: str) -> None:
    tls = mail.simulator.authority.server_context("mail.example.org")
    async with MailServer(tls, user=USER, password=PASSWORD, implicit=security == "tls") as server:
        notifier = mail.make_notifier(port=server.port, security=security)
        with pytest.raises(MisconfiguredError, match="certificate"):
            await mail.send(notifier=notifier)

    assert "AUTH" not in server.verbs
    assert server.mails == []


async def test_a_ca_file_that_is_gone_is_named(mail: Mail) -> None:
    with pytest.raises(MisconfiguredError, match=r"ca_file /nowhere\.pem"):
        await mail.send(notifier=mail.make_notifier(ca_file="/nowhere.pem"))


async def test_tls_at_a_port_without_it_is_named(mail: Mail) -> None:
    with pytest.raises(MisconfiguredError, match="security and port"):
        await mail.send(notifier=mail.make_notifier(security="tls"))


async def test_a_wrong_password_is_tried_once_and_not_shown(mail: Mail) -> None:
    notifier = mail.make_notifier(password=Secret("not-the-password"))

    with pytest.raises(MisconfiguredError) as caught:
        await mail.send(notifier=notifier)

    assert (await mail.commands()).count("PASSWORD") == 1
    assert "not-the-password" not in f"{caught.value!r} {vars(caught.value)} {notifier!r} {mail.notifier._account}"


@pytest.mark.parametrize(
    "recipient",
    [
        "",
        "ana",
        "ana@",
        "@example.com",
        "ana@example.com\r\nBcc: eve@example.com",
        "ana@example.com\n",
        "ana@example.com, eve@example.com",
        "Ana <ana@example.com>",
        "ana@example.com> SIZE=1 <eve@example.com",
        '"ana eve"@example.com',
        "ana@exa mple.com",
        "a..b@example.com",
        f"{'a' * 65}@example.com",
        f"ana@{'a' * 64}.com",
        "ana@\u2028example.com",
    ],
)
async def test_what_is_no_address_is_refused_here(mail: Mail, recipient: str) -> None:
    with pytest.raises(RefusedError, match="no e-mail address"):
        await mail.send(recipient)

    assert await mail.commands() == []


async def test_addresses_beyond_ascii_need_a_server_that_takes_them(mail: Mail) -> None:
    await mail.send("josé@exämple.com", name="José")

    found = await mail.newest()
    assert found["recipients"] == ["josé@xn--exmple-cua.com"]
    assert ["To", "José <josé@xn--exmple-cua.com>"] in found["headers"]


async def test_a_server_without_smtputf8_is_not_asked(mail: Mail) -> None:
    mail.simulator.server.offers_utf8 = False

    with pytest.raises(RefusedError, match="beyond ASCII"):
        await mail.send("josé@example.com")
    # A domain alone has a form in ASCII.
    await mail.send("jose@exämple.com")

    assert [one["recipients"] for one in await mail.mails()] == [["jose@xn--exmple-cua.com"]]
