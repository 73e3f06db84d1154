"""Copies a center's rows and ledger into another store, and verifies that every sum arrived.

Rows keep their identity (stream, machine, minute, n), so an interrupted copy can simply be started again, and what
gateways send again afterwards does not count twice. The ledger comes last: until then nothing is settled in the target.
The source must not be running meanwhile.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from center.contract.ledger import Changes, Ledger, QuarantinedPayload
from center.contract.store import Exportable, KeepsCycles, KeepsMarks, Query, RowBatch, StopQuery, Store
from center.runtime.opening import close_center, ledger_location, open_center
from center.runtime.state import STORED, CenterState
from config import load_center
from config.center import StoreModel
from oee.model.facts import HOUR_NS, MINUTE_NS, Facts, Losses

_STEPS_NS: Final = (HOUR_NS, 7 * 24 * HOUR_NS)
_ROWS: Final = (20_000, 100_000)
"""After a step with fewer rows the next one is twice as long, after one with more rows half as long."""
_QUARANTINE: Final = 1_000_000


class CannotMigrate(Exception):
    """One of the two centers does not allow a copy; the message says what to do."""


@dataclass
class MigrationReport:
    """What was copied. differences: sums that differ between the two stores; empty if the copy is complete."""

    facts: int = 0
    losses: int = 0
    stops: int = 0
    values: int = 0
    months: int = 0
    differences: list[str] = field(default_factory=list)


Progress = Callable[[str, float], None]
"""Called with the site, or "books" for the ledger, and its progress [1]."""


def migrate(
    source: Store, target: Store, ledger: Ledger, ledger_to: Ledger | None, progress: Progress
) -> MigrationReport:
    """Copies everything and compares. ledger_to: None if both centers share their ledger.

    Raises `CannotMigrate`, `StoreUnavailable` or `StoreRefused`; it can be started again safely.
    """
    if not isinstance(source, Exportable) or not isinstance(target, Exportable):
        raise CannotMigrate("one of these stores cannot export its rows")
    if ledger_to:
        _must_be_empty(ledger_to)
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
            progress(site, done)
    for site, window in extent.items():
        _compare(source, target, site, window, out)
    if not out.differences:
        streams = ledger.load().streams
        if isinstance(target, KeepsMarks):
            target.marks.save({key: state.marks for key, state in streams.items() if state.kind in STORED})
        if ledger_to:
            _copy_ledger(ledger, ledger_to)
        progress("books", 1.0)
    return out


def between(source_file: Path, target_file: Path, progress: Progress) -> MigrationReport:
    """The same for two centers' files. Where both name the same store but different ledgers, only the ledger is copied.

    Raises `Misconfigured` too.
    """
    files = load_center(source_file), load_center(target_file)
    ledgers = [ledger_location(file) for file in files]
    one_store = _same_store(files[0].store, files[1].store)
    if one_store and ledgers[0] == ledgers[1]:
        raise CannotMigrate(f"{source_file} and {target_file} name the same store")
    opened: list[CenterState] = []
    try:
        opened += [open_center(files[0])]
        opened += [open_center(files[1])]
        source, target = opened
        if one_store:
            _must_be_empty(target.ledger)
            _copy_ledger(source.ledger, target.ledger)
            progress("books", 1.0)
            return MigrationReport()
        ledger_to = None if ledgers[0] and ledgers[0] == ledgers[1] else target.ledger
        return migrate(source.store, target.store, source.ledger, ledger_to, progress)
    finally:
        for center in opened:
            close_center(center)


def _same_store(one: StoreModel, other: StoreModel) -> bool:
    options, other_options = (
        {key: value for key, value in store.options.items() if key not in ("books", "cache")} for store in (one, other)
    )
    return (one.kind, options) == (other.kind, other_options)


def _must_be_empty(ledger: Ledger) -> None:
    if ledger.load().streams:
        raise CannotMigrate(
            "the target is in use: its ledger and digests already know streams of gateways; choose an empty target"
        )


def _steps(source: Exportable, site: str, window: tuple[int, int]) -> Iterator[tuple[float, list[RowBatch]]]:
    start_ns, end_ns = window
    position, step_ns = start_ns, _STEPS_NS[0]
    while position < end_ns:
        until = min(position + step_ns, end_ns)
        batches = list(source.rows(site, position, until))
        rows = sum(len(batch.facts) + len(batch.losses) + len(batch.values) + len(batch.cycles) for batch in batches)
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
    for what, source_sums, target_sums in pairs:
        out.months += len({(key[0], key[1]) for key in source_sums}) if what == "facts" else 0
        for key in sorted({*source_sums, *target_sums}, key=str):
            if source_sums.get(key) != target_sums.get(key):
                out.differences.append(
                    f"{what} of {site}: {key}: {source_sums.get(key)} in the source, {target_sums.get(key)} in the target"
                )
    if isinstance(source, KeepsCycles) and isinstance(target, KeepsCycles):
        one, other = (_histograms(store, site, window) for store in (source, target))
        out.differences += [f"cycles of {site}: {row}" for row in sorted(one ^ other, key=str)]
    stops = [sorted(store.stops(StopQuery(site, *window)).stops, key=repr) for store in (source, target)]
    if stops[0] != stops[1]:
        out.differences.append(
            f"stops of {site}: {len(stops[0])} in the source, {len(stops[1])} in the target, or different ones"
        )


def _histograms(store: KeepsCycles, site: str, window: tuple[int, int]) -> set[tuple[object, ...]]:
    found = store.cycles(site, window[0] // HOUR_NS * HOUR_NS, window[1])
    names = ("machine", "business_date", "shift", "product", "bin", "cycles")
    return set(zip(*(getattr(found, name).tolist() for name in names), strict=True))


def _sums(table: Facts | Losses, by: Sequence[str]) -> dict[tuple[object, ...], tuple[int, ...]]:
    names = ("minute_ns", *by)
    keys = zip(*(getattr(table, name).tolist() for name in names), strict=True)
    return {key: tuple(row) for key, row in zip(keys, table.sums.tolist(), strict=True) if any(row)}


def _copy_ledger(source: Ledger, target: Ledger) -> None:
    """Everything, under the same generation, so that gateways notice nothing."""
    snapshot = source.load()
    rows, _ = source.quarantined("", _QUARANTINE)
    quarantine: list[QuarantinedPayload] = [
        entry for row in reversed(rows) if (entry := source.payload(row.id)) is not None
    ]
    digests = {(key, seq): digest for key, by_seq in snapshot.digests.items() for seq, digest in by_seq.items()}
    changes = Changes(
        snapshot.streams, digests, list(snapshot.owners.values()), snapshot.sites, quarantine, snapshot.generation
    )
    target.commit(changes)
