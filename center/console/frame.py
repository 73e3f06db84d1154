"""Parts of every page: head, header, language; and the content of error pages."""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import nicegui
from markupsafe import Markup
from nicegui import app, background_tasks, ui
from nicegui.client import Client
from starlette.requests import HTTPConnection

from center.api.outside import outside
from center.console.draw.glyphs import HATCH, MENU, PERSON, PULSE, SUN
from center.console.draw.markup import el, join
from center.contract.store import StoreUnavailable
from center.model.viewer import Viewer
from center.runtime.answer_cache import AnswerCache
from center.runtime.state import CenterState
from words import LANGUAGES, accepted_language, say

_FOLDER: Final = Path(__file__).parent
ALERTS_EVERY_S: Final = 5.0
LIVE_EVERY_S: Final = 1.0
"""How often a page shows what machines are doing now."""
_FIRST_NUMBERS_S: Final = 0.2
"""So long a page waits for its first numbers before it opens without them."""
_OTHERS_S: Final = 0.002
_RECHECK_EVERY_S: Final = 5.0
_RELOAD_WAIT_S: Final = 1.0
_KEPT_S: Final = 365 * 86_400
"""So long a browser keeps a file whose address changes with its content, and does not ask again."""
_ASSETS: Final = ("style.css", "console.js")
FONTS: Final = "/console/fonts.css"
"""The fonts of live pages, for plain ones: NiceGUI's own files, at an address that is open before login."""


_LINKS: dict[str, str] = {
    "/": "console.fleet",
    "/work": "work.title",
    "/delivery": "delivery.title",
    "/directory": "directory.link",
}
"""Pages that every header leads to: address to the key of their name."""


def link_in_header(url: str, name: str) -> None:
    """From now on every page leads to this one. name: key of its name."""
    _LINKS[url] = name


OpenAlerts = Callable[[Viewer, str], Sequence[Mapping[str, Any]]]
"""The open alerts of a site, or with "" of all, that a viewer may see; as the API lists them."""


@dataclass(frozen=True)
class Visit:
    """Who opened a live page, and what the page answers from. cache: of answers, shared by all pages and the API."""

    center: CenterState
    viewer: Viewer
    cache: AnswerCache
    lang: str


def serve_assets() -> None:
    """Serves the console's own files; pages load nothing else but NiceGUI's."""
    for name in _ASSETS:
        app.add_static_file(local_file=_FOLDER / name, url_path=_url(name), strict=True, max_cache_age=_KEPT_S)
    static = Path(nicegui.__file__).parent / "static"
    app.add_static_file(local_file=static / "fonts.css", url_path=FONTS, strict=True)
    app.add_static_files("/console/fonts", static / "fonts")


def _url(name: str) -> str:
    digest = hashlib.sha256((_FOLDER / name).read_bytes()).hexdigest()[:10]
    stem, _, ending = name.partition(".")
    return f"/console/{stem}-{digest}.{ending}"


def language(request: HTTPConnection, center: CenterState) -> str:
    """The language chosen with the button in this browser, else the one that the browser asks for, else the center's."""
    chosen = request.cookies.get("nhip_lang", "")
    return (
        chosen
        if chosen in LANGUAGES
        else accepted_language(request.headers.get("accept-language", "")) or center.language
    )


@contextmanager
def frame(center: CenterState, lang: str, title: str) -> Iterator[None]:
    """The page around its content."""
    client = ui.context.client
    client.title = f"{title} · Nhịp"
    client.page = copy(client.page)  # shared by all clients, but the language is this one's
    client.page.language = "vi" if lang == "vi" else "en-US"
    ui.add_head_html(assets())
    viewer = viewer_of(client.request)
    ui.html(header(center, viewer, lang), sanitize=False, tag="header").classes("top")
    ui.html(HATCH, sanitize=False)  # before the pictures, which refer to it
    if viewer and viewer.user is not None:
        ui.timer(_RECHECK_EVERY_S, lambda: _end_if_changed(client, viewer), immediate=False)
    with ui.element("main").classes("page"):
        yield


async def _end_if_changed(client: Client, viewer: Viewer) -> None:
    """Ends an open page when its session ends or its account changes: the gate saw only the start of its connection.

    A browser that does not reload keeps a page without connection.
    """
    try:
        current = await client.request.state.identify(client.request)
    except StoreUnavailable:  # not known now; checked again soon
        return
    if current != viewer:
        client.run_javascript("location.reload()")
        await asyncio.sleep(_RELOAD_WAIT_S)
        if client.has_socket_connection:  # else it has reloaded, and NiceGUI deletes its client after a while
            client.delete()


def assets() -> Markup:
    """The console's own files, for a page's head."""
    script = el("script", src=outside(_url("console.js")), data_root=outside("/").removesuffix("/") or "/")
    return join(el("link", rel="stylesheet", href=outside(_url("style.css"))), script)


def viewer_of(request: HTTPConnection) -> Viewer | None:
    """The viewer that the gate found; None on open pages."""
    viewer: Viewer | None = getattr(request.state, "viewer", None)
    return viewer


