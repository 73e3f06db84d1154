"""Corrections in the agent: a real outbox file, rows as devices bring them, edits at any time; afterwards the envelopes
sum to what a computation gives that knew everything from the start."""

import asyncio
from dataclasses import replace

import pytest
from test_pipeline import T0, S, machine, rows

from agent.compute import delta as deltas
from agent.compute.pipeline import Pipeline, computed_until_ns
from agent.corrections.corrections import Corrections
from agent.outbox import declarations as declared
from agent.outbox import envelopes as on_disk
from agent.outbox.disk import CannotStore
from agent.outbox.journal import past, retention
from agent.outbox.journal.schema import clear
from agent.outbox.outbox import Outbox
from agent.outbox.recovery import open_outbox
from agent.process.health import Health
from agent.store.commit import Committer
from agent.store.outbox_thread import all_streams
from agent.uplink.sender import Sender
from agent.uplink.stream_window import SendLimits
from oee.engine import step as engine
from oee.engine.correction import Sent, with_rows
from oee.model.conditions import parse
from oee.model.cycle_bins import folded
from oee.model.declarations import Declaration
from oee.model.facts import FACT, HOUR_NS, MINUTE_NS
from oee.model.machine import Ideal, Product, Rule
from oee.model.samples import series
from oee.model.states import State
from wire.bodies import CYCLES, read_rows
from wire.envelope import decode_content, open_envelope

SECONDS = 4 * 3600
STOPPED = {*range(600, 700), *range(3000, 4000), *range(9000, 9100), *range(13_000, 13_400)}
MACHINE = machine()


def said(number, field, value, start, end, **more):
    until_ns = None if end is None else T0 + end * S
    return Declaration(f"d{number}", T0 + number, "m", T0 + start * S, until_ns, field, value, "Lan", **more)


LATE = [
    said(1, "reason", "die-jam", 3000, 4000),
    said(2, "rejects", "40", 1000, 6000),
    said(3, "planned_stop", "meeting", 9000, 9050),
    said(4, "rejects", "55", 1000, 6000, supersedes="d2"),
    said(5, "reason", "", 3000, 4000, supersedes="d1"),
    said(6, "reason", "no-air", 600, 700),
]


