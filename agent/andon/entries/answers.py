"""Answers to questions about stops: which stands, in what order reasons are offered, how a stop is split. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from agent.outbox.entries import AndonEntry
from oee.model.declarations import Declaration
from oee.model.facts import MS_NS, Stop

ANSWERS: Final = ("reason", "state")
"""Kinds of entries that answer a question."""


def standing(entries: Iterable[AndonEntry]) -> list[AndonEntry]:
    """The entries that nobody took back, and that did not come too late (`overtaken`), in the order in which they came."""
    kept = list(entries)
    wrong = {entry.data["entry"] for entry in kept if entry.kind == "take_back"}
    return [entry for entry in kept if entry.id not in wrong and not entry.data.get("overtaken")]


def answers(entries: Iterable[AndonEntry]) -> dict[int, AndonEntry]:
    """The answer that stands for each stop, by the stop's start [ms]: the last one."""
    return {int(entry.data["stop_ms"]): entry for entry in standing(entries) if entry.kind in ANSWERS}


def seen(stop: Stop | None, answer: AndonEntry | None) -> str:
    """What a tablet that shows this stop and answer has seen; an answer of one that has seen something else is too late."""
    if answer is not None:
        return answer.id
    return f"={stop.reason}" if stop is not None and stop.reason else ""


def reasons_by_use(reasons: Sequence[str], entries: Iterable[AndonEntry]) -> list[str]:
    """The reasons, those given most often first; of equal ones those in front that stand so in the file."""
    uses: Counter[str] = Counter()
    for entry in standing(entries):
        if entry.kind == "reason":
            uses.update(str(part["reason"]) for part in entry.data["parts"])
    return sorted(reasons, key=lambda reason: (-uses[reason], reasons.index(reason)))


def split(
    stop_ms: int, parts: Sequence[dict[str, Any]], end_ns: int | None, latest_ns: int
) -> list[tuple[int, int | None, str]]:
    """The parts of a stop as `(start, end, reason)` [ns], the last to `end_ns`, None while the stop lasts.

    latest_ns: where no part can begin later. Raises `ValueError` unless each part ends after it begins, within the stop.
    """
    out: list[tuple[int, int | None, str]] = []
    begin_ns = stop_ms * MS_NS
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        until_ns = end_ns if last else part.get("until_ms") and int(part["until_ms"]) * MS_NS
        limit_ns = latest_ns if end_ns is None else end_ns
        if not last and (until_ns is None or not begin_ns < until_ns < limit_ns):
            raise ValueError("a part of a stop ends within the stop, after the part before it")
        out.append((begin_ns, until_ns, str(part["reason"])))
        begin_ns = until_ns or begin_ns
    return out


def withdrawals(declared: Iterable[Declaration]) -> list[Declaration]:
    """What withdraws these declarations; id and time are to be set."""
    return [
        Declaration("", 0, item.machine, item.start_ns, item.end_ns, item.field, "", "", item.product, item.id)
        for item in declared
    ]
