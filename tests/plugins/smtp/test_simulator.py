"""The simulated server towards any client, its mailbox page, and its orders."""

import asyncio
import re
import smtplib
import ssl
from collections.abc import AsyncIterator
from email.message import EmailMessage

import pytest
from playwright.async_api import Browser, expect

from core.plugin import Secret
from core.plugin.testing import MailServer
from plugins.smtp.simulator import create
from tests.e2e.browser import launch, open_page
from tests.plugins.smtp.conftest import PASSWORD, USER, Begin, Mail, until

HOSTILE = "<script>document.title = 'taken over'</script>"


def _client(mail: Mail) -> smtplib.SMTP:
    """The standard library's client, which is not ours."""
    client = smtplib.SMTP("localhost", mail.simulator.server.port, timeout=5)
    client.starttls(context=ssl.create_default_context(cafile=mail.ca_file))
    return client


async def test_another_client_can_send_too(mail: Mail) -> None:
    def send() -> None:
        with _client(mail) as client:
            client.login(USER, PASSWORD)
            made = EmailMessage()
            made["Subject"], made["From"], made["To"] = "From elsewhere", USER, "ana@example.com"
            made.set_content(".a line that begins with a dot\n")
            client.send_message(made)

    await asyncio.to_thread(send)

    found = await mail.newest()
    assert (found["subject"], found["text"]) == ("From elsewhere", ".a line that begins with a dot\n")


async def test_signing_in_step_by_step_works(mail: Mail) -> None:
    def sign_in() -> list[int]:
        codes = []
        for method in ("auth_plain", "auth_login"):
            with _client(mail) as client:
                client.ehlo()
                client.user, client.password = USER, PASSWORD
                name = method.removeprefix("auth_").upper()
                codes.append(client.auth(name, getattr(client, method), initial_response_ok=False)[0])
        return codes

    assert await asyncio.to_thread(sign_in) == [235, 235]


async def test_it_is_as_strict_as_others(mail: Mail) -> None:
    def talk() -> list[int]:
        with smtplib.SMTP("localhost", mail.simulator.server.port, timeout=5) as client:
            client.ehlo()
            said = [client.docmd("AUTH PLAIN AGEAYg==")[0], client.mail(USER)[0], client.docmd("NONSENSE")[0]]
        with _client(mail) as client:
            client.ehlo()
            said += [client.docmd("AUTH PLAIN !!!")[0], client.docmd("AUTH CRAM-MD5")[0], client.mail(USER)[0]]
            client.login(USER, PASSWORD)
            said += [client.docmd("DATA")[0], client.rcpt("ana@example.com")[0], client.mail("nobody")[0]]
            said.append(client.mail(USER)[0])
            client.send("RCPT TO:<josé@example.com>\r\n".encode())
            said.append(client.getreply()[0])
            said.append(client.docmd("x" * 100_000)[0])
        return said

    assert await asyncio.to_thread(talk) == [530, 530, 502, 501, 504, 530, 503, 503, 501, 250, 553, 500]
    assert await mail.mails() == []


async def test_the_password_stands_nowhere(begin: Begin) -> None:
    mail = await begin(password="of-this-test")
    notifier = mail.make_notifier(password=Secret("of-this-test"))
    await mail.send(notifier=notifier)
    await notifier.aclose()

    for path in ("/", "/mails/1", "/simulator/server", "/simulator/mails", "/simulator/faults"):
        assert "of-this-test" not in (await mail.http.get(path)).text


async def test_pages_show_what_was_sent_as_text(mail: Mail) -> None:
    await mail.send(subject=HOSTILE, name=HOSTILE, text=HOSTILE, html=f"<p>{HOSTILE}</p>")

    overview, page = (await mail.http.get("/")).text, (await mail.http.get("/mails/1")).text

    assert "<script" not in overview + page
    assert "&lt;script&gt;" in overview
    source = await mail.http.get("/mails/1/raw")
    assert source.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert source.headers["X-Content-Type-Options"] == "nosniff"
    framed = await mail.http.get("/mails/1/html")
    assert framed.headers["Content-Security-Policy"].startswith("sandbox allow-popups")
    assert "script-src" not in framed.headers["Content-Security-Policy"]
    assert "default-src 'none'" in framed.headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/mails/9", "/mails/9/html", "/mails/9/raw", "/simulator/mails/9"])
async def test_what_is_not_there_is_missing(mail: Mail, path: str) -> None:
    assert (await mail.http.get(path)).status_code == 404


async def test_the_newest_is_first_and_the_oldest_goes(begin: Begin) -> None:
    mail = await begin(keep=2)
    for number in range(3):
        await mail.send(f"person{number}@example.com")

    assert [one["recipients"][0] for one in await mail.mails()] == ["person2@example.com", "person1@example.com"]
    assert (await mail.http.delete("/simulator/mails")).status_code == 204
    assert await mail.mails() == []


async def test_faults_are_listed_and_taken_back(mail: Mail) -> None:
    await mail.fault("no_starttls", 0)
    await mail.fault("busy", 2)
    assert await mail.look("/simulator/faults") == [{"kind": "no_starttls", "count": 0}, {"kind": "busy", "count": 2}]
    assert (await mail.http.delete("/simulator/faults")).status_code == 204

    await mail.send()

    assert len(await mail.mails()) == 1


@pytest.mark.parametrize("order", [b"", b"[]", b'{"kind": "earthquake"}', b'{"kind": "busy", "count": -1}'])
async def test_an_order_that_is_none_is_refused(mail: Mail, order: bytes) -> None:
    answer = await mail.http.post("/simulator/faults", content=order)

    assert answer.status_code == 400
    assert await mail.look("/simulator/faults") == []


async def test_its_authority_can_be_fetched(mail: Mail) -> None:
    assert (await mail.http.get("/simulator/ca.pem")).content == mail.ca_file.read_bytes()


@pytest.mark.parametrize(
    ("options", "named"),
    [({"port": "1"}, "port"), ({"smtp_port": "x"}, "smtp_port"), ({"security": "none"}, "security")],
)
def test_wrong_options_are_named(options: dict[str, str], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        create(options)


async def test_a_stopped_server_holds_no_connection(mail: Mail) -> None:
    async with MailServer(mail.simulator.authority.server_context("localhost"), user=USER, password=PASSWORD) as server:
        notifier = mail.make_notifier(port=server.port)
        await mail.send(notifier=notifier)
        assert server.open_connections == 1

    async def is_empty() -> bool:
        return server.open_connections == 0

    await until(is_empty)
    await notifier.aclose()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with launch() as browser:
        yield browser


@pytest.mark.slow
async def test_a_person_reads_a_mail_and_follows_its_link(mail: Mail, browser: Browser) -> None:
    link = f"{mail.http.base_url}/simulator/server"
    await mail.send(
        subject="Confirm your address", html=f'<p>Hello <b>Ana</b></p>{HOSTILE}<a href="{link}">Confirm</a>'
    )

    async with open_page(browser, str(mail.http.base_url), (900, 900)) as opened:
        page = opened.page
        await page.get_by_role("link", name="Confirm your address").click()
        await expect(page.get_by_role("heading", name="Confirm your address")).to_be_visible()
        framed = page.frame_locator("iframe")
        await expect(framed.get_by_text("Hello Ana")).to_be_visible()
        await expect(page).to_have_title("Confirm your address")
        async with page.expect_popup() as followed:
            await framed.get_by_role("link", name="Confirm").click()
        await expect(await followed.value).to_have_url(re.compile("/simulator/server$"))
