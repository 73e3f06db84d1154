"""The list of a machine's stops: which ones, in which order, page by page."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from nicegui import ui

from center.console.draw.markup import el
from center.console.draw.names import declare_many_page
from center.console.machine import stops_table
from center.console.machine.numbers import MachineStops
from center.console.machine.stop_filter import STATES, chosen, filter_words, order_of
from center.contract.store import StopPage
from center.model.times import iso
from center.queries.stops import ALL_STOPS, StopFilter, find_stops, stop_row
from center.runtime.state import CenterState
from words import number, say

_SHORTEST_S: Final = (0, 60, 300, 900)
_ORDERS: Final = ("latest", "longest", "unexplained")


def _window_words(found: MachineStops) -> dict[str, str]:
    ends = (found.question.start_ns, found.question.end_ns)
    return {name: iso(t_ns, found.question.zone) for name, t_ns in zip(("from", "to"), ends, strict=True)}


class StopsPanel:
    """The list on an open page; the store is asked for the rows that it shows."""

    def __init__(
        self,
        center: CenterState,
        lang: str,
        explain: Callable[..., str] | None,
        remember: Callable[[StopFilter], None],
        address: Callable[[Mapping[str, str]], str],
    ) -> None:
        """explain: address of the page on which a stop is explained, None where the viewer may not; remember: is told of each
        other filter; address: of the page with a filter.
        """
        self._center, self._lang, self._explain, self._remember = center, lang, explain, remember
        self._address = address
        self._wanted, self._first = ALL_STOPS, 0
        self._found: MachineStops | None = None
        self._asked = 0
        self._many: ui.html | None = None
        self._buttons: dict[tuple[str, Any], ui.element] = {}

    def build(self, wanted: StopFilter) -> None:
        """Creates the elements."""
        self._wanted = wanted
        with ui.element("div").classes("controls"):
            self._segment("order", {key: say(f"console.stops.order.{key}", self._lang) for key in _ORDERS})
            shortest = {0: say("console.stops.any_length", self._lang)}
            shortest |= {
                length_s: say("console.stops.at_least", self._lang, minutes=length_s // 60)
                for length_s in _SHORTEST_S[1:]
            }
            self._segment("shortest", shortest)
            if self._explain:
                link = el("a", say("console.declare", self._lang), href=self._explain())
                ui.html(link, sanitize=False).classes("declare")
                self._many = ui.html("", sanitize=False).classes("declare")
        with ui.element("div").classes("pills states"):
            for state in STATES:
                button = ui.html(say(f"state.{state}", self._lang), sanitize=False, tag="button").classes("pill")
                self._buttons["state", state] = button.on("click", partial(self._pick, "state", state))
        self._picked = ui.html("", sanitize=False)
        self._table = ui.html("", sanitize=False).classes("drawn")
        self._pager()
        self._mark()

    def _segment(self, what: str, choices: Mapping[Any, str]) -> None:
        with ui.element("div").classes("seg"):
            for choice, text in choices.items():
                button = ui.html(text, sanitize=False, tag="button")
                self._buttons[what, choice] = button.on("click", partial(self._pick, what, choice))

    def _pager(self) -> None:
        with ui.element("div").classes("pager"):
            for name, by, sign in (("earlier", stops_table.PAGE, "←"), ("later", -stops_table.PAGE, "→")):
                button = ui.html(sign, sanitize=False, tag="button").classes("round")
                button.props["aria-label"] = say(f"console.{name}", self._lang)
                self._buttons["page", name] = button.on("click", partial(self._turn, by))
            self._place = ui.html("", sanitize=False)

    async def show(self, found: MachineStops) -> None:
        """Shows the stops of a window."""
        self._found = found
        await self._load()

    async def _pick(self, what: str, choice: Any) -> None:
        if what == "state":
            states = self._wanted.states
            changed = tuple(item for item in states if item != choice) if choice in states else (*states, choice)
            wanted = replace(self._wanted, states=changed)
        elif what == "shortest":
            wanted = replace(self._wanted, shortest_ms=choice * 1000)
        else:
            order = "latest" if choice == "latest" else "longest"
            wanted = replace(self._wanted, order=order, unexplained=choice == "unexplained")
        await self._change(wanted)

    async def _change(self, wanted: StopFilter) -> None:
        self._remember(wanted)
        await self.change(wanted)

    async def change(self, wanted: StopFilter) -> None:
        """Shows the stops of another filter."""
        self._wanted, self._first = wanted, 0
        self._mark()
        await self._load()

    def _mark(self) -> None:
        wanted = self._wanted
        on = {("order", order_of(wanted)), ("shortest", wanted.shortest_ms // 1000)}
        on |= {("state", state) for state in wanted.states}
        for key, button in self._buttons.items():
            button.classes(add="on") if key in on else button.classes(remove="on")

    async def _turn(self, by: int) -> None:
        self._first += by
        await self._load()

    async def _load(self) -> None:
        """Shows the part from `_first` on, if nothing else is wanted when it arrives."""
        found, wanted, page = self._found, self._wanted, stops_table.PAGE
        if found is None:
            return
        self._asked += 1
        number_of_question = self._asked
        self._table.classes(add="waits")
        last = wanted.order == "longest"
        part = await asyncio.to_thread(find_stops, found.question, wanted, self._first, page, others_last=last)
        if not part.stops and self._first:
            self._first = max(part.total - 1, 0) // page * page
            part = await asyncio.to_thread(find_stops, found.question, wanted, self._first, page, others_last=last)
        if number_of_question == self._asked:
            self._put(found, part)

    def _put(self, found: MachineStops, part: StopPage) -> None:
        self._table.classes(remove="waits")
        rows = [stop_row(stop, found.question) for stop in part.stops]
        now_ns, last = self._center.now_ns(), self._first + len(rows)
        self._picked.set_content(chosen(self._wanted, found.site, found.question.zone, self._lang, self._address))
        if self._many:
            words = _window_words(found) | filter_words(self._wanted)
            address = declare_many_page(found.question.question.site, found.question.machines[0], **words)
            self._many.set_content(el("a", say("console.many", self._lang), href=address))
        self._table.set_content(
            stops_table.table(rows, found.site, now_ns, self._lang, found.story.unwanted, self._explain)
        )
        for name, possible in (("later", self._first > 0), ("earlier", last < part.total)):
            button = self._buttons["page", name]
            button.props(remove="disabled") if possible else button.props("disabled")
        total = number(part.total, self._lang)
        self._place.set_content(
            say("console.of", self._lang, first=self._first + 1, last=last, total=total) if rows else ""
        )
