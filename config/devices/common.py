"""What every kind of device may say in the site file."""

from pydantic import BaseModel, ConfigDict, Field

from config.yaml.durations import Duration

SHORTEST_STALE_AFTER_S = 5.0
"""A tag is not called stale sooner than this, however fast it is asked [s]."""


class TagBase(BaseModel):
    """What every tag may say. `every` None means the device's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: str = Field("", description="Physical unit, free text, for screens.", examples=["°C"])
    every: Duration | None = Field(
        None, description="How often to ask; default: the device's `every`.", examples=["10s"]
    )


class DeviceBase(BaseModel):
    """What every device may say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    every: Duration = Field(1.0, description="How often to ask [s].", examples=["1s", "500ms"])
    retry_every: Duration = Field(2.0, description="A lost device is tried again this often, for a minute.")
    stale_after: Duration | None = Field(
        None, description="Unconfirmed this long, a tag is unknown; default: three periods, at least 5 s."
    )


def stale_after_of(device: DeviceBase, period_s: float) -> float:
    """When a tag that is confirmed every `period_s` is stale [s after its last confirmation]."""
    return device.stale_after or max(3 * period_s, SHORTEST_STALE_AFTER_S)
