"""What several ingest workers cost: the same envelopes ingested by one and by several, on InfluxDB and PostgreSQL.

    .venv/bin/python bench/center_workers.py [--workers 1,2,4]

Everything runs on this machine, so rows a second say little beyond the number of its cores; CPU time a row says what
sharing costs. Prints a table and, as the last line, one JSON object.
"""

import argparse
import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "center"), str(ROOT / "tests")]

import center_process as process_of
from center_plant import mosquitto
from center_rows import envelopes
from influx_plant import Influxd
from postgres_plant import Postgres
from rich.console import Console
from rich.table import Table


def measure(workers):
    """One run on an empty store and an empty database."""
    with tempfile.TemporaryDirectory(prefix="nhip-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        server, database = Influxd(folder).start(), Postgres()
        stack.callback(server.kill)
        stack.callback(database.remove)
        database.start()
        port = stack.enter_context(mosquitto(folder))
        more = {"role": "ingest", "database": database.database()}
        store = {"kind": "influxdb"} | server.settings
        workers_started = [
            stack.enter_context(process_of.center(folder, store, port, **more))[2] for _ in range(workers)
        ]
        gateways = process_of.Gateways(port)
        made, rows = envelopes("warm", with_losses=True, each=2)
        process_of.ingest(gateways, workers_started, made, rows)
        made, rows = envelopes("site", with_losses=True, each=30)
        before_s = [process_of.tree_cpu_s(pid) for pid in (database.process.pid, server.process.pid)]
        rows_s, cpu_us = process_of.ingest(gateways, workers_started, made, rows)
        after_s = [process_of.tree_cpu_s(pid) for pid in (database.process.pid, server.process.pid)]
        spent = [round((after - before) / rows * 1e6, 1) for before, after in zip(before_s, after_s, strict=True)]
        gateways.close()
        return {
            "rows_s": rows_s,
            "workers_cpu_us_a_row": cpu_us,
            "postgres_cpu_us_a_row": spent[0],
            "influxd_cpu_us_a_row": spent[1],
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", default="1,2,4")
    counts = [int(text) for text in parser.parse_args().workers.split(",")]
    results = {count: measure(count) for count in counts}
    table = Table(title="ingest workers")
    table.add_column("")
    for count in results:
        table.add_column(str(count), justify="right")
    for key in results[counts[0]]:
        table.add_row(key, *(f"{result[key]:,}" for result in results.values()))
    Console().print(table)
    print(json.dumps({"workers": results}))


if __name__ == "__main__":
    main()
