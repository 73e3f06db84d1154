"""What the honest notice while one gateway is hostile: receipts and pages beside each attack, against quiet rounds between them.

    python bench/hostile.py [--seconds 5] [--rounds 6] [--only ATTACK ...]

Each round has a quiet stretch before every second attack, and everything is asked of one center, so that whatever an attack
leaves, and whatever else the machine does, is in both. What an attack sends is made before its stretch begins; pages are asked
all the time, one after the other. A stretch is short: the receipts that wait while an attack is digested are more than one of a
hundred. Figures are of all rounds together. On a machine that others use too, run it with `nice -n -10`.

Prints a table; the last line is JSON: `ratio_p99` (of the honest receipts beside all attacks to the quiet ones), `worst_ratio_p99`
(beside the worst of them), seconds of receipts and pages, the most memory of the center [MB], how long it takes to start
afterwards [s], and how many cores others used meanwhile.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "hostile"), str(ROOT / "tests" / "center"), str(ROOT / "tests")]

import httpx
from hostile_stage import ATTACKS, Hostile, stage
from rich.console import Console
from rich.table import Table

QUIET = "nobody"
_REST_S = 2
"""After an attack, so that what is left of it to do is not charged to the next stretch."""
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def quantile(numbers, share):
    """The number that so many of them do not exceed."""
    return sorted(numbers)[min(int(len(numbers) * share), len(numbers) - 1)]


@contextmanager
def pages_asked(made):
    """Asks all pages again and again within the block. Yields how long they took [s]."""
    took_s, over, failed = [], threading.Event(), []

    def ask():
        try:
            while not over.is_set():
                took_s.extend(made.answers_everybody().values())
        except (AssertionError, httpx.HTTPError) as error:
            failed.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield took_s
    finally:
        over.set()
        thread.join()
    if failed:
        raise failed[0]


def stretch(made, seconds, begin=lambda: None):
    """Seconds of each receipt and of each page within so many seconds of the beginning."""
    with pages_asked(made) as pages, made.honest_work() as receipts:
        first, first_page, until_s = len(receipts), len(pages), time.monotonic() + seconds
        begin()
        time.sleep(max(until_s - time.monotonic(), 0.0))
    return receipts[first:], pages[first_page:]


def beside(made, seconds, attack, name):
    hostile = Hostile(made.port, name, prepared=True)
    attack(hostile)
    found = stretch(made, seconds, hostile.begin)
    hostile.close()
    return found


def busy_s():
    """CPU time of the whole machine, and of this process and its children that have ended [s]."""
    user, nice, system, _, _, *interrupts = map(int, Path("/proc/stat").read_text().split()[1:8])
    return (user + nice + system + sum(interrupts)) * _TICK_S


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--only", nargs="*", help="names of attacks, as in tests/hostile/hostile_stage.py")
    asked = parser.parse_args()
    attacks = [attack for attack in ATTACKS if not asked.only or attack.__name__ in asked.only]
    receipts, pages = defaultdict(list), defaultdict(list)

    def add(name, found):
        receipts[name] += found[0]
        pages[name] += found[1]

    began_s, busy_before_s = time.monotonic(), busy_s()
    with tempfile.TemporaryDirectory() as folder, stage(Path(folder)) as made:
        stretch(made, 5)  # what is loaded on first use
        for round_number in range(asked.rounds):
            for number, attack in enumerate(attacks):
                if number % 2 == 0:
                    add(QUIET, stretch(made, asked.seconds))
                gateway = f"{attack.__name__.replace('_', '-')[:50]}-{round_number}"
                add(attack.__name__, beside(made, asked.seconds, attack, gateway))
                stretch(made, _REST_S)
        own_s = made.cpu_s() + time.process_time()
        others = (busy_s() - busy_before_s - own_s) / (time.monotonic() - began_s)
        made.sums_are_exact()
        most_mb = made.most_mb()
        made.stop()
        began_s = time.monotonic()
        made.start()
        start_s = time.monotonic() - began_s
    quiet_s = quantile(receipts[QUIET], 0.99)
    table = Table("beside", "receipts", "p50 [s]", "p90 [s]", "p99 [s]", "to quiet", "pages p99 [s]")
    for name, numbers in receipts.items():
        shares = (f"{quantile(numbers, share):.3f}" for share in (0.5, 0.9, 0.99))
        ratio = f"{quantile(numbers, 0.99) / quiet_s:.2f}"
        table.add_row(name.replace("_", " "), str(len(numbers)), *shares, ratio, f"{quantile(pages[name], 0.99):.2f}")
    Console(width=120).print(table)
    hostile = {name: quantile(numbers, 0.99) for name, numbers in receipts.items() if name != QUIET}
    all_beside_s = quantile([number for name in hostile for number in receipts[name]], 0.99)
    result = {
        "ratio_p99": round(all_beside_s / quiet_s, 2),
        "worst_ratio_p99": round(max(hostile.values()) / quiet_s, 2),
        "quiet_p99_s": round(quiet_s, 4),
        "beside_p99_s": round(all_beside_s, 4),
        "quiet_pages_p99_s": round(quantile(pages[QUIET], 0.99), 3),
        "pages_p99_s": round(quantile([number for name in hostile for number in pages[name]], 0.99), 3),
        "most_mb": round(most_mb),
        "start_s": round(start_s, 2),
        "others_cores": round(others, 2),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
