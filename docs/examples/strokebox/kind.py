"""The face of counter boxes: their model in the site file, and how one is opened."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from adapters.contract import Adapter, DeviceKind, NowNs
from config.devices.device import DeviceModel, TagModel
from config.yaml.times import Duration


class CounterTag(TagModel):
    """One counter, by its name."""

    counter: str = Field(min_length=1, description="Its name in the box.", examples=["strokes"])


class CounterBox(DeviceModel):
    """One counter box."""

    kind: Literal["strokebox"] = Field(description="The protocol.")
    host: str = Field(min_length=1, description="Address or name.", examples=["192.0.2.10"])
    port: Annotated[int, Field(ge=1, le=65535)] = Field(description="TCP port.", examples=[9000])
    timeout: Duration = Field(1.0, description="How long an answer may take.")
    tags: dict[str, CounterTag] = Field(min_length=1, description="What is read, by name.")

    @property
    def place(self) -> str:
        return f"{self.host}:{self.port}"

    def address(self, tag: str) -> str:
        return self.tags[tag].counter


def _example(port: int) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": port, "timeout": "300ms", "tags": {"t": {"counter": "strokes"}}}


def _open_devices(devices: Mapping[str, CounterBox], now_ns: NowNs) -> dict[str, Adapter]:
    from adapters.strokebox.adapter import Connection  # noqa: PLC0415  # loaded only where such a device is opened

    return {name: Connection(device, now_ns) for name, device in devices.items()}


def _typed(text: str) -> dict[str, str] | None:
    """`strokebox://192.0.2.10:9000`, as a person types it for `nhip init`."""
    match = re.fullmatch(r"strokebox://([\w.-]+):(\d+)", text)
    return {"host": match[1], "port": match[2]} if match else None


KIND = DeviceKind[CounterBox](
    name="strokebox",
    model=CounterBox,
    tag=CounterTag,
    example=_example,
    open_devices=_open_devices,
    typed=_typed,
    typed_example="strokebox://192.0.2.10:9000",
)
