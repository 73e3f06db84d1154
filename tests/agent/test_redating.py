"""A time that somebody confirmed turns out to be wrong: everything that was dated with it moves, by differences."""

import asyncio

import pytest
from edge_plc import site_file
from test_dating import TRUE_BASE, World

from adapters.contract import Reading, Row
from agent.clock.files import confirm, undated_path
from agent.clock.guard import S
from agent.outbox.outbox import Outbox
from agent.outbox.recovery import Opened
from agent.run import Agent, Options
from config import load_site
from oee.engine.correction import Sent, with_rows
from oee.engine.state import load
from oee.model.facts import MINUTE_NS
from oee.model.states import Quality
from wire.bodies import read_facts_body
from wire.envelope import decode_content, open_envelope
from wire.site import SiteBody

HOUR = 3600 * S


class Gateway:
    """A whole agent without devices and network: readings come second by second, as a test says."""

    def __init__(self, folder, world):
        folder.mkdir(exist_ok=True)
        text = site_file(folder, 9, 9, clock="guarded").read_text(encoding="utf-8")
        (folder / "site.yaml").write_text(text.replace("stale_after: 1s", "stale_after: 30s"), encoding="utf-8")
        self.world, self.outbox = world, Outbox(folder / "outbox")
        self.agent = Agent(load_site(folder / "site.yaml"), Opened(self.outbox), Options(system=world), folder)
        self.second = 0

    async def begin(self):
        agent = self.agent
        agent.clock.check()
        await agent.redating.run(asyncio.Event())
        if agent.clock.trusted:
            agent.announce_site(agent.clock.now_ns())
        agent.dating.begin(agent.freshness)

    async def go(self, seconds, beat=True):
        """Runs two minutes of three, a piece a second."""
        for _ in range(seconds):
            self.second += 1
            now_ns, run = self.agent.clock.steady_ns(), self.second % 180 < 120
            count = self.second // 180 * 120 + min(self.second % 180, 120)
            rows = [Row("run", now_ns, run, Quality.GOOD), Row("count", now_ns, count % 65536, Quality.GOOD)]
            self.agent.feed.on_reading("plc", Reading(now_ns, rows, ("run", "count")))
            self.world.mono += S
            if self.second % 5 == 0 and beat:
                await self.agent.feed.tick()
            if self.second % 100 == 0 and beat:
                await self.agent.commit()

    async def end(self):
        await self.agent.feed.tick(last=True)
        await self.agent.commit(final=True)
        await self.agent.committer.thread.close()

    def bodies(self, kind):
        with_kind = "select data from envelopes e join streams s on s.no = e.stream where kind = ? order by id"
        rows = self.outbox.within(lambda db: db.execute(with_kind, (kind,)).fetchall())
        return [decode_content(open_envelope(data)) for (data,) in rows]

    def told(self):
        """What the center comes to: sums that are not zero, and stops that stand; no row number is used twice."""
        numbers, sent = set(), Sent()
        for body in self.bodies("facts"):
            facts, losses, stops = read_facts_body(body)
            for minute, n in zip(facts.minute_ns.tolist(), facts.n.tolist(), strict=True):
                assert (minute, n) not in numbers
                numbers.add((minute, n))
            sent = with_rows(sent, [facts], [losses], stops)
        return (
            {key: tuple(row.tolist()) for key, row in sent.facts.sums.items()},
            {key: tuple(row.tolist()) for key, row in sent.losses.sums.items()},
            sorted((stop.start_ns, stop.end_ns) for stop in sent.stops.values() if stop.end_ns != stop.start_ns),
        )


async def undisturbed(folder, seconds):
    world = World(TRUE_BASE)
    world.confirmed = True
    gateway = Gateway(folder, world)
    await gateway.begin()
    await gateway.go(seconds)
    await gateway.agent.feed.tick(last=True)
    await gateway.agent.commit(final=True)
    told = gateway.told()
    await gateway.end()
    return told


