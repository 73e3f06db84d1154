"""Machine states, calendar classes and sample qualities. Pure.

The numbers are internal (array codes); what crosses a network or a screen is
the lower-case name, `State.RUNNING.word == "running"`.
"""

from enum import IntEnum


class State(IntEnum):
    """What a machine is doing. Exactly one at every instant."""

    RUNNING = 0
    MINOR_STOP = 1
    UNPLANNED_STOP = 2
    BREAKDOWN = 3
    SETUP = 4
    STARVED = 5
    BLOCKED = 6
    PLANNED_STOP = 7
    UNKNOWN = 8

    @property
    def word(self) -> str:
        """The state's name in config, API and messages."""
        return self.name.lower()


class CalendarClass(IntEnum):
    """Whether the machine is scheduled at an instant."""

    SCHEDULED = 0
    BREAK = 1
    OUTSIDE = 2

    @property
    def word(self) -> str:
        """The class's name in config, API and messages."""
        return self.name.lower()


class Quality(IntEnum):
    """How reliable a sample's value is.

    BAD comes from the device (an OPC UA status, a Modbus exception for the tag); GAP means that the value is not
    confirmed: the device did not answer or the agent did not run. Both make the value unknown from the row's time on.
    """

    GOOD = 0
    UNCERTAIN = 1
    BAD = 2
    GAP = 3


NEEDS_REASON = (State.UNPLANNED_STOP, State.BREAKDOWN)
"""States of stops that somebody has to explain."""
STATE_BY_WORD = {state.word: state for state in State}
CLASS_BY_WORD = {item.word: item for item in CalendarClass}
