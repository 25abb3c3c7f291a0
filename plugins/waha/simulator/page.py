"""The page of the simulated phones: sessions, groups, and what reached whom."""

from html import escape

from plugins.waha.simulator.state import Arrival, Session, State

_SHOWN = 200
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Simulated phones</title>
<meta name="viewport" content="width=device-width">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }}
table {{ border-collapse: collapse; width: 100% }}
td, th {{ border-bottom: 1px solid #8884; padding: .3rem .6rem; text-align: left; vertical-align: top }}
</style>
<h1>Simulated phones</h1>
<p>{count} messages arrived, {repeated} of them repeated. This server imitates WAHA {version} with {engine}.</p>
<h2>Sessions</h2><table><tr><th>Name</th><th>Status</th><th>Phone</th><th></th></tr>{sessions}</table>
<h2>Groups</h2>
<table><tr><th>Name</th><th>Id</th><th>Session</th><th>People</th><th>Messages</th></tr>{groups}</table>
<h2>Latest messages</h2><table><tr><th>To</th><th>Text</th><th>From session</th><th>Id</th></tr>{messages}</table>
</html>
"""


def draw(state: State) -> str:
    """Return the page as HTML."""
    titles = {group.id: group.name for group in state.groups.values()}
    latest = state.arrivals[: -_SHOWN - 1 : -1]
    return _PAGE.format(
        count=len(state.arrivals),
        repeated=sum(int(str(one["times"])) - 1 for one in state.duplicates()),
        version=escape(state.options.version),
        engine=state.options.engine,
        sessions="".join(_session_row(one) for one in state.sessions.values()),
        groups="".join(
            _row(
                group.name,
                group.id,
                group.session,
                str(len(group.participants)),
                str(sum(one.chat_id == group.id for one in state.arrivals)),
            )
            for group in state.groups.values()
        ),
        messages="".join(
            _row(titles.get(one.chat_id, one.chat_id), _shown(one), one.session, one.id) for one in latest
        ),
    )


def _shown(arrival: Arrival) -> str:
    """Return what stands on the phone: the text, and before it the file, or the preview of a link."""
    preview = "[link preview] " if arrival.preview else ""
    if arrival.file is None:
        return preview + arrival.text
    name = arrival.file.filename or arrival.file.mimetype
    return f"[{arrival.kind}: {name}, {arrival.file.size} bytes] {arrival.text}".strip()


def _session_row(session: Session) -> str:
    form = (
        f'<form method="post" action="/simulator/sessions/{escape(session.name)}/scan">'
        '<input name="phone" inputmode="numeric" placeholder="5511988887777" aria-label="Phone" required>'
        " <button>Scan its QR code</button></form>"
    )
    cells = "".join(f"<td>{escape(text)}</td>" for text in (session.name, session.status, session.phone))
    return f"<tr>{cells}<td>{form if session.status == 'SCAN_QR_CODE' else ''}</td></tr>"


def _row(*texts: str) -> str:
    return "<tr>" + "".join(f"<td>{escape(text)}</td>" for text in texts) + "</tr>"
