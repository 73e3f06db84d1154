"""What the agent tells of itself."""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from oee.engine.step import MachineSnapshot
from wire.bodies import LiveMachine


def live_machines(live: Mapping[str, MachineSnapshot]) -> dict[str, LiveMachine]:
    """The machines as the `live` message tells them."""
    return {
        name: LiveMachine(
            state=item.state.word,
            since_ns=item.since_ns,
            reason=item.reason,
            product=item.product,
            shift=item.shift,
            calendar=item.calendar.word,
            pieces=item.pieces,
        )
        for name, item in live.items()
    }


def own_version() -> str:
    """The installed version, "" if it cannot be told."""
    try:
        return version("nhip")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return ""
