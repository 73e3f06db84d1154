"""A real Chromium that asks nobody but the pages it is told to open."""

from contextlib import contextmanager

from playwright.sync_api import expect, sync_playwright
from servers import PATIENCE_S

expect.set_options(timeout=PATIENCE_S * 1000)
QUIET = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@contextmanager
def chromium():
    """The browser, closed at the end."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=QUIET)
        yield browser
        browser.close()
