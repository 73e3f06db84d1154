"""Whether an entry of rejects or rework can be right. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from oee.model.declarations import ENTRIES, is_count


@dataclass(frozen=True)
class MoreThanMade:
    """Pieces known to be made in an entry's period, and those that would be rejects or rework with it [pieces]."""

    made: int
    bad: int


def more_than_made(field: str, value: str, sums: Mapping[str, int]) -> MoreThanMade | None:
    """What is wrong with an entry of more rejects and rework than pieces: its quality would be negative. None where it can be.

    field, value: the declaration's; sums: of all time of its period and its product, by the names of `FACT_COLUMNS`. An
    entry replaces the count of its own field; the other field's stands. It is a question, no refusal: pieces may be known
    later than they are entered, or may have passed no counter.
    """
    if field not in ENTRIES or not is_count(value):
        return None
    made = sums.get("pieces_total", 0) + sums.get("pieces_unwatched", 0)
    others = ("pieces_rework",) if field == "rejects" else ("pieces_startup_reject", "pieces_process_reject")
    bad = int(value) + max(sum(sums.get(name, 0) for name in others), 0)
    return MoreThanMade(made, bad) if int(value) and bad > made else None
