"""What was measured under a clock that nobody had confirmed comes out as if the clock had been right all along."""

import asyncio
import json

import pytest
from edge_plc import site_file
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.contract import Row
from agent.clock.clock import GatewayClock
from agent.clock.dating import Dating
from agent.clock.files import clock_path, confirm
from agent.clock.guard import S, TimeEvidence, Witness
from agent.clock.undated_rows import UndatedRows
from agent.compute.delta import carries
from agent.compute.pipeline import Pipeline
from agent.devices.freshness import Freshness
from agent.process.health import Health
from config import compile_site, load_profiles, load_site
from oee.model.facts import MINUTE_NS, NO_FACTS, add_up, row_keys
from oee.model.states import Quality

TRUE_BASE = 1_795_000_000 * S // MINUTE_NS * MINUTE_NS
BOOTED = 100 * S


class World:
    """A system whose clocks a test sets. The monotonic clock begins at the boot; the wall clock is off."""

    def __init__(self, wall_base, boot="boot-1"):
        self.mono, self.wall_base, self.name, self.confirmed = BOOTED, wall_base, boot, False

    def wall_ns(self):
        return self.wall_base + self.mono

    def mono_ns(self):
        return self.mono

    def boot(self):
        return self.name

    def ntp(self):
        utc = TRUE_BASE + self.mono
        return TimeEvidence(Witness.NTP, self.mono, utc, utc) if self.confirmed else None


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    site = load_site(site_file(tmp_path_factory.mktemp("site"), 9, 9))
    return compile_site(site, load_profiles())


class Gateway:
    """Clock, dating and pipeline without devices, disk and network; `parts` is what was committed."""

    def __init__(self, folder, machines, world, parts, carries=None):
        self.world, self.machines, self.parts = world, machines, parts
        self.carries = {} if carries is None else carries
        self.pipeline = Pipeline(machines, self.carries)
        self.clock = GatewayClock(outbox=folder / "outbox", system=world)
        self.health = Health()
        self.dating = Dating(self.clock, self.pipeline, machines, self.pipeline.feed_rows, folder / "held", self.health)
        self.freshness = Freshness({"plc": {"run": 1e9, "count": 1e9}})
        self.commits_left = None
        self.clock.check()
        self.dating.begin(self.freshness)

    def feed(self, run, count):
        now = self.clock.steady_ns()
        self.dating.feed([Row("plc.run", now, run, Quality.GOOD), Row("plc.count", now, count, Quality.GOOD)])

    def beat(self):
        self.clock.check()
        if self.clock.trusted and self.dating.buffering:
            asyncio.run(self.dating.release(self.commit, asyncio.Event()))
        self.dating.advance({"m-1": self.clock.steady_ns()})

    async def commit(self):
        if self.commits_left is not None:
            self.commits_left -= 1
            if self.commits_left < 0:
                raise KeyboardInterrupt  # switched off
        batch = self.pipeline.take()
        self.parts += batch
        self.carries |= carries(batch)
        return True


def sums(parts):
    facts = add_up([NO_FACTS, *(part.facts for part in parts)])
    return {key: tuple(row) for key, row in zip(row_keys(facts), facts.sums.tolist()) if any(row)}


def stops(parts):
    latest = {stop.id: stop for part in parts for stop in part.stops}
    return sorted((stop.start_ns, stop.end_ns, stop.state) for stop in latest.values() if stop.end_ns != stop.start_ns)


def play(gateway, script, commit_every, trust_at):
    count = 7
    for index, (seconds, run, more) in enumerate(script):
        if index == trust_at:
            gateway.world.confirmed = True
        gateway.feed(run, count)
        count += more if run else 0
        gateway.world.mono += seconds * S
        gateway.beat()
        if index % commit_every == 0:
            gateway.dating.flush()
            asyncio.run(gateway.commit())


def finish(gateway):
    gateway.world.confirmed = True
    gateway.world.mono += 120 * S
    gateway.beat()
    asyncio.run(gateway.commit())


scripts = st.lists(
    st.tuples(st.integers(1, 90), st.booleans(), st.integers(0, 20)),
    min_size=1,
    max_size=30,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([0, 946_684_800 * S, TRUE_BASE - 5 * 3600 * S, TRUE_BASE + 7 * 3600 * S]),
    scripts,
    st.integers(1, 6),
    st.integers(0, 35),
)
def test_undated_rows_become_the_facts_of_a_clock_that_was_always_right(
    tmp_path_factory, machines, wall_base, script, commit_every, trust_at
):
    right = World(TRUE_BASE)
    right.confirmed = True
    undisturbed = Gateway(tmp_path_factory.mktemp("right"), machines, right, [])
    play(undisturbed, script, commit_every, None)
    finish(undisturbed)
    world = World(wall_base)
    gateway = Gateway(tmp_path_factory.mktemp("wrong"), machines, world, [])
    play(gateway, script, commit_every, trust_at)
    if trust_at >= len(script):
        assert sums(gateway.parts) == {}  # nobody confirmed a time, so nothing was offered
    finish(gateway)
    assert sums(gateway.parts) == sums(undisturbed.parts)
    assert stops(gateway.parts) == stops(undisturbed.parts)
    assert not (gateway.dating.buffering or gateway.dating._path.exists())


SCRIPT = [(7, True, 3), (20, True, 9), (40, False, 0), (3, True, 1), (65, True, 30), (30, False, 0)] * 6


def undisturbed_sums(folder, machines, script=SCRIPT):
    world = World(TRUE_BASE)
    world.confirmed = True
    gateway = Gateway(folder, machines, world, [])
    play(gateway, script, 3, None)
    finish(gateway)
    return sums(gateway.parts)


