"""The mailbox in a browser: the list, one mail, its page on its own, and its source."""

from html import escape

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from plugins.smtp.simulator.mailbox import Mail, Mailbox

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 52rem; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
td, th { border-bottom: 1px solid #8884; padding: .3rem .6rem; text-align: left; overflow-wrap: anywhere }
iframe { border: 1px solid #8884; width: 100%; height: 32rem }
pre { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid #8884; padding: .6rem }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; base-uri 'none'; form-action 'none'"
_SANDBOX = "allow-popups allow-popups-to-escape-sandbox"
"""No script, no form, an origin of its own; links open in a window of theirs."""
_MAIL_POLICY = f"sandbox {_SANDBOX}; default-src 'none'; img-src data: https:; style-src 'unsafe-inline'"
_SHOWN = ("From", "To", "Reply-To", "Subject", "Date", "Message-ID")
_SECONDS = 5


class Pages:
    """What a person sees."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    def handlers(self) -> list[HTTPRouteHandler]:
        """Return the routes."""
        return [
            get("/")(self.overview),
            get("/mails/{number:int}")(self.show),
            get("/mails/{number:int}/html")(self.page_of),
            get("/mails/{number:int}/raw")(self.source_of),
        ]

    async def overview(self) -> Response[str]:
        """List the mails, the newest first."""
        rows = "".join(
            f"<tr><td>{mail.received_at:%H:%M:%S}</td><td>{escape(', '.join(mail.recipients))}</td>"
            f'<td><a href="/mails/{mail.id}">{escape(mail.subject) or "(no subject)"}</a></td></tr>'
            for mail in self._mailbox.mails
        )
        head = "<tr><th>Taken (UTC)</th><th>To</th><th>Subject</th></tr>"
        listed = f"<table>{head}{rows}</table>" if rows else "<p>No mail yet.</p>"
        return _page("Mailbox", listed, f'<meta http-equiv="refresh" content="{_SECONDS}">')

    async def show(self, number: FromPath[int]) -> Response[str]:
        """Show one mail: its page in a frame that may do nothing, its text and its source."""
        mail = self._mailbox.find(number)
        if mail is None:
            return _missing()
        values = ((name, mail.header(name)) for name in _SHOWN)
        rows = "".join(f"<tr><th>{name}</th><td>{escape(value)}</td></tr>" for name, value in values if value)
        frame = (
            f'<h2>Page</h2><iframe title="Page of the mail" sandbox="{_SANDBOX}" src="/mails/{mail.id}/html"></iframe>'
            if mail.html
            else ""
        )
        source = f"<details><summary>Source</summary><pre>{escape(mail.raw)}</pre></details>"
        content = (
            f'<p><a href="/">Mailbox</a></p><table>{rows}</table>{frame}<h2>Text</h2>'
            f'<pre dir="auto">{escape(mail.text)}</pre>{source}<p><a href="/mails/{mail.id}/raw">Source alone</a></p>'
        )
        return _page(mail.subject or "(no subject)", content)

    async def page_of(self, number: FromPath[int]) -> Response[str]:
        """Give the page of a mail as it was sent, with its links leading out of the frame."""
        mail = self._mailbox.find(number)
        if mail is None:
            return _missing()
        return _html(f'<base target="_blank">{mail.html}', _MAIL_POLICY)

    async def source_of(self, number: FromPath[int]) -> Response[str]:
        """Give the source of a mail as text."""
        mail = self._mailbox.find(number)
        return _missing() if mail is None else Response(mail.raw, media_type="text/plain", headers=_SAFE)


def listed(mail: Mail) -> dict[str, object]:
    """Return what the list as JSON says of a mail."""
    return {
        "id": mail.id,
        "received_at": mail.received_at,
        "sender": mail.sender,
        "recipients": mail.recipients,
        "subject": mail.subject,
        "message_id": mail.header("Message-ID"),
        "session": mail.session,
    }


_SAFE = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


def _page(title: str, content: str, more: str = "") -> Response[str]:
    return _html(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>{more}'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style><h1 dir="auto">{escape(title)}</h1>'
        f"<p>Simulated mail server: nothing leaves this machine.</p>{content}</html>",
        _POLICY,
    )


def _html(text: str, policy: str) -> Response[str]:
    headers = {**_SAFE, "Content-Security-Policy": policy}
    return Response(text, media_type="text/html", headers=headers)


def _missing() -> Response[str]:
    return Response("There is no such mail.", status_code=404, media_type="text/plain")
