"""A window ready to be added up: timeline, production, products and calendar of one machine."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from oee.calendars import Spans
from oee.facts import UNKNOWN_PRODUCT, Int64, Text
from oee.judge import Setup
from oee.machine import Machine
from oee.production import Production, Products
from oee.timeline import Timeline, text


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

    def span_at(self, t_ns: Int64) -> Int64:
        """Number of the calendar span at each time."""
        out: Int64 = np.maximum(np.searchsorted(self.spans.start_ns, t_ns, "right") - 1, 0)
        return out

    def interval_at(self, t_ns: Int64) -> Int64:
        """Number of the timeline's interval at each time."""
        out: Int64 = np.maximum(np.searchsorted(self.line.start_ns, t_ns, "right") - 1, 0)
        return out

    def ideal_us(self, code: Int64, t_ns: Int64) -> Int64:
        """Ideal time of one piece of each product at each time [us], 0 where none is known."""
        out = np.zeros(len(code), np.int64)
        for number, name in enumerate(self.names):
            product = self.machine.products.get(name)
            if product is None or not product.ideals:
                continue
            us = np.array([0, *(ideal.us for ideal in product.ideals)], np.int64)
            since = np.array([ideal.since_ns for ideal in product.ideals], np.int64)
            mine = code == number
            out[mine] = us[np.searchsorted(since, t_ns[mine], "right")]
        return out


def product_keys(machine: Machine, names: Text) -> Text:
    """Products that the machine knows, `?` for all others."""
    known = {name: name if name in machine.products else UNKNOWN_PRODUCT for name in set(names.tolist())}
    return text([known[name] for name in names.tolist()])
