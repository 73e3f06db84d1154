"""How fast the center ingests facts and answers queries, on each of its stores, all in one run on one machine.

    .venv/bin/python bench/center.py [--days 30] [--machines 200] [--stores duckdb,influxdb]

Each store runs in a process of its own. InfluxDB is the one that scripts/influxd builds, with the settings of
deploy/influxdb.md. First the store alone is filled and queried; then a whole center is started on it, with a broker, and
measured from outside, as gateways and browsers see it. Prints a table and, as the last line, one JSON object. With the defaults: ten
million rows, a quarter of an hour.
"""

import argparse
import importlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "center"), str(ROOT / "tests")]

import center_process as process_of
from center_rows import DAY_MIN, START_MIN, ZONE, envelopes, facts, losses
from influx_plant import Influxd
from rich.console import Console
from rich.progress import track
from rich.table import Table

from center.contract.store import Origin, Query, RolledUp, RowBatch
from oee.kpi import kpi
from oee.model.facts import MINUTE_NS, NO_LOSSES
from oee.model.states import CalendarClass

REPEATS = 5
SLOW_MS = 5000


def fill(store, site, machines, days, *, minutes=60, quiet=False):
    """Writes the site's rows, a batch for each stretch of minutes; seconds spent in `write`, and rows."""
    spent_s, rows = 0.0, 0
    first_min = START_MIN + (30 - days) * DAY_MIN
    stretches = range(first_min, first_min + days * DAY_MIN, minutes)
    for number, first in enumerate(track(stretches, f"{site} ...", console=Console(stderr=True), disable=quiet)):
        table = facts(machines, first, minutes, number)
        batch = RowBatch(Origin(site, "main", "00000000000000aa"), number + 1, table, NO_LOSSES, ())
        began = time.perf_counter()
        store.write([batch])
        spent_s += time.perf_counter() - began
        rows += len(table)
    return spent_s, rows


def median_ms(question):
    """Median of some repetitions after a first one, which fills caches; and the first one. A slow query runs only twice."""
    spent = []
    while len(spent) <= (REPEATS if not spent or spent[0] < SLOW_MS else 1):
        began = time.perf_counter()
        question()
        spent.append((time.perf_counter() - began) * 1000)
    return round(statistics.median(spent[1:]), 1), round(spent[0], 1)


def fleet_oee(store, sites, start_ns):
    """Shift OEE of every machine of every site on one day: what the fleet's page asks."""
    with_oee = 0
    for site in sites:
        sums = store.facts(
            Query(site, start_ns, start_ns + DAY_MIN * MINUTE_NS, ZONE, (), "shift", ("machine", "calendar"))
        )
        for row in sums.sums[sums.calendar == CalendarClass.SCHEDULED]:
            with_oee += kpi.compute(row, scheduled_ms=465 * 60_000, only=("oee",)).values["oee"] is not None
    return with_oee


def measure(store, machines, days):
    """All figures of one store."""
    out = {}
    spent_s, rows = fill(store, "thirty", machines, days)
    out["ingest_rows_s"] = round(rows / spent_s)
    fleet = ["thirty", *(f"fleet-{number}" for number in range(4))]
    total = rows
    for site in fleet[1:]:
        total += fill(store, site, machines, 1, quiet=True)[1]
    total += fill(store, "year", 1, 365, minutes=DAY_MIN, quiet=True)[1]
    small_s, small_rows = live(store, machines)
    out["live_minute_ms"] = round(small_s * 1000, 1)
    out["rows"] = total + small_rows
    out["rolled_up_s"] = round(roll_up(store), 1)
    last_day_ns = (START_MIN + 29 * DAY_MIN) * MINUTE_NS
    month = (START_MIN * MINUTE_NS, (START_MIN + 30 * DAY_MIN) * MINUTE_NS)
    year = ((START_MIN - 335 * DAY_MIN) * MINUTE_NS, (START_MIN + 30 * DAY_MIN) * MINUTE_NS)
    questions = {
        "month_by_hour": lambda: store.facts(Query("thirty", *month, ZONE, (), "hour", ("calendar",))),
        "year_by_day": lambda: store.facts(Query("year", *year, ZONE, ("press-0",), "day", ("machine", "calendar"))),
        "fleet_shift_oee": lambda: fleet_oee(store, fleet, last_day_ns),
        "day_by_hour_one_machine": lambda: store.facts(
            Query("thirty", last_day_ns, last_day_ns + DAY_MIN * MINUTE_NS, ZONE, ("press-0",), "hour", ("calendar",))
        ),
    }
    for name, question in questions.items():
        out[f"{name}_ms"], out[f"{name}_first_ms"] = median_ms(question)
    return out


