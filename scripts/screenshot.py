"""A picture of a page as a browser draws it: `screenshot.py URL OUT.png [--width 1400] [--lang vi] [--dark]`.

Needs playwright and an installed Chromium (`--chromium`, default /usr/bin/chromium). Exit status 1: the page's
script reported an error.
"""

import argparse
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

QUIET = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def main() -> int:
    """Takes the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("out", type=Path)
    parser.add_argument("--width", type=int, default=1400)
    parser.add_argument("--height", type=int, default=900)
    parser.add_argument("--lang", choices=("vi", "en"), default="vi")
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--one-screen", action="store_true", help="only what fits the window, not the whole page")
    parser.add_argument("--scale", type=float, default=1.0, help="device pixels for each CSS pixel")
    parser.add_argument("--wait", type=float, default=1.5, help="seconds to let charts settle")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    complaints: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=options.chromium, args=QUIET)
        context = browser.new_context(
            viewport={"width": options.width, "height": options.height},
            color_scheme="dark" if options.dark else "light",
            device_scale_factor=options.scale,
            reduced_motion="reduce",
        )
        context.add_cookies([{"name": "nhip_lang", "value": options.lang, "url": options.url}])
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
        page.goto(options.url)
        page.wait_for_selector("main.page")
        page.wait_for_timeout(options.wait * 1000)
        page.screenshot(path=options.out, full_page=not options.one_screen)
        browser.close()
    for line in complaints:
        sys.stderr.write(f"{options.url}: {line}\n")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
