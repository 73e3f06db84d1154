"""Calls for help: each step is an event of its own, and a call is what its events add up to. Pure.

Events are never changed, so neither their order nor their repetition matters.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

STEPS: Final = ("called", "on_the_way", "arrived", "solved", "withdrawn")
"""The life of a call; the last two end it."""
_ENDS: Final = ("solved", "withdrawn")


@dataclass(frozen=True)
class CallEvent:
    """A step of a call. call: the call's id; kind: what help is called for, as its first step says, "" in others."""

    call: str
    machine: str
    step: str
    at_ns: int
    kind: str = ""
    by: str = ""


@dataclass(frozen=True)
class Call:
    """A call. at_ns: when each step was taken first [ns UTC]; step: how far it has come."""

    id: str
    machine: str
    kind: str
    by: str
    at_ns: dict[str, int]
    step: str

    @property
    def called_ns(self) -> int:
        """When it was made [ns UTC]."""
        return self.at_ns["called"]

    @property
    def ended_ns(self) -> int | None:
        """When it was solved or withdrawn [ns UTC]; None while it is open."""
        return min((self.at_ns[step] for step in _ENDS if step in self.at_ns), default=None)


def calls_of(events: Iterable[CallEvent]) -> list[Call]:
    """The calls that these events add up to, in the order in which they were made. Steps of a call whose first is not
    there (yet), and unknown steps, are left out.
    """
    first: dict[str, CallEvent] = {}
    times: dict[str, dict[str, int]] = {}
    for event in sorted(set(events), key=lambda item: (item.at_ns, item.call, item.step, item.by)):
        if event.step in STEPS:
            times.setdefault(event.call, {}).setdefault(event.step, event.at_ns)
        if event.step == "called":
            first.setdefault(event.call, event)
    return [
        Call(key, event.machine, event.kind, event.by, times[key], max(times[key], key=STEPS.index))
        for key, event in sorted(first.items(), key=lambda item: (item[1].at_ns, item[0]))
    ]


def next_steps(call: Call) -> tuple[str, ...]:
    """The steps that may follow; none once it has ended."""
    if call.ended_ns is not None:
        return ()
    return STEPS[STEPS.index(call.step) + 1 :]
