"""How soon a machine's page shows its first numbers and all of it, with 25,000 stops in a month and other people looking on.

    .venv/bin/python bench/console.py [--before CHECKOUT] [--rounds 5]

A real console and a headless Chromium. While the page loads, three viewers ask the smallest question of the API again and
again. Each round starts the console anew: its very first page is `start`; the others are pages that nobody has opened yet in
a console that has shown others. `--before` runs another checkout's console on the same store in the same run, in turns.
The page itself keeps the time, from the start of the navigation to the frame that draws what is waited for: Playwright looks
after 0, 20, 70, 170, 270, 770 ms and so on, too coarsely. byte_ms is when the answer begins, plain_ms the browser's first
contentful paint. quiet_wait_ms is the longest wait of the same viewers while nobody opens a page; cpu_ms what the console's
process spent, the viewers' questions included. Prints a table and, as the last line, one JSON object. The first fleet page of 1,000
machines on both stores is in bench/center.py (fleet_page_first_ms).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "center"), str(ROOT / "tests")]

import numpy as np
from center_plant import site_body
from center_process import SHIFTS, cpu_s
from center_rows import DAY_MIN, START_MIN, ZONE, facts, losses
from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.progress import track
from rich.table import Table

from center.contract.ledger import Changes
from center.contract.store import Origin, RowBatch
from center.model.sites import Owner, SiteRow
from center.runtime.state import center_state
from center.stores.duckdb.store import open_store
from oee.model.facts import MINUTE_NS, Stop
from oee.model.states import State

DAYS, EVERY_S, LONG = 30, 104, 0.02
"""A month of a press that stops every 104 s, one time in fifty for more than a minute."""
VIEWERS = 3
WHAT = ("byte_ms", "plain_ms", "first_ms", "whole_ms", "others_wait_ms", "quiet_wait_ms", "cpu_ms")
PAGES = {"start": ("7d", "shift"), "24h": ("24h", "hour"), "30d": ("30d", "day"), "yesterday": ("yesterday", "hour")}
"""In this order: the first one after a start, then three that nobody has asked for yet."""
_CLOCK = """
  const shown = (window.shown = {});
  const seen = { first: [".tiles .tile .value"], whole: ["#app table.stops tbody tr", "#app .days rect.s"] };
  const look = () => {
    for (const [name, all] of Object.entries(seen))
      if (!(name in shown) && all.every((one) => document.querySelector(one))) {
        shown[name] = 0;
        requestAnimationFrame(() => (shown[name] = performance.now()));
      }
  };
  new MutationObserver(look).observe(document, { childList: true, subtree: true });
"""
"""When the frame begins that draws what is waited for [ms since the start of the navigation]."""
_TIMES = """() => ({ ...window.shown, byte: performance.getEntriesByType("navigation")[0].responseStart,
  plain: performance.getEntriesByName("first-contentful-paint")[0]?.startTime })"""
_SERVE = """
import sys, pathlib
sys.path[:0] = [sys.argv[1]]
import uvicorn
from center.api.app import create_app
from center.console import mount
from center.run import process
from center.runtime.state import center_state
from center.stores.duckdb.store import open_store
store = open_store({"file": sys.argv[2]})
center = center_state(store, name="Bench")
app = create_app(center)
mount(app, center)
config = uvicorn.Config(app, "127.0.0.1", 0, log_level="warning")
server = uvicorn.Server(config)
async def main():
    import asyncio
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.02)
    getattr(process, "make_way", getattr(process, "spare_what_is_loaded", lambda: None))()  # as a center does
    pathlib.Path(sys.argv[3]).write_text(str(server.servers[0].sockets[0].getsockname()[1]))
    await task
