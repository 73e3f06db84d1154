"""A console whose center has a finding of each kind. `advice_console_plant.py --dir DIR [--port N]` serves it."""

import argparse
import socket
import sys
from dataclasses import replace
from pathlib import Path

# as pytest has it, also for a process of its own: folders of tests/ bear the names of the rooms
sys.path.append(str(Path(__file__).parents[2]))
sys.path.append(str(Path(__file__).parents[1]))

from advice_plant import SITE, fill, opened
from histories import NULL, PLANTED, START_NS

from center.api.advice.finding_routes import add_findings
from center.api.app import create_app
from center.console import mount
from center.database.findings import open_findings
from center.runtime.advice.night import run_night

WEEKS = 14
WEEK_NS = 7 * 86_400 * 10**9
END_NS = START_NS + WEEKS * WEEK_NS


def made(folder, kinds):
    """The application, its center and the database of findings; a machine for each of these rules."""
    center = opened("duckdb", folder, END_NS + 8 * 3600 * 10**9)
    plans = {f"m-{number}": (replace(PLANTED[kind], weeks=WEEKS), 1) for number, kind in enumerate(kinds, 1)}
    lines = {"stamping": {"flow": "serial", "constraint": "m-2", "name": {"vi": "Dập", "en": "Stamping"}}}
    fill(center, plans | {"m-9": (replace(NULL, weeks=2), 3)}, lines=lines)
    engine = open_findings(f"sqlite:///{folder}/center.sqlite")
    for week in (10, 12, 14):
        run_night(center, engine, START_NS + week * WEEK_NS, lambda *_: True)
    app = create_app(center)
    add_findings(app, center, engine, lambda *_: None)
    mount(app, center)
    return app, center, engine


def main() -> None:
    import uvicorn

    parser = argparse.ArgumentParser()
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--kinds", default=",".join(PLANTED))
    asked = parser.parse_args()
    app, _, _ = made(asked.dir, asked.kinds.split(","))
    listener = socket.create_server(("127.0.0.1", asked.port))
    (asked.dir / "url.part").write_text(f"http://127.0.0.1:{listener.getsockname()[1]}")
    (asked.dir / "url.part").rename(asked.dir / "url")
    uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)).run([listener])


__all__ = ["END_NS", "SITE", "made"]

if __name__ == "__main__":
    main()
