"""The page at the machine, what it offers to enter, and the targets that it shows."""

from datetime import date
from typing import Final, Literal, Self

from pydantic import Field, model_validator

from config.yaml.common import Listen, MachineId, Name, Strict
from config.yaml.complaints import InvalidValue
from config.yaml.ratios import AimedRatio
from config.yaml.times import Duration, DurationOrZero
from oee.kpi.targets import RATIOS

CALLS: Final = ("maintenance", "quality", "material", "leader")
"""Calls for help that every site has."""
Icon = Literal[
    "alarm", "box", "brush", "clock", "cog", "cup", "die", "drop", "flag", "hand", "jam", "people", "plug", "scale",
    "spool", "swap", "thermometer", "tool", "truck", "wrench",
]  # fmt: skip
"""Drawings of the page, by name."""


class CallModel(Strict):
    """A kind of help that operators may call for."""

    name: Name = Field(description="What people call it.", examples=["{vi: Cần cẩu, en: Crane}"])
    icon: Icon | None = Field(None, description="Its drawing.", examples=["truck"])


class RejectCause(Strict):
    """Why a piece was rejected."""

    name: Name = Field(description="What people call it.", examples=["{vi: Xước, en: Scratch}"])
    machines: tuple[str, ...] = Field((), description="Machines that have it; all without it.", examples=["[press-1]"])


class AndonModel(Strict):
    """The page that the gateway serves to tablets. `andon: {}` serves this computer only."""

    listen: Listen = Field(
        "127.0.0.1:8090", description="Address on which the page is served.", examples=["192.168.1.20:8090"]
    )
    pin_file: str = Field(
        "", description="File that holds the PIN, 4 to 12 digits; nobody is asked without it.", examples=["andon.pin"]
    )
    names: tuple[str, ...] = Field(
        (),
        description="Host names by which tablets open the page, beside addresses and this computer's own name.",
        examples=["[andon.local]"],
    )
    certificate: str = Field(
        "",
        description="Certificate and chain (PEM), for HTTPS, without which browsers install no page as an app.",
        examples=["andon.pem"],
    )
    key: str = Field("", description="Its private key (PEM).", examples=["andon.key"])
    calls: dict[MachineId, CallModel] = Field(
        {}, description="Further calls for help.", examples=["{crane: {name: {vi: Cần cẩu, en: Crane}}}"]
    )
    remind: DurationOrZero = Field(
        900.0,
        description="How long before the end of a shift the page reminds of rejects that people enter; 0s: never.",
        examples=["15min"],
    )

    @model_validator(mode="after")
    def _both(self) -> Self:
        if bool(self.certificate) != bool(self.key):
            raise InvalidValue("andon_key", "certificate and key belong together")
        return self

    @property
    def host(self) -> str:
        """The host part of `listen`."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port part of `listen`."""
        return int(self.listen.rpartition(":")[2])


class TargetModel(Strict):
    """What is aimed at. Where it holds: on a machine or a line, or at the whole site; for a product, or for all; from a
    day on. The most specific target that is valid counts.
    """

    line: str = Field("", description="The line that it is for.", examples=["stamping"])
    machine: str = Field("", description="The machine that it is for.", examples=["press-1"])
    product: str = Field("", description="The product that it is for.", examples=['"7"'])
    since: date | None = Field(None, description="First day on which it holds.", examples=["2026-03-01"])
    pieces: int | None = Field(None, ge=1, description="Pieces in a shift.", examples=["3200"])
    takt: Duration | None = Field(None, description="Time for one piece [s].", examples=["1.5s"])
    oee: AimedRatio | None = Field(None, description="OEE, as the center compares it.", examples=["65%"])
    availability: AimedRatio | None = Field(None, description="Availability.", examples=["85%"])
    performance: AimedRatio | None = Field(None, description="Performance.", examples=["90%"])
    quality: AimedRatio | None = Field(None, description="Quality.", examples=["99%"])

    @property
    def values(self) -> dict[str, float]:
        """What is aimed at, by the kinds of `oee.kpi.targets`."""
        named = {"pieces": self.pieces, "takt_s": self.takt} | {kind: getattr(self, kind) for kind in RATIOS}
        return {kind: float(value) for kind, value in named.items() if value is not None}

    @model_validator(mode="after")
    def _aims(self) -> Self:
        if not self.values:
            raise InvalidValue("target_of_nothing", "a target names pieces, takt or a ratio")
        if self.line and self.machine:
            raise InvalidValue("target_of_both", "a target is for a line or for a machine")
        return self
