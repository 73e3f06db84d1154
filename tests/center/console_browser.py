"""The served console and a browser before it, as tests of pages need them; the fixtures of conftest.py."""

import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from accessibility import severe_faults
from playwright.sync_api import Page
from prepared import preparable
from servers import PATIENCE_S, eventually

BUILDING_S = 600.0


class Plant:
    """The served console. away: while this file exists the store is away."""

    def __init__(self, url: str, away: Path) -> None:
        self.url, self.away = url, away

    def ask(self, path: str, **params: str) -> dict:
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=params, trust_env=False, timeout=PATIENCE_S)
        answer.raise_for_status()
        return answer.json()


@contextmanager
def served_by(plant: str, folder: Path, *options: str):
    """The address of the console that a script of this folder serves."""
    script = Path(__file__).with_name(plant)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, preparable(str(script)), *options, "--dir", str(folder)],
            cwd=folder,
            stdout=log,
            stderr=log,
        )
        try:
            # it may have months of history to make first: the limit ends only what hangs
            eventually(lambda: (folder / "url").exists() or process.poll() is not None, BUILDING_S, every_s=0.1)
            assert process.poll() is None, (folder / "log").read_text()
            yield (folder / "url").read_text()
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


@contextmanager
def served(folder: Path, *options: str):
    """The console of console_plant.py."""
    with served_by("console_plant.py", folder, *options) as url:
        yield Plant(url, folder / "away")
    assert not (folder / ".nicegui").exists(), "the console writes no files of its own"


@contextmanager
def quiet_tabs(plant: Plant, chromium):
    """Opens pages; at the end none may have complained or asked anyone but the center."""
    contexts, complaints = [], []

    def open_page(path: str, lang: str = "en", width: int = 1400, complain: bool = True, locale: str = "en-US") -> Page:
        context = chromium.new_context(viewport={"width": width, "height": 900}, locale=locale)
        contexts.append(context)
        if lang:
            context.add_cookies([{"name": "nhip_lang", "value": lang, "url": plant.url}])
        home = urlsplit(plant.url).netloc
        context.on("request", lambda request: complaints.append(request.url) if _foreign(request.url, home) else None)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_S * 1000)
        page.on("websocket", lambda socket: complaints.append(socket.url) if _foreign(socket.url, home) else None)
        if complain:
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda line: complaints.append(line.text) if line.type in ("error", "warning") else None)
        page.goto(plant.url + path)
        page.wait_for_selector("main.page")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def _foreign(url: str, home: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme not in ("data", "blob", "about") and parts.netloc != home


_FONTS = """() => [...new Set([...document.querySelectorAll("body *")].filter((e) => e.offsetParent && !e.closest("code, pre, svg")
  && (e.matches("select, textarea, input:not([type=checkbox], [type=radio])") || [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())))
  .map((e) => getComputedStyle(e).fontFamily))]"""
"""The fonts of everything that can be read, but for code."""
_SMALL_AFTER_STOP = re.compile(r"\w\. ([^\W\d_][^.]{0,30})")


def faults(page: Page) -> list[str]:
    """What keeps people from reading a page: serious and critical faults that axe-core finds, scrolling sideways, several
    fonts, and sentences that begin with a small letter.
    """
    found = severe_faults(page)
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    found += [f"{wide} px wider than the window"] if wide > 0 else []
    fonts = page.evaluate(_FONTS)
    found += [f"several fonts: {fonts}"] if len(fonts) > 1 else []
    begun = _SMALL_AFTER_STOP.findall(page.locator("main.page").inner_text())
    return found + [f"after a full stop: {text}" for text in begun if text[0].islower()]
