"""Which alerts a center raises, and whom it tells through which channel."""

from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from config.mail import MailAddress
from config.yaml.common import MachineId, SiteId, Strict
from config.yaml.complaints import InvalidValue, nearest
from config.yaml.ratios import AimedRatio
from config.yaml.times import Break, Duration, DurationOrZero

AlertKind = Literal["stop", "no_data", "oee", "pieces", "coverage", "call", "center"]
"""stop: a machine stands; no_data: of a machine or a whole gateway; oee, pieces, coverage: of this shift; call: somebody calls
for help at a machine; center: the center itself is cut off from its broker.
"""
_StopState = Literal["breakdown", "unplanned_stop", "starved", "blocked", "setup"]


def _some_time(hours: tuple[int, int]) -> tuple[int, int]:
    if hours[0] == hours[1]:
        raise InvalidValue("quiet_always", "quiet hours begin and end at one time")
    return hours


QuietHours = Annotated[Break, AfterValidator(_some_time)]
"""In the file `"22:00-06:00"`, in the program two times of day [s]; over midnight where the second is the earlier one."""


class StopRule(Strict):
    """A machine stands in its shift."""

    longer: Duration = Field(900.0, description="For longer than this.", examples=["15min"])
    over: DurationOrZero = Field(60.0, description="It is over once it has run for so long.", examples=["1min"])
    states: tuple[_StopState, ...] = Field(
        ("breakdown", "unplanned_stop", "starved", "blocked"), min_length=1, description="In one of these states."
    )


class NoDataRule(Strict):
    """A machine is unknown in its shift, or its gateway is away."""

    longer: Duration = Field(600.0, description="For longer than this.", examples=["10min"])
    over: DurationOrZero = Field(60.0, description="It is over once data have come for so long.", examples=["1min"])


class OeeRule(Strict):
    """OEE of this shift against its target."""

    below: float = Field(5.0, gt=0, le=100, description="So many points below it.", examples=["5"])
    part: AimedRatio = Field(0.5, alias="from", description="From this part of the shift on.", examples=["50%"])


class PiecesRule(Strict):
    """Pieces of this shift against target or takt."""

    behind: AimedRatio = Field(0.1, description="This share of what was due by now is missing.", examples=["10%"])
    part: AimedRatio = Field(0.25, alias="from", description="From this part of the shift on.", examples=["25%"])


class CoverageRule(Strict):
    """How much of this shift has data."""

    below: AimedRatio = Field(0.95, description="Less than this.", examples=["95%"])
    part: AimedRatio = Field(0.25, alias="from", description="From this part of the shift on.", examples=["25%"])


class CallRule(Strict):
    """Somebody calls for help at a machine."""

    longer: DurationOrZero = Field(0.0, description="And nobody has come for so long.", examples=["2min"])


class AlertRules(Strict):
    """What is an alert. off: kinds that never are; quiet: when messages wait, in the site's time zone."""

    stop: StopRule = Field(
        StopRule.model_validate({}), description="A machine stands for long.", examples=["{longer: 15min}"]
    )
    no_data: NoDataRule = Field(
        NoDataRule.model_validate({}), description="Nothing is known of a machine.", examples=["{longer: 10min}"]
    )
    oee: OeeRule = Field(OeeRule.model_validate({}), description="OEE is below its target.", examples=["{below: 5}"])
    pieces: PiecesRule = Field(
        PiecesRule.model_validate({}), description="Pieces are missing.", examples=["{behind: 10%}"]
    )
    coverage: CoverageRule = Field(
        CoverageRule.model_validate({}), description="Data are missing.", examples=["{below: 95%}"]
    )
    call: CallRule = Field(CallRule.model_validate({}), description="Calls for help.", examples=["{longer: 2min}"])
    off: tuple[AlertKind, ...] = Field((), description="Kinds that are no alerts.", examples=["[coverage]"])
    quiet: tuple[QuietHours, ...] = Field(
        (), description="When messages wait, in the site's time zone.", examples=['["22:00-06:00"]']
    )

    def changed_by(self, other: "AlertRules") -> "AlertRules":
        """These rules with what is written in the other ones."""
        changes: dict[str, object] = {}
        for name in other.model_fields_set:
            mine, theirs = getattr(self, name), getattr(other, name)
            changes[name] = (
                mine.model_copy(update={key: getattr(theirs, key) for key in theirs.model_fields_set})
                if isinstance(theirs, Strict)
                else theirs
            )
        return self.model_copy(update=changes)


class ChannelModel(Strict):
    """A way to people: mail, or a service by its address."""

    mail: tuple[MailAddress, ...] = Field(
        (), description="Addresses, through the center's `mail` server.", examples=["[lan@example.vn]"]
    )
    address_file: str = Field(
        "",
        description="File with an address of Apprise in each line (zalo://, tgram://, jsons://, ...): it holds secrets.",
        examples=["/etc/nhip/zalo-maintenance"],
    )
    language: Literal["vi", "en"] = Field("vi", description="Language of the messages.")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.mail) == bool(self.address_file):
            raise InvalidValue("alert_channel_way", "either mail or address_file")
        return self


class RouteModel(Strict):
    """Who is told of what."""

    to: tuple[str, ...] = Field(min_length=1, description="Names of channels.", examples=["[maintenance]"])
    sites: tuple[SiteId, ...] = Field((), description="Only of these sites.", examples=["[van-long]"])
    lines: tuple[MachineId, ...] = Field((), description="Only of machines of these lines.", examples=["[stamping]"])
    kinds: tuple[AlertKind, ...] = Field((), description="Only these kinds of alerts.", examples=["[stop, call]"])
    calls: tuple[MachineId, ...] = Field((), description="Of calls only these.", examples=["[maintenance]"])
    after: DurationOrZero = Field(
        0.0, description="Only what nobody has acknowledged for so long (escalation).", examples=["30min"]
    )
    quiet: Literal["wait", "ignore"] = Field("wait", description="ignore: also in quiet hours.")


class AlertsModel(AlertRules):
    """Alerts: rules for all sites, other rules of single sites, channels, and who is told."""

    sites: dict[SiteId, AlertRules] = Field(
        {}, description="What is different at a site.", examples=["{van-long: {stop: {longer: 5min}}}"]
    )
    channels: dict[MachineId, ChannelModel] = Field(
        {}, description="Ways to people by name.", examples=["{maintenance: {address_file: zalo-maintenance}}"]
    )
    send: tuple[RouteModel, ...] = Field(
        (), description="Who is told of what.", examples=["[{to: [maintenance], kinds: [stop, call]}]"]
    )
    console: str = Field(
        "",
        pattern=r"^(https?://\S+)?$",
        description="Address of the console as people reach it, for links in messages; that of `mail` without it.",
        examples=["https://nhip.example.vn"],
    )

    @model_validator(mode="after")
    def _known(self) -> Self:
        for route in self.send:
            for name in route.to:
                if name not in self.channels:
                    raise InvalidValue(
                        "alert_channel",
                        f"there is no channel {name}",
                        channel=name,
                        known=", ".join(self.channels) or "–",
                        near=nearest(name, self.channels),
                    )
        return self

    def rules_of(self, site: str) -> AlertRules:
        """The rules of a site; "" for the center itself."""
        return self.changed_by(self.sites[site]) if site in self.sites else self


ALERT_KINDS: Final[tuple[AlertKind, ...]] = ("center", "call", "no_data", "stop", "oee", "pieces", "coverage")
"""The order in which people want to see them."""