def header(center: CenterState, viewer: Viewer | None, lang: str) -> Markup:
    """The header of every page. viewer: shows the account's menu, none without an account."""
    languages = (
        el(
            "button",
            code.upper(),
            cls="on" if code == lang else "",
            data_set_lang=code,
            lang=code,
            title=say(f"language.{code}", code),
            aria_pressed=str(code == lang).lower(),
        )
        for code in LANGUAGES
    )
    return join(
        el("a", PULSE, "Nhịp", cls="brand", href=outside("/")),
        el("span", center.name, cls="centre") if center.name not in ("", "Nhịp") else None,
        _pages(lang) if viewer else None,
        el(
            "div",
            el("div", *languages, cls="seg"),
            el("button", SUN, cls="round", data_flip_theme="1", aria_label=say("console.theme", lang)),
            _menu(viewer, lang) if viewer and viewer.user is not None else None,
            cls="right",
        ),
    )


def _pages(lang: str) -> Markup:
    """The pages that every page leads to; a narrow screen shows them on demand. `console.js` marks the one that is open."""
    links = join(*(el("a", say(name, lang), href=outside(url)) for url, name in _LINKS.items()))
    label = say("console.pages", lang)
    return join(
        el("nav", links, cls="pages", aria_label=label),
        el(
            "details",
            el("summary", MENU, cls="round", aria_label=label),
            el("nav", links, cls="drop", aria_label=label),
            cls="pages-menu",
        ),
    )


def _menu(viewer: Viewer, lang: str) -> Markup:
    pages = [("/account", "account.title")] + ([("/admin", "admin.title")] if viewer.may("admin") else [])
    return el(
        "details",
        el("summary", PERSON, cls="round", aria_label=say("account.menu", lang)),
        el(
            "div",
            el("b", viewer.name),
            *(el("a", say(key, lang), href=outside(url)) for url, key in pages),
            el("form", el("button", say("account.logout", lang)), method="post", action=outside("/logout")),
            cls="drop",
        ),
        cls="menu",
    )


def show_error(title: str, text: str, lang: str) -> None:
    """Shows an error as the page's content."""
    ui.html(error_content(title, text, lang), sanitize=False).classes("sorry")


def show_no_site(site: str, lang: str) -> None:
    """Shows that there is no such site, or with "" that there is none at all yet."""
    if site:
        ui.context.client.status_code = 404
        title = say("console.unknown_site", lang, site=site)
        show_error(title, say("console.unknown_site.help", lang), lang)
    else:
        show_error(say("console.no_site", lang), say("console.no_site.help", lang), lang)


def error_content(title: str, text: str, lang: str, *, again: bool = False) -> Markup:
    """An error as HTML. again: leads to the same address once more, where the fleet would be refused as well."""
    home = el("a", say("console.to_fleet", lang), href=outside("/"), cls="go")
    same = el("a", say("console.try_again", lang), href="", cls="go")  # an empty reference is this very address
    return join(PULSE, el("h1", title), el("p", text), same if again else home)


async def follow_alerts(
    visit: Visit, alerts: OpenAlerts, site: str, place: ui.html, draw: Callable[[Sequence[Mapping[str, Any]], str], str]
) -> None:
    """Shows the open alerts of a site, or with "" of all, now and every few seconds. draw: what is shown of them, in a language."""

    async def refresh() -> None:
        with troubles(place.set_content, visit.lang):
            rows = await visit.cache.ask(ALERTS_EVERY_S * 0.9, alerts, visit.viewer, site)
            place.set_content(str(draw(rows, visit.lang)))

    await refresh()
    ui.timer(ALERTS_EVERY_S, refresh, immediate=False)


async def wait_briefly(work: Coroutine[Any, Any, None], begun: asyncio.Event | None = None) -> None:
    """Waits a moment for the page's first numbers; if they take longer the page opens without them and they follow.
    begun: set by the work as soon as there is enough to open the page.

    Raises what the work raises in that time.
    """
    task = background_tasks.create(work)
    waiting = {task} | ({asyncio.ensure_future(begun.wait())} if begun else set())
    await asyncio.wait(waiting, timeout=_FIRST_NUMBERS_S, return_when=asyncio.FIRST_COMPLETED)
    for other in waiting - {task}:
        other.cancel()
    if task.done():
        task.result()


async def let_others() -> None:
    """Between two parts of a page's work: what others have asked meanwhile is answered first. An answer takes several turns of the event
    loop, and threads between them, so that it waits a moment rather than a turn.
    """
    await asyncio.sleep(_OTHERS_S)


@contextmanager
def troubles(show: Callable[[str], object], lang: str) -> Iterator[None]:
    """What keeps a part of the page from being loaded is shown above it as a banner; a fault of ours also goes to the log."""
    try:
        yield
    except StoreUnavailable:
        show(banner(say("console.store_away", lang)))
    except Exception:
        show(banner(f"{say('console.broken', lang)}. {say('console.broken.help', lang)}"))
        raise


def banner(text: str) -> str:
    """A message above the numbers while they cannot be loaded; nothing for ""."""
    return el("div", el("b", "!"), text, cls="banner", role="status") if text else ""
