"""Device kinds, found by folder: each `adapters/<kind>/kind.py` holds a face `KIND` (see `adapters.contract`).

There is no list of kinds to maintain. `adapters` builds on `config`, so `config` may not import it: the folders of the
package are searched when the program starts, and the models in them become one type, discriminated by `kind`. Faces are
light: pydantic and `config`, no protocol library. Design note: docs/design/0016-device-kinds.md.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol, Union

from pydantic import Field

from config.devices.device import DeviceModel

PACKAGE = "adapters"


class _Face(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def model(self) -> type[DeviceModel]: ...
    @property
    def rank(self) -> int: ...


def kind_names() -> tuple[str, ...]:
    """The folders of the package that hold a `kind.py`, sorted."""
    folders = (Path(folder) for folder in import_module(PACKAGE).__path__)
    return tuple(sorted({path.parent.name for folder in folders for path in folder.glob("*/kind.py")}))


def _face(name: str) -> _Face:
    face: _Face = import_module(f"{PACKAGE}.{name}.kind").KIND
    if face.name != name or face.model.model_fields["kind"].annotation is str:
        raise TypeError(f"{PACKAGE}/{name}/kind.py: its KIND and its model must say kind {name!r}")
    return face


_FACES = sorted(map(_face, kind_names()), key=lambda face: (face.rank, face.name))

DEVICE_KINDS: dict[str, type[DeviceModel]] = {face.name: face.model for face in _FACES}
"""Kind, as `kind` says it in the site file, to its model; the commonest first, as messages list them."""

if TYPE_CHECKING:
    Device = DeviceModel
else:
    Device = Annotated[Union[tuple(DEVICE_KINDS.values())], Field(discriminator="kind")]  # noqa: UP007  # built from a list


def periods_s(device: DeviceModel) -> dict[str, float]:
    """How often each tag of a device is confirmed when all is well [s]."""
    return {name: device.period_s(name) for name in device.tags}


def stale_after_s(device: DeviceModel) -> dict[str, float]:
    """When each tag of a device is stale [s after its last confirmation]."""
    return {name: device.stale_after_s(name) for name in device.tags}
