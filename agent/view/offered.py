"""What the outbox has offered since a time, added up: facts and losses by shift and product, and the stops.

The outbox keeps its envelopes for weeks, receipted or not, and facts and corrections alike are differences, so that
adding up what was sealed since a shift began gives the shift's sums as of the last commit, center or not.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from oee.engine import step as engine
from oee.model.facts import FACT_COLUMNS, MINUTE_NS, NO_FACTS, NO_LOSSES, Facts, Losses, Stop, add_up, select
from wire.bodies import read_facts_body
from wire.envelope import decode_content, open_envelope

_OLDER: Final = 200
"""So many envelopes in a row that were sealed earlier show that all before them were: a corrected clock may have gone back."""
_AT_ONCE: Final = 400


@dataclass(frozen=True)
class Beginning:
    """When a machine entered the outbox. described_ns: from when the earliest site description on disk that names it is
    valid; other_ns: the earliest sign of the gateway without it: an older description, or an envelope sealed before any.
    """

    described_ns: int
    other_ns: int

    def watched_from(self, start_ns: int) -> int:
        """From when the machine was watched, of a time that begins at `start_ns` [ns]. A gateway that had been at work by
        then should have watched from the start; where it did not, that time is unknown.
        """
        if self.described_ns <= start_ns:
            return start_ns
        return self.described_ns if self.other_ns == 0 or self.other_ns > start_ns else start_ns


class Offered:
    """Sums of what was sealed since `since_ns` [ns UTC]; `read` continues where the last call ended.

    facts, losses: without minutes (`minute_ns` is 0), by machine, business date, shift, product and calendar class.
    stops: by machine and id, each as last sent, gone ones left out.
    """

    def __init__(self, since_ns: int) -> None:
        self.since_ns = since_ns
        self.facts: Facts = NO_FACTS
        self.losses: Losses = NO_LOSSES
        self.stops: dict[tuple[str, str], Stop] = {}
        self._last = -1

    def read(self, db: sqlite3.Connection) -> None:
        """Adds what was sealed since the last call. Raises `wire.envelope.Unsound` for an envelope that cannot be read."""
        if self._last < 0:
            self._last = _first_since(db, self.since_ns) - 1
        facts, losses = [self.facts], [self.losses]
        for number, data in _facts_after(db, self._last):
            body = decode_content(open_envelope(data))
            self._last = number
            if "dropped" in body:
                continue
            more_facts, more_losses, stops = read_facts_body(body)
            facts.append(replace(more_facts, minute_ns=np.zeros(len(more_facts), np.int64)))
            losses.append(replace(more_losses, minute_ns=np.zeros(len(more_losses), np.int64)))
            self._add_stops(stops)
            if len(facts) > _AT_ONCE:
                facts, losses = [add_up(facts)], [add_up(losses)]
        if len(facts) > 1:
            self.facts, self.losses = add_up(facts), add_up(losses)

    def facts_of(self, machine: str) -> Facts:
        """One machine's facts."""
        return select(self.facts, self.facts.machine == machine)

    def losses_of(self, machine: str) -> Losses:
        """One machine's losses."""
        return select(self.losses, self.losses.machine == machine)

    def stops_of(self, machine: str) -> list[Stop]:
        """One machine's stops, in order of time."""
        own = [stop for (name, _), stop in self.stops.items() if name == machine and stop.end_ns != stop.start_ns]
        return sorted(own, key=lambda stop: stop.start_ns)

    def _add_stops(self, stops: list[Stop]) -> None:
        for stop in stops:
            known = self.stops.get((stop.machine, stop.id))
            if known is None or stop.revision >= known.revision:
                self.stops[stop.machine, stop.id] = stop


def _first_since(db: sqlite3.Connection, since_ns: int) -> int:
    """The row id of the first envelope sealed at or after a time; one after the last if there is none."""
    first: int = (db.execute("select max(id) from envelopes").fetchone()[0] or 0) + 1
    older = 0
    for number, sealed_ns in db.execute("select id, sealed_ns from envelopes order by id desc"):
        older = older + 1 if sealed_ns < since_ns else 0
        if older > _OLDER:
            break
        first = first if older else number
    return first


def _facts_after(db: sqlite3.Connection, last: int) -> Iterator[tuple[int, bytes]]:
    yield from db.execute(
        "select e.id, e.data from envelopes e join streams s on s.no = e.stream "
        "where s.kind = 'facts' and s.current >= 0 and e.id > ? order by e.id",
        (last,),
    )


def sums_between(db: sqlite3.Connection, machine: str, start_ns: int, end_ns: int, product: str = "") -> dict[str, int]:
    """What a machine's facts add up to over the minutes that `[start_ns, end_ns)` touches, in every calendar class, by
    column; product: "" for all. Minutes that no commit has reached are missing.
    """
    sums = np.zeros(len(FACT_COLUMNS), np.int64)
    for _, data in _facts_after(db, _first_since(db, start_ns) - 1):
        body = decode_content(open_envelope(data))
        if "dropped" in body:
            continue
        facts, _losses, _stops = read_facts_body(body)
        wanted = (facts.machine == machine) & (facts.minute_ns + MINUTE_NS > start_ns) & (facts.minute_ns < end_ns)
        if product:
            wanted &= facts.product == product
        sums += facts.sums[wanted].sum(axis=0)
    return dict(zip(FACT_COLUMNS, sums.tolist(), strict=True))


def beginnings(db: sqlite3.Connection) -> dict[str, Beginning]:
    """When each machine entered the outbox, by the descriptions of the site on disk."""
    first = db.execute("select sealed_ns from envelopes order by id limit 1").fetchone()
    bodies = [
        decode_content(open_envelope(data))
        for (data,) in db.execute(
            "select e.data from envelopes e join streams s on s.no = e.stream where s.kind = 'site' order by e.id"
        )
    ]
    named = [(int(body["valid_from_ns"]), set(body["machines"])) for body in bodies if "machines" in body]
    out = {}
    for name in set().union(*(machines for _, machines in named)):
        described_ns = min(valid_ns for valid_ns, machines in named if name in machines)
        others = [valid_ns for valid_ns, machines in named if name not in machines]
        others += [first[0]] if first[0] < min(valid_ns for valid_ns, _ in named) else []
        out[name] = Beginning(described_ns, min(others, default=0))
    return out


def stops_between(db: sqlite3.Connection, machine: str, start_ns: int, end_ns: int) -> list[Stop]:
    """A machine's stops that reach into `[start_ns, end_ns)`, in order of time; one that goes on is among them."""
    offered = Offered(start_ns)
    offered.read(db)
    carry = db.execute("select data from carry where machine = ?", (machine,)).fetchone()
    still_open = engine.load(carry[0]).baseline.stops.values() if carry else ()
    found = {stop.id: stop for stop in still_open} | {stop.id: stop for stop in offered.stops_of(machine)}
    within = (stop for stop in found.values() if stop.start_ns < end_ns and (stop.end_ns or end_ns) > start_ns)
    return sorted(within, key=lambda stop: stop.start_ns)
