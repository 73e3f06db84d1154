"""A machine with an outbox, corrections, and the desk and board of its page, without devices and network: time is a number."""

import asyncio
import json
from dataclasses import replace

from test_pipeline import T0, S, machine, rows

from agent.andon.board import Board
from agent.andon.desk import Desk
from agent.andon.entries.interpret import Offer
from agent.andon.views.view import AndonMachine
from agent.compute.pipeline import Pipeline, computed_until_ns, snapshots
from agent.corrections.corrections import Corrections
from agent.outbox import declarations as declared
from agent.outbox.outbox import Outbox
from agent.process.health import Health
from agent.store.commit import Committer
from agent.store.outbox_thread import all_streams
from agent.uplink.sender import Sender
from agent.uplink.stream_window import SendLimits
from oee.engine import step as engine
from oee.engine.correction import Sent, with_rows
from oee.model.facts import FACT, MINUTE_NS
from oee.model.machine import OPERATOR
from oee.model.samples import series
from oee.model.states import State
from wire.bodies import read_facts_body
from wire.envelope import decode_content, open_envelope

BY_HAND = replace(
    machine(),
    pieces=replace(machine().pieces, reject=OPERATOR, rework=OPERATOR),
    product="?",
    product_tag=OPERATOR,
    products={key: replace(machine().products["1"], id=key) for key in ("1", "2")},
    reason_states={"jam": State.BREAKDOWN, "late": State.STARVED, "meal": State.PLANNED_STOP},
    minor_stop_at_most_ns=30 * S,
)
ABOUT = AndonMachine(
    Offer(BY_HAND, ("jam", "late", "meal"), ("1", "2"), ("maintenance", "quality"), ("scratch",)), remind_ns=600 * S
)


class AndonGateway:
    """A pipeline, an outbox, corrections, desk and board of machine `m`; `now_ns` follows the rows."""

    def __init__(self, path, stopped, seconds, about=ABOUT):
        self.rows = list(rows(seconds=range(seconds), stopped=stopped))
        self.outbox = Outbox(path)
        self.pipeline = Pipeline({"m": about.offer.machine}, self.outbox.carries())
        self.health, self.trusted = Health(), True
        self.now_ns = max(computed_until_ns(self.pipeline).values()) or T0
        sender = Sender(all_streams(self.outbox), "", SendLimits())
        self.committer = Committer(self.outbox, self.pipeline, sender, self.health, lambda: self.now_ns)
        self.corrections = Corrections(self.committer, self.pipeline, asyncio.Lock(), self.health, lambda: self.now_ns)
        thread = self.committer.thread
        self.board = Board(thread, {"m": about}, lambda: self.now_ns, lambda: {"now_ms": self.now_ns // 1_000_000})
        self.desk = Desk(
            thread,
            {"m": about},
            self.board.tallies,
            lambda: snapshots(self.pipeline),
            lambda: self.now_ns,
            self.health,
            trusted=lambda: self.trusted,
        )
        self.committer.on_stored = self.board.stored

    async def close(self):
        await self.committer.thread.close()

    async def go(self, until):
        """Rows up to a second; a step each half minute, a commit each minute."""
        begin = (self.now_ns - T0) // S
        waiting = [row for row in self.rows if T0 + begin * S <= row.t_ns < T0 + until * S]
        for second in [*range(begin + 30, until, 30), until]:
            self.now_ns = T0 + second * S
            ready = [row for row in waiting if row.t_ns < self.now_ns]
            waiting = waiting[len(ready) :]
            self.pipeline.feed_rows(ready)
            self.pipeline.advance({"m": self.now_ns})
            if second % 60 == 0:
                assert await self.committer.commit()
        self.board.live = snapshots(self.pipeline)

    async def enter(self, *forms):
        """The replies' states."""
        return [reply["state"] for reply in await self.desk.take(list(forms))]

    async def settle(self):
        """Everything that was declared is computed and on disk."""
        await self.corrections.run_pending()
        assert await self.committer.commit(final=True)

    async def page(self):
        """The page as a tablet gets it."""
        self.board.live = snapshots(self.pipeline)
        await self.board._make("m", 0.0)
        with self.board.audience.open(["m"]) as tablet:
            return next(json.loads(text) for event, text in await tablet.take() if event == "machine")

    def declare(self, *items):
        """What the center or a command declares."""
        self.outbox.within(lambda db: declared.add(db, items, "center"))

    def declared(self):
        """Everything that was declared and not refused."""
        return self.outbox.within(lambda db: declared.standing_since(db, "m", 0))

    def told(self):
        """The sums of everything that was sealed, and the stops."""
        sent = Sent()
        for (data,) in self.outbox.within(lambda db: db.execute("select data from envelopes").fetchall()):
            facts, losses, stops = read_facts_body(decode_content(open_envelope(data)))
            sent = with_rows(sent, [facts], [losses], stops)
        return plain(sent)

    def fresh(self, until):
        """What a computation gives that knows all of it from the start."""
        columns = {}
        for row in self.rows:
            if row.t_ns < T0 + until * S:
                columns.setdefault(row.tag, []).append((row.t_ns, row.value, row.quality))
        samples = {tag: series(column) for tag, column in columns.items()}
        end_ns = T0 + until * S
        made = self.pipeline.runs["m"].machine
        step = engine.step(made, engine.start(), samples, self.declared(), end_ns, end_ns // MINUTE_NS * MINUTE_NS)
        return plain(with_rows(Sent(), [step.facts], [step.losses], step.stops.rows()))


def plain(sent):
    return (
        {key: tuple(row.tolist()) for key, row in sent.facts.sums.items()},
        {key: tuple(row.tolist()) for key, row in sent.losses.sums.items()},
        {key: replace(stop, revision=0) for key, stop in sent.stops.items() if stop.end_ns != stop.start_ns},
    )


def total(told, name):
    """The sum of a column over all keys."""
    return sum(row[FACT[name]] for row in told[0].values())


def form(kind, number, tablet="tablet", ago_s=0, **content):
    """An entry as a tablet sends it."""
    return {
        "kind": kind,
        "id": f"{tablet}-{number}",
        "tablet": tablet,
        "ago_ms": ago_s * 1000,
        "machine": "m",
        **content,
    }


def stop_ms(second):
    """When a stop that began at a second began [ms]."""
    return (T0 + second * S) // 1_000_000
