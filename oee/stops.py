"""Stops as rows: every stretch without running, told whole."""

from typing import Final

import numpy as np

from oee.facts import MS_NS, Stop
from oee.states import State
from oee.timeline import text
from oee.whole import Whole, product_keys

_STATES: Final = tuple(State)


def stop_rows(whole: Whole, from_ns: int) -> list[Stop]:
    """Every stretch without running that starts at `from_ns` or later, revision 0; the last may be open."""
    line, names = whole.line, whole.names
    index = np.flatnonzero((line.state != State.RUNNING) & (line.start_ns >= from_ns))
    setups = {
        item.start_ns: tuple(product_keys(whole.machine, text([item.product, item.to_product])).tolist())
        for item in whole.setups
    }
    ends: list[int | None] = line.end_ns[index].tolist()
    if len(index) and index[-1] == len(line) - 1:
        ends[-1] = None
    rows = []
    for start_ns, end_ns, code, reason, by, held in zip(
        line.start_ns[index].tolist(),
        ends,
        line.state[index].tolist(),
        line.reason[index].tolist(),
        line.by[index].tolist(),
        whole.product_at(line.start_ns[index]).tolist(),
        strict=True,
    ):
        product, to_product = names[held], ""
        if code == State.SETUP and start_ns in setups:
            product, to_product = setups[start_ns]
        identity = (whole.machine.id, str(start_ns // MS_NS), start_ns, end_ns)
        rows.append(Stop(*identity, _STATES[code], reason, by, product, to_product, 0))
    return rows
