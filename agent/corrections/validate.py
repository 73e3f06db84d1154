"""Validates declarations. Pure: it is given the time.

A declaration is refused, and kept with the reason, if its machine is unknown, its fields are impossible, it overlaps an
accepted entry, or it reaches further back than the journal.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, get_args

from oee.model.declarations import CLASSIFYING, ENTRIES, Declaration, Field, entries, is_count
from oee.model.states import STATE_BY_WORD, State

_FIELDS: Final = get_args(Field)
_OPEN_ENDED: Final = ("product", "order", *CLASSIFYING)
_MOST_AHEAD_NS: Final = 366 * 86_400_000_000_000


def impossible(item: Declaration, machines: Mapping[str, object], now_ns: int) -> str:
    """Why this declaration can never be followed; "" if it can."""
    if item.machine not in machines:
        return f"unknown_machine {item.machine}"
    if item.field not in _FIELDS:
        return f"unknown_field {item.field}"
    if item.start_ns <= 0 or item.start_ns > now_ns + _MOST_AHEAD_NS:
        return "no_time"
    if item.end_ns is None and item.field not in _OPEN_ENDED:
        return "no_end"
    if item.end_ns is not None and item.end_ns <= item.start_ns:
        return "ends_before_start"
    if item.field in ENTRIES and item.value and not is_count(item.value):
        return "no_count"
    states = [word for word, state in STATE_BY_WORD.items() if state is not State.MINOR_STOP]
    if item.field == "state" and item.value and item.value not in states:
        return f"unknown_state {item.value}"
    return ""


def conflicting(known: Sequence[Declaration]) -> dict[str, str]:
    """The entries of rejects or rework among these declarations that conflict with others: reasons by id."""
    _, refused = entries(known)  # those without a value only retract and cannot conflict
    return {
        refusal.declaration.id: f"{refusal.why} {refusal.other}".strip()
        for refusal in refused
        if refusal.declaration.value
    }


def too_old(earliest_ns: int | None) -> str:
    """The reason for refusing what reaches further back than the journal. earliest_ns: the earliest time that can be
    corrected, None if there is none.
    """
    if earliest_ns is None:
        return "too_old"
    return f"too_old {datetime.fromtimestamp(earliest_ns / 1e9, UTC).isoformat(timespec='seconds')}"
