"""A window ready to be added up: timeline, production, products and calendar of one machine."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from oee.engine.classify_stops import Setup
from oee.engine.production import Production, Products
from oee.engine.timeline import Timeline
from oee.model.calendars import Spans
from oee.model.facts import UNKNOWN_PRODUCT, Int64, Text, text_column
from oee.model.machine import Machine
from oee.model.states import State


@dataclass(frozen=True)
class Whole:
    """Everything that the kernel adds up, over one window."""

    machine: Machine
    line: Timeline
    production: Production
    products: Products
    setups: tuple[Setup, ...]
    spans: Spans
    made_since_setup: int | None
    """Pieces between the last set-up before the window and the window; None: no set-up was seen."""
    blind: tuple[Int64, Int64]
    """Starts and ends of the stretches in which the counter was not known: no performance there."""

    @cached_property
    def names(self) -> list[str]:
        """Keys of the products in the window, `?` for one that the machine does not know. A product's number in this
        list is its code: a year of minutes is quicker told in numbers than in names."""
        return list(dict.fromkeys(product_keys(self.machine, self.products.product).tolist()))

    @cached_property
    def _codes(self) -> Int64:
        number = {name: code for code, name in enumerate(self.names)}
        keys = product_keys(self.machine, self.products.product)
        return np.array([number[name] for name in keys.tolist()], np.int64)

    def product_at(self, t_ns: Int64) -> Int64:
        """Code of the product in effect at each time."""
        index = np.maximum(np.searchsorted(self.products.from_ns, t_ns, "right") - 1, 0)
        out: Int64 = self._codes[index]
        return out

    def product_before(self, t_ns: Int64) -> Int64:
        """Code of the product in effect just before each time."""
        index = np.maximum(np.searchsorted(self.products.from_ns, t_ns, "left") - 1, 0)
        out: Int64 = self._codes[index]
        return out

    @cached_property
    def unwatched(self) -> NDArray[np.bool_]:
        """Which production events nobody watched: across an outage, or while the state was not known."""
        made, line = self.production, self.line
        out: NDArray[np.bool_] = made.lost_ns >= 0
        if (line.state == State.UNKNOWN).any():
            before = np.maximum(np.searchsorted(line.start_ns, made.t_ns - 1, "right") - 1, 0)
            out |= (line.state[before] == State.UNKNOWN) & (made.t_ns > line.start_ns[0])
        return out

    @cached_property
    def reasons(self) -> tuple[list[str], Int64]:
        """The reasons in the timeline, and each interval's number among them; most stops have none."""
        reason = self.line.reason
        code = np.zeros(len(reason), np.int64)
        given = np.flatnonzero(reason != "")
        names = {"": 0}
        code[given] = [names.setdefault(name, len(names)) for name in reason[given].tolist()]
        return list(names), code

    def ideal_us(self, code: Int64, t_ns: Int64) -> Int64:
        """Ideal time of one piece of each product at each time [us], 0 where none is known."""
        out = np.zeros(len(code), np.int64)
        for number, name in enumerate(self.names):
            product = self.machine.products.get(name)
            if product is None or not product.ideals:
                continue
            us = np.array([0, *(ideal.us for ideal in product.ideals)], np.int64)
            since = np.array([ideal.since_ns for ideal in product.ideals], np.int64)
            mine = code == number if len(self.names) > 1 else slice(None)
            since_first = len(since) == 1 and len(t_ns) and since[0] <= t_ns.min()
            out[mine] = us[1] if since_first else us[np.searchsorted(since, t_ns[mine], "right")]
        return out


def product_keys(machine: Machine, names: Text) -> Text:
    """Products that the machine knows, `?` for all others."""
    known = {name: name if name in machine.products else UNKNOWN_PRODUCT for name in set(names.tolist())}
    return text_column([known[name] for name in names.tolist()])
