"""The site file: one gateway's factory, or its part of it."""

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from config.devices.device import TagModel
from config.devices.kinds import Device
from config.site.andon import AndonModel, Icon, RejectCause, TargetModel
from config.site.machine import MachineModel
from config.site.recordings import RecordingModel
from config.site.upkeep import UpkeepTask
from config.site.values import Values
from config.yaml.common import BrokerLink, BrokerUrl, Listen, MachineId, Name, SiteId, StateWord, Strict, Word
from config.yaml.complaints import InvalidValue
from config.yaml.times import Break, Clock, Days, Duration, parse_days


class GatewayLink(BrokerLink):
    """The connection to the center: by the bundle that the center made for this gateway, or setting by setting; how often
    to retry; and how much data may be used.
    """

    bundle: str = Field(
        "",
        description="The file that `nhip enroll` made for this gateway: broker, account, secret and certificates.",
        examples=["/etc/nhip/van-long.main.bundle"],
    )
    broker: BrokerUrl = Field(
        "",
        description="mqtt:// or mqtts:// (encrypted), host and port; not beside `bundle`.",
        examples=["mqtts://mqtt.example.vn:8883"],
    )
    retry_at_most: Duration = Field(
        60.0,
        description="While the broker is unreachable, it is tried at least this often; sooner after a short outage.",
    )
    data_mb: int | None = Field(
        None, ge=1, description="Data volume allowed in a month [MB]; no limit without it.", examples=[500]
    )
    data_from_day: int = Field(
        1, ge=1, le=28, description="Day of the month on which the data month begins.", examples=[15]
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if bool(self.bundle) == bool(self.broker) or (self.bundle and (self.username or self.password_file)):
            raise InvalidValue("bundle_or_broker", "either `bundle` alone, or `broker` with what it needs")
        return self


IdealPer = Literal["piece", "cycle", "set", "pair"]
IdealSource = Literal["design", "timed", "guess"]


Trade = Literal[
    "plastics", "rubber", "metal", "casting", "electronics", "textile", "garment", "footwear", "wood", "paper",
    "packaging", "food", "beverage", "pharma", "chemicals", "automotive", "other",
]  # fmt: skip
MaintenanceKind = Literal["preventive", "predictive", "overhaul", "corrective"]


class Verified(Strict):
    """That an ideal time was timed or confirmed, when and by whom."""

    day: date = Field(alias="date", description="When.", examples=["2026-03-01"])
    by: str = Field(min_length=1, description="By whom.", examples=["Lan, kỹ thuật"])


class DatedIdeal(Strict):
    """An ideal time from a date on."""

    ideal: Duration = Field(description="Ideal time [s].", examples=["1.2s"])
    since: date | None = Field(None, description="First day on which it holds.", examples=["2026-03-01"])
    source: IdealSource | None = Field(None, description="design, timed or guess.")
    verified: Verified | None = Field(None, description="When it was confirmed, and by whom.")


class ProductAt(Strict):
    """A product on one machine, where that differs; what is left out is the product's own."""

    ideal: Duration | None = Field(None, description="Ideal time [s].", examples=["26s"])
    ideal_per: IdealPer | None = Field(
        None, description="What the ideal time is of: a piece, a cycle or set (of per_count pieces), or a pair."
    )
    per_count: int | None = Field(None, ge=1, description="Pieces in one count.")
    source: IdealSource | None = Field(None, description="Where the ideal time comes from: design, timed or guess.")
    verified: Verified | None = Field(
        None, description="When the ideal time was confirmed, and by whom.", examples=["{date: 2026-03-01, by: Lan}"]
    )
    since: date | None = Field(None, description="First day on which it holds.", examples=["2026-03-01"])
    ideals: tuple[DatedIdeal, ...] = Field((), description="Several ideal times by date, instead of `ideal`.")


class ProductModel(ProductAt):
    """A product and its ideal time. Undated, the ideal time always held."""

    name: Name = Field({}, description="What people call it.", examples=["Ốp nhựa A"])
    at: dict[str, ProductAt] = Field({}, description="Machine to what differs there.")


class ReasonModel(Strict):
    """Why a machine stood still, and what kind of stop that is."""

    name: Name = Field({}, description="What people call it.", examples=["{vi: Kẹt khuôn, en: Die jam}"])
    state: StateWord = Field(alias="is", description="What such a stop is.", examples=["breakdown"])
    maintenance: MaintenanceKind | None = Field(
        None, description="What kind of maintenance such a stop is.", examples=["preventive"]
    )
    machines: tuple[str, ...] = Field(
        (), description="Machines at which people may choose it; all without it.", examples=["[press-1]"]
    )
    icon: Icon | None = Field(None, description="Its drawing on the page at the machine.", examples=["jam"])
    photo: str = Field("", description="A photo instead of a drawing (JPEG, PNG, WebP).", examples=["photos/jam.jpg"])


class LineModel(Strict):
    """Machines that belong together."""

    name: Name = Field({}, description="What people call it.")
    flow: Literal["serial", "parallel"] = Field("parallel", description="One after the other, or side by side.")
    constraint: str = Field("", description="The machine that limits a serial line.", examples=["sew-3"])
    stations: tuple[str, ...] = Field(
        (), description="Its machines in the order of the flow.", examples=["[cut-1, sew-3, pack-1]"]
    )


class RotationModel(Strict):
    """A cycle of days that a shift follows, in addition to its weekdays."""

    days: int = Field(ge=2, le=366, description="Length of the cycle [days].", examples=["14"])
    start: date = Field(alias="from", description="A first day of the cycle.", examples=["2026-01-05"])
    on: tuple[int, ...] = Field(min_length=1, description="Days of the cycle, from 1.", examples=["[1, 2, 3, 4]"])

    @model_validator(mode="after")
    def _within(self) -> Self:
        outside = [day for day in self.on if not 1 <= day <= self.days]
        if outside:
            raise InvalidValue("rotation_day", f"day {outside[0]} of {self.days}", day=outside[0], days=self.days)
        return self


class ShiftModel(Strict):
    """A shift; one that ends before it starts runs over midnight and belongs to the day on which it starts."""

    name: str = Field(min_length=1, description="What people call it.", examples=["A"])
    days: Days = Field(parse_days("daily"), description="Days on which it starts.", examples=["mon-sat"])
    start_s: Clock = Field(alias="from", description="When it starts.", examples=['"06:00"'])
    end_s: Clock = Field(alias="to", description="When it ends.", examples=['"14:00"'])
    breaks: tuple[Break, ...] = Field((), description="Breaks within it.", examples=['["10:00-10:15"]'])
    rotation: RotationModel | None = Field(
        None,
        description="Cycle of days by which crews alternate.",
        examples=["{days: 14, from: 2026-01-05, on: [1, 2]}"],
    )


class ExceptionModel(Strict):
    """Days on which other shifts are worked, or none."""

    first: date = Field(alias="date", description="The day.", examples=["2026-09-02"])
    last: date | None = Field(None, alias="to", description="The last day, if there are several.")
    name: str = Field("", description="Why.", examples=["Quốc khánh"])
    shifts: tuple[ShiftModel, ...] = Field(description="The shifts of these days.", examples=["[]"])


class CalendarModel(Strict):
    """A calendar of its own for some machines."""

    shifts: tuple[ShiftModel, ...] = Field((), description="Its shifts.")
    exceptions: tuple[ExceptionModel, ...] = Field((), description="Days that differ.")


class Site(Strict):
    """A site file, checked. Every reference in it exists."""

    site: SiteId = Field(description="The site's id.", examples=["van-long"])
    gateway: SiteId = Field("main", description="This gateway's id within the site.")
    name: Name = Field({}, description="What people call the site.", examples=["{vi: Nhựa Vân Long}"])
    timezone: str = Field(description="IANA time zone.", examples=["Asia/Ho_Chi_Minh"])
    trade: Trade | None = Field(None, description="What the factory does.", examples=["plastics"])
    tariff: float | None = Field(None, gt=0, description="What a kilowatt-hour costs [VND].", examples=["1886"])
    formula: Literal["nakajima", "iso22400"] = Field("nakajima", description="Which formulas of OEE.")
    clock: Literal["guarded", "system"] = Field(
        "guarded",
        description="guarded: facts wait until NTP, the center or a person confirms the time; system: trust the "
        "system's clock (a virtual machine whose host keeps it).",
    )
    center: GatewayLink | None = Field(None, description="Where facts are sent; without it they stay here.")
    metrics: Listen | None = Field(
        None,
        description="Address on which the agent serves metrics for Prometheus; none without it.",
        examples=["127.0.0.1:9464"],
    )
    andon: AndonModel | None = Field(
        None,
        description="The page at the machine, served by the gateway; none without it.",
        examples=["{listen: 192.168.1.20:8090, pin_file: andon.pin}"],
    )
    targets: tuple[TargetModel, ...] = Field(
        (), description="What is aimed at.", examples=["[{machine: press-1, pieces: 3200}]"]
    )
    maintenance: dict[MachineId, UpkeepTask] = Field(
        {},
        description="What is due every so many days; the page at the machine asks for it.",
        examples=["{oil: {machine: press-1, every_days: 30, first: 2026-02-02}}"],
    )
    devices: dict[Word, Device] = Field({}, description="What is read.")
    machines: dict[MachineId, MachineModel] = Field({}, description="What is measured.")
    values: Values = Field(
        {},
        description="Process values that the center is to keep: `device.tag`, or `device.*`; none without it.",
        examples=["{press-plc.oil_temp: {deadband: 0.5}}"],
    )
    products: dict[Annotated[str, Field(min_length=1)], ProductModel] = Field(
        {}, description="What is made, by the number that the machine knows."
    )
    reasons: dict[MachineId, ReasonModel] = Field({}, description="Why machines stand still.")
    reject_causes: dict[MachineId, RejectCause] = Field({}, description="Why pieces are rejected.")
    lines: dict[MachineId, LineModel] = Field({}, description="Which machines belong together.")
    shifts: tuple[ShiftModel, ...] = Field((), description="The site's calendar.")
    exceptions: tuple[ExceptionModel, ...] = Field((), description="Days that differ.")
    calendars: dict[MachineId, CalendarModel] = Field({}, description="Other calendars, by name.")
    recordings: dict[str, RecordingModel] = Field(
        {},
        description="How the files that `nhip replay` reads are written, by device, where it cannot know.",
        examples=["{press-plc: {dates: dd/mm/yyyy, words: {ON: 1, OFF: 0}}}"],
    )

    def calendar(self, name: str) -> CalendarModel:
        """A calendar by name; "" is the site's own."""
        if name:
            return self.calendars[name]
        return CalendarModel(shifts=self.shifts, exceptions=self.exceptions)

    def tag(self, name: str) -> TagModel | None:
        """The settings of `device.tag`; None for `device.online`, or if there is no such tag."""
        device, _, tag = name.partition(".")
        model = self.devices.get(device)
        return model.tags.get(tag) if model is not None else None
