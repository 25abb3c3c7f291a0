"""The simulator as an ASGI application that has its mail server beside it."""

import asyncio
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from litestar import Litestar, Request, Response, delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from core.plugin.testing import CertificateAuthority, MailServer
from plugins.smtp.simulator.faults import Fault, Faults
from plugins.smtp.simulator.mailbox import Mailbox
from plugins.smtp.simulator.options import Options, parse_options
from plugins.smtp.simulator.pages import Pages, listed

DEFAULT_PORT = 4025
OPTIONS = frozenset(Options.__struct_fields__)
NAMES = ("localhost", "127.0.0.1")
"""What its certificate is for."""

_AnyRequest = Request[Any, Any, Any]


class Simulator:
    """One simulated mail server with its mailbox; it needs an ASGI server that runs lifespans."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.mailbox = Mailbox(options.keep)
        self.faults = Faults()
        self.authority = CertificateAuthority()
        self.server = MailServer(
            self.authority.server_context(*NAMES),
            user=options.username,
            password=options.password,
            decide=self.faults.decide,
            keep=self.mailbox.put,
            implicit=options.security == "tls",
        )
        self._app = Litestar(
            [*Pages(self.mailbox).handlers(), *self._handlers()],
            on_startup=[self._begin],
            on_shutdown=[self.server.stop],
            openapi_config=None,
            logging_config=None,
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one ASGI scope."""
        await self._app(scope, receive, send)

    async def _begin(self) -> None:
        if self.options.ca_file:
            await asyncio.to_thread(_write, Path(self.options.ca_file), self.authority.pem)
        await self.server.start(self.options.smtp_port)

    def _handlers(self) -> list[HTTPRouteHandler]:
        return [
            get("/simulator/mails")(self.list_mails),
            get("/simulator/mails/{number:int}")(self.show_mail),
            delete("/simulator/mails")(self.empty),
            get("/simulator/server")(self.tell),
            get("/simulator/ca.pem")(self.certificate),
            get("/simulator/faults")(self.list_faults),
            post("/simulator/faults")(self.add_fault),
            delete("/simulator/faults")(self.clear_faults),
            post("/simulator/cut", status_code=204)(self.cut),
        ]

    async def list_mails(self) -> Response[bytes]:
        """List the mails, the newest first."""
        return _reply([listed(mail) for mail in self.mailbox.mails])

    async def show_mail(self, number: FromPath[int]) -> Response[bytes]:
        """Give one mail whole."""
        mail = self.mailbox.find(number)
        return _reply({"error": "there is no such mail"}, 404) if mail is None else _reply(mail)

    async def empty(self) -> None:
        """Empty the mailbox."""
        self.mailbox.mails.clear()

    async def tell(self) -> Response[bytes]:
        """Tell where mail is taken, of whom, and what was said so far."""
        spoken = [
            f"{one.session} {one.verb} {one.argument if one.verb in {'MAIL', 'RCPT'} else ''}".strip()
            for one in self.server.commands
        ]
        return _reply(
            {
                "port": self.server.port,
                "username": self.options.username,
                "open_connections": self.server.open_connections,
                "commands": spoken,
            }
        )

    async def certificate(self) -> Response[bytes]:
        """Give the certificate of the authority, for the plugin's ``ca_file``."""
        return Response(self.authority.pem, media_type="application/x-pem-file")

    async def list_faults(self) -> Response[bytes]:
        """List the faults in force."""
        return _reply(self.faults.orders)

    async def add_fault(self, request: _AnyRequest) -> Response[bytes]:
        """Order a fault."""
        try:
            fault = msgspec.json.decode(await request.body(), type=Fault)
        except msgspec.MsgspecError as error:
            return _reply({"error": str(error)}, 400)
        self.faults.orders.append(fault)
        self.server.offers_starttls = self.faults.offers_starttls
        return _reply(fault, 201)

    async def clear_faults(self) -> None:
        """End all faults."""
        self.faults.orders.clear()
        self.server.offers_starttls = True

    async def cut(self) -> None:
        """Cut every connection, as a restart of the server does."""
        self.server.cut_all()


def create(options: Mapping[str, str]) -> Simulator:
    """Return a simulator from the options of a command line.

    Raises:
        ValueError: An option is not known, has a wrong value, or names a port that is taken.
    """
    parsed = parse_options(options)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", parsed.smtp_port))
        except OSError as error:
            raise ValueError(f"smtp_port {parsed.smtp_port} cannot be listened on ({error.strerror})") from None
    return Simulator(parsed)


def _write(file: Path, content: bytes) -> None:
    """Write a file so that nobody reads half of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f"{file.name}.new")
    new.write_bytes(content)
    new.replace(file)


def _reply(body: object, status: int = 200) -> Response[bytes]:
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/json")
