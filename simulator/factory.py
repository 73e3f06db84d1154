"""The factory file: which machines there are, how they behave and when they work.

Nothing here is shared with the site file: the simulator's true figures must not depend on what they are meant to check.
"""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal, LiteralString, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WallTime = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", examples=["06:00"])]
PlcKind = Literal["press", "cnc_rejects", "cnc_good", "moulder", "packer", "pulse"]
Cause = Literal["minor", "unplanned", "breakdown", "starved", "blocked", "changeover", "offline"]


class BadFactory(Exception):
    """The factory file is invalid; the message lists every error with its place."""


def _wrong(code: LiteralString, text: LiteralString, **values: object) -> PydanticCustomError:
    """A rule of the file that is broken. code: whoever shows it may have a sentence of his own for it, with these values."""
    return PydanticCustomError("value_error", text, {"code": code} | {key: str(value) for key, value in values.items()})


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Event(_Model):
    """Something that interrupts running: the mean running time between two, and a log-normal length."""

    every_s: float = Field(gt=0, description="Mean running time between two of them [s].")
    lasts_s: float = Field(gt=0, description="Median length [s].")
    spread: float = Field(default=0.5, ge=0, le=2, description="Standard deviation of the length's logarithm.")
    at_most_s: float = Field(default=14_400, gt=0, description="No longer than this [s].")


class ProductSpec(_Model):
    """What the PLC calls it, and the ideal time of one cycle (not of one piece)."""

    number: int = Field(ge=1, le=65535)
    ideal_s: float = Field(gt=0.2)


class Habits(_Model):
    """How one machine behaves. Lengths are targets, bounded by what the signals can show."""

    speed: float = Field(default=1.04, ge=1, le=1.5, description="Mean cycle over ideal cycle [1].")
    speed_drift_per_day: float = Field(default=0, ge=0, description="Added to speed each day [1/d].")
    speed_at_most: float = Field(default=1.4, ge=1, le=1.5)
    jitter: float = Field(default=0.03, ge=0, le=0.2, description="Uniform scatter of cycles, upwards [1].")
    slow_share: float = Field(
        default=0.01, ge=0, le=0.5, description="Share of slow cycles (1.2 to 1.7 times as long)."
    )
    reject_rate: float = Field(default=0.01, ge=0, le=0.5)
    startup_reject_rate: float = Field(
        default=0.05, ge=0, le=0.9, description="Among the first pieces after a changeover."
    )
    changeover_rejects: tuple[int, int] = Field(
        default=(2, 6), description="Cycles before the first good piece, from-to."
    )
    late_s: float = Field(default=45, ge=5, description="Median delay of the restart after a break [s].")
    handover_s: float = Field(default=60, ge=5, description="Median pause at a change of shift [s].")
    alarms: tuple[int, ...] = Field(default=(1,), description="Alarm codes of breakdowns.")
    events: dict[Cause, Event] = Field(default_factory=dict)


class Causes(_Model):
    """What is planted in a machine for advice to find, each by itself; nothing is, unless it is written. None of them changes
    what is drawn for the rest.
    """

    late_s: float = Field(default=0, ge=0, le=3600, description="Median extra pause at each change of shift [s].")
    reel_s: float = Field(default=0, ge=0, description="A short stop after each such running time, within 3 % [s].")
    start_rejects: float = Field(
        default=1, ge=1, le=20, description="Times as many rejects in the first half hour of a shift."
    )
    slower: dict[str, Annotated[float, Field(ge=0, le=0.3)]] = Field(
        default_factory=dict, description="By shift: how much longer cycles take [1]."
    )
    changeover_tail: float = Field(
        default=0, ge=0, le=1, description="Share of changeovers that take three times as long."
    )
    until_day: float | None = Field(
        default=None, ge=0, description="Days after `start` when somebody has mended all of them; never without it."
    )

    def after(self, start_ns: int, t_ns: int) -> "Causes":
        """What is left of them at a time, of a factory that began at `start_ns` [ns UTC]."""
        ended = self.until_day is not None and t_ns - start_ns >= self.until_day * _DAY_NS
        return _NO_CAUSES if ended else self


_NO_CAUSES = Causes()
_DAY_NS = 86_400 * 10**9


