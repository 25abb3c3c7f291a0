"""The simulator as an ASGI application."""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from litestar import Litestar, Request, Response, route
from litestar.enums import HttpMethod, MediaType
from litestar.handlers import HTTPRouteHandler

from plugins.stripe.simulator.account import Account
from plugins.stripe.simulator.api import Answer, Api, Asked
from plugins.stripe.simulator.control import Control
from plugins.stripe.simulator.faults import ERRORS, Faults
from plugins.stripe.simulator.options import Options, parse_options
from plugins.stripe.simulator.pages import Pages
from plugins.stripe.simulator.requests import Refused

DEFAULT_PORT = 4012
CUT = "x-simulator-cut"
OPTIONS = frozenset(Options.__struct_fields__)

_Request = Request[Any, Any, Any]


class Simulator:
    """One simulated account behind HTTP; ``tasks`` are deliveries on their way."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.faults = Faults()
        self.tasks: set[asyncio.Task[None]] = set()
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.account = Account(self.options)
        self.api = Api(self.account)
        self.control = Control(self.account, self.api, self.faults)
        self.pages = Pages(self.account)
        self.faults.orders.clear()

    def deliver_later(self) -> None:
        """Deliver what waits once the present answer is on its way."""
        if self.account.webhooks.waiting:
            task = asyncio.get_running_loop().create_task(self.account.webhooks.flush())
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def call(self, request: _Request) -> Response[bytes]:
        """Answer a call of the API, with the fault that was ordered."""
        path = request.url.path
        fault = self.faults.take(request.method, path)
        kind = fault.kind if fault else ""
        body = (await request.body()).decode("utf-8", "replace")
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = Asked(request.method, path, request.url.query, headers, body)
        answer = Answer(*ERRORS["500"]) if fault else None
        if not kind or kind.endswith("_after"):
            self.account.invoices.base_url = str(request.base_url).rstrip("/")
            self.account.clock.catch_up()
            done = self.api.answer(asked)
            answer = answer or done
            if self.account.webhooks.orders.before_answer:
                await self.account.webhooks.flush()
            self.deliver_later()
        self.control.asked.append(
            {
                "method": asked.method,
                "path": path,
                "key": headers.get("idempotency-key", ""),
                "fault": kind,
                "body": body,
            }
        )
        if kind == "hang":
            while (await request.receive())["type"] != "http.disconnect":
                pass
        if kind.startswith("cut"):
            return Response(b"{", status_code=200, headers={CUT: "yes"})
        if kind == "html":
            return Response(b"<html>Bad Gateway</html>", status_code=502, media_type=MediaType.HTML)
        if fault:
            status, error = ERRORS[kind.partition("_")[0]]
            answer = Answer(status, {"error": error})
        assert answer is not None  # noqa: S101 - a call without a fault was answered
        return Response(
            msgspec.json.encode(answer.body),
            status_code=answer.status,
            headers=answer.headers,
            media_type=MediaType.JSON,
        )

    async def order(self, request: _Request) -> Response[bytes]:
        """Carry out an order of a person or a test, who shows the secret key."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        if not self.api.is_allowed(headers):
            return Response(
                b'{"error": "the secret key is missing or wrong"}', status_code=401, media_type=MediaType.JSON
            )
        if (request.method, request.url.path) == ("DELETE", "/simulator/state"):
            self.forget()
            return Response(b"", status_code=204)
        self.account.invoices.base_url = str(request.base_url).rstrip("/")
        try:
            result = await self.control.carry_out(request.method, request.url.path, await request.body())
        except Refused as refusal:
            body = msgspec.json.encode({"error": refusal.error})
            return Response(body, status_code=refusal.status, media_type=MediaType.JSON)
        return Response(msgspec.json.encode(result), status_code=200, media_type=MediaType.JSON)

    async def show(self, request: _Request) -> Response[bytes]:
        """Show a page, and take its form."""
        self.account.invoices.base_url = str(request.base_url).rstrip("/")
        self.account.clock.catch_up()
        form = None
        if request.method == "POST":
            form = dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))
        try:
            page = self.pages.show(request.url.path, form)
        except Refused as refusal:
            return Response(str(refusal).encode(), status_code=refusal.status, media_type=MediaType.TEXT)
        self.deliver_later()
        if page.location:
            return Response(b"", status_code=303, headers={"Location": page.location})
        return Response(page.body.encode(), status_code=200, media_type="text/html; charset=utf-8")

    async def close(self) -> None:
        """End what is under way."""
        for task in [*self.tasks]:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


class Cutting:
    """Breaks the connection within the body of an answer that says so: it promises more bytes than it has."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one ASGI scope."""
        cut = False

        async def pass_on(message: Any) -> None:
            nonlocal cut
            if message["type"] == "http.response.start":
                headers = [(name.lower(), value) for name, value in message["headers"]]
                cut = any(name == CUT.encode() for name, _ in headers)
                if cut:
                    headers = [(b"content-length", b"1000")]
                message = {**message, "headers": headers}
            elif message["type"] == "http.response.body" and cut:
                message = {**message, "more_body": True}
            await send(message)

        await self._app(scope, receive, pass_on)


def create_simulator(options: Options | None = None) -> Any:
    """Return a simulator as an ASGI application."""
    simulator = Simulator(options or Options())
    app = Litestar(
        _handlers(simulator),
        openapi_config=None,
        on_shutdown=[simulator.close],
        logging_config=None,
    )
    return Cutting(app)


def create(options: Mapping[str, str]) -> Any:
    """Return a simulator from the options of a command line.

    Raises:
        ValueError: An option is not known or has a wrong value.
    """
    return create_simulator(parse_options(options))


def _handlers(simulator: Simulator) -> list[HTTPRouteHandler]:
    every = [HttpMethod.GET, HttpMethod.POST, HttpMethod.DELETE]

    @route("/v1/{path:path}", http_method=every, status_code=200)
    async def call(request: _Request) -> Response[bytes]:
        return await simulator.call(request)

    @route("/simulator/{path:path}", http_method=every, status_code=200)
    async def order(request: _Request) -> Response[bytes]:
        return await simulator.order(request)

    @route(
        ["/c/pay/{path:path}", "/i/{path:path}", "/p/session/{path:path}"],
        http_method=[HttpMethod.GET, HttpMethod.POST],
        status_code=200,
    )
    async def show(request: _Request) -> Response[bytes]:
        return await simulator.show(request)

    return [call, order, show]
