"""What is planted in the demo's month is what advice finds in it, by the engine and the rules that every site has.

Slow: `pytest -m slow tests/demo/test_demo_advice.py`.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from ruamel.yaml import YAML

import config
from agent.feed.history_files import blocks, read_day
from config.templates.state_profiles import load_profiles
from oee.advice.beside import Beside
from oee.advice.catalogue import significant
from oee.advice.life import next_records, open_rules, since
from oee.advice.look import SHORT_WEEKS, look
from oee.advice.trust import too_fast
from oee.advice.window import DAY_NS, machine_minutes, machine_window, stop_columns
from oee.engine.step import start, step
from oee.model.facts import join
from simulator import demo, history
from simulator.plant import Plant

pytestmark = pytest.mark.slow
NOW = datetime(2026, 11, 30, 11, tzinfo=UTC)
DAYS = demo.HISTORY_DAYS
WEEK_NS = 7 * DAY_NS
PLANTED = {
    ("press-1", "changeover_tail", ("machine",)),
    ("cnc-1", "slow_start", ("shift_start",)),
    ("cnc-2", "cyclic_stop", ("state", "minor_stop")),
    ("inj-1", "startup_reject", ("shift_start",)),
    ("pack-1", "best_practice", ("shift", "B")),
    ("cnc-2", "speed_drift", ("machine",)),
}
"""Of each planted cause what it shows as."""
CONSEQUENCES = {
    ("inj-1", "slow_start", ("shift_start",)),
    ("pack-1", "best_practice", ("shift", "A")),
    ("press-1", "changeover_tail", ("102", "103")),
}
"""What rightly follows from them: rejects at starts are good pieces that are missing there,
where one of three shifts is slower the two others are better, and a pair of products whose changeovers have the tail too."""


@pytest.fixture(scope="module")
def pasts(tmp_path_factory):
    """By machine its compiled model, facts and stops; how each is described; and the last midnight."""
    folder = tmp_path_factory.mktemp("demo")
    factory = demo.factory(NOW, history_days=DAYS)
    end_ns = int(NOW.timestamp()) * 10**9
    begin = (NOW - timedelta(days=DAYS)).replace(minute=0)
    writer = history.Writer(Plant(factory), int(begin.timestamp()) * 10**9, folder)
    writer.write_until(end_ns)
    ports = {
        item.device: "127.0.0.1:1" if "opc" not in item.device else "opc.tcp://127.0.0.1:1" for item in factory.machines
    }
    with (folder / "site.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump(demo.site(ports, "mqtt://127.0.0.1:1", factory), file)
    site = config.load_site(folder / "site.yaml")
    machines = config.compile_site(site, load_profiles())
    facts, stops, states = {m: [] for m in machines}, {m: [] for m in machines}, {m: start() for m in machines}
    for path in sorted(folder.glob("day-*.npz")):
        for samples, until_ns in blocks(read_day(path), 0):
            for name, machine in machines.items():
                out = step(machine, states[name], samples, (), until_ns, until_ns)
                states[name] = out.state
                facts[name] += [out.facts] if len(out.facts) else []
                stops[name] += out.stops.rows()
    made = {name: (machines[name], join(facts[name]), stop_columns(stops[name])) for name in machines}
    zone = next(iter(machines.values())).calendar.zone
    midnight = NOW.astimezone(zone).replace(hour=0, minute=0)
    return made, config.describe(site)["machines"], int(midnight.timestamp()) * 10**9


def _window(pasts, minutes, name, end_ns, weeks):
    made, told, _ = pasts
    machine, facts, stops = made[name]
    begin_ns = max(int(facts.minute_ns.min()), end_ns - weeks * WEEK_NS)
    window = machine_window(name, machine.calendar, facts, stops, begin_ns, end_ns)
    window = replace(window, distrusted=too_fast(window.facts))
    if weeks != SHORT_WEEKS:
        return window
    minutes.append(machine_minutes(window))
    site = tuple(minutes) if name == [*made][-1] else ()
    return replace(window, beside=Beside(quality=told[name]["quality"], site=site))


def test_a_visitor_sees_what_was_planted(pasts):
    """By the nights that a center runs that begins with this history."""
    made, _, last_ns = pasts
    records = {name: [] for name in made}
    for night_ns in range(last_ns - 5 * WEEK_NS, last_ns + 1, WEEK_NS):
        minutes, seen = [], {}
        for name in made:
            make = partial(_window, pasts, minutes, name, night_ns)
            seen[name] = look(make, since(records[name]), open_findings=open_rules(records[name]))
        tests = [(name, item) for name, one in seen.items() for item in one.findings]
        kept = significant([(item.p, item.passes) for _, item in tests])
        for name, one in seen.items():
            mine = {item.identity for (whose, item), keep in zip(tests, kept, strict=True) if keep and whose == name}
            records[name] = next_records(records[name], one, mine)
    found = {
        (name, *item.finding.identity)
        for name, known in records.items()
        for item in known
        if item.stage == "open" and item.finding.rule != "no_reason"
    }
    assert len(found & PLANTED) >= 5
    assert found - PLANTED - CONSEQUENCES == set()
