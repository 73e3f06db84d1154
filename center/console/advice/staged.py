"""Lists of findings and actions by how far they have come. Pure."""

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from center.console.draw.markup import el, join
from words import number


def staged(groups: Iterable[tuple[str, Sequence[Markup], bool, int]], nothing: str, lang: str) -> Markup:
    """Groups below each other, without empty ones. groups: title, items, whether they are folded, and how many they
    are, where one item stands for several; nothing: said where there
    are none at all.
    """
    parts = []
    for name, items, folded, count in groups:
        if not items:
            continue
        listed, title = el("div", *items, cls="found"), f"{name} · {number(count, lang)}"
        if folded:
            parts.append(el("details", el("summary", title), listed, cls="fold"))
        else:
            parts.append(join(el("h2", title, cls="lately"), listed))
    return join(*parts) if parts else el("div", nothing, cls="empty")
