"""A console whose center has a finding, an action that was verified and a draft. `action_console_plant.py --dir DIR [--port N]` serves it."""

import argparse
import socket
import sys
from dataclasses import replace
from pathlib import Path

# as pytest has it, also for a process of its own: folders of tests/ bear the names of the rooms
sys.path.append(str(Path(__file__).parents[2]))
sys.path.append(str(Path(__file__).parents[1]))

from action_plant import LATE, PLAN, PLANS, TERMS, WEEKS, at
from advice_plant import SITE, fill, opened
from histories import START_NS

from center.api.advice.action_routes import add_actions
from center.api.advice.finding_routes import add_findings
from center.api.app import create_app
from center.console import mount
from center.database.actions import new_action
from center.database.findings import open_findings
from center.runtime.advice.judging import run_actions
from center.runtime.advice.measured_past import PlanPast
from center.runtime.advice.night import run_night
from oee.advice.gain import action
from oee.advice.gain.action import ActionRecord

WEEK_NS = 7 * 86_400 * 10**9
NOW_NS = at(2026, 3, 29)


def made(folder):
    """The application, its center, its database, and a clock that can be moved: `clock[0]` [ns UTC].

    m-1 started late until an action; m-3 still does, which is found; m-2 and m-4 are as they always were.
    """
    clock = [NOW_NS]
    center = replace(opened("duckdb", folder, NOW_NS), now_ns=lambda: clock[0])
    plans = PLANS | {"m-3": (replace(LATE, late_weeks=999), 3), "m-4": (replace(PLANS["m-2"][0]), 5)}
    fill(center, plans)
    engine = open_findings(f"sqlite:///{folder}/center.sqlite")
    app = create_app(center)
    add_findings(app, center, engine, lambda *_: None)
    add_actions(app, center, engine, lambda *_: None)

    @app.post("/api/v1/test/judge")  # before the console, which answers every path that is left
    def judge(to: int) -> dict[str, bool]:
        """Moves the clock, and lets a night pass."""
        clock[0] = to
        return {"done": run_actions(center, engine, lambda *_: True)}

    mount(app, center)
    for week in (8, 10, WEEKS):
        run_night(center, engine, START_NS + week * WEEK_NS, lambda *_: True)
    clock[0] = at(2026, 2, 15)
    told = PlanPast(center, engine, PLAN).told()
    frozen = action.registered(ActionRecord(TERMS, PLAN), told, "minh", clock[0])
    new_action(engine, SITE, frozen, "minh", clock[0], lambda *_: None)
    idle = replace(PLAN, machines=("m-4",), metric="oee", part="", controls=())
    terms = replace(TERMS, what="Thay gá kẹp mới", owner="Hùng", cost=None)
    frozen = action.registered(ActionRecord(terms, idle), None, "minh", clock[0])
    new_action(engine, SITE, frozen, "minh", clock[0], lambda *_: None)
    clock[0] = NOW_NS
    run_actions(center, engine, lambda *_: True)
    return app, center, engine, clock


def main() -> None:
    import uvicorn

    parser = argparse.ArgumentParser()
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    asked = parser.parse_args()
    app, *_ = made(asked.dir)
    listener = socket.create_server(("127.0.0.1", asked.port))
    (asked.dir / "url.part").write_text(f"http://127.0.0.1:{listener.getsockname()[1]}")
    (asked.dir / "url.part").rename(asked.dir / "url")
    uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)).run([listener])


if __name__ == "__main__":
    main()