import asyncio
asyncio.run(main())
"""


def fill(file):
    """A store with one machine: a month of minute rows, and its stops."""
    store = open_store({"file": file})
    center = center_state(store, name="Bench")
    body = site_body(["press-0"], valid_from=START_MIN * MINUTE_NS, zone=ZONE, calendars={"": {"shifts": SHIFTS}})
    row = SiteRow("bench", "main", "0" * 16, START_MIN * MINUTE_NS, json.dumps(body))
    changes = Changes(sites=[row], owners=[Owner("bench", "press-0", "main", START_MIN * MINUTE_NS)])
    center.commit((), changes)
    chance = np.random.default_rng(1)
    for day in range(DAYS):
        first_min = START_MIN + day * DAY_MIN
        table = facts(1, first_min, DAY_MIN, day)
        stops = tuple(_stop(first_min * 60 + second, chance) for second in range(0, DAY_MIN * 60, EVERY_S))
        store.write([RowBatch(Origin("bench", "main", "00000000000000aa"), day + 1, table, losses(table), stops)])
    while store.roll_up(time.time_ns(), leased=True):
        pass
    store.close()
    return DAYS * (DAY_MIN * 60 // EVERY_S)


def _stop(second, chance):
    length_s = int(chance.integers(61, 100) if chance.random() < LONG else chance.integers(4, 40))
    begin_ns = (second + int(chance.integers(0, EVERY_S - 100))) * 10**9
    state = State.UNPLANNED_STOP if length_s > 60 else State.MINOR_STOP
    return Stop(
        "press-0", str(begin_ns // 10**6), begin_ns, begin_ns + length_s * 10**9, state, "", "count", "nắp", "", 0
    )


@contextmanager
def serving(checkout, file, folder):
    """The console of a checkout on this store: its address and its process."""
    ready = folder / f"port-{time.monotonic_ns()}"
    command = [sys.executable, "-c", _SERVE, str(checkout), file, str(ready)]
    process = subprocess.Popen(command, cwd=checkout, env=os.environ | {"PYTHONPATH": str(checkout)})
    try:
        until_s = time.monotonic() + 120
        while not ready.exists() or not ready.read_text():
            if process.poll() is not None or time.monotonic() > until_s:
                raise RuntimeError("the console does not start")
            time.sleep(0.05)
        yield f"http://127.0.0.1:{ready.read_text()}", process
    finally:
        process.terminate()
        process.wait(60)


class Viewers:
    """People who ask the smallest question again and again, each in a thread; how long each answer took [ms]."""

    def __init__(self, url):
        self.waits_ms, self._done = [], threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(url,)) for _ in range(VIEWERS)]

    def _ask(self, url):
        while not self._done.is_set():
            began = time.perf_counter()
            urllib.request.urlopen(f"{url}/api/v1/sites", timeout=60).read()
            self.waits_ms.append((time.perf_counter() - began) * 1000)
            self._done.wait(0.02)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        for thread in self._threads:
            thread.join()


def quiet(url):
    """The longest wait of the viewers [ms] in a second in which nobody opens a page."""
    with Viewers(url) as viewers:
        time.sleep(1)
    return max(viewers.waits_ms)


def measure(page, url, process, span, bucket):
    """The times of `WHAT` for one page but for the quiet ones [ms]."""
    with Viewers(url) as viewers:
        before_s = cpu_s(process.pid)
        page.goto(f"{url}/machine/bench/press-0?span={span}&bucket={bucket}", wait_until="commit")
        page.wait_for_function("window.shown?.first && window.shown.whole", timeout=120_000)  # live: it answers clicks
        spent_ms = (cpu_s(process.pid) - before_s) * 1000
    times = page.evaluate(_TIMES)
    times["first"] = max(times["first"], times["plain"])  # nothing is seen before
    page.goto("about:blank")
    return *(times[name] for name in ("byte", "plain", "first", "whole")), max(viewers.waits_ms), spent_ms


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, help="another checkout, measured beside this one")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    checkouts = {"now": ROOT} | ({"before": options.before.resolve()} if options.before else {})
    found = {name: {key: [] for key in PAGES} for name in checkouts}
    with tempfile.TemporaryDirectory(prefix="nhip-bench-") as name, sync_playwright() as play:
        folder, file = Path(name), f"{name}/bench.duckdb"
        stops = fill(file)
        browser = play.chromium.launch(executable_path=options.chromium, args=["--no-sandbox"])
        for _ in track(range(options.rounds), "rounds ...", console=Console(stderr=True)):
            for checkout, path in checkouts.items():
                with serving(path, file, folder) as (url, process):
                    page = browser.new_page()  # its cache is empty at the start, and holds the scripts later
                    page.add_init_script(_CLOCK)
                    for key, (span, bucket) in PAGES.items():
                        quiet_ms = quiet(url)
                        *times, spent_ms = measure(page, url, process, span, bucket)
                        found[checkout][key].append((*times, quiet_ms, spent_ms))
                    page.close()
        browser.close()
    results = {
        checkout: {span: _medians(rounds) for span, rounds in spans.items()} for checkout, spans in found.items()
    }
    _show(results, stops)
    print(json.dumps({"stops": stops, "rounds": options.rounds, "results": results}))


def _medians(rounds):
    return dict(zip(WHAT, (round(statistics.median(column)) for column in zip(*rounds, strict=True)), strict=True))


def _show(results, stops):
    table = Table(title=f"A machine's page with {stops} stops in a month [ms]")
    for head in ("", "page", *WHAT):
        table.add_column(head, justify="left" if head in ("", "page") else "right")
    for checkout, spans in results.items():
        for span, values in spans.items():
            table.add_row(checkout, span, *(str(values[name]) for name in WHAT))
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
