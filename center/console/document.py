"""Plain HTML pages: forms and lists that need no live connection and work before login."""

from collections.abc import Sequence
from typing import Any

from fastapi.responses import HTMLResponse
from markupsafe import Markup

from center.console import frame
from center.console.draw.glyphs import HATCH
from center.console.draw.markup import Child, el, join
from center.model.viewer import Viewer
from center.runtime.state import CenterState


def document(
    center: CenterState, viewer: Viewer | None, lang: str, title: str, *content: Child, status: int = 200
) -> HTMLResponse:
    """A complete page around its content."""
    head = join(
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("title", f"{title} · Nhịp"),
        frame.assets(),
    )
    body = join(
        el("header", frame.header(center, viewer, lang), cls="top"),
        el("main", *content, cls="page"),
        Markup(HATCH),  # noqa: S704  # our own drawing
    )
    page = Markup("<!DOCTYPE html>") + el("html", el("head", head), el("body", body, cls="plain"), lang=lang)
    # a shared tablet must not keep pages of an account
    return HTMLResponse(page, status, {"Cache-Control": "no-store", "X-Frame-Options": "DENY"})


def field(label: str, name: str, kind: str = "text", value: str = "", **more: Any) -> Markup:
    """A labelled input."""
    return el("label", el("span", label), el("input", name=name, type=kind, value=value or None, **more))


def choice(label: str, name: str, options: Sequence[tuple[str, str]], chosen: str = "") -> Markup:
    """A labelled drop-down list."""
    items = (el("option", text, value=key, selected="" if key == chosen else None) for key, text in options)
    return el("label", el("span", label), el("select", *items, name=name))


def button(text: str, cls: str = "go") -> Markup:
    """A submit button."""
    return el("button", text, cls=cls, type="submit")


def form(action: str, *content: Child, cls: str = "form") -> Markup:
    """A form that is sent by POST."""
    return el("form", *content, method="post", action=action, cls=cls)


def notice(text: str, css: str = "") -> Markup | None:
    """A message about the result of the last change; none for ""."""
    return el("p", text, cls=f"said {css}".strip(), role="status") if text else None
