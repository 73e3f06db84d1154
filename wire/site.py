"""The body of `site`: the machines, calendars and products behind a gateway's facts, enveloped and receipted like these.

What is counted by is strict: a body with unknown fields stays in quarantine until the center is upgraded. So what was added
to it later (`DESCRIBED`) is sent to centers only that say in their receipts that they know it.
"""

from collections.abc import Container
from datetime import date
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from oee.model import limits
from wire.bounds import Moment, Names, Number, Seconds, Text


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class SiteMachine(_Strict):
    """A machine as the center shows it. name: language to text."""

    name: Names
    line: Text = ""
    calendar: Text = ""
    """Key in `calendars`; "" is the site's default."""
    period_s: Seconds = 1.0
    """Longest polling period of the tags that it uses [s]."""
    minor_stop_at_most_s: Seconds = 300.0
    kind: Text = ""
    """What kind of machine it is, from the site file's closed list."""
    quality: Text = ""
    """Who tells rejects: `plc`, `operator` or `none`; "" from a gateway that does not say."""
    states: list[Text] = Field([], max_length=32)
    """States that its signals can show, as words; none from a gateway that does not say."""


class SiteProduct(_Strict):
    name: Names = {}
    ideal_s: Seconds | None = None
    """Ideal time of one piece, where no machine has its own [s]."""
    source: Text = ""
    verified: date | None = None
    """When somebody timed or confirmed the ideal time."""
    verified_by: Text = ""


class SiteReason(_Strict):
    name: Names
    state: Text
    maintenance: Text = ""
    """What kind of maintenance: `preventive`, `predictive`, `overhaul` or `corrective`; "" for none."""


class SiteRotation(_Strict):
    """A cycle of days that a shift keeps to. start: a first day of it; on: days of the cycle, from 0."""

    days: int = Field(ge=1, le=366)
    start: date
    on: list[int] = Field(max_length=366)


_Second = Annotated[int, Field(ge=-(10**6), le=10**6)]


class SiteShift(_Strict):
    """One shift of a calendar; times are seconds after the business date's local midnight."""

    name: Text
    weekdays: list[int] = Field(max_length=7)
    """0 is Monday."""
    start_s: _Second
    end_s: _Second
    breaks: list[tuple[_Second, _Second]] = Field([], max_length=limits.MOST_BREAKS)
    rotation: SiteRotation | None = None


_Shifts = Annotated[list[SiteShift], Field(max_length=limits.MOST_SHIFTS)]


class SiteCalendar(_Strict):
    shifts: _Shifts
    exceptions: dict[Text, _Shifts] = Field({}, max_length=limits.MOST_EXCEPTIONS)
    """ISO date to the shifts of that business date instead."""


class SiteLine(_Strict):
    """A line of machines. name: language to text."""

    name: Names = {}
    flow: Text = "parallel"
    constraint: Text = ""
    stations: list[Text] = Field([], max_length=limits.MOST_MACHINES)
    """Its machines in the order of the flow, where the site file gives it."""


class SiteValue(_Strict):
    """A process value that is sent. machines: those that use its device."""

    unit: Text = ""
    machines: list[Text] = Field([], max_length=limits.MOST_MACHINES)


class SiteTarget(_Strict):
    """What the site file aims at (`oee.kpi.targets`). values: by kind; since: None for always."""

    line: Text = ""
    machine: Text = ""
    product: Text = ""
    since: date | None = None
    values: dict[Text, Number] = Field(max_length=20)


class SiteTask(_Strict):
    """Maintenance that is due every so many days (`oee.kpi.maintenance`)."""

    machine: Text
    name: Names = {}
    kind: Text = "preventive"
    every_days: int = Field(ge=1, le=3660)
    first: date
    tolerance: Text = "fifth"


class SiteBody(_Strict):
    """`site`: describes the machines and calendars behind a gateway's facts; enveloped and receipted like facts."""

    config_hash: Text
    valid_from_ns: Moment
    made_ns: Moment = 0
    """When it was written [ns UTC], where that is later than when it became valid: it replaces all bodies written before
    it that are valid from `valid_from_ns` or later; 0 otherwise."""
    name: Names
    timezone: Text
    formula: Text = "nakajima"
    machines: dict[Text, SiteMachine] = Field(max_length=limits.MOST_MACHINES)
    products: dict[Text, SiteProduct] = Field({}, max_length=limits.MOST_PRODUCTS)
    reasons: dict[Text, SiteReason] = Field({}, max_length=limits.MOST_REASONS)
    lines: dict[Text, SiteLine] = Field({}, max_length=limits.MOST_LINES)
    calendars: dict[Text, SiteCalendar] = Field({}, max_length=limits.MOST_CALENDARS)
    """The key "" is the site's default."""
    values: dict[Text, SiteValue] = Field({}, max_length=limits.MOST_VALUES)
    """By `device.tag`."""
    targets: list[SiteTarget] = Field([], max_length=limits.MOST_TARGETS)
    """Left out by gateways without any, since centers of earlier versions do not know it."""
    trade: Text = ""
    """What the factory does, from the site file's closed list."""
    tariff_per_kwh: Number | None = None
    """What a kilowatt-hour costs [VND]."""
    maintenance: dict[Text, SiteTask] = Field({}, max_length=limits.MOST_TASKS)
    """Left out by gateways without any, and for centers that do not know it (`PLANNED`)."""


DESCRIBED: Final = "described"
"""What a center's receipt says (`Receipt.knows`) when it knows the fields below."""
PLANNED: Final = "planned"
"""The same of `maintenance`."""
_DESCRIBED_FIELDS: Final = {
    "machines": ("kind", "quality", "states"),
    "products": ("verified", "verified_by"),
    "reasons": ("maintenance",),
    "lines": ("stations",),
}


def sendable(body: SiteBody, knows: Container[str]) -> dict[str, Any]:
    """The body's JSON for a center that knows these additions."""
    out = body.model_dump(mode="json")
    if not out["targets"]:
        del out["targets"]
    if PLANNED not in knows or not out["maintenance"]:
        del out["maintenance"]
    if DESCRIBED not in knows:
        for name in ("trade", "tariff_per_kwh"):
            del out[name]
        for section, names in _DESCRIBED_FIELDS.items():
            for item in out[section].values():
                for name in names:
                    del item[name]
    return out
