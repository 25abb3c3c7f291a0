"""The page of what was published: plain HTML that reads itself again."""

from html import escape

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from plugins.pusher.simulator.state import Published, State

_SHOWN = 200
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Published events</title>
<meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="2">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem }}
table {{ border-collapse: collapse; width: 100% }}
td, th {{ border-bottom: 1px solid #8884; padding: .3rem .6rem; text-align: left; vertical-align: top }}
pre {{ margin: 0; white-space: pre-wrap; overflow-wrap: anywhere }}
</style>
<h1>Published events</h1>
<p>Simulated Pusher, app {app_id}: {connections} connected, {channels} channels in use. The latest {shown} events, the
newest first.</p>
<table><tr><th>Time</th><th>Channel</th><th>Event</th><th>Data</th><th>Receivers</th></tr>{rows}</table>
</html>
"""


class Page:
    """What was published, for people."""

    def __init__(self, state: State) -> None:
        self._state = state

    def handlers(self) -> list[HTTPRouteHandler]:
        """Return the route."""
        return [get("/", sync_to_thread=False)(self.show)]

    def show(self) -> Response[str]:
        """Show the latest events."""
        latest = [*reversed(self._state.published)][:_SHOWN]
        page = _PAGE.format(
            app_id=escape(self._state.options.app_id),
            connections=len(self._state.connections),
            channels=len(self._state.counts()),
            shown=len(latest),
            rows="".join(map(_row, latest)),
        )
        # Data is escaped; this holds should a browser read it otherwise.
        policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
        return Response(page, media_type="text/html", headers=policy)


def _row(event: Published) -> str:
    time = event.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    cells = (time, event.channel, event.name, f"<pre>{escape(event.data)}</pre>", str(event.receivers))
    first, channel, name, data, receivers = cells
    return (
        f"<tr><td>{first}</td><td>{escape(channel)}</td><td>{escape(name)}</td><td>{data}</td><td>{receivers}</td></tr>"
    )
