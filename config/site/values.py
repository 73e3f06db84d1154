"""Process values for the center to keep: which tags, and how they are thinned. Tags not named here are not sent."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from config.site.names import DefinedNames, missing_tag
from config.yaml.common import Strict
from config.yaml.complaints import Complaint, SourceMap
from config.yaml.times import Duration

ALL: Final = "*"
"""In `device.*`: every tag of the device."""


def _plain(value: Any) -> Any:
    """A tag without settings has the defaults."""
    return {} if value is None else value


class ValueModel(Strict):
    """When a tag's values are sent; by default at every change."""

    deadband: float | None = Field(None, gt=0, description="Smaller changes are not sent (absolute).", examples=[0.5])
    at_most_every: Duration | None = Field(
        None, description="Changes that follow sooner wait, and the latest counts.", examples=["10s"]
    )
    at_least_every: Annotated[Duration, Field(le=86_400)] = Field(
        3600.0, description="An unchanged value is sent again.", examples=["1h"]
    )


Values = dict[str, Annotated[ValueModel, BeforeValidator(_plain)]]


def kept_values(values: Mapping[str, ValueModel], tags: Iterable[str]) -> dict[str, ValueModel]:
    """By `device.tag` how it is sent; a tag that is named itself goes before its device's `*`."""
    devices = {key.partition(".")[0]: model for key, model in values.items() if key.endswith(f".{ALL}")}
    named = {key: model for key, model in values.items() if not key.endswith(f".{ALL}")}
    return {tag: devices[device] for tag in tags if (device := tag.partition(".")[0]) in devices} | named


def check_values(values: Mapping[str, ValueModel], names: DefinedNames, source: SourceMap) -> Iterator[Complaint]:
    """Tags that do not exist."""
    for key in values:
        device, _, tag = key.partition(".")
        if key not in names.tags and not (tag == ALL and device in names.devices):
            yield missing_tag(key, names, ("values", key), source)
