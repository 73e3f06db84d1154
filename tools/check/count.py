"""`nhip check --count`: one machine for a while, counted with the agent's computation and by a person."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from adapters.contract import Reading
from adapters.kinds import open_all
from agent.devices.freshness import Freshness
from agent.devices.supervisor import Supervisor
from cli.terminal import OnProgress, asked, notice, progress
from config.devices.kinds import stale_after_s
from config.site.model import Site
from oee.model.facts import Stop
from oee.model.machine import Machine
from oee.model.states import Quality
from tools.check.machine_now import WindowResult, compute, longer_than, window
from words import duration, number, say

BASELINE_S = 30.0
"""How long to wait for a first value of every tag of the machine [s]."""
TICK_S = 1.0


@dataclass(frozen=True)
class HandCount:
    """Counted by a person: pieces (rejects included) and stops; None: not counted."""

    pieces: int | None = None
    stops: int | None = None


@dataclass(frozen=True)
class CountSetup:
    """for_s: how long to count [s]; shortest_stop_s: the shortest stop that a person with a watch counts [s]; hand: the
    person's count, None to ask for it."""

    machine: str
    for_s: float
    shortest_stop_s: float
    hand: HandCount | None


@dataclass(frozen=True)
class CountComparison:
    """Both counts, and whether they agree: a person may be off by one piece or 1 %, and by one stop."""

    machine: str
    from_ns: int
    until_ns: int
    result: WindowResult
    stops: tuple[Stop, ...]
    hand: HandCount

    @property
    def pieces_agree(self) -> bool:
        """Whether the pieces agree within one piece or 1 %."""
        pieces = self.hand.pieces
        return pieces is None or abs(pieces - self.result.pieces) <= max(1, round(0.01 * pieces))

    @property
    def stops_agree(self) -> bool:
        """Whether the stops agree within one."""
        return self.hand.stops is None or abs(self.hand.stops - len(self.stops)) <= 1

    @property
    def agree(self) -> bool:
        """Whether pieces and stops agree."""
        return self.pieces_agree and self.stops_agree

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "machine": self.machine, "from": _iso(self.from_ns), "to": _iso(self.until_ns),
            "pieces": {"counted": self.result.pieces, "tally": self.hand.pieces, "ok": self.pieces_agree},
            "stops": {"counted": len(self.stops), "tally": self.hand.stops, "ok": self.stops_agree},
            "unknown_s": self.result.unknown_s,
            "stop_list": [
                {"start": _iso(stop.start_ns), "end": _iso(stop.end_ns) if stop.end_ns else None,
                 "state": stop.state.word, "reason": stop.reason}
                for stop in self.stops
            ],
            "ok": self.agree,
        }  # fmt: skip


class NoBaseline(Exception):
    """Some tags of the machine were never read. tags: which."""

    def __init__(self, tags: list[str]) -> None:
        super().__init__(", ".join(tags))
        self.tags = tags


def parse_hand_count(text: str) -> HandCount:
    """`pieces=412,stops=3`, either may be missing. ValueError names what is wrong."""
    given: dict[str, int] = {}
    for part in text.split(","):
        key, _, value = part.strip().partition("=")
        if key not in {"pieces", "stops"} or not value.strip().isdecimal():
            raise ValueError(f"{part.strip()!r} is no tally; write pieces=412,stops=3")
        given[key] = int(value)
    return HandCount(**given)


