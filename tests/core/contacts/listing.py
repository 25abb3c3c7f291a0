"""A sink that also lists the address book of its numbers, page by page, and the plugin that reads it."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping

import msgspec

from core.plugin import Capabilities, ListedContact, MisconfiguredError, RefusedError, Sender, UnavailableError
from tests.core.campaigns.sink import Sink, SinkProvider

LISTS = Capabilities(
    version="1",
    client_message_id=True,
    lookup_by_id=True,
    receipts="read",
    number_check="bulk",
    contacts=True,
    groups=True,
)
PAGE = 50

_ERRORS: Mapping[str, type[Exception]] = {
    "busy": UnavailableError,
    "forbidden": RefusedError,
    "unauthorized": MisconfiguredError,
}


class Page(msgspec.Struct, frozen=True):
    """One page of an address book, or why there is none."""

    contacts: list[ListedContact] = []
    last: bool = True
    error: str = ""


class AddressBook(Sink):
    """The service: a sink with an address book."""

    def __init__(self) -> None:
        super().__init__()
        self.contacts: list[ListedContact] = []
        self.faults: dict[int, str] = {}
        """What a page answers instead of contacts, by its number from 0."""
        self.held: dict[int, asyncio.Event] = {}
        """Pages that wait for their event."""
        self.asked: dict[int, asyncio.Event] = defaultdict(asyncio.Event)
        """Set when a page is asked for."""

    async def _answer(self, path: str, body: bytes) -> object:
        if not path.startswith("/contacts/"):
            return await super()._answer(path, body)
        number = int(path.rpartition("/")[2])
        self.asked[number].set()
        if number in self.held:
            await asyncio.wait([asyncio.ensure_future(self.held[number].wait())], timeout=60)
        if number in self.faults:
            return Page(error=self.faults[number])
        first = number * PAGE
        return Page(self.contacts[first : first + PAGE], first + PAGE >= len(self.contacts))


class ListingProvider(SinkProvider):
    """The sink's plugin, with the optional group ``ContactListing``."""

    async def list_contacts(self, sender: Sender) -> AsyncIterator[ListedContact]:
        number = 0
        while True:
            answer = await self._client.get(f"{sender.server.url}/contacts/{sender.instance}/{number}")
            page = msgspec.json.decode(answer.content, type=Page)
            if page.error:
                raise _ERRORS[page.error]("the address book is not given")
            for contact in page.contacts:
                yield contact
            if page.last:
                return
            number += 1
