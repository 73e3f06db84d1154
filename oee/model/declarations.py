"""Declarations: statements of people about a machine, an input like samples. Pure.

A declaration is never changed or deleted; a later one supersedes it. So a replay uses the final statements, and an audit
sees who stated what when.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

Field = Literal["reason", "state", "product", "order", "rejects", "rework", "planned_stop", "changeover"]


@dataclass(frozen=True)
class Declaration:
    """A statement of a person about `[start_ns, end_ns)` of one machine.

    id: unique for ever, chosen by whoever makes it (for example a UUID).
    made_ns: when it was made; of two that overlap the later one wins.
    end_ns: None means until further notice (products, orders), or until the standstill ends in which it begins
      (`CLASSIFYING` fields).
    value: reason key, state word, product key, order number, or a number of pieces
      as text for `rejects` and `rework`; "" withdraws an earlier statement, and with `supersedes` it does nothing else:
      what was stated about that time before holds again.
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


MOST_PIECES: Final = 1_000_000_000
"""More pieces than any entry can be about."""
_MOST_DIGITS: Final = 18
CLASSIFYING: Final = ("reason", "state", "planned_stop")
"""Fields that say what kind of standstill a time was."""


def is_count(text: str) -> bool:
    """Whether a text is a number of pieces: a whole number from 0 to `MOST_PIECES`."""
    digits = text.strip()
    return digits.isdecimal() and len(digits) <= _MOST_DIGITS and int(digits) <= MOST_PIECES


def concerns_later(item: Declaration, settled_ns: int) -> bool:
    """Whether a declaration may concern time from a settled time on. A standstill in which one without an end begins
    has ended by then: the machine ran at a settled time, or just ceased to.
    """
    if item.end_ns is None:
        return item.field not in CLASSIFYING or item.start_ns >= settled_ns
    return item.end_ns > settled_ns


def effective(declarations: Iterable[Declaration]) -> tuple[Declaration, ...]:
    """The declarations in force: without repeated ids, superseded ones and those that only withdraw another, in the order
    in which they were made.
    """
    by_id = {item.id: item for item in declarations}
    replaced = {item.supersedes for item in by_id.values() if item.supersedes}
    kept = (item for item in by_id.values() if item.id not in replaced and (item.value or not item.supersedes))
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
    accepted: list[Declaration] = []
    refused: list[EntryConflict] = []
    for entry in effective(declarations):
        if entry.field not in ENTRIES:
            continue
        if not is_count(entry.value):
            refused.append(EntryConflict(entry, "not_a_number"))
            continue
        if entry.end_ns is None or entry.end_ns <= entry.start_ns:
            refused.append(EntryConflict(entry, "ends_before_start"))
            continue
        comparable = [other for other in accepted if (other.field, other.machine) == (entry.field, entry.machine)]
        comparable = [
            other for other in comparable if not (entry.product and other.product and entry.product != other.product)
        ]
        replaced = [other for other in comparable if _inside(other, entry) and other.product == entry.product]
        overlapping = [other for other in comparable if other not in replaced and _overlap(other, entry)]
        if overlapping:
            refused.append(EntryConflict(entry, "overlaps", overlapping[0].id))
            continue
        accepted = [other for other in accepted if other not in replaced]
        accepted.append(entry)
    return tuple(accepted), tuple(refused)


def values_over_time(declarations: Iterable[Declaration], field: Field, start_ns: int) -> list[tuple[int, str]]:
    """A declared field over time from `start_ns` on: `(t_ns, value)` at each time at which it may change, "" where nothing
    is declared. Of several that are in force, the one made last."""
    of_field = [item for item in declarations if item.field == field]
    edges = sorted({start_ns, *(t for item in of_field for t in (item.start_ns, item.end_ns) if t and t > start_ns)})
    rows = []
    for edge in edges:
        in_force = [item for item in of_field if item.start_ns <= edge and (item.end_ns is None or edge < item.end_ns)]
        rows.append((edge, in_force[-1].value if in_force else ""))
    return rows


def _inside(small: Declaration, large: Declaration) -> bool:
    assert small.end_ns is not None  # only entries with an end stand
    assert large.end_ns is not None
    return large.start_ns <= small.start_ns and small.end_ns <= large.end_ns


def _overlap(one: Declaration, two: Declaration) -> bool:
    assert one.end_ns is not None
    assert two.end_ns is not None
    return one.start_ns < two.end_ns and two.start_ns < one.end_ns
