"""Which requests read which tags: neighbours share one, within what the device allows.

A request covers the span from its first tag to the end of its last, gaps included. Two neighbours share it if
they are of one table and one period, the gap between them is small and free of `never_read`, and the request stays
within the limit. Where a device refused a merged request, a *hole* records the cut: `(table, address)` says
that no request may hold both a tag that starts below the address and one that starts at it or above.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from adapters.modbus.model import BIT_TABLES, TABLES, ModbusDevice, Table

Hole = tuple[Table, int]
BITS_PER_REGISTER = 16


@dataclass(frozen=True, slots=True)
class Place:
    """Where one tag lies and how often it is read. count: coils or registers."""

    tag: str
    table: Table
    start: int
    count: int
    period_s: float

    @property
    def end(self) -> int:
        """The address after its last."""
        return self.start + self.count


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What one request may hold. never_read: (table, first, last), both ends included."""

    max_registers: int = 125
    max_bits: int = 2000
    max_gap: int = 16
    never_read: tuple[tuple[Table, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """One request to the device: `count` addresses of `table` from `start`, every `period_s`, for these tags.

    tags: those that it reads, by address.
    """

    table: Table
    start: int
    count: int
    period_s: float
    places: tuple[Place, ...]
    tags: tuple[str, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Computed once: every response needs them."""
        object.__setattr__(self, "tags", tuple(place.tag for place in self.places))

    def __hash__(self) -> int:
        """Without the places: a request is looked up several times a poll, and may have a hundred places."""
        return hash((self.table, self.start, self.count, self.period_s))


def plan(places: Iterable[Place], limits: RequestLimits, holes: frozenset[Hole] = frozenset()) -> tuple[Request, ...]:
    """The fewest requests that a sweep from low to high addresses finds; every place lies in exactly one.

    ValueError if a single place exceeds the limits or lies within `never_read`.
    """
    requests: list[Request] = []
    open_places: list[Place] = []
    for place in sorted(places, key=_sweep_order):
        _check(place, limits)
        if open_places and not _fits(open_places, place, limits, holes):
            requests.append(request_for(open_places))
            open_places = []
        open_places.append(place)
    if open_places:
        requests.append(request_for(open_places))
    return tuple(requests)


def request_for(places: Iterable[Place]) -> Request:
    """One request over all of `places` (of one table and period)."""
    ordered = sorted(places, key=_sweep_order)
    first, end = ordered[0], max(place.end for place in ordered)
    return Request(first.table, first.start, end - first.start, first.period_s, tuple(ordered))


def where_to_cut(request: Request) -> Hole | None:
    """Where to split a request that the device refused: at its widest gap, else in the middle.
    None if all its tags start at one address: then the tags themselves are refused.
    """
    starts = sorted({place.start for place in request.places})
    if len(starts) == 1:
        return None
    middle = len(starts) / 2
    best = max(range(1, len(starts)), key=lambda i: (_gap_before(request, starts[i]), -abs(i - middle)))
    return (request.table, starts[best])


def gap_cuts(request: Request) -> frozenset[Hole]:
    """The cuts that leave no gap in any of a request's parts; empty if it has none."""
    starts = sorted({place.start for place in request.places})[1:]
    return frozenset((request.table, start) for start in starts if _gap_before(request, start))


def stretch(request: Request, turn: int) -> Request | None:
    """One of a request's stretches without a gap, another for each `turn`; None if it has no gap."""
    cuts = gap_cuts(request)
    if not cuts:
        return None
    stretches = plan(request.places, RequestLimits(max_gap=0), cuts)
    return stretches[turn % len(stretches)]


def split(request: Request, hole: Hole) -> tuple[Request, Request]:
    """The two requests on either side of a cut made by `where_to_cut`."""
    below = [place for place in request.places if place.start < hole[1]]
    above = [place for place in request.places if place.start >= hole[1]]
    return request_for(below), request_for(above)


def places_of(device: ModbusDevice) -> tuple[Place, ...]:
    """Where a device's tags lie, as addresses on the wire."""
    return tuple(
        Place(name, tag.table, tag.first(device.base), tag.count, tag.every or device.every)
        for name, tag in device.tags.items()
    )


def limits_of(device: ModbusDevice) -> RequestLimits:
    """What the site file allows in one request to this device."""
    return RequestLimits(device.max_registers, device.max_bits, device.max_gap, device.forbidden())


def requests_of(device: ModbusDevice) -> tuple[Request, ...]:
    """The requests of a device, before it has refused any."""
    return plan(places_of(device), limits_of(device))


def _sweep_order(place: Place) -> tuple[int, float, int, int, str]:
    return (TABLES.index(place.table), place.period_s, place.start, place.end, place.tag)


def _gap_before(request: Request, start: int) -> int:
    return max(0, start - max(place.end for place in request.places if place.start < start))


def _fits(current: list[Place], place: Place, limits: RequestLimits, holes: frozenset[Hole]) -> bool:
    first, end = current[0], max(other.end for other in current)
    if place.table != first.table or place.period_s != first.period_s:
        return False
    scale = BITS_PER_REGISTER if place.table in BIT_TABLES else 1
    if place.start - end > limits.max_gap * scale or max(end, place.end) - first.start > _most(place, limits):
        return False
    if any(table == place.table and first.start < cut <= place.start for table, cut in holes):
        return False
    return not _touches(place.table, first.start, max(end, place.end), limits)


def _check(place: Place, limits: RequestLimits) -> None:
    if place.count > _most(place, limits):
        raise ValueError(f"{place.tag}: {place.count} addresses do not fit in one request of {_most(place, limits)}")
    if _touches(place.table, place.start, place.end, limits):
        raise ValueError(f"{place.tag}: {place.table} {place.start} lies in a never_read range")


def _most(place: Place, limits: RequestLimits) -> int:
    return limits.max_bits if place.table in BIT_TABLES else limits.max_registers


def _touches(table: Table, start: int, end: int, limits: RequestLimits) -> bool:
    return any(name == table and start <= last and first < end for name, first, last in limits.never_read)
