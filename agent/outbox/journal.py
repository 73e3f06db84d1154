"""The journal: what a correction needs that reaches back behind what is settled. In the outbox's file.

    journal_recent       no, envelopes, data        what one commit brought: each machine's rows since its last one, as
                                                    the core got them (`[[machine, from_ns, until_ns, tags], ...]` and
                                                    rows packed as below), and which `facts` envelopes it sealed
                                                    (both as one line of JSON, compressed)
    journal_rows         machine, from_ns,          a stretch of these rows, some hour long; what one stretch ends with
                         until_ns, tags, data       the next begins with. tags: all that the machine used then (JSON)
    journal_sent         machine, hour_ns, data     each key's sum, each minute's number of rows and each stop that was
                                                    offered, by hour of the minute or of the stop's start
    journal_checkpoints  machine, settled_ns, data  the carry as it stood at its settled time (`oee.engine.correction`)

Each commit of the outbox adds a row to `journal_recent`, in the transaction that holds carries and envelopes; nothing
here is ever synced by itself. Once an hour, and before a correction, they are gathered into the other three. What was
offered is read from the envelopes themselves, which are on the same disk and in the same transaction.

A restart writes what the core was told: `?` at the last committed confirmation, then every value again. If rows are
missing between two stretches (another version of this program ran, or they were let go in memory), what is older is
worthless for corrections and goes. Kept for a window (default 7 days); when space is short the journal goes first,
oldest first, since it holds nothing that was not sent.
"""

import json
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from agent.outbox.journal_codec import pack_rows, pack_sent, unpack_rows, unpack_sent
from oee.engine import step as engine
from oee.engine.correction import Recomputation, Sent, checkpoint, with_rows
from oee.engine.state import EngineState, FactKey, LossKey
from oee.model.facts import MINUTE_NS, Facts, Int64, Losses, Stop, select
from oee.model.samples import Samples, between, concat
from wire.bodies import read_facts_body
from wire.envelope import content, open_envelope

HOUR_NS: Final = 3_600_000_000_000
WINDOW_NS: Final = 7 * 24 * HOUR_NS
_SACRIFICE_ROWS: Final = 200
_UNREADABLE: Final = (ValueError, TypeError, LookupError, zlib.error)
SCHEMA: Final = """
create table if not exists journal_recent (no integer primary key, envelopes text not null, data blob not null);
create table if not exists journal_rows (machine text not null, from_ns integer not null, until_ns integer not null,
    tags text not null, data blob not null, primary key (machine, from_ns)) without rowid;
create table if not exists journal_sent (machine text not null, hour_ns integer not null, data blob not null,
    primary key (machine, hour_ns)) without rowid;
create table if not exists journal_checkpoints (machine text not null, settled_ns integer not null,
    data blob not null, primary key (machine, settled_ns)) without rowid;
"""


@dataclass(frozen=True)
class Fed:
    """What the core was given of one machine for `[from_ns, until_ns)`; from_ns is 0 before its first sample. tags: all
    that the machine used, with rows or without."""

    from_ns: int
    until_ns: int
    samples: Samples
    tags: frozenset[str]


def join_fed(parts: Sequence[Fed]) -> Fed:
    """Stretches that follow each other as one."""
    tags = dict.fromkeys(tag for part in parts for tag in part.samples)
    rows = {tag: concat([part.samples[tag] for part in parts if tag in part.samples]) for tag in tags}
    return Fed(parts[0].from_ns, parts[-1].until_ns, rows, frozenset.intersection(*(part.tags for part in parts)))


@dataclass(frozen=True)
class Material:
    """What a correction of one machine starts from. chunks: packed rows from the checkpoint on, with their ends; from_ns:
    where the first of them begins.
    """

    base: EngineState
    chunks: Sequence[tuple[bytes, int]]
    sent: Sent
    from_ns: int = 0

    def parts(self) -> Iterable[Fed]:
        """The stretches whole, unpacked when they are wanted."""
        from_ns = self.from_ns
        for data, until_ns in self.chunks:
            yield Fed(from_ns, until_ns, unpack_rows(data), frozenset())
            from_ns = until_ns

    def blocks(self) -> Iterable[tuple[Samples, int]]:
        """The rows of settled time on, stretch by stretch, unpacked when they are wanted."""
        for data, until_ns in self.chunks:
            rows = unpack_rows(data)
            yield {tag: between(column, self.base.settled_ns, until_ns) for tag, column in rows.items()}, until_ns


