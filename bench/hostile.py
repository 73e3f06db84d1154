"""What the honest notice while one gateway is hostile: receipts and pages beside each attack, against a quiet run.

    python bench/hostile.py [--seconds 10]

Prints a table; the last line is JSON: `ratio_p99` (of the honest receipts beside all attacks to the quiet ones), `worst_ratio_p99` (beside the worst of them), seconds of receipts
and pages, the most memory of the center [MB], and how long it takes to start afterwards [s]. Everything runs on one machine, so the
attacker's own work is part of what the honest notice.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "hostile"), str(ROOT / "tests" / "center"), str(ROOT / "tests")]

from hostile_stage import ATTACKS, Hostile, stage
from rich.console import Console
from rich.table import Table


def p99(numbers):
    """The number that 99 of 100 do not exceed."""
    return sorted(numbers)[min(len(numbers) * 99 // 100, len(numbers) - 1)]


def measured(made, seconds, attack=None):
    """Seconds of each receipt and of each page, while the honest send for so long or as long as the attack takes."""
    pages = []
    with made.honest_work() as receipts:
        first, until_s = len(receipts), time.monotonic() + seconds
        if attack:
            hostile = Hostile(made.port, attack.__name__.replace("_", "-")[:60])
            attack(hostile)
            hostile.close()
        while time.monotonic() < until_s or not pages:
            pages += made.answers_everybody().values()
    return receipts[first:], pages


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    seconds = parser.parse_args().seconds
    table = Table("beside", "receipts", "p50 [s]", "p99 [s]", "to quiet", "pages p99 [s]", "memory [MB]")
    beside = []
    with tempfile.TemporaryDirectory() as folder, stage(Path(folder)) as made:
        measured(made, 2)  # what is loaded on first use
        quiet, quiet_pages = measured(made, seconds)
        rows = [("nobody", quiet, quiet_pages)]
        for attack in ATTACKS:
            receipts, pages = measured(made, seconds, attack)
            rows.append((attack.__name__.replace("_", " "), receipts, pages))
            beside.append((receipts, pages))
        rows.append(("nobody, afterwards", *measured(made, seconds)))
        for name, receipts, pages in rows:
            middle = sorted(receipts)[len(receipts) // 2]
            table.add_row(
                name,
                str(len(receipts)),
                f"{middle:.3f}",
                f"{p99(receipts):.3f}",
                f"{p99(receipts) / p99(quiet):.2f}",
                f"{p99(pages):.2f}",
                f"{made.most_mb():.0f}",
            )
        made.sums_are_exact()
        most_mb = made.most_mb()
        made.stop()
        began_s = time.monotonic()
        made.start()
        start_s = time.monotonic() - began_s
    Console().print(table)
    receipts = [number for some, _ in beside for number in some]
    pages = [number for _, some in beside for number in some]
    result = {
        "ratio_p99": round(p99(receipts) / p99(quiet), 2),
        "worst_ratio_p99": round(max(p99(some) for some, _ in beside) / p99(quiet), 2),
        "quiet_p99_s": round(p99(quiet), 4),
        "beside_p99_s": round(p99(receipts), 4),
        "quiet_pages_p99_s": round(p99(quiet_pages), 3),
        "pages_p99_s": round(p99(pages), 3),
        "most_mb": round(most_mb),
        "start_s": round(start_s, 2),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
