"""A served page at the machine for a real browser: the agent runs in a thread of its own, so that a test can use Playwright."""

import asyncio
import threading
from contextlib import contextmanager
from urllib.parse import urlsplit

from andon_agent import answers, served
from servers import PATIENCE_S

SIZES = {"phone": (390, 844), "tablet": (800, 1280), "wall": (1920, 1080)}
LANGUAGES = ("vi", "en")
_LINE = {"line": "dap", "state": [{"when": "plc.run", "is": "running"}, {"is": "unplanned_stop"}]}
SHOP = {
    "lines": {"dap": {"name": {"vi": "Chuyền dập", "en": "Stamping"}, "flow": "parallel"},
              "may": {"name": {"vi": "Chuyền may", "en": "Sewing"}, "flow": "parallel"}},
    "machines": {
        "m-1": {**_LINE, "name": {"vi": "Máy dập thủy lực 250 tấn", "en": "Hydraulic press 250 t"},
                "pieces": {"total": "plc.count", "reject": "operator", "rework": "operator"}, "product": "operator"},
        "m-2": {**_LINE, "name": {"vi": "Máy dập 2", "en": "Press 2"}, "pieces": {"total": "plc.count"}, "product": "1"},
        "m-3": {**_LINE, "line": "may", "name": {"vi": "Máy may 3", "en": "Sewing machine 3"},
                "pieces": {"total": "plc.count", "reject": "operator"}, "product": "2"},
    },
}  # fmt: skip


class Shop:
    """A served page. url: its address; outbox: its file; device: its PLC; stops: when its recorded stops began [ms]."""

    def __init__(self, folder, page, device, stops):
        self.outbox, self.page, self.device, self.stops = folder / "outbox.db", page, device, stops
        self.url = str(page.client.base_url)


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work):
        """What the work comes to."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE_S)

    def end(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@contextmanager
def shop(folder, **more):
    """A shop whose page is answered; more: of `served`."""
    thread = Loop()
    context = served(folder, **more)
    try:
        page, device, stops = thread.run(context.__aenter__())
        try:
            thread.run(answers(page))
            yield Shop(folder, page, device, stops)
        finally:
            thread.run(context.__aexit__(None, None, None))
    finally:
        thread.end()


class Tablets:
    """Opens pages, each on a tablet of its own unless told otherwise. complaints: what they said that they should not."""

    def __init__(self, browser):
        self.browser, self.contexts, self.complaints = browser, [], []

    def tablet(self, url, lang="vi", size="tablet", name="xuong-1", *, machines=(), script=""):
        """A tablet with its settings."""
        width, height = SIZES[size]
        context = self.browser.new_context(viewport={"width": width, "height": height}, has_touch=size != "wall")
        self.contexts.append(context)
        kept = f"{{tablet: '{name}', machines: {list(machines)}, lang: '{lang}', theme: 'light'}}"
        context.add_init_script(
            f"if (!localStorage['nhip.tablet']) localStorage['nhip.tablet'] = JSON.stringify({kept})"
        )
        if script:
            context.add_init_script(script)
        home = urlsplit(url).netloc
        context.on("request", lambda request: self._foreign(request.url, home))
        return context

    def window(self, context, url, *, complain=True):
        """A window of a tablet, once it shows something."""
        page = context.new_page()
        page.set_default_timeout(PATIENCE_S * 1000)
        if complain:
            page.on("pageerror", lambda error: self.complaints.append(str(error)))
            page.on(
                "console", lambda line: self.complaints.append(line.text) if line.type in ("error", "warning") else None
            )
        page.goto(url)
        page.wait_for_selector("main.machine .hero, main.wall .wall-card, main.tech .tile, main.pin")
        return page

    def open(self, url, **more):
        """A window of a new tablet."""
        complain = more.pop("complain", True)
        path = more.pop("path", "/")
        return self.window(self.tablet(url, **more), url + path, complain=complain)

    def close(self):
        for context in self.contexts:
            context.close()

    def _foreign(self, url, home):
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob", "about") and parts.netloc != home:
            self.complaints.append(url)
