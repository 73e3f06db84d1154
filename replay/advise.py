"""What to improve, from a recording: the center's nights, one a week, over what was recorded."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

import config
from oee.advice.beside import Beside, LineDays, MachineMinutes, compares, line_days
from oee.advice.catalogue import significant
from oee.advice.life import FindingRecord, next_records, open_rules, since
from oee.advice.look import SHORT_WEEKS, MachineLook, look
from oee.advice.trust import Trust, too_fast
from oee.advice.window import DAY_NS, MachineWindow, machine_minutes, machine_window, stop_columns, with_cycles
from oee.model.calendars import to_ns
from oee.model.cycle_bins import join_bins
from oee.model.facts import NO_FACTS, Facts, join, select
from oee.model.machine import Machine
from replay.drive import ReplayResult
from replay.past import RecordedPast

_NIGHTS: Final = 9
_LEAST_NS: Final = 21 * DAY_NS
_WEEK_NS: Final = 7 * DAY_NS


@dataclass(frozen=True)
class MachineAdvice:
    """Of one machine after the last night. trust: None where nothing was recorded up to a midnight."""

    machine: str
    records: tuple[FindingRecord, ...]
    trust: Trust | None


def advise(result: ReplayResult, past: RecordedPast) -> tuple[int | None, list[MachineAdvice]]:
    """The last midnight of the recording [ns UTC], and what is said of each machine then: the same as a center that looked
    once a week would. None without a whole day.
    """
    window = result.window
    if window is None:
        return None, []
    zone = ZoneInfo(result.site.timezone)
    last = datetime.fromtimestamp(window.end_ns / 1e9, UTC).astimezone(zone)
    end_ns = to_ns(last.replace(hour=0, minute=0, second=0, microsecond=0))
    if end_ns - window.start_ns < DAY_NS:
        return None, []
    nights = [end_ns - k * _WEEK_NS for k in range(_NIGHTS)]
    nights = [night for night in nights if night - window.start_ns >= _LEAST_NS][::-1] or [end_ns]
    facts = {name: join(parts) if parts else NO_FACTS for name, parts in past.facts.items()}
    records: dict[str, list[FindingRecord]] = {name: [] for name in result.machines}
    seen: dict[str, MachineLook] = {}
    for night_ns in nights:
        beside = _NightBeside(result, facts)
        for name, machine in result.machines.items():
            make = partial(_window, machine, facts.get(name, NO_FACTS), past, window.start_ns, night_ns, beside)
            seen[name] = look(make, since(records[name]), open_findings=open_rules(records[name]))
        looked = [(name, item) for name, one in seen.items() for item in one.findings]
        kept = significant([(item.rule, item.p, item.passes) for _, item in looked])
        for name, one in seen.items():
            mine = {item.identity for (whose, item), keep in zip(looked, kept, strict=True) if keep and whose == name}
            records[name] = next_records(records[name], one, mine)
    return end_ns, [MachineAdvice(name, tuple(records[name]), seen[name].trust) for name in result.machines]


class _NightBeside:
    """What lies beside the machines of one night; the last machine speaks for the site. Power is not recorded."""

    def __init__(self, result: ReplayResult, facts: Mapping[str, Facts]) -> None:
        self._site, self._facts = config.describe(result.site), facts
        self._zone, self._last = ZoneInfo(result.site.timezone), [*result.machines][-1]
        self._minutes: list[MachineMinutes] = []

    def of(self, window: MachineWindow) -> Beside:
        self._minutes.append(machine_minutes(window))
        machines = self._site["machines"]
        site = tuple(self._minutes) if window.machine == self._last else ()
        return Beside(quality=machines[window.machine]["quality"], line=self._line(window), site=site)

    def _line(self, window: MachineWindow) -> LineDays | None:
        machines = self._site["machines"]
        name = machines[window.machine]["line"]
        line = self._site["lines"].get(name)
        stations = tuple(line["stations"]) if line and line["flow"] == "serial" else ()
        if window.machine not in stations or not compares(machines[station]["states"] for station in stations):
            return None
        facts = join([self._facts[station] for station in stations if station in self._facts])
        inside = select(facts, (facts.minute_ns >= window.start_ns) & (facts.minute_ns < window.end_ns))
        return line_days(name, stations, line["constraint"], inside, self._zone)


def _window(
    machine: Machine,
    facts: Facts,
    past: RecordedPast,
    first_ns: int,
    end_ns: int,
    beside: _NightBeside,
    weeks: int,
) -> MachineWindow:
    start_ns = max(first_ns, end_ns - weeks * _WEEK_NS)
    stops = stop_columns(past.stops.get(machine.id, ()))
    guessed = {
        key for key, product in machine.products.items() if not product.ideals or product.ideals[-1].source == "guess"
    }
    made = machine_window(machine.id, machine.calendar, facts, stops, start_ns, end_ns, unverified=frozenset(guessed))
    made = replace(made, distrusted=too_fast(made.facts))
    if machine.id in past.cycles:
        made = with_cycles(made, join_bins(past.cycles[machine.id]))
    return replace(made, beside=beside.of(made)) if weeks == SHORT_WEEKS else made