@pytest.mark.parametrize("held_s", [0, 7, 333])
@pytest.mark.parametrize(
    "off_ns", [5 * HOUR, -5 * HOUR, 400 * 24 * HOUR, 7 * 60 * S + 123_000_000], ids=["ahead", "behind", "a year", "odd"]
)
async def test_what_was_offered_under_a_wrong_date_moves_to_the_true_one(tmp_path, off_ns, held_s):
    expected = await undisturbed(tmp_path / "right", 3000)
    world = World(0)
    gateway = Gateway(tmp_path / "wrong", world)
    await gateway.begin()
    await gateway.go(held_s)
    confirm(gateway.outbox.path, TRUE_BASE + off_ns + world.mono, 30 * S, world)  # a person misreads the calendar
    await gateway.go(900)
    await gateway.agent.commit(final=True)  # a checkpoint, and a stretch of its own in the journal
    await gateway.go(1100 - held_s)
    wrong = gateway.told()
    assert wrong[0].keys() & expected[0].keys() == set() or off_ns < HOUR
    world.confirmed = True  # NTP comes, and a minute later it is believed
    await gateway.go(1000)
    await gateway.agent.feed.tick(last=True)
    await gateway.agent.commit(final=True)
    assert gateway.agent.health.snapshot()["machines_dated_anew"] == 1
    assert gateway.agent.clock.report().moves == 1
    told = gateway.told()
    assert told == expected
    valid_from = min(SiteBody.model_validate(body).valid_from_ns for body in gateway.bodies("site"))
    assert valid_from <= min(key[1] for key in expected[0]) + MINUTE_NS
    await gateway.end()


async def test_killed_between_the_new_time_and_the_correction(tmp_path, monkeypatch):
    """The outbox knows what is still to be done."""
    expected = await undisturbed(tmp_path / "right", 1800)
    world = World(0)
    gateway = Gateway(tmp_path / "wrong", world)
    confirm(gateway.outbox.path, TRUE_BASE + 5 * HOUR + world.mono, 30 * S, world)
    await gateway.begin()
    await gateway.go(1900)
    await gateway.agent.feed.tick(last=True)
    await gateway.agent.commit(final=True)
    world.confirmed = True

    async def killed(_name, _text, *, last):
        raise KeyboardInterrupt

    monkeypatch.setattr(gateway.agent.redating, "_redate", killed)
    with pytest.raises(KeyboardInterrupt):
        await gateway.go(100)
    gateway.outbox.close()
    again = Gateway(tmp_path / "wrong", world)
    await again.begin()
    assert again.agent.clock.correction_ns == 0
    await again.end()
    told = again_told(tmp_path / "wrong" / "outbox")
    last = max(key[1] for key in expected[0])
    assert {key: row for key, row in told.items() if key[1] < last} == {
        key: row for key, row in expected[0].items() if key[1] < last
    }


async def test_killed_before_the_new_time_is_kept_nothing_moves_twice(tmp_path, monkeypatch):
    expected = (await undisturbed(tmp_path / "right", 2400))[0]
    world = World(0)
    gateway = Gateway(tmp_path / "wrong", world)
    await gateway.begin()
    confirm(gateway.outbox.path, TRUE_BASE - 5 * HOUR + world.mono, 30 * S, world)
    await gateway.go(1200)
    await gateway.agent.feed.tick(last=True)
    await gateway.agent.commit(final=True)
    world.confirmed = True
    redating = gateway.agent.redating
    ask = redating.request

    async def killed(step, clock):
        await ask(step, clock)
        raise KeyboardInterrupt

    monkeypatch.setattr(redating, "request", killed)
    with pytest.raises(KeyboardInterrupt):
        await gateway.go(400)
    gateway.outbox.close()
    again = Gateway(tmp_path / "wrong", world)
    again.second = gateway.second
    await again.begin()
    await again.go(2400 - again.second)
    await again.end()
    told = again_told(tmp_path / "wrong" / "outbox")
    assert told.keys() <= expected.keys()
    committed_ns = TRUE_BASE + 1100 * S
    assert {key: row for key, row in told.items() if key[1] < committed_ns} == {
        key: row for key, row in expected.items() if key[1] < committed_ns
    }


