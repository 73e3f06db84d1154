"""Declarations: statements of people about a machine, an input like samples. Pure.

A declaration is never changed or deleted; a later one supersedes it. So a replay uses the final statements, and an audit
sees who stated what when.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Field = Literal["reason", "state", "product", "order", "rejects", "rework", "planned_stop", "changeover"]


@dataclass(frozen=True)
class Declaration:
    """A statement of a person about `[start_ns, end_ns)` of one machine.

    id: unique for ever, chosen by whoever makes it (for example a UUID).
    made_ns: when it was made; of two that overlap the later one wins.
    end_ns: None means until further notice (products, orders).
    value: reason key, state word, product key, order number, or a number of pieces
      as text for `rejects` and `rework`; "" withdraws an earlier statement.
    product: for `rejects` and `rework`, the product concerned; "" means all of the period.
    supersedes: the id of the declaration that this one replaces, or "".
    """

    id: str
    made_ns: int
    machine: str
    start_ns: int
    end_ns: int | None
    field: Field
    value: str
    who: str = ""
    product: str = ""
    supersedes: str = ""


def effective(declarations: Iterable[Declaration]) -> tuple[Declaration, ...]:
    """The declarations in force: without repeated ids and superseded ones, in the order in which they were made."""
    by_id = {item.id: item for item in declarations}
    replaced = {item.supersedes for item in by_id.values() if item.supersedes}
    kept = (item for item in by_id.values() if item.id not in replaced)
    return tuple(sorted(kept, key=lambda item: (item.made_ns, item.id)))


ENTRIES = ("rejects", "rework")
"""Fields whose value is a number of pieces for a period."""


@dataclass(frozen=True)
class EntryConflict:
    """An entry that is not used. why: `overlaps` (it partly overlaps another entry, whose id is `other`), `not_a_number`,
    or `ends_before_start`."""

    declaration: Declaration
    why: str
    other: str = ""


def entries(declarations: Iterable[Declaration]) -> tuple[tuple[Declaration, ...], tuple[EntryConflict, ...]]:
    """The entries of rejects and rework in force, and those that are refused.

    An entry is the count of its period. A later one for the same product replaces earlier ones that lie inside its period;
    one that overlaps an earlier one in any other way is refused.
    """
    stand: list[Declaration] = []
    refused: list[EntryConflict] = []
    for item in effective(declarations):
        if item.field not in ENTRIES:
            continue
        if not item.value.strip().isdecimal():
            refused.append(EntryConflict(item, "not_a_number"))
            continue
        if item.end_ns is None or item.end_ns <= item.start_ns:
            refused.append(EntryConflict(item, "ends_before_start"))
            continue
        same = [other for other in stand if (other.field, other.machine) == (item.field, item.machine)]
        same = [other for other in same if not (item.product and other.product and item.product != other.product)]
        inside = [other for other in same if _inside(other, item) and other.product == item.product]
        across = [other for other in same if other not in inside and _overlap(other, item)]
        if across:
            refused.append(EntryConflict(item, "overlaps", across[0].id))
            continue
        stand = [other for other in stand if other not in inside]
        stand.append(item)
    return tuple(stand), tuple(refused)


def values_over_time(declarations: Iterable[Declaration], field: Field, start_ns: int) -> list[tuple[int, str]]:
    """A declared field over time from `start_ns` on: `(t_ns, value)` at each time at which it may change, "" where nothing
    is declared. Of several that are in force, the one made last."""
    said = [item for item in declarations if item.field == field]
    edges = sorted({start_ns, *(t for item in said for t in (item.start_ns, item.end_ns) if t and t > start_ns)})
    rows = []
    for edge in edges:
        holds = [item for item in said if item.start_ns <= edge and (item.end_ns is None or edge < item.end_ns)]
        rows.append((edge, holds[-1].value if holds else ""))
    return rows


def _inside(small: Declaration, large: Declaration) -> bool:
    assert small.end_ns is not None  # only entries with an end stand
    assert large.end_ns is not None
    return large.start_ns <= small.start_ns and small.end_ns <= large.end_ns


def _overlap(one: Declaration, two: Declaration) -> bool:
    assert one.end_ns is not None
    assert two.end_ns is not None
    return one.start_ns < two.end_ns and two.start_ns < one.end_ns
