"""What delivery costs and how fast it is, from a PLC's register to the center's store, in one run on one machine.

    .venv/bin/python bench/delivery.py [--only outbox,bytes,live,return,day,week,ingest] [--changes 60]
        [--rounds 3] [--away 60]

Real processes: Mosquitto, `nhip agent`, `nhip center` with the embedded store, a Modbus PLC. The targets
beside the figures are those of docs/design/0011-sending.md. Prints a table and, as the last line, one JSON object.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench"), str(ROOT / "tests")]

from delivery_parts import backlog, latency, line_bytes
from delivery_parts.stage import Stage
from rich.console import Console
from rich.table import Table

AIMS = {
    "fsyncs_acquisition": "0",
    "beyond_period_p99_ms": "< 500",
    "first_value_s": "< 3",
    "total_mb": "< 1",
    "seconds": "< 10 for a day",
    "fact_rows_a_second": "≥ 20,000 (ingest)",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="outbox,bytes,live,return,day,week,ingest")
    parser.add_argument("--changes", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--away", type=int, default=60)
    options = parser.parse_args()
    works = {
        "outbox": lambda stage: backlog.outbox(stage.folder),
        "bytes": lambda _: line_bytes.machine_day(),
        "live": lambda stage: latency.live(stage, options.changes),
        "return": lambda stage: latency.returning(stage, options.rounds, options.away),
        "day": lambda stage: backlog.catch_up(stage, 1),
        "week": lambda stage: backlog.catch_up(stage, 7),
        "ingest": backlog.ingest,
    }
    results = {}
    console = Console(stderr=True)
    for name in options.only.split(","):
        with (
            tempfile.TemporaryDirectory(prefix="nhip-bench-") as folder,
            Stage(Path(folder)) as stage,
            console.status(f"{name} ..."),
        ):
            results[name] = works[name](stage)
    table = Table()
    for heading, justify in (("", "left"), ("figure", "left"), ("measured", "right"), ("aim", "left")):
        table.add_column(heading, justify=justify)
    for name, figures in results.items():
        for figure, value in figures.items():
            table.add_row(name, figure, str(value), AIMS.get(figure, ""))
    Console().print(table)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