class MachineSpec(_Model):
    """One machine with its own PLC; `device` is the PLC's name in the site file."""

    id: str = Field(pattern=r"^[a-z0-9-]+$")
    device: str = Field(pattern=r"^[a-z0-9-]+$")
    plc: PlcKind
    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535, description="0: any free port, written to the ports file.")
    cavities: int = Field(default=1, ge=1, le=64, description="Pieces per cycle.")
    products: tuple[ProductSpec, ...] = Field(min_length=1)
    minor_limit_s: float = Field(default=300, ge=30)
    startup_pieces: int = Field(default=0, ge=0)
    counter_start: int = Field(default=0, ge=0, lt=2**32)
    habits: Habits = Habits()
    causes: Causes = Causes()

    @model_validator(mode="after")
    def _sound(self) -> Self:
        for product in self.products:
            if round(product.ideal_s * 1e6) % self.cavities:
                raise _wrong(
                    "factory_ideal",
                    "ideal_s {ideal_s} does not divide into {cavities} pieces of whole microseconds",
                    ideal_s=product.ideal_s,
                    cavities=self.cavities,
                )
        if self.plc == "pulse" and ("changeover" in self.habits.events or len(self.products) > 1):
            raise _wrong("factory_pulse", "a pulse counter shows no product: give it one product and no changeover")
        hidden = sorted({"breakdown", "starved", "blocked"} & set(self.habits.events) - VISIBLE[self.plc])
        if hidden:
            text = "plc {plc} cannot show {hidden}; use unplanned instead"
            raise _wrong("factory_hidden", text, plc=self.plc, hidden=", ".join(hidden))
        if self.causes.reel_s and "minor" not in self.habits.events:
            raise _wrong("factory_reel", "causes.reel_s needs the event minor, whose length such a stop has")
        if "changeover" in self.habits.events and len(self.products) < 2:
            raise _wrong("factory_changeover", "a changeover needs two products")
        return self


VISIBLE: dict[PlcKind, set[str]] = {
    "press": {"breakdown"},
    "cnc_rejects": {"breakdown"},
    "cnc_good": {"breakdown"},
    "moulder": set(),
    "packer": {"breakdown", "starved", "blocked"},
    "pulse": set(),
}
"""Causes beyond a plain stop that a PLC's signals can show."""


class ShiftSpec(_Model):
    """A shift on the weekdays on which it begins; `trouble` multiplies stops, their lengths and rejects."""

    name: str
    start: WallTime
    end: WallTime
    breaks: tuple[tuple[WallTime, WallTime], ...] = ()
    days: tuple[Weekday, ...] = WEEKDAYS
    trouble: float = Field(default=1.0, ge=0.5, le=2)


def _yesterday() -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)


class Factory(_Model):
    """The whole file. `start` is where the model begins, yesterday if it is left out; there is nothing before it."""

    seed: int = Field(default=1, ge=0)
    timezone: str = "Asia/Ho_Chi_Minh"
    start: AwareDatetime = Field(default_factory=_yesterday)
    shifts: tuple[ShiftSpec, ...] = Field(min_length=1)
    closed: tuple[date, ...] = ()
    machines: tuple[MachineSpec, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            text = "timezone '{zone}' is unknown; write for example Asia/Ho_Chi_Minh"
            raise _wrong("factory_zone", text, zone=self.timezone) from error
        for what in ("id", "device"):
            names = [getattr(machine, what) for machine in self.machines]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                text = "machines: {what} {names} occurs twice; each machine has its own PLC"
                raise _wrong("factory_twice", text, what=what, names=", ".join(twice))
        return self

    @property
    def start_ns(self) -> int:
        """`start` [ns UTC]."""
        return to_ns(self.start)


def to_ns(moment: datetime) -> int:
    """An aware datetime as nanoseconds UTC, exact to the microsecond."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def load(path: Path | str) -> Factory:
    """The factory in a YAML file. Raises `BadFactory` with all errors at once."""
    try:
        data = YAML(typ="safe", pure=True).load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadFactory(f"{path}: {error.strerror}; give the name of a factory file") from error
    except YAMLError as error:
        raise BadFactory(f"{path}: no YAML: {error}") from error
    try:
        return Factory.model_validate(data)
    except ValidationError as error:
        lines = [
            f"{path}: {'.'.join(str(part) for part in item['loc']) or 'file'}: {item['msg']}, found {item['input']!r:.80}"
            for item in error.errors(include_url=False)
        ]
        raise BadFactory("\n".join(lines)) from error


def dump(factory: Factory, path: Path | str) -> None:
    """Writes a factory file that `load` reads back as the same factory."""
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.allow_unicode = True
    with Path(path).open("w", encoding="utf-8") as file:
        writer.dump(factory.model_dump(mode="json"), file)