class Journal:
    """The journal's tables in an open outbox, `db`. Every method runs within the caller's transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    # writing

    def record(self, fed: Mapping[str, Fed], envelopes: Sequence[tuple[str, int]]) -> None:
        """Adds what a commit brought: rows of machines whose carry it writes, and the (stream, seq) of its facts."""
        if not fed and not envelopes:
            return
        head = [[name, item.from_ns, item.until_ns, sorted(item.tags)] for name, item in fed.items()]
        rows = {
            f"{number}/{tag}": column
            for number, item in enumerate(fed.values())
            for tag, column in item.samples.items()
        }
        self.db.execute(
            "insert into journal_recent (envelopes, data) values (?, ?)",
            (zlib.compress(json.dumps([envelopes, head]).encode(), 1), pack_rows(rows)),
        )

    def gather(self, states: Mapping[str, EngineState]) -> bool:
        """Sorts what is recent by machine, and keeps a checkpoint of each of these states, which are as committed.

        False if the journal had to begin anew: an envelope went before it did, so that what was offered is not known
        any more, or a memory card gives back something else than was written. Facts never wait for it.
        """
        try:
            whole = self._gather(states)
        except _UNREADABLE:
            whole = False
        if not whole:
            self.clear()
        return whole

    def _gather(self, states: Mapping[str, EngineState]) -> bool:
        fed: dict[str, list[Fed]] = {}
        sent: dict[str, list[tuple[Facts, Losses, list[Stop]]]] = {}
        whole = True
        for text, data in self.db.execute("select envelopes, data from journal_recent order by no").fetchall():
            envelopes, head = json.loads(text if isinstance(text, str) else zlib.decompress(text))
            rows = unpack_rows(data)
            for number, (name, from_ns, until_ns, tags) in enumerate(head):
                prefix = f"{number}/"
                mine = {tag.removeprefix(prefix): column for tag, column in rows.items() if tag.startswith(prefix)}
                fed.setdefault(name, []).append(Fed(from_ns, until_ns, mine, frozenset(tags)))
            for stream, seq in envelopes:
                whole = self._read_sent(stream, seq, sent) and whole
        if not whole:
            return False
        self.db.execute("delete from journal_recent")
        for name, parts in fed.items():
            self._add_rows(name, join_fed(_unbroken(parts)))
        for name, tables in sent.items():
            self._add_sent(name, tables)
        for name, state in states.items():
            self._add_checkpoint(name, state)
        return True

    def _read_sent(self, stream: str, seq: int, out: dict[str, list[tuple[Facts, Losses, list[Stop]]]]) -> bool:
        row = self.db.execute(
            "select data from envelopes e join streams s on s.no = e.stream where s.stream = ? and seq = ?",
            (stream, seq),
        ).fetchone()
        if row is None:
            return False
        body = content(open_envelope(row[0]))
        if "dropped" in body:
            return True
        facts, losses, stops = read_facts_body(body)
        names = {*facts.machine.tolist(), *losses.machine.tolist(), *(stop.machine for stop in stops)}
        for name in names:
            mine = (
                select(facts, facts.machine == name),
                select(losses, losses.machine == name),
                [stop for stop in stops if stop.machine == name],
            )
            out.setdefault(name, []).append(mine)
        return True

    def _add_rows(self, name: str, fed: Fed) -> None:
        last = self._one("select max(until_ns) from journal_rows where machine = ?", name)
        if last != fed.from_ns:
            self._forget(name)
        if fed.from_ns == 0:
            self.db.execute(
                "insert or replace into journal_checkpoints values (?, 0, ?)", (name, engine.dump(engine.start()))
            )
        same = self.db.execute(  # before its first sample a machine's stretches all begin at 0
            "select data from journal_rows where machine = ? and from_ns = ?", (name, fed.from_ns)
        ).fetchone()
        if same:
            fed = join_fed([replace(fed, samples=unpack_rows(same[0])), fed])
        self.db.execute(
            "insert or replace into journal_rows values (?, ?, ?, ?, ?)",
            (name, fed.from_ns, fed.until_ns, json.dumps(sorted(fed.tags)), pack_rows(fed.samples)),
        )

    def _add_sent(self, name: str, tables: Sequence[tuple[Facts, Losses, list[Stop]]]) -> None:
        facts, losses, stops = zip(*tables, strict=True)
        new = with_rows(Sent(), facts, losses, [stop for rows in stops for stop in rows])
        hours = {minute_ns // HOUR_NS for minute_ns in (*new.fact_rows, *new.loss_rows)}
        hours |= {stop.start_ns // HOUR_NS for stop in new.stops.values()}
        for hour in sorted(hours):
            row = self.db.execute(
                "select data from journal_sent where machine = ? and hour_ns = ?", (name, hour * HOUR_NS)
            ).fetchone()
            before = unpack_sent(row[0]) if row else Sent()
            inside = [
                (select(one, one.minute_ns // HOUR_NS == hour), select(two, two.minute_ns // HOUR_NS == hour))
                for one, two, _ in tables
            ]
            mine = [stop for stop in new.stops.values() if stop.start_ns // HOUR_NS == hour]
            after = with_rows(before, [one for one, _ in inside], [two for _, two in inside], mine)
            self.db.execute(
                "insert or replace into journal_sent values (?, ?, ?)", (name, hour * HOUR_NS, pack_sent(after))
            )

    def _add_checkpoint(self, name: str, state: EngineState) -> None:
        first = self._one("select min(from_ns) from journal_rows where machine = ?", name)
        minute_ns = state.settled_ns - state.settled_ns % MINUTE_NS
        if state.settled_ns and first is not None and minute_ns > first:  # its own first minute is not known whole
            self.db.execute(
                "insert or replace into journal_checkpoints values (?, ?, ?)",
                (name, state.settled_ns, engine.dump(checkpoint(state))),
            )

    def corrected(self, name: str, base_ns: int, found: Recomputation) -> None:
        """Checkpoints later than the one at `base_ns` give way to those of a correction that began there."""
        self.db.execute("delete from journal_checkpoints where machine = ? and settled_ns > ?", (name, base_ns))
        for state in found.checkpoints:
            self._add_checkpoint(name, state)

    def redated(self, name: str, base_ns: int, parts: Iterable[Fed]) -> None:
        """The rows of the stretches that end after `base_ns` have other times now."""
        later = "from journal_rows where machine = ? and until_ns > ?"
        tags = self.db.execute(f"select tags {later} order by from_ns", (name, base_ns)).fetchall()
        self.db.execute(f"delete {later}", (name, base_ns))
        self.db.executemany(
            "insert or replace into journal_rows values (?, ?, ?, ?, ?)",
            [
                (name, part.from_ns, part.until_ns, text, pack_rows(part.samples))
                for part, (text,) in zip(parts, tags, strict=True)
            ],
        )

    def clear(self) -> None:
        """Forgets everything: for new streams and states that begin anew."""
        for table in ("recent", "rows", "sent", "checkpoints"):
            self.db.execute(f"delete from journal_{table}")  # noqa: S608  # one of these four

    def _forget(self, name: str) -> None:
        for table in ("rows", "sent", "checkpoints"):
            self.db.execute(f"delete from journal_{table} where machine = ?", (name,))  # noqa: S608  # as above

    # letting go

    def prune(self, before_ns: int) -> None:
        """Lets go of what no correction of time from `before_ns` on needs."""
        names = self.db.execute("select distinct machine from journal_checkpoints").fetchall()
        for (name,) in names:
            base = self._one(
                "select max(settled_ns) from journal_checkpoints where machine = ? and settled_ns <= ?", name, before_ns
            )
            if base:
                self._cut(name, base)

    def sacrifice(self) -> int:
        """Lets go of the oldest part, because space is short; returns how many rows of the table, 0 if there are none."""
        oldest = self.db.execute(
            "select machine, until_ns from journal_rows order by until_ns limit ?", (_SACRIFICE_ROWS,)
        ).fetchall()
        for name, until_ns in oldest:
            self._cut(name, until_ns)
        return len(oldest) or self.db.execute("delete from journal_recent").rowcount

    def _cut(self, name: str, base_ns: int) -> None:
        self.db.execute("delete from journal_rows where machine = ? and until_ns <= ?", (name, base_ns))
        self.db.execute("delete from journal_checkpoints where machine = ? and settled_ns < ?", (name, base_ns))
        self.db.execute("delete from journal_sent where machine = ? and hour_ns <= ?", (name, base_ns - 2 * HOUR_NS))

    # reading

    def earliest_ns(self, name: str, tags: Iterable[str] = (), until_ns: int | None = None) -> int | None:
        """The earliest time [ns] that a correction of a machine that uses these tags can change; None if there is none.
        until_ns: see `material`.
        """
        if not self._reaches(name, until_ns):
            return None
        return self._one(
            "select min(settled_ns) from journal_checkpoints where machine = ? and settled_ns >= ?",
            name,
            self._without(name, tags),
        )

    def _without(self, name: str, tags: Iterable[str]) -> int:
        """The end [ns] of the last stretch in which one of these tags was not recorded, since nothing used it; or 0."""
        wanted = set(tags)
        rows = self.db.execute("select tags, max(until_ns) from journal_rows where machine = ? group by tags", (name,))
        return max((until_ns for known, until_ns in rows.fetchall() if not wanted <= set(json.loads(known))), default=0)

    def _reaches(self, name: str, until_ns: int | None) -> bool:
        return until_ns is None or until_ns == self._one(
            "select max(until_ns) from journal_rows where machine = ?", name
        )

    def material(
        self, name: str, at_most_ns: int, tags: Iterable[str] = (), until_ns: int | None = None
    ) -> Material | None:
        """What a correction needs that changes time from `at_most_ns` on, of a machine that uses these tags; None where
        that is gone, or was never recorded.

        To be asked right after `gather`, while the machine stands still. until_ns: where its state stands; rows that end
        elsewhere (some were let go in memory, or another version of this program ran) would take the machine back.
        """
        if not self._reaches(name, until_ns):
            return None
        row = self.db.execute(
            "select settled_ns, data from journal_checkpoints where machine = ? and settled_ns <= ? and settled_ns >= ? "
            "order by settled_ns desc limit 1",
            (name, at_most_ns, self._without(name, tags)),
        ).fetchone()
        if row is None:
            return None
        base_ns = row[0]
        chunks = self.db.execute(
            "select from_ns, data, until_ns from journal_rows where machine = ? and until_ns > ? order by from_ns",
            (name, base_ns),
        ).fetchall()
        if not chunks or chunks[0][0] > base_ns:
            return None
        parts = [(data, until_ns) for _, data, until_ns in chunks]
        try:
            return Material(engine.load(row[1]), parts, self._sent(name, base_ns), chunks[0][0])
        except _UNREADABLE:
            return None

    def _sent(self, name: str, base_ns: int) -> Sent:
        """What was sent for the minutes from the one of `base_ns` on, and stops that begin at `base_ns` or later."""
        minute_ns = base_ns - base_ns % MINUTE_NS
        facts: dict[FactKey, Int64] = {}
        losses: dict[LossKey, Int64] = {}
        fact_rows: dict[int, int] = {}
        loss_rows: dict[int, int] = {}
        stops: dict[str, Stop] = {}
        for (data,) in self.db.execute(
            "select data from journal_sent where machine = ? and hour_ns >= ? order by hour_ns",
            (name, minute_ns - minute_ns % HOUR_NS),
        ).fetchall():
            part = unpack_sent(data)
            facts |= {key: row for key, row in part.facts.items() if key[1] >= minute_ns}
            losses |= {key: row for key, row in part.losses.items() if key[1] >= minute_ns}
            fact_rows |= {key: n for key, n in part.fact_rows.items() if key >= minute_ns}
            loss_rows |= {key: n for key, n in part.loss_rows.items() if key >= minute_ns}
            stops |= {key: stop for key, stop in part.stops.items() if stop.start_ns >= base_ns}
        return Sent(facts, losses, fact_rows, loss_rows, stops)

    def _one(self, sql: str, *values: object) -> int | None:
        row = self.db.execute(sql, values).fetchone()
        return None if row is None or row[0] is None else int(row[0])


def _unbroken(parts: Sequence[Fed]) -> Sequence[Fed]:
    """The last of these stretches that follow each other without a break."""
    first = len(parts) - 1
    while first and parts[first - 1].until_ns == parts[first].from_ns:
        first -= 1
    return parts[first:]


Also = Callable[[Journal, Sequence[Any]], None]
"""What else a commit writes: told the journal and the envelopes that were sealed, within the transaction."""
