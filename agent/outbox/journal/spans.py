"""The journal's gathered tables of one machine: spans of rows, hourly sums, checkpoints. Within the caller's
transaction."""

import json
import sqlite3
from collections.abc import Iterable, Sequence

from agent.compute.delta import Delta, join
from agent.outbox.journal.codec import pack_rows, pack_sent, unpack_rows, unpack_sent
from agent.outbox.journal.schema import clear_machine, scalar
from oee.engine import step as engine
from oee.engine.correction import Recomputation, Sent, SentTable, checkpoint, sent_since_settled, with_rows
from oee.engine.state import EngineState
from oee.model.facts import HOUR_NS, MINUTE_NS, CycleTimes, Facts, Losses, Stop, Table, select
from oee.model.samples import between

SentRows = tuple[Facts, Losses, list[Stop], CycleTimes]
"""What one envelope offers of one machine."""


def add_rows(db: sqlite3.Connection, span: Delta) -> None:
    """Adds the samples of a span. Where it does not continue the span before, what is older is deleted."""
    machine, samples = span.machine, span.samples or {}
    if scalar(db, "select max(until_ns) from journal_rows where machine = ?", machine) != span.from_ns:
        clear_machine(db, machine)
    if span.from_ns == 0:
        db.execute(
            "insert or replace into journal_checkpoints values (?, 0, ?)", (machine, engine.dump(engine.start()))
        )
    same = db.execute(  # before its first sample all spans of a machine begin at 0
        "select data from journal_rows where machine = ? and from_ns = ?", (machine, span.from_ns)
    ).fetchone()
    if same:
        before = Delta(machine, span.from_ns, span.until_ns, span.tags, unpack_rows(same[0]))
        samples = join([before, span]).samples or {}
    db.execute(
        "insert or replace into journal_rows values (?, ?, ?, ?, ?)",
        (machine, span.from_ns, span.until_ns, json.dumps(sorted(span.tags)), pack_rows(samples)),
    )


def begin(db: sqlite3.Connection, machine: str, tags: Iterable[str], state: EngineState) -> None:
    """Begins the machine's part anew, at the settled time of this (committed) state, which holds all that is needed from
    there on: the next span continues it. tags: all that the machine used. Empty before anything is settled.
    """
    clear_machine(db, machine)
    if not state.settled_ns:
        return
    rows = {tag: between(column, state.settled_ns, state.until_ns) for tag, column in state.rows.items()}
    db.execute(
        "insert into journal_rows values (?, ?, ?, ?, ?)",
        (machine, state.settled_ns, state.until_ns, json.dumps(sorted(tags)), pack_rows(rows)),
    )
    db.execute(
        "insert into journal_checkpoints values (?, ?, ?)",
        (machine, state.settled_ns, engine.dump(checkpoint(state))),
    )
    _put_sent(db, machine, sent_since_settled(state))


def _put_sent(db: sqlite3.Connection, machine: str, sent: Sent) -> None:
    for hour in _hours(sent):
        part = Sent(
            _hour(sent.facts, hour),
            _hour(sent.losses, hour),
            {key: stop for key, stop in sent.stops.items() if stop.start_ns // HOUR_NS == hour},
            _hour(sent.cycles, hour),
        )
        db.execute("insert or replace into journal_sent values (?, ?, ?)", (machine, hour * HOUR_NS, pack_sent(part)))


def _hours(sent: Sent) -> list[int]:
    counts = (sent.facts.row_counts, sent.losses.row_counts, sent.cycles.row_counts)
    hours = {minute_ns // HOUR_NS for table in counts for minute_ns in table}
    return sorted(hours | {stop.start_ns // HOUR_NS for stop in sent.stops.values()})


def _hour(table: SentTable, hour: int) -> SentTable:
    return SentTable(
        {key: row for key, row in table.sums.items() if key[1] // HOUR_NS == hour},
        {minute_ns: n for minute_ns, n in table.row_counts.items() if minute_ns // HOUR_NS == hour},
    )


def add_sent(db: sqlite3.Connection, machine: str, tables: Sequence[SentRows]) -> None:
    """Adds what envelopes offered to the machine's hourly sums."""
    facts, losses, stops, cycles = zip(*tables, strict=True)
    new = with_rows(Sent(), facts, losses, [stop for rows in stops for stop in rows], cycles)
    for hour in _hours(new):
        row = db.execute(
            "select data from journal_sent where machine = ? and hour_ns = ?", (machine, hour * HOUR_NS)
        ).fetchone()
        after = with_rows(
            unpack_sent(row[0]) if row else Sent(),
            [_of_hour(table, hour) for table in facts],
            [_of_hour(table, hour) for table in losses],
            [stop for stop in new.stops.values() if stop.start_ns // HOUR_NS == hour],
            [_of_hour(table, hour) for table in cycles],
        )
        db.execute("insert or replace into journal_sent values (?, ?, ?)", (machine, hour * HOUR_NS, pack_sent(after)))


def _of_hour(table: Table, hour: int) -> Table:
    return select(table, table.minute_ns // HOUR_NS == hour)


def add_checkpoint(db: sqlite3.Connection, machine: str, state: EngineState) -> None:
    """Keeps the state as a checkpoint, unless nothing is settled yet or the journal's rows begin too late for it."""
    first = scalar(db, "select min(from_ns) from journal_rows where machine = ?", machine)
    minute_ns = state.settled_ns - state.settled_ns % MINUTE_NS
    if state.settled_ns and first is not None and minute_ns > first:  # the journal's own first minute is not complete
        db.execute(
            "insert or replace into journal_checkpoints values (?, ?, ?)",
            (machine, state.settled_ns, engine.dump(checkpoint(state))),
        )


def replace_checkpoints(db: sqlite3.Connection, machine: str, base_ns: int, recomputed: Recomputation) -> None:
    """Replaces the checkpoints later than `base_ns` by those of a correction that began there."""
    db.execute("delete from journal_checkpoints where machine = ? and settled_ns > ?", (machine, base_ns))
    for state in recomputed.checkpoints:
        add_checkpoint(db, machine, state)


def replace_rows(db: sqlite3.Connection, machine: str, base_ns: int, spans: Iterable[Delta]) -> None:
    """Replaces the spans that end after `base_ns` by the same rows with corrected times."""
    later = "from journal_rows where machine = ? and until_ns > ?"
    tags = db.execute(f"select tags {later} order by from_ns", (machine, base_ns)).fetchall()
    db.execute(f"delete {later}", (machine, base_ns))
    db.executemany(
        "insert or replace into journal_rows values (?, ?, ?, ?, ?)",
        [
            (machine, span.from_ns, span.until_ns, text, pack_rows(span.samples or {}))
            for span, (text,) in zip(spans, tags, strict=True)
        ],
    )
