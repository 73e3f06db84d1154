"""Compile the site file to the core's machines: parse expressions, convert units to integers, resolve references."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from config.check.calendars import days_of
from config.devices.device import UNKNOWN_WIDTH
from config.devices.kinds import stale_after_s
from config.site.machine import CounterUse, Gap, MachineModel, PiecesSource, ProfileUse, is_operator
from config.site.model import IdealPer, ProductAt, ProductModel, Site
from config.site.shifts import compile_shift
from config.templates.state_profiles import StateProfile, parameters_of, rules_of
from oee.model.calendars import Calendar, to_ns
from oee.model.conditions import parse
from oee.model.facts import UNKNOWN_PRODUCT
from oee.model.machine import OPERATOR, Counter, CountGap, Ideal, Machine, Pieces, Product, Rule

DEFAULT_SOURCE = "guess"


def compile_site(site: Site, site_profiles: Mapping[str, StateProfile]) -> dict[str, Machine]:
    """The machines of a checked site by id. site_profiles: from `load_profiles`."""
    calendars = {name: compile_calendar(site, name) for name in ("", *site.calendars)}
    reasons = {name: reason.state for name, reason in site.reasons.items()}
    out: dict[str, Machine] = {}
    for name, machine in site.machines.items():
        product_tag, product = _product_source(site, machine)
        gap = machine.gap()
        out[name] = Machine(
            id=name,
            calendar=calendars[machine.calendar],
            rules=_rules(machine, site_profiles),
            gap=None if gap is None else _gap(gap),
            pieces=_pieces(site, machine.pieces),
            product_tag=product_tag,
            product=product,
            products=products_of(site, name),
            product_change=machine.product_change,
            reason_tag=machine.reason.tag if machine.reason else "",
            reason_map=machine.reason.map if machine.reason else {},
            reason_states=reasons,
            minor_stop_at_most_ns=_ns(machine.minor_stop_at_most),
            startup_pieces=machine.startup_pieces,
            shortest_run_ns=_ns(machine.shortest_run),
            shortest_stop_ns=_ns(machine.shortest_stop),
        )
    return out


def compile_calendar(site: Site, name: str) -> Calendar:
    """A calendar of the site in its time zone; "" is the site's own."""
    written = site.calendar(name)
    exceptions = {
        day: tuple(map(compile_shift, exception.shifts))
        for exception in written.exceptions
        for day in days_of(exception)
    }
    return Calendar(ZoneInfo(site.timezone), tuple(map(compile_shift, written.shifts)), exceptions)


def products_of(site: Site, machine: str) -> dict[str, Product]:
    """Every product as that machine makes it; machine "" is any that has nothing of its own."""
    model = site.machines.get(machine)
    per_count = model.pieces.per_count if model else 1
    return {key: _product(site, key, product, machine, per_count) for key, product in site.products.items()}


def _ns(seconds: float) -> int:
    """Seconds in nanoseconds, rounded to the microsecond."""
    return round(seconds * 1_000_000) * 1000


def _rules(machine: MachineModel, profiles: Mapping[str, StateProfile]) -> tuple[Rule, ...]:
    out: list[Rule] = []
    for line in machine.lines():
        if isinstance(line, ProfileUse):
            profile = profiles[line.profile]
            out += rules_of(profile, parameters_of(profile, line.tags))
        else:
            out.append(Rule(None if line.when is None else parse(line.when), line.state, line.reason))
    return tuple(out)


def _gap(gap: Gap) -> CountGap:
    return CountGap(gap.ideals, _ns(gap.at_least), gap.state)


def _pieces(site: Site, pieces: PiecesSource) -> Pieces:
    counters = {key: _counter(site, use, pieces) for key, use in pieces.counters().items() if not is_operator(use)}

    def entered(key: str) -> Counter | str | None:
        return counters.get(key) or (OPERATOR if key in pieces.counters() else None)

    return Pieces(
        total=counters.get("total"),
        good=counters.get("good"),
        reject=entered("reject"),  # type: ignore[arg-type]  # OPERATOR is the literal
        rework=entered("rework"),  # type: ignore[arg-type]
        per_count=pieces.per_count,
        cavities=pieces.cavities,
        left=counters.get("left"),
        right=counters.get("right"),
    )


def _counter(site: Site, use: CounterUse, pieces: PiecesSource) -> Counter:
    tag = site.tag(use.tag)
    width = tag.counter_width if tag is not None else UNKNOWN_WIDTH
    said = use.max_per_s or pieces.max_per_s
    signed = width.signed if use.signed is None else use.signed
    rate = said or Counter.max_per_s
    device, _, name = use.tag.rpartition(".")
    return Counter(
        use.tag,
        use.bits or width.bits,
        signed,
        rate,
        _stale_after_ns(site, use.tag),
        guessed=not said,
        period_ns=_ns(site.devices[device].period_s(name)),
    )


def _stale_after_ns(site: Site, tag: str) -> int:
    """Longest time since the last confirmation of a live tag; beyond that it is a gap [ns]."""
    device, _, name = tag.rpartition(".")
    return _ns(stale_after_s(site.devices[device])[name])


def _product_source(site: Site, machine: MachineModel) -> tuple[str, str]:
    """The tag (or operator) that gives the product, and the product until then."""
    if machine.product == OPERATOR or not machine.product:
        return machine.product, UNKNOWN_PRODUCT
    if machine.product in site.products:
        return "", machine.product
    return machine.product, UNKNOWN_PRODUCT


def _product(site: Site, key: str, product: ProductModel, machine: str, machine_per_count: int) -> Product:
    model = site.machines.get(machine)
    differs = product.at.get(machine) or ProductAt.model_validate({})
    per_count = differs.per_count or product.per_count or 0
    per: IdealPer = differs.ideal_per or product.ideal_per or "piece"
    divisor = _pieces_in(per, per_count or machine_per_count, pairs=bool(model and model.pieces.left))
    timed = differs if differs.ideal is not None or differs.ideals else product
    source = differs.source or product.source or DEFAULT_SOURCE
    rows = [(item.ideal, item.since, item.source or source) for item in timed.ideals]
    if timed.ideal is not None:
        rows = [(timed.ideal, timed.since or product.since, source)]
    zone = ZoneInfo(site.timezone)
    ideals = [Ideal(round(ideal_s * 1_000_000 / divisor), _since_ns(since, zone), by) for ideal_s, since, by in rows]
    return Product(key, tuple(sorted(ideals, key=lambda ideal: ideal.since_ns)), per_count)


def _pieces_in(per: IdealPer, per_count: int, *, pairs: bool) -> int:
    """Pieces in what an ideal time is given for. Where pairs are counted, a pair is the piece."""
    if per in ("cycle", "set"):
        return per_count
    return 2 if per == "pair" and not pairs else 1


def _since_ns(since: date | None, zone: ZoneInfo) -> int:
    if since is None:
        return 0
    return to_ns(datetime.combine(since, datetime.min.time(), zone).astimezone(UTC))