class Gateway:
    """A pipeline, an outbox and corrections; `now` follows the rows."""

    def __init__(self, path, made=MACHINE, **options):
        self.outbox = Outbox(path, **options)
        self.pipeline = Pipeline({"m": made}, self.outbox.carries())
        self.health, self.closed = Health(), False
        self.now_ns = max(computed_until_ns(self.pipeline).values()) or T0
        sender = Sender(all_streams(self.outbox), "", SendLimits())
        self.committer = Committer(self.outbox, self.pipeline, sender, self.health, lambda: self.now_ns)
        self.committer.site.learn([CYCLES], 0)
        self.corrections = Corrections(self.committer, self.pipeline, asyncio.Lock(), self.health, lambda: self.now_ns)

    async def close(self):
        self.closed = True
        await self.committer.thread.close()

    async def go(self, until, *, commit_every=300):
        """Rows up to a second, a step each half minute, a commit now and then."""
        begin = computed_until_ns(self.pipeline)["m"]
        waiting = [row for row in ROWS if row.t_ns >= begin and row.t_ns < T0 + until * S]
        for second in range(max(0, (begin - T0) // S) + 30, until + 1, 30):
            self.now_ns = T0 + second * S
            ready = [row for row in waiting if row.t_ns < self.now_ns]
            waiting = waiting[len(ready) :]
            self.pipeline.feed_rows(ready)
            self.pipeline.advance({"m": self.now_ns})
            if second % commit_every == 0:
                assert await self.committer.commit()

    def say(self, *items):
        self.outbox.within(lambda db: declared.add(db, items, "gateway"))

    def outcome(self, item):
        return self.outbox.within(lambda db: declared.outcomes(db, [item.id]))

    def told(self):
        """The sums of everything that was sealed, and the stops; no row number is used twice."""
        numbers, sent = set(), Sent()
        keys = [
            row[0]
            for row in self.outbox.within(
                lambda db: db.execute(
                    "select data from envelopes e join streams s on s.no = e.stream where kind = 'facts'"
                ).fetchall()
            )
        ]
        for data in keys:
            facts, losses, stops, bins = read_rows(decode_content(open_envelope(data)))
            cycles = folded(bins)
            for name, table in (("f", facts), ("l", losses), ("c", cycles)):
                for minute, n in zip(table.minute_ns.tolist(), table.n.tolist(), strict=True):
                    assert (name, minute, n) not in numbers
                    numbers.add((name, minute, n))
            sent = with_rows(sent, [facts], [losses], stops, [cycles])
        return plain(sent)


def plain(sent):
    return (
        {key: tuple(row.tolist()) for key, row in sent.facts.sums.items()},
        {key: tuple(row.tolist()) for key, row in sent.losses.sums.items()},
        {key: tuple(row.tolist()) for key, row in sent.cycles.sums.items()},
        {key: replace(stop, revision=0) for key, stop in sent.stops.items() if stop.end_ns != stop.start_ns},
    )


ROWS = list(rows(seconds=range(SECONDS), stopped=STOPPED))


def fresh(until, declarations=(), made=MACHINE):
    """What a computation gives that knows everything from the start."""
    columns = {}
    for row in ROWS:
        if row.t_ns < T0 + until * S:
            columns.setdefault(row.tag, []).append((row.t_ns, row.value, row.quality))
    samples = {tag: series(column) for tag, column in columns.items()}
    end_ns = T0 + until * S
    step = engine.step(made, engine.start(), samples, declarations, end_ns, end_ns // MINUTE_NS * MINUTE_NS)
    return plain(with_rows(Sent(), [step.facts], [step.losses], step.stops.rows(), [step.cycles]))


@pytest.fixture
async def gateway(tmp_path):
    made = Gateway(tmp_path / "outbox.db")
    yield made
    if not made.closed:
        await made.close()


async def finish(gateway, until=SECONDS):
    await gateway.go(until)
    await gateway.corrections.run_pending()
    assert await gateway.committer.commit(final=True)
    return gateway.told()


async def test_edits_of_settled_time_come_to_the_fresh_sums(gateway):
    await gateway.go(5000)
    gateway.say(LATE[0])
    await gateway.go(9300)
    await gateway.corrections.run_pending()
    gateway.say(*LATE[1:4])
    await gateway.corrections.run_pending()
    await gateway.go(12_000)
    gateway.say(*LATE[4:])
    told = await finish(gateway)
    assert told == fresh(SECONDS, LATE)
    assert {gateway.outcome(item)[item.id] for item in LATE} == {""}
    gateway.say(*LATE)
    await gateway.corrections.run_pending()
    assert gateway.told() == told, "said twice is said once"


async def test_an_edit_of_open_time_needs_no_journal(gateway):
    await gateway.go(3500)
    gateway.outbox.within(clear)
    gateway.say(said(1, "reason", "die-jam", 3000, 4000))
    await gateway.corrections.run_pending()
    assert await finish(gateway) == fresh(SECONDS, [said(1, "reason", "die-jam", 3000, 4000)])


async def test_a_restart_between_and_an_edit_that_waits_on_disk(gateway, tmp_path):
    await gateway.go(6000)
    await gateway.committer.commit(final=True)
    gateway.say(LATE[0])
    await gateway.close()
    other = Gateway(tmp_path / "outbox.db")
    await other.go(9300)
    await other.corrections.run_pending()
    assert await finish(other) == fresh(SECONDS, LATE[:1])
    await other.close()


async def test_what_lies_before_the_journal_is_refused_and_kept(gateway):
    await gateway.go(SECONDS // 2 + 30)
    await gateway.committer.commit(final=True)
    await gateway.go(SECONDS)
    before = await finish(gateway)
    gateway.outbox.within(lambda db: retention.prune(db, T0 + (SECONDS // 2 + 100) * S))
    gateway.say(LATE[0], said(7, "planned_stop", "meeting", 9000, 9050))
    await gateway.corrections.run_pending()
    assert gateway.outcome(LATE[0])["d1"].startswith("too_old 20")
    assert gateway.told() != before, "the other one, which it reaches, is done"
    assert gateway.told() == fresh(SECONDS, [said(7, "planned_stop", "meeting", 9000, 9050)])


@pytest.mark.parametrize(
    ("item", "why"),
    [
        (replace(LATE[0], machine="nobody"), "unknown_machine nobody"),
        (replace(LATE[0], end_ns=LATE[0].start_ns), "ends_before_start"),
        (replace(LATE[1], end_ns=None), "no_end"),
        (replace(LATE[1], value="many"), "no_count"),
        (replace(LATE[1], value="9" * 20), "no_count"),
        (replace(LATE[0], field="state", value="minor_stop"), "unknown_state minor_stop"),
        (replace(LATE[0], field="colour"), "unknown_field colour"),
    ],
)
async def test_what_cannot_be_is_refused(gateway, item, why):
    await gateway.go(900)
    gateway.say(item)
    assert await finish(gateway, 1200) == fresh(1200)
    assert gateway.outcome(item) == {item.id: why}


async def test_an_entry_across_another_is_refused(gateway):
    await gateway.go(9300)
    across = said(9, "rejects", "3", 5000, 7000)
    gateway.say(LATE[1], across)
    assert await finish(gateway) == fresh(SECONDS, [LATE[1]])
    assert gateway.outcome(across) == {"d9": "overlaps d2"}


async def test_a_described_otherwise_machine_is_computed_again(gateway, tmp_path):
    await gateway.go(SECONDS)
    gateway.say(LATE[0])
    await gateway.corrections.run_pending()
    await gateway.committer.commit(final=True)
    await gateway.close()
    other = replace(MACHINE, products={"1": Product("1", (Ideal(800_000),))}, minor_stop_at_most_ns=20 * S)
    again = Gateway(tmp_path / "outbox.db", other)
    again.outbox.within(lambda db: declared.request_recompute(db, ["m"], 0, 1))
    told = await finish(again)
    assert told == fresh(SECONDS, LATE[:1], other)
    assert again.outbox.within(declared.recompute_requests)[0].state == "done"
    await again.close()


async def test_killed_before_the_commit_nothing_has_happened(gateway, tmp_path):
    """The last moment before the transaction, and the first one after it."""
    await gateway.go(SECONDS)
    await gateway.committer.commit(final=True)
    gateway.say(LATE[0])
    before = gateway.told()
    taken = []

    async def killed(found):
        taken.append(found)
        return False

    gateway.committer.correct = killed
    await gateway.corrections.run_pending()
    assert taken
    assert gateway.told() == before
    await gateway.close()
    again = Gateway(tmp_path / "outbox.db")
    assert await finish(again) == fresh(SECONDS, LATE[:1])
    await again.close()


async def test_the_journal_is_bounded_and_goes_first(gateway):
    await gateway.go(SECONDS)
    await gateway.committer.commit(final=True)
    assert gateway.outbox.within(lambda db: past.earliest_ns(db, "m")) == 0
    gateway.outbox.prune(T0 + SECONDS * S, HOUR_NS)
    earliest = gateway.outbox.within(lambda db: past.earliest_ns(db, "m"))
    assert T0 < earliest <= T0 + SECONDS * S - HOUR_NS
    envelopes = len(on_disk.waiting(gateway.outbox.file))
    while gateway.outbox.within(retention.evict_oldest):
        pass
    assert gateway.outbox.within(lambda db: past.read_past(db, "m", T0 + SECONDS * S)) is None
    assert len(on_disk.waiting(gateway.outbox.file)) == envelopes


async def test_a_hole_makes_the_journal_begin_anew(gateway):
    await gateway.go(5000)
    await gateway.committer.commit(final=True)
    gateway.pipeline.uncommitted.drop_samples()
    await gateway.go(6000, commit_every=10_000)
    gateway.pipeline.uncommitted.drop_samples()  # let go in memory
    await gateway.go(9300)
    gateway.say(LATE[0])
    await gateway.corrections.run_pending()
    assert gateway.outcome(LATE[0])["d1"].startswith("too_old")
    late = said(7, "planned_stop", "meeting", 9000, 9050)
    gateway.say(late)
    assert await finish(gateway) == fresh(SECONDS, [late])


async def test_a_tag_that_nothing_used_before_is_no_reason_to_forget_the_past(gateway, tmp_path):
    """The past is computed again from where every tag of the new description was recorded, or not at all."""
    await gateway.go(SECONDS // 2)
    await gateway.committer.commit(final=True)
    await gateway.close()
    rules = (Rule(parse("m.door"), State.PLANNED_STOP), *MACHINE.rules)
    other = Gateway(tmp_path / "outbox.db", replace(MACHINE, rules=rules))
    before = other.told()
    other.outbox.within(lambda db: declared.request_recompute(db, ["m"], 0, 1))
    other.say(LATE[0])
    await other.corrections.run_pending()
    assert other.outbox.within(declared.recompute_requests)[0].why == "no_journal"
    assert other.outcome(LATE[0])["d1"].startswith("too_old")
    assert other.told() == before
    await other.close()


async def test_an_edit_that_the_core_stumbles_over_is_tried_once(gateway, monkeypatch):
    await gateway.go(9300)
    monkeypatch.setattr("agent.corrections.corrector.recompute", lambda *_: 1 // 0)
    gateway.say(LATE[0])
    await gateway.corrections.run_pending()
    assert gateway.outcome(LATE[0]) == {"d1": "failed"}
    assert gateway.health.snapshot()["corrections_failed"] == 1
    assert await finish(gateway) == fresh(SECONDS)


async def test_what_people_said_survives_a_damaged_file(gateway, tmp_path):
    product = said(8, "product", "1", 0, None)
    await gateway.go(5000)
    gateway.say(product, LATE[0])
    await gateway.corrections.run_pending()
    await gateway.close()
    data = bytearray((tmp_path / "outbox.db").read_bytes())
    data[-4096:] = b"\xff" * 4096
    (tmp_path / "outbox.db").write_bytes(data)
    opened = open_outbox(tmp_path / "outbox.db", T0, thorough=True)
    assert opened.message
    rows = opened.outbox.within(lambda db: declared.latest(db, 10))
    assert {(item.declaration.id, item.state) for item in rows} == {("d8", "new"), ("d1", "done")}
    opened.outbox.close()


async def test_a_journal_that_cannot_be_read_holds_up_no_facts(gateway):
    await gateway.go(4800)

    def flip(db):
        [(no, data)] = db.execute("select no, data from journal_recent order by no desc limit 1").fetchall()
        db.execute("update journal_recent set data = ? where no = ?", (data[:20] + b"\0\1\2" + data[23:], no))

    gateway.outbox.within(flip)
    assert await finish(gateway) == fresh(SECONDS)
    assert gateway.health.snapshot()["journal_begun_anew"] == 1
    await gateway.go(SECONDS)
    gateway.say(LATE[0])
    await gateway.corrections.run_pending()
    assert "too_old" in gateway.outcome(LATE[0])["d1"]


async def test_rows_that_were_let_go_do_not_take_a_machine_back(gateway, monkeypatch):
    """A disk that refused for too long: the journal ends before the state does."""
    await gateway.go(4800)
    assert await gateway.committer.commit(final=True)
    await gateway.go(9600, commit_every=10**9)

    def refuse(*_):
        raise CannotStore("cannot_use", path="x", error="not now")

    commit, gateway.outbox.commit = gateway.outbox.commit, refuse
    monkeypatch.setattr(deltas, "MOST_SAMPLES", 0)
    assert not await gateway.committer.commit()
    monkeypatch.undo()
    gateway.outbox.commit = commit
    gateway.say(LATE[0])
    await gateway.corrections.run_pending()
    assert computed_until_ns(gateway.pipeline)["m"] == T0 + 9600 * S
    assert gateway.outcome(LATE[0]) == {"d1": "too_old"}
    assert await finish(gateway) == fresh(SECONDS)


async def test_what_is_asked_for_while_a_machine_is_recomputed_is_not_forgotten(gateway, monkeypatch):
    await gateway.go(4800)
    gateway.outbox.within(lambda db: declared.request_recompute(db, ["m"], T0 + 3600 * S, 1))
    again = gateway.corrections.corrector.recompute

    def asked_meanwhile(*args):
        monkeypatch.undo()
        gateway.outbox.within(lambda db: declared.request_recompute(db, ["m"], 0, 2))
        return again(*args)

    monkeypatch.setattr(gateway.corrections.corrector, "recompute", asked_meanwhile)
    await gateway.corrections.run_pending()
    assert [(item.asked_ns, item.state) for item in gateway.outbox.within(declared.recompute_requests)] == [(2, "new")]
    await gateway.corrections.run_pending()
    assert [(item.asked_ns, item.state) for item in gateway.outbox.within(declared.recompute_requests)] == [(2, "done")]
    assert await finish(gateway) == fresh(SECONDS)


async def test_a_message_that_comes_again_while_the_disk_refuses_waits_once(gateway):
    for _ in range(100):
        gateway.corrections.inbox.receive(iter(LATE[:2]))
    assert gateway.corrections.inbox.received == 1


async def test_rejects_of_a_shift_that_began_before_the_gateway_are_followed(gateway):
    """They are of all pieces since the first sample, whether they come while nothing is settled or long after."""
    shift = said(1, "rejects", "7", -3600, 2000)
    await gateway.go(2400)
    gateway.say(shift)
    await gateway.corrections.run_pending()
    later = said(2, "rejects", "9", -3600, 5000)
    await gateway.go(9300)
    gateway.say(later)
    told = await finish(gateway)
    assert gateway.outcome(shift) == {"d1": ""}
    assert told == fresh(SECONDS, [shift, later])
    judged = sum(row[FACT["pieces_judged"]] for row in told[0].values())
    rejected = sum(row[FACT["pieces_process_reject"]] for row in told[0].values())
    running = 5000 - len(STOPPED & set(range(5000)))
    assert (judged, rejected) == (running - 1, 9)
