"""Plain HTML pages, which need no live connection and work before login: forms, lists and errors."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from markupsafe import Markup
from starlette.requests import HTTPConnection

from center.api.access import Forbidden, OnlyHere, is_page
from center.api.outside import POLICY, POLICY_OF_DOCUMENTS, inside, outside
from center.console import frame
from center.console.draw.glyphs import HATCH
from center.console.draw.markup import Child, el, join
from center.contract.store import StoreUnavailable
from center.database.declarations import MOST_OPEN, TooManyOpen
from center.model.times import BadQuestion
from center.model.viewer import Viewer
from center.queries.question import UnknownSite
from center.runtime.state import CenterState
from words import say


def document(
    center: CenterState,
    viewer: Viewer | None,
    lang: str,
    title: str,
    *content: Child,
    status: int = 200,
    refresh_s: int | None = None,
) -> HTMLResponse:
    """A complete page around its content. refresh_s: so often the content is asked for again, in place: a page that loads
    itself anew takes a reader's place and focus away.
    """
    head = join(
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("noscript", el("meta", http_equiv="refresh", content=str(refresh_s))) if refresh_s else None,
        el("title", f"{title} · Nhịp"),
        el("link", rel="stylesheet", href=outside(frame.FONTS)),
        frame.assets(),
    )
    body = join(
        el("header", frame.header(center, viewer, lang), cls="top"),
        el("main", *content, cls="page", data_refresh_s=str(refresh_s) if refresh_s else None),
        Markup(HATCH),  # noqa: S704  # our own drawing
    )
    page = Markup("<!DOCTYPE html>") + el("html", el("head", head), el("body", body, cls="plain"), lang=lang)
    # a shared tablet must not keep pages of an account
    return HTMLResponse(page, status, {"Cache-Control": "no-store", POLICY: POLICY_OF_DOCUMENTS})


def error_page(
    center: CenterState, connection: HTTPConnection, title: str, text: str, status: int, *, again: bool = False
) -> HTMLResponse:
    """A page that says what is wrong. again: it leads to the same address once more."""
    lang = frame.language(connection, center)
    content = el("div", frame.error_content(title, text, lang, again=again), cls="sorry")
    return document(center, frame.viewer_of(connection), lang, title, content, status=status)


def too_many_pages(center: CenterState, connection: HTTPConnection) -> HTMLResponse:
    """The answer to whoever has too many live pages open."""
    lang = frame.language(connection, center)
    title, text = say("console.too_many_pages", lang), say("console.too_many_pages.help", lang)
    return error_page(center, connection, title, text, 429, again=True)


def add_error_pages(app: FastAPI, center: CenterState) -> None:
    """Outside the API, errors are answered with pages instead of JSON; also those of the gate, before any route."""

    def page(connection: HTTPConnection, error: Exception) -> HTMLResponse:
        lang = frame.language(connection, center)
        status, title, text, values = _status_and_text(connection, error)
        return error_page(center, connection, say(title, lang, **values), say(text, lang), status)

    def answered(json_answer: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        return lambda request, error: (page if is_page(request) else json_answer)(request, error)

    for kind in (Forbidden, StoreUnavailable, UnknownSite, BadQuestion, TooManyOpen, RequestValidationError):
        app.add_exception_handler(kind, answered(app.exception_handlers[kind]))
    app.state.error_page = page


def _status_and_text(connection: HTTPConnection, error: Exception) -> tuple[int, str, str, dict[str, str]]:
    """Status, keys of title and text, and values for their placeholders."""
    values: dict[str, str] = {}
    if isinstance(error, OnlyHere):
        return 403, "console.only_here", "console.only_here.help", values
    if isinstance(error, Forbidden) and inside(connection).startswith("/admin"):
        return 403, "admin.only", "admin.only.help", values
    if isinstance(error, Forbidden):
        return 403, "console.forbidden", "console.forbidden.help", values
    if isinstance(error, StoreUnavailable):
        return 503, "console.away", "console.away.help", values
    if isinstance(error, TooManyOpen):
        return 429, "console.declare.too_many", "console.declare.too_many.help", {"count": str(MOST_OPEN)}
    if isinstance(error, UnknownSite):
        values["site"] = str(connection.path_params.get("site", ""))
        return 404, "console.unknown_site", "console.unknown_site.help", values
    return 422, "console.not_understood", "console.not_understood.help", values


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


def hidden(fields: Mapping[str, str]) -> Markup:
    """Fields of a form that nobody sees, by name."""
    return join(*(el("input", type="hidden", name=name, value=value) for name, value in fields.items()))


def notice(text: str, css: str = "") -> Markup | None:
    """A message about the result of the last change; none for ""."""
    return el("p", text, cls=f"said {css}".strip(), role="status") if text else None
