"""What lies beside a machine's rows, for the rules of advice: its signals, its line, its site, its power, from the store."""

from collections.abc import Callable
from typing import Final

import numpy as np
from sqlalchemy import Engine

from center.contract.store import KeepsValues, Query, ValueQuery
from center.database.counter_steps import oddities
from center.model.site_revisions import Revision
from center.model.sites import retired_since
from center.runtime.state import CenterState
from oee.advice.beside import Beside, LineDays, MachineMinutes, aligned, compares, line_days, mean_by_minute
from oee.advice.grid import Float64
from oee.advice.window import DAY_NS, MachineWindow, machine_minutes
from oee.model.facts import MINUTE_NS
from oee.model.states import Quality

POWER_UNITS: Final = {"kW": 1.0, "W": 0.001}
_PART_NS: Final = 7 * DAY_NS
_MOST_ROWS: Final = 700_000
"""Of a week's power values: one a second."""
_LOOK_BACK_NS: Final = 25 * 3600 * 10**9


class NightBeside:
    """Everything that lies beside the machines of one night. Sites are gathered while their machines are looked at; the last
    machine of each speaks for it.
    """

    def __init__(self, center: CenterState, engine: Engine | None = None) -> None:
        """engine: the database of findings, which keeps what counters did; without it nothing is known of that."""
        self._center, self._engine = center, engine
        self._minutes: dict[str, dict[str, MachineMinutes]] = {}

    def of(
        self, site: str, revision: Revision, window: MachineWindow, whole: Callable[[str], MachineWindow | None]
    ) -> Beside:
        """Of one machine's window. whole: the same window of another machine of the site, None if it has none. Raises
        `StoreUnavailable`.
        """
        described = revision.body.machines[window.machine]
        return Beside(
            quality=described.quality,
            power_kw=power_kw(self._center, site, revision, window.machine, window.start_ns, window.end_ns),
            tariff_per_kwh=revision.body.tariff_per_kwh,
            line=self._line(site, revision, window),
            site=self._site(site, window, whole),
            oddities=self._oddities(site, window),
        )

    def _oddities(self, site: str, window: MachineWindow) -> tuple[tuple[str, int, int], ...]:
        if self._engine is None:
            return ()
        return oddities(self._engine, site, window.machine, window.start_ns, window.end_ns)

    def _line(self, site: str, revision: Revision, window: MachineWindow) -> LineDays | None:
        name = revision.body.machines[window.machine].line
        line = revision.body.lines.get(name)
        if line is None or line.flow != "serial" or window.machine not in line.stations:
            return None
        sites = self._center.ledger_cache.sites
        bodies = {station: sites.body_of(site, station) for station in line.stations}
        shown = [body.machines[station].states if body else [] for station, body in bodies.items()]
        if not compares(shown):
            return None
        query = Query(
            site,
            window.start_ns,
            window.end_ns,
            revision.zone.key,
            tuple(line.stations),
            bucket="hour",
            by=("machine", "calendar"),
        )
        return line_days(name, tuple(line.stations), line.constraint, self._center.store.facts(query), revision.zone)

    def _site(
        self, site: str, window: MachineWindow, whole: Callable[[str], MachineWindow | None]
    ) -> tuple[MachineMinutes, ...]:
        known = self._minutes.setdefault(site, {})
        known[window.machine] = machine_minutes(window)
        sites = self._center.ledger_cache.sites
        machines = [item for item in sites.machines(site) if retired_since(sites, site, item) is None]
        if not machines or window.machine != machines[-1]:
            return ()
        for name in machines:
            if name not in known and (other := whole(name)) is not None:
                known[name] = machine_minutes(other)  # looked at before the night was interrupted
        del self._minutes[site]
        return tuple(aligned(known[name], len(window.stretch)) for name in machines if name in known)


def power_kw(
    center: CenterState, site: str, revision: Revision, machine: str, start_ns: int, end_ns: int
) -> Float64 | None:
    """Power by minute of the one value in kW or W that belongs to this machine alone, float64[minutes], not a number where it is
    unknown; None with no such value, or several. Raises `StoreUnavailable`.
    """
    values, store = revision.body.values, center.store
    own = [tag for tag, item in values.items() if item.unit in POWER_UNITS and item.machines == [machine]]
    if len(own) != 1 or not isinstance(store, KeepsValues):
        return None
    parts = []
    for begin_ns in range(start_ns, end_ns, _PART_NS):
        until_ns = min(begin_ns + _PART_NS, end_ns)
        found = store.values(ValueQuery(site, own, begin_ns, until_ns, _LOOK_BACK_NS, _MOST_ROWS))
        rows = next((rows for rows in found.values() if len(rows)), None)
        minutes = (until_ns - begin_ns) // MINUTE_NS
        if rows is None:
            parts.append(np.full(minutes, np.nan))
            continue
        sound = np.where(rows.quality == Quality.GOOD, rows.number, np.nan)
        parts.append(mean_by_minute(rows.t_ns, sound, begin_ns, minutes))
    power: Float64 = np.concatenate([*parts, np.zeros(0)]) * POWER_UNITS[values[own[0]].unit]
    return power if np.isfinite(power).any() else None
