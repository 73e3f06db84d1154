"""What a machine's page shows: range, dates, length of a bucket, zoom, and what is laid over the trend."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final
from zoneinfo import ZoneInfo

from nicegui import events, ui

from center.console import windows
from words import say

_ZOOMS: Final = (("earlier", "←"), ("later", "→"), ("out", "−"), ("in", "+"))
_OUT, _IN = 2.0, 0.5
Span = tuple[int, int]


class Controls:
    """The controls of an open page. Each choice is another selection, which the page loads and writes into its address."""

    def __init__(self, lang: str, view: windows.View, choose: Callable[[windows.View], Awaitable[None]]) -> None:
        self._lang, self._view, self._choose = lang, view, choose
        self._window: Span | None = None
        self._zone, self._now_ns = ZoneInfo("UTC"), 0
        self._buttons: dict[tuple[str, str], ui.element] = {}
        self._days: dict[str, ui.element] = {}
        self._dates: dict[str, str] = {}

    def build(self) -> None:
        """Creates those that stand above the numbers."""
        self._segment("span", windows.RANGES, "console.span")
        self._build_dates()
        self._segment("bucket", windows.BUCKETS, "bucket")
        with ui.element("div").classes("zoom"):
            for name, sign in _ZOOMS:
                label = say(f"console.zoom.{name}", self._lang)
                button = ui.html(sign, sanitize=False, tag="button").classes("round")
                button.on("click", partial(self._zoom, name))
                button.props["aria-label"] = button.props["title"] = label
                self._buttons["zoom", name] = button

    def build_overlay(self) -> None:
        """Creates the choice of what is laid over the trend."""
        self._segment("over", windows.OVERLAYS, "console.over")

    def _build_dates(self) -> None:
        """Two fields for any dates; filling in one selects that day, both the days between them."""
        with ui.element("div").classes("dates"):
            for end in ("first", "last"):
                label = say(f"console.dates.{end}", self._lang)
                day = ui.element("input").props(f'type=date aria-label="{label}" title="{label}"')
                day.on("change", partial(self._fill_in, end), js_handler="(event) => emit(event.target.value)")
                self._days[end] = day

    def _segment(self, what: str, choices: tuple[str, ...], prefix: str) -> None:
        """Buttons of which one is selected, none for free dates."""
        with ui.element("div").classes("seg"):
            for choice in choices:
                button = ui.html(say(f"{prefix}.{choice}", self._lang), sanitize=False, tag="button")
                self._buttons[what, choice] = button.on("click", partial(self._select, what, choice))

    async def _select(self, what: str, choice: str) -> None:
        now = self._view
        if what == "span":
            await self._choose(windows.view(choice, "", over=now.over))
        else:
            await self._choose(replace(now, **{what: choice}))

    async def _fill_in(self, end: str, event: events.GenericEventArguments) -> None:
        self._dates[end] = str(event.args or "")
        first, last = self._dates["first"] or self._dates["last"], self._dates["last"] or self._dates["first"]
        view = windows.view(windows.DATES, self._view.bucket, first, last, self._view.over)
        if view.span == windows.DATES:  # else a year is still being typed
            await self._choose(view)

    async def _zoom(self, how: str) -> None:
        if self._window is None:
            return
        if how in ("in", "out"):
            span = windows.zoomed(self._window, _IN if how == "in" else _OUT, self._now_ns)
        else:
            span = windows.moved(self._window, self._zone, 1 if how == "later" else -1)
        await self.zoom_to(span)

    async def zoom_to(self, span: Span) -> None:
        """Selects a window [ns]."""
        self._window = windows.zoomed(span, 1, self._now_ns)
        view = windows.view_of(self._window, self._zone, self._view)
        if view.span == windows.DATES:
            await self._choose(view)

    def mark(self, view: windows.View) -> None:
        """Shows what is selected, and disables buckets that do not fit."""
        self._view = view
        on = {("span", view.span), ("bucket", view.bucket), ("over", view.over)}
        for key, button in self._buttons.items():
            button.classes(add="on") if key in on else button.classes(remove="on")
        for bucket in windows.BUCKETS:
            _enable(self._buttons["bucket", bucket], possible=bucket in windows.fitting(view))
        for end, day in self._days.items():
            self._dates[end] = getattr(view, end)[:10]
            if day.props.get("value") != self._dates[end]:
                day.props["value"] = self._dates[end]

    def locate(self, window: Span, zone: ZoneInfo, now_ns: int) -> None:
        """From here zooming begins: the window that is shown [ns]."""
        self._window, self._zone, self._now_ns = window, zone, now_ns
        length_ns = window[1] - window[0]
        _enable(self._buttons["zoom", "later"], possible=window[1] < now_ns)
        _enable(self._buttons["zoom", "in"], possible=length_ns > windows.LEAST_NS)


def _enable(button: Any, *, possible: bool) -> None:
    if possible:
        button.props(remove="disabled")
    else:
        button.props("disabled")