def again_told(path):
    gateway = Gateway.__new__(Gateway)
    gateway.outbox = Outbox(path)
    told = gateway.told()[0]
    gateway.outbox.close()
    return told


async def test_of_what_was_held_nothing_is_left_to_memory(tmp_path):
    """A large state is written rarely; but the held rows that led to it are gone."""
    world = World(0)
    gateway = Gateway(tmp_path / "held", world)
    await gateway.begin()
    await gateway.go(20, beat=False)
    await gateway.agent.feed.tick()
    await gateway.agent.commit()
    gateway.agent.committer.deltas.large, gateway.agent.committer.deltas.gathered_ns = {"m-1"}, TRUE_BASE
    world.confirmed = True
    await gateway.agent.feed.tick(last=True)
    assert not undated_path(gateway.outbox.path).exists()
    gateway.outbox.close()
    again = Outbox(gateway.outbox.path)
    until_ns = {name: load(data).until_ns for name, data in again.carries().items()}
    again.close()
    assert until_ns["m-1"] >= TRUE_BASE + 110 * S


async def test_a_machine_that_stood_still_with_its_clock_leaves_a_gap(tmp_path):
    """A virtual machine that was paused: NTP agreed before, and is ahead afterwards."""
    world = World(TRUE_BASE)
    world.confirmed = True
    gateway = Gateway(tmp_path / "vm", world)
    await gateway.begin()
    await gateway.go(600)
    before = gateway.told()[0]
    paused = World.ntp

    def later(self):
        evidence = paused(self)
        return type(evidence)(evidence.by, evidence.mono_ns, evidence.earliest_ns + HOUR, evidence.latest_ns + HOUR)

    world.ntp = later.__get__(world)
    await gateway.go(600)
    await gateway.agent.feed.tick(last=True)
    await gateway.agent.commit(final=True)
    after = gateway.told()[0]
    assert gateway.agent.clock.dated_from_ns > TRUE_BASE + HOUR + 600 * S, "what lies before keeps its dates"
    assert all(sum(after[key][:9]) == sum(row[:9]) for key, row in before.items())
    assert "machines_dated_anew" not in gateway.agent.health.snapshot()
    assert gateway.agent.clock.now_ns() == TRUE_BASE + HOUR + world.mono
    per_minute = {}
    for key, row in after.items():
        per_minute[key[1]] = per_minute.get(key[1], 0) + sum(row[:9])
    assert max(per_minute.values()) <= 60_000
    await gateway.end()


async def test_a_machine_that_began_under_the_wrong_date_begins_under_the_true_one(tmp_path):
    """Committed at once, so that a checkpoint stands at its very beginning; times are no whole milliseconds."""
    told = {}
    for name, off_ns in (("right", None), ("behind", -5 * HOUR), ("ahead", 5 * HOUR)):
        world = World(TRUE_BASE if off_ns is None else 0)
        world.mono += 888_400_123
        world.confirmed = off_ns is None
        gateway = Gateway(tmp_path / name, world)
        await gateway.begin()
        world.mono += 59_251_191
        if off_ns is not None:
            confirm(gateway.outbox.path, TRUE_BASE + off_ns + world.mono, 30 * S, world)
        for _ in range(6):
            await gateway.go(1)
            await gateway.agent.feed.tick()
            await gateway.agent.commit(final=True)
        await gateway.go(294)
        world.confirmed = True
        await gateway.go(300)
        await gateway.agent.feed.tick(last=True)
        await gateway.agent.commit(final=True)
        told[name] = gateway.told()
        await gateway.end()
    assert told["right"] == told["behind"] == told["ahead"]
