"""Settings that every kind of device has in the site file, and the properties that the configuration needs from it.

A kind's own model (in `adapters/<kind>/`) adds its settings and overrides the properties below where its protocol
requires it. The defaults suit a device that is polled over a connection of its own.
"""

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import ClassVar, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field

from config.yaml.complaints import Complaint, SourceMap
from config.yaml.times import Duration

STALE_PERIODS = 3
"""Periods without confirmation after which a tag is stale, unless the site file says otherwise."""
SHORTEST_STALE_AFTER_S = 5.0
"""A tag is not called stale sooner than this, however fast it is polled [s]."""


class CounterWidth(NamedTuple):
    """bits: where a counter wraps, None if it does not; signed: whether it wraps to negative values."""

    bits: int | None
    signed: bool


UNKNOWN_WIDTH = CounterWidth(32, signed=False)
"""Where the site file does not say the type: 32 bits, the commonest, and harmless for wider counters, whose steps back
are then resets."""


class TagModel(BaseModel):
    """Settings of every tag. `every` None means the device's."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    unit: str = Field("", description="Physical unit, free text, for screens.", examples=["°C"])
    every: Duration | None = Field(None, description="Polling period; default: the device's `every`.", examples=["10s"])

    @property
    def counter_width(self) -> CounterWidth:
        """Where the tag wraps if it is used as a counter."""
        return UNKNOWN_WIDTH

    @property
    def text_type(self) -> str:
        """The name of its type if it holds text, which cannot count; "" otherwise."""
        return ""

    @property
    def is_bit(self) -> bool:
        """Whether it is a single bit, of which every change must be seen to count it."""
        return False

    @property
    def has_word_order(self) -> bool:
        """Whether it is an integer of several words, so that a wrong word order would give a plausible wrong value."""
        return False

    @property
    def has_byte_order(self) -> bool:
        """Whether it is an integer whose bytes the site file puts in order, so that a wrong order may go unnoticed."""
        return False


class DeviceModel(BaseModel):
    """Settings of every device."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    file_settings: ClassVar[tuple[str, ...]] = ()
    """Settings that name files; relative names are relative to the site file's folder."""

    kind: str = Field(description="The protocol.")
    every: Duration = Field(1.0, description="Polling period [s].", examples=["1s", "500ms"])
    retry_every: Duration = Field(2.0, description="How often to try a lost device again, for a minute.")
    stale_after: Duration | None = Field(
        None, description="A tag that is not confirmed for this long is unknown; default: three periods, at least 5 s."
    )
    tags: Mapping[str, TagModel] = Field(min_length=1, description="What is read, by name.")

    @property
    def place(self) -> str:
        """Where the device is, as people write it: `192.0.2.10:502, unit 1`."""
        return self.line or self.kind

    def address(self, tag: str) -> str:
        """The address of a tag at the device, as people write it: `holding 100 uint32 ABCD`."""
        return tag

    def period_s(self, tag: str) -> float:
        """How often a tag is confirmed when all is well [s]."""
        return self.tags[tag].every or self.every

    @property
    def is_polled(self) -> bool:
        """Whether its adapter polls each period, rather than receiving changes."""
        return True

    @property
    def gives_times(self) -> bool:
        """Whether values of this kind carry the device's own time."""
        return False

    @property
    def line(self) -> str:
        """The line or socket on which devices of this kind take turns; "" for a device with a connection of its own."""
        return ""

    def line_settings(self) -> dict[str, object]:
        """Settings of that line, by key: devices that share it must agree on them."""
        return {}

    def warnings(self, name: str, source: SourceMap) -> Iterator[Complaint]:  # noqa: ARG002  # for kinds that have some
        """What is legal in the site file and probably a mistake. name: the device's."""
        return iter(())

    def with_files(self, name: str, folder: PurePath) -> Self:  # noqa: ARG002  # for kinds that keep files
        """The device `name` with a place in `folder` for each file that it keeps and the site file does not place."""
        return self

    def stale_after_s(self, tag: str) -> float:
        """When a tag is stale [s after its last confirmation]."""
        return self.stale_after or max(STALE_PERIODS * self.period_s(tag), SHORTEST_STALE_AFTER_S)
