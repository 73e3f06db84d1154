"""Declarations: what people say about a machine, an input like samples.

A declaration is never changed or deleted: a later one supersedes it, so that a
replay sees what everybody knew in the end, and an audit sees who said what when.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Field = Literal["reason", "state", "product", "order", "rejects", "rework", "planned_stop", "changeover"]


@dataclass(frozen=True)
class Declaration:
    """Somebody's word about `[start_ns, end_ns)` of one machine.

    id: unique for ever (who made it chooses it; a UUID will do).
    made_ns: when it was said; of two that overlap the later one wins.
    end_ns: None means until further notice (products, orders).
    value: reason key, state word, product key, order number, or a number of pieces
      as text for `rejects` and `rework`; "" takes an earlier statement back.
    product: for `rejects` and `rework`, the product meant; "" means all of the period.
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
    """What still stands: without repeated ids and superseded ones, in the order in which they were made."""
    by_id = {item.id: item for item in declarations}
    replaced = {item.supersedes for item in by_id.values() if item.supersedes}
    kept = (item for item in by_id.values() if item.id not in replaced)
    return tuple(sorted(kept, key=lambda item: (item.made_ns, item.id)))
