"""Copies a center's facts and books into another store, and proves that every sum arrived.

Rows keep their identity (stream, machine, minute, n), so that a copy that was broken off is simply begun again, and
what gateways send again afterwards still falls on what was copied. The books come last: until they are there the
target believes that nothing was settled. The source must not be running meanwhile.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from center.contract.ledger import Changes, Ledger, QuarantinedPayload
from center.contract.store import Marked, Movable, Query, RowBatch, Store
from center.runtime.opening import close_center, open_center, where_books_are
from center.runtime.state import STORED, CenterState
from config import load_center
from config.center import StoreModel
from oee.model.facts import MINUTE_NS, Facts, Losses

_HOUR_NS: Final = 60 * MINUTE_NS
_STEPS_NS: Final = (_HOUR_NS, 7 * 24 * _HOUR_NS)
_ROWS: Final = (20_000, 100_000)
"""A step that brought fewer rows is followed by one twice as long, one that brought more by half."""
_QUARANTINE: Final = 1_000_000


class CannotMigrate(Exception):
    """One of the two centers is not fit for a copy; the message says what to do."""


@dataclass
class MigrationReport:
    """What was copied. differences: sums that are not the same in both stores; empty if all is well."""

    facts: int = 0
    losses: int = 0
    stops: int = 0
    values: int = 0
    months: int = 0
    differences: list[str] = field(default_factory=list)


Tell = Callable[[str, float], None]
"""Told the site, or "books", and how much of it is done [1]."""


def migrate(source: Store, target: Store, books: Ledger, books_to: Ledger | None, tell: Tell) -> MigrationReport:
    """Copies everything and compares. books_to: None if both centers share their books.

    Raises `CannotMigrate`, `StoreUnavailable` or `StoreRefused`; begun again it goes on without harm.
    """
    if not isinstance(source, Movable) or not isinstance(target, Movable):
        raise CannotMigrate("one of these stores cannot give its rows out")
    if books_to:
        _must_be_empty(books_to)
    out = MigrationReport()
    extent = source.extent()
    for site, window in extent.items():
        for done, batches in _steps(source, site, window):
            target.write(batches)
            for batch in batches:
                out.facts += len(batch.facts)
                out.losses += len(batch.losses)
                out.stops += len(batch.stops)
                out.values += len(batch.values)
            tell(site, done)
    for site, window in extent.items():
        _compare(source, target, site, window, out)
    if not out.differences:
        streams = books.remember().streams
        if isinstance(target, Marked):
            target.settle({key: state.marks for key, state in streams.items() if state.kind in STORED})
        if books_to:
            _copy_books(books, books_to)
        tell("books", 1.0)
    return out


def between(source_file: Path, target_file: Path, tell: Tell) -> MigrationReport:
    """The same for two centers' files. Where both name one store and other books, the books alone are copied.

    Raises `Misconfigured` too.
    """
    files = load_center(source_file), load_center(target_file)
    books = [where_books_are(file) for file in files]
    one_store = _same_store(files[0].store, files[1].store)
    if one_store and books[0] == books[1]:
        raise CannotMigrate(f"{source_file} and {target_file} name the same store")
    opened: list[CenterState] = []
    try:
        opened += [open_center(files[0])]
        opened += [open_center(files[1])]
        source, target = opened
        if one_store:
            _must_be_empty(target.ledger)
            _copy_books(source.ledger, target.ledger)
            tell("books", 1.0)
            return MigrationReport()
        books_to = None if books[0] and books[0] == books[1] else target.ledger
        return migrate(source.store, target.store, source.ledger, books_to, tell)
    finally:
        for center in opened:
            close_center(center)


def _same_store(one: StoreModel, other: StoreModel) -> bool:
    mine, theirs = (
        {key: value for key, value in store.options.items() if key not in ("books", "cache")} for store in (one, other)
    )
    return (one.kind, mine) == (other.kind, theirs)


def _must_be_empty(books: Ledger) -> None:
    if books.remember().streams:
        raise CannotMigrate(
            "the target's books already know streams of gateways: a center has run on it; take an empty one"
        )


def _steps(source: Movable, site: str, window: tuple[int, int]) -> Iterator[tuple[float, list[RowBatch]]]:
    start_ns, end_ns = window
    position, step_ns = start_ns, _STEPS_NS[0]
    while position < end_ns:
        until = min(position + step_ns, end_ns)
        batches = list(source.rows(site, position, until))
        rows = sum(len(batch.facts) + len(batch.losses) + len(batch.values) for batch in batches)
        if rows < _ROWS[0]:
            step_ns = min(step_ns * 2, _STEPS_NS[1])
        elif rows > _ROWS[1]:
            step_ns = max(step_ns // 2 // MINUTE_NS * MINUTE_NS, MINUTE_NS)
        position = until
        yield (position - start_ns) / (end_ns - start_ns), batches


def _compare(source: Store, target: Store, site: str, window: tuple[int, int], out: MigrationReport) -> None:
    by = ("machine", "calendar", "shift", "product")
    query = Query(site, *window, bucket="month", by=by)
    losses = Query(site, *window, bucket="month", by=(*by, "state", "reason"))
    pairs = (
        ("facts", _sums(source.facts(query), by), _sums(target.facts(query), by)),
        ("losses", _sums(source.losses(losses), losses.by), _sums(target.losses(losses), losses.by)),
    )
    for what, there, here in pairs:
        out.months += len({(key[0], key[1]) for key in there}) if what == "facts" else 0
        for key in sorted({*there, *here}, key=str):
            if there.get(key) != here.get(key):
                out.differences.append(f"{what} of {site}: {key}: {there.get(key)} there, {here.get(key)} here")
    stops = [sorted(store.stops(site, (), *window), key=repr) for store in (source, target)]
    if stops[0] != stops[1]:
        out.differences.append(f"stops of {site}: {len(stops[0])} there, {len(stops[1])} here, or not the same ones")


def _sums(table: Facts | Losses, by: Sequence[str]) -> dict[tuple[object, ...], tuple[int, ...]]:
    names = ("minute_ns", *by)
    keys = zip(*(getattr(table, name).tolist() for name in names), strict=True)
    return {key: tuple(row) for key, row in zip(keys, table.sums.tolist(), strict=True) if any(row)}


def _copy_books(source: Ledger, target: Ledger) -> None:
    """Ledger, digests, owners, sites and quarantine, under the same generation: gateways notice nothing."""
    found = source.remember()
    rows, _ = source.quarantined("", _QUARANTINE)
    kept: list[QuarantinedPayload] = [entry for row in reversed(rows) if (entry := source.payload(row.id)) is not None]
    digests = {(key, seq): digest for key, known in found.digests.items() for seq, digest in known.items()}
    changes = Changes(found.streams, digests, list(found.owners.values()), found.sites, kept, found.generation)
    target.commit((), changes)
