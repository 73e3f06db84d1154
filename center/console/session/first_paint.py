"""What a live page shows before its scripts run: the same elements as plain HTML, which the browser draws at once.

A live page is empty until NiceGUI's scripts have been read and have built it, most of a second on a slow computer. `console.js`
removes the plain one in the same moment in which the live one is there; until then it can be read but not used (`inert`).
It is about a screen long: from there on places stay empty, since drawing a whole page twice makes the live one late.
"""

from dataclasses import dataclass
from typing import Final

from markupsafe import Markup
from nicegui import ui
from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement

from center.console.draw.markup import el, join

ID: Final = "first-paint"
_HTML: Final = "innerHTML"
_SCREEN: Final = 16_000
"""So much markup is drawn twice [characters]: a machine's figures take 7,000, a card 1,500."""
_COMPONENT: Final = "nicegui-"
"""Begins the names of what is not an element of HTML: timers, which show nothing, and `ui.html`."""


@dataclass
class _Screen:
    """How much more is drawn [characters]; nothing more after the first markup for which there is no room."""

    left: int = _SCREEN

    def takes(self, markup: str) -> bool:
        """Whether the markup is still drawn."""
        fits = len(markup) <= self.left
        self.left = self.left - len(markup) if fits else 0
        return fits


def add_first_paint() -> None:
    """Gives the page that is being built, as it stands now, to its HTML."""
    client, screen = ui.context.client, _Screen()
    drawn = join(*(_html_of(child, screen) for child in client.content.default_slot.children))
    plain = el("div", el("div", drawn, cls="nicegui-content"), id=ID, inert="")
    ui.add_body_html(str(plain))  # NiceGUI adds texts to it, which `Markup` would escape


def _html_of(element: Element, screen: _Screen) -> Markup | None:
    written = dict(element.props)
    cls, style = " ".join(element.classes), ";".join(f"{name}:{value}" for name, value in element.style.items())
    if _HTML in written:
        markup = str(written.pop(_HTML))
        content = Markup(markup if screen.takes(markup) else "")  # noqa: S704  # of ours, the live page inserts it as it is
        tag = str(written.pop("tag", "div"))
        written.pop("sanitize", None)
    elif element.tag.startswith(_COMPONENT):
        return None
    else:
        tag = element.tag
        text = element.text if isinstance(element, TextElement) else None
        content = join(text, *(_html_of(child, screen) for child in element.default_slot.children))
    attributes = {name: "" if value is True else str(value) for name, value in written.items() if value is not False}
    return el(tag, content, cls=cls, style=style, **attributes)
