"""`declarations.csv`: declarations of people, as `oee.model.declarations`.

Columns id, made, machine, start, end, field, value, who, product, supersedes, in any order; machine, start, field and
value are required. Without `made` a later line counts as made later; without `end` it holds until further notice. With
`stop` as its end a reason, a state or a planned stop holds until the standstill ends in which it begins.
"""

import csv
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Final, get_args
from zoneinfo import ZoneInfo

from config import Site
from oee.model.declarations import CLASSIFYING, Declaration, Field, effective
from oee.model.machine import Machine
from oee.model.states import STATE_BY_WORD, State
from replay.read.conflicts import Conflicts
from replay.read.times import parse

FILE: Final = "declarations.csv"
_COLUMNS: Final = tuple(item.name.removesuffix("_ns") for item in fields(Declaration))
_REQUIRED: Final = ("machine", "start", "field", "value")
_FIELDS: Final = get_args(Field)
_OPEN_ENDED: Final = ("product", "order")
_FAR_NS: Final = 2**62
_WITH_THE_STOP: Final = "stop"


def read(
    folder: Path, site: Site, machines: Mapping[str, Machine], zone: ZoneInfo, conflicts: Conflicts
) -> dict[str, tuple[Declaration, ...]]:
    """The declarations by machine; empty without such a file. What is invalid is left out and reported."""
    path = folder / FILE
    if not path.exists():
        return {}
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    head = text.partition("\n")[0]
    rows = csv.DictReader(text.splitlines(), delimiter=";" if head.count(";") > head.count(",") else ",")
    names = [name.strip() for name in rows.fieldnames or []]
    rows.fieldnames = names
    for name in names:
        if name not in _COLUMNS:
            conflicts.add(FILE, 1, "unknown_column", name, near="", device=FILE)
    missing = [name for name in _REQUIRED if name not in names]
    if missing:
        conflicts.add(FILE, 1, "missing_column", ", ".join(missing), machines="")
        return {}
    by_machine: dict[str, list[tuple[int, Declaration]]] = {}
    latest_ns = 0
    for row in rows:
        line = rows.line_num
        declaration = _declaration(
            {name: (row.get(name) or "").strip() for name in _COLUMNS}, line, latest_ns, zone, conflicts
        )
        if declaration is None or not _known(declaration, line, site, machines, conflicts):
            continue
        latest_ns = declaration.made_ns
        by_machine.setdefault(declaration.machine, []).append((line, declaration))
    for declared in by_machine.values():
        _overlaps(declared, conflicts)
    return {machine: tuple(declaration for _, declaration in declared) for machine, declared in by_machine.items()}


def _declaration(
    row: Mapping[str, str], line: int, latest_ns: int, zone: ZoneInfo, conflicts: Conflicts
) -> Declaration | None:
    classifies = row["field"] in CLASSIFYING
    with_the_stop = classifies and row["end"] == _WITH_THE_STOP
    row = {**row, "end": ""} if with_the_stop else row
    times: dict[str, int | None] = {}
    for name in ("made", "start", "end"):
        try:
            times[name] = parse(row[name], zone).t_ns if row[name] else None
        except (ValueError, OverflowError):
            conflicts.add(FILE, line, "no_time", name, row[name])
            return None
    start_ns, end_ns = times["start"], times["end"]
    if start_ns is None:
        conflicts.add(FILE, line, "no_time", "start", row["start"])
        return None
    if end_ns is not None and end_ns <= start_ns:
        conflicts.add(FILE, line, "end_before_start", "end", row["end"], start=row["start"])
        return None
    if row["field"] not in _FIELDS:
        conflicts.add(FILE, line, "unknown_field", "field", row["field"], fields=", ".join(_FIELDS))
        return None
    made_ns = times["made"]
    return Declaration(
        row["id"] or f"line-{line:06}",
        latest_ns + 1 if made_ns is None else made_ns,
        row["machine"],
        start_ns,
        _FAR_NS if end_ns is None and classifies and not with_the_stop else end_ns,
        row["field"],  # type: ignore[arg-type]  # one of the literal's, just checked
        row["value"],
        row["who"] or "declared",
        row["product"],
        row["supersedes"],
    )


def _known(item: Declaration, line: int, site: Site, machines: Mapping[str, Machine], conflicts: Conflicts) -> bool:
    """Whether machine and value exist. An unknown reason or product is reported and used as written."""
    if item.machine not in machines:
        conflicts.add(FILE, line, "unknown_machine", "machine", item.machine, machines=", ".join(machines))
        return False
    states = [word for word, state in STATE_BY_WORD.items() if state is not State.MINOR_STOP]
    if item.field == "state" and item.value not in states:
        conflicts.add(FILE, line, "unknown_state", "value", item.value, states=", ".join(states))
        return False
    if item.field in ("rejects", "rework") and not item.value.isdigit() and item.value:
        conflicts.add(FILE, line, "no_count", "value", item.value)
        return False
    if item.field == "reason" and item.value and item.value not in site.reasons:
        conflicts.add(FILE, line, "unknown_reason", "value", item.value, reasons=", ".join(site.reasons))
    if item.field == "product" and item.value and item.value not in site.products:
        conflicts.add(FILE, line, "unknown_product", "value", item.value, products=", ".join(site.products))
    return True


def _overlaps(items: list[tuple[int, Declaration]], conflicts: Conflicts) -> None:
    """Reports two declarations of the same time and field of which neither replaces the other: the later one wins.

    A product or order without an end gives way to the next one; that is how they are declared.
    """
    standing = {item.id for item in effective(item for _, item in items)}
    latest: dict[tuple[str, str], Declaration] = {}
    for line, item in sorted(items, key=lambda pair: pair[1].start_ns):
        if item.id not in standing or not item.value:
            continue
        key = (item.field, item.product)
        before = latest.get(key)
        if before is not None and not _gives_way(before, item) and item.start_ns < _end_ns(before):
            conflicts.add(FILE, line, "overlap", item.field, item.value, other=before.value, machine=item.machine)
        if before is None or _gives_way(before, item) or _end_ns(item) >= _end_ns(before):
            latest[key] = item


def _gives_way(one: Declaration, other: Declaration) -> bool:
    return one.end_ns is None and one.start_ns != other.start_ns and one.field in (*_OPEN_ENDED, *CLASSIFYING)


def _end_ns(item: Declaration) -> int:
    return _FAR_NS if item.end_ns is None else item.end_ns
