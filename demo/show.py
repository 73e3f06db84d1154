"""Terminal output of the demo: progress, addresses, and the table of the comparison."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from cli.terminal import bars
from demo.proof import STATES, Comparison, Figures
from demo.prove import OnStep, Report
from demo.stage import Stage, StageBroken, request_json
from words import duration, number, percent, say

_ENVELOPES_A_DAY: Final = 6
"""Envelopes that the agent makes of a day of history, roughly; for the progress bar only."""


def follow_history(stage: Stage, console: Console, lang: str) -> None:
    """Shows how history is generated, computed and stored; returns when all of it is at the center."""
    history = stage.history
    if history is None:
        return
    days = max(1, round(stage.days))
    with bars(console, keep=True) as progress:
        tasks = [
            progress.add_task(say(key, lang, days=days), total=days)
            for key in ("demo.history_made", "demo.history_computed", "demo.history_stored")
        ]
        while not stage.agent_ready.exists():
            stage.check()
            progress.update(tasks[0], completed=min(days, len(list(history.glob("day-*.npz")))))
            progress.update(tasks[1], completed=min(days, _computed(stage.folder)))
            progress.update(tasks[2], completed=_stored(stage) * days)
            time.sleep(0.2)
        progress.update(tasks[0], completed=days)
        progress.update(tasks[1], completed=days)
        while (share := _stored(stage)) < 1:
            stage.check()
            progress.update(tasks[2], completed=share * days)
            time.sleep(0.2)
        progress.update(tasks[2], completed=days)


def _computed(folder: Path) -> int:
    """Days of history that the agent has computed."""
    try:
        progress = json.loads((folder / "agent-progress.json").read_text())
    except (OSError, ValueError):  # not yet written, or being replaced
        return 0
    return int(progress.get("history_day", progress.get("history_days", 0)))


def _stored(stage: Stage) -> float:
    """Share of the agent's envelopes that the center has settled [1]: 1 only when it has all."""
    try:
        rows = request_json(f"{stage.center_url}/api/v1/delivery")["rows"]
        progress = json.loads((stage.folder / "agent-progress.json").read_text())
    except (StageBroken, OSError, ValueError):  # the center is busy, or the file not yet written
        return 0.0
    marks = {row["stream"]: int(row["mark"]) for row in rows}
    if not progress.get("done"):
        days = max(1, round(stage.days))
        return min(0.99, sum(marks.values()) / (days * _ENVELOPES_A_DAY))
    written: dict[str, int] = progress["written"]
    settled = sum(min(marks.get(stream, 0), last) for stream, last in written.items())
    return settled / max(1, sum(written.values()))


def addresses(stage: Stage, console: Console, lang: str) -> None:
    """Prints the addresses of console and API, and the folder of files."""
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_row(say("demo.console", lang), f"[bold link={stage.center_url}]{stage.center_url}[/]")
    table.add_row(say("demo.api", lang), f"{stage.center_url}/api/v1/docs")
    table.add_row(say("demo.files", lang), str(stage.folder))
    console.print()
    console.print(table)
    console.print(f"\n[dim]{say('demo.stop_hint', lang)}[/]")


@contextmanager
def step_bars(console: Console, lang: str) -> Iterator[OnStep]:
    """A progress bar for each step of the comparison."""
    with bars(console, keep=True) as progress:
        tasks: dict[str, object] = {}

        def on_step(step: str, share: float) -> None:
            if step not in tasks:
                for task in tasks.values():
                    progress.update(task, completed=1.0)  # type: ignore[arg-type]
                tasks[step] = progress.add_task(say(f"demo.step.{step}", lang), total=1.0)
            progress.update(tasks[step], completed=share)  # type: ignore[arg-type]

        yield on_step
        for task in tasks.values():
            progress.update(task, completed=1.0)  # type: ignore[arg-type]


def table(report: Report, console: Console, lang: str) -> None:
    """Prints true and measured figures, machine by machine."""
    out = Table(header_style="bold")
    for key in ("machine", "figure", "truth", "measured", "tolerance"):
        out.add_column(say(f"demo.proof.{key}", lang), justify="left" if key in ("machine", "figure") else "right")
    for item in report.machines:
        _machine_rows(out, item, lang)
        out.add_section()
    console.print(out)
    console.print(say("demo.proof.delivery", lang, **report.delivery))
    if report.complaints:
        console.print(f"[bold red]{say('demo.proof.bad', lang)}[/]")
        for complaint in report.complaints:
            console.print(f"  {complaint}", markup=False)
    else:
        console.print(f"[bold green]{say('demo.proof.ok', lang)}[/]")
    if report.not_judged:
        console.print(say("demo.proof.not_judged", lang, machines=", ".join(report.not_judged)))


def _machine_rows(out: Table, item: Comparison, lang: str) -> None:
    truth, measured = item.truth, item.measured
    name = f"[red]{item.machine}[/]" if item.complaints else item.machine
    for state in STATES:
        if truth.ms[state] or measured.ms[state]:
            out.add_row(
                name,
                say(f"state.{state}", lang),
                duration(truth.ms[state], lang),
                duration(measured.ms[state], lang),
                f"± {item.tolerance_ms[state] / 1000:.1f} s",
            )
            name = ""
    for key in ("pieces", "good"):
        was, seen = getattr(truth, key), getattr(measured, key)
        shown = [_count(value, lang) for value in (was, seen)]
        out.add_row(name, say(f"demo.proof.{key}", lang), *shown, "± 0")
        name = ""
    for key in ("availability", "performance", "quality", "oee"):
        out.add_row(
            "",
            say(f"kpi.{key}", lang),
            *(_share(figures, key, lang) for figures in (truth, measured)),
            _oee_tolerance(item, lang) if key == "oee" else "",
        )


def _oee_tolerance(item: Comparison, lang: str) -> str:
    if item.tolerance_oee is None:
        return say("demo.proof.too_short", lang)
    return f"± {item.tolerance_oee * 100:.1f}"


def _count(value: int | None, lang: str) -> str:
    return "–" if value is None else number(value, lang, 0)


def _share(figures: Figures, key: str, lang: str) -> str:
    value = getattr(figures, key)
    return "–" if value is None else percent(value, lang)