def live(store, machines):
    """Seconds to write one minute of all machines with its losses, median of twenty writes; and rows written."""
    spent = []
    for minute in range(20):
        table = facts(machines, START_MIN + 29 * DAY_MIN + minute, 1, minute)
        batch = RowBatch(Origin("live", "main", "00000000000000aa"), minute + 1, table, losses(table), ())
        began = time.perf_counter()
        store.write([batch])
        spent.append(time.perf_counter() - began)
    return statistics.median(spent), 20 * machines


def roll_up(store):
    """Seconds until the sums of hours and days are up to date."""
    began, now_ns = time.perf_counter(), time.time_ns()
    while isinstance(store, RolledUp) and store.roll_up(now_ns, leased=True):
        pass
    return time.perf_counter() - began


def size(folder):
    """Bytes on disk."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def peak_mib(pid):
    """The largest resident size that a process had."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return round(int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024)


def whole_center(folder, store, machines):
    """Figures of a center on the filled store, as its gateways and readers see it."""
    out, sites = {}, ["thirty", *(f"fleet-{number}" for number in range(4))]
    with process_of.center(folder, store) as (url, port, process):
        gateways = process_of.Gateways(port)
        process_of.describe(gateways, sites, machines)
        out["center_idle_rss_mib"] = rss_mib(process.pid)
        page = process_of.page_ms(url)
        out["fleet_page_ms"], out["fleet_page_first_ms"], out["fleet_page_bytes"] = page
        for name, with_losses in (("", True), ("_facts_only", False)):
            made, rows = envelopes(f"site{name.replace('_', '-')}", with_losses=with_losses)
            got = process_of.ingest(gateways, [process], made, rows)
            out[f"mqtt_to_receipt{name}_rows_s"], out[f"mqtt_to_receipt{name}_cpu_us_a_row"] = got
        out["center_peak_rss_mib"] = peak_mib(process.pid)
        gateways.close()
    return out


def rss_mib(pid):
    """The resident size of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return round(int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024)


def one_duckdb(folder, machines, days):
    """The embedded store."""
    settings = {"file": str(folder / "facts.duckdb")}
    store = importlib.import_module("center.stores.duckdb.store").open_store(settings)
    out = measure(store, machines, days)
    store.close()
    out["disk_bytes"] = size(folder)
    return out | whole_center(folder, {"kind": "duckdb"} | settings, machines)


def one_influxdb(folder, machines, days):
    """A server started here; its cold cache is written soon, so that disk_bytes counts files and not the log."""
    server = Influxd(folder, more='cache-snapshot-write-cold-duration = "5s"').start()
    try:
        store = importlib.import_module("center.stores.influxdb.store").open_store(server.settings)
        out = measure(store, machines, days)
        store.close()
        until = time.monotonic() + 120
        while size(folder / "wal") > 1_000_000 and time.monotonic() < until:
            time.sleep(1)
        out["disk_bytes"] = size(folder)
        out |= whole_center(
            folder, {"kind": "influxdb", "books": str(folder / "books.duckdb")} | server.settings, machines
        )
        return out | {"server_rss_mib": peak_mib(server.process.pid)}
    finally:
        server.kill()


ONE = {"duckdb": one_duckdb, "influxdb": one_influxdb}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--machines", type=int, default=200)
    parser.add_argument("--stores", default=",".join(ONE))
    parser.add_argument("--one", default="")
    options = parser.parse_args()
    if options.one:
        with tempfile.TemporaryDirectory(prefix="nhip-bench-") as folder:
            out = ONE[options.one](Path(folder), options.machines, options.days)
        out["client_rss_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        out["bytes_a_row"] = round(out["disk_bytes"] / out["rows"], 1)
        print(json.dumps(out))
        return
    results = {}
    for name in options.stores.split(","):
        command = [
            sys.executable,
            __file__,
            "--one",
            name,
            "--days",
            str(options.days),
            "--machines",
            str(options.machines),
        ]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        results[name] = json.loads(done.stdout.strip().splitlines()[-1])
    table = Table(title=f"{options.machines} machines, {options.days} days")
    table.add_column("")
    for name in results:
        table.add_column(name, justify="right")
    for key in dict.fromkeys(key for result in results.values() for key in result):
        table.add_row(key, *(f"{result.get(key, ''):,}" if key in result else "" for result in results.values()))
    Console().print(table)
    print(json.dumps({"days": options.days, "machines": options.machines, "results": results}))


if __name__ == "__main__":
    main()
