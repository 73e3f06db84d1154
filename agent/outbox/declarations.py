"""Declarations and requests to recompute, in the outbox's file. Functions run within the caller's transaction.

    declarations  no, id, machine, data  data: the declaration as JSON; id: its own, so that a repetition counts once.
                  source                 source: `gateway` or `center`
                  state, why             new: not decided yet; done: the numbers follow it; refused: `why` is the reason
    recomputes    machine, from_ns       machines whose past is to be computed again from `from_ns` on
                  state, why, asked_ns   new, done or refused
                  base_ns                where the computation began, or null

`nhip declare` and `nhip recompute` add rows here while the agent runs, each in a short transaction of its own; the
agent polls them every second. So a declaration is on disk when the command returns, whether or not an agent runs, nothing
listens on a port, and whoever may write the file may declare. Only the state of a row ever changes; rows are kept a year.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from oee.model.declarations import Declaration

KEEP_NS: Final = 366 * 86_400_000_000_000
SCHEMA: Final = """
create table if not exists declarations (no integer primary key, id text not null unique, machine text not null,
    made_ns integer not null, data text not null, source text not null, state text not null default 'new',
    why text not null default '');
create index if not exists declarations_new on declarations (state) where state = 'new';
create table if not exists recomputes (machine text primary key, from_ns integer not null, asked_ns integer not null,
    state text not null default 'new', why text not null default '', base_ns integer) without rowid;
"""
_UNTIL_FURTHER_NOTICE: Final = (
    "json_extract(data, '$.end_ns') is null and json_extract(data, '$.field') in ('product', 'order')"
)
Source = Literal["gateway", "center"]


@dataclass(frozen=True)
class StoredDeclaration:
    """A declaration and its outcome. state: new, done or refused; why: "" or the reason of the refusal."""

    declaration: Declaration
    source: str
    state: str
    why: str


@dataclass(frozen=True)
class RecomputeRequest:
    """A request to compute a machine again, from `from_ns` on. state, why: as of declarations; asked_ns: when it was made;
    base_ns: where the computation began.
    """

    machine: str
    from_ns: int
    asked_ns: int
    state: str
    why: str
    base_ns: int | None


def add(db: sqlite3.Connection, declarations: Iterable[Declaration], source: Source) -> int:
    """Adds declarations that are not there yet; returns how many."""
    count = 0
    for item in declarations:
        count += db.execute(
            "insert or ignore into declarations (id, machine, made_ns, data, source) values (?, ?, ?, ?, ?)",
            (item.id, item.machine, item.made_ns, json.dumps(asdict(item), ensure_ascii=False), source),
        ).rowcount
    return count


def undecided(db: sqlite3.Connection) -> list[Declaration]:
    """Declarations that are not decided yet, in the order in which they came."""
    return [item.declaration for item in _records(db, "where state = 'new' order by no")]


def followed(db: sqlite3.Connection, machine: str) -> list[Declaration]:
    """The declarations that the machine's numbers follow, replaced ones too."""
    return [item.declaration for item in _records(db, "where machine = ? and state = 'done' order by no", machine)]


def standing_since(db: sqlite3.Connection, machine: str, made_ns: int) -> list[Declaration]:
    """The machine's declarations made from then on that were not refused, decided or not, in the order in which they came."""
    rows = _records(db, "where machine = ? and made_ns >= ? and state != 'refused' order by no", machine, made_ns)
    return [item.declaration for item in rows]


def outcomes(db: sqlite3.Connection, ids: Sequence[str]) -> dict[str, str]:
    """The outcomes of those of these ids that are decided: "" if the numbers follow, else why not."""
    marks = ", ".join("?" * len(ids))
    rows = db.execute(f"select id, why from declarations where state != 'new' and id in ({marks})", ids)  # noqa: S608
    return dict(rows.fetchall())


def latest(db: sqlite3.Connection, limit: int) -> list[StoredDeclaration]:
    """The latest declarations, newest first."""
    return _records(db, "order by no desc limit ?", limit)


def _records(db: sqlite3.Connection, clauses: str, *values: object) -> list[StoredDeclaration]:
    rows = db.execute(f"select data, source, state, why from declarations {clauses}", values)  # noqa: S608  # constants
    return [StoredDeclaration(Declaration(**json.loads(data)), *more) for data, *more in rows.fetchall()]


def all_rows(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """All rows, oldest first, for `adopt`."""
    return db.execute("select id, machine, made_ns, data, source, state, why from declarations order by no").fetchall()


def adopt(db: sqlite3.Connection, rows: Iterable[tuple[Any, ...]]) -> None:
    """Adds rows of another file (`all_rows`)."""
    db.executemany(
        "insert or ignore into declarations (id, machine, made_ns, data, source, state, why) values (?, ?, ?, ?, ?, ?, ?)",
        rows,
    )


def decide(db: sqlite3.Connection, outcome: Iterable[tuple[str, str]]) -> None:
    """Stores the outcomes of declarations: (id, "" or why it was refused)."""
    db.executemany(
        "update declarations set state = ?, why = ? where id = ?",
        [("refused" if why else "done", why, declaration_id) for declaration_id, why in outcome],
    )


def follow_again(db: sqlite3.Connection, machine: str = "") -> None:
    """Marks declarations that hold until further notice as new again, after the engine states started over. machine: ""
    for all.
    """
    db.execute(
        f"update declarations set state = 'new' where state = 'done' and {_UNTIL_FURTHER_NOTICE} and ? in ('', machine)",  # noqa: S608
        (machine,),
    )


def prune(db: sqlite3.Connection, now_ns: int) -> None:
    """Deletes decided declarations older than `KEEP_NS`, unless they hold until further notice."""
    db.execute(
        f"delete from declarations where state != 'new' and made_ns < ? and not ({_UNTIL_FURTHER_NOTICE})",  # noqa: S608
        (now_ns - KEEP_NS,),
    )


def request_recompute(db: sqlite3.Connection, machines: Iterable[str], from_ns: int, now_ns: int) -> None:
    """Requests that these machines are computed again."""
    db.executemany(
        "insert or replace into recomputes (machine, from_ns, asked_ns) values (?, ?, ?)",
        [(name, from_ns, now_ns) for name in machines],
    )


def recompute_requests(db: sqlite3.Connection) -> list[RecomputeRequest]:
    """All requests, done or not."""
    rows = db.execute(
        "select machine, from_ns, asked_ns, state, why, base_ns from recomputes order by machine"
    ).fetchall()
    return [RecomputeRequest(*row) for row in rows]


def decide_recompute(
    db: sqlite3.Connection, request: RecomputeRequest, why: str = "", base_ns: int | None = None
) -> None:
    """Stores the outcome of a request, and where the computation began; a newer request for the machine stays pending."""
    db.execute(
        "update recomputes set state = ?, why = ?, base_ns = ? where machine = ? and asked_ns = ?",
        ("refused" if why else "done", why, base_ns, request.machine, request.asked_ns),
    )
