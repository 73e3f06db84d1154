"""A center with weeks of history of machines whose causes are known (`histories`), on either store."""

import json
import shutil
import tempfile
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import numpy as np
from histories import CALENDAR, DAY_NS, IDEAL_S, START_NS, ZONE, history

from center.contract.ledger import Changes
from center.contract.store import Origin, RowBatch
from center.database.sql import open_database
from center.ledger.sql import SqlLedger
from center.model.sites import Owner, SiteRow
from center.runtime.state import center_state
from center.stores.duckdb import store as duckdb
from center.stores.influxdb import store as influxdb
from oee.model.facts import NO_LOSSES, Facts, Stop, select, text_column
from oee.model.states import State

SITE = "van-long"
STREAM = "00000000000000aa"


def site_body(names, /, **more):
    shifts = [
        {
            "name": shift.name,
            "weekdays": sorted(shift.weekdays),
            "start_s": shift.start_s,
            "end_s": shift.end_s,
            "breaks": [list(pause) for pause in shift.breaks],
        }
        for shift in CALENDAR.shifts
    ]
    return {
        "config_hash": "c0ffee",
        "valid_from_ns": START_NS,
        "name": {"vi": "Nhựa Vân Long", "en": "Van Long Plastics"},
        "timezone": ZONE.key,
        "machines": {name: {"name": {"vi": f"Máy {name}", "en": name}, "line": "stamping"} for name in names},
        "products": {
            name: {"name": {"vi": f"Nắp {name}", "en": f"Cap {name}"}, "ideal_s": ideal, "source": "timed"}
            for name, ideal in IDEAL_S.items()
        },
        "calendars": {"": {"shifts": shifts}},
    } | more


@lru_cache(4)
def rows_of(machine, plan, seed) -> tuple[Facts, list[Stop]]:
    """All facts and stops of a history, under this machine's name, with a row number within each minute."""
    window = history(plan, seed)
    facts = window.facts
    order = np.lexsort((facts.product, facts.minute_ns))
    facts = select(facts, order)
    n = np.zeros(len(facts), np.int64)
    n[1:] = facts.minute_ns[1:] == facts.minute_ns[:-1]
    stops = window.stops
    columns = zip(*(getattr(stops, name).tolist() for name in type(stops).__dataclass_fields__), strict=True)
    rows = [
        Stop(machine, number, start, end, State(state), reason, by, product, to, 1)
        for number, start, end, state, reason, by, product, to in columns
    ]
    return replace(facts, machine=text_column(machine, len(facts)), n=n), rows


def fill(center, plans, site=SITE, **body):
    """plans: {machine: (plan, seed)}."""
    batches = []
    for machine, (plan, seed) in plans.items():
        facts, stops = rows_of(machine, plan, seed)
        for week in range(plan.weeks):
            low, high = START_NS + week * 7 * DAY_NS, START_NS + (week + 1) * 7 * DAY_NS
            part = select(facts, (facts.minute_ns >= low) & (facts.minute_ns < high))
            inside = [stop for stop in stops if low <= stop.start_ns < high]
            batches.append(RowBatch(Origin(site, "main", STREAM), week + 1, part, NO_LOSSES, inside))
    center.commit(batches, Changes())
    content = json.dumps(site_body(plans, **body))
    changes = Changes(
        sites=[SiteRow(site, "main", "c0ffee", START_NS, content)],
        owners=[Owner(site, machine, "main", START_NS) for machine in plans],
    )
    center.commit([], changes)
    center.ledger_cache.adopt(changes)


def opened(kind, folder, now_ns):
    """An empty center at this time, on this store. `influxdb` skips where there is no server."""
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "duckdb":
        return center_state(duckdb.open_store({"file": str(folder / "facts.duckdb")}), now_ns=lambda: now_ns)
    from influx_plant import influx_settings

    ledger = SqlLedger(open_database(f"sqlite:///{folder}/books.sqlite"))
    return center_state(influxdb.open_store(influx_settings(folder)), ledger, now_ns=lambda: now_ns)


_MADE = tempfile.TemporaryDirectory()
"""A file of DuckDB for each history that this process has asked for."""


def filled(kind, folder, now_ns, plans, site=SITE, **body):
    """The same with histories. Those of DuckDB are written once in a process and copied from then on."""
    if kind != "duckdb":
        center = opened(kind, folder, now_ns)
        fill(center, plans, site, **body)
        return center
    made = Path(_MADE.name) / sha256(repr((plans, site, body)).encode()).hexdigest()
    if not made.exists():
        center = opened("duckdb", made.with_suffix(".part"), now_ns)
        fill(center, plans, site, **body)
        center.store.close()
        made.with_suffix(".part").rename(made)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(made / "facts.duckdb", folder)
    return opened("duckdb", folder, now_ns)