class _Recorder:
    """Keeps in memory the rows that the agent would process."""

    def __init__(self, site: Site, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._fresh = Freshness({name: stale_after_s(device) for name, device in site.devices.items()})
        self.rows: dict[str, list[tuple[int, Any, Quality]]] = {}
        self._keep(self._fresh.start(now_ns()))

    def on_reading(self, device: str, reading: Reading) -> None:
        """Called by the supervisor."""
        self._keep(self._fresh.fed(device, reading))

    def tick(self) -> None:
        """Marks tags that have become stale."""
        self._keep(self._fresh.tick(self._now_ns()))

    def watermark_ns(self, machine: Machine) -> int:
        """The time up to which all tags of a machine are known [ns UTC]."""
        return self._fresh.watermark_ns(machine.tags(), self._now_ns())

    def missing(self, machine: Machine) -> list[str]:
        """Its tags that have no value yet."""
        good = {tag for tag, rows in self.rows.items() if rows[-1][2] <= Quality.UNCERTAIN}
        return sorted(machine.tags() - good)

    def _keep(self, rows: Any) -> None:
        for row in rows:
            self.rows.setdefault(row.tag, []).append((row.t_ns, row.value, row.quality))


async def count(
    site: Site, machine: Machine, files: Path, setup: CountSetup, now_ns: Callable[[], int], lang: str
) -> CountComparison:
    """Counts for `setup.for_s`, then asks the person for their count. Cancelled, it returns what was counted until then,
    without the person's count. Raises `NoBaseline`."""
    devices = {name: site.devices[name] for name in {tag.partition(".")[0] for tag in machine.tags()}}
    recorder = _Recorder(site.model_copy(update={"devices": devices}), now_ns)
    supervisor = Supervisor(open_all(devices, now_ns, files), recorder.on_reading)
    task = asyncio.create_task(supervisor.run())
    cancelled = False
    try:
        await _baseline(recorder, machine)
        if setup.hand is None:
            await asked(partial(_wait, say("count.begin", lang, machine=machine.id)))
        from_ns = now_ns()
        try:
            with progress(quiet=False) as on_progress:
                await _until(recorder, machine, from_ns, setup, on_progress, now_ns, lang)
        except asyncio.CancelledError:
            cancelled = True
        until_ns = recorder.watermark_ns(machine)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    result = compute(machine, window(recorder.rows, from_ns, until_ns), until_ns)
    stops = tuple(longer_than(result.stops, setup.shortest_stop_s, until_ns))
    hand = HandCount() if cancelled else setup.hand
    if hand is None:
        try:
            hand = await asked(partial(_ask, setup, lang))
        except asyncio.CancelledError:
            hand = HandCount()
    return CountComparison(machine.id, from_ns, until_ns, result, stops, hand)


async def _baseline(recorder: _Recorder, machine: Machine) -> None:
    try:
        async with asyncio.timeout(BASELINE_S):
            while recorder.missing(machine):  # noqa: ASYNC110  # rows come from several tasks, any may be the last
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise NoBaseline(recorder.missing(machine)) from None


async def _until(
    recorder: _Recorder,
    machine: Machine,
    from_ns: int,
    setup: CountSetup,
    on_progress: OnProgress,
    now_ns: Callable[[], int],
    lang: str,
) -> None:
    """Waits for the end, showing the counts so far."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + setup.for_s
    while (left_s := end_s - loop.time()) > 0:
        await asyncio.sleep(min(TICK_S, left_s))
        recorder.tick()
        until_ns = recorder.watermark_ns(machine)
        result = compute(machine, window(recorder.rows, from_ns, until_ns), until_ns)
        state = say(f"state.{result.live.state.word}", lang) if result.live else ""
        text = say("count.so_far", lang, pieces=number(result.pieces, lang), state=state)
        on_progress(text, (now_ns() - from_ns) / 1e9, setup.for_s)


def _wait(text: str) -> None:
    click.prompt(text, default="", show_default=False, prompt_suffix=" ", err=True)


def _ask(setup: CountSetup, lang: str) -> HandCount:
    pieces = click.prompt(say("count.ask_pieces", lang), type=click.IntRange(min=0), err=True)
    stops = click.prompt(say("count.ask_stops", lang, seconds=f"{setup.shortest_stop_s:g}"),
                         type=click.IntRange(min=0), err=True)  # fmt: skip
    return HandCount(pieces, stops)


def show(comparison: CountComparison, zone: ZoneInfo, lang: str) -> None:
    """Prints both counts side by side and the stops."""
    click.echo(say("count.title", lang, machine=comparison.machine,
                   length=duration((comparison.until_ns - comparison.from_ns) / 1e6, lang)))  # fmt: skip
    for key, counted, by_person, fine in (
        ("pieces", comparison.result.pieces, comparison.hand.pieces, comparison.pieces_agree),
        ("stops", len(comparison.stops), comparison.hand.stops, comparison.stops_agree),
    ):
        verdict = say("count.no_tally" if by_person is None else "count.agree" if fine else "count.differ", lang)
        click.echo("  " + say(f"count.line.{key}", lang, counted=number(counted, lang), tally=number(by_person, lang),
                              verdict=verdict))  # fmt: skip
    for stop in comparison.stops:
        length_ms = ((stop.end_ns or comparison.until_ns) - stop.start_ns) / 1e6
        start = datetime.fromtimestamp(stop.start_ns / 1e9, zone)
        click.echo(f"    {start:%H:%M:%S}  {duration(length_ms, lang)}  {say(f'state.{stop.state.word}', lang)}")
    if comparison.result.unknown_s >= 1:
        click.echo("  " + say("count.unknown", lang, length=duration(comparison.result.unknown_s * 1000, lang)))
    if not comparison.agree:
        notice(say("count.look", lang))


def _iso(t_ns: int) -> str:
    return datetime.fromtimestamp(t_ns / 1e9, UTC).isoformat(timespec="milliseconds")
