"""The open pages, and what each still has to be sent. Only the latest of each machine and part waits for a slow tablet."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

Event = tuple[str, str]
"""Name and text of a server-sent event."""


class Tablet:
    """One open page: the latest that it has not been sent yet, by machine and event."""

    def __init__(self, machines: frozenset[str], turn: asyncio.Lock) -> None:
        """machines: those that it shows; empty: all; turn: shared by all pages."""
        self._machines, self._turn = machines, turn
        self._waiting: dict[tuple[str, str], str] = {}
        self._news = asyncio.Event()

    def put(self, machine: str, event: str, text: str) -> None:
        """Something is new; machine: "" for what concerns every page."""
        if not self._machines or not machine or machine in self._machines:
            self._waiting[machine, event] = text
            self._news.set()

    async def take(self) -> list[Event]:
        """Waits until something is new and it is this page's turn; returns all that is new.

        In each round of the event loop one page takes: what is due meanwhile, such as reading a PLC, waits for the writing
        to one page and not to all.
        """
        await self._news.wait()
        async with self._turn:
            await asyncio.sleep(0)
        self._news.clear()
        events = [(event, text) for (_, event), text in self._waiting.items()]
        self._waiting.clear()
        return events


class Audience:
    """All open pages, and what each machine's was last. closed: the server ends."""

    def __init__(self, hello: Callable[[], str]) -> None:
        """hello: what a page is told first: among other things the time, which must not be an old one."""
        self.closed = False
        self._hello = hello
        self._tablets: set[Tablet] = set()
        self._turn = asyncio.Lock()
        self._latest: dict[tuple[str, str], str] = {}

    def __len__(self) -> int:
        return len(self._tablets)

    @contextmanager
    def open(self, machines: Iterable[str]) -> Iterator[Tablet]:
        """A page that is open within the block; everything is new to it."""
        tablet = Tablet(frozenset(machines), self._turn)
        for (machine, event), text in {**self._latest, ("", "hello"): self._hello()}.items():
            tablet.put(machine, event, text)
        self._tablets.add(tablet)
        try:
            yield tablet
        finally:
            self._tablets.discard(tablet)

    def put(self, machine: str, event: str, text: str) -> None:
        """Tells every page that shows the machine, unless nothing changed."""
        if self._latest.get((machine, event)) != text:
            self._latest[machine, event] = text
            for tablet in self._tablets:
                tablet.put(machine, event, text)

    def close(self) -> None:
        """Has every page's stream end."""
        self.closed = True
        for tablet in self._tablets:
            tablet.put("", "bye", "{}")
