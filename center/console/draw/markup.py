"""HTML from Python: every text and attribute is escaped unless it is `Markup` already. Pure.

Names of machines, products and reasons come from the shop floor; escaping keeps them from injecting elements.
"""

from collections.abc import Mapping
from functools import cache
from typing import Final

from markupsafe import Markup, escape

Child = Markup | str | None
_EMPTY: Final = frozenset({"br", "rect", "meta", "input", "link"})


def el(tag: str, *children: Child, cls: str = "", style: str = "", **attributes: str | float | None) -> Markup:
    """An element. Underscores in attribute names become hyphens; an attribute or child that is None is left out."""
    named: Mapping[str, str | float | None] = {"class": cls or None, "style": style or None, **attributes}
    written = "".join([f' {_attribute(name)}="{escape(value)}"' for name, value in named.items() if value is not None])
    if tag in _EMPTY:
        return Markup(f"<{tag}{written}/>")  # noqa: S704 - tags and names are written in this package only
    body = "".join([escape(child) for child in children if child is not None])
    return Markup(f"<{tag}{written}>{body}</{tag}>")  # noqa: S704


@cache
def _attribute(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def join(*children: Child) -> Markup:
    """Elements side by side."""
    return Markup("").join(escape(child) for child in children if child is not None)


def share(part: float) -> str:
    """A ratio as a CSS length, for geometry only; clamped to 0 and 1."""
    return f"{min(max(part, 0.0), 1.0) * 100:.2f}%"