@pytest.mark.parametrize("survived", range(5))
def test_a_kill_while_undated_rows_are_dated_costs_nothing(tmp_path, machines, survived, monkeypatch):
    """The next run goes on where the disk says, with the same dates."""
    monkeypatch.setattr("agent.clock.backfill._ROWS_AT_ONCE", 15)
    (tmp_path / "right").mkdir()
    expected = undisturbed_sums(tmp_path / "right", machines)
    world = World(0)
    gateway = Gateway(tmp_path, machines, world, [])
    play(gateway, SCRIPT, 1, None)
    world.confirmed, gateway.commits_left = True, survived
    with pytest.raises(KeyboardInterrupt):
        gateway.beat()
    again = Gateway(tmp_path, machines, world, gateway.parts, gateway.carries)
    again.beat()
    end = max(key[1] for key in expected)
    finish(again)
    told = sums(gateway.parts)
    whole = {key for key in expected if key[1] < end - 2 * MINUTE_NS}
    assert {key: told[key] for key in whole} == {key: expected[key] for key in whole}


def test_a_gateway_that_was_switched_off_without_a_clock_says_what_it_lost(tmp_path, machines):
    world = World(0)
    gateway = Gateway(tmp_path, machines, world, [])
    play(gateway, SCRIPT, 1, None)
    world.name, world.mono = "boot-2", BOOTED
    again = Gateway(tmp_path, machines, world, [])
    assert again.health.snapshot()["held_lost"] == 1
    play(again, SCRIPT[:6], 1, None)
    finish(again)
    first = min(key[1] for key in sums(again.parts))
    assert first >= TRUE_BASE + BOOTED - MINUTE_NS


def test_a_restart_in_the_same_boot_stays_trusted_and_another_boot_does_not(tmp_path, machines):
    world = World(0)
    gateway = Gateway(tmp_path, machines, world, [])
    world.confirmed = True
    finish(gateway)
    assert json.loads(clock_path(tmp_path / "outbox").read_text())["base_ns"] == TRUE_BASE
    world.confirmed, world.wall_base = False, -5
    assert GatewayClock(outbox=tmp_path / "outbox", system=world).now_ns() == TRUE_BASE + world.mono
    world.name = "boot-2"
    clock = GatewayClock(outbox=tmp_path / "outbox", system=world)
    assert not clock.trusted
    clock_path(tmp_path / "outbox").write_text("{nonsense")
    assert not GatewayClock(outbox=tmp_path / "outbox", system=world).trusted


def test_a_person_confirms(tmp_path):
    world = World(0)
    clock = GatewayClock(outbox=tmp_path / "outbox", system=world)
    clock.check()
    assert not clock.trusted
    confirm(tmp_path / "outbox", TRUE_BASE + world.mono, 30 * S, world)
    world.mono += 500 * S  # the agent hears of it late, or was not running
    clock.check()
    assert clock.report().by == "person"
    assert clock.now_ns() == TRUE_BASE + world.mono
    world.name = "boot-2"
    assert not GatewayClock(outbox=tmp_path / "outbox", system=world).trusted


def test_a_file_that_is_full_becomes_a_gap_and_the_latest_values(tmp_path):
    held = UndatedRows(tmp_path / "held", "boot-1", budget_bytes=400)
    for second in range(1, 200):
        held.add([Row("plc.count", second * S, second, Quality.GOOD)])
        held.write(second * S)
    assert held.full
    assert held.path.stat().st_size < 600
    rest = held.take_unwritten(500 * S)
    assert [(row.t_ns, row.value, row.quality) for row in rest] == [
        (held.until_ns, None, Quality.GAP),
        (500 * S, 199, Quality.GOOD),
    ]


def test_a_full_file_that_is_opened_again_ends_where_it_ended(tmp_path):
    held = UndatedRows(tmp_path / "held", "boot-1", budget_bytes=400)
    for second in range(1, 200):
        held.add([Row("plc.count", second * S, second, Quality.GOOD)])
        held.write(second * S)
    again = UndatedRows(tmp_path / "held", "boot-1", budget_bytes=400)
    again.add([Row("plc.count", 300 * S, 300, Quality.GOOD)])
    again.write(301 * S)
    assert [(row.t_ns, row.value) for row in again.take_unwritten(500 * S)] == [(held.until_ns, None), (500 * S, 300)]


@given(st.integers(0, 2000))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_torn_file_is_used_up_to_the_tear(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("torn") / "held"
    held = UndatedRows(path, "boot-1")
    for second in range(1, 10):
        held.add([Row("plc.count", second * S, second * 1000, Quality.GOOD)])
        held.write((second + 1) * S)
    data = path.read_bytes()
    path.write_bytes(data[: min(cut, len(data))])
    again = UndatedRows(path, "boot-1")
    values = [row.value for block in again.blocks() for row in block.rows]
    assert values == [second * 1000 for second in range(1, len(values) + 1)]
    assert len(values) == 9 or cut < len(data)
    again.add([Row("plc.count", 99 * S, 1, Quality.GOOD)])
    again.write(100 * S)
    assert [row.value for block in UndatedRows(path, "boot-1").blocks() for row in block.rows] == [*values, 1]


def test_sketch_tells_what_the_machine_does_while_nothing_is_offered(tmp_path, machines):
    world = World(0)
    gateway = Gateway(tmp_path, machines, world, [])
    play(gateway, [(5, True, 3), (5, True, 3)], 1, None)
    assert gateway.dating.live["m-1"].state.word == "running"
    assert gateway.pipeline.take() == []
    assert gateway.dating.undated_rows > 0
